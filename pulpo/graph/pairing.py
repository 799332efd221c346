"""Matching by name: a parameter takes the producers that have its name as a segment of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic, Related

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Pairing:
    """The producers of each parameter, and PLP204 where that is no complete matching."""

    sources: Mapping[str, Sequence[str]]
    diagnostics: tuple[Diagnostic, ...] = ()


def pair_records(operation: str, model: str, parameters: Mapping[str, bool], sources: Sequence[str]) -> Pairing:
    """One producer for each parameter, by name.

    A bipartite graph with exactly one perfect matching has a node with a single edge, and so has what remains without the
    two nodes of that edge: forced pairs are taken until none is left. (Kotzig 1959; see Lovász and Plummer, *Matching
    Theory*, 5.3.)

    Args:
        operation: The operation that has the parameters.
        model: The model of all of them.
        parameters: For each whether it needs a producer.
        sources: The producers.
    """
    if not sources:
        return Pairing(dict.fromkeys(parameters, ()))
    takers = {source: set(source.split(".")) & set(parameters) for source in sources}
    offers = {name: {source for source in sources if name in takers[source]} for name in parameters}
    pairs: dict[str, str] = {}
    while forced := _forced(offers, takers, parameters):
        name, source = forced
        pairs[name] = source
        for other in takers.pop(source):
            offers[other].discard(source)
        for other in offers.pop(name):
            takers[other].discard(name)
    problems = [
        *(f"{name} takes {source}" for name, source in sorted(pairs.items())),
        *(f"{name} could take {_either(offers[name])}" for name in sorted(offers) if offers[name]),
        *(f"no parameter for {source}" for source in sorted(takers) if not takers[source]),
        *(f"no producer for {name}" for name in sorted(offers) if not offers[name] and parameters[name]),
    ]
    chosen: dict[str, Sequence[str]] = {name: (pairs[name],) if name in pairs else () for name in parameters}
    if len(problems) == len(pairs):
        return Pairing(chosen)
    missing = [source for source, names in takers.items() if not names]
    return Pairing(chosen, (_mismatch(operation, model, problems, missing, sources, parameters),))


def _forced(
    offers: Mapping[str, set[str]], takers: Mapping[str, set[str]], parameters: Mapping[str, bool]
) -> tuple[str, str] | None:
    for source in sorted(takers):
        if len(takers[source]) == 1:
            return next(iter(takers[source])), source
    for name in sorted(offers):
        if len(offers[name]) == 1 and parameters[name]:
            return name, next(iter(offers[name]))
    return None


def pair_lists(operation: str, model: str, parameters: Sequence[str], sources: Sequence[str]) -> Pairing:
    """At least one producer for each parameter, and exactly one parameter for each producer, by name."""
    if not sources:
        return Pairing(dict.fromkeys(parameters, ()))
    takers = {source: sorted(set(source.split(".")) & set(parameters)) for source in sources}
    chosen = {name: tuple(source for source in sources if takers[source] == [name]) for name in parameters}
    problems = [
        *(f"{source} could go to {_either(takers[source])}" for source in sources if len(takers[source]) > 1),
        *(f"no parameter for {source}" for source in sources if not takers[source]),
        *(f"no producer for {name}" for name in sorted(parameters) if not chosen[name]),
    ]
    if not problems:
        return Pairing(chosen)
    missing = [source for source in sources if not takers[source]]
    return Pairing(chosen, (_mismatch(operation, model, problems, missing, sources, parameters),))


def _mismatch(
    operation: str,
    model: str,
    problems: Sequence[str],
    missing: Sequence[str],
    sources: Sequence[str],
    parameters: Iterable[str],
) -> Diagnostic:
    by_hand = f'choose the producers with `Annotated[{model}, From("...")]`'
    names = sorted({_telling_segment(source, sources, parameters) for source in missing})
    parameter = "a parameter" if len(names) == 1 else "parameters"
    hint = f"add {parameter} named {', '.join(names)}, or {by_hand}" if names else by_hand
    return Diagnostic(
        "PLP204",
        f"its parameters of {model} can't be matched to producers by name: {'; '.join(problems)}",
        path=("operations", operation, "inputs"),
        hint=hint,
        related=tuple(Related(f"{source} returns {model}", path=("operations", source)) for source in sources),
    )


def _telling_segment(source: str, sources: Sequence[str], parameters: Iterable[str]) -> str:
    """The first segment that tells a producer from the others and is no parameter's name yet, else its last one."""
    taken = {segment for other in sources if other != source for segment in other.split(".")} | set(parameters)
    segments = source.split(".")
    return next((segment for segment in segments if segment not in taken), segments[-1])


def _either(names: Iterable[str]) -> str:
    return " or ".join(sorted(names))
