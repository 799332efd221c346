"""The edges: which operation waits for which, and why."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pulpo.graph.roles import AfterIndex, Roles, reads, roles, takes_everything, value_inputs, writes
from pulpo.graph.updates import Precedence, advance, stages, updater_order
from pulpo.manifest.model import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pulpo.graph.roles import Operations

    #: For each operation and parameter the operations that its records come from.
    Sources = Mapping[tuple[str, str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Dependency:
    """One operation waits for another."""

    producer: str
    consumer: str
    #: The model whose records are the reason, or None for `after`.
    model: str | None
    #: The consumer's parameter that the records come into, or None in the kind `order`.
    parameter: str | None
    #: `value`: records come from the producer. `order`: it only has to be done first.
    kind: Literal["value", "order"]

    @property
    def sort_key(self) -> tuple[str, ...]:
        """By producer, consumer, kind, model and parameter."""
        return (self.producer, self.consumer, self.kind, self.model or "", self.parameter or "")


@dataclass(frozen=True, slots=True)
class Dependencies:
    """All edges, and for each model that is updated the order of its updaters."""

    #: Sorted; between two operations order stands only where no value does.
    edges: tuple[Dependency, ...]
    chains: Mapping[str, Sequence[str]]


def recorded_sources(operations: Operations) -> Sources:
    """What the lock says; names of operations that do not exist are left out."""
    return {
        (name, parameter): [source for source in given.sources or () if source in operations]
        for name, spec in operations.items()
        for parameter, given in spec.inputs.items()
        if given.mode is not Mode.PREVIOUS
    }


def dependencies(operations: Operations, sources: Sources) -> Dependencies:
    """The edges of values, of `after`, of what is read and written through the store, and of updaters in turn."""
    by_model = roles(operations)
    after = AfterIndex(operations)
    values = [
        Dependency(producer, name, operations[name].inputs[parameter].model, parameter, "value")
        for (name, parameter), producers in sources.items()
        for producer in producers
    ]
    order: dict[tuple[str, str], str | None] = {(before, name): None for name in operations for before in after.expand(name)}
    chains = _chains(operations, by_model, after, sources)
    for model, part in by_model.items():
        for pair in _through_store(model, part, chains[model], operations, sources):
            order.setdefault(pair, model)
    taken = {(edge.producer, edge.consumer) for edge in values}
    orders = [Dependency(*pair, model, None, "order") for pair, model in order.items() if pair not in taken]
    edges = sorted([*values, *orders], key=lambda edge: edge.sort_key)
    return Dependencies(tuple(edges), {model: chain for model, chain in chains.items() if chain})


def _chains(operations: Operations, by_model: Mapping[str, Roles], after: AfterIndex, sources: Sources) -> dict[str, list[str]]:
    precedence = stages(operations, by_model, after)
    for (name, _), producers in sources.items():
        precedence[name].extend(producers)
    return updater_order(precedence, {model: part.updaters for model, part in by_model.items()}, operations)


def _through_store(
    model: str, part: Roles, chain: Sequence[str], operations: Operations, sources: Sources
) -> Iterator[tuple[str, str]]:
    """Pairs of operations that follow each other because of a model, with no regard to values between them."""
    there = sorted(part.producers)
    for name in chain:
        before: list[str] = []
        if reads(operations[name], model):
            before = [*there, *part.writers]
        elif takes_everything(operations[name], model):
            before = part.writers
        yield from ((producer, name) for producer in before)
        inputs = value_inputs(operations[name], model)
        taken = {source for parameter, _ in inputs for source in sources[name, parameter]}
        advance(there, name, taken, operations[name], model)
    yield from pairwise(chain)
    done = [*there, *part.writers, *chain[-1:]]
    for name in part.readers:
        yield from ((producer, name) for producer in done)
    stored = [*part.writers, *[name for name in chain if writes(operations[name], model)][-1:]]
    if stored:
        for name in part.consumers:
            if takes_everything(operations[name], model):
                yield from ((producer, name) for producer in stored)


def stated_precedence(operations: Operations, sources: Sources, chains: Mapping[str, Sequence[str]]) -> Precedence:
    """What comes after what, but for updaters of one model that merely take all of it: their order nobody stated."""
    precedence = stages(operations, roles(operations), AfterIndex(operations))
    updaters = {model: frozenset(chain) for model, chain in chains.items()}
    for (name, parameter), producers in sources.items():
        given = operations[name].inputs[parameter]
        rivals = updaters.get(given.model, frozenset())
        merely_takes = name in rivals and not given.select
        precedence[name].extend(producer for producer in producers if not (merely_takes and producer in rivals))
    return precedence
