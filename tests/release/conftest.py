"""What is released, built once from a copy of the repository in which somebody has worked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.release.pythons import ROOT

#: What a copy of the repository is made of, and what work in a checkout left there.
_TAKEN = {
    ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "examples", "pulpo", "pulpo.schema.json",
    "pyproject.toml", "schemas",
}  # fmt: skip
_LEFT = {"__pycache__", "run_cache"}
#: What work leaves, which is nobody's but the worker's.
LITTER = (
    "examples/jobs/run_cache/logs/api.log",
    "examples/jobs/jobs/__pycache__/operations.cpython-311.pyc",
    "pulpo/__pycache__/names.cpython-311.pyc",
    "pulpo/run_cache/store.db",
    "run_cache/store.db",
    "dist/pulpocore-0.0.1-py3-none-any.whl",
    ".ci/run",
    ".coverage.host.1",
    "tests/test_it.py",
    "notes.txt",
)


@dataclass(frozen=True, slots=True)
class Distributions:
    """Where they are."""

    #: The files of the repository that they are made from, but for litter.
    files: frozenset[str]
    #: The copy of the repository.
    source: Path
    sdist: Path
    wheel: Path
    #: The wheel that is made from the sdist alone.
    again: Path


def _not_copied(directory: str, names: list[str]) -> set[str]:
    return set(names) - _TAKEN if Path(directory) == ROOT else set(names) & _LEFT


def _build(source: Path, target: Path, *options: str) -> None:
    command = [sys.executable, "-m", "build", "--outdir", str(target), *options, str(source)]
    done = subprocess.run(command, cwd=target.parent, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The wheel and the sdist, and the wheel of the sdist."""
    root = tmp_path_factory.mktemp("release")
    source = root / "source"
    shutil.copytree(ROOT, source, ignore=_not_copied)
    files = frozenset(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
    for name in LITTER:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("litter\n", encoding="utf-8")
    _build(source, root / "wheel", "--wheel")
    _build(source, root / "both")
    (sdist,) = (root / "both").glob("*.tar.gz")
    (wheel,), (again,) = (list((root / name).glob("*.whl")) for name in ("wheel", "both"))
    return Distributions(files, source, sdist, wheel, again)
