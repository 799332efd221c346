"""`pulpo doctor`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pulpo.cli.options import Format, FormatOption

if TYPE_CHECKING:
    from pulpo.cli.app import CLI
    from pulpo.cli.finding import Finding
    from pulpo.cli.output import Output

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(context: typer.Context, format: FormatOption = Format.TEXT) -> None:  # noqa: A002 - the option's name
    """What is on this machine, what is missing, and what to do.

    It changes nothing and imports none of your code; exits 1 if something will not work that the project asks for.
    """
    from pulpo.cli.finding import Status

    output: Output = context.obj.output
    found = _cli(context).doctor()
    failed = any(finding.status is Status.FAIL for finding in found)
    if format is Format.JSON:
        output.json({"ok": not failed, "findings": [dataclasses.asdict(finding) for finding in found]})
    else:
        _print(found, output)
    if failed:
        raise typer.Exit(1)


def _cli(context: typer.Context) -> CLI:
    """The project's; outside of one, or in one that can't be read, that of the directory, which says so."""
    from pulpo.cli.app import CLI
    from pulpo.errors import UsageError

    try:
        cli: CLI = context.obj.cli
    except UsageError:
        return CLI(Path.cwd())
    return cli


def _print(found: tuple[Finding, ...], output: Output) -> None:
    width = max(len(finding.name) for finding in found)
    for finding in found:
        status = output.style(finding.status.ljust(4), _STYLES[finding.status], stream=sys.stdout)
        output.data(f"{status}  {finding.name.ljust(width)}  {finding.text}")
        if finding.todo:
            output.data(f"{' ' * (width + 8)}{output.style('→', 'blue', stream=sys.stdout)} {finding.todo}")
