"""Code and file, merged: who owns which field, and what happens when both changed it.

Structure is the code's, settings are the code's default and the file's choice, everything else is the file's. A setting is
merged three ways, with the section `declared` (what the decorators said at the last lock) as the base; `Row` has the cases.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pulpo.diagnostics import Diagnostic, Related, Severity, dotted
from pulpo.lock.changes import MISSING, shown
from pulpo.manifest.equality import same
from pulpo.manifest.model import MODEL_SETTINGS, OPERATION_SETTINGS, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pulpo.declare.lower import Lowered
    from pulpo.diagnostics import Path

Data = dict[str, Any]
Side = Literal["code", "manifest"]
#: Stands for a base that nobody knows: it equals nothing, so that whatever differs is a conflict.
LOST = object()
#: The fields that the decorator gives a default for and the file overrides, by section.
SETTINGS = {"models": MODEL_SETTINGS, "operations": OPERATION_SETTINGS}


class Row(enum.Enum):
    """What became of a setting since the last lock, and so whose value stands."""

    AGREED = "code and lock agree"
    CODE = "only the code changed it, so its value is taken"
    FILE = "only the lock was edited, so its value stays"
    CONFLICT = "code and lock changed it, each to another value"


def row_of(base: object, code: object, file: object) -> Row:
    """The case that three values of a setting make, each perhaps MISSING; a base that is LOST equals nothing."""
    if same(code, file):
        return Row.AGREED
    if same(file, base):
        return Row.CODE
    return Row.FILE if same(code, base) else Row.CONFLICT


@dataclass(frozen=True, slots=True)
class Preference:
    """The side that conflicts go to: all of them, or those at and below some dotted paths."""

    side: Side
    paths: tuple[str, ...] = ()

    def for_path(self, path: Path) -> Side | None:
        """The side that wins a conflict at a path, None where nobody said."""
        text = dotted(path)
        return self.side if not self.paths or any(_covers(given, text) for given in self.paths) else None

    def unused(self, settled: Iterable[Path]) -> list[str]:
        """The given paths at and below which nothing was settled."""
        texts = [dotted(path) for path in settled]
        return [given for given in self.paths if not any(_covers(given, text) for text in texts)]


def _covers(given: str, path: str) -> bool:
    return path == given or path.startswith((f"{given}.", f"{given}["))


@dataclass(slots=True)
class Merged:
    """The manifest as it should be, and what could not be decided."""

    data: Data
    diagnostics: list[Diagnostic] = field(default_factory=list)
    #: Conflicts that the preference settled.
    settled: list[Path] = field(default_factory=list)
    #: Entries of the file that go on under another name: their paths, and that name.
    renamed: dict[Path, str] = field(default_factory=dict)


def merge(code: Lowered, file: Data, *, project: Data, prefer: Preference | None = None, prune: bool = False) -> Merged:
    """The manifest data that code and file give together.

    Args:
        code: What the decorators say.
        file: The present manifest's data; empty where there is none.
        project: Name and modules of the project, as its settings say.
        prefer: The side that conflicts go to.
        prune: Drop operations and models that left the code although they have hand edits.

    Returns:
        The data, not resolved yet; PLP303, an error, for each conflict, and PLP304, a warning, for each orphan that stays.
    """
    merged = Merged({"version": VERSION, "project": {**file.get("project", {}), **project}})
    for section, entries in (("models", code.models), ("operations", code.operations)):
        merged.data[section] = {}
        moved = _moved(code, file) if section == "operations" else {}
        _Section(section, entries, file, moved, prefer, merged).merge(prune=prune)
        merged.renamed |= {(section, old): new for new, old in moved.items()}
    for section in ("flows", "services", "environments"):
        if section in file:
            merged.data[section] = file[section]
    merged.data |= {key: value for key, value in file.items() if key.startswith("x-")}
    _follow(merged)
    return merged


def base_of(file: Data, section: str, name: str) -> Data | None:
    """What the decorators said of an entry at the last lock; None where the lock does not tell any more."""
    entry: Data | None = file.get("declared", {}).get(section, {}).get(name)
    return entry


def _moved(code: Lowered, file: Data) -> dict[str, str]:
    """The former name of each operation that is in the file under that name only."""
    old = file.get("operations", {})
    taken: dict[str, str] = {}
    for new, names in sorted(code.previously.items()):
        for earlier in names:
            if earlier in old and earlier not in code.operations and new not in old and earlier not in taken.values():
                taken[new] = earlier
                break
    return taken


def _follow(merged: Merged) -> None:
    """Let what people wrote elsewhere follow the operations that have another name now."""
    names = {path[1]: new for path, new in merged.renamed.items()}
    if not names:
        return
    operations = merged.data["operations"]
    for name, entry in operations.items():
        if names.keys() & set(entry.get("after", ())):
            operations[name] = {**entry, "after": [names.get(other, other) for other in entry["after"]]}
    environments = {}
    for environment, overlay in merged.data.get("environments", {}).items():
        operations = overlay.get("operations", {})
        merged.renamed |= {
            ("environments", environment, "operations", old): new for old, new in names.items() if old in operations
        }
        renamed = {names.get(name, name): entry for name, entry in operations.items()}
        environments[environment] = {**overlay, "operations": renamed} if operations else overlay
    if environments:
        merged.data["environments"] = environments


@dataclass(slots=True)
class _Section:
    """One of the sections that code and file share."""

    section: str
    code: Mapping[str, Data]
    file: Data
    #: Former names by present ones.
    moved: Mapping[str, str]
    prefer: Preference | None
    merged: Merged

    def merge(self, *, prune: bool) -> None:
        """Fill in the section, and what is declared of it."""
        old: Data = self.file.get(self.section, {})
        declared = self.merged.data.setdefault("declared", {})[self.section] = {}
        result = self.merged.data[self.section]
        left = old.keys() - self.code.keys() - set(self.moved.values())
        for name in sorted({*self.code, *left}):
            if name in left:
                entry = self._left_the_code(name, old[name], prune=prune)
                said = base_of(self.file, self.section, name)
                if entry is not None and said is not None:
                    declared[name] = said
            else:
                entry = self._entry(name, old.get(self.moved.get(name, name)))
                declared[name] = {key: self.code[name][key] for key in SETTINGS[self.section] if key in self.code[name]}
            if entry is not None:
                result[name] = entry

    def _entry(self, name: str, file: Data | None) -> Data:
        """An entry that the code declares."""
        code = self.code[name]
        if file is None:
            return code
        if file.get("origin") == "manifest":
            side = self._settle((self.section, name, "origin"))
            if side is None:
                self._taken_by_hand(name)
            if side != "code":
                return file
        keys = SETTINGS[self.section]
        settings = code if all(code.get(k, MISSING) == file.get(k, MISSING) for k in keys) else self._settings(name, code, file)
        structure = {key: value for key, value in code.items() if key not in keys}
        entry: Data = _with_own({**{k: settings[k] for k in keys if k in settings}, **structure}, file)
        return entry

    def _settings(self, name: str, code: Data, file: Data) -> Data:
        base = base_of(self.file, self.section, self.moved.get(name, name))
        values = {}
        for key in SETTINGS[self.section]:
            said, written = code.get(key, MISSING), file.get(key, MISSING)
            row = row_of(LOST if base is None else base.get(key, MISSING), said, written)
            takes_code = row is Row.CODE
            if row is Row.CONFLICT:
                side = self._settle((self.section, name, key))
                takes_code = side == "code"
                if side is None:
                    self._conflict((self.section, name, key), said, written)
            values[key] = said if takes_code else written
        return {key: value for key, value in values.items() if value is not MISSING}

    def _settle(self, path: Path) -> Side | None:
        side = self.prefer.for_path(path) if self.prefer else None
        if side is not None:
            self.merged.settled.append(path)
        return side

    def _conflict(self, path: Path, code: object, file: object) -> None:
        where = dotted(path)
        hint = f"`pulpo lock --prefer manifest {where}` keeps the lock's, `--prefer code` takes the code's"
        message = f"both changed: the code says {shown(code)}, the lock says {shown(file)}"
        related = Related(f"the code says {shown(code)}", path)
        self.merged.diagnostics.append(Diagnostic("PLP303", message, path, hint=hint, related=(related,)))

    def _taken_by_hand(self, name: str) -> None:
        path = (self.section, name, "origin")
        message = "it is written by hand (origin: manifest), and the code declares it, too"
        hint = "delete `origin` to let the code own it, or rename one of them"
        related = Related("the code declares it here", path)
        self.merged.diagnostics.append(Diagnostic("PLP303", message, path, hint=hint, related=(related,)))

    def _left_the_code(self, name: str, entry: Data, *, prune: bool) -> Data | None:
        """What becomes of an entry that no declaration has any more: the file's own stay, edited ones as orphans."""
        if entry.get("origin") == "manifest":
            return entry
        base = base_of(self.file, self.section, name) or {}
        edited = sorted(k for k in SETTINGS[self.section] if not same(entry.get(k, MISSING), base.get(k, MISSING)))
        edited += sorted(k for k in entry if k.startswith("x-"))
        if prune or not edited:
            return None
        self.merged.diagnostics.append(
            Diagnostic(
                "PLP304",
                f"it left the code, but has hand edits: {', '.join(edited)}",
                (self.section, name),
                severity=Severity.WARNING,
                hint="`pulpo lock --prune` drops it; `previously=` carries edits over to a new name",
            )
        )
        return {**entry, "orphaned": True}


def _with_own(new: Any, old: Any) -> Any:
    """The new data with the keys beginning with `x-` that the old has at the same places, at any depth."""
    if new == old:
        return new
    if isinstance(new, dict) and isinstance(old, dict):
        merged = {key: _with_own(value, old.get(key)) for key, value in new.items()}
        return merged | {key: value for key, value in old.items() if key.startswith("x-") and key not in merged}
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [_with_own(one, other) for one, other in zip(new, old, strict=True)]
    return new
