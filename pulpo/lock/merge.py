"""Code and file, merged: who owns which field, and what happens when both changed it.

Structure is the code's, settings are the code's default and the file's choice, everything else is the file's. A setting is
merged three ways, with the section `declared` (what the decorators said at the last lock) as the base; `Row` has the cases.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pulpo.diagnostics import Diagnostic, Related, Severity, dotted
from pulpo.lock.built_in import with_built_in
from pulpo.lock.changes import MISSING, shown
from pulpo.lock.declared import base_of, sealed, with_base
from pulpo.lock.former_names import new_names, with_new_names
from pulpo.lock.own_keys import own_keys, with_own
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
#: What to do about an entry that is not in the code, by section.
ORPHAN_HINTS = {
    "models": "`pulpo lock --prune` drops it; `origin: manifest` makes it yours",
    "operations": "`pulpo lock --prune` drops it; `previously=` carries edits over; `origin: manifest` makes it yours",
}


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
    file, renamed = with_new_names(with_base(file), new_names(code, file))
    merged = Merged({"version": VERSION, "project": {**file.get("project", {}), **project}}, renamed=renamed)
    for section, entries in (("models", code.models), ("operations", code.operations)):
        merged.data[section] = {}
        _Section(section, entries, file, prefer, merged).merge(prune=prune)
    for section in ("flows", "environments"):
        if section in file:
            merged.data[section] = file[section]
    merged.data["services"] = with_built_in(file.get("services", {}))
    merged.data |= {key: value for key, value in file.items() if key.startswith("x-")}
    return merged


@dataclass(slots=True)
class _Section:
    """One of the sections that code and file share."""

    section: str
    code: Mapping[str, Data]
    file: Data
    prefer: Preference | None
    merged: Merged

    def merge(self, *, prune: bool) -> None:
        """Fill in the section, and what is declared of it."""
        old: Data = self.file.get(self.section, {})
        declared = self.merged.data.setdefault("declared", {})[self.section] = {}
        result = self.merged.data[self.section]
        left = old.keys() - self.code.keys()
        for name in sorted({*self.code, *left}):
            if name in left:
                entry = self._left_the_code(name, old[name], prune=prune)
                said = base_of(self.file, self.section, name)
                if entry is not None and said is not None:
                    declared[name] = sealed(said)
            else:
                entry = self._entry(name, old.get(name))
                declared[name] = sealed({key: self.code[name][key] for key in SETTINGS[self.section] if key in self.code[name]})
            if entry is not None:
                result[name] = entry

    def _entry(self, name: str, file: Data | None) -> Data:
        """An entry that the code declares."""
        code = self.code[name]
        if file is None:
            return code
        if file.get("origin") == "manifest" and self._settle((self.section, name, "origin")) != "code":
            self._taken_by_hand(name)
            return file
        keys = SETTINGS[self.section]
        settings = code if all(code.get(k, MISSING) == file.get(k, MISSING) for k in keys) else self._settings(name, code, file)
        structure = {key: value for key, value in code.items() if key not in keys}
        entry: Data = with_own({**{k: settings[k] for k in keys if k in settings}, **structure}, file, (self.section, name))
        return entry

    def _settings(self, name: str, code: Data, file: Data) -> Data:
        base = base_of(self.file, self.section, name)
        values = {}
        for key in SETTINGS[self.section]:
            said, written = code.get(key, MISSING), file.get(key, MISSING)
            row = row_of(LOST if base is None else base.get(key, MISSING), said, written)
            takes_code = row is Row.CODE
            if row is Row.CONFLICT:
                side = self._settle((self.section, name, key))
                takes_code = side == "code"
                if side is None:
                    self._conflict((self.section, name, key), said, written, lost=base is None)
            values[key] = said if takes_code else written
        return {key: value for key, value in values.items() if value is not MISSING}

    def _settle(self, path: Path) -> Side | None:
        side = self.prefer.for_path(path) if self.prefer else None
        if side is not None:
            self.merged.settled.append(path)
        return side

    def _conflict(self, path: Path, code: object, file: object, *, lost: bool) -> None:
        where = dotted(path)
        hint = f"`pulpo lock --prefer manifest {where}` keeps the lock's, `--prefer code` takes the code's"
        what = "one of the two was changed, and `declared` does not tell which" if lost else "both changed"
        message = f"{what}: the code says {shown(code)}, the lock says {shown(file)}"
        related = Related(f"the code says {shown(code)}", path)
        self.merged.diagnostics.append(Diagnostic("PLP303", message, path, hint=hint, related=(related,)))

    def _taken_by_hand(self, name: str) -> None:
        path = (self.section, name, "origin")
        message = "it is written by hand (origin: manifest), and the code declares it, too"
        hint = "`pulpo lock --prefer code` lets the code own it; else rename one of them"
        related = Related("the code declares it here", path)
        self.merged.diagnostics.append(Diagnostic("PLP303", message, path, hint=hint, related=(related,)))

    def _left_the_code(self, name: str, entry: Data, *, prune: bool) -> Data | None:
        """What becomes of an entry that no declaration has any more: the file's own stay, edited ones as orphans."""
        if entry.get("origin") == "manifest":
            return {key: value for key, value in entry.items() if key != "orphaned"}
        base = base_of(self.file, self.section, name)
        edited = self._edited(name, entry, base or {})
        if prune or (base is not None and not edited):
            return None
        # Of an entry that nothing is known of, somebody may have written every line.
        lost = "it is not in the code, and `declared` does not say that it was"
        message = lost if base is None else f"it left the code, but has hand edits: {', '.join(edited)}"
        self.merged.diagnostics.append(
            Diagnostic("PLP304", message, (self.section, name), severity=Severity.WARNING, hint=ORPHAN_HINTS[self.section])
        )
        return {**entry, "orphaned": True}

    def _edited(self, name: str, entry: Data, base: Data) -> list[str]:
        keys = [key for key in SETTINGS[self.section] if not same(entry.get(key, MISSING), base.get(key, MISSING))]
        return [*sorted(keys), *sorted(dotted(path[2:]) for path in own_keys(entry, (self.section, name)))]
