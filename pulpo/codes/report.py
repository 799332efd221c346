"""Problems as plain data for programs: what `--format json` prints and the API answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pulpo.codes.credentials import redacted
from pulpo.codes.pages import url
from pulpo.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulpo.diagnostics import Diagnostic, Place

_NOWHERE = {"file": None, "line": None, "column": None, "end_line": None, "end_column": None}


def diagnostics_as_data(diagnostics: Iterable[Diagnostic]) -> dict[str, Any]:
    """Diagnostics in the order given: version 1, lines and columns from 1, paths as lists; no passwords."""
    found = redacted(diagnostics)
    counts = {severity.value: sum(d.severity is severity for d in found) for severity in Severity}
    return {
        "version": 1,
        "ok": counts["error"] == 0,
        "summary": counts,
        "diagnostics": [
            {
                "code": d.code,
                "severity": d.severity.value,
                "message": d.message,
                "path": list(d.path),
                **_place_data(d.place),
                "hint": d.hint,
                "related": [{"message": r.message, "path": list(r.path), **_place_data(r.place)} for r in d.related],
                "url": url(d.code),
            }
            for d in found
        ],
    }


def _place_data(place: Place | None) -> dict[str, object]:
    return asdict(place) if place else dict(_NOWHERE)
