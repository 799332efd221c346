"""How a generated flow is written down: its members, and where the records of each of their parameters come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from prefect import Flow, Task

from pulpo.manifest.model import Mode

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Wire:
    """Records of producers, in the shape that a mode gives them."""

    mode: Mode
    producers: tuple[str, ...]


def one(*producers: str) -> Any:
    """The one record that the producers make."""
    return Wire(Mode.ONE, producers)


def each(*producers: str) -> Any:
    """Each record that the producers make, in a call of its own, after all of them are done."""
    return Wire(Mode.EACH, producers)


def every(*producers: str) -> Any:
    """All records that the producers make, in one list."""
    return Wire(Mode.ALL, producers)


def keyed(*producers: str) -> Any:
    """All records that the producers make, by the producer's name."""
    return Wire(Mode.KEYED, producers)


def previous(*producers: str) -> Any:
    """What the last successful run stored of what the producers make."""
    return Wire(Mode.PREVIOUS, producers)


@dataclass(frozen=True, slots=True)
class Member:
    """A step or a subflow of a flow."""

    callee: Task[..., Any] | Flow[..., Any]
    #: By parameter: a `Wire`, or the value of a parameter of the run.
    values: Mapping[str, Any]
    waits: tuple[str, ...] = ()

    def after(self, *operations: str) -> Member:
        """The same, done after operations that it takes no records of."""
        return dataclasses.replace(self, waits=operations)

    @property
    def wires(self) -> dict[str, Wire]:
        """Where records come from, by parameter."""
        return {name: value for name, value in self.values.items() if isinstance(value, Wire)}

    @property
    def plain(self) -> dict[str, object]:
        """The values that are no records, by parameter."""
        return {name: value for name, value in self.values.items() if not isinstance(value, Wire)}


def step(task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Member:
    """An operation as a member of a flow; its arguments are given by name."""
    del args
    return Member(task, kwargs)


def subflow(flow: Flow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Member:
    """A flow as a member of another; its parameters are given by name."""
    del args
    return Member(flow, kwargs)
