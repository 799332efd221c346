"""The lines of a block collection: which comments and blank lines belong to which entry, and how to lay them out anew."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.manifest.splice_parts import keeps_blank_lines, last_block_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from pulpo.manifest.splice_parts import Part, Piece, Source


@dataclass(frozen=True, slots=True)
class Chunk:
    """An entry with its comments: offsets into the text."""

    #: Where the lines between it and the one above begin: blank ones, and comments that belong to neither.
    gap: int
    #: Where the comments directly above it begin.
    head: int
    #: Behind its last line, and the deeper indented comments directly below.
    end: int


def chunks(source: Source, parts: Sequence[Part], column: int, *, root: bool) -> list[Chunk]:
    """The chunks of the entries of a block collection; the end of one is where the gap of the next begins."""
    found: list[Chunk] = []
    line = source.line_at(parts[0].start)
    inline = bool(source.text[source.starts[line] : parts[0].start].strip())
    top = line
    while not inline and top > 0 and _is_between(source.lines[top - 1]):
        top -= 1
    for part in parts:
        line = source.line_at(part.start)
        head = line
        while head > top and indent_of_comment(source.lines[head - 1]) == column:
            head -= 1
        if root and not found and head == top:
            # The comment that a file begins with is about the file.
            head = line
        below = source.line_at(part.value_end) + 1
        while below < len(source.lines) and (indent_of_comment(source.lines[below]) or 0) > column:
            below += 1
        first = inline and not found
        begin = part.start if first else source.starts[head]
        found.append(Chunk(part.start if first else source.starts[top], begin, source.starts[below]))
        top = below
    return found


def indent_of_comment(line: str) -> int | None:
    """How far a line is indented that is a comment and nothing else."""
    text = line.lstrip(" \t")
    return len(line) - len(text) if text[:1] == "#" else None


def _is_between(line: str) -> bool:
    return not line.strip() or indent_of_comment(line) is not None


def _is_blank(line: str) -> bool:
    return not line.strip()


class Lines:
    """Puts the chunks of a block collection together, in another order and with others between them."""

    def __init__(self, source: Source, parts: Sequence[Part], column: int, *, root: bool) -> None:
        self._source = source
        self._parts = parts
        self._column = column
        self.chunks = chunks(source, parts, column, root=root)
        line = source.text[source.starts[source.line_at(parts[0].start)] : parts[0].start]
        #: Behind a dash, or a colon of its own: how far from it.
        self._inline = len(line) - len(line.rstrip()) if line.strip() else 0
        self.newline = source.newline(parts[0].start)
        #: The pieces of each entry of the new text.
        self.entries: list[list[Piece]] = []

    @property
    def span(self) -> tuple[int, int]:
        """From the lines above the first entry to the end of the last."""
        return self.chunks[0].gap - self._inline, self.chunks[-1].end

    def laid_out(self, sequence: Sequence[int | str], core: Callable[[int], list[Piece]], moved: AbstractSet[int]) -> list[Piece]:
        """The entries in this order, new ones as lines; `core` gives what stands from the start of an entry to its end.

        `moved` are surely not where they were; of the others, as few as can be are.
        """
        stays = _longest_ascent([item for item in sequence if isinstance(item, int) and item not in moved])
        gaps, rest = self._gaps(stays)
        separator = self.newline if self._is_airy() else ""
        before: int | None = None
        for position, item in enumerate(sequence):
            if item in stays:
                gap = gaps.pop(item)
            elif position or not stays:
                gap = separator if position else ""
            else:
                first = min(stays)
                gap, gaps[first] = gaps[first], separator
            if before is not None and (scalar := last_block_scalar(self._parts[before])):
                gap = self._shallow(gap, blank=not keeps_blank_lines(self._source, scalar))
            pieces = [item.replace("\n", self.newline)] if isinstance(item, str) else self._chunk(item, core(item))
            self.entries.append([gap, *pieces])
            before = item if isinstance(item, int) else None
        return self._begun([*itertools.chain.from_iterable(self.entries), rest])

    def unmoved(self, core: Callable[[int], list[Piece]]) -> list[Piece]:
        """All entries where they are."""
        self.entries = [[(chunk.gap, self._parts[number].start), *core(number)] for number, chunk in enumerate(self.chunks)]
        return [(self.span[0], self.chunks[0].gap), *itertools.chain.from_iterable(self.entries)]

    def _chunk(self, number: int, core: list[Piece]) -> list[Piece]:
        chunk, part = self.chunks[number], self._parts[number]
        indent = " " * self._column if self._inline and number == 0 else ""
        last = next((text for piece in reversed(core) if (text := self._text(piece))), "")
        return [indent, (chunk.head, part.start), *core, "" if last.endswith(("\n", "\r")) else self.newline]

    def _text(self, piece: Piece) -> str:
        return piece if isinstance(piece, str) else self._source.text[slice(*piece)]

    def _begun(self, pieces: list[Piece]) -> list[Piece]:
        """Behind a dash there is no room for an indent, or for comments above."""
        if not self._inline:
            return pieces
        for number, piece in enumerate(pieces):
            text = self._text(piece)
            if not text:
                continue
            if not text.startswith(" " * self._column) or text[self._column :].startswith("#"):
                break
            rest: Piece = text[self._column :] if isinstance(piece, str) else (piece[0] + self._column, piece[1])
            return [" " * self._inline, rest, *pieces[number + 1 :]]
        return [self.newline, *pieces]

    def _is_airy(self) -> bool:
        """Whether blank lines stand between the entries."""
        airy = [any(map(_is_blank, self._gap(n))) for n in range(1, len(self.chunks))]
        return sum(airy) * 2 > len(airy)

    def _gap(self, number: int) -> list[str]:
        chunk = self.chunks[number]
        return self._source.text[chunk.gap : chunk.head].splitlines(keepends=True)

    def _gaps(self, stays: set[int]) -> tuple[dict[int, str], str]:
        """What stands before each entry that stays where it is, and behind the last of them."""
        gaps: dict[int, str] = {}
        pending: list[str] | None = None
        for number, chunk in enumerate(self.chunks):
            lines = self._gap(number) if chunk.gap != chunk.head else []
            if pending is not None:
                lines = _joined(pending, lines, first=not gaps)
            pending = None if number in stays else lines
            if number in stays:
                gaps[number] = "".join(lines)
        rest = pending or []
        while rest and _is_blank(rest[-1]):
            rest.pop()
        return gaps, "".join(rest)

    def _shallow(self, gap: str, *, blank: bool) -> str:
        """What can stand below a block scalar without becoming part of it: no deep comments; `blank`: blank lines first."""
        indent = " " * self._column
        lines = [
            indent + line.lstrip() if (indent_of_comment(line) or 0) > self._column else line
            for line in gap.splitlines(keepends=True)
        ]
        return "".join(lines if blank else itertools.dropwhile(_is_blank, lines))


def _longest_ascent(numbers: Sequence[int]) -> set[int]:
    """A longest subsequence of the numbers that ascends: what stays when the others are moved (patience sorting)."""
    tops: list[int] = []
    below: dict[int, int | None] = {}
    for number in numbers:
        pile = bisect_left(tops, number)
        below[number] = tops[pile - 1] if pile else None
        tops[pile : pile + 1] = [number]
    found: set[int] = set()
    at = tops[-1] if tops else None
    while at is not None:
        found.add(at)
        at = below[at]
    return found


def _joined(above: list[str], below: list[str], *, first: bool) -> list[str]:
    """The lines on both sides of what was removed, with as many blank lines between as stood on one side."""
    tail = next((n for n, line in enumerate(reversed(above)) if not _is_blank(line)), len(above))
    lead = next((n for n, line in enumerate(below) if not _is_blank(line)), len(below))
    return above + below[tail:] if lead > tail and not (first and not above) else above + below[lead:]
