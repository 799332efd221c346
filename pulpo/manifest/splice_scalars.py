"""Writing another value in the style that a scalar has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pulpo.manifest.layout import LINE, Layout
from pulpo.manifest.yaml_text import UNREADABLE
from pulpo.manifest.yaml_write import flow, quoted

_HEADER = re.compile(r"([|>])([-+0-9]*)[ \t]*(#[^\r\n]*)?")
#: Text that block scalars can't hold as it is, or only with an indentation indicator.
_NO_BLOCK = re.compile(rf"\r|\A[ \t\n]|\A\Z|\n\n\Z|\n[ \t]+(?:\n|\Z)|{UNREADABLE.pattern}")
#: Lines that `>` does not fold.
_INDENTED_LINE = re.compile(r"^[ \t]", re.MULTILINE)
_NO_SINGLE_QUOTES = re.compile(rf"[\r\n]|{UNREADABLE.pattern}")


@dataclass(frozen=True, slots=True)
class Style:
    """How a scalar is written in the text, and where it stands."""

    #: The scalar without its anchor; not the style of one without quotes.
    text: str
    quote: str | None
    #: Within [ ] or { }.
    flow: bool
    #: How far the lines of a block scalar are indented if nothing else is known.
    indent: int
    newline: str


def restyled(style: Style, value: Any, layout: Layout = LINE, *, one_line: bool = False) -> str:
    """A value as YAML, in the style of the scalar if it can be written in it; `one_line`: not as a block scalar."""
    plain = flow(value, layout, within=style.flow)
    if style.quote in ("|", ">"):
        return _block_scalar(style, value, plain, one_line=one_line)
    if not isinstance(value, str):
        return plain
    if style.quote == '"':
        return quoted(value)
    if style.quote == "'" and not _NO_SINGLE_QUOTES.search(value):
        return "'" + value.replace("'", "''") + "'"
    return plain


def _block_scalar(style: Style, value: Any, plain: str, *, one_line: bool) -> str:
    lines = style.text.splitlines()
    header = _HEADER.match(lines[0])
    kind, indicators, comment = header.groups() if header else ("|", "", None)
    beside = f"  {comment}" if comment else ""
    if one_line or not isinstance(value, str) or _NO_BLOCK.search(value) or (kind == ">" and _INDENTED_LINE.search(value)):
        return plain + beside
    chomping = "" if value.endswith("\n") else "-"
    first = next((line for line in lines[1:] if line.strip()), "")
    known = first and not re.search("[0-9]", indicators)
    indent = " " * (len(first) - len(first.lstrip(" ")) if known else style.indent)
    body = value.removesuffix("\n")
    if kind == ">":
        body = re.sub(r"\n+", lambda breaks: breaks[0] + "\n", body)
    text = [f"{indent}{line}" if line else "" for line in body.split("\n")]
    return style.newline.join([f"{kind}{chomping}{beside}", *text])
