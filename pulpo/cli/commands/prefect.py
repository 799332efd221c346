"""`pulpo prefect`: the server, deployments on it, runs of them, and the worker that makes them."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli import completion
from pulpo.cli.commands import single
from pulpo.cli.options import INTERRUPTED, Format, FormatOption

if TYPE_CHECKING:
    from pulpo.apply.change import Change
    from pulpo.cli.app import CLI
    from pulpo.cli.deploying import DeployResult, FlowRunResult
    from pulpo.cli.output import Output
    from pulpo.run.prefect.deployed import Line

_STYLES = {"create": "green", "update": "yellow", "replace": "yellow", "delete": "red"}
_DONE = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted"}
_LEVELS = {"error": "red", "critical": "red", "warning": "yellow", "state": "bold"}


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Prefect's server, the flows on it, and a worker.", no_args_is_help=True, rich_markup_mode=None)
    single.add_to(group, "prefect", "Prefect's server")
    for command in (deploy, run, worker):
        group.command()(command)
    app.add_typer(group, name="prefect")


def deploy(
    context: typer.Context,
    flow: Annotated[
        str | None, typer.Argument(help="This flow alone; else all of them.", show_default=False, autocompletion=completion.flows)
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if anything would be.")] = False,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Make the deployments on the Prefect server be as the lock says.

    Only what differs is changed; deployments of this project that the lock no longer has are deleted, and those of others are
    left alone.
    """
    output = context.obj.output
    as_text = format is Format.TEXT
    try:
        result = single.quietly(context).prefect_deploy(
            flow, check=check, on_change=partial(_print_change, output) if as_text else lambda _: None
        )
    except KeyboardInterrupt:
        output.talk("interrupted; what was done stands: go on with the same command")
        raise typer.Exit(INTERRUPTED) from None
    if as_text:
        for change in result.plan.changes if check else ():
            _print_change(output, change)
        _print_end(output, result, check=check)
    else:
        output.json(_deployed_data(result, check=check))
    for pool in result.idle:
        _warn_idle(output, context.obj.cli, pool, result.server)
    if check and result.plan:
        raise typer.Exit(1)


def _print_change(output: Output, change: Change) -> None:
    first, *fields = str(change).splitlines()
    output.data(output.style(first, _STYLES[change.action.value], stream=sys.stdout))
    for line in fields:
        output.data(line)


def _print_end(output: Output, result: DeployResult, *, check: bool) -> None:
    for note in result.plan.notes:
        output.data(f"  {note}")
    if not result.plan:
        output.data("Prefect has it all as the lock says")
    elif check:
        output.data(result.plan.summary)
    else:
        output.data(", ".join(f"{n} {_DONE[action]}" for action, n in _counts(result.done).items() if n))


def _counts(changes: tuple[Change, ...]) -> dict[str, int]:
    return {action: sum(change.action.value == action for change in changes) for action in _DONE}


def _deployed_data(result: DeployResult, *, check: bool) -> dict[str, object]:
    return {
        "version": 1,
        "ok": not (check and result.plan),
        "check": check,
        "server": result.server,
        "summary": _counts(result.plan.changes),
        "changes": [asdict(change) for change in result.plan.changes],
        "notes": [asdict(note) for note in result.plan.notes],
        "idle_work_pools": list(result.idle),
    }


def run(
    context: typer.Context,
    flow: Annotated[str, typer.Argument(help="A deployed flow.", autocompletion=completion.flows)],
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter: limit=5, or fetch.limit=5.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end; exit 1 if it did not complete.")] = False,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Ask for a run of a deployed flow, which a worker makes."""
    from pulpo.cli.running import parameters_from_text

    output = context.obj.output
    as_text = format is Format.TEXT
    started: list[FlowRunResult] = []

    def on_start(result: FlowRunResult, idle: str | None) -> None:
        started.append(result)
        if as_text:
            _print_started(output, result)
        if idle is not None:
            _warn_idle(output, context.obj.cli, idle, result.server)

    try:
        result = context.obj.cli.prefect_run(
            flow, partial(parameters_from_text, param or ()), watch=watch, on_start=on_start, on_line=partial(_print_line, output)
        )
    except KeyboardInterrupt:
        if started:
            output.talk(f"interrupted: the run goes on; cancel it with: prefect flow-run cancel {started[0].id}")
            raise typer.Exit(INTERRUPTED) from None
        raise
    if not as_text:
        output.json({"version": 1, "ok": result.ok, **asdict(result)})
    elif watch:
        output.data(f"{result.name}: {result.state}{f': {result.message}' if result.message else ''}")
    if not result.ok:
        raise typer.Exit(1)


def worker(context: typer.Context) -> None:
    """Run a worker in the foreground until Ctrl-C.

    It takes the runs of this project's deployments; the service `worker` is this command.
    """
    output = context.obj.output
    context.obj.cli.prefect_worker(say=output.talk)


def _print_started(output: Output, result: FlowRunResult) -> None:
    output.data(f"{result.name}  {result.id}  {result.deployment}")
    if result.url:
        output.data(result.url)


def _print_line(output: Output, line: Line) -> None:
    # The state that follows has the frames of the user's code; those of Prefect are for `-v`.
    text = line.text if output.verbose else line.text.partition("\nTraceback (most recent call last):")[0]
    styles = [_LEVELS[line.level]] if line.level in _LEVELS else []
    output.talk(f"{line.time.astimezone():%H:%M:%S} {line.level:<8} {text}", *styles)


def _warn_idle(output: Output, cli: CLI, pool: str, server: str) -> None:
    output.talk(f"warning: no worker is online in the work pool {pool}, so nothing runs; one starts with:", "yellow")
    if cli.has_worker(pool):
        environment = f" --env {cli.project.environment}" if cli.project.environment else ""
        output.talk(f"  pulpo up worker{environment}")
    else:
        variable = "" if os.environ.get("PREFECT_API_URL") else f"PREFECT_API_URL={server} "
        output.talk(f"  {variable}prefect worker start --pool {shlex.quote(pool)}")
