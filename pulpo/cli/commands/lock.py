"""`pulpo lock`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from pulpo.cli.output import counted
from pulpo.settings import LOCK_NAME


class Side(StrEnum):
    """The two sides of a conflict."""

    CODE = "code"
    MANIFEST = "manifest"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(lock)


def lock(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if the lock would change.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Comments in the lock may be lost; the code wins conflicts.")] = False,
    prefer: Annotated[Side | None, typer.Option(help="Which side wins conflicts.", show_default=False)] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Drop edited entries that left the code.")] = False,
) -> None:
    """Write the lock from the code; edits stay.

    Hand edits of settings stay; a setting that code and lock both changed is a conflict, and nothing is written.
    """
    output = context.obj.output
    result = context.obj.cli.lock(check=check, force=force, prefer=prefer.value if prefer else None, prune=prune)
    output.diagnostics(result.diagnostics)
    for change in result.changes:
        output.talk(f"  {change}" if change.path else f"  {change.after}")
    counts = f"{counted(len(result.manifest.operations), 'operation')}, {counted(len(result.manifest.models), 'model')}"
    if check and result.stale:
        output.talk(f"{LOCK_NAME} is stale: run `pulpo lock`", "red")
        raise typer.Exit(1)
    if result.written:
        output.talk(f"{LOCK_NAME} written: {counts}", "green")
    else:
        output.talk(f"{LOCK_NAME} is up to date: {counts}", "green")
