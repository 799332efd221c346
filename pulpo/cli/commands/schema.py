"""`pulpo schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(schema)


def schema(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(help="Where pulpo.schema.json and schemas/ are written.")] = Path(),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file differs.")] = False,
) -> None:
    """Write the JSON Schema of the lock.

    For editors and other validators: pulpo.schema.json, and its parts in schemas/.
    """
    from pulpo.cli.app import CLI

    output = context.obj.output
    stale = CLI(directory).schema(directory, check=check)
    if check and stale:
        output.data("\n".join(stale))
        output.talk("stale: run `pulpo schema`", "red")
        raise typer.Exit(1)
    output.talk("; ".join(stale) + " written" if stale else "schema files are up to date", "green")
