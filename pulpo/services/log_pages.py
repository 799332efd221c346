"""Logs of services in pages: the end of one, and from there on what came since; a page costs the same however long the log is."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pulpo.services.logs import LogLine, files_of, parsed

#: Bytes that are read of a log for one page.
_MOST: Final = 1 << 20
_BEGINNING: Final = dt.datetime.fromtimestamp(0, dt.UTC)


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading went to: a file, by its number in the file system, and the bytes of it that were read."""

    inode: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines in the order of the log, and where the next page begins."""

    lines: tuple[LogLine, ...]
    end: Position


@dataclass(frozen=True, slots=True)
class _Part:
    """Whole lines of one file, without their ends."""

    inode: int
    begin: int
    lines: list[bytes]
    #: Whether the file was read to its end.
    is_all: bool


def log_page(path: Path, after: Position | None = None, *, limit: int) -> LogPage:
    """A page of a log that may have been put aside, or not begun yet.

    Args:
        path: The log.
        after: The `end` of the page before; without it, and where that file is gone, the page is the log's last lines.
        limit: How many lines it has at the most.
    """
    files = files_of(path)
    found = [number for number, file in enumerate(files) if after is not None and _inode(file) == after.inode]
    if after is None or not found:
        return _last(files, limit)
    lines: list[LogLine] = []
    end = after
    for file in files[found[0] :]:
        part = _read(file, end.offset if _inode(file) == end.inode else 0)
        if part is None:  # put aside in between: it is found there the next time
            break
        taken = part.lines[: limit - len(lines)]
        lines += _parsed(taken, lines[-1].time if lines else _changed(file))
        end = Position(part.inode, part.begin + sum(len(raw) + 1 for raw in taken))
        if len(taken) < len(part.lines) or not part.is_all:
            break
    return LogPage(tuple(lines), end)


def _last(files: list[Path], limit: int) -> LogPage:
    """The last lines of all files together, as far as a page reads."""
    lines: list[LogLine] = []
    end: Position | None = None
    left = _MOST
    for file in reversed(files):
        part = _read(file, -left)
        if part is None:
            continue
        end = end or Position(part.inode, part.begin + sum(len(raw) + 1 for raw in part.lines))
        wanted = limit - len(lines)
        lines[:0] = _parsed(part.lines[-wanted:] if wanted else [], _changed(file))
        left -= sum(map(len, part.lines))
        if len(lines) >= limit or left <= 0 or not part.is_all:
            break
    return LogPage(tuple(lines), end or Position())


def _read(file: Path, offset: int) -> _Part | None:
    """Whole lines of a file from an offset on; from its end where it is negative. None where it is gone."""
    try:
        with file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            begin = max(0, status.st_size + offset) if offset < 0 else offset
            opened.seek(begin)
            data = opened.read(_MOST)
    except FileNotFoundError:
        return None
    if offset < 0 and begin > 0:  # in the middle of a line
        _, newline, data = data.partition(b"\n")
        begin = status.st_size - len(data) if newline else status.st_size
    whole, newline, _ = data.rpartition(b"\n")
    if not newline and len(data) == _MOST:  # a line without an end is shown in pieces
        return _Part(status.st_ino, begin, [data[:-1]], is_all=False)
    reached = offset < 0 and begin > 0
    return _Part(status.st_ino, begin, whole.split(b"\n") if newline else [], is_all=not reached and len(data) < _MOST)


def _parsed(raws: list[bytes], before: dt.datetime) -> Iterator[LogLine]:
    for raw in raws:
        line = parsed(raw, before)
        before = line.time
        yield line


def _changed(file: Path) -> dt.datetime:
    """When a file was written to last: for lines that have no time."""
    try:
        return dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC)
    except FileNotFoundError:
        return _BEGINNING


def _inode(file: Path) -> int:
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return -1
