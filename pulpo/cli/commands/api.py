"""`pulpo api start`, `stop`, `restart`, `logs` and `serve`."""

from __future__ import annotations

from typing import Final

import typer

from pulpo.cli.commands.single import begin, print_logs, quietly, talk_stopped
from pulpo.cli.options import FollowOption, Format, FormatOption, HostOption, PortOption, SinceOption, TailOption

_TITLE: Final = "the API"


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
    """Start the API, and wait until it is ready.

    And what it needs. It lives on when this command ends. Its address goes to stdout.
    """
    begin(context, "api", _TITLE, "start", format, host=host, port=port)


def stop(context: typer.Context) -> None:
    """Stop the API.

    Requests have some seconds to end, and runs are recorded as cancelled.
    """
    talk_stopped(context.obj.output, _TITLE, stopped=quietly(context).api_stop())


def restart(
    context: typer.Context,
    host: HostOption = None,
    port: PortOption = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Stop the API if it runs, and start it."""
    begin(context, "api", _TITLE, "restart", format, host=host, port=port)


def logs(
    context: typer.Context,
    follow: FollowOption = False,
    tail: TailOption = None,
    since: SinceOption = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Print what the API said: a JSON object a line.

    As it is in run_cache/logs/api.log, without the times.
    """
    print_logs(context, "api", follow=follow, since=since, tail=tail, format=format)


def serve(context: typer.Context, host: HostOption = None, port: PortOption = None) -> None:
    """Serve the API in the foreground until Ctrl-C.

    The log goes to stdout.
    """
    output = context.obj.output
    context.obj.cli.api_serve(host=host, port=port, on_listen=lambda url: output.talk(f"the API is at {url}"))
