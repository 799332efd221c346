"""What a failed operation leaves to read: the exception, and the frames of the user's own code."""

from __future__ import annotations

import functools
import os
import sysconfig
import traceback
from pathlib import Path

from pulpo.errors import PulpoError

_PULPO = str(Path(__file__).resolve().parent.parent)


def describe(error: BaseException) -> str:
    """The exception in one go, as `ValueError: no such page`; the bare message of Pulpo's own errors."""
    if isinstance(error, PulpoError):
        return error.message
    return "".join(traceback.format_exception_only(error)).strip()


def explain(error: BaseException) -> str:
    """What `describe` says, then the user's own frames, outermost first, one a line: `file:line in function`.

    Files below the current directory are given relative to it. Pulpo's errors have no frames: they say all in words.
    """
    if isinstance(error, PulpoError):
        return error.message
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_PULPO + os.sep)]
    own = [f for f in frames if not f.filename.startswith((*_libraries(), "<frozen"))] or frames[-1:]
    return "\n".join([describe(error), *(f"  {_shown(f.filename)}:{f.lineno} in {f.name}" for f in own)])


@functools.cache
def _libraries() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(sorted({paths[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}))


def _shown(filename: str) -> str:
    path = Path(filename)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else filename
