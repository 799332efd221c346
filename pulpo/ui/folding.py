"""Which boxes of the graph show: models and operations lie in flows, flows in flows, and each flow is open or closed.

A closed flow is one box that holds all that lies in it, at any depth. Arrows go between what shows; what is between things
held by the same box is inside it. Closed flows may well wait for each other, though no operations do: that is shown as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from pulpo.names import PIPELINE, parents

Kind = Literal["operation", "model", "flow"]

#: Boxes up to which whole levels of flows are open where nobody said what is.
READABLE: Final = 45


@dataclass(frozen=True, slots=True)
class Node:
    """A model or an operation."""

    #: What it has alone among operations, flows and models: its name, or `model:name` where one of the others is called so.
    key: str
    kind: Kind
    name: str
    #: The flow that it lies in; None at the top.
    flow: str | None


@dataclass(frozen=True, slots=True)
class Edge:
    """What goes from one node to another, both by key: records, or nothing but the order."""

    source: str
    target: str
    order: bool = False


@dataclass(frozen=True)
class Graph:
    """Models and operations, what goes between them, and the flows that they lie in."""

    #: Sorted by key.
    nodes: tuple[Node, ...] = ()
    #: Sorted.
    edges: tuple[Edge, ...] = ()

    @cached_property
    def by_key(self) -> Mapping[str, Node]:
        """The nodes by their keys."""
        return {node.key: node for node in self.nodes}

    @cached_property
    def flows(self) -> tuple[str, ...]:
        """The names of all flows that something lies in, sorted; each comes after those that it lies in itself."""
        return tuple(sorted({flow for node in self.nodes for flow in around(node)}))

    @cached_property
    def operations(self) -> Mapping[str, int]:
        """For each flow how many operations lie in it, at any depth."""
        numbers = dict.fromkeys(self.flows, 0)
        for node in self.nodes:
            for flow in around(node) if node.kind == "operation" else ():
                numbers[flow] += 1
        return numbers

    def flow_key(self, flow: str) -> str:
        """What a flow has alone: its name, or `flow:name` where an operation is called so."""
        return f"flow:{flow}" if flow in self.by_key else flow

    def key_of(self, kind: str, name: str) -> str:
        """The key of a node or flow with this name."""
        if kind == "flow":
            return self.flow_key(name)
        return name if kind == "operation" or f"{kind}:{name}" not in self.by_key else f"{kind}:{name}"


@dataclass(frozen=True, slots=True)
class Frame:
    """An open flow."""

    key: str
    name: str
    #: The open flow around it; None at the top.
    flow: str | None


@dataclass(frozen=True, slots=True)
class Box:
    """A node, or a closed flow with all that it holds."""

    key: str
    kind: Kind
    name: str
    #: The open flow around it; None at the top.
    flow: str | None
    #: The keys of the nodes in it, sorted: of a node itself.
    holds: tuple[str, ...]
    #: How many of them are operations.
    operations: int


@dataclass(frozen=True, slots=True)
class Arrow:
    """All edges from one box to another; `order` where no records go along."""

    source: str
    target: str
    order: bool


@dataclass(frozen=True, slots=True)
class View:
    """What shows of a graph."""

    #: Each after the one around it.
    frames: tuple[Frame, ...] = ()
    #: Sorted by key.
    boxes: tuple[Box, ...] = ()
    #: Sorted.
    arrows: tuple[Arrow, ...] = ()


def around(thing: Node | Box) -> tuple[str, ...]:
    """All flows that something lies in, outermost first."""
    return () if thing.flow is None else (*parents(thing.flow), thing.flow)


def fold(graph: Graph, opened: Collection[str]) -> View:
    """What shows where these flows are open; one in a closed flow does not show, and is open again when that is."""
    closed = set(graph.flows).difference(opened)
    holder = {node.key: next((flow for flow in around(node) if flow in closed), None) for node in graph.nodes}
    held = defaultdict[str, list[str]](list)
    for key, flow in holder.items():
        if flow is not None:
            held[flow].append(key)
    singles = [Box(n.key, n.kind, n.name, n.flow, (n.key,), int(n.kind == "operation")) for n in graph.nodes if not holder[n.key]]
    folded = [
        Box(graph.flow_key(flow), "flow", flow, outer(flow), tuple(sorted(keys)), graph.operations[flow])
        for flow, keys in held.items()
    ]
    frames = (flow for flow in graph.flows if closed.isdisjoint((*parents(flow), flow)))
    box_of = {key: graph.flow_key(flow) if flow else key for key, flow in holder.items()}
    return View(
        tuple(Frame(graph.flow_key(flow), flow, outer(flow)) for flow in frames),
        tuple(sorted([*singles, *folded], key=lambda box: box.key)),
        tuple(_arrows(graph.edges, box_of)),
    )


def outer(flow: str) -> str | None:
    """The flow that a flow lies in; None at the top."""
    return parents(flow)[-1] if parents(flow) else None


def _arrows(edges: Iterable[Edge], box_of: Mapping[str, str]) -> Iterator[Arrow]:
    orders = defaultdict[tuple[str, str], list[bool]](list)
    for edge in edges:
        orders[box_of[edge.source], box_of[edge.target]].append(edge.order)
    for (source, target), order in sorted(orders.items()):
        if source != target:
            yield Arrow(source, target, all(order))


def unfolded(graph: Graph, limit: int = READABLE) -> frozenset[str]:
    """The flows that are open where nobody said which: whole levels from the outside in while at most `limit` boxes show."""
    opened: frozenset[str] = frozenset()
    for depth in range(max((flow.count(".") for flow in graph.flows), default=-1) + 1):
        deeper = frozenset(flow for flow in graph.flows if flow.count(".") <= depth)
        if len(fold(graph, deeper).boxes) > limit:
            break
        opened = deeper
    return opened


def matches(graph: Graph, text: str) -> tuple[str, ...]:
    """The keys of what a search means, sorted: what is called so; else whose last part is; else what has it in its name."""
    text = text.strip().lower()
    names = {node.key: node.name for node in graph.nodes} | {graph.flow_key(flow): flow for flow in graph.flows}
    lower = {key: name.lower() for key, name in names.items()}
    if not text:
        return ()
    for means in (
        lambda key: text in (lower[key], key.lower()),
        lambda key: lower[key].rpartition(".")[2] == text,
        lambda key: text in lower[key],
    ):
        if found := sorted(filter(means, lower)):
            return tuple(found)
    return ()


# ------------------------------------------------------------------------------------------------- from what the API says


@dataclass(slots=True)
class _Uses:
    """Which operations make and take the records of a model."""

    makers: set[str] = field(default_factory=set)
    takers: set[str] = field(default_factory=set)

    def flow(self) -> str | None:
        """The innermost flow that all operations lie in that make it: those that only make, or else all that do, or that take."""
        operations = self.makers - self.takers or self.makers or self.takers
        common = [flow for flow in parents(min(operations, default="")) if all(o.startswith(f"{flow}.") for o in operations)]
        return common[-1] if common else None


def graph_of(data: Mapping[str, Any], models: Iterable[str] = ()) -> Graph:
    """The graph from the API's `/graph`: its operations, and the models between them as nodes of their own.

    Args:
        data: What the API says.
        models: More models, which no operation may have to do with.
    """
    uses: dict[str, _Uses] = {name: _Uses() for name in models}
    for node in data["nodes"]:
        for model in (*(given["model"] for given in node["inputs"]), *node["models_in"]):
            uses.setdefault(model, _Uses()).takers.add(node["name"])
        for model in (*(output["model"] for output in node["outputs"]), *node["models_out"]):
            uses.setdefault(model, _Uses()).makers.add(node["name"])
    operations = [Node(node["name"], "operation", node["name"], node["flow"]) for node in data["nodes"]]
    taken = {node.name for node in operations} | {flow["name"] for flow in data["flows"]} | {PIPELINE}
    keys = {model: f"model:{model}" if model in taken else model for model in uses}
    nodes = [*operations, *(Node(keys[model], "model", model, use.flow()) for model, use in uses.items())]
    return Graph(tuple(sorted(nodes, key=lambda node: node.key)), tuple(_edges(data["edges"], uses, keys)))


def _edges(said: Sequence[Mapping[str, Any]], uses: Mapping[str, _Uses], keys: Mapping[str, str]) -> list[Edge]:
    """Records go through their models; of what the API says, only the order without records is left to be drawn."""
    edges = {Edge(edge["producer"], edge["consumer"], order=True) for edge in said if edge["kind"] == "order"}
    for model, use in uses.items():
        edges |= {Edge(operation, keys[model]) for operation in use.makers}
        edges |= {Edge(keys[model], operation) for operation in use.takers}
    return sorted(edges, key=lambda edge: (edge.source, edge.target, edge.order))
