"""What differs between two manifests' data, by path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.diagnostics import Path

MISSING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: `before` or `after` is MISSING where the path is only on the other side."""

    path: Path
    before: Any
    after: Any

    def __str__(self) -> str:
        where = dotted(self.path)
        if self.before is MISSING:
            return f"+ {where}: {_short(self.after)}"
        if self.after is MISSING:
            return f"- {where}: {_short(self.before)}"
        return f"~ {where}: {_short(self.before)} -> {_short(self.after)}"


def differences(before: Any, after: Any, path: Path = ()) -> Iterator[Difference]:
    """All differences in the order of the keys; a missing entry is one difference, however much it holds."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from differences(before.get(key, MISSING), after.get(key, MISSING), (*path, key))
    elif before != after or isinstance(before, bool) is not isinstance(after, bool):
        yield Difference(path, before, after)


def _short(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(map(str, value))}}}"
    text = str(value)
    return text if len(text) <= 100 else text[:97] + "..."  # noqa: PLR2004 - one line of a terminal
