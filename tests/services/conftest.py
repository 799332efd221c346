from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from pulpo.services.local import LocalServices
from pulpo.services.probes import TcpProbe
from pulpo.services.spec import Address, LocalService
from tests.ports import free_port

PROGRAM = str(Path(__file__).with_name("service.py"))


def until(condition, seconds: float = 20):
    """What the condition gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has asked after is as dead as can be."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def get(port: int, path: str = "/") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def services(tmp_path):
    """The services of a directory; what a test leaves running is ended after it."""
    found = LocalServices(tmp_path / "run_cache")
    yield found
    for name in found.names():
        with contextlib.suppress(Exception):
            found.stop(name)
        if (state := found.state(name)) and state.shim_pid and alive(state.shim_pid):
            os.kill(state.shim_pid, signal.SIGKILL)


@pytest.fixture
def service(tmp_path, port):
    """Makes a service of words: `service("deaf", grace=1)`; with the test's port unless `listens` is False."""

    def _service(*words: str, listens: bool = True, **settings) -> LocalService:
        settings = {
            "addresses": (Address("127.0.0.1", port),) if listens else (),
            "probe": TcpProbe("127.0.0.1", port) if listens else None,
            "ready_timeout": 20,
            "grace": 5,
            **settings,
        }
        command = (sys.executable, PROGRAM, *words, str(port if listens else 0))
        return LocalService("web", command, str(tmp_path), **settings)

    return _service


def child_of(services: LocalServices) -> int:
    """The process that the service said to have left behind."""

    def said() -> int | None:
        numbers = [int(m[1]) for line in services.logs("web") if (m := re.fullmatch(r"child (\d+)", line.text))]
        return numbers[-1] if numbers else None

    return until(said)
