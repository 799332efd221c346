"""The inference: from the shapes of all signatures to where each input's records come from, and one or many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic, Severity
from pulpo.graph.choose import Choice, Supply, choose
from pulpo.graph.drift import listed, stale
from pulpo.graph.globs import absolute, matching_any
from pulpo.graph.modes import infer_modes
from pulpo.graph.roles import AfterIndex, Roles, returns, roles, value_inputs, writes
from pulpo.graph.updates import Precedence, advance, stages, updated, updater_order, written
from pulpo.manifest.model import Mode
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pulpo.diagnostics import Path
    from pulpo.graph.roles import Operations
    from pulpo.manifest.model import InputSpec, Manifest, OperationSpec


@dataclass(frozen=True, slots=True)
class Binding:
    """Where the records of an input come from, and one or many."""

    mode: Mode
    #: Operations, sorted; empty where the records come from outside, and in the mode `previous`.
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """The answer for every input of every operation that the code still has."""

    #: By operation and parameter, in the order of the manifest.
    inputs: Mapping[tuple[str, str], Binding]
    #: PLP201, PLP202 (`after`), PLP203, PLP204, PLP205 and PLP208, sorted by path.
    diagnostics: tuple[Diagnostic, ...] = ()

    def apply(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the manifest's plain data with `mode` and `from` of every input as resolved; nothing else changes."""
        operations = dict(data.get("operations", {}))
        for (name, parameter), binding in self.inputs.items():
            entry = operations[name]
            given = {key: value for key, value in entry["inputs"][parameter].items() if key not in {"model", "mode", "from"}}
            answer: dict[str, Any] = {"model": entry["inputs"][parameter]["model"], "mode": binding.mode.value}
            if binding.mode is not Mode.PREVIOUS:
                answer["from"] = list(binding.sources)
            operations[name] = {**entry, "inputs": {**entry["inputs"], parameter: answer | given}}
        return {**data, "operations": operations} if operations else dict(data)

    def stale(self, manifest: Manifest) -> list[Diagnostic]:
        """PLP301 for every input whose recorded answer is another one, in the order of `inputs`."""
        found: list[Diagnostic] = []
        for (name, parameter), binding in self.inputs.items():
            given = manifest.operations[name].inputs[parameter]
            path = ("operations", name, "inputs", parameter)
            if given.mode is not binding.mode:
                found.append(stale((*path, "mode"), given.mode.value if given.mode else "nothing", binding.mode.value))
            recorded = None if given.sources is None else tuple(given.sources)
            resolved = None if binding.mode is Mode.PREVIOUS else binding.sources
            if recorded != resolved:
                found.append(stale((*path, "from"), listed(recorded), listed(resolved)))
        return found


def resolve(manifest: Manifest) -> Resolution:
    """Infers mode and producers of every input from shapes alone; what `from` records makes no difference.

    Orphaned operations produce nothing and keep what they have. Several updaters of one model go by the order of
    `manifest.operations` where nothing else orders them.
    """
    operations = manifest.live_operations
    after = AfterIndex(operations)
    inference = _Inference(operations, AfterIndex(operations))
    inference.run()
    modes, problems = infer_modes(operations, inference.sources)
    diagnostics = [
        *_unknown_models(operations, manifest.models),
        *after.problems(),
        *_from_outside(operations, inference.sources, manifest.models, inference.by_model),
        *inference.diagnostics,
        *problems,
    ]
    inputs = {
        (name, parameter): Binding(modes[name, parameter], tuple(inference.sources.get((name, parameter), ())))
        for name, spec in operations.items()
        for parameter in spec.inputs
    }
    return Resolution(inputs, tuple(sorted(diagnostics, key=lambda problem: problem.sort_key)))


def infer_sources(operations: Operations) -> dict[tuple[str, str], Sequence[str]]:
    """The producers of every input but those of the mode `previous`, from shapes alone; each sorted."""
    inference = _Inference(operations, AfterIndex(operations))
    inference.run()
    return inference.sources


class _Inference:
    """Follows the records of each model: from pure producers through the chain of updaters to pure consumers."""

    def __init__(self, operations: Operations, after: AfterIndex) -> None:
        self.operations = operations
        self.by_model = roles(operations)
        self.sources: dict[tuple[str, str], Sequence[str]] = {}
        self.diagnostics: list[Diagnostic] = []
        self._after = after

    def run(self) -> None:
        updaters = {model: part.updaters for model, part in self.by_model.items()}
        chains = updater_order(self._precedence(), updaters, self.operations)
        for model, part in self.by_model.items():
            self._follow(model, part, chains[model])

    def _follow(self, model: str, part: Roles, chain: Sequence[str]) -> None:
        producers = sorted([*part.producers, *(name for name in chain if returns(self.operations[name], model))])
        there = sorted(part.producers)
        taken: dict[str, Collection[str]] = {}
        for name in chain:
            supply = Supply(model, tuple(there), producers, chain, taken)
            choice = self._choose(name, supply)
            taken[name] = {source for sources in choice.sources.values() for source in sources}
            advance(there, name, taken[name], self.operations[name], model)
        supply = Supply(model, tuple(there), producers, chain, taken)
        for name in part.consumers:
            self._choose(name, supply)

    def _choose(self, name: str, supply: Supply) -> Choice:
        choice = choose(name, self.operations[name], supply)
        self.sources |= {(name, parameter): sources for parameter, sources in choice.sources.items()}
        self.diagnostics += choice.diagnostics
        return choice

    def _precedence(self) -> Precedence:
        """What comes after what whichever way the updaters are ordered."""
        precedence = stages(self.operations, self.by_model, self._after)
        for model, part in self.by_model.items():
            updaters = {name for name in part.updaters if returns(self.operations[name], model)}
            producers = sorted([*part.producers, *updaters])
            for names, stage in ((part.updaters, written(model)), (part.consumers, updated(model))):
                for name in names:
                    for _, given in value_inputs(self.operations[name], model):
                        precedence[name] += _selected(name, given, producers, updaters) if given.select else [stage]
        return precedence


def _selected(name: str, given: InputSpec, producers: Sequence[str], updaters: Collection[str]) -> list[str]:
    """What a chosen input surely comes after; for an updater other updaters only where it chooses nothing else."""
    matched = matching_any((absolute(pattern, name) for pattern in given.select or ()), producers)
    pure = [source for source in matched if source not in updaters]
    return pure if pure and name in updaters else [source for source in matched if source != name]


def _unknown_models(operations: Operations, models: Collection[str]) -> list[Diagnostic]:
    found = []
    for name, spec in operations.items():
        for model, path in _models_used(spec):
            if model not in models:
                hint = did_you_mean(model, models) or "declare it with `@datamodel`, or add it to `models`"
                found.append(Diagnostic("PLP201", f"no model has the name: {model}", path=("operations", name, *path), hint=hint))
    return found


def _models_used(spec: OperationSpec) -> Iterator[tuple[str, Path]]:
    for parameter, given in spec.inputs.items():
        yield given.model, ("inputs", parameter, "model")
    for index, output in enumerate(spec.outputs):
        yield output.model, ("outputs", index, "model")
    for field, named in (("models_in", spec.models_in), ("models_out", spec.models_out)):
        for index, model in enumerate(named or ()):
            yield model, (field, index)


def _from_outside(
    operations: Operations,
    sources: Mapping[tuple[str, str], Sequence[str]],
    models: Collection[str],
    by_model: Mapping[str, Roles],
) -> list[Diagnostic]:
    """PLP203: legal, since a value may come from outside, but more often a forgotten producer."""
    found = []
    for (name, parameter), producers in sources.items():
        given = operations[name].inputs[parameter]
        part = by_model[given.model]
        made = producers or part.producers or part.writers or any(writes(operations[one], given.model) for one in part.updaters)
        if made or given.optional or given.select or given.model not in models:
            continue
        found.append(
            Diagnostic(
                "PLP203",
                f"no operation makes what it takes, so every run needs it from outside: {given.model}",
                path=("operations", name, "inputs", parameter),
                severity=Severity.WARNING,
                hint=f"declare an operation that returns {given.model}, or take `{given.model} | None`",
            )
        )
    return found
