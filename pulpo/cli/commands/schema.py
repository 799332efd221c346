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
    from pulpo.manifest.schema import stale_schemas, write_schemas

    output = context.obj.output
    stale = stale_schemas(directory)
    if check and stale:
        output.data("\n".join(stale))
        output.talk("stale: run `pulpo schema`", "red")
        raise typer.Exit(1)
    if not check:
        write_schemas(directory)
    output.talk("; ".join(stale) + " written" if stale else "schema files are up to date", "green")
