"""`start`, `stop`, `restart` and `logs` of one service, as the groups `prefect`, `db` and `api` have them."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from pulpo.cli.options import FollowOption, Format, FormatOption, SinceOption, TailOption

if TYPE_CHECKING:
    from pulpo.cli.app import CLI
    from pulpo.cli.output import Output
    from pulpo.cli.single import StartedService


def add_to(group: typer.Typer, name: str, title: str) -> None:
    """Add the commands of a service, whose methods of `CLI` begin with its name; `title` is what people call it."""

    def start(context: typer.Context, format: FormatOption = Format.TEXT) -> None:  # noqa: A002 - the option's name
        begin(context, name, title, "start", format)

    def stop(context: typer.Context) -> None:
        cli = quietly(context)
        talk_stopped(context.obj.output, title, stopped=getattr(cli, f"{name}_stop")())

    def restart(context: typer.Context, format: FormatOption = Format.TEXT) -> None:  # noqa: A002 - the option's name
        begin(context, name, title, "restart", format)

    def logs(
        context: typer.Context,
        follow: FollowOption = False,
        since: SinceOption = None,
        tail: TailOption = None,
        format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
    ) -> None:
        print_logs(context, name, follow=follow, since=since, tail=tail, format=format)

    group.command(
        help=f"Start {title}, and wait until it is ready.\n\nIt lives on when this command ends. Its address goes to stdout."
    )(start)
    group.command(help=f"Stop {title} alone; what it stored stays.")(stop)
    group.command(help=f"Stop {title} if it runs, and start it.")(restart)
    group.command(help=f"Print what {title} said.")(logs)


def quietly(context: typer.Context) -> CLI:
    """The command line object, which says how services run only where somebody chose that."""
    cli: CLI = context.obj.cli
    say = cli.on_mode
    cli.on_mode = lambda chosen: say(chosen) if chosen.said else None
    return cli


def talk_stopped(output: Output, title: str, *, stopped: bool) -> None:
    """Say what became of a service that was to stop."""
    output.talk(f"{title} is stopped" if stopped else f"{title} is not running")


def print_started(output: Output, title: str, state: StartedService, format: Format, *, restart: str) -> None:  # noqa: A002
    """Print where a service is, and say what is to be known of it; `restart` is the command that starts it anew."""
    if format is Format.JSON:
        output.json({"version": 1, **asdict(state)})
    elif state.url is not None:
        output.data(state.url)
    if state.state == "embedded":
        output.talk(f"{title} is embedded, a file in run_cache: nothing runs")
    elif state.state == "elsewhere":
        output.talk(f"{title} is run by somebody else: nothing is started")
    elif not state.new and state.started:
        which = state.container or f"process {state.pid}"
        output.talk(f"{title} is running since {state.started.astimezone():%Y-%m-%d %H:%M:%S} ({which})")
    if state.differs:
        output.talk(f"its settings are others by now; it takes them with: {restart}", "yellow")


def print_logs(
    context: typer.Context,
    name: str,
    *,
    follow: bool,
    since: str | None,
    tail: int | None,
    format: Format,  # noqa: A002
) -> None:
    """Print what one service said."""
    from pulpo.cli.commands.stack import print_lines
    from pulpo.cli.serving import since_text

    begin = None if since is None else since_text(since, dt.datetime.now(dt.UTC))
    lines = getattr(quietly(context), f"{name}_logs")(tail=tail, since=begin, follow=follow)
    print_lines(context.obj.output, lines, format, follow=follow)


def begin(
    context: typer.Context,
    name: str,
    title: str,
    verb: str,
    format: Format,  # noqa: A002
    **options: str | None,
) -> None:
    """Start a service, or start it anew, with the options of its command, and print where it is."""
    output = context.obj.output
    method: Any = getattr(quietly(context), f"{name}_{verb}")
    state = method(**options, on_start=lambda: output.talk(f"starting {title}"))
    print_started(output, title, state, format, restart=f"pulpo {name} restart")
