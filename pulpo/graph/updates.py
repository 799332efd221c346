"""The order of operations that update one model: one after the other, never two at once."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from pulpo.graph.order import topological_order
from pulpo.graph.roles import reads, returns, takes_everything, writes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pulpo.graph.roles import AfterIndex, Operations, Roles
    from pulpo.manifest.model import OperationSpec

#: What each operation comes after; keys that are no operations (they hold a colon) stand for a stage of a model.
Precedence = dict[str, list[str]]


def written(model: str) -> str:
    """The stage of a model at which all pure producers and writers are done."""
    return f"{model}:written"


def updated(model: str) -> str:
    """The stage of a model at which all its updaters are done too."""
    return f"{model}:updated"


class Ancestry:
    """For each operation the updaters that must run before it, as a set of bits: linear in the number of edges."""

    def __init__(self, precedence: Precedence, updaters: Iterable[str]) -> None:
        self._number = {name: number for number, name in enumerate(updaters)}
        self._before: dict[str, int] = {}
        dependencies = {name: set(before) for name, before in precedence.items()}
        order, cyclic = topological_order(dependencies)
        for name in [*order, *cyclic]:
            bits = 0
            for before in dependencies[name]:
                bits |= self._before.get(before, 0)
                if before in self._number:
                    bits |= 1 << self._number[before]
            self._before[name] = bits

    def precedes(self, first: str, second: str) -> bool:
        """Whether an updater must run before an operation."""
        return bool(self._before[second] >> self._number[first] & 1)

    def ordered(self) -> list[str]:
        """All updaters in the order given, but each after those that must run before it."""
        names = list(self._number)
        order: list[str] = []
        done = 0
        for name in names:
            stack = [name]
            entered = 0
            while stack:
                number = self._number[stack[-1]]
                entered |= 1 << number
                open_ones = self._before[stack[-1]] & ~done & ~entered
                if open_ones:
                    stack.append(names[(open_ones & -open_ones).bit_length() - 1])
                    continue
                stack.pop()
                if not done >> number & 1:
                    done |= 1 << number
                    order.append(names[number])
        return order


def updater_order(
    precedence: Precedence, updaters: Mapping[str, Sequence[str]], operations: Iterable[str]
) -> dict[str, list[str]]:
    """For each model its updaters in the order in which they run.

    One order over the updaters of all models, so that the orders of two models never contradict each other: a stable
    topological order of `precedence`, ties by the order of `operations`.
    """
    every = {name for names in updaters.values() for name in names}
    order = Ancestry(precedence, [name for name in operations if name in every]).ordered() if every else []
    rank = {name: index for index, name in enumerate(order)}
    return {model: sorted(names, key=rank.__getitem__) for model, names in updaters.items()}


def stages(operations: Operations, by_model: Mapping[str, Roles], after: AfterIndex) -> Precedence:
    """What comes after what for reasons other than values: `after`, and reading and writing the store."""
    precedence: Precedence = {name: list(after.expand(name)) for name in operations}
    for model, part in by_model.items():
        precedence[written(model)] = [*part.producers, *part.writers]
        precedence[updated(model)] = [written(model), *part.updaters]
        for name in part.readers:
            precedence[name].append(updated(model))
        for name in part.updaters:
            if reads(operations[name], model):
                precedence[name].append(written(model))
            elif takes_everything(operations[name], model):
                precedence[name].extend(part.writers)
        storing = [*part.writers, *(name for name in part.updaters if writes(operations[name], model))]
        for name in part.consumers:
            if storing and takes_everything(operations[name], model):
                precedence[name].extend(storing)
    return precedence


def advance(sources: list[str], updater: str, taken: Iterable[str], spec: OperationSpec, model: str) -> None:
    """What is there for the next one: what an updater returns instead of what it took. Keeps `sources` sorted.

    An updater that returns nothing of the model leaves what is there: it updates in the store alone.
    """
    if not returns(spec, model):
        return
    for name in taken:
        index = bisect_left(sources, name)
        if index < len(sources) and sources[index] == name:
            del sources[index]
    insort(sources, updater)
