"""Reports of problems for other programs: one line each, GitHub's annotations, SARIF 2.1.0 (JSON: see `pulpo.cli.output`).

All are made of diagnostics in the order given, and hold neither times nor absolute paths of what lies in the repository.
"""

from __future__ import annotations

import dataclasses
import hashlib
import html
import itertools
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pulpo.codes.credentials import redacted
from pulpo.codes.pages import page, url
from pulpo.diagnostics import Severity, dotted
from pulpo.names import REPOSITORY_URL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pulpo.diagnostics import Diagnostic, Place
    from pulpo.settings import Project

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0-rtm.5.json"
#: GitHub shows nothing of a summary of more than 1 MiB.
_SUMMARY_BYTES = 1_000_000
#: Also the words of SARIF's levels.
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def concise(diagnostics: Iterable[Diagnostic]) -> str:
    """One line each, whatever line ends a message has; empty if there are none."""
    return "".join(f"{' '.join(str(d).split())}\n" for d in redacted(diagnostics))


# ------------------------------------------------------------------------------------------------ files of a repository


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where a project lies in its repository."""

    root: Path
    #: What the files of places are relative to.
    base: Path
    #: The lock, for problems without a place.
    lock: str

    @classmethod
    def of(cls, project: Project) -> Checkout:
        """The one that a project lies in: that of the CI job, else the nearest with a `.git`, else the project alone."""
        root = next((p for p in (project.root, *project.root.parents) if (p / ".git").exists()), project.root)
        if workspace := os.environ.get("GITHUB_WORKSPACE"):
            given = Path(workspace).resolve()
            root = given if project.root.is_relative_to(given) else root
        return cls(root, project.shown_from, project.lock_shown)

    def path(self, file: str) -> Path:
        """A file as the repository calls it; one outside of it as an absolute path."""
        full = Path(os.path.normpath(self.base / file))
        return full.relative_to(self.root) if full.is_relative_to(self.root) else full

    def place(self, place: Place | None) -> Place | None:
        """A place in a file as the repository calls it."""
        return place and dataclasses.replace(place, file=self.path(place.file).as_posix())


# ------------------------------------------------------------------------------------------------------------- GitHub


def github(diagnostics: Iterable[Diagnostic], checkout: Checkout) -> str:
    """Workflow commands, one a line, that GitHub shows as annotations of the files."""
    return "".join(f"{_command(d, checkout)}\n" for d in redacted(diagnostics))


def _command(d: Diagnostic, checkout: Checkout) -> str:
    properties: dict[str, object] = {"title": f"pulpo ({d.code})"}
    if d.place is not None:
        properties |= {"file": checkout.path(d.place.file).as_posix(), **_lines(d.place)}
    given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    related = tuple(dataclasses.replace(r, place=checkout.place(r.place)) for r in d.related)
    return f"::{_COMMANDS[d.severity]} {given}::{_data(_whole_message(dataclasses.replace(d, related=related)))}"


def _lines(place: Place) -> dict[str, int]:
    """Columns go with a place within one line only."""
    if place.end_line is None or place.end_column is None:
        return {"line": place.line, "col": place.column}
    if place.end_line != place.line:
        return {"line": place.line, "endLine": place.end_line}
    return {"line": place.line, "col": place.column, "endLine": place.line, "endColumn": place.end_column}


def _data(text: str) -> str:
    """Escaped as @actions/core does it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _whole_message(d: Diagnostic) -> str:
    subject = f"{dotted(d.path)}: " if d.path else ""
    notes = [f"note: {r.message}{f' ({r.place})' if r.place else ''}" for r in d.related]
    return "\n".join([f"{subject}{d.message}", *notes, *([f"hint: {d.hint}"] if d.hint else [])])


def github_summary(diagnostics: Iterable[Diagnostic]) -> str:
    """A table in Markdown for the page of a job."""
    found = redacted(diagnostics)
    if not found:
        return "### `pulpo check`: no problems\n\n"
    rows = [f"| {' | '.join(map(_cell, _row(d)))} |\n" for d in found]
    sizes = itertools.accumulate(len(row.encode(errors="backslashreplace")) for row in rows)
    shown = sum(size <= _SUMMARY_BYTES for size in sizes)
    more = f"\n{len(rows) - shown:,} more are in the log.\n" if shown < len(rows) else ""
    head = "### `pulpo check`\n\n| | code | where | what | hint |\n| --- | --- | --- | --- | --- |\n"
    return f"{head}{''.join(rows[:shown])}{more}\n"


def _row(d: Diagnostic) -> tuple[str, ...]:
    subject = f"{dotted(d.path)}: " if d.path else ""
    return d.severity.value, d.code, str(d.place or ""), f"{subject}{d.message}", d.hint or ""


def _cell(text: str) -> str:
    return "<br>".join(html.escape(text, quote=False).replace("|", "\\|").splitlines())


# -------------------------------------------------------------------------------------------------------------- SARIF


def sarif(diagnostics: Iterable[Diagnostic], checkout: Checkout) -> dict[str, Any]:
    """A SARIF 2.1.0 log with one run, as code scanning takes it."""
    from importlib.metadata import version

    found = redacted(diagnostics)
    codes = sorted({d.code for d in found})
    driver = {
        "name": "pulpo",
        "informationUri": REPOSITORY_URL,
        "semanticVersion": version("pulpocore"),
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
        "results": [_result(d, codes, print_, checkout) for d, print_ in zip(found, _fingerprints(found, checkout), strict=True)],
    }
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    explained = page(code)
    return {
        "id": code,
        "shortDescription": {"text": explained.title},
        "fullDescription": {"text": explained.summary},
        "help": {"text": explained.text, "markdown": explained.text},
        "helpUri": url(code),
    }


def _result(d: Diagnostic, codes: Sequence[str], fingerprint: str, checkout: Checkout) -> dict[str, Any]:
    related = [(r.message, r.place) for r in d.related if r.place is not None]
    without_place = tuple(r for r in d.related if r.place is None)
    result: dict[str, Any] = {
        "ruleId": d.code,
        "ruleIndex": codes.index(d.code),
        "level": d.severity.value,
        "message": {"text": _whole_message(dataclasses.replace(d, related=without_place))},
        # Without a location code scanning takes no result.
        "locations": [{"physicalLocation": _location(d.place, checkout)}],
        "partialFingerprints": {"pulpoCodeAndPath/v1": fingerprint},
    }
    if related:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": message}, "physicalLocation": _location(place, checkout)}
            for number, (message, place) in enumerate(related, 1)
        ]
    return result


def _location(place: Place | None, checkout: Checkout) -> dict[str, Any]:
    path = checkout.path(place.file if place else checkout.lock)
    artifact = {"uri": path.as_uri()} if path.is_absolute() else {"uri": quote(os.fsencode(path)), "uriBaseId": "%SRCROOT%"}
    region = {"startLine": 1}
    if place is not None:
        region = {"startLine": place.line, "startColumn": place.column}
        if place.end_line is not None and place.end_column is not None:
            region |= {"endLine": place.end_line, "endColumn": place.end_column}
    return {"artifactLocation": artifact, "region": region}


def _fingerprints(found: Iterable[Diagnostic], checkout: Checkout) -> list[str]:
    """What each problem is, wherever the lines of its file move: its code, file and path; equal ones are numbered."""
    seen: Counter[str] = Counter()
    result = []
    for d in found:
        file = checkout.path(d.place.file if d.place else checkout.lock).as_posix()
        what = json.dumps([d.code, file, list(d.path)])
        result.append(hashlib.sha256(f"{what}{seen[what] or ''}".encode()).hexdigest())
        seen[what] += 1
    return result
