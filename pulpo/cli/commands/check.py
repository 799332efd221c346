"""`pulpo check`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pulpo.cli.options import Format, FormatOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    context: typer.Context,
    no_code: Annotated[bool, typer.Option("--no-code", help="Look at the lock alone; import no user code.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Find what is wrong with the lock.

    Its schema, its references, its data flow, and what differs from the code.
    """
    from pulpo.cli.output import counted, diagnostics_as_data
    from pulpo.diagnostics import Severity

    output = context.obj.output
    found = context.obj.cli.check(code=not no_code)
    if format is Format.JSON:
        output.json(diagnostics_as_data(found))
    else:
        output.diagnostics(found, sys.stdout)
    errors = sum(d.severity is Severity.ERROR for d in found)
    warnings = sum(d.severity is Severity.WARNING for d in found)
    compared = "the lock alone" if no_code else "the lock and the code"
    if errors or (strict and warnings):
        output.talk(f"{counted(errors, 'error')}, {counted(warnings, 'warning')} in {compared}", "red")
        raise typer.Exit(1)
    output.talk(f"no errors in {compared}" + (f", {counted(warnings, 'warning')}" if warnings else ""), "green")
