"""`pulpo init`."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli.options import Format, FormatOption
from pulpo.cli.project_files import Template

if TYPE_CHECKING:
    from pulpo.cli.initialising import InitResult
    from pulpo.cli.output import Output


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)


def init(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where; made if missing.", show_default=False)] = Path(),
    template: Annotated[Template, typer.Option(help="What its sample does.")] = Template.MINIMAL,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Make a project that locks, checks, runs and has tests.

    In a project that is there it adds what is missing, and touches nothing else; exits 1 if the lock could not be made.
    """
    from pulpo.cli.app import CLI

    output: Output = context.obj.output
    result = CLI.init(directory, template=template.value)
    if format is Format.JSON:
        output.json(dataclasses.asdict(result))
    else:
        _print(result, output)
    if result.problem:
        raise typer.Exit(1)


def _print(result: InitResult, output: Output) -> None:
    for name in result.added:
        output.talk(f"+ {name}", "green")
    for name in result.extended:
        output.talk(f"~ {name}  got what it lacked, at its end", "yellow")
    if result.left:
        output.talk(f"left as they are: {', '.join(result.left)}", "dim")
    for note in result.notes:
        output.talk(f"note: {note}")
    if result.problem:
        output.talk(f"no lock yet, `pulpo lock` says:\n{result.problem}", "red")
        return
    if not result.added and not result.extended:
        output.talk("nothing was missing", "green")
        return
    where = min(os.path.relpath(result.directory), str(result.directory), key=len)
    change = [] if where == "." else [f"cd {where}"]
    output.talk("next: " + " && ".join([*change, "pulpo run pipeline"]), "green")
