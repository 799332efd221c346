"""`pulpo api start`, `stop`, `restart`, `logs` and `serve`."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli.options import Format, FormatOption

if TYPE_CHECKING:
    from pulpo.cli.output import Output
    from pulpo.cli.serving import ApiState

HostOption = Annotated[
    str | None,
    typer.Option("--host", help="The address to listen on; others than this machine's need a token.", show_default=False),
]
PortOption = Annotated[str | None, typer.Option("--port", help="The port, or `auto` for one that is free.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="The REST API over models, operations, flows and runs.", no_args_is_help=True, rich_markup_mode=None)
    for command in (start, stop, restart, logs, serve):
        group.command()(command)
    app.add_typer(group, name="api")


def start(
    context: typer.Context,
    host: HostOption = None,
    port: PortOption = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Start the API in the background, and wait until it is ready; its address goes to stdout."""
    output = context.obj.output
    state = context.obj.cli.api_start(host=host, port=port, on_start=lambda: output.talk("starting the API"))
    _print_state(output, state, format)


def stop(context: typer.Context) -> None:
    """Stop the API; requests have some seconds to end, and runs are recorded as cancelled."""
    stopped = context.obj.cli.api_stop()
    context.obj.output.talk("the API is stopped" if stopped else "the API is not running")


def restart(
    context: typer.Context,
    host: HostOption = None,
    port: PortOption = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Stop the API if it runs, and start it."""
    output = context.obj.output
    state = context.obj.cli.api_restart(host=host, port=port, on_start=lambda: output.talk("starting the API"))
    _print_state(output, state, format)


def logs(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what it says from now on.")] = False,
    tail: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="The last lines alone, so many.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Lines since 30s, 10m, 2h or 1d ago, or since 2026-05-01T12:00.", show_default=False),
    ] = None,
) -> None:
    """Print what the API said, as it is in run_cache/logs/api.log without the times: a JSON object a line."""
    from pulpo.cli.serving import since_text

    output = context.obj.output
    begin = None if since is None else since_text(since, dt.datetime.now(dt.UTC))
    for line in context.obj.cli.api_logs(tail=tail, since=begin, follow=follow):
        output.data(line.text + "\n")
        if follow:
            sys.stdout.flush()


def serve(context: typer.Context, host: HostOption = None, port: PortOption = None) -> None:
    """Serve the API in the foreground until Ctrl-C; the log goes to stdout."""
    output = context.obj.output
    context.obj.cli.api_serve(host=host, port=port, on_listen=lambda url: output.talk(f"the API is at {url}"))


def _print_state(output: Output, state: ApiState, format: Format) -> None:  # noqa: A002
    if format is Format.JSON:
        output.json({"version": 1, **asdict(state)})
    else:
        output.data(state.url)
    if not state.new:
        output.talk(f"the API is running since {state.started.astimezone():%Y-%m-%d %H:%M:%S} (process {state.pid})")
    if state.differs:
        output.talk("its settings are others by now; it takes them with: pulpo api restart", "yellow")
