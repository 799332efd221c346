"""Removing what was generated in a project's `run_cache`, and its data where that is asked for."""

from __future__ import annotations

import contextlib
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
#: More runs than go on at once.
_MANY: Final = 1_000
#: What tells nothing, and does not keep a directory.
_EMPTY: Final = (".gitignore", "__init__.py")


def clean(project: Project, manager: ServiceManager | None, *, data: bool) -> list[str]:
    """Remove what was generated, with `data` what was stored as well; see `CLI.clean`. Without a manager there is no lock."""
    from pulpo.apply.apply_lock import only_one
    from pulpo.services.local import LocalServices

    with only_one(project.cache, "pulpo clean"), LocalServices(project.cache).all_turns():
        if running := sorted({*_local(project), *_managed(manager)}):
            raise UsageError(f"services run: {', '.join(running)}", hint="stop them first: pulpo down")
        if data and (runs := _going_on(project)):
            raise UsageError(f"runs are going on: {', '.join(runs)}", hint="let them end, or end them with Ctrl-C")
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


def _going_on(project: Project) -> list[str]:
    """The runs that processes of this machine are making with the embedded store, by id; none where it can't be read."""
    import asyncio
    import socket

    from pulpo.run.history import list_runs
    from pulpo.run.record import State
    from pulpo.store.base import StoreError
    from pulpo.store.sqlite import SqliteStore

    async def find() -> list[str]:
        async with SqliteStore(project.store_path) as store:
            runs = await list_runs(store, state=State.RUNNING, limit=_MANY)
        return sorted(run.id for run in runs if run.process is not None and run.process.host == socket.gethostname())

    if not project.store_path.exists():
        return []
    try:
        return asyncio.run(find())
    except StoreError:
        return []


def _remove(cache: Path, patterns: tuple[str, ...]) -> Iterator[str]:
    from pulpo.apply.apply_lock import NAME
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
    _remove_empty(cache / "orchestration")
    (cache / NAME).unlink()  # the lock that is held here: from now on others may begin
    _remove_empty(cache)


def _remove_empty(directory: Path) -> None:
    """Remove a directory that has nothing that tells something; what somebody begins in it meanwhile stays."""
    if directory.is_dir() and all(path.name in _EMPTY for path in directory.iterdir()):
        for name in _EMPTY:
            (directory / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            directory.rmdir()
