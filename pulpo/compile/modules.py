"""Which generated module each flow and each task stands in, in which order, and what its function is called there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pulpo.compile.flow import FlowDefinition
from pulpo.compile.identifiers import RESERVED, Names, parameter_names
from pulpo.names import PIPELINE, lies_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pulpo.compile.flow import Orchestration, Step

STANDALONES = "standalones"

#: What makes two flows one function: name, segment, and operations.
FlowKey: TypeAlias = tuple[str, int, tuple[str, ...]]


def flow_key(flow: FlowDefinition) -> FlowKey:
    """Equal for flows whose functions are the same."""
    return (flow.name, flow.segment or 0, tuple(sorted(flow.operations)))


@dataclass(frozen=True, slots=True)
class Module:
    """A generated module: its flows, each after its own subflows."""

    #: The file's name without its ending.
    stem: str
    flows: tuple[FlowDefinition, ...]
    #: Those of its flows that are no part of another.
    roots: tuple[FlowDefinition, ...]
    #: Whether the tasks of the flows' own steps stand in it; else they are imported.
    has_tasks: bool

    @property
    def flow_parameters(self) -> frozenset[str]:
        """What parameters of its flows are called, all together."""
        return frozenset(name for flow in self.flows for name in parameter_names(flow).values())


@dataclass(frozen=True, slots=True)
class Place:
    """Where a function is."""

    #: The stem of its module.
    stem: str
    function: str


class Layout:
    """All modules of a project, sorted by name, and where each function is."""

    def __init__(self, orchestration: Orchestration) -> None:
        self.modules = tuple(sorted(_modules(orchestration), key=lambda module: module.stem))
        self._flows: dict[FlowKey, Place] = {}
        self._tasks: dict[str, Place] = {}
        for module in self.modules:
            self._name(module)

    def _name(self, module: Module) -> None:
        names = Names(RESERVED | module.flow_parameters)
        # The whole flow before its parts: it has the plain name.
        for flow in sorted(module.flows, key=lambda f: (f.name, f.segment or 0, -len(f.operations), flow_key(f))):
            self._flows[flow_key(flow)] = Place(module.stem, names.add(flow.function))
        if module.has_tasks:
            for step in sorted(own_steps(module.flows), key=lambda s: s.operation):
                self._tasks[step.operation] = Place(module.stem, names.add(f"{step.operation.replace('.', '_')}_task"))

    def flow(self, flow: FlowDefinition) -> Place:
        """Where a flow's function is."""
        return self._flows[flow_key(flow)]

    def task(self, operation: str) -> Place:
        """Where an operation's task is."""
        return self._tasks[operation]


def own_steps(flows: Iterable[FlowDefinition]) -> Iterator[Step]:
    """The steps directly in any of the flows, each once."""
    seen: set[str] = set()
    for flow in flows:
        for member in flow.members:
            if not isinstance(member, FlowDefinition) and member.operation not in seen:
                seen.add(member.operation)
                yield member


def _modules(orchestration: Orchestration) -> Iterator[Module]:
    pipeline = orchestration.get(PIPELINE)
    if pipeline is None or not pipeline.operations:
        return
    yield Module(f"{PIPELINE}_flow", (pipeline,), (pipeline,), has_tasks=False)
    standalones = tuple(flow for flow in orchestration.flows if flow.standalone)
    if standalones:
        yield Module(STANDALONES, standalones, standalones, has_tasks=True)
    by_name = {flow.name: flow for flow in orchestration.flows}
    parts = [*_with_subflows(pipeline, by_name)]
    for root in orchestration.flows:
        if "." in root.name or root.standalone or root is pipeline:
            continue
        inside = (flow for flow in parts if lies_in(flow.name, root.name))
        nested = (flow for flow in orchestration.flows if lies_in(flow.name, root.name))
        found: dict[FlowKey, FlowDefinition] = {}
        for top in (root, *inside, *nested):
            for flow in _with_subflows(top, by_name):
                found.setdefault(flow_key(flow), flow)
        yield Module(f"{root.name}_flow", tuple(found.values()), (root,), has_tasks=True)


def _with_subflows(flow: FlowDefinition, whole: Mapping[str, FlowDefinition]) -> Iterator[FlowDefinition]:
    """A flow after all flows in it, each after its own; where one is a part of a flow, that flow stands before it."""
    for member in flow.members:
        if isinstance(member, FlowDefinition):
            yield from _with_subflows(member, whole)
    if flow_key(flow) != flow_key(whole[flow.name]):
        yield from _with_subflows(whole[flow.name], whole)
    yield flow
