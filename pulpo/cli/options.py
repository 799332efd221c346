"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

#: The exit code of a command that was interrupted.
INTERRUPTED = 130


class Format(StrEnum):
    """How something is printed."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option(help="How it is printed.")]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is said from now on.")]
TailOption = Annotated[int | None, typer.Option(metavar="N", min=0, help="The last lines alone, so many.", show_default=False)]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Lines since 30s, 10m, 2h or 1d ago, or since 2026-05-01T12:00.", show_default=False),
]
HostOption = Annotated[
    str | None,
    typer.Option("--host", help="The address to listen on; others than this machine's need a token.", show_default=False),
]
PortOption = Annotated[str | None, typer.Option("--port", help="The port, or `auto` for one that is free.", show_default=False)]
