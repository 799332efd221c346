"""A Docker engine for tests: the one of this machine, which has to be there; nothing stands in for it."""

from __future__ import annotations

import os
import subprocess
import sys
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
