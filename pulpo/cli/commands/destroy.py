"""`pulpo destroy`: what the project made is taken away."""

from __future__ import annotations

from typing import Annotated

import typer

from pulpo.cli.commands.apply import Conversation
from pulpo.cli.commands.plan import PlanFormat, PlanFormatOption
from pulpo.cli.commands.stack import YesOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(destroy)


def destroy(
    context: typer.Context,
    data: Annotated[bool, typer.Option("--data", help="All records, runs and what services stored, too.")] = False,
    yes: YesOption = False,
    format: PlanFormatOption = PlanFormat.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Take away what the project made.

    Its deployments, then its services, in reverse order. Data stay unless --data; work pools stay, and what others made.
    """
    cli = context.obj.cli
    question = "delete all this, with all data?" if data else "take all this away?"
    nothing = "Nothing of this project is there"
    Conversation(context.obj.output, yes=yes, format=format, question=question, nothing=nothing).hold(
        lambda **told: cli.destroy(data=data, **told)
    )
