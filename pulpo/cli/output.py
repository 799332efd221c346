"""All printing: data on stdout, talk on stderr, colour only on a terminal."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pulpo.diagnostics import Severity, dotted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pulpo.diagnostics import Diagnostic
    from pulpo.errors import PulpoError

_STYLES = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "bold": "1", "dim": "2"}
#: The width of excerpts, but for narrower terminals.
_WIDTH = 120
_SEVERITY_STYLE = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command prints."""

    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    #: What the files of places are relative to; asked for when an excerpt is wanted.
    base: Callable[[], Path] = Path.cwd

    def color(self, stream: TextIO) -> bool:
        """Whether the stream shows colours: a terminal, and nobody said no."""
        return stream.isatty() and not self.no_color and not os.environ.get("NO_COLOR")

    def style(self, text: str, *styles: str, stream: TextIO | None = None) -> str:
        """The text in colour where the stream (stderr where not given) shows it."""
        if not styles or not self.color(stream or sys.stderr):
            return text
        return f"\x1b[{';'.join(_STYLES[s] for s in styles)}m{text}\x1b[0m"

    def data(self, text: str) -> None:
        """What the command was asked for, on stdout."""
        print(text, end="" if text.endswith("\n") else "\n")

    def json(self, value: object) -> None:
        """What the command was asked for, as JSON on stdout."""
        self.data(as_json(value))

    def json_line(self, value: object) -> None:
        """One of many values, as JSON on a line of its own on stdout."""
        self.data(json.dumps(value, ensure_ascii=False, default=_plain) + "\n")

    def table(self, rows: Sequence[Sequence[str]], header: Sequence[str], styles: Sequence[Sequence[str]] | None = None) -> None:
        """A table on stdout, columns as wide as their longest cell; `styles` are those of each row."""
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
        for row, style in zip([header, *rows], [("bold",), *(styles or [()] * len(rows))], strict=True):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            self.data(self.style(line, *style, stream=sys.stdout))

    def talk(self, text: str, *styles: str) -> None:
        """What happens, on stderr; nothing with `-q`, and no harm where nobody can listen."""
        if not self.quiet:
            with contextlib.suppress(OSError, ValueError):
                print(self.style(text, *styles), file=sys.stderr)

    def error(self, error: PulpoError) -> None:
        """An error, on stderr, with its hint."""
        print(f"{self.style('error', 'red', 'bold')}: {error.message}", file=sys.stderr)
        self._hint(error.hint, sys.stderr)

    def diagnostics(self, diagnostics: Iterable[Diagnostic], stream: TextIO | None = None) -> None:
        """Problems, one a paragraph with an excerpt, in the order given; on stderr where no stream is given."""
        from pulpo.cli.excerpts import Excerpts
        from pulpo.codes.credentials import redacted

        stream = stream or sys.stderr
        found = redacted(diagnostics)
        excerpts = Excerpts(self.base(), _width(stream))
        excerpts.hide_secrets(found)
        for d in found:
            self._paragraph(d, excerpts.excerpt(d.place) if d.place else [], stream)

    def _paragraph(self, d: Diagnostic, excerpt: Sequence[str], stream: TextIO) -> None:
        severity = _SEVERITY_STYLE[d.severity]
        where = f"{self.style(str(d.place), 'bold', stream=stream)}: " if d.place else ""
        subject = f"{dotted(d.path)}: " if d.path else ""
        print(
            f"{where}{self.style(str(d.severity), severity, 'bold', stream=stream)} {d.code}: {subject}{d.message}", file=stream
        )
        for line, styles in zip(excerpt, (("dim",), (severity, "bold")), strict=False):
            print(self.style(line, *styles, stream=stream), file=stream)
        for related in d.related:
            note = self.style("note", "blue", stream=stream)
            print(f"  {note}: {related.message}{f' ({related.place})' if related.place else ''}", file=stream)
        self._hint(d.hint, stream)

    def _hint(self, hint: str | None, stream: TextIO) -> None:
        if hint:
            print(f"  {self.style('hint', 'blue', stream=stream)}: {hint}", file=stream)


def as_json(value: object) -> str:
    """A value as it is printed for programs, with a line end."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n"


def counted(number: int, word: str) -> str:
    """A number and its word: `1 error`, `2 errors`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def _plain(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def _width(stream: TextIO) -> int:
    """Columns of a terminal, and no more than can be read."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if stream.isatty():
            return min(os.get_terminal_size(stream.fileno()).columns or _WIDTH, _WIDTH)
    return _WIDTH
