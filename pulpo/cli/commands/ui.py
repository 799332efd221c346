"""`pulpo ui start`, `stop`, `restart`, `logs` and `serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from pulpo.cli.commands.single import begin, print_logs, quietly, talk_stopped
from pulpo.cli.options import FollowOption, Format, FormatOption, HostOption, PortOption, SinceOption, TailOption

_TITLE: Final = "the UI"
ApiOption = Annotated[
    str | None,
    typer.Option(
        "--api", metavar="URL", help="The API to show, which somebody else runs; else the project's.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="The web pages: graph, records, runs and services.", no_args_is_help=True, rich_markup_mode=None)
    for command in (start, stop, restart, logs, serve):
        group.command()(command)
    app.add_typer(group, name="ui")


def start(
    context: typer.Context,
    host: HostOption = None,
    port: PortOption = None,
    api: ApiOption = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Start the UI, and wait until it is ready.

    And the API that it shows, with what that needs. It lives on when this command ends. Its address goes to stdout.
    """
    begin(context, "ui", _TITLE, "start", format, host=host, port=port, api=api)


def stop(context: typer.Context) -> None:
    """Stop the UI; the API goes on."""
    talk_stopped(context.obj.output, _TITLE, stopped=quietly(context).ui_stop())


def restart(
    context: typer.Context,
    host: HostOption = None,
    port: PortOption = None,
    api: ApiOption = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Stop the UI if it runs, and start it."""
    begin(context, "ui", _TITLE, "restart", format, host=host, port=port, api=api)


def logs(
    context: typer.Context,
    follow: FollowOption = False,
    tail: TailOption = None,
    since: SinceOption = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Print what the UI said: a JSON object a line.

    As it is in run_cache/logs/ui.log, without the times.
    """
    print_logs(context, "ui", follow=follow, since=since, tail=tail, format=format)


def serve(context: typer.Context, host: HostOption = None, port: PortOption = None, api: ApiOption = None) -> None:
    """Serve the UI in the foreground until Ctrl-C.

    The log goes to stdout. With --api it needs no project.
    """
    from pulpo.cli.app import CLI
    from pulpo.settings import NoProjectError

    output = context.obj.output
    try:
        cli = context.obj.cli
    except NoProjectError:
        if api is None:
            raise
        cli = CLI(Path.cwd())
    cli.ui_serve(host=host, port=port, api=api, on_listen=lambda url: output.talk(f"the UI is at {url}"))
