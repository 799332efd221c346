"""A Docker engine for tests: the one of this machine, which has to be there; nothing stands in for it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

PYTHON_IMAGE = os.environ.get("PULPO_TEST_PYTHON_IMAGE", "pulpo-test/python:3.11")
MONGO_IMAGE = os.environ.get("PULPO_TEST_MONGO_IMAGE", "pulpo-test/mongo:6.0")
_SCRIPT = Path(__file__).parent.parent / ".ci" / "docker-engine"
_HINT = (
    'the tests of containers need Docker with Compose 2.24 or newer and an image with Python: `eval "$(.ci/docker-engine)"` as root '
    "installs and makes all of it on Debian; elsewhere start Docker and set PULPO_TEST_PYTHON_IMAGE=python:3.11-slim and "
    "PULPO_TEST_MONGO_IMAGE=mongo:6.0, or leave these tests out: pytest -m 'not docker'"
)


def docker(*arguments: str, check: bool = True) -> str:
    """What `docker` prints."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=check).stdout


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """The engine answers and has the images; a machine with Linux where it doesn't fails."""
    if not _answers() and os.geteuid() == 0 and _has("dockerd"):
        subprocess.run([_SCRIPT], capture_output=True, check=False)  # starts it
    if not _answers():
        if sys.platform != "linux":
            pytest.skip(_HINT)
        pytest.fail(f"Docker does not answer: {_HINT}", pytrace=False)
    if not _runs("docker", "image", "inspect", PYTHON_IMAGE) and not _runs("docker", "pull", "--quiet", PYTHON_IMAGE):
        pytest.fail(f"there is no image {PYTHON_IMAGE}: {_HINT}", pytrace=False)


def _answers() -> bool:
    return _has("docker") and _runs("docker", "info")


def _has(program: str) -> bool:
    return _runs("sh", "-c", f"command -v {program}")


def _runs(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def over_tcp() -> Iterator[str]:
    """The same engine behind a TCP port: its address is like that of another machine's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=_accept, args=(listening,))
        accepting.start()
        try:
            yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)  # ends `accept`
            accepting.join()


def _accept(listening: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=_relay, args=(listening.accept()[0],), daemon=True).start()


def _relay(near: socket.socket) -> None:
    with near, socket.socket(socket.AF_UNIX) as far:
        far.connect("/var/run/docker.sock")
        answering = threading.Thread(target=_pass_on, args=(far, near), daemon=True)
        answering.start()
        _pass_on(near, far)
        answering.join()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while some := one.recv(65536):
            other.sendall(some)
        other.shutdown(socket.SHUT_WR)
