"""Which producers a parameter takes: all, those that a `From` pattern chooses, or by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic
from pulpo.graph.globs import absolute, matching, matching_any
from pulpo.graph.pairing import pair_lists, pair_records
from pulpo.graph.roles import value_inputs
from pulpo.manifest.model import Mode
from pulpo.names import did_you_mean, parents

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pulpo.diagnostics import Path
    from pulpo.manifest.model import InputSpec, OperationSpec

#: How many producers a hint lists.
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Supply:
    """Where records of a model can come from, at one point of the chain of its updaters."""

    model: str
    #: What is there now, sorted: producers that no updater took yet, and updaters that no later one took.
    sources: Sequence[str]
    #: All that return the model, sorted.
    producers: Sequence[str]
    #: Those of them that update it, in the order in which they run.
    updaters: Sequence[str]
    #: What each updater so far took.
    taken: Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Choice:
    """The producers of each parameter of one model, and what went wrong."""

    sources: dict[str, Sequence[str]]
    diagnostics: tuple[Diagnostic, ...] = ()


def choose(operation: str, spec: OperationSpec, supply: Supply) -> Choice:
    """The producers of each of the operation's parameters of the supply's model, sorted by name."""
    chosen: dict[str, Sequence[str]] = {}
    diagnostics: list[Diagnostic] = []
    records: dict[str, bool] = {}
    lists: list[str] = []
    for parameter, given in value_inputs(spec, supply.model):
        chosen[parameter] = supply.sources
        if given.select:
            chosen[parameter], problems = _select(operation, parameter, given, supply)
            diagnostics += problems
        elif given.mode is Mode.ALL:
            lists.append(parameter)
        elif given.mode is not Mode.KEYED:
            records[parameter] = not given.optional
    pairings = []
    if len(records) > 1:
        pairings.append(pair_records(operation, supply.model, records, supply.sources))
    if len(lists) > 1:
        pairings.append(pair_lists(operation, supply.model, lists, supply.sources))
    for pairing in pairings:
        chosen |= pairing.sources
        diagnostics += pairing.diagnostics
    return Choice(chosen, tuple(diagnostics))


def _select(operation: str, parameter: str, given: InputSpec, supply: Supply) -> tuple[list[str], list[Diagnostic]]:
    patterns = [absolute(pattern, operation) for pattern in given.select or ()]
    others = [name for name in supply.producers if name != operation]
    problems = [
        _no_match(("operations", operation, "inputs", parameter, "select", index), pattern, others, supply.model)
        for index, pattern in enumerate(patterns)
        if not matching(pattern, others)
    ]
    standing = _standing(matching_any(patterns, others), supply)
    if operation in supply.updaters:  # it goes on from where the chain is
        return matching_any(patterns, supply.sources) or standing, problems
    return standing, problems


def _standing(matched: Sequence[str], supply: Supply) -> list[str]:
    """The producers that were asked for, without those whose records an updater has that was asked for, too."""
    consumed: set[str] = set()
    stack = [name for name in matched if name in supply.taken]
    while stack:
        new = set(supply.taken.get(stack.pop(), ())) - consumed
        consumed |= new
        stack += new
    return sorted(set(matched) - consumed)


def _no_match(path: Path, pattern: str, producers: Sequence[str], model: str) -> Diagnostic:
    if not producers:
        return Diagnostic("PLP208", f"no other operation returns {model}, so none matches: {pattern}", path=path)
    flows = {f"{flow}.*" for name in producers for flow in parents(name)}
    listed = ", ".join(producers[:_LISTED]) + (f" and {len(producers) - _LISTED} more" if len(producers) > _LISTED else "")
    near = did_you_mean(pattern, [*producers, *sorted(flows)])
    known = f"{model} is returned by {listed}"
    hint = f"{near} {known}" if near else known
    return Diagnostic("PLP208", f"no operation that returns {model} matches: {pattern}", path=path, hint=hint)
