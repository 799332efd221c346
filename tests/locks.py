"""Edits of locks, as people make them by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SERVICES = re.compile(r"^services:\n((?:[ ].*\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^  (\S+):.*\n(?:   .*\n)*", re.MULTILINE)


def with_services(lock: Path, **entries: str) -> None:
    """Write services into a lock that has some: each, as YAML on one line, instead of the one of its name, or after the last."""
    text = lock.read_text(encoding="utf-8")
    section = _SERVICES.search(text)
    assert section, f"{lock} has no services"
    new = {name: f"  {name}: {entry}\n" for name, entry in entries.items()}
    lines = {found[1]: found[0] for found in _ENTRY.finditer(section[1])} | new
    lock.write_text(text[: section.start(1)] + "".join(lines.values()) + text[section.end(1) :], encoding="utf-8")
