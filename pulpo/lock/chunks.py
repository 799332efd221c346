"""A lock's text, cut into the chunks that its keys are: what two branches' versions of it are merged by.

A chunk is the lines of one key of a block mapping: the comments directly above it, the line of the key, what the key holds, and
the comments that hang below. The chunks of a mapping, one after the other, are its text to the byte. A chunk is taken apart only
where somebody asks for what is in it: of two large versions most is the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pulpo.manifest.yaml_read import Document

_COMMENT = re.compile(r"(?<!\S)#[^\r\n]*")
_MARK = re.compile(r"(?<!\S)#")


class Parts(NamedTuple):
    """What is between the comments above a key and those below it."""

    #: The line of the key where it holds a block mapping, else the key and all that it holds.
    own: str
    #: Comments in it.
    notes: tuple[str, ...] = ()
    #: The chunks of that block mapping, in the order of the file.
    children: Mapping[str, Chunk] = {}


@dataclass(frozen=True)
class Chunk:
    """The lines of one key, or of the whole file."""

    #: The plain data of what the key holds.
    data: Any
    #: Comments and blank lines above the key.
    lead: str = ""
    #: The key and all that it holds.
    body: str = ""
    #: Comments and blank lines below, less indented than what the key holds.
    tail: str = ""
    #: Takes the body apart.
    cut: Callable[[], Parts] | None = None

    @cached_property
    def parts(self) -> Parts:
        """The body, taken apart."""
        return self.cut() if self.cut else Parts(self.body)

    @property
    def text(self) -> str:
        """All of its lines."""
        return self.lead + self.body + self.tail

    def notes(self) -> Iterator[str]:
        """The comments in its body, from top to bottom."""
        yield from self.parts.notes
        for child in self.parts.children.values():
            yield from child.comments()

    def comments(self) -> Iterator[str]:
        """All of its comments, from top to bottom."""
        yield from _COMMENT.findall(self.lead)
        yield from self.notes()
        yield from _COMMENT.findall(self.tail)


def cut(document: Document) -> Chunk:
    """The chunks of a document; all of it is one where it is no block mapping. A last line without an end gets one."""
    text = document.text if document.text.endswith("\n") else f"{document.text}\n"
    cutter = _Cutter(text, text.splitlines(keepends=True))
    root, data = document.root, document.data
    end = cutter.last_content(root, 0)
    if not _in_lines(root) or end is None:
        start, stop = root.start_mark.line, len(cutter.lines)
        body = cutter.joined(start, stop)
        return Chunk(data, cutter.joined(0, start), body, "", lambda: Parts(body, cutter.notes(root, root, start, stop)))
    first = cutter.above(root.value[0][0].start_mark.line, 0)
    # What stands below at the margin belongs to no key.
    below = cutter.below(end + 1, len(cutter.lines), 1)
    lead, body, tail = cutter.joined(0, first), cutter.joined(first, below), cutter.joined(below, len(cutter.lines))
    return Chunk(data, lead, body, tail, lambda: Parts("", (), cutter.children(root, data, first, below)))


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
        content = self.last_content(value, line)
        inner = value.value[0][0].start_mark.line if _in_lines(value) else -1
        has_children = content is not None and inner > line
        column = self._column(inner) if has_children else self._column(line) + 1
        below = end if content is None else self.below(content + 1, end, column)

        def parts() -> Parts:
            if not has_children:
                return Parts(self.joined(line, below), self.notes(key, value, line, below))
            first = self.above(inner, column)
            return Parts(self.joined(line, first), self.notes(key, key, line, first), self.children(value, data, first, below))

        return Chunk(data, self.joined(start, line), self.joined(line, below), self.joined(below, end), parts)

    def notes(self, key: Node, value: Node, start: int, end: int) -> tuple[str, ...]:
        """The comments in some lines, given the nodes in them."""
        text = self.joined(start, end)
        if "#" not in text:
            return ()
        offset = key.start_mark.index - key.start_mark.column
        spans = [(a - offset, b - offset) for node in (key, value) for a, b in self._scalars(node)]
        found: dict[int, str] = {}
        for mark in (match.start() for match in _MARK.finditer(text)):
            if not any(a <= mark < b for a, b in spans):
                end_of_line = text.index("\n", mark)
                found.setdefault(end_of_line, text[mark:end_of_line])
        return tuple(found.values())

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
        """Of lines without content, the first that is indented less than a column, or the end; or the blank lines right above."""
        first = next((n for n in range(start, end) if self.lines[n].strip() and self._column(n) < column), end)
        while first > start and not self.lines[first - 1].strip():
            first -= 1
        return first

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
