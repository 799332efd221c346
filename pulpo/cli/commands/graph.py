"""`pulpo graph`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


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
