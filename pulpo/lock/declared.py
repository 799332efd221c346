"""The section `declared`: what the decorators said at the last lock, which tells a hand edit from a change of the code.

Each entry carries a digest of itself. Whoever replaces a value all over the file changes it here, too, and a merge may lose a
line: an entry that is not what `pulpo lock` wrote tells nothing any more, so that a difference is a conflict and no loss.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Data = dict[str, Any]
#: The key of the digest in an entry.
DIGEST = "digest"


def sealed(settings: Mapping[str, Any]) -> Data:
    """An entry of `declared`: the settings with their digest; without one where there are none."""
    return {**settings, DIGEST: _digest(settings)} if settings else {}


def base_of(file: Mapping[str, Any], section: str, name: str) -> Data | None:
    """What the decorators said of an entry at the last lock; None where the lock does not tell any more.

    An entry without a digest is taken at its word.
    """
    entry = file.get("declared", {}).get(section, {}).get(name)
    return opened(entry)


def with_base(file: Data) -> Data:
    """The file with its `declared` opened: without digests, and without entries that are not what `pulpo lock` wrote."""
    declared = file.get("declared")
    if not declared:
        return file
    known = {section: _all_opened(entries) for section, entries in declared.items() if not section.startswith("x-")}
    return {**file, "declared": {**declared, **known}}


def _all_opened(entries: Mapping[str, Data]) -> Data:
    return {name: base for name, entry in entries.items() if (base := opened(entry)) is not None}


def opened(entry: Any) -> Data | None:
    """The settings of an entry; None if it is none, or not what `pulpo lock` wrote."""
    if not isinstance(entry, dict):
        return None
    if DIGEST not in entry:
        return entry
    settings = {key: value for key, value in entry.items() if key != DIGEST}
    return settings if entry[DIGEST] == _digest(settings) else None


def _digest(settings: Mapping[str, Any]) -> str:
    # The letter in front keeps YAML from reading `5e103496` as a number.
    return f"d{zlib.crc32(json.dumps(settings, sort_keys=True).encode()):08x}"
