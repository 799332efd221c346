"""From the manifest and its graph to flows in which everything is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.compile.flow import (
    Argument,
    FlowDefinition,
    Orchestration,
    Output,
    Settings,
    Step,
)
from pulpo.compile.parameters import flow_parameters, parameters_of
from pulpo.graph.dataflow import analyze
from pulpo.graph.quotient import quotient
from pulpo.manifest.model import Mode
from pulpo.names import PIPELINE, flows_of, lies_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulpo.graph.dataflow import DataFlow
    from pulpo.manifest.model import InputSpec, Manifest, OperationSpec


class OrchestrationCompiler:
    """Compiles a manifest; it keeps the graph and the steps of the whole project, which are the costly parts."""

    def __init__(self, manifest: Manifest, dataflow: DataFlow | None = None) -> None:
        self.manifest = manifest.in_order()
        self.dataflow = dataflow or analyze(self.manifest)
        self._order = self.dataflow.order()
        self._whole = _Scope(self.manifest, self.dataflow, frozenset(self._order))
        self._steps: dict[str, Step] = {}

    def compile(self) -> Orchestration:
        """All flows: every node of the hierarchy, every standalone operation, and `pipeline`."""
        return Orchestration(tuple(self.flow(name) for name in sorted(self.flow_names())))

    def flow_names(self) -> set[str]:
        """The names of all flows."""
        return flows_of(self.dataflow.operations)

    def operations_of(self, flow: str) -> tuple[str, ...]:
        """The operations of a flow or the operation itself, in the order in which they can run; empty where there is none."""
        return tuple(o for o in self._order if lies_in(o, flow))

    def step(self, operation: str) -> Step:
        """An operation as a step of the whole project, which is how it stands in the text of every flow."""
        found = self._steps.get(operation)
        if found is None:
            found = self._steps[operation] = self._whole.step(operation)
        return found

    def flow(self, name: str) -> FlowDefinition:
        """The flow, or the operation as a flow of its own, of that name."""
        return self.part(name, self.operations_of(name))

    def part(self, name: str, operations: Iterable[str]) -> FlowDefinition:
        """A flow of just these operations: what other operations would have given comes from outside."""
        chosen = set(operations)
        ordered = tuple(o for o in self._order if o in chosen)
        step = self.step if len(ordered) == len(self._order) else _Scope(self.manifest, self.dataflow, frozenset(chosen)).step
        steps = {operation: step(operation) for operation in ordered}
        is_flow = name != PIPELINE and name in self.flow_names() and all(lies_in(o, name) for o in ordered)
        top = name if is_flow else PIPELINE
        return FlowDefinition(
            name=name,
            members=self._members(top, ordered, steps),
            parameters=flow_parameters(steps.values()),
            standalone=name in self.manifest.operations and "." not in name,
            operations=ordered,
            dependencies={operation: step.after for operation, step in steps.items()},
        )

    def _members(self, flow: str, operations: tuple[str, ...], steps: dict[str, Step]) -> tuple[Step | FlowDefinition, ...]:
        members: list[Step | FlowDefinition] = []
        for member in quotient(self.manifest, self.dataflow, flow, operations):
            if member.is_operation:
                members.append(steps[member.name])
                continue
            inside = frozenset(member.operations)
            ordered = tuple(o for o in operations if o in inside)
            own = [steps[o] for o in ordered]
            members.append(
                FlowDefinition(
                    name=member.name,
                    members=self._members(member.name, ordered, steps),
                    parameters=flow_parameters(own),
                    segment=member.segment,
                    operations=ordered,
                    dependencies={s.operation: tuple(d for d in s.after if d in inside) for s in own},
                )
            )
        return tuple(members)


class _Scope:
    """The operations of one run: where each input comes from when only these run."""

    def __init__(self, manifest: Manifest, dataflow: DataFlow, operations: frozenset[str]) -> None:
        self.manifest = manifest
        self.dataflow = dataflow
        self.operations = operations

    def step(self, name: str) -> Step:
        spec = self.manifest.operations[name]
        arguments = tuple(self._argument(argument, given) for argument, given in spec.inputs.items())
        after = {source for argument in arguments for source in argument.sources}
        after |= self._nearest(name)
        return Step(
            operation=name,
            entrypoint=spec.entrypoint,
            is_async=spec.is_async,
            arguments=arguments,
            parameters=parameters_of(spec),
            parameter_objects=tuple(sorted((spec.parameter_objects or {}).items())),
            outputs=tuple(Output(o.model, bool(o.many), bool(o.optional)) for o in spec.outputs),
            after=tuple(sorted(after)),
            models_in=tuple(spec.models_in or ()),
            models_out=tuple(spec.models_out or ()),
            settings=_settings(spec),
        )

    def _argument(self, name: str, given: InputSpec) -> Argument:
        producers = tuple(given.sources or ())
        sources = sorted({s for producer in producers for s in self._sources(producer, given.model, ())})
        mode = given.mode or Mode.ONE
        return Argument(name, given.model, mode, tuple(sources), producers, bool(given.many), bool(given.optional))

    def _sources(self, producer: str, model: str, seen: tuple[str, ...]) -> set[str]:
        """The steps that stand for a producer: itself, or where an updater does not run, what it would have updated."""
        if producer in self.operations:
            return {producer}
        spec = self.manifest.operations.get(producer)
        if spec is None or producer in seen:
            return set()
        updated = [i for i in spec.inputs.values() if i.model == model and i.mode is not Mode.PREVIOUS]
        return {s for i in updated for p in i.sources or () for s in self._sources(p, model, (*seen, producer))}

    def _nearest(self, name: str) -> set[str]:
        """The nearest operations of this run above one: an order holds also where it goes through what is left out."""
        found: set[str] = set()
        seen: set[str] = set()
        queue = [name]
        while queue:
            for dependency in self.dataflow.dependencies[queue.pop()]:
                if dependency in self.operations:
                    found.add(dependency)
                elif dependency not in seen:
                    seen.add(dependency)
                    queue.append(dependency)
        return found


def _settings(spec: OperationSpec) -> Settings:
    return Settings(
        retries=spec.retries,
        retry_delay=spec.retry_delay,
        timeout=spec.timeout,
        concurrency=spec.concurrency,
        on_error=spec.on_error,
        cache_ttl=spec.cache.ttl if spec.cache else None,
        cached=spec.cache is not None,
        version=spec.version,
        tags=tuple(spec.tags or ()),
    )
