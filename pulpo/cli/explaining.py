"""`pulpo explain NAME`: why an operation, a model, a flow or a service is where it is. From the lock alone, without code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pulpo.errors import UsageError
from pulpo.lock.declared import base_of
from pulpo.lock.merge import SETTINGS
from pulpo.manifest.model import Manifest, Mode, OperationSpec
from pulpo.names import PIPELINE, did_you_mean, flows_of, lies_in, parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pulpo.diagnostics import Path
    from pulpo.graph.dataflow import DataFlow
    from pulpo.graph.dependencies import Dependency
    from pulpo.manifest.yaml_read import Document

#: How many names of many are told.
_TOLD: Final = 8
_MODES: Final = {
    Mode.ONE: "the one record",
    Mode.EACH: "once for each record",
    Mode.ALL: "all records, in one list",
    Mode.KEYED: "all records, by the name of who made them",
    Mode.PREVIOUS: "what the last successful run stored; it waits for nobody",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is so."""

    subject: str
    text: str
    #: Where the lock says it: `file:line:column`.
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why something of the lock is where it is."""

    #: `operation`, `model`, `flow` or `service`.
    kind: str
    name: str
    description: str | None
    place: str | None
    #: Facts by what they are about, in an order that reads well; a part without facts is left out.
    parts: Mapping[str, tuple[Fact, ...]] = field(default_factory=dict)


def explain_name(manifest: Manifest, document: Document, name: str) -> Explanation:
    """The explanation of the operation, the model, the flow or the service of that name, looked for in this order.

    Raises:
        UsageError: There is none.
        DiagnosticsError: Operations wait for each other.
    """
    explainer = _Explainer(manifest, document)
    flows = flows_of(manifest.operations) | set(manifest.flows)
    if name in manifest.operations:
        return explainer.operation(name)
    if name in manifest.models:
        return explainer.model(name)
    if name in flows:
        return explainer.flow(name)
    if name in manifest.services:
        return explainer.service(name)
    known = sorted({*manifest.operations, *manifest.models, *flows, *manifest.services})
    raise UsageError(
        f"no code, operation, model, flow or service has the name: {name}",
        hint=did_you_mean(name, known)
        or "`pulpo explain` lists the codes, `pulpo operations`, `models`, `flows` and `services` the names",
    )


@dataclass(frozen=True, slots=True)
class _Explainer:
    manifest: Manifest
    document: Document

    def operation(self, name: str) -> Explanation:
        from pulpo.graph.dataflow import analyze

        spec, flow = self.manifest.operations[name], analyze(self.manifest)
        if spec.orphaned:
            gone = Fact("never", "it left the code: `pulpo lock --prune` drops it")
            return self._explanation("operation", name, spec.description, {"runs": [gone]})
        return self._explanation(
            "operation",
            name,
            spec.description,
            {
                "runs": self._where(name, flow),
                "waits for": [_because(edge.producer, edge) for edge in flow.edges if edge.consumer == name],
                "takes": self._takes(name, spec),
                "gives": self._gives(spec, flow, name),
                "then": [_because(edge.consumer, edge) for edge in flow.edges if edge.producer == name],
                "settings": [*self._settings("operations", name)],
            },
        )

    def model(self, name: str) -> Explanation:
        operations = self.manifest.live_operations
        makers = [n for n, o in operations.items() if any(out.model == name for out in o.outputs)]
        readers = {n: [i for i in o.inputs.items() if i[1].model == name] for n, o in operations.items()}
        updaters = [n for n in makers if any(i.mode is not Mode.PREVIOUS for _, i in readers[n])]
        spec = self.manifest.models[name]
        key = f"by {', '.join(spec.key)}: records that agree in it are one" if spec.key else "none: each record is its own"
        return self._explanation(
            "model",
            name,
            spec.description,
            {
                "stored": [Fact("collection", spec.collection_for(name)), Fact("key", key)],
                "made by": [Fact(n, _many(operations[n], name)) for n in sorted(makers) if n not in updaters],
                "updated by": [Fact(n, "after all that only make it, before all that only take it") for n in sorted(updaters)],
                "taken by": [
                    Fact(n, f"as {parameter}: {_mode(given.mode)}", self._place(("operations", n, "inputs", parameter)))
                    for n in sorted(readers)
                    if n not in updaters
                    for parameter, given in readers[n]
                ],
                "settings": [*self._settings("models", name)],
            },
        )

    def flow(self, name: str) -> Explanation:
        from pulpo.graph.dataflow import analyze

        flow = analyze(self.manifest)
        own = [n for n in flow.order() if lies_in(n, name)]
        entering = [e for e in flow.edges if e.consumer in own and e.producer not in own]
        leaving = [e for e in flow.edges if e.producer in own and e.consumer not in own]
        outside = [
            Fact(f"{n}.{p}", f"{i.model}: nobody of the lock makes it")
            for n in own
            for p, i in self.manifest.operations[n].inputs.items()
            if not i.sources and i.mode is not Mode.PREVIOUS
        ]
        spec = self.manifest.flows.get(name)
        segments = [Fact(str(i + 1), ", ".join(part)) for i, part in enumerate(spec.segments or ())] if spec else []
        return self._explanation(
            "flow",
            name,
            spec.description if spec else None,
            {
                "operations, in an order in which they can run": [Fact(n, _stage(n, flow)) for n in own],
                "comes from other flows": [Fact(e.consumer, f"takes {_of(e)} of {e.producer}") for e in entering] + outside,
                "goes to other flows": [Fact(e.consumer, f"takes {_of(e)} of {e.producer}") for e in leaving],
                "runs in parts, for grouping alone would make a circle": segments,
                "settings": self._own_settings("flows", name, leave=("segments",)),
            },
        )

    def service(self, name: str) -> Explanation:
        from pulpo.manifest.addresses import kind_of
        from pulpo.manifest.needs import needs_of

        spec, needs = self.manifest.services[name], needs_of(self.manifest)
        kinds = {
            "process": "Pulpo runs it: `pulpo up`",
            "embedded": "a file of the project: nothing runs",
            "elsewhere": "somebody else runs it, at its uri",
        }
        runs = "never: it is disabled" if spec.enabled is False else kinds[kind_of(name, spec)]
        return self._explanation(
            "service",
            name,
            None,
            {
                "runs": [Fact(name, runs)],
                "needs": [
                    Fact(n, "ready before it starts" if r else "started before it") for n, r in needs.get(name, {}).items()
                ],
                "needed by": [Fact(n, "starts after it") for n in needs if name in needs[n]],
                "settings": self._own_settings("services", name) or [Fact("none", "all as it comes with Pulpo")],
            },
        )

    def _explanation(self, kind: str, name: str, description: str | None, parts: Mapping[str, Iterable[Fact]]) -> Explanation:
        told = {title: tuple(facts) for title, facts in parts.items()}
        there = name in self.document.data.get(f"{kind}s", {})
        place = self._place((f"{kind}s", name)) if there else None
        return Explanation(kind, name, description, place, {title: facts for title, facts in told.items() if facts})

    def _where(self, name: str, flow: DataFlow) -> list[Fact]:
        inside = parents(name) or (name,)
        facts = [Fact("in", f"the flow {inside[-1]}" if parents(name) else "a flow of its own, for its name has no dot")]
        facts.append(Fact("when", _stage(name, flow)))
        related = flow.upstream(name) | flow.downstream(name) | {name}
        if beside := [other for other in flow.operations if other not in related]:
            facts.append(Fact("meanwhile", f"nothing orders it and {_listed(beside)}: they may run at the same time"))
        if flow.dependencies[name]:
            facts.append(Fact("starts", "as soon as all that it waits for are done"))
        return facts

    def _takes(self, name: str, spec: OperationSpec) -> Iterator[Fact]:
        for parameter, given in spec.inputs.items():
            who = f", from {_listed(given.sources)}" if given.sources else ""
            if not given.sources and given.mode is not Mode.PREVIOUS:
                who = "; nobody of the lock makes it: it comes from outside (`--input`)"
            chosen = f"; the code chose with From({', '.join(given.select)})" if given.select else ""
            place = self._place(("operations", name, "inputs", parameter))
            yield Fact(parameter, f"{given.model}: {_mode(given.mode)}{who}{chosen}", place)
        for parameter, one in spec.parameters.items():
            data = one.data()
            default = f"{_shown(data['default'])} by default" if "default" in data else "which has to be given"
            yield Fact(parameter, f"a parameter of the run, {default}")

    def _gives(self, spec: OperationSpec, flow: DataFlow, name: str) -> Iterator[Fact]:
        for output in spec.outputs:
            taken = any(edge.producer == name and edge.model == output.model for edge in flow.edges)
            yield Fact(output.model, _many(spec, output.model) + ("" if taken else "; stored, and nobody takes it"))

    def _settings(self, section: str, name: str) -> Iterator[Fact]:
        """Each setting with who owns it, as far as the lock tells: `pulpo lock --explain` asks the code as well."""
        entry: Mapping[str, Any] = self.document.data.get(section, {}).get(name, {})
        base = base_of(self.document.data, section, name) or {}
        for key in SETTINGS[section]:
            if key in entry and (key != "description" or base.get(key) != entry[key]):
                yield Fact(key, f"{_shown(entry[key])}; {_owner(entry, base, key)}", self._place((section, name, key)))
        for environment, overlay in self.document.data.get("environments", {}).items():
            for key, value in overlay.get(section, {}).get(name, {}).items() if isinstance(overlay, dict) else ():
                path = ("environments", environment, section, name, key)
                yield Fact(key, f"{_shown(value)}; with --env {environment}", self._place(path))

    def _own_settings(self, section: str, name: str, leave: tuple[str, ...] = ()) -> list[Fact]:
        """Those of an entry that is the file's alone; secrets in them hidden."""
        from pulpo.codes.credentials import masked

        entry: Mapping[str, Any] = masked(self.document.data.get(section, {}).get(name) or {})
        return [
            Fact(key, f"{_shown(value)}; yours, `pulpo lock` leaves it", self._place((section, name, key)))
            for key, value in entry.items()
            if key not in leave
        ]

    def _place(self, path: Path) -> str:
        found = self.document.locate(path)
        return str(found)


def _stage(name: str, flow: DataFlow) -> str:
    levels = flow.levels()
    stage = next(number for number, names in enumerate(levels, 1) if name in names)
    return f"stage {stage} of {len(levels)} of the {PIPELINE}"


def _many(spec: OperationSpec, model: str) -> str:
    each = any(given.mode is Mode.EACH for given in spec.inputs.values())
    many = any(output.many for output in spec.outputs if output.model == model)
    return f"{'a list' if many else 'one'}{' for each record' if each else '' if many else ' record'}"


def _owner(entry: Mapping[str, Any], base: Mapping[str, Any], key: str) -> str:
    if entry.get("origin") == "manifest":
        return "yours, as the whole entry"
    if key not in base:
        return "yours, a hand edit: the code does not set it"
    if base[key] == entry[key]:
        return "the code's: its decorator says it"
    return f"yours, a hand edit: the decorator said {_shown(base[key])}"


def _because(other: str, edge: Dependency) -> Fact:
    if edge.kind == "value":
        return Fact(other, f"{edge.model} goes into {edge.parameter}")
    return Fact(other, f"order alone: {edge.model} goes through the store" if edge.model else "order alone: `after` says it")


def _of(edge: Dependency) -> str:
    return edge.model or "nothing, but its turn (`after`),"


def _mode(mode: Mode | None) -> str:
    return _MODES[mode] if mode else "not resolved yet: `pulpo lock`"


def _listed(names: Iterable[str]) -> str:
    told = list(names)
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return ", ".join(told[:_TOLD]) + more


def _shown(value: object) -> str:
    from pulpo.lock.changes import shown

    return shown(value)
