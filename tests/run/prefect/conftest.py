"""Projects that run on the Prefect server of the fixture `prefect`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.prefect_server import Shell
from tests.properties.programs import locked

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def jobs(tmp_path, prefect):
    directory = tmp_path / "jobs"
    shutil.copytree(EXAMPLES / "jobs", directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    return Shell(directory, prefect)


@pytest.fixture
def project(tmp_path, write, prefect):
    """A project of one module: `project(text)` writes and locks it."""

    def _project(text: str) -> Shell:
        write("shop.py", text)
        write("pyproject.toml", '[tool.pulpo]\nname = "shop"\nmodules = ["shop"]\n')
        locked(tmp_path)
        return Shell(tmp_path, prefect)

    return _project
