"""`pulpo runs list`, `pulpo runs show` and `pulpo runs logs`."""

from __future__ import annotations

import enum
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli import completion
from pulpo.cli.options import Format, FormatOption
from pulpo.cli.output import counted

if TYPE_CHECKING:
    import datetime as dt

    from pulpo.cli.output import Output
    from pulpo.run.record import RunRecord, StepRecord

RunArgument = Annotated[str, typer.Argument(help="Its id, the beginning of one, or `latest`.", autocompletion=completion.runs)]


class LevelName(enum.StrEnum):
    """How much a line matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


LimitOption = Annotated[int, typer.Option(min=1, help="How many, newest first.")]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="List the runs, or show one, or its log.", invoke_without_command=True, rich_markup_mode=None)
    group.callback()(_default)
    group.command("list")(list_)
    group.command()(show)
    group.command()(logs)
    app.add_typer(group, name="runs")


def _default(context: typer.Context, limit: LimitOption = 20, format: FormatOption = Format.TEXT) -> None:  # noqa: A002
    if context.invoked_subcommand is None:
        list_(context, limit, format)


def list_(context: typer.Context, limit: LimitOption = 20, format: FormatOption = Format.TEXT) -> None:  # noqa: A002
    """List the latest runs, newest first."""
    output = context.obj.output
    runs = context.obj.cli.runs(limit=limit)
    if format is Format.JSON:
        output.json([_as_data(run) for run in runs])
    elif runs:
        rows = [(r.id, r.flow, r.state.value, _local(r.started), _took(r), _first_line(r.error)) for r in runs]
        output.table(rows, ("run", "flow", "state", "started", "took", "error"))
    else:
        output.talk("there are no runs yet: `pulpo run pipeline` makes one")


def show(
    context: typer.Context,
    run: RunArgument = "latest",
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Show a run and its steps."""
    print_run(context.obj.output, context.obj.cli.runs_show(run), as_json=format is Format.JSON)


def logs(
    context: typer.Context,
    run: RunArgument = "latest",
    operation: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this operation.", show_default=False)] = None,
    level: Annotated[LevelName | None, typer.Option(help="Only of this level and above.", show_default=False)] = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Show what the operations of a run logged."""
    output = context.obj.output
    lines = context.obj.cli.runs_logs(run, operation=operation, level=level.value if level else None)
    if format is Format.JSON:
        output.json([asdict(line) for line in lines])
        return
    for line in lines:
        output.data(f"{_local(line.time)} {line.level:<8} {line.operation}  {line.message}")
    if not lines:
        output.talk("nothing was logged")


def print_run(output: Output, run: RunRecord, *, as_json: bool) -> None:
    """A run and its steps, on stdout."""
    if as_json:
        output.json(_as_data(run))
        return
    rows = [(s.operation, s.state.value, _took(s), _records(s), _remark(s)) for s in run.steps]
    output.table(rows, ("operation", "state", "took", "records", ""))
    done = sum(s.state.value in ("completed", "reused") for s in run.steps)
    took = f" in {_took(run)}" if run.finished else ""
    output.data(f"\nrun {run.id} of {run.flow}: {run.state}{took}, {done} of {counted(len(run.steps), 'operation')}")
    if run.flow_run:
        output.data(f"flow run {run.flow_run} of Prefect")
    if run.error:
        output.data(f"\n{run.error}")
    if run.state.value in ("failed", "cancelled", "crashed"):
        output.data(f"\ngo on with: pulpo run {run.flow} --resume {run.id}")


def _as_data(run: RunRecord) -> dict[str, object]:
    return {"version": 1, **asdict(run)}


def _local(time: dt.datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def _took(timed: RunRecord | StepRecord) -> str:
    from pulpo.cli.progress import seconds

    return seconds((timed.finished - timed.started).total_seconds()) if timed.finished and timed.started else "-"


def _records(step: StepRecord) -> str:
    parts = []
    for model, counts in step.counts.items():
        if counts.made:
            news = [f"{n} {word}" for n, word in ((counts.inserted, "new"), (counts.updated, "changed")) if n]
            parts.append(f"{counts.made} {model}" + (f" ({', '.join(news)})" if news else ""))
    return ", ".join(parts) or "-"


def _remark(step: StepRecord) -> str:
    remarks = [f"{step.attempts} tries"] if step.attempts > 1 else []
    remarks += [f"{step.failures} records dropped"] if step.failures else []
    remarks += [f"from run {step.reused_from}"] if step.reused_from else []
    return ", ".join([*remarks, *([_first_line(step.error)] if step.error else [])])


def _first_line(text: str | None) -> str:
    return text.splitlines()[0] if text else ""
