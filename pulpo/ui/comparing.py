"""Two runs side by side: what was given, and how each operation fared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pulpo.ui.page import took

#: From this many seconds on, and this many times as long, one of two steps took longer than the other.
_SECONDS, _TIMES = 0.5, 1.5
_NOTHING: Final[Mapping[str, Any]] = {"state": None, "started": None, "finished": None, "error": None, "counts": {}}


@dataclass(frozen=True, slots=True)
class Side:
    """How an operation fared in one run; `state` is None where it took no part."""

    state: str | None
    #: Seconds; None where it did not begin.
    took: float | None
    #: By model, the records that it made.
    made: Mapping[str, int]
    #: The first line.
    error: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """An operation in both runs."""

    operation: str
    a: Side
    b: Side
    #: How much longer it took in `a`, in seconds, where that is worth saying.
    longer: float | None

    @property
    def differs(self) -> bool:
        """Whether it fared otherwise; that it took some longer is always so."""
        return (self.a.state, self.a.made, self.a.error) != (self.b.state, self.b.made, self.b.error) or self.longer is not None


@dataclass(frozen=True, slots=True)
class Given:
    """A parameter, or an input by `operation.argument`, of which the runs had another value, or only one had any."""

    name: str
    #: One item, or none where it was not given.
    a: tuple[Any, ...]
    b: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side; operations in the order of the first run, then those of the second alone."""

    rows: tuple[Row, ...]
    parameters: tuple[Given, ...]
    inputs: tuple[Given, ...]


def compare(a: Mapping[str, Any], b: Mapping[str, Any]) -> Comparison:
    """Two runs as the API tells them."""
    of_a, of_b = ({step["operation"]: step for step in run["steps"]} for run in (a, b))
    rows = tuple(_row(name, of_a.get(name, _NOTHING), of_b.get(name, _NOTHING)) for name in dict.fromkeys([*of_a, *of_b]))
    return Comparison(rows, _given(a["parameters"], b["parameters"]), _given(a["inputs"], b["inputs"]))


def _row(operation: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Row:
    one, other = _side(a), _side(b)
    return Row(operation, one, other, _longer(one.took, other.took))


def _side(step: Mapping[str, Any]) -> Side:
    made = {model: counts["made"] for model, counts in step["counts"].items() if counts["made"]}
    return Side(step["state"], took(step), made, step["error"].partition("\n")[0] if step["error"] else None)


def _longer(a: float | None, b: float | None) -> float | None:
    if a is None or b is None or abs(a - b) < _SECONDS or max(a, b) < _TIMES * min(a, b):
        return None
    return a - b


def _given(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Given, ...]:
    found = (Given(name, _one(a, name), _one(b, name)) for name in sorted({*a, *b}))
    return tuple(given for given in found if given.a != given.b)


def _one(values: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    return (values[name],) if name in values else ()
