"""The interpreters that a release is tried on: the one of the tests, and those of the versions it is for that are here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: More of them, as a search path of executables.
VARIABLE = "PULPO_PYTHONS"
#: Versions that have to be here, as in `3.11 3.12`: those that `.ci/run` was told of.
PROMISED = "PULPO_PYTHONS_PROMISED"
_CLASSIFIER = "Programming Language :: Python :: 3."


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An executable, and the version that it says it is."""

    executable: str
    version: str

    def __str__(self) -> str:
        return self.version


@cache
def interpreters() -> tuple[Interpreter, ...]:
    """One of each minor version, sorted: that of the tests, those that the variable names, those on the PATH.

    Raises:
        RuntimeError: What the variable names does not run.
    """
    found = {sys.version_info[:2]: Interpreter(sys.executable, _version(sys.executable) or sys.version)}
    for executable in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        version = _version(executable)
        if version is None:
            raise RuntimeError(f"{VARIABLE} names what is no Python: {executable}")
        found.setdefault(_minor(version), Interpreter(executable, version))
    for name in (f"python{version}" for version in supported()):
        executable = shutil.which(name)
        # A shim may be there for what is not.
        if executable and (version := _version(executable)):
            found.setdefault(_minor(version), Interpreter(executable, version))
    return tuple(found[minor] for minor in sorted(found))


def supported() -> list[str]:
    """The versions that the package says it is for, as in `3.11`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [f"3.{name.removeprefix(_CLASSIFIER)}" for name in project["classifiers"] if name.startswith(_CLASSIFIER)]


def missing() -> list[str]:
    """The versions that the package is for and that are not here, as in `3.12`."""
    here = [_minor(one.version) for one in interpreters()]
    return [version for version in supported() if _minor(version) not in here]


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _version(executable: str) -> str | None:
    command = [executable, "-c", "import platform; print(platform.python_version())"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


if __name__ == "__main__":
    print(f"the release is tried on Python {', '.join(map(str, interpreters()))}")
    for absent in missing():
        print(f"WARNING: the release is NOT tried on Python {absent}, which is not here")
