"""`pulpo plan`: what `apply` would change; and how plans are printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pulpo.apply.change import NOTHING

if TYPE_CHECKING:
    from pulpo.apply.change import Change
    from pulpo.apply.whole import WholePlan
    from pulpo.cli.output import Output

#: The exit code of `--detailed-exitcode` where changes are pending.
PENDING: Final = 3
VERSION: Final = 1
_STYLES: Final = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red"}


class PlanFormat(StrEnum):
    """How a plan is printed."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


PlanFormatOption = Annotated[PlanFormat, typer.Option("--format", help="How it is printed; jsonl is an event a line.")]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDRESS", help="These alone, and what they need: deployment:scraping*", show_default=False),
]
DestroyDataOption = Annotated[
    bool, typer.Option("--destroy-data", help="Collections that left the manifest go with their records.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)


def plan(
    context: typer.Context,
    only: OnlyOption = None,
    destroy_data: DestroyDataOption = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Keep the plan, for `pulpo apply FILE`.", show_default=False),
    ] = None,
    detailed_exitcode: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 3 when changes are pending.")] = False,
    format: PlanFormatOption = PlanFormat.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Show what `apply` would change.

    Services, the database and Prefect are looked at and compared with the lock. Nothing is changed.
    """
    output = context.obj.output
    found = context.obj.cli.plan(only=only or (), destroy_data=destroy_data, output=out)
    if format is PlanFormat.JSON:
        output.json(plan_data(found))
    elif format is PlanFormat.JSONL:
        for event in plan_events(found):
            output.json_line(event)
    else:
        print_plan(output, found)
    if detailed_exitcode and found:
        raise typer.Exit(PENDING)


def print_plan(output: Output, found: WholePlan, *, nothing: str = NOTHING) -> None:
    """Print a plan as a tree, on stdout; `nothing` is the last line of one without changes."""
    *lines, (_, summary) = found.lines()
    for action, line in (*lines, (None, summary if found else nothing)):
        is_heading = action is None and not line.startswith(" ")
        style = _STYLES[action.value] if action else "bold" if is_heading else None
        output.data(output.style(line, *([style] if style else []), stream=sys.stdout))


def plan_data(found: WholePlan) -> dict[str, Any]:
    """A plan as one JSON object."""
    return {
        "version": VERSION,
        "pending": bool(found),
        "changes": [change_data(found, change) for change in found.changes],
        "notes": [asdict(note) for note in found.notes],
        "waiting": {part.target: part.waits_for for part in found.parts if part.waits_for},
        "addresses": sorted({address for part in found.parts for address in part.fingerprints}),
        "summary": found.counts,
    }


def change_data(found: WholePlan, change: Change) -> dict[str, Any]:
    """A change as JSON data, with its target and what it needs."""
    target = next((part.target for part in found.parts if change in part.plan.changes), None)
    return {"target": target, **asdict(change), "needs": list(found.needs.get(change.address, ()))}


def plan_events(found: WholePlan) -> Iterator[dict[str, Any]]:
    """A plan as events, the version first."""
    yield {"type": "version", "version": VERSION}
    for change in found.changes:
        yield {"type": "change", **change_data(found, change)}
    for note in found.notes:
        yield {"type": "note", **asdict(note)}
    yield {"type": "summary", "pending": bool(found), **found.counts}
