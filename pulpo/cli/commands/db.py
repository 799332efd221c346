"""`pulpo db init`, `copy`, `export` and `import`."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pulpo.cli.commands import single
from pulpo.cli.options import INTERRUPTED, Format, FormatOption
from pulpo.cli.output import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.cli.databases import Prepared, Progress
    from pulpo.cli.output import Output
    from pulpo.store.base import Written

#: More lines that an import refuses are counted only.
_MOST_PROBLEMS = 20
_STORE = "`project` (the one of the lock), `embedded` (the file in run_cache) or a URI; ${NAME} in it is an environment variable."


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="The store of records and runs.", no_args_is_help=True, rich_markup_mode=None)
    group.command()(init)
    group.command()(copy)
    group.command()(export)
    group.command("import")(import_)
    single.add_to(group, "db", "the database")
    app.add_typer(group, name="db")


def init(context: typer.Context, format: FormatOption = Format.TEXT) -> None:  # noqa: A002 - the option's name
    """Make the collections and indexes that the store lacks. Nothing is ever dropped."""
    output: Output = context.obj.output
    prepared = context.obj.cli.db_init()
    if format is Format.JSON:
        output.json({"version": 1, "collections": [_prepared_data(one) for one in prepared]})
        return
    made = [one for one in prepared if one.made.created or one.made.indexes]
    for one in made:
        indexes = ", ".join(f"index {' + '.join(index.fields)}" for index in one.made.indexes)
        said = [*(["created"] if one.made.created else []), *([indexes] if indexes else [])]
        output.data(f"{one.collection.name}: {', '.join(said)}")
    if not made:
        output.data(f"all is there already: {counted(len(prepared), 'collection')}")


def _prepared_data(one: Prepared) -> dict[str, object]:
    indexes = [list(index.fields) for index in one.made.indexes]
    return {"collection": one.collection.name, "created": one.made.created, "indexes_created": indexes}


def copy(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help=_STORE)],
    target: Annotated[str, typer.Argument(metavar="TO", help="As FROM.")],
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Copy records and runs from one store to another.

    All records of all models, and the whole history of runs.
    What TO has already is compared, and written only where it differs: after an interruption the same command goes on.
    """
    output: Output = context.obj.output
    with _resumable(output), _progress(output) as on_progress:
        copied = context.obj.cli.db_copy(source, target, on_progress=on_progress)
    incomplete = [one for one in copied if not one.complete]
    if format is Format.JSON:
        output.json({"version": 1, "ok": not incomplete, "collections": [asdict(one) for one in copied]})
    else:
        rows = [(one.collection, str(one.source), str(one.target), _counts(one.written)) for one in copied]
        output.table(rows, ("collection", "from", "to", "copied"))
    for one in incomplete:
        output.talk(f"{one.collection}: {one.read} read, {one.source} there, {one.target} at the other end", "red")
    if incomplete:
        output.talk("records changed while they were copied: do it again", "red")
        raise typer.Exit(1)


def export(
    context: typer.Context,
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="These alone; else all.", show_default=False)
    ] = None,
    output_: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Where a file is made of each model; - is standard output.")
    ] = "-",
) -> None:
    """Write records as lines of JSON.

    With their ids, revisions, runs and times.
    """
    output: Output = context.obj.output
    with _resumable(output), _progress(output) as on_progress:
        counts = context.obj.cli.db_export(*models or (), output=output_, on_progress=on_progress)
    for model, count in counts.items():
        output.talk(f"{model}: {counted(count, 'record')}")


def import_(
    context: typer.Context,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Lines of JSON; a directory of *.jsonl; - is standard input.")
    ],
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Of lines that do not say it; else the file's name.")
    ] = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Store records from lines of JSON.

    Each is checked by its model's class. Lines that are no records are told, and left out.

    Records that are there already are changed where they differ: importing again changes nothing.
    """
    output: Output = context.obj.output
    with _resumable(output), _progress(output) as on_progress:
        imported = context.obj.cli.db_import(*files, model=model, on_progress=on_progress)
    problems = imported.problems
    if format is Format.JSON:
        models = {name: asdict(written) for name, written in sorted(imported.written.items())}
        output.json({"version": 1, "ok": not problems, "models": models, "problems": problems})
    else:
        for name, written in sorted(imported.written.items()):
            output.data(f"{name}: {_counts(written)}")
    for problem in problems[:_MOST_PROBLEMS]:
        output.talk(problem, "red")
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        output.talk(f"{counted(len(problems), 'line')} not stored{f', {more} of them not shown' if more > 0 else ''}", "red")
        raise typer.Exit(1)


def _counts(written: Written) -> str:
    said = [f"{number} {name}" for name, number in (("new", written.inserted), ("changed", written.updated)) if number]
    if written.unchanged or not said:
        said.append(f"{written.unchanged} as they were")
    return ", ".join(said)


@contextlib.contextmanager
def _resumable(output: Output) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        output.talk("interrupted; the same command goes on")
        raise typer.Exit(INTERRUPTED) from None


@contextlib.contextmanager
def _progress(output: Output) -> Iterator[Progress]:
    """Bars on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty() or output.quiet:
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, no_color=not output.color(sys.stderr))
    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=console, transient=True) as bars:

        def on_progress(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield on_progress
