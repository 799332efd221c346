"""Several processes on one SQLite file at once, and processes that are killed."""

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pulpo.store.base import Collection
from pulpo.store.sqlite import SqliteStore

JOBS = Collection("jobs")
SIZE = 20


def start(path: Path, name: str, *, batches: int) -> subprocess.Popen[str]:
    """A writer that has imported everything and waits for the word."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "writer.py"), str(path), name, str(batches), str(SIZE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert line_of(process) == "ready", process.communicate()[1]
    return process


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def finish(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        _, errors = process.communicate(timeout=50)
        assert process.returncode == 0, errors


def intact(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return bool(connection.execute("pragma integrity_check").fetchone() == ("ok",))
    finally:
        connection.close()


@pytest.mark.parametrize("attempt", range(3))
async def test_processes_that_open_a_fresh_file_together_lose_nothing(tmp_path: Path, attempt: int) -> None:
    path = tmp_path / "new" / "store.db"
    processes = [start(path, f"p{n}", batches=3) for n in range(5)]
    go(processes)
    finish(processes)
    async with SqliteStore(path) as store:
        assert await store.count(JOBS) == 5 * 3 * SIZE + 1
        assert await store.count(Collection("shared")) == 5
        shared = await store.get(JOBS, "shared")
    assert shared is not None
    assert shared.data == {f"p{n}-{patch}": patch for n in range(5) for patch in range(5)}
    assert shared.rev == 5 * 5
    assert intact(path)


@pytest.mark.parametrize("seed", range(6))
async def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "store.db"
    processes = {f"p{n}": start(path, f"p{n}", batches=0) for n in range(3)}
    go(list(processes.values()))
    for process in processes.values():
        assert line_of(process) == "0"
    await asyncio.sleep(random.Random(seed).uniform(0, 0.5))  # to kill at any moment
    acknowledged = set()
    for name, process in processes.items():
        process.kill()
        assert process.stdout is not None
        out = process.stdout.read()  # also what was read beyond the first line, which `communicate` would leave out
        _, errors = process.communicate()
        assert process.returncode == -9, errors
        acknowledged |= {
            f"{name}-0",
            *(f"{name}-{line.strip()}" for line in out.splitlines(keepends=True) if line.endswith("\n")),
        }
    async with SqliteStore(path) as store:
        stored = Counter(record.data["batch"] for record in (await store.find(JOBS, limit=1_000_000)).items)
    assert set(stored.values()) == {SIZE}, "half a batch was stored"
    assert acknowledged <= set(stored)
    assert intact(path)
