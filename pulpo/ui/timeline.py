"""When the steps of a run were at work, as bars on an axis; time in which none was is folded away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pulpo.ui.page import duration

#: The length of the axis.
AXIS: Final = 100.0
#: The length of a folded part of it, and the least of a bar, so that it can be seen.
_FOLD, _LEAST = 3.0, 0.4
#: Idle time is folded from this many seconds on, if it is also this part of the time at work.
_IDLE, _PART = 2.0, 0.25
_MARKS: Final = 5
_MINUTE: Final = 60
#: Seconds that marks may be apart.
_STEPS: Final = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400,
    21600, 43200, 86400, 172800, 604800, 1209600, 2419200,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """When a step was at work: where the bar begins and how long it is, on an axis from 0 to 100."""

    begin: float
    length: float
    #: Seconds.
    took: float
    #: It is at work still.
    open: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """A time on the axis, since the run began."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Fold:
    """A part of the axis that stands for time in which no step was at work."""

    begin: float
    length: float
    #: Seconds.
    idle: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The steps of a run in time."""

    #: By operation; steps that never began have none.
    bars: Mapping[str, Bar]
    marks: tuple[Mark, ...]
    folds: tuple[Fold, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of time, in seconds since the run began, and where it is on the axis."""

    start: float
    end: float
    begin: float
    length: float
    idle: bool


def timeline(run: Mapping[str, Any], now: dt.datetime) -> Timeline:
    """The timeline of a run as the API tells it; what runs still, runs until `now`."""
    if not run["started"]:
        return Timeline({}, (), ())
    zero = dt.datetime.fromisoformat(run["started"])
    now = now if run["state"] == "running" else _last_sign(run)
    spans = {step["operation"]: _span(step, zero, now) for step in run["steps"] if step["started"]}
    end = (dt.datetime.fromisoformat(run["finished"]) if run["finished"] else now) - zero
    pieces = _pieces(sorted(spans.values()), max(end.total_seconds(), *(until for _, until in spans.values()), 0.001))
    open_ = {step["operation"] for step in run["steps"] if step["state"] == "running"}
    return Timeline(
        {name: _bar(pieces, span, open_=name in open_) for name, span in spans.items()},
        tuple(_marks(pieces)),
        tuple(Fold(piece.begin, piece.length, piece.end - piece.start) for piece in pieces if piece.idle),
    )


def _last_sign(run: Mapping[str, Any]) -> dt.datetime:
    """The latest time that is known of a run that is over."""
    times = [one[name] for one in (run, *run["steps"]) for name in ("started", "finished") if one[name]]
    return max(map(dt.datetime.fromisoformat, times))


def _span(step: Mapping[str, Any], zero: dt.datetime, now: dt.datetime) -> tuple[float, float]:
    start = dt.datetime.fromisoformat(step["started"])
    end = dt.datetime.fromisoformat(step["finished"]) if step["finished"] else now
    begin = max(0.0, (start - zero).total_seconds())
    return begin, max(begin, (end - zero).total_seconds())


def _pieces(spans: Sequence[tuple[float, float]], whole: float) -> list[_Piece]:
    """The time of the run from its start to its end, idle parts apart where they are long."""
    idle = [gap for gap in _gaps(spans, whole) if gap[1] - gap[0] >= _IDLE]
    busy = whole - sum(end - start for start, end in idle)
    idle = [gap for gap in idle if gap[1] - gap[0] >= _PART * busy]
    shown = whole - sum(end - start for start, end in idle)
    scale = (AXIS - _FOLD * len(idle)) / (shown or 1)
    pieces: list[_Piece] = []
    at, begin = 0.0, 0.0
    for start, end in (*idle, (whole, whole)):
        if start > at:
            pieces.append(_Piece(at, start, begin, (start - at) * scale, idle=False))
            begin += (start - at) * scale
        if end > start:
            pieces.append(_Piece(start, end, begin, _FOLD, idle=True))
            begin += _FOLD
        at = end
    return pieces


def _gaps(spans: Iterable[tuple[float, float]], whole: float) -> Iterable[tuple[float, float]]:
    """When nothing was at work, given the spans in the order of their starts."""
    reached = 0.0
    for start, end in (*spans, (whole, whole)):
        if start > reached:
            yield reached, start
        reached = max(reached, end)


def _bar(pieces: Sequence[_Piece], span: tuple[float, float], *, open_: bool) -> Bar:
    begin, end = (_place(pieces, time) for time in span)
    length = max(end - begin, _LEAST)
    return Bar(round(min(begin, AXIS - length), 3), round(length, 3), span[1] - span[0], open_)


def _place(pieces: Sequence[_Piece], time: float) -> float:
    for piece in pieces:
        if time <= piece.end:
            return piece.begin + piece.length * (time - piece.start) / (piece.end - piece.start)
    return AXIS


def _marks(pieces: Sequence[_Piece]) -> Iterable[Mark]:
    """Round times about as far apart as a fifth of the axis, but for those that are folded away."""
    shown = sum(piece.end - piece.start for piece in pieces if not piece.idle)
    step = next((step for step in _STEPS if step >= shown / _MARKS), _STEPS[-1])
    for piece in pieces:
        if piece.idle:
            continue
        first = -(-piece.start // step)
        for number in range(int(first), int(piece.end // step) + 1):
            yield Mark(round(_place([piece], number * step), 3), _label(number * step))


def _label(seconds: float) -> str:
    """Short, as several stand side by side: `0`, `0.5 s`, `1:30`, `2:00:00`."""
    if seconds < _MINUTE:
        return duration(seconds) if seconds else "0"
    minutes, rest = divmod(round(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
