"""Code and file, merged: who owns which field, and what happens when both changed it.

Structure is the code's, settings are the code's default and the file's choice, everything else is the file's. A setting is
merged three ways, with the section `declared` (what the decorators said at the last lock) as the base:

    file as the base        the code's value
    code as the base        the file's value: a hand edit, kept
    file and code agree     that value
    both changed            a conflict: the file's value stays and both are reported
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pulpo.diagnostics import Diagnostic, Severity
from pulpo.lock.changes import MISSING, shown
from pulpo.manifest.model import MODEL_SETTINGS, OPERATION_SETTINGS, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.declare.lower import Lowered

Data = dict[str, Any]
Side = Literal["code", "manifest"]
#: Stands for a base that nobody knows: it equals nothing, so that whatever differs is a conflict.
_LOST = object()
_SETTINGS = {"models": MODEL_SETTINGS, "operations": OPERATION_SETTINGS}


@dataclass(slots=True)
class Merged:
    """The manifest as it should be, and what could not be decided."""

    data: Data
    diagnostics: list[Diagnostic] = field(default_factory=list)


def merge(code: Lowered, file: Data, *, project: Data, prefer: Side | None = None, prune: bool = False) -> Merged:
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
    declared = file.get("declared")
    now_declared: dict[str, Data] = {"models": _said("models", code.models), "operations": _said("operations", code.operations)}
    for section, entries in (("models", code.models), ("operations", code.operations)):
        old: Data = file.get(section, {})
        base: Data | None = None if declared is None else declared.get(section, {})
        moved: dict[str, str] = {}
        if section == "operations":
            moved = {
                new: earlier for new, names in code.previously.items() for earlier in names if earlier in old and new not in old
            }
        result = {}
        for name in sorted({*entries, *old}):
            if name in entries:
                source = moved.get(name, name)
                entry = _Entry(section, name, entries[name], old.get(source, {}), _base(base, source), prefer)
                result[name] = entry.merge(merged)
            elif name not in moved.values():
                entry_left = _left_the_code(section, name, old[name], _base(base, name) or {}, merged, prune=prune)
                if entry_left is not None:
                    result[name] = entry_left
                    if said := _base(base, name):
                        now_declared[section][name] = said
        merged.data[section] = result
    for section in ("flows", "services", "environments"):
        if section in file:
            merged.data[section] = file[section]
    merged.data |= {key: value for key, value in file.items() if key.startswith("x-")}
    merged.data["declared"] = now_declared
    return merged


def _base(declared: Data | None, name: str) -> Data | None:
    """What the decorators said of an entry at the last lock; None where the lock has lost the whole section."""
    return None if declared is None else declared.get(name, {})


def _said(section: str, entries: Mapping[str, Data]) -> Data:
    """The settings that the decorators set, by entry; entries without any are left out."""
    said = {name: {key: entry[key] for key in _SETTINGS[section] if key in entry} for name, entry in entries.items()}
    return {name: settings for name, settings in said.items() if settings}


@dataclass(frozen=True, slots=True)
class _Entry:
    section: str
    name: str
    code: Data
    file: Data
    base: Data | None
    prefer: Side | None

    def merge(self, merged: Merged) -> Data:
        if self.file.get("origin") == "manifest" and self.prefer == "manifest":
            return self.file
        if self.file.get("origin") == "manifest" and self.prefer is None:
            merged.diagnostics.append(
                Diagnostic(
                    "PLP303",
                    "it is written by hand (origin: manifest), and the code declares it, too",
                    (self.section, self.name, "origin"),
                    hint="delete `origin` to let the code own it, or rename one of them",
                )
            )
            return self.file
        settings = {key: value for key in _SETTINGS[self.section] if (value := self._setting(key, merged)) is not MISSING}
        structure = {key: value for key, value in self.code.items() if key not in _SETTINGS[self.section]}
        merged_entry: Data = _with_own({**settings, **structure}, self.file)
        return merged_entry

    def _setting(self, key: str, merged: Merged) -> object:
        code, file = self.code.get(key, MISSING), self.file.get(key, MISSING)
        base = _LOST if self.base is None else self.base.get(key, MISSING)
        if not self.file or file in (code, base):
            return code
        if code == base:
            return file
        if self.prefer is not None:
            return code if self.prefer == "code" else file
        merged.diagnostics.append(
            Diagnostic(
                "PLP303",
                f"both changed: the code says {shown(code)}, the lock says {shown(file)}",
                (self.section, self.name, key),
                hint="make the two agree, or say `pulpo lock --prefer code` or `--prefer manifest`",
            )
        )
        return file


def _with_own(new: Any, old: Any) -> Any:
    """The new data with the keys beginning with `x-` that the old has at the same places, at any depth."""
    if isinstance(new, dict) and isinstance(old, dict):
        merged = {key: _with_own(value, old.get(key)) for key, value in new.items()}
        return merged | {key: value for key, value in old.items() if key.startswith("x-") and key not in merged}
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [_with_own(one, other) for one, other in zip(new, old, strict=True)]
    return new


def _left_the_code(section: str, name: str, entry: Data, base: Data, merged: Merged, *, prune: bool) -> Data | None:
    """What becomes of an entry that no declaration has any more: the file's own stay, edited ones as orphans."""
    if entry.get("origin") == "manifest":
        return entry
    edited = sorted(k for k in _SETTINGS[section] if entry.get(k, MISSING) != base.get(k, MISSING))
    edited += sorted(k for k in entry if k.startswith("x-"))
    if prune or not edited:
        return None
    merged.diagnostics.append(
        Diagnostic(
            "PLP304",
            f"it left the code, but has hand edits: {', '.join(edited)}",
            (section, name),
            severity=Severity.WARNING,
            hint="`pulpo lock --prune` drops it; `previously=` carries edits over to a new name",
        )
    )
    return {**entry, "orphaned": True}
