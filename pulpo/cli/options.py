"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """How something is printed."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option(help="How it is printed.")]
