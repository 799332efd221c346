"""What a failed operation leaves to read: the exception, what is behind it, and the frames of the user's own code."""

from __future__ import annotations

import asyncio
import functools
import os
import re
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from pulpo.codes.credentials import without_credentials
from pulpo.errors import PulpoError

#: Characters of one message, and of all errors of a run together.
LONGEST = 8_000
LONGEST_OF_RUN = 64_000

#: Exceptions of a group, causes, and frames at each end of a traceback, that are told.
_INNER = 5
_FRAMES = 10

_PULPO = str(Path(__file__).resolve().parent.parent)

#: What a terminal would act on, or no store and no file takes; line ends and tabs are fine.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class FarError(PulpoError):
    """An exception of another process, in words."""

    def __init__(self, said: str, more: str) -> None:
        """What `describe` says of the exception, and what `explain` says beyond that."""
        super().__init__(said)
        self.more = more


def describe(error: BaseException) -> str:
    """The exception in one go, as `ValueError: no such page`; the bare message of Pulpo's own errors.

    It is at most about 8,000 characters long, and control characters and lone surrogates are written as escapes.
    """
    if isinstance(error, PulpoError):
        return printable(error.message)
    if isinstance(error, asyncio.CancelledError):
        return printable(f"CancelledError: {str(error) or 'the operation was cancelled by its own code'}")
    return printable("".join(traceback.format_exception_only(error)).strip())


def explain(error: BaseException, where: str = "") -> str:
    """What `describe` says, with `where` in brackets, then what tells more, a line each, indented.

    These are the exceptions of a group; the user's own frames, outermost first, `file:line in function`; and the chain of
    causes. Files below the current directory are given relative to it. Pulpo's errors have no frames: they say all in words.
    """
    brackets = f" ({printable(where)})" if where else ""
    if isinstance(error, PulpoError):
        return describe(error) + brackets + (error.more if isinstance(error, FarError) else "")
    lines = [describe(error) + brackets, *_inner(error), *_frames(error.__traceback__)]
    seen, cause = {id(error)}, error.__cause__
    while cause is not None and id(cause) not in seen and len(seen) <= _INNER:
        seen.add(id(cause))
        lines += [f"caused by: {describe(cause)}", *_inner(cause)]
        if not isinstance(cause, PulpoError):
            lines += _frames(cause.__traceback__)
        cause = cause.__cause__
    return "\n".join(lines)


def printable(text: str, longest: int = LONGEST) -> str:
    """The text without what disturbs a terminal or a store, and without passwords in URIs, cut where it is too long."""
    cut = text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"
    return without_credentials(_UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), cut))


def paragraphs(errors: Sequence[str]) -> str:
    """The errors with an empty line between them; those that would make it too long are only counted."""
    kept: list[str] = []
    length = 0
    for index, error in enumerate(errors):
        length += len(error) + 2
        if length > LONGEST_OF_RUN:
            kept.append(f"… and {len(errors) - index} more errors: see the steps")
            break
        kept.append(error)
    return "\n\n".join(kept)


def _inner(error: BaseException) -> Iterator[str]:
    """The exceptions that a group holds, those of groups in it too."""
    if not isinstance(error, BaseExceptionGroup):
        return
    leaves = list(_leaves(error))
    yield from (f"  {describe(leaf)}" for leaf in leaves[:_INNER])
    if len(leaves) > _INNER:
        yield f"  … and {len(leaves) - _INNER} more"


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _frames(found: TracebackType | None) -> list[str]:
    frames = traceback.StackSummary.extract(traceback.walk_tb(found), lookup_lines=False)
    outside = [f for f in frames if not f.filename.startswith(_PULPO + os.sep)]
    own = [f for f in outside if not f.filename.startswith((*_libraries(), "<frozen"))] or outside[-1:]
    here = _here()
    lines = [f"  {_shown(f.filename, here)}:{f.lineno} in {f.name}" for f in own]
    if len(lines) > 2 * _FRAMES:
        lines[_FRAMES:-_FRAMES] = [f"  … {len(lines) - 2 * _FRAMES} more"]
    return lines


@functools.cache
def _libraries() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(sorted({paths[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}))


def _here() -> Path | None:
    """None where the user's code deleted the directory."""
    try:
        return Path.cwd()
    except OSError:
        return None


def _shown(filename: str, here: Path | None) -> str:
    path = Path(filename)
    return str(path.relative_to(here)) if here is not None and path.is_relative_to(here) else filename
