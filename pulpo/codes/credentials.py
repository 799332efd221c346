"""What a report never shows: passwords in URIs, wherever in a message or in a file they stand."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulpo.diagnostics import Diagnostic

#: Broader than the rule that refuses credentials: hiding too much does no harm.
_PASSWORD = re.compile(r"(://[^/\s:@]*:)(?!\$\{[A-Za-z_][A-Za-z0-9_]*\}@)(?:\S{0,200}|[^/\s]*)@")


def holds_credential(line: str) -> bool:
    """Whether a line of a file has what looks like a password in it."""
    return "://" in line and _PASSWORD.search(line) is not None


def without_credentials(text: str) -> str:
    """The text with `***` for each password."""
    return _PASSWORD.sub(r"\1***@", text) if "://" in text else text


def masked(value: Any) -> Any:
    """Plain data with `***` for each password in its texts."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def redacted(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The same diagnostics, without passwords in what they say, in the order given."""
    return [
        dataclasses.replace(
            d,
            message=without_credentials(d.message),
            path=tuple(without_credentials(part) if isinstance(part, str) else part for part in d.path),
            hint=d.hint and without_credentials(d.hint),
            related=tuple(dataclasses.replace(r, message=without_credentials(r.message)) for r in d.related),
        )
        for d in diagnostics
    ]
