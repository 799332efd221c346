"""One apply at a time: a lock that its process's death frees, with who holds it beside it for people."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
from typing import TYPE_CHECKING, Final

from pulpo.errors import UsageError
from pulpo.services.state import is_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

NAME: Final = "apply.lock"


@contextlib.contextmanager
def only_one(cache: Path, command: str) -> Iterator[None]:
    """Within it no other apply of the project goes on, whichever process would make it; the file may be removed as its last act.

    Args:
        cache: The project's `run_cache`.
        command: What others are told that is going on.

    Raises:
        UsageError: Another one goes on; the message says whose. Or the file can't be written.
    """
    with _locked(cache / NAME) as file:
        _write(file, {"pid": os.getpid(), "command": command, "since": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")})
        try:
            yield
        finally:
            _write(file, None)


def _locked(path: Path) -> IO[str]:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path} can't be written: {error.strerror or error}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                raise UsageError(
                    f"another one is changing this project's world: {_holder(file)}", hint="wait until it is done, or end it"
                ) from None
        if is_at(file, path):
            return file
        file.close()


def _write(file: IO[str], holder: dict[str, object] | None) -> None:
    file.seek(0)
    file.truncate()
    if holder is not None:
        file.write(json.dumps(holder))
    file.flush()


def _holder(file: IO[str]) -> str:
    """As in `pulpo apply, process 123, since 10:02:11 UTC`."""
    file.seek(0)
    try:
        said = json.loads(file.read())
        since = dt.datetime.fromisoformat(said["since"])
        return f"{said['command']}, process {said['pid']}, since {since:%H:%M:%S} UTC"
    except (ValueError, KeyError, TypeError):
        return "it has only begun"
