"""Values that two branches changed: whose stands, and where nobody can say.

What `pulpo lock` derives from the code it derives again after the merge, so that either side will do and a list can be the
union of both. What people wrote is theirs: two values for one setting are a clash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulpo.lock.changes import MISSING
from pulpo.lock.declared import DIGEST, opened, sealed
from pulpo.lock.own_keys import is_own
from pulpo.manifest.equality import same
from pulpo.manifest.model import MODEL_SETTINGS, OPERATION_SETTINGS

if TYPE_CHECKING:
    from pulpo.diagnostics import Path

_SETTINGS = {"models": MODEL_SETTINGS, "operations": OPERATION_SETTINGS}
#: How long the paths of entries, of their fields, and of entries of `declared` are.
_ENTRY, _FIELD, _DECLARED = 2, 3, 3


class ClashError(Exception):
    """Both branches changed one value, each to another."""


@dataclass(frozen=True, slots=True)
class Branches:
    """The data of two branches' versions of a lock, and of their last common one."""

    base: Any
    ours: Any
    theirs: Any

    def combine(self, path: Path, base: Any, ours: Any, theirs: Any) -> Any:
        """The value at a path that both branches' values give together; each may be MISSING, and so may be the result.

        Raises:
            ClashError: Nobody can say.
        """
        if same(ours, theirs) or same(theirs, base):
            return ours
        if same(ours, base):
            return theirs
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return self._mapping(path, base if isinstance(base, dict) else {}, ours, theirs)
        if path[:1] == ("declared",) and path[_DECLARED:] == (DIGEST,):
            return self._digest(path[:_DECLARED], ours)
        if not self.is_derived(path) and not self._is_said(path):
            raise ClashError
        if isinstance(ours, list) and isinstance(theirs, list):
            return _union(base if isinstance(base, list) else [], ours, theirs)
        return ours

    def _mapping(self, path: Path, base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
        merged = {
            key: self.combine((*path, key), *(side.get(key, MISSING) for side in (base, ours, theirs)))
            for key in {**ours, **theirs}
        }
        return {key: value for key, value in merged.items() if value is not MISSING}

    def _digest(self, path: Path, ours: Any) -> Any:
        """That of what both branches declare together; ours where one is not as `pulpo lock` wrote it: it fits no better then."""
        base, mine, other = (opened(_at(root, path)) for root in (self.base, self.ours, self.theirs))
        if mine is None or other is None:
            return ours
        return sealed(self._mapping(path, base or {}, mine, other)).get(DIGEST, ours)

    def is_derived(self, path: Path) -> bool:
        """Whether `pulpo lock` derives what stands at a path, whatever the file says."""
        if is_own(path):
            return False
        if path[:1] == ("declared",) or path[:2] == ("project", "modules"):
            return True
        if path[:1] == ("flows",):
            return path[2:3] == ("segments",)
        if len(path) < _FIELD or path[0] not in _SETTINGS or path[2] == "origin":
            return False
        by_hand = any(_at(side, (*path[:2], "origin")) == "manifest" for side in (self.ours, self.theirs))
        return not by_hand and path[2] not in _SETTINGS[str(path[0])]

    def _is_said(self, path: Path) -> bool:
        """Whether on both branches a setting is what a decorator says: then the code has the conflict, and settles it."""
        return len(path) >= _FIELD and path[0] in _SETTINGS and all(_says(side, path) for side in (self.ours, self.theirs))

    def edits(self, path: Path, base: Any, edited: Any) -> bool:
        """Whether one branch, and that by hand, changed what the other one deleted."""
        if self.is_derived(path):
            return False
        if len(path) != _ENTRY or path[0] not in _SETTINGS or not (isinstance(base, dict) and isinstance(edited, dict)):
            return not same(base, edited)
        fields = [(*path, key) for key in {**base, **edited} if not same(base.get(key, MISSING), edited.get(key, MISSING))]
        side = self.ours if same(_at(self.ours, path), edited) else self.theirs
        return any(not self.is_derived(field) and not _says(side, field) for field in fields)


def renames(base: Any, side: Any, section: str) -> dict[str, str]:
    """The new names of entries that a branch has under another name: what they name in the code is the same."""
    before, after = (_entrypoints(data, section) for data in (base, side))
    new = {entrypoint: name for name, entrypoint in after.items() if name not in before}
    gone = {name: entrypoint for name, entrypoint in before.items() if name not in after}
    return {name: new[entrypoint] for name, entrypoint in gone.items() if entrypoint in new}


def _entrypoints(data: Any, section: str) -> dict[str, str]:
    entries = _at(data, (section,))
    found = entries.items() if isinstance(entries, dict) else ()
    return {name: entry["entrypoint"] for name, entry in found if isinstance(_at(entry, ("entrypoint",)), str)}


def _says(side: Any, path: Path) -> bool:
    """Whether a setting is as the decorator said it at the last lock, as far as that is known."""
    said = opened(_at(side, ("declared", *path[:_ENTRY])))
    return said is not None and same(_at(side, path[:_FIELD]), said.get(str(path[_ENTRY]), MISSING))


def _at(data: Any, path: Path) -> Any:
    """The value at a path, or MISSING."""
    for part in path:
        data = data.get(part, MISSING) if isinstance(data, dict) else MISSING
    return data


def _union(base: list[Any], ours: list[Any], theirs: list[Any]) -> list[Any]:
    """What both lists have and what either added, without what either removed; in order where both are sorted names."""
    if not all(isinstance(item, str) for item in [*ours, *theirs]):
        return ours
    kept = [item for item in ours if item in theirs or item not in base]
    merged = kept + [item for item in theirs if item not in kept and item not in base]
    in_order = ours == sorted(ours) and theirs == sorted(theirs)
    return sorted(merged) if in_order else merged
