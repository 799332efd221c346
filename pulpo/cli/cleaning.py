"""Removing what was generated in a project's `run_cache`, and its data where that is asked for."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from pulpo.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pulpo.apply.services.manager import ServiceManager
    from pulpo.settings import Project

#: What can be made again, beside the files of `pulpo compile`: those are known by what they say of themselves.
_GENERATED: Final = ("__pycache__", "orchestration/__pycache__", "services", "logs", "wheels", "lock.json")
#: For Docker Compose; by its beginning what Pulpo made.
_SETTINGS: Final = (".env", b"# Made by `pulpo up`")
_DATA: Final = ("data", "store.db*")
#: What tells nothing, and does not keep a directory.
_EMPTY: Final = (".gitignore", "__init__.py")


def clean(project: Project, manager: ServiceManager | None, *, data: bool) -> list[str]:
    """Remove what was generated, with `data` what was stored as well; see `CLI.clean`. Without a manager there is no lock."""
    if running := sorted({*_local(project), *_managed(manager)}):
        raise UsageError(f"services run: {', '.join(running)}", hint="stop them first: pulpo down")
    try:
        return sorted(_remove(project.cache, _GENERATED + (_DATA if data else ())))
    except OSError as error:
        raise UsageError(f"can't be removed: {error.strerror}: {error.filename or project.cache}") from error


def _local(project: Project) -> Iterator[str]:
    """Processes, of whatever mode the project is by now."""
    from pulpo.services.local import LocalServices

    services = LocalServices(project.cache)
    for name in services.names():
        if (state := services.state(name)) is not None and not state.status.over:
            yield name


def _managed(manager: ServiceManager | None) -> Iterator[str]:
    from pulpo.apply.services.status import State

    quiet = (State.ABSENT, State.STOPPED, State.EXITED, State.FAILED, State.EMBEDDED, State.ELSEWHERE)
    for service in manager.status() if manager else ():
        if service.state not in quiet:
            yield service.name


def _remove(cache: Path, patterns: tuple[str, ...]) -> Iterator[str]:
    from pulpo.compile.artifacts import write

    yield from write(cache, ()).removed
    name, mark = _SETTINGS
    if (cache / name).is_file() and (cache / name).read_bytes().startswith(mark):
        (cache / name).unlink()
        yield name
    for path in [path for pattern in patterns for path in cache.glob(pattern)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        yield str(path.relative_to(cache))
    for directory in (cache / "orchestration", cache):
        if directory.is_dir() and all(path.name in _EMPTY for path in directory.iterdir()):
            shutil.rmtree(directory)
