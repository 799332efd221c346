from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Done:
    """A finished process."""

    def __init__(self, process: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr
        assert "Traceback" not in self.err, self.err


class Shell:
    """Runs `pulpo` as a real process in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *arguments: str, code: int | None = 0, env: dict[str, str] | None = None) -> Done:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100", **(env or {})}
        process = subprocess.run(
            [sys.executable, "-m", "pulpo", *arguments],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=environment,
        )
        done = Done(process)
        assert code is None or done.code == code, f"exit {done.code}\n{done.out}\n{done.err}"
        return done


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


@pytest.fixture
def jobs(tmp_path):
    """The jobs example, in a directory of its own, without what a run leaves."""
    directory = tmp_path / "jobs"
    shutil.copytree(ROOT / "examples" / "jobs", directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    return Shell(directory)
