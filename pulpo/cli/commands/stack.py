"""`pulpo up`, `down`, `restart`, `status`, `logs`, `build` and `clean`: the services of a project."""

from __future__ import annotations

import datetime as dt
import itertools
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pulpo.cli import completion
from pulpo.cli.options import INTERRUPTED, FollowOption, Format, FormatOption, SinceOption, TailOption
from pulpo.cli.service_progress import ServiceProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pulpo.apply.services.status import ServiceLine, ServiceStatus
    from pulpo.cli.output import Output

Services = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SERVICE]...", help="These alone; else all.", show_default=False, autocompletion=completion.services),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
NO_SERVICES: Final = "the lock has no services: `pulpo lock` writes them into it"
_STYLES: Final = {
    "running": ("green",), "starting": ("yellow",), "restarting": ("yellow",), "stopping": ("yellow",),
    "failed": ("red", "bold"), "unready": ("red",), "absent": ("dim",), "stopped": ("dim",),
}  # fmt: skip
#: What is wrong, and does not mend itself.
_WRONG: Final = ("failed", "unready")
_ENDED: Final = ("failed", "exited")
_UP: Final = ("starting", "running", "unready", "restarting", "stopping")
_UI: Final = "ui"
_COLORS: Final = ("blue", "green", "yellow", "bold", "dim")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, down, restart, status, logs, build, clean):
        app.command()(command)


def up(
    context: typer.Context,
    services: Services = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return when they are ready, or when they are started.")] = True,
) -> None:
    """Bring up services, and those that they need.

    Each starts when those are ready that it needs. What runs as the lock says is left alone, what runs otherwise is started anew.
    """
    output, cli = context.obj.output, context.obj.cli
    names = services or []
    with ServiceProgress(output) as progress:
        try:
            cli.up(*names, wait=wait, on_event=progress)
        except KeyboardInterrupt:
            interrupted = True
        else:
            interrupted = False
    if interrupted:
        output.talk(f"interrupted: {_how_it_stands(cli.status(*names))}; `pulpo up` goes on")
        raise typer.Exit(INTERRUPTED)
    if not progress.seen:
        output.talk(NO_SERVICES)
    elif not progress.changed:
        output.talk("everything is up already" if wait else "everything is started already", "green")
    elif wait and _UI in progress.changed:
        (ui,) = cli.status(_UI)
        output.talk(f"the UI is at {_addresses(ui)}", "bold")


def _how_it_stands(found: Sequence[ServiceStatus]) -> str:
    """As in `db is up, worker and api are not`."""
    up = [s.name for s in found if s.state.value == "running"]
    rest = [s.name for s in found if s.state.value not in ("running", "embedded", "elsewhere")]
    told = [f"{_names(up)} up" if up else "nothing is up", *([f"{_names(rest)} not"] if rest and up else [])]
    return ", ".join(told)


def _names(names: Sequence[str]) -> str:
    """As in `db is`, or `db, prefect and api are`."""
    *first, last = names
    return f"{', '.join(first)} and {last} are" if first else f"{last} is"


def down(
    context: typer.Context,
    services: Services = None,
    volumes: Annotated[bool, typer.Option("--volumes", help="Delete what they stored, too.")] = False,
    yes: YesOption = False,
) -> None:
    """Take down services, and those that need them.

    In reverse order. What they stored stays, unless --volumes.
    """
    output = context.obj.output
    if volumes and not yes:
        confirm(f"delete what {_names(services).rpartition(' ')[0] if services else 'the services'} stored?")
    with ServiceProgress(output) as progress:
        context.obj.cli.down(*(services or []), volumes=volumes, on_event=progress)
    if not progress.changed:
        output.talk("nothing was up")


def restart(
    context: typer.Context,
    services: Annotated[
        list[str],
        typer.Argument(metavar="SERVICE...", help="These alone.", show_default=False, autocompletion=completion.services),
    ],
) -> None:
    """Stop services, and start them again.

    Each alone: what needs them goes on. It returns when they are ready.
    """
    with ServiceProgress(context.obj.output) as progress:
        context.obj.cli.restart(*services, on_event=progress)


def confirm(question: str) -> None:
    """Ask on a terminal; go on only after a yes.

    Raises:
        UsageError: There is nobody to ask.
        Abort: No.
    """
    from pulpo.errors import UsageError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("this deletes data, and there is no terminal to ask on", hint="--yes says that it is meant")
    typer.confirm(question, abort=True, err=True)


def status(
    context: typer.Context,
    services: Services = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Show how services are; exit 1 if one failed.

    One that failed is shown with the last lines of its log. One that is starting has not failed.
    """
    output = context.obj.output
    found = context.obj.cli.status(*(services or []))
    wrong = [service for service in found if service.state.value in _WRONG]
    if format is Format.JSON:
        output.json({"version": 1, "ok": not wrong, "services": [asdict(service) for service in found]})
    else:
        _print_table(output, found)
        for service in wrong:
            _print_wrong(output, service)
    if wrong:
        raise typer.Exit(1)


def _print_table(output: Output, found: Sequence[ServiceStatus]) -> None:
    if not found:
        output.talk(NO_SERVICES)
        return
    now = dt.datetime.now(dt.UTC)
    rows = [(s.name, s.state.value, _addresses(s), _since(s, now), _remarks(s)) for s in found]
    styles = [_STYLES.get(service.state.value, ()) for service in found]
    output.table(rows, ("service", "state", "address", "since", ""), styles)
    if not any(service.state.value in _UP for service in found):
        output.talk("nothing runs: `pulpo up` brings it up")
    elif any(service.differs for service in found):
        output.talk("what runs is not all as the lock says: `pulpo up` changes it", "yellow")


def _addresses(service: ServiceStatus) -> str:
    """Where it is reached, unless nothing is there to be reached."""
    return ", ".join(service.addresses) if service.state.value in (*_UP, "embedded", "elsewhere") else ""


def _since(service: ServiceStatus, now: dt.datetime) -> str:
    from pulpo.cli.progress import seconds

    if service.since is None or service.state.value not in _UP:
        return ""
    return f"{seconds(max(0.0, (now - service.since).total_seconds()))} ago"


def _remarks(service: ServiceStatus) -> str:
    """What is to be known of a service, in few words."""
    from pulpo.cli.output import counted

    remarks = [f"{service.replicas} replicas"] if service.replicas != 1 else []
    remarks += [counted(service.restarts, "restart")] if service.restarts else []
    remarks += [f"exit code {service.exit_code}"] if service.exit_code and service.state.value in _ENDED else []
    remarks += ["differs from the lock"] if service.differs else []
    remarks += ["not in the lock"] if service.orphan else []
    return ", ".join(remarks)


def _print_wrong(output: Output, service: ServiceStatus) -> None:
    said = f": {service.error}" if service.error else ""
    output.data(output.style(f"\n{service.name} {service.state.value}{said}", "red", stream=sys.stdout))
    for line in service.lines:
        output.data(f"  {line}\n")
    if service.lines:
        output.data(f"  all of it: pulpo logs {service.name}\n")


def logs(
    context: typer.Context,
    services: Services = None,
    follow: FollowOption = False,
    since: SinceOption = None,
    tail: TailOption = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Print what services said, merged by time.

    Each line stands after its service's name, unless one service is asked for.
    """
    from pulpo.cli.serving import since_text

    begin = None if since is None else since_text(since, dt.datetime.now(dt.UTC))
    names, lines = context.obj.cli.named_logs(*(services or []), tail=tail, since=begin, follow=follow)
    print_lines(context.obj.output, lines, format, names=names if len(services or []) != 1 else None, follow=follow)


def print_lines(
    output: Output,
    lines: Iterable[ServiceLine],
    format: Format,  # noqa: A002 - the option
    *,
    names: Sequence[str] | None = None,
    follow: bool = False,
) -> None:
    """Print lines of services as they come; where the names are given that they may have, each after its own, in a colour."""
    styles: dict[str, str] = {}
    colors = itertools.cycle(_COLORS)
    width = max(map(len, names or ()), default=0)
    line = None
    for line in lines:
        if format is Format.JSON:
            output.json_line({"service": line.service, "time": line.time, "text": line.text})
        elif names is not None:
            style = styles.get(line.service) or styles.setdefault(line.service, next(colors))
            output.data(output.style(f"{line.service.ljust(width)} |", style, stream=sys.stdout) + f" {line.text}\n")
        else:
            output.data(line.text + "\n")
        if follow:
            sys.stdout.flush()
    if line is None:
        output.talk("nothing has been said")


def build(context: typer.Context) -> None:
    """Make the image that containers run from.

    And before that what `compile` makes. The image's name goes to stdout.
    """
    output = context.obj.output
    with ServiceProgress(output) as progress:
        image = context.obj.cli.build(on_event=progress)
    if image is None:
        output.talk("no image is needed: services are processes of this machine (--mode docker makes them containers)")
    else:
        output.data(image)


def clean(
    context: typer.Context,
    data: Annotated[bool, typer.Option("--data", help="The embedded store and the services' data, too.")] = False,
    yes: YesOption = False,
) -> None:
    """Remove what was generated in run_cache.

    Logs as well; data only with --data. Nothing is removed while services run.
    """
    output = context.obj.output
    if data and not yes:
        confirm("delete all records and runs of the embedded store, and what services stored in run_cache?")
    removed = context.obj.cli.clean(data=data)
    for name in removed:
        output.talk(f"  {name}")
    output.talk("run_cache is clean" if removed else "run_cache is clean already", "green")
