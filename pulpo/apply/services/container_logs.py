"""What containers say, by service and time."""

from __future__ import annotations

import contextlib
import datetime as dt
import heapq
import queue
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.containers import moment, observe
from pulpo.apply.services.engine import DockerError
from pulpo.apply.services.status import ServiceLine

if TYPE_CHECKING:
    from pulpo.apply.services.containers import Container
    from pulpo.apply.services.engine import Engine
    from pulpo.apply.services.stack import Stack

#: Seconds within which lines are put in order before they are passed on.
_MOMENT: Final = 0.3
#: How often containers are looked for that were made since.
_NEW: Final = 2.0
_LINE: Final = re.compile(r"^(?P<time>\d{4}-\d\d-\d\dT\S+) ?(?P<text>.*)$")


def merged(stack: Stack, names: Sequence[str], *, tail: int | None, since: dt.datetime | None) -> Iterator[ServiceLine]:
    """The lines of services, merged by time; of each container the last `tail`."""
    with ExitStack() as opened:
        streams = []
        for container in _containers(stack, names):
            lines = opened.enter_context(stack.engine.lines(*_arguments(container, tail, since)))
            streams.append(_parsed(container.service, lines))
        yield from heapq.merge(*streams, key=lambda line: line.time)


def followed(stack: Stack, names: Sequence[str], *, tail: int | None, since: dt.datetime | None) -> Iterator[ServiceLine]:
    """The same, and then each new line, those of containers made later as well, for ever. What was started ends with this."""
    found: queue.SimpleQueue[ServiceLine] = queue.SimpleQueue()
    readers: dict[str, _Reader] = {}
    with ExitStack() as opened:
        while True:
            late = bool(readers)
            for container in _containers(stack, names):
                reader = readers.get(container.id)
                if reader is None:
                    begin = (None, None) if late else (tail, since)
                elif reader.ended and container.status == "running":  # it was started again
                    begin = (None, reader.last)
                else:
                    continue
                lines = opened.enter_context(stack.engine.lines(*_arguments(container, *begin), "--follow"))
                readers[container.id] = _Reader(container.service, lines, found, after=reader.last if reader else None)
            deadline = time.monotonic() + _NEW
            while time.monotonic() < deadline:
                yield from _burst(found)


def last_lines(engine: Engine, container: Container, count: int) -> list[str]:
    """The last lines of a container's log; none where it is gone."""
    try:
        with engine.lines("logs", "--tail", str(count), container.id) as lines:
            return list(lines)[-count:]
    except DockerError:
        return []


class _Reader:
    """A thread that passes on what one container says."""

    def __init__(
        self, service: str, lines: Iterator[str], found: queue.SimpleQueue[ServiceLine], *, after: dt.datetime | None
    ) -> None:
        #: When the last line was said that was passed on.
        self.last = after
        self.ended = False
        threading.Thread(target=self._read, args=(service, lines, found), daemon=True).start()

    def _read(self, service: str, lines: Iterator[str], found: queue.SimpleQueue[ServiceLine]) -> None:
        after = self.last
        with contextlib.suppress(DockerError, ValueError):  # its container is gone, or nobody listens any more
            for line in _parsed(service, lines):
                if after is None or line.time > after:
                    self.last = line.time
                    found.put(line)
        self.ended = True


def _burst(found: queue.SimpleQueue[ServiceLine]) -> Iterator[ServiceLine]:
    """What came in a moment, in order: several containers' lines come as they like."""
    deadline = time.monotonic() + _MOMENT
    lines = []
    with contextlib.suppress(queue.Empty):
        while (left := deadline - time.monotonic()) > 0:
            lines.append(found.get(timeout=left))
    yield from sorted(lines, key=lambda line: line.time)


def _containers(stack: Stack, names: Sequence[str]) -> list[Container]:
    found = observe(stack)
    return [one for one in found if one.service in names and not one.is_leftover]


def _arguments(container: Container, tail: int | None, since: dt.datetime | None) -> list[str]:
    options = ["--tail", str(tail)] if tail is not None else []
    options += ["--since", since.isoformat()] if since is not None else []
    return ["logs", "--timestamps", *options, container.id]


def _parsed(service: str, lines: Iterator[str]) -> Iterator[ServiceLine]:
    for line in lines:
        if found := _LINE.match(line):
            yield ServiceLine(service, moment(found["time"]), found["text"])
