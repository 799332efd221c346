"""The line that a problem is about, with carets under the place: as wide as the terminal, and aligned in any script."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pulpo.codes.credentials import holds_credential

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pulpo.diagnostics import Diagnostic, Place

#: Tab stops in an excerpt.
_TAB = 4
#: Joiners within a word or an emoji, which take no room; other invisible characters are shown.
_JOINERS = "\u200c\u200d"
_CUT = "…"
#: Problems with text in their lines that must not be shown.
_CREDENTIAL = "PLP215"


@dataclass(slots=True)
class Excerpts:
    """Cuts excerpts out of files, each of which is read once; one that can't be read has none."""

    #: What the files of places are relative to.
    base: Path
    #: Columns of the terminal.
    width: int = 120
    #: Lines that are not shown, by file and number.
    hidden: set[tuple[str, int]] = field(default_factory=set)
    _lines: dict[str, list[str]] = field(default_factory=dict)

    def hide_secrets(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Show nothing of the lines that hold a credential."""
        for place in (d.place for d in diagnostics if d.code == _CREDENTIAL):
            if place is not None:
                self.hidden |= {(place.file, line) for line in range(place.line, (place.end_line or place.line) + 1)}

    def excerpt(self, place: Place) -> list[str]:
        """Two lines: that of the place with its number, and carets below it; none where there is no such line to show."""
        lines = self._of(place.file)
        if not 0 < place.line <= len(lines) or (place.file, place.line) in self.hidden:
            return []
        line = lines[place.line - 1]
        if not line or line.isspace():
            return []
        margin = f"{place.line:>4} | "
        text, carets = _drawn(line, *_span(place, line), self.width - len(margin))
        return [f"{margin}{text}".rstrip(), f"{' ' * (len(margin) - 2)}| {carets}"]

    def _of(self, file: str) -> list[str]:
        if file not in self._lines:
            self._lines[file] = ["" if holds_credential(line) else line for line in _read(self.base / file)]
        return self._lines[file]


def _read(path: Path) -> list[str]:
    try:
        # A pipe or a device would be waited for.
        return path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
    except (OSError, ValueError):
        return []


def _span(place: Place, line: str) -> tuple[int, int]:
    """The first and the last index, exclusive, of a place in its line: one character where its end is not known."""
    start = min(max(place.column - 1, 0), len(line))
    end = start + 1
    if place.end_line is not None and place.end_column is not None:
        end = place.end_column - 1 if place.end_line == place.line else len(line.rstrip())
    return start, max(end, start + 1)


def _drawn(line: str, start: int, end: int, width: int) -> tuple[str, str]:
    """A line and its carets, cut around them to a width."""
    width = max(width, 20)
    # What is farther away than the width can't be seen; lines may be as long as files.
    offset = max(0, start - width)
    seen = line[offset : start + width * 2]
    start, end = start - offset, min(end - offset, len(seen) + 1)
    cells = _cells(seen)
    first, last = _window(cells, start, width, cut_before=offset > 0, cut_after=len(line) > offset + len(seen))
    before = _CUT if first or offset else ""
    after = _CUT if last < len(cells) or len(line) > offset + len(seen) else ""
    indent = _room(before) + sum(map(_room, cells[first:start]))
    carets = sum(map(_room, cells[start : min(end, last)])) or 1
    return f"{before}{''.join(cells[first:last])}{after}", f"{' ' * indent}{'^' * carets}"


def _window(cells: list[str], start: int, width: int, *, cut_before: bool, cut_after: bool) -> tuple[int, int]:
    """Which cells are shown: all if there is room, else a third of it before the place."""
    rooms = [_room(cell) for cell in cells]
    if not cut_before and not cut_after and sum(rooms) <= width:
        return 0, len(cells)
    width -= 2 * len(_CUT)
    first = start
    lead = width // 3 if sum(rooms[start:]) > width * 2 // 3 else width - sum(rooms[start:])
    while first and (lead := lead - rooms[first - 1]) >= 0:
        first -= 1
    last, left = first, width + (0 if first or cut_before else len(_CUT))
    while last < len(cells) and (left := left - rooms[last]) >= 0:
        last += 1
    return first, last


def _cells(text: str) -> list[str]:
    """What is shown for each character: tabs as spaces, and nothing that would move the cursor or turn the text around."""
    cells: list[str] = []
    column = 0
    for character in text:
        cell = character
        if character == "\t":
            cell = " " * (_TAB - column % _TAB)
        elif character not in _JOINERS and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            cell = "\N{REPLACEMENT CHARACTER}"
        cells.append(cell)
        column += _room(cell)
    return cells


def _room(cell: str) -> int:
    """Columns that a cell takes."""
    if len(cell) != 1 or cell.isascii():
        return len(cell)
    if cell in _JOINERS or unicodedata.category(cell) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(cell) in "WF" else 1
