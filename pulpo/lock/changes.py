"""What differs between two manifests' data, by path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import dotted
from pulpo.lock.declared import DIGEST
from pulpo.manifest.equality import ORDERED, same
from pulpo.manifest.yaml_write import flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pulpo.diagnostics import Path

MISSING = object()
_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: `before` or `after` is MISSING where the path is only on the other side."""

    path: Path
    before: Any
    after: Any

    def __str__(self) -> str:
        where = dotted(self.path)
        if self.before is MISSING:
            return f"+ {where}: {shown(self.after)}"
        if self.after is MISSING:
            return f"- {where}: {shown(self.before)}"
        return f"~ {where}: {shown(self.before)} -> {shown(self.after)}"


def differences(before: Any, after: Any, path: Path = ()) -> Iterator[Difference]:
    """All differences in the order of the keys; a missing entry is one difference, however much it holds."""
    ordered = path[-1:] != () and path[-1] in ORDERED
    if before is not MISSING and same(before, after, ordered=ordered):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from differences(before.get(key, MISSING), after.get(key, MISSING), (*path, key))
        if ordered and before.keys() == after.keys() and list(before) != list(after):
            yield Difference(path, list(before), list(after))
    else:
        yield Difference(path, before, after)


def told(found: Iterable[Difference]) -> list[Difference]:
    """The differences that people are told: digests in `declared` only where nothing else differs."""
    everything = list(found)
    return [d for d in everything if d.path[:1] != ("declared",) or d.path[-1] != DIGEST] or everything


def shown(value: object) -> str:
    """A value as the lock would write it, on one line, cut where it is long."""
    text = "nothing" if value is MISSING else flow(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
