"""What differs between two manifests' data, by path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import dotted
from pulpo.manifest.yaml_write import flow

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from differences(before.get(key, MISSING), after.get(key, MISSING), (*path, key))
        if path[-1:] in _ORDERED and before.keys() == after.keys() and list(before) != list(after):
            yield Difference(path, list(before), list(after))
    elif not same(before, after):
        yield Difference(path, before, after)


#: Mappings whose order means something: that of the function's signature, or of the model's fields.
_ORDERED = (("parameters",), ("inputs",), ("properties",))


def same(before: Any, after: Any) -> bool:
    """Whether both are written alike: in Python `True == 1`, and `[True] == [1]`."""
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(same, before, after))
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(same(value, after[key]) for key, value in before.items())
    return bool(before == after) and isinstance(before, bool) is isinstance(after, bool)


def shown(value: object) -> str:
    """A value as the lock would write it, on one line, cut where it is long."""
    text = "nothing" if value is MISSING else flow(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
