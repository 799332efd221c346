"""What operations log while they run, kept with their run.

While a run goes on a handler of the root logger takes what its operations log through `logging`, in whatever thread or task of
theirs: which operation it is, a context variable says. It is a handler like any other: filters hold, and a logger that does not
propagate is not heard. Levels hold as well, but for the root's: INFO is kept even where the root lets less through, and the
root's other handlers still see no more than before. What is printed is not kept. Passwords in URIs are kept as `***`.
Threads that an operation starts by itself, and calls on a cluster, are in no operation's context; what they log is not kept.

Nothing is done for an operation that logs nothing.
"""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
import itertools
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from pulpo.codes.credentials import without_credentials
from pulpo.run.record import LOGS
from pulpo.store.base import Condition, Record, Sort, Store

#: Lines that are kept of a run; one more says how many came after them.
LINES: Final = 10_000
#: Characters that are kept of a line.
LENGTH: Final = 10_000

#: The run's log and the operation whose code runs here.
_HERE: contextvars.ContextVar[tuple[RunLog, str] | None] = contextvars.ContextVar("pulpo_log", default=None)


@dataclass(frozen=True, slots=True)
class LoggedLine:
    """A line that an operation logged."""

    run: str
    #: Its place in the run, from 0.
    number: int
    operation: str
    time: dt.datetime
    #: `debug`, `info`, `warning`, `error`, `critical`, or a name of the project's own, in lower case.
    level: str
    logger: str
    #: With the traceback, if one was logged.
    message: str

    def record(self) -> Record:
        """As stored; ids sort as the lines came."""
        data = {name: getattr(self, name) for name in ("run", "number", "operation", "level", "logger", "message")}
        data["time"] = self.time
        return Record(_id(self.run, self.number), data, run=self.run, operation=self.operation)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From what is stored."""
        values = {name: data[name] for name in cls.__dataclass_fields__}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines in the order in which they came; after `next` there may be more, None says that there are none so far."""

    lines: list[LoggedLine]
    next: int | None


class RunLog:
    """The lines of one run that are not stored yet; `wake` is called when there is one after there was none, in any thread."""

    def __init__(self, run: str, wake: Callable[[], None]) -> None:
        self._run = run
        self._wake = wake
        self._lines: list[LoggedLine] = []
        self._numbers = itertools.count()
        self._dropped = 0
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, record: logging.LogRecord, operation: str) -> None:
        """Keeps a line, or counts it where there are too many."""
        time = dt.datetime.fromtimestamp(record.created, dt.UTC)
        message = _text(record)
        with self._lock:
            number = next(self._numbers)
            if number >= LINES:
                self._dropped += 1
                return
            first = not self._lines
            self._lines.append(LoggedLine(self._run, number, operation, time, record.levelname.lower(), record.name, message))
        if first:
            self._wake()

    def take(self) -> list[Record]:
        """The lines that are to be stored."""
        with self._lock:
            lines, self._lines = self._lines, []
        return [line.record() for line in lines]

    def rest(self) -> list[Record]:
        """At the end of the run: what says how many lines were not kept."""
        if not self._dropped:
            return []
        said = f"{self._dropped} more lines were logged, which are not kept: a run keeps {LINES}"
        return [LoggedLine(self._run, LINES, "", dt.datetime.now(dt.UTC), "warning", "pulpo", said).record()]


@contextlib.contextmanager
def logging_to(log: RunLog, operation: str) -> Iterator[None]:
    """What is logged within it is of this operation."""
    token = _HERE.set((log, operation))
    try:
        yield
    finally:
        _HERE.reset(token)


_lock = threading.Lock()
_captures = 0
_undo = contextlib.ExitStack()


@contextlib.contextmanager
def capturing() -> Iterator[None]:
    """A run goes on: the root logger has the handler until the last one is over."""
    global _captures  # noqa: PLW0603 - as many runs as there are share the process's one root logger
    with _lock:
        _captures += 1
        if _captures == 1:
            _undo.enter_context(_listening(logging.getLogger()))
    try:
        yield
    finally:
        with _lock:
            _captures -= 1
            if _captures == 0:
                _undo.close()


@contextlib.contextmanager
def _listening(root: logging.Logger) -> Iterator[None]:
    level, handler = root.level, _Handler()
    before = _AsBefore(level)
    others = list(root.handlers) if level > logging.INFO else []
    for other in others:
        other.addFilter(before)
    root.addHandler(handler)
    if level > logging.INFO:
        root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        if level > logging.INFO and root.level == logging.INFO:  # else somebody has set it since
            root.setLevel(level)
        for other in others:
            other.removeFilter(before)


class _Handler(logging.Handler):
    """Keeps what operations log; where there is no other handler it lets Python print warnings as without it."""

    def emit(self, record: logging.LogRecord) -> None:
        here = _HERE.get()
        if here is not None and not _is_prefects(record):
            log, operation = here
            try:
                log.add(record, operation)
            except Exception:  # noqa: BLE001 - a line that can't be formatted; said as any handler says it
                self.handleError(record)
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and _only(self, record.name):
            last.handle(record)


class _AsBefore(logging.Filter):
    """Lets through what a handler of the root would have seen at the root's own level."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= self._level:
            return True
        return any(logger.level and logger.parent is not None for logger in _up(record.name))


def _is_prefects(record: logging.LogRecord) -> bool:
    """Whether Prefect itself says it, of the task run; operations may use the same logger."""
    prefect = sys.modules.get("prefect")
    return prefect is not None and record.name.startswith("prefect") and record.pathname.startswith(tuple(prefect.__path__))


def _only(handler: logging.Handler, name: str) -> bool:
    return all(other is handler for logger in _up(name) for other in logger.handlers)


def _up(name: str) -> Iterator[logging.Logger]:
    """The logger that a line came through, and those above it that it is propagated to."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        yield logger
        logger = logger.parent if logger.propagate else None


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[0] is not None:
        text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
    if record.stack_info:
        text = f"{text}\n{record.stack_info}"
    text = without_credentials(text)
    return text if len(text) <= LENGTH else f"{text[:LENGTH]}… ({len(text) - LENGTH} more characters)"


async def read_logs(
    store: Store, run: str, *, operation: str | None = None, level: str | None = None, limit: int = 1000,
    after: int | None = None, last: bool = False,
) -> LogPage:  # fmt: skip
    """Lines of a run that come after the one of number `after`; of one operation, or of one level and above, if that is said.

    They are the first ones, or the `last`, after which there are none.
    """
    where = [Condition("run", "eq", run)]
    where += [Condition("_id", "gt", _id(run, after))] if after is not None else []
    where += [Condition("operation", "eq", operation)] if operation else []
    where += [Condition("level", "in", _and_above(level))] if level else []
    page = await store.find(LOGS, where, sort=(Sort("_id", descending=True),) if last else (), limit=limit)
    lines = [LoggedLine.of(record.data) for record in page.items]
    if last:
        return LogPage(lines[::-1], None)
    return LogPage(lines, lines[-1].number if page.next is not None else None)


def _id(run: str, number: int) -> str:
    return f"{run}:{number:06}"


def _and_above(level: str) -> list[str]:
    """Levels by name, from this one on."""
    levels = logging.getLevelNamesMapping()
    least = levels.get(level.upper(), logging.NOTSET)
    return sorted({name.lower() for name, number in levels.items() if number >= least})
