"""`pulpo lock`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli.options import Format, FormatOption
from pulpo.cli.output import counted
from pulpo.errors import DiagnosticsError
from pulpo.settings import LOCK_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulpo.cli.output import Output
    from pulpo.diagnostics import Diagnostic
    from pulpo.lock.explain import Ownership
    from pulpo.lock.update import LockResult


class Side(StrEnum):
    """The two sides of a conflict."""

    CODE = "code"
    MANIFEST = "manifest"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(lock)


def lock(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="With --prefer: settle only the conflicts at and below these.", show_default=False
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if the lock would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change, exit 1 if anything.")] = False,
    prefer: Annotated[Side | None, typer.Option(help="Which side wins conflicts.", show_default=False)] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Drop edited entries that left the code.")] = False,
    explain: Annotated[
        str | None, typer.Option(metavar="PATH", help="Write nothing; say who owns a value, and why.", show_default=False)
    ] = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Write the lock from the code; edits stay.

    Only what changed is written. Hand edits of settings stay; a setting that code and lock both changed is a conflict, and
    nothing is written until you settle it.
    """
    output = context.obj.output
    if explain is not None:
        if check or diff or prune or prefer or paths:
            raise typer.BadParameter("it stands alone: it writes nothing and settles nothing", param_hint="--explain")
        print_ownership(context.obj.cli.explain_lock(explain), output, format)
        return
    if paths and prefer is None:
        raise typer.BadParameter("paths go with --prefer", param_hint="PATH")
    try:
        result = context.obj.cli.lock(
            check=check or diff,
            prefer=prefer.value if prefer else None,
            paths=paths or (),
            prune=prune,
            on_wait=lambda: output.talk("waiting for another `pulpo lock` in this project"),
        )
    except DiagnosticsError as error:
        if format is Format.JSON:
            output.json(_as_data(error.diagnostics))
        raise
    if format is Format.JSON:
        output.json(_as_data(result.diagnostics, result))
    elif diff:
        _print_diff(result, output)
    _talk(result, output, quiet=diff or format is Format.JSON)
    if result.stale and (check or diff):
        output.talk(f"{LOCK_NAME} is stale: run `pulpo lock`", "red")
        raise typer.Exit(1)
    counts = f"{counted(len(result.manifest.operations), 'operation')}, {counted(len(result.manifest.models), 'model')}"
    output.talk(f"{LOCK_NAME} {'written' if result.written else 'is up to date'}: {counts}", "green")


def _talk(result: LockResult, output: Output, *, quiet: bool) -> None:
    from pulpo.lock.changes import told

    output.diagnostics(result.diagnostics)
    for change in () if quiet else told(result.changes):
        output.talk(f"  {change}" if change.path else f"  {change.after}")


def _print_diff(result: LockResult, output: Output) -> None:
    import difflib
    import io

    styles = {"+": "green", "-": "red", "@": "blue"}
    # As Git sees lines: a carriage return is a character like any other.
    before, after = (io.StringIO(text, newline="\n").readlines() for text in (result.before, result.after))
    for line in difflib.unified_diff(before, after, fromfile=f"a/{LOCK_NAME}", tofile=f"b/{LOCK_NAME}"):
        text = line.removesuffix("\n")
        output.data(output.style(text, *([styles[text[0]]] if text[:1] in styles else []), stream=sys.stdout))
        if not line.endswith("\n"):
            output.data("\\ No newline at end of file")


def _as_data(diagnostics: Sequence[Diagnostic], result: LockResult | None = None) -> dict[str, object]:
    """What is printed for programs; without a result where errors are in the way."""
    from pulpo.codes.report import diagnostics_as_data
    from pulpo.lock.changes import MISSING

    changes = [
        {"path": list(c.path)} | {k: v for k, v in (("before", c.before), ("after", c.after)) if v is not MISSING}
        for c in (result.changes if result else ())
    ]
    stale, written = (result.stale, result.written) if result else (True, False)
    return {**diagnostics_as_data(diagnostics), "stale": stale, "written": written, "changes": changes}


def print_ownership(found: list[Ownership], output: Output, format: Format) -> None:  # noqa: A002 - the option's name
    """Print who owns values of the lock, and why."""
    from pulpo.codes.credentials import masked
    from pulpo.diagnostics import dotted
    from pulpo.lock.changes import MISSING, shown

    if format is Format.JSON:
        output.json(masked([_ownership_as_data(one) for one in found]))
        return
    for number, one in enumerate(found):
        value = one.said[0].value
        text = "(not set)" if value is MISSING else shown(masked(value))
        output.data(f"{'' if number == 0 else chr(10)}{output.style(dotted(one.path), 'bold', stream=sys.stdout)}: {text}")
        output.data(f"  owner: {one.owner} ({one.why})")
        for said in one.said:
            what = "nothing" if said.value is MISSING else shown(masked(said.value))
            output.data(f"  {said.who} says: {what}" + (f"  ({said.place})" if said.place else ""))


def _ownership_as_data(one: Ownership) -> dict[str, object]:
    from pulpo.lock.changes import MISSING

    said = {
        s.who: {
            "set": s.value is not MISSING,
            "value": None if s.value is MISSING else s.value,
            "place": str(s.place or "") or None,
        }
        for s in one.said
    }
    return {"path": list(one.path), "owner": one.owner, "why": one.why, "said": said}
