"""`/plan`: the same as `pulpo plan --format json`, one at a time, within a time limit; and the manifest's hand edits."""

from __future__ import annotations

import asyncio
import json
import os
import stat

import pytest

from pulpo.services.state import MARK
from tests.api.conftest import client_of
from tests.api.test_services import app_of
from tests.cli.toys import Toys

SERVICES = """
  web: {command: [python, server.py], ports: ["PORT"]}
  db: {engine: embedded}
  prefect: {enabled: false}
"""


@pytest.fixture
def toys(tmp_path):
    found = Toys(tmp_path)
    found.lock(SERVICES)
    yield found
    found.end()


async def test_the_plan_is_what_the_command_says(toys):
    said = json.loads(toys("plan", "--format", "json").out)
    async with client_of(app_of(toys)) as http:
        assert (await http.get("/plan")).json() == said
        assert (said["pending"], said["changes"][0]["address"]) == (True, "service:web")
        toys("up")
        after = (await http.get("/plan")).json()
    assert (after["pending"], after["changes"]) == (False, [])


async def test_a_lock_with_errors_has_no_plan(toys):
    lock = toys.directory / "pulpo.lock.yaml"
    async with client_of(app_of(toys)) as http:
        lock.write_text(lock.read_text().replace("server.py]", 'server.py], environment: {A: "${NOT_SET}"}'))
        unset = (await http.get("/plan")).json()
        lock.write_text("version: 1\nprojct: {}\n")
        wrong = await http.get("/plan")
    assert wrong.status_code == 409
    [*_, fault] = wrong.json()["errors"]
    assert "pulpo.lock.yaml:" in fault["message"]
    assert "PLP101" in wrong.text
    assert "NOT_SET" in unset["errors"][0]["message"]


async def test_what_can_t_be_looked_at_is_said_with_its_hint(toys, monkeypatch):
    monkeypatch.setenv("PULPO_DB_URI", "mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=300")
    async with client_of(app_of(toys)) as http:
        answer = await http.get("/plan")
    assert answer.status_code == 409
    assert answer.json()["detail"]
    assert not answer.json()["detail"].startswith("error")


@pytest.fixture
def slow(toys, monkeypatch):
    """An interpreter that counts how often it is asked for a plan, and takes its time."""
    path = toys.directory / "python"
    path.write_text('#!/bin/sh\necho $$ >> pids\nwhile [ ! -e go ]; do sleep 0.05; done\necho \'{"no": "plan"}\'\nexit 1\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr("sys.executable", str(path))
    return toys.directory / "pids"


async def pids_of(slow) -> list[int]:
    async with asyncio.timeout(10):
        while not slow.exists():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    return [int(pid) for pid in slow.read_text().split()]


async def test_one_is_made_at_a_time(toys, slow):
    async with client_of(app_of(toys)) as http:
        asked = [asyncio.create_task(http.get("/plan")) for _ in range(3)]
        await pids_of(slow)
        # Others are answered meanwhile.
        assert (await http.get("/health/live")).status_code == 200
        (toys.directory / "go").touch()
        answers = await asyncio.gather(*asked)
    assert [answer.status_code for answer in answers] == [409] * 3
    assert len(await pids_of(slow)) == 1


async def test_one_that_takes_too_long_is_ended(toys, slow):
    async with client_of(app_of(toys, timeout=2.5)) as http:
        answer = await http.get("/plan")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the plan took longer than 1 s")
    [pid] = await pids_of(slow)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_it_ends_with_the_api(toys, slow):
    async with client_of(app_of(toys)) as http:
        asked = asyncio.create_task(http.get("/plan"))
        [pid] = await pids_of(slow)
    await asyncio.wait([asked])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_the_command_belongs_to_the_api_s_service(toys, monkeypatch):
    """So that whoever stops that ends it as well."""
    monkeypatch.setenv(MARK, "mine")
    async with client_of(app_of(toys)) as http:
        assert http._transport.app.state.outer_environ[MARK] == "mine"


async def test_hand_edits_of_the_manifest_are_told_with_their_lines(tmp_path):
    import shutil

    from tests.api.conftest import EXAMPLES

    directory = tmp_path / "jobs"
    shutil.copytree(EXAMPLES / "jobs", directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    toys = Toys(directory)
    lock = directory / "pulpo.lock.yaml"
    async with client_of(app_of(toys)) as http:
        assert (await http.get("/manifest")).json()["edited"] == []
        text = lock.read_text().replace("    retries: 3\n", "    retries: 5\n    timeout: 30\n", 1)
        lock.write_text(text.replace("models:\n", "models:\n  # mine\n", 1))
        edited = (await http.get("/manifest")).json()["edited"]
        lock.write_text(lock.read_text().replace("version: 1", "version: 1\nverzion: 2"))
        wrong = (await http.get("/manifest")).json()
    lines = lock.read_text().splitlines()
    assert [(one["path"][-1], one["base"], one["value"]) for one in edited] == [("retries", 3, 5), ("timeout", None, 30)]
    assert lines[edited[0]["line"]] == "    retries: 5"  # a line came before it since
    assert edited[0]["message"] == "set by hand to 5: the decorator says 3"
    assert wrong["codes"]["PLP101"]["title"]
    assert wrong["codes"].keys() == {one["code"] for one in wrong["report"]["diagnostics"]}
    assert len(wrong["edited"]) == 2
