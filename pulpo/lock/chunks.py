"""A lock's text, cut into the chunks that its keys are: what two branches' versions of it are merged by.

A chunk is the lines of one key of a block mapping: the comments directly above it, the line of the key, what the key holds, and
the comments that hang below. The chunks of a mapping, one after the other, are its text to the byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.manifest.yaml_read import Document

_COMMENT = re.compile(r"(?<!\S)#[^\r\n]*")


@dataclass(frozen=True, slots=True)
class Chunk:
    """The lines of one key, or of the whole file."""

    #: The plain data of what the key holds.
    data: Any
    #: Comments and blank lines above the key.
    lead: str
    #: The line of the key where it holds a block mapping, else the key and all that it holds.
    own: str
    #: Comments beside the key and in what it holds, without those of the children.
    notes: tuple[str, ...] = ()
    #: The chunks of that block mapping, in the order of the file.
    children: dict[str, Chunk] = field(default_factory=dict)
    #: Comments and blank lines below, less indented than what the key holds.
    tail: str = ""

    @property
    def text(self) -> str:
        """All of its lines."""
        return "".join([self.lead, self.own, *(child.text for child in self.children.values()), self.tail])

    def whole(self) -> Chunk:
        """The same lines, not taken apart."""
        inside = self.children.values()
        notes = (*self.notes, *(note for child in inside for note in child.comments()))
        return replace(self, own=self.own + "".join(child.text for child in inside), notes=notes, children={})

    def comments(self) -> Iterator[str]:
        """All of its comments, from top to bottom."""
        yield from _COMMENT.findall(self.lead)
        yield from self.notes
        for child in self.children.values():
            yield from child.comments()
        yield from _COMMENT.findall(self.tail)


def cut(document: Document) -> Chunk:
    """The chunks of a document; all of it is in `own` where it is no block mapping. A last line without an end gets one."""
    text = document.text if document.text.endswith("\n") else f"{document.text}\n"
    cutter = _Cutter(text, text.splitlines(keepends=True))
    root = document.root
    end = cutter.last_content(root, 0)
    if not _in_lines(root) or end is None:
        return Chunk(document.data, "", text, cutter.notes(root, root, 0, len(cutter.lines)))
    first = cutter.above(root.value[0][0].start_mark.line, 0)
    # What stands below at the margin belongs to no key.
    below = cutter.below(end + 1, len(cutter.lines), 1)
    children = cutter.children(root, document.data, first, below)
    return Chunk(document.data, cutter.joined(0, first), "", (), children, cutter.joined(below, len(cutter.lines)))


def _in_lines(node: Node) -> bool:
    """Whether a node is a mapping whose keys stand on lines of their own, and says itself all that it holds."""
    if not isinstance(node, MappingNode) or node.flow_style or not node.value:
        return False
    lines = [key.start_mark.line for key, _ in node.value]
    return lines == sorted(set(lines)) and all(key.value != "<<" for key, _ in node.value)


@dataclass(frozen=True, slots=True)
class _Cutter:
    text: str
    lines: list[str]

    def joined(self, start: int, end: int) -> str:
        return "".join(self.lines[start:end])

    def children(self, mapping: Node, data: Any, start: int, end: int) -> dict[str, Chunk]:
        """The chunks of a mapping, whose lines these are."""
        column = self._column(mapping.value[0][0].start_mark.line)
        starts = [start, *(self.above(key.start_mark.line, column) for key, _ in mapping.value[1:])]
        bounds = zip(starts, [*starts[1:], end], strict=True)
        return {
            key.value: self._chunk(key, value, data[key.value], *bound)
            for (key, value), bound in zip(mapping.value, bounds, strict=True)
        }

    def _chunk(self, key: Node, value: Node, data: Any, start: int, end: int) -> Chunk:
        line = key.start_mark.line
        lead = self.joined(start, line)
        content = self.last_content(value, line)
        inner = value.value[0][0].start_mark.line if _in_lines(value) else -1
        if content is None or inner <= line:
            below = end if content is None else self.below(content + 1, end, self._column(line) + 1)
            return Chunk(data, lead, self.joined(line, below), self.notes(key, value, line, below), {}, self.joined(below, end))
        first = self.above(inner, self._column(inner))
        below = self.below(content + 1, end, self._column(inner))
        children = self.children(value, data, first, below)
        return Chunk(data, lead, self.joined(line, first), self.notes(key, key, line, first), children, self.joined(below, end))

    def notes(self, key: Node, value: Node, start: int, end: int) -> tuple[str, ...]:
        """The comments in some lines, given the nodes in them."""
        text = self.joined(start, end)
        if "#" not in text:
            return ()
        offset = key.start_mark.index - key.start_mark.column
        spans = [(a - offset, b - offset) for node in (key, value) for a, b in self._scalars(node)]
        found = _COMMENT.finditer(text)
        return tuple(match[0] for match in found if not any(a <= match.start() < b for a, b in spans))

    def _scalars(self, node: Node) -> Iterator[tuple[int, int]]:
        """Where scalars begin and end: nothing in them is a comment."""
        if isinstance(node, ScalarNode):
            start = node.start_mark.index
            # The line of a block scalar's indicator can have one.
            yield self.text.find("\n", start) if node.style in ("|", ">") else start, node.end_mark.index
        else:
            for item in node.value:
                for part in item if isinstance(item, tuple) else (item,):
                    yield from self._scalars(part)

    def _column(self, line: int) -> int:
        text = self.lines[line]
        return len(text) - len(text.lstrip(" "))

    def above(self, line: int, column: int) -> int:
        """The first line of the comments directly above a key."""
        while line and self.lines[line - 1].lstrip(" ").startswith("#") and self._column(line - 1) == column:
            line -= 1
        return line

    def below(self, start: int, end: int, column: int) -> int:
        """Of lines without content, the first that is indented less than a column, or else the end."""
        return next((n for n in range(start, end) if self.lines[n].strip() and self._column(n) < column), end)

    def last_content(self, node: Any, at_least: int) -> int | None:
        """The last line of what a node holds; None where it ends with an alias, whose node stands elsewhere."""
        if node.start_mark.line < at_least:
            return None
        if isinstance(node, ScalarNode) or node.flow_style or not node.value:
            end = node.end_mark
            last_line: int = end.line - (end.column == 0 and end.line > node.start_mark.line)
            return max(last_line, at_least)
        last = node.value[-1]
        if isinstance(node, MappingNode):
            return self.last_content(last[1], last[0].start_mark.line)
        return self.last_content(last, node.start_mark.line)
