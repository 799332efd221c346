"""`pulpo merge`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.settings import LOCK_NAME

if TYPE_CHECKING:
    from pulpo.cli.output import Output
    from pulpo.lock.git_merge import Merge

_Version = Annotated[Path | None, typer.Argument(show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(merge)


def merge(
    context: typer.Context,
    base: _Version = None,
    ours: _Version = None,
    theirs: _Version = None,
    path: Annotated[str, typer.Option(help="What messages call the lock.")] = LOCK_NAME,
    install: Annotated[bool, typer.Option("--install", help="Have Git use this command for locks in this repository.")] = False,
) -> None:
    """Merge two branches' versions of a lock, for Git.

    The result is written into OURS; exit 1 if there are conflicts. `pulpo merge --install` sets Git up to call it.
    """
    output = context.obj.output
    if install:
        _install(context)
    elif base is None or ours is None or theirs is None:
        raise typer.BadParameter("three files are needed, BASE OURS THEIRS, or --install")
    else:
        from pulpo.cli.app import CLI

        result = CLI(Path()).merge(base, ours, theirs)
        _tell(output, result, path)
        if result.conflict:
            raise typer.Exit(1)


def _install(context: typer.Context) -> None:
    from pulpo.cli.app import CLI

    changed = (context.obj.cli_or_none or CLI(Path())).merge_install()
    for line in changed:
        context.obj.output.talk(f"  {line}")
    done = "Git merges locks with `pulpo merge` now; commit .gitattributes" if changed else "Git merges locks with `pulpo merge`"
    context.obj.output.talk(done, "green")


def _tell(output: Output, result: Merge, path: str) -> None:
    from pulpo.diagnostics import dotted

    for conflict in result.paths:
        output.talk(f"  both branches changed {dotted(conflict)}", "red")
    for comment in result.lost:
        output.talk(f"  a comment is left out: {comment}", "yellow")
    if result.conflict and b"<<<<<<< " not in result.text:
        output.talk(f"{path}: what Git makes of it can't be read: see `pulpo check --no-code`", "red")
    elif result.conflict:
        output.talk(f"{path}: settle what stands between the conflict markers, then run `pulpo lock`", "red")
    elif result.lost:
        output.talk(f"{path}: merged; run `pulpo lock`")
