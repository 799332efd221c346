"""`pulpo compile`."""

from __future__ import annotations

from typing import Annotated

import typer

from pulpo.cli.output import counted


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compile")(compile_)


def compile_(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file differs.")] = False,
) -> None:
    """Make flows and container files in run_cache.

    The Prefect flows of the lock in run_cache/orchestration, and of its services docker-compose.yml, docker-stack.yml and the
    Dockerfile. Imports neither user code nor Prefect. Files that you put there yourself are left alone.
    """
    output = context.obj.output
    changes = context.obj.cli.compile(check=check)
    for name in changes.written:
        output.talk(f"  {name}")
    for name in changes.removed:
        output.talk(f"  {name} {'no longer wanted' if check else 'removed'}")
    if check and changes:
        output.talk("run_cache is stale: run `pulpo compile`", "red")
        raise typer.Exit(1)
    counts = [counted(len(changes.written), "file") + " written"] if changes.written else []
    counts += [counted(len(changes.removed), "file") + " removed"] if changes.removed else []
    output.talk(f"run_cache: {', '.join(counts) or 'nothing changed'}", "green")
