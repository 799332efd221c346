"""`pulpo check`."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulpo.cli.typer_app import State
    from pulpo.diagnostics import Diagnostic


class ReportFormat(StrEnum):
    """How problems are printed."""

    TEXT = "text"
    CONCISE = "concise"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    context: typer.Context,
    no_code: Annotated[bool, typer.Option("--no-code", help="Look at the lock alone; import no user code.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    show_overrides: Annotated[
        bool, typer.Option("--show-overrides", help="Note the settings that were edited by hand, too.")
    ] = False,
    format: Annotated[ReportFormat, typer.Option(help="How problems are printed.")] = ReportFormat.TEXT,  # noqa: A002
    output_file: Annotated[Path | None, typer.Option(help="Write them to a file instead.", show_default=False)] = None,
) -> None:
    """Find what is wrong with the lock.

    Its schema, its references, its data flow, and what differs from the code.
    """
    from pulpo.cli.output import counted
    from pulpo.diagnostics import Severity

    state: State = context.obj
    found = state.cli.check(code=not no_code, show_overrides=show_overrides)
    _report(state, found, format, output_file)
    errors = sum(d.severity is Severity.ERROR for d in found)
    warnings = sum(d.severity is Severity.WARNING for d in found)
    compared = "the lock alone" if no_code else "the lock and the code"
    if errors or (strict and warnings):
        state.output.talk(f"{counted(errors, 'error')}, {counted(warnings, 'warning')} in {compared}", "red")
        raise typer.Exit(1)
    state.output.talk(f"no errors in {compared}" + (f", {counted(warnings, 'warning')}" if warnings else ""), "green")


def _report(state: State, found: Sequence[Diagnostic], format: ReportFormat, file: Path | None) -> None:  # noqa: A002
    from pulpo.errors import UsageError

    if format is ReportFormat.GITHUB:
        _add_job_summary(state, found)
    if file is None:
        _print(state, found, format, sys.stdout)
        return
    try:
        with file.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            _print(state, found, format, stream)
    except OSError as error:
        raise UsageError(f"the report can't be written: {error.strerror}: {file}") from error


def _print(state: State, found: Sequence[Diagnostic], format: ReportFormat, stream: TextIO) -> None:  # noqa: A002
    if format is ReportFormat.TEXT:
        state.output.diagnostics(found, stream)
        return
    from pulpo.cli import reports
    from pulpo.cli.output import as_json
    from pulpo.codes.report import diagnostics_as_data

    checkout = reports.Checkout.of(state.cli.project)
    match format:
        case ReportFormat.CONCISE:
            text = reports.concise(found)
        case ReportFormat.GITHUB:
            text = reports.github(found, checkout)
        case ReportFormat.JSON:
            text = as_json(diagnostics_as_data(found))
        case ReportFormat.SARIF:
            text = as_json(reports.sarif(found, checkout))
    stream.write(text)


def _add_job_summary(state: State, found: Sequence[Diagnostic]) -> None:
    """A table for the page of the GitHub job, where there is one; the report is no worse for it where it can't be written."""
    from pulpo.cli.reports import github_summary

    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    try:
        with Path(file).open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(github_summary(found))
    except OSError as error:
        state.output.talk(f"the job's summary can't be written: {error.strerror}: {file}", "yellow")
