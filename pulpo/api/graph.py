"""`/graph`: the data flow as JSON, Mermaid or Graphviz' DOT."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from pulpo.api.context import Context, context_of
from pulpo.api.negotiate import chosen, tagged
from pulpo.api.parameters import known_alone
from pulpo.graph.render import GraphFormat, render

MEDIA_TYPES: Final[dict[GraphFormat, str]] = {
    "json": "application/json",
    "mermaid": "text/vnd.mermaid",
    "dot": "text/vnd.graphviz",
}
_TEXT: Final[dict[str, Any]] = {"schema": {"type": "string"}}
_JSON: Final[dict[str, Any]] = {
    "schema": {
        "title": "Graph",
        "type": "object",
        "properties": {
            "version": {"type": "integer"},
            "flows": {"type": "array", "items": {"type": "object"}},
            "nodes": {"type": "array", "items": {"type": "object"}},
            "edges": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["version", "flows", "nodes", "edges"],
    }
}
_CONTENT: Final = {media_type: _JSON if name == "json" else _TEXT for name, media_type in MEDIA_TYPES.items()}


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The routes of the graph."""
    routes = APIRouter(tags=["manifest"], dependencies=[Depends(known_alone)])
    routes.add_api_route(
        "/graph",
        graph,
        operation_id="get_graph",
        summary="The data flow",
        response_class=Response,
        responses={200: {"description": "The graph, by the format asked for.", "content": _CONTENT}},
    )
    return routes


def graph(
    request: Request,
    format: Annotated[  # noqa: A002 - the parameter's name
        GraphFormat | None, Query(description="Which form; goes before the header `Accept`.")
    ] = None,
    select: Annotated[
        list[str] | None, Query(description="Only these operations: `name`, `+name`, `name+`, a glob, a flow, `tag:x`.")
    ] = None,
) -> Response:
    """Flows nested by their names, operations as nodes, and an edge for each thing that one waits for.

    As JSON, or as Mermaid or DOT by the header `Accept` or by `format`. `select` takes what `pulpo graph --select` does.
    """
    name: GraphFormat = chosen(request, MEDIA_TYPES, format)
    text = render(context_of(request).manifest, name, select or ())
    return tagged(request, text.encode(), MEDIA_TYPES[name], {"Vary": "Accept"})
