"""The entries of a new text that have to be read again to know that all of it reads as what was wanted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pulpo.errors import DiagnosticsError
from pulpo.manifest.equality import ORDERED, same
from pulpo.manifest.splice_plan import Plan
from pulpo.manifest.yaml_read import read
from pulpo.manifest.yaml_write import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulpo.diagnostics import Path
    from pulpo.manifest.splice_parts import Part, Piece, Source

#: Only they can take in lines that follow.
_BLOCK_SCALAR = re.compile(r"[|>][-+0-9]*[ \t]*(?:#.*)?\r?$", re.MULTILINE)


class Excerpts:
    """The lines of the entries that change, and of their neighbours, under the keys of their sections.

    Where all changes are of whole entries of sections in block style, it is sound to read only these. All other lines are those
    of a text that was read before. In block style their meaning hangs on their indent and on what is open above them: the key of
    the section, which stands as it stood, and the entry before, which is read here if it is not where it was. Nothing else
    reaches across the lines of an entry: anchors and a missing last line end are excluded, and so are block scalars, which
    alone can take in blank lines and comments behind them; brackets and quotes that stay open make the excerpt unreadable.
    Keys can't stand twice, as the new keys come from a mapping that has the others, too.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        #: Whether reading the excerpts is enough.
        self.suffice = not source.has_anchors and source.text.endswith("\n")
        self._texts: dict[str, str] = {}
        self._keys: dict[str, list[str]] = {}

    def add(self, plan: Plan, parts: Sequence[Part], entries: Sequence[Sequence[Piece]] | None, path: Path) -> None:
        """Take what changes in a section, or see that the document keeps its sections."""
        moves = plan.sequence != list(range(len(parts)))
        if not path:
            self.suffice &= entries is not None and not moves and not plan.names
        elif entries is None or path[0] in ORDERED or any(part.name is None for part in parts):
            self.suffice = False
        elif self.suffice:
            keys = [
                plan.names.get(item, parts[item].name or "") if isinstance(item, int) else str(item[0]) for item in plan.sequence
            ]
            touched = _touched(plan, len(parts))
            section = str(path[0])
            self._keys[section] = [keys[number] for number in touched]
            self._texts[section] = "".join(self._text(piece) for number in touched for piece in entries[number])

    def read_as(self, wanted: Mapping[str, Any]) -> bool:
        """Whether the excerpts are enough, and read as what was wanted."""
        if not self.suffice or any(map(_BLOCK_SCALAR.search, self._texts.values())):
            return False
        text = "".join(f"{quoted(section)}:\n{lines}" for section, lines in self._texts.items())
        try:
            data = read(text, "").data
        except DiagnosticsError:
            return False
        return same(data, {section: {key: wanted[section][key] for key in keys} for section, keys in self._keys.items()})

    def _text(self, piece: Piece) -> str:
        return piece if isinstance(piece, str) else self._source.text[slice(*piece)]


def _touched(plan: Plan, count: int) -> list[int]:
    """The places of the entries that change, of those that have another neighbour than before, and of the neighbours of both."""
    numbers = [-1, *(item if isinstance(item, int) else None for item in plan.sequence), count]
    changed = set()
    for place, (before, number, after) in enumerate(zip(numbers, numbers[1:], numbers[2:], strict=False)):
        if number is None or before != number - 1 or after != number + 1 or number in plan.values or number in plan.names:
            changed |= {place - 1, place, place + 1}
    return sorted(changed & set(range(len(plan.sequence))))
