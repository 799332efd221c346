"""What people changed in the lock: the hand edits that a reviewer wants to see, from the lock alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic, Severity
from pulpo.lock.changes import MISSING, shown
from pulpo.lock.declared import base_of
from pulpo.lock.merge import SETTINGS
from pulpo.manifest.equality import same

if TYPE_CHECKING:
    from collections.abc import Iterator


def overrides(data: dict[str, Any]) -> list[Diagnostic]:
    """A note (PLP302) for each setting that differs from what the decorators said last, and for each entry written by hand.

    Models before operations, in the order of the file. An entry whose `declared` is lost is not told: what was edited in it
    shows as a conflict when the code changes.
    """
    return [_note(path, message) for section in SETTINGS for path, message in _overrides(section, data)]


def _overrides(section: str, data: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, entry in data.get(section, {}).items():
        base = base_of(data, section, name)
        if entry.get("origin") == "manifest":
            yield (section, name), "written by hand: no decorator is behind it"
        elif base is not None:
            for key in SETTINGS[section]:
                value, said = entry.get(key, MISSING), base.get(key, MISSING)
                if not same(value, said):
                    yield (section, name, key), _told(value, said)


def _told(value: object, said: object) -> str:
    if value is MISSING:
        return f"taken out by hand: the decorator says {shown(said)}"
    decorator = "does not set it" if said is MISSING else f"says {shown(said)}"
    return f"set by hand to {shown(value)}: the decorator {decorator}"


def _note(path: tuple[str, ...], message: str) -> Diagnostic:
    return Diagnostic("PLP302", message, path, severity=Severity.NOTE)
