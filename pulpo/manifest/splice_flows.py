"""A collection in [ ] or { }: which commas, spaces and comments belong to which item, and how to lay them out anew."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from pulpo.manifest.splice_parts import Part, Piece, Source

_COMMENT_BESIDE = re.compile(r"[ \t]+#[^\r\n]*")
_LAST_LINE = re.compile(r"(?:\r\n?|\n)[ \t]*\Z")


@dataclass(frozen=True, slots=True)
class _Segment:
    """What surrounds an item."""

    #: Spaces, line ends and comments before it.
    lead: str
    #: The same between it and its comma.
    gap: str
    #: A comment on the same line, behind the comma.
    beside: str


class Flow:
    """Puts the items of a flow collection together, in another order and with others between them."""

    def __init__(self, source: Source, parts: Sequence[Part], start: int, end: int, indent: int) -> None:
        """`start` and `end` are those of what stands within the brackets, `indent` that of new lines if nothing else is known."""
        self._text = source.text
        self._parts = parts
        opening = _COMMENT_BESIDE.match(self._text, start)
        self._opening = bool(opening)
        self.span = (opening.end() if opening else start, end)
        self._segments: list[_Segment] = []
        self._trailing_comma = False
        at = self.span[0]
        for part in parts:
            at = self._cut(source, part, at)
        self._tail = self._text[at:end]
        broken = next((found[0] for segment in self._segments if (found := _LAST_LINE.search(segment.lead))), None)
        self._broken = broken or source.newline(start) + " " * indent

    def _cut(self, source: Source, part: Part, at: int) -> int:
        lead = self._text[at : part.start]
        comma = source.skip(part.value_end)
        self._trailing_comma = self._text[comma] == ","
        behind = comma + 1 if self._trailing_comma else part.value_end
        gap = self._text[part.value_end : comma] if self._trailing_comma else ""
        beside = _COMMENT_BESIDE.match(self._text, behind)
        if part.has_colon and part.value_start == part.value_end and part.name is not None:
            # A comma or a bracket directly behind the colon would be part of the key.
            gap = gap or " "
        self._segments.append(_Segment(lead, gap, beside[0] if beside else ""))
        return beside.end() if beside else behind

    def unmoved(self, core: Callable[[int], list[Piece]]) -> list[Piece]:
        """All items where they are."""
        pieces: list[Piece] = []
        at = self.span[0]
        for number, part in enumerate(self._parts):
            pieces += [(at, part.start), *core(number)]
            at = part.value_end
        return [*pieces, (at, self.span[1])]

    def laid_out(
        self, sequence: Sequence[int | str], core: Callable[[int], list[Piece]], _moved: AbstractSet[int]
    ) -> list[Piece]:
        """The items in this order, new ones as text; `core` gives the text of an item."""
        pieces: list[Piece] = []
        commented = self._opening
        for position, item in enumerate(sequence):
            segment = self._segments[item] if isinstance(item, int) else _Segment("", "", "")
            lead = self._lead(position, item, segment)
            if commented and not _is_broken(lead):
                lead = self._broken
            pieces.append(lead)
            pieces += core(item) if isinstance(item, int) else [item]
            comma = position < len(sequence) - 1 or self._trailing_comma
            gap = segment.gap if comma or segment.gap == " " or "#" in segment.gap else ""
            pieces += [gap, "," if comma else "", segment.beside]
            commented = bool(segment.beside) or (not comma and "#" in segment.gap)
        return [*pieces, self._broken if commented and not _is_broken(self._tail) else self._tail]

    def _lead(self, position: int, item: int | str, segment: _Segment) -> str:
        """Spaces and line ends go with the position, comments with the item."""
        if "#" in segment.lead:
            return segment.lead
        first = self._segments[0].lead
        if position == 0:
            return first if "#" not in first else self._broken
        if isinstance(item, int) and item > 0:
            return segment.lead
        others = [other.lead for other in self._segments[1:] if "#" not in other.lead]
        if any(_is_broken(lead) for lead in (first, *others)):
            return self._broken
        return "" if others and not any(others) else " "


def _is_broken(space: str) -> bool:
    return "\n" in space or "\r" in space
