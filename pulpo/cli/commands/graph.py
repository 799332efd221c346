"""`pulpo graph`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulpo.manifest.model import Manifest


class Format(StrEnum):
    """What the graph is written as."""

    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(graph)


def graph(
    context: typer.Context,
    format: Annotated[Format, typer.Option(help="What it is written as.")] = Format.MERMAID,  # noqa: A002 - the option's name
    select: Annotated[
        list[str] | None, typer.Option(metavar="EXPR", help="Only these: name, +name, name+, a glob, a flow, tag:x.")
    ] = None,
) -> None:
    """Print the data flow; imports no user code."""
    context.obj.output.data(context.obj.cli.graph(format.value, select=select or ()))


def render(manifest: Manifest, format: str, selection: Sequence[str] = ()) -> str:  # noqa: A002 - the option's name
    """The data flow as text."""
    from pulpo.errors import UsageError
    from pulpo.graph.dataflow import analyze
    from pulpo.graph.render import as_json, dot, mermaid
    from pulpo.graph.select import select

    renderers = {"mermaid": mermaid, "dot": dot, "json": as_json}
    if format not in renderers:
        raise UsageError(f"no such format: {format}", hint=f"one of {', '.join(renderers)}")
    dataflow = analyze(manifest)
    chosen = None
    if selection:
        tags = {name: tuple(spec.tags or ()) for name, spec in manifest.operations.items()}
        chosen = select(dataflow, dataflow.operations, tags, select=tuple(selection))
    return renderers[format](manifest, dataflow, chosen)
