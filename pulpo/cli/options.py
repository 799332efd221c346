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
