"""One type for every problem that Pulpo reports.

A stage that finds problems knows *what* they are about (a path in the manifest) but not always *where* that is written:
the same rule runs on a manifest read from a file and on one just derived from code. So a diagnostic carries the path, and
whoever knows the file or the registry puts the place in with `located`.

Every code has a page, `pulpo/codes/PLP101.md`, whose first line is its title: that is where codes are listed, and where a new
one is added. 0xx is the file, 1xx its schema and declarations, 2xx references and data flow, 3xx drift and ownership.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Locate = Callable[["Path"], "Place | None"]

Path = tuple[str | int, ...]


class Severity(enum.StrEnum):
    """How bad it is: only errors fail a command."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file: lines and columns count from 1, columns in characters; it ends before `end_column`."""

    file: str
    line: int
    column: int = 1
    #: Where it ends, if that is known; two places that begin alike are one.
    end_line: int | None = field(default=None, compare=False)
    end_column: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def seen_from(self, directory: str) -> Place:
        """The same place, its file relative to a directory that it lies in."""
        inside = self.file.startswith(directory.rstrip("/") + "/")
        return dataclasses.replace(self, file=self.file[len(directory.rstrip("/")) + 1 :]) if inside else self


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that the problem is about, such as the second of two declarations of one name."""

    message: str
    path: Path = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A problem: its code, how bad it is, what and where it is, and what to do about it."""

    code: str
    message: str
    path: Path = ()
    place: Place | None = None
    severity: Severity = Severity.ERROR
    hint: str | None = None
    related: tuple[Related, ...] = ()

    @property
    def sort_key(self) -> tuple[object, ...]:
        """By place, those without one last, then by path, code and message."""
        place = self.place
        where = (0, place.file, place.line, place.column) if place else (1, "", 0, 0)
        return (*where, tuple(map(str, self.path)), self.code, self.message)

    def located(self, locate: Locate) -> Diagnostic:
        """The same diagnostic with the places that `locate` knows for its paths; places it already has stay."""
        related = tuple(r if r.place else dataclasses.replace(r, place=locate(r.path)) for r in self.related)
        return dataclasses.replace(self, place=self.place or locate(self.path), related=related)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        subject = f"{dotted(self.path)}: " if self.path else ""
        return f"{where}{self.severity} {self.code}: {subject}{self.message}"


def errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those that are errors, in the order given."""
    return [d for d in diagnostics if d.severity is Severity.ERROR]


def dotted(path: Path) -> str:
    """A manifest path as people write it: `operations.parsing.clean.inputs.raw`, `outputs[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def plainly(message: str) -> str:
    """What pydantic says, in the words and the case of our messages."""
    text = message.removeprefix("Value error, ").replace("Input should ", "must ", 1)
    return text[:1].lower() + text[1:]
