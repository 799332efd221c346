"""`pulpo doctor`: what is on this machine, what is missing, and what to do. Nothing is changed, and no user code imported."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulpo.cli.doctor_services import Situation, docker, mongod, ports
from pulpo.cli.finding import Finding, Status
from pulpo.cli.known_versions import DISTRIBUTION, Requirement, bad_pairs, by_extra, fits, installed, requirements
from pulpo.errors import DiagnosticsError, PulpoError
from pulpo.settings import LOCK_NAME, NoProjectError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pulpo.settings import Project

_OLDEST: Final = (3, 11)
_MEGABYTE: Final = 1_000_000
#: Bytes that are left.
_TOO_LITTLE: Final = 100 * _MEGABYTE
_LITTLE: Final = 1_000 * _MEGABYTE
#: Environment variables that change what commands do; values of all but these may be secret.
_SHOWN: Final = ("PULPO_ENV", "PULPO_MODE", "PULPO_STORE_PATH", "NO_COLOR")
_HIDDEN: Final = ("PULPO_DB_URI", "PREFECT_API_URL")


def diagnose(find: Callable[[], Project], mode: str | None = None) -> tuple[Finding, ...]:
    """Everything that was looked at, in a fixed order; `find` gives the project, or raises that there is none."""
    situation, about_project = _project(find, mode)
    checks: tuple[Callable[[], list[Finding]], ...] = (
        _python,
        _versions,
        lambda: _extras(situation),
        lambda: docker(situation),
        lambda: mongod(situation),
        lambda: ports(situation),
        lambda: _disk(situation),
        _environment,
    )
    with ThreadPoolExecutor(len(checks)) as pool:  # Docker and mongod take their time to answer
        *found, disk, environment = pool.map(lambda check: check(), checks)
    return tuple(finding for part in (*found, disk, about_project, environment) for finding in part)


def _python() -> list[Finding]:
    where = "in a virtual environment" if sys.prefix != sys.base_prefix else "in no virtual environment"
    text = f"Python {platform.python_version()} ({sys.executable}), {where}; SQLite {sqlite3.sqlite_version}"
    if sys.version_info < _OLDEST:
        return [Finding("python", Status.FAIL, text, f"Pulpo needs Python {'.'.join(map(str, _OLDEST))} or later")]
    if sys.platform != "linux":
        return [Finding("python", Status.WARN, f"{text}; on {sys.platform}", "Pulpo is tested on Linux")]
    return [Finding("python", Status.OK, text)]


def _versions() -> list[Finding]:
    found = [Finding("pulpo", Status.OK, f"Pulpo {version(DISTRIBUTION)} ({Path(__file__).parents[1]})")]
    own = [one for one in requirements() if one.extra is None]
    misfits = _misfits(own)
    found += [Finding("versions", Status.FAIL, text, f"pip install '{wanted}'") for text, wanted in misfits]
    for pair in bad_pairs():
        text = f"{pair.package} {installed(pair.package)} with {pair.other} {installed(pair.other)}: {pair.what}"
        found.append(Finding("versions", Status.FAIL if pair.fails else Status.WARN, text, f"pip install '{pair.wanted}'"))
    if len(found) == 1:
        found.append(
            Finding("versions", Status.OK, f"the {len(own)} packages that Pulpo needs fit, and no known bad pair is here")
        )
    return found


def _misfits(wanted: list[Requirement]) -> list[tuple[str, str]]:
    """Packages that are missing or of a version that does not fit, in words, and what to ask of pip."""
    found = []
    for one in wanted:
        there = installed(one.package)
        if there is None:
            found.append((f"{one.package} is not installed", f"{one.package}{one.bounds}"))
        elif not fits(there, one.bounds):
            found.append((f"{one.package} {there} does not fit: {one.bounds}", f"{one.package}{one.bounds}"))
    return found


def _extras(situation: Situation) -> list[Finding]:
    return [_extra(extra, list(wanted), situation) for extra, wanted in by_extra(requirements()).items()]


def _extra(extra: str, wanted: list[Requirement], situation: Situation) -> Finding:
    name, install = f"extra {extra}", f"pip install 'pulpocore[{extra}]'"
    missing = [one.package for one in wanted if installed(one.package) is None]
    why = situation.needs.get(extra)
    if missing:
        text = f"not installed: {', '.join(missing)}"
        return Finding(name, Status.WARN, f"{text}; {why}", install) if why else Finding(name, Status.OK, f"{text} ({install})")
    if wrong := _misfits(wanted):
        return Finding(name, Status.WARN, "; ".join(text for text, _ in wrong), install)
    return Finding(name, Status.OK, ", ".join(f"{one.package} {installed(one.package)}" for one in wanted))


def _disk(situation: Situation) -> list[Finding]:
    root = situation.project.root if situation.project else Path.cwd()
    if not os.access(root, os.W_OK):
        return [Finding("disk", Status.FAIL, f"you can't write here: {root}", "see whose directory it is")]
    free = shutil.disk_usage(root).free
    text = f"{free / 1_000 / _MEGABYTE:.1f} GB are free at {root}"
    status = Status.FAIL if free < _TOO_LITTLE else Status.WARN if free < _LITTLE else Status.OK
    return [
        Finding(
            "disk", status, text, None if status is Status.OK else "free some space; `pulpo clean` removes what can be made again"
        )
    ]


def _environment() -> list[Finding]:
    found = []
    command = shutil.which("pulpo")
    if command is None:
        todo = "call it `python -m pulpo`, or activate the environment that it is installed in"
        found.append(Finding("path", Status.WARN, "`pulpo` is not on PATH", todo))
    elif Path(command).parent.resolve() != Path(sys.executable).parent.resolve():
        text = f"`pulpo` on PATH is another environment's: {command}"
        found.append(Finding("path", Status.WARN, text, f"activate the environment of {sys.executable}"))
    else:
        found.append(Finding("path", Status.OK, f"`pulpo` is {command}"))
    said = [f"{name}={os.environ[name]}" for name in _SHOWN if os.environ.get(name)]
    said += [f"{name} is set" for name in _HIDDEN if os.environ.get(name)]
    if said:
        found.append(Finding("environment", Status.OK, "; ".join(said)))
    return found


def _project(find: Callable[[], Project], mode: str | None) -> tuple[Situation, list[Finding]]:
    try:
        project = find()
    except NoProjectError as error:
        return Situation(), [Finding("project", Status.OK, error.message, "`pulpo init` makes one")]
    except PulpoError as error:
        return Situation(), [Finding.of_error("project", error)]
    found = [Finding("project", Status.OK, f"{project.name or project.root.name} ({project.root})")]
    if not project.lock_path.exists():
        return Situation(project), [*found, Finding("lock", Status.WARN, f"there is no {LOCK_NAME}", "pulpo lock")]
    try:
        situation, problems, warnings = _lock(project, mode)
    except DiagnosticsError as error:
        text = f"{LOCK_NAME} has {len(error.diagnostics)} problems, the first: {error.diagnostics[0].message}"
        return Situation(project), [*found, Finding("lock", Status.FAIL, text, "pulpo check")]
    except PulpoError as error:
        return Situation(project), [*found, Finding.of_error("lock", error)]
    text = f"{LOCK_NAME}: {problems} errors, {warnings} warnings (the code was not looked at)"
    status = Status.FAIL if problems else Status.WARN if warnings else Status.OK
    return situation, [*found, Finding("lock", status, text, "pulpo check" if problems or warnings else None)]


def _lock(project: Project, mode: str | None) -> tuple[Situation, int, int]:
    """The situation of a project with a lock, and how many errors and warnings that has."""
    from pulpo.apply.services.mode import chosen_mode
    from pulpo.diagnostics import Severity
    from pulpo.lock.check import check_manifest
    from pulpo.manifest.load import load

    manifest, document = load(project.lock_path, file=project.lock_shown, environment=project.environment)
    chosen = chosen_mode(manifest, mode, file=project.lock_shown).mode
    severities = [found.severity for found in check_manifest(manifest)]
    return Situation(project, manifest, document, chosen), severities.count(Severity.ERROR), severities.count(Severity.WARNING)
