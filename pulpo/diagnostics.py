"""One type for every problem that Pulpo reports, and the list of their codes.

A stage that finds problems knows *what* they are about (a path in the manifest) but not always *where* that is written:
the same rule runs on a manifest read from a file and on one just derived from code. So a diagnostic carries the path, and
whoever knows the file or the registry puts the place in with `located`.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
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
    """A place in a file: line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int = 1

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


#: Every code and what it says. 0xx the file, 1xx its schema and declarations, 2xx references and data flow, 3xx drift.
CODES: dict[str, str] = {
    "PLP001": "the lock is not there or can't be read",
    "PLP002": "the lock is not valid YAML",
    "PLP003": "a key stands twice in one mapping",
    "PLP004": "the lock holds Git conflict markers",
    "PLP005": "the lock was written by a newer Pulpo",
    "PLP006": "a value can't be written to the lock",
    "PLP101": "the manifest does not follow its schema",
    "PLP102": "a name breaks the rules for names",
    "PLP110": "a declaration is not one that Pulpo can use",
    "PLP111": "two declarations have one name",
    "PLP112": "an annotation can't be resolved",
    "PLP113": "the decorator and the annotation disagree",
    "PLP114": "a setting of a declaration has a bad value",
    "PLP115": "a type is not a declared model",
    "PLP116": "the thing can't be imported by its entrypoint",
    "PLP117": "a model can't be stored",
    "PLP118": "a module can't be imported",
    "PLP201": "a model is used but not declared",
    "PLP202": "an operation is named that does not exist",
    "PLP203": "no producer for an input",
    "PLP204": "inputs can't be matched to producers by name",
    "PLP205": "two parameters of one operation run once per record",
    "PLP206": "the operations form a cycle",
    "PLP207": "an operation and a flow share a name",
    "PLP208": "a From pattern matches no producer",
    "PLP209": "several operations update one model",
    "PLP210": "a flow is re-entered and was split into segments",
    "PLP211": "two models share a collection",
    "PLP212": "a producer makes many records where one is asked for",
    "PLP213": "settings of a flow that does not exist",
    "PLP214": "a schedule says nothing, or two things",
    "PLP215": "a text looks like a credential",
    "PLP301": "the lock is stale",
    "PLP303": "code and lock both changed a setting",
    "PLP304": "an operation left the code but has hand edits",
    "PLP305": "the lock would lose comments or formatting",
}
