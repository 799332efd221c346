"""The hierarchy that dotted names make: operations lie in flows, flows in flows, all of them in the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic, Related
from pulpo.errors import DiagnosticsError
from pulpo.names import PIPELINE, nearest_operation_name, operation_name_problem, parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class ParsedName:
    """An operation's name, taken apart."""

    name: str
    segments: tuple[str, ...]
    #: The flow that it lies in, or None where it stands alone.
    parent: str | None
    #: The number of its segments.
    level: int
    #: All flows that it lies in, outermost first.
    flows: tuple[str, ...]
    #: The last segment: what it is called in its flow.
    step: str


class HierarchyParser:
    """Reads dotted names; knows the operations that it was given."""

    def __init__(self, operations: Iterable[str] = ()) -> None:
        self._flows = {flow for name in operations for flow in parents(name)}

    def parse(self, name: str) -> ParsedName:
        """The name's parts.

        Raises:
            DiagnosticsError: It breaks the rules for names (PLP102).
        """
        if problem := operation_name_problem(name):
            hint = nearest_operation_name(name)
            raise DiagnosticsError([Diagnostic("PLP102", problem, path=("operations", name), hint=hint)])
        segments = tuple(name.split("."))
        return ParsedName(name, segments, self.get_parent(name), len(segments), parents(name), segments[-1])

    def get_parent(self, name: str) -> str | None:
        """The flow that an operation or flow lies in, or None at the top."""
        parent, dot, _ = name.rpartition(".")
        return parent if dot else None

    def get_level(self, name: str) -> int:
        """The number of segments: 1 for a standalone operation or a root flow."""
        return name.count(".") + 1

    def is_leaf(self, name: str) -> bool:
        """Whether none of the known operations lies below it."""
        return name not in self._flows

    def is_standalone(self, name: str) -> bool:
        """Whether it has no dot."""
        return "." not in name


@dataclass(frozen=True, slots=True)
class FlowNode:
    """A flow: a node of the hierarchy."""

    #: Dotted; `pipeline` for the root.
    name: str
    #: The flows directly in it, sorted by name.
    flows: tuple[FlowNode, ...] = ()
    #: The operations directly in it, sorted.
    operations: tuple[str, ...] = ()

    def walk(self) -> Iterator[FlowNode]:
        """The flow itself and all flows below it, each before those in it, siblings by name."""
        yield self
        for flow in self.flows:
            yield from flow.walk()

    def all_operations(self) -> tuple[str, ...]:
        """The operations in it and in all flows below it, sorted."""
        return tuple(sorted(name for flow in self.walk() for name in flow.operations))


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The tree of all flows of a project."""

    root: FlowNode
    #: Every flow by name, `pipeline` included, in the order of `root.walk()`.
    flows: Mapping[str, FlowNode]
    #: PLP102 and PLP207, by name of the operation.
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of all flows but `pipeline`."""
        return frozenset(self.flows) - {PIPELINE}


@dataclass(slots=True)
class _Draft:
    flows: set[str] = field(default_factory=set)
    operations: list[str] = field(default_factory=list)


def hierarchy(names: Iterable[str]) -> Hierarchy:
    """The tree that the operations' names make, whatever their order."""
    ordered = sorted(set(names))
    drafts = {PIPELINE: _Draft()}
    for name in ordered:
        outer = PIPELINE
        for flow in parents(name):
            drafts[outer].flows.add(flow)
            drafts.setdefault(flow, _Draft())
            outer = flow
        drafts[outer].operations.append(name)
    # A flow `pipeline` would be its own parent: the name is refused by PLP102, and left out of the tree.
    drafts[PIPELINE].flows.discard(PIPELINE)
    root = _node(PIPELINE, drafts)
    return Hierarchy(root, {node.name: node for node in root.walk()}, tuple(name_problems(ordered)))


def _node(name: str, drafts: Mapping[str, _Draft]) -> FlowNode:
    draft = drafts[name]
    return FlowNode(name, tuple(_node(flow, drafts) for flow in sorted(draft.flows)), tuple(draft.operations))


def name_problems(names: Iterable[str]) -> list[Diagnostic]:
    """What is wrong with the operations' names, alone (PLP102) and with each other (PLP207), by name."""
    problems = []
    ordered = sorted(names)
    below: dict[str, str] = {}
    for name in ordered:
        if problem := operation_name_problem(name):
            problems.append(Diagnostic("PLP102", problem, path=("operations", name), hint=nearest_operation_name(name)))
        for flow in parents(name):
            below.setdefault(flow, name)
    problems += [_clash(name, below[name]) for name in ordered if name in below]
    return sorted(problems, key=lambda problem: problem.sort_key)


def _clash(name: str, inner: str) -> Diagnostic:
    return Diagnostic(
        "PLP207",
        f"the operation has the name of a flow, which holds: {inner}",
        path=("operations", name),
        hint=f"rename the operation, for example to {name}.run",
        related=(Related(f"{inner} makes {name} a flow", path=("operations", inner)),),
    )
