"""Logs of services: each line with its time, in a file that is put aside when it is large; read from the end, or on and on."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

KEPT: Final = 3
_LINE: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a service said, without its line end, and when; in UTC."""

    time: dt.datetime
    text: str


class RotatingLog:
    """A log to write to; when it is full it becomes `NAME.1`, that one `NAME.2`, and so on."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file = self._open()

    def write(self, line: bytes) -> None:
        """Add a line, which may have a line end."""
        stamp = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        self._file.write(f"{stamp} {text}\n".encode())
        if self._file.tell() > self._max_bytes:
            self._rotate()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _open(self) -> FileIO:
        return FileIO(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a")

    def _rotate(self) -> None:
        self._file.close()
        for number in range(KEPT - 1, 0, -1):
            if (older := _aside(self._path, number)).exists():
                older.replace(_aside(self._path, number + 1))
        self._path.replace(_aside(self._path, 1))
        self._file = self._open()


def read(path: Path, *, tail: int | None = None, since: dt.datetime | None = None) -> list[LogLine]:
    """The lines of a log, oldest first: the last `tail` of those since a time; all where neither is given."""
    return list(_read(path, tail, since)[0])


def follow(path: Path, *, tail: int | None = None, since: dt.datetime | None = None, every: float = 0.2) -> Iterator[LogLine]:
    """The lines that `read` gives, and then each new one, also of files that take the log's place; never ends.

    Looks every so many seconds. The log need not be there yet.
    """
    yield from (line for _, line in merged({"": path}, tail=tail, since=since, follow=True, every=every))


def merged(
    paths: Mapping[str, Path], *, tail: int | None, since: dt.datetime | None, follow: bool, every: float = 0.2
) -> Iterator[tuple[str, LogLine]]:
    """The lines of several logs with the names of the logs, by time: of each what `read` gives; with `follow` it never ends."""
    tails = {name: _Tail(path) for name, path in paths.items()}
    begun = [(name, line) for name, found in tails.items() for line in found.begin(tail, since)]
    yield from sorted(begun, key=lambda pair: pair[1].time)
    while follow:
        came = [(name, line) for name, found in tails.items() for line in found.more()]
        yield from sorted(came, key=lambda pair: pair[1].time)
        if not came:
            time.sleep(every)


class _Tail:
    """A log that is read to its end, again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = _End()
        self._rest = b""
        self._last = dt.datetime.now(dt.UTC)

    def begin(self, tail: int | None, since: dt.datetime | None) -> Iterable[LogLine]:
        lines, self._end = _read(self._path, tail, since)
        return lines

    def more(self) -> list[LogLine]:
        """The lines that came since."""
        chunks, self._end = _newer(self._path, self._end)
        *whole, self._rest = (self._rest + chunks).split(b"\n")
        found = []
        for raw in whole:
            found.append(line := parsed(raw, self._last))
            self._last = line.time
        return found


def files_of(path: Path) -> list[Path]:
    """The files that a log consists of, oldest first; those that are there."""
    return [file for file in [*(_aside(path, n) for n in range(KEPT, 0, -1)), path] if file.exists()]


@dataclass(frozen=True, slots=True)
class _End:
    """Where reading went to: a file, by its number in the file system, and the bytes of it that were read."""

    inode: int = 0
    offset: int = 0


def _read(path: Path, tail: int | None, since: dt.datetime | None) -> tuple[deque[LogLine], _End]:
    lines: deque[LogLine] = deque(maxlen=tail)
    data, end = _newer(path, _End())
    complete, _, rest = data.rpartition(b"\n")
    last = dt.datetime.fromtimestamp(0, dt.UTC)
    for raw in complete.split(b"\n") if complete else ():
        line = parsed(raw, last)
        last = line.time
        if since is None or line.time >= since:
            lines.append(line)
    return lines, _End(end.inode, end.offset - len(rest))


def _newer(path: Path, end: _End) -> tuple[bytes, _End]:
    """What came after `end`, in that file and in all that took its place."""
    chunks: list[bytes] = []
    for file in _since(path, end.inode):
        try:
            with file.open("rb") as opened:
                inode = os.fstat(opened.fileno()).st_ino
                opened.seek(end.offset if inode == end.inode else 0)
                chunks.append(opened.read())
                end = _End(inode, opened.tell())
        except FileNotFoundError:  # put aside in between: it is found there the next time
            break
    return b"".join(chunks), end


def _since(path: Path, inode: int) -> list[Path]:
    """The log's files, oldest first, from the one with the number on; all where none has it."""
    files = files_of(path)
    found = list(itertools.dropwhile(lambda file: _inode(file) != inode, files))
    return found or files


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1


def parsed(raw: bytes, last: dt.datetime) -> LogLine:
    """A line as `RotatingLog` writes it, without its end; one that has no time is given the one before."""
    text = raw.decode("utf-8", "replace")
    if matched := _LINE.fullmatch(text):
        return LogLine(dt.datetime.fromisoformat(matched[1]), matched[2])
    return LogLine(last, text)  # of the shim itself, which has no stamps


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
