"""What a shell may complete: names of the lock, and runs. A key press waits for it, so nothing is parsed that need not be.

Names are found by the layout that `pulpo lock` writes: sections at the margin, their entries indented below them. A lock of
another layout completes nothing, and nothing that is wrong with it is told: that is for commands.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from pulpo.settings import Project

#: How many runs are offered, the newest ones.
_RUNS: Final = 20
#: That of `pulpo.run.record.RUNS`, whose import takes as long as all else here.
_COLLECTION: Final = "pulpo_runs"
_SECTION: Final = re.compile(rb"^([a-z]+):[^\n]*\n", re.MULTILINE)
_KEY: Final = re.compile(rb"^ {2}[\"']?([A-Za-z_][A-Za-z0-9_.-]*)[\"']?:(?= |\n|\r)", re.MULTILINE)


def operations(context: typer.Context, incomplete: str) -> list[str]:
    """Operations."""
    return _beginning(incomplete, _entries(context, "operations"))


def models(context: typer.Context, incomplete: str) -> list[str]:
    """Models."""
    return _beginning(incomplete, _entries(context, "models"))


def flows(context: typer.Context, incomplete: str) -> list[str]:
    """Flows: those that operations lie in, and the pipeline."""
    from pulpo.names import flows_of

    return _beginning(incomplete, flows_of(_entries(context, "operations")) | _entries(context, "flows"))


def runnable(context: typer.Context, incomplete: str) -> list[str]:
    """Flows and operations."""
    return sorted({*flows(context, incomplete), *operations(context, incomplete)})


def services(context: typer.Context, incomplete: str) -> list[str]:
    """Services."""
    return _beginning(incomplete, _entries(context, "services"))


def environments(context: typer.Context, incomplete: str) -> list[str]:
    """Environments."""
    return _beginning(incomplete, _entries(context, "environments"))


def explainable(context: typer.Context, incomplete: str) -> list[str]:
    """Everything that has a name in the lock, but environments; codes where it begins like one."""
    if incomplete.startswith("PLP"):
        from pulpo.codes.pages import codes

        return _beginning(incomplete, codes())
    return sorted({*runnable(context, incomplete), *models(context, incomplete), *services(context, incomplete)})


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """The newest runs of the embedded store, and `latest`; of MongoDB none: a key press is not worth a connection."""
    import sqlite3

    from pulpo.store.newest import newest_ids

    try:
        found = newest_ids(_project(context).store_path, _COLLECTION, limit=_RUNS)
    except (PulpoError, OSError, sqlite3.Error):
        found = []
    return [name for name in ("latest", *found) if name.startswith(incomplete)]


def _beginning(incomplete: str, names: set[str] | tuple[str, ...]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _entries(context: typer.Context, section: str) -> set[str]:
    try:
        text = _project(context).lock_path.read_bytes()
    except (PulpoError, OSError):
        return set()
    begins = [(found[1].decode(), found.end(), found.start()) for found in _SECTION.finditer(text)]
    for number, (name, start, _) in enumerate(begins):
        if name == section:
            end = begins[number + 1][2] if number + 1 < len(begins) else len(text)
            return {key.decode() for key in _KEY.findall(text[start:end])}
    return set()


def _project(context: typer.Context) -> Project:
    from pulpo.settings import find_project

    given = context.find_root().params.get("project")
    return find_project(Path(given) if given else None)
