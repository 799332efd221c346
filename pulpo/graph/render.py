"""The data flow as a picture: Mermaid, Graphviz' DOT, and JSON. All deterministic, ending with a newline."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pulpo.errors import UsageError
from pulpo.graph.dataflow import analyze
from pulpo.graph.hierarchy import hierarchy
from pulpo.graph.select import select

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pulpo.graph.dataflow import DataFlow
    from pulpo.graph.dependencies import Dependency
    from pulpo.graph.hierarchy import FlowNode
    from pulpo.manifest.model import Manifest, OperationSpec

GraphFormat = Literal["mermaid", "dot", "json"]

#: The version of the JSON.
JSON_VERSION = 1
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class _Arrow:
    """All edges between two operations, drawn as one."""

    producer: str
    consumer: str
    #: The models that go along, sorted; for an edge of order what it is about, if anything.
    models: tuple[str, ...]
    dashed: bool


def mermaid(flow: DataFlow, operations: Collection[str] | None = None) -> str:
    """A Mermaid flowchart: flows as nested boxes, values as arrows with their model, order without values dashed.

    Args:
        flow: The data flow.
        operations: Those that are drawn; all where None.
    """
    chosen = _chosen(flow, operations)
    lines = ["flowchart LR", *_mermaid_flow(hierarchy(chosen).root, 1)]
    for arrow in _arrows(flow, chosen):
        line = "-.->" if arrow.dashed else "-->"
        label = f"|{', '.join(arrow.models)}|" if arrow.models else ""
        lines.append(f"{_INDENT}{_mermaid_id(arrow.producer)} {line}{label} {_mermaid_id(arrow.consumer)}")
    return "\n".join(lines) + "\n"


def _mermaid_flow(node: FlowNode, depth: int) -> Iterator[str]:
    indent = _INDENT * depth
    for child in node.flows:
        yield f'{indent}subgraph flow-{child.name.replace(".", "-")}["{_last(child.name)}"]'
        yield from _mermaid_flow(child, depth + 1)
        yield f"{indent}end"
    for name in node.operations:
        yield f'{indent}{_mermaid_id(name)}["{_last(name)}"]'


def _mermaid_id(operation: str) -> str:
    """A prefix keeps names such as `end` apart from Mermaid's words, and `-`, which no name holds, different names different."""
    return f"op-{operation.replace('.', '-')}"


def dot(manifest: Manifest, flow: DataFlow, operations: Collection[str] | None = None) -> str:
    """A Graphviz digraph: as `mermaid`, with the descriptions of operations and flows as tooltips."""
    chosen = _chosen(flow, operations)
    lines = ["digraph pipeline {", f"{_INDENT}rankdir=LR;", f"{_INDENT}node [shape=box, style=rounded];"]
    lines += _dot_flow(hierarchy(chosen).root, manifest, 1)
    for arrow in _arrows(flow, chosen):
        attributes = {"label": ", ".join(arrow.models), "style": "dashed" if arrow.dashed else ""}
        lines.append(f"{_INDENT}{_quoted(arrow.producer)} -> {_quoted(arrow.consumer)}{_attributes(attributes)};")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_flow(node: FlowNode, manifest: Manifest, depth: int) -> Iterator[str]:
    indent = _INDENT * depth
    for child in node.flows:
        entry = manifest.flows.get(child.name)
        yield f"{indent}subgraph {_quoted(f'cluster_{child.name}')} {{"
        yield f"{indent}{_INDENT}label={_quoted(_last(child.name))};"
        # Boxes inherit the tooltip of the box around them, so each says its own.
        yield f"{indent}{_INDENT}tooltip={_quoted((entry and entry.description) or child.name)};"
        yield from _dot_flow(child, manifest, depth + 1)
        yield f"{indent}}}"
    for name in node.operations:
        attributes = {"label": _last(name), "tooltip": manifest.operations[name].description or ""}
        yield f"{indent}{_quoted(name)}{_attributes(attributes)};"


def _attributes(values: Mapping[str, str]) -> str:
    text = ", ".join(f"{key}={_quoted(value)}" for key, value in values.items() if value)
    return f" [{text}]" if text else ""


def _quoted(text: str) -> str:
    r"""A DOT string that shows as the text itself, in a tooltip too.

    Graphviz replaces escapes (`\N`) twice in a tooltip, hence four backslashes for one, and entities (`&lt;`) everywhere.
    """
    text = text.encode("utf-8", "replace").decode().replace("\0", "")
    text = text.replace("\\", "\\" * 4).replace('"', '\\"').replace("\n", "\\n").replace("&", "&amp;")
    return f'"{text}"'


def as_json(manifest: Manifest, flow: DataFlow, operations: Collection[str] | None = None) -> str:
    """The graph for programs: `version`, `flows`, `nodes` and `edges`, each list sorted; new keys may come in later versions."""
    chosen = _chosen(flow, operations)
    data = {
        "version": JSON_VERSION,
        "flows": [_flow_data(node, manifest) for node in hierarchy(chosen).root.walk()],
        "nodes": [_node_data(name, manifest.operations[name]) for name in chosen],
        "edges": [
            {
                "producer": edge.producer,
                "consumer": edge.consumer,
                "model": edge.model,
                "parameter": edge.parameter,
                "kind": edge.kind,
            }
            for edge in _edges(flow, chosen)
        ],
    }
    return json.dumps(data, indent=2) + "\n"


def _flow_data(node: FlowNode, manifest: Manifest) -> dict[str, Any]:
    entry = manifest.flows.get(node.name)
    return {
        "name": node.name,
        "description": entry.description if entry else None,
        "flows": [child.name for child in node.flows],
        "operations": list(node.operations),
    }


def _node_data(name: str, spec: OperationSpec) -> dict[str, Any]:
    return {
        "name": name,
        "flow": name.rpartition(".")[0] or None,
        "description": spec.description,
        "async": spec.is_async,
        "tags": sorted(spec.tags or ()),
        "inputs": [
            {"parameter": parameter, "model": given.model, "mode": given.mode.value if given.mode else None}
            for parameter, given in spec.inputs.items()
        ],
        "outputs": [{"model": output.model, "many": bool(output.many)} for output in spec.outputs],
        "models_in": sorted(spec.models_in or ()),
        "models_out": sorted(spec.models_out or ()),
    }


def _chosen(flow: DataFlow, operations: Collection[str] | None) -> list[str]:
    return sorted(flow.operations if operations is None else operations)


def _edges(flow: DataFlow, operations: Collection[str]) -> list[Dependency]:
    chosen = set(operations)
    return [edge for edge in flow.edges if edge.producer in chosen and edge.consumer in chosen]


def _arrows(flow: DataFlow, operations: Collection[str]) -> list[_Arrow]:
    by_pair: dict[tuple[str, str], list[Dependency]] = {}
    for edge in _edges(flow, operations):
        by_pair.setdefault((edge.producer, edge.consumer), []).append(edge)
    return [
        _Arrow(*pair, tuple(sorted({edge.model for edge in edges if edge.model})), all(edge.kind == "order" for edge in edges))
        for pair, edges in by_pair.items()
    ]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def render(manifest: Manifest, format: GraphFormat, expressions: Sequence[str] = ()) -> str:  # noqa: A002 - the option's name
    """The data flow in one of the formats, of all operations or of those that the expressions select.

    Raises:
        UsageError: There is no such format, or an expression means nothing here.
    """
    dataflow = analyze(manifest)
    chosen = None
    if expressions:
        tags = {name: tuple(spec.tags or ()) for name, spec in manifest.operations.items()}
        chosen = select(dataflow, dataflow.operations, tags, select=expressions)
    match format:
        case "mermaid":
            return mermaid(dataflow, chosen)
        case "dot":
            return dot(manifest, dataflow, chosen)
        case "json":
            return as_json(manifest, dataflow, chosen)
    raise UsageError(f"there is no such format: {format}", hint="one of mermaid, dot, json")
