"""`pulpo run`."""

from __future__ import annotations

import contextlib
import enum
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pulpo.cli import completion
from pulpo.cli.options import INTERRUPTED, Format, FormatOption

if TYPE_CHECKING:
    from pulpo.cli.output import Output
    from pulpo.cli.progress import Progress

Texts = list[str] | None


class EngineName(enum.StrEnum):
    """What runs a flow."""

    INLINE = "inline"
    PREFECT = "prefect"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(
    context: typer.Context,
    flow: Annotated[
        str | None,
        typer.Argument(help="A flow, an operation, or `pipeline`.", show_default=False, autocompletion=completion.runnable),
    ] = None,
    param: Annotated[
        Texts, typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter: limit=5, or fetch.limit=5.")
    ] = None,
    input: Annotated[  # noqa: A002 - the option's name
        Texts, typer.Option("--input", "-i", metavar="M=@FILE|run:ID|latest", help="Where records of a model come from.")
    ] = None,
    select: Annotated[
        Texts,
        typer.Option(
            metavar="EXPR", autocompletion=completion.runnable, help="Only these: name, +name, name+, a glob, a flow, tag:x."
        ),
    ] = None,
    from_: Annotated[
        Texts,
        typer.Option("--from", metavar="EXPR", autocompletion=completion.runnable, help="These and what is downstream of them."),
    ] = None,
    to: Annotated[
        Texts, typer.Option(metavar="EXPR", autocompletion=completion.runnable, help="These and what is upstream of them.")
    ] = None,
    only: Annotated[Texts, typer.Option(metavar="EXPR", autocompletion=completion.runnable, help="Exactly these.")] = None,
    with_upstream: Annotated[bool, typer.Option("--with-upstream", help="Run what it needs from other flows, too.")] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            autocompletion=completion.runs,
            help="Go on after the last finished operation of a run (or: latest).",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="What runs it: this process alone, or Prefect.")] = EngineName.INLINE,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Run a flow or an operation, here and now.

    In this process, with the embedded store; exits 1 if an operation failed. On the engine `prefect` it is a flow run of the
    Prefect server that is configured, else of one that Prefect starts for it.
    """
    import gc

    from pulpo.cli.commands.runs import print_run
    from pulpo.cli.progress import Progress
    from pulpo.cli.running import inputs_from_text, parameters_from_text, run_flow
    from pulpo.errors import UsageError
    from pulpo.run.start import Part

    if flow is None and resume is None:
        raise UsageError("no flow is named", hint="`pulpo run pipeline` runs everything; `pulpo flows` lists the flows")
    part = Part(tuple(select or ()), tuple(from_ or ()), tuple(to or ()), tuple(only or ()), with_upstream=with_upstream)
    if resume is not None and part:
        raise UsageError("--resume goes on with what the run had selected; it can't be selected anew")
    output, cli = context.obj.output, context.obj.cli
    gc.enable()  # a run may be long
    parameters = partial(parameters_from_text, param or ())
    inputs = inputs_from_text(input or ())
    # What user code prints is talk where the run itself is the data.
    stdout = contextlib.redirect_stdout(sys.stderr) if format is Format.JSON else contextlib.nullcontext()
    with Progress(output) as progress, stdout:
        record = run_flow(
            cli.project, flow, part, parameters, inputs, resume, progress, lambda: _interrupted(output, progress),
            engine=engine.value, talk=output.talk,
        )  # fmt: skip
    print_run(output, record, as_json=format is Format.JSON)
    if not record.ok:
        raise typer.Exit(1)


def _interrupted(output: Output, progress: Progress) -> NoReturn:
    """Say what can be done, and end: the loop would wait for threads of user code, which nothing can stop."""
    progress.close()
    output.talk("interrupted; go on with: pulpo run --resume latest")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(INTERRUPTED)
