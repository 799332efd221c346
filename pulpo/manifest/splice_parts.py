"""A YAML text taken apart: where the entries of its mappings and the items of its lists begin and end, comments included."""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pulpo.manifest.yaml_read import anchors_and_aliases, is_merge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.manifest.yaml_read import Document

#: What stands between two tokens. In valid YAML a `#` there begins a comment.
_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\r\n]*)*")
_SPACE_AND_COMMAS = re.compile(r"(?:[ \t\r\n,]+|#[^\r\n]*)*")
_PROPERTY = re.compile(r"&[^\s,\[\]{}]+")
#: An ampersand or an asterisk where a token can begin.
_ANCHOR = re.compile(r"&(?<![^\s,\[{:]&)[^\s,\[\]{}]")
_KEEPS = re.compile(r"[|>][0-9]?\+")


#: A slice of the old text, or new text.
Piece = tuple[int, int] | str


@dataclass(frozen=True, slots=True)
class Part:
    """An entry of a mapping or an item of a list: offsets into the text."""

    #: None for an item of a list, and for a merge key.
    name: str | None
    merges: bool
    value: Node
    #: Where its `?`, its key, its dash or, in [ ], its value begins.
    start: int
    key_start: int
    key_end: int
    #: Behind its colon or dash; behind the key where it has none.
    after: int
    has_colon: bool
    #: An empty value begins and ends at `after`.
    value_start: int
    value_end: int
    #: The value is an alias.
    alias: bool


class Source:
    """The text of a document, its lines, and its nodes' parts."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.text = document.text
        self.lines = self.text.splitlines(keepends=True)
        self.starts = [0, *accumulate(map(len, self.lines))]
        self.has_anchors = bool(_ANCHOR.search(self.text))

    @functools.cached_property
    def tokens(self) -> list[tuple[int, int, str, bool]]:
        """The anchored nodes and the aliases, in the order of the text."""
        return list(anchors_and_aliases(self.text)) if self.has_anchors else []

    @functools.cached_property
    def aliases(self) -> dict[int, int]:
        """Where aliases begin, and where they end."""
        return {start: end for start, end, _, is_alias in self.tokens if is_alias}

    def line_at(self, at: int) -> int:
        """The number, from 0, of the line that a character is in."""
        return min(bisect_right(self.starts, at), len(self.lines)) - 1

    def column(self, at: int) -> int:
        """How many characters of its line stand before one."""
        return at - self.starts[self.line_at(at)]

    def end_of_text(self, at: int) -> int:
        """Where the line of a character ends, without its line end."""
        line = self.line_at(at)
        return self.starts[line] + len(self.lines[line].rstrip("\r\n"))

    def newline(self, at: int) -> str:
        """The line end of the line that a character is in, or of the nearest line above, or below, that has one."""
        here = min(self.line_at(at), len(self.lines) - 1)
        for line in (*self.lines[here : here + 1], *self.lines[max(here - 1, 0) : here], *self.lines[here + 1 : here + 2]):
            ending = line[len(line.rstrip("\r\n")) :]
            if ending:
                return ending
        return "\n"

    def content_start(self, node: Node) -> int:
        """Where a node begins, behind its anchor; not for aliases."""
        anchor = self.anchor(node)
        return self.skip(node.start_mark.index + len(anchor)) if anchor else int(node.start_mark.index)

    def anchor(self, node: Node) -> str:
        """The anchor of a node with its `&`, or nothing."""
        found = _PROPERTY.match(self.text, node.start_mark.index)
        if found is None or (isinstance(node, MappingNode) and self._is_of_a_key(found.end(), node)):
            return ""
        return found[0]

    def _is_of_a_key(self, end: int, node: Node) -> bool:
        """Whether an anchor where a mapping begins is that of its first key: of a block, the mapping's own has its line alone."""
        begin = self.skip(end)
        return self.text[begin] != "{" if is_flow(node) else self.line_at(begin) == self.line_at(end)

    def skip(self, at: int) -> int:
        """The first character from here on that is no space, line end or part of a comment."""
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def parts(self, node: Node) -> list[Part]:
        """The entries of a mapping, or the items of a list, in the order of the text."""
        return list(_Cutter(self, node))

    def end(self, node: Node) -> int:
        """Where the content of a node ends: no space, comment or line end behind it belongs to it."""
        while not isinstance(node, ScalarNode):
            if is_flow(node) and self.text[self.content_start(node)] in "[{":
                return int(node.end_mark.index)
            last = node.value[-1]
            value = last[1] if isinstance(node, MappingNode) else last
            if self.aliases or _is_empty(value):
                return self.parts(node)[-1].value_end
            node = value
        return _block_scalar_end(self, node) if node.style in ("|", ">") else int(node.end_mark.index)


def last_block_scalar(part: Part) -> Node | None:
    """The block scalar that an entry ends with: what follows could become part of it."""
    node = part.value
    while not part.alias and not isinstance(node, ScalarNode) and not is_flow(node) and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, MappingNode) else last
    return node if not part.alias and isinstance(node, ScalarNode) and node.style in ("|", ">") else None


def keeps_blank_lines(source: Source, scalar: Node) -> bool:
    """Whether blank lines below a block scalar are part of it."""
    return bool(_KEEPS.match(source.text, source.content_start(scalar)))


def _block_scalar_end(source: Source, node: Node) -> int:
    """Blank lines below belong to a scalar only where its `+` keeps them."""
    end: int = node.end_mark.index
    line = source.line_at(end) if source.column(end) else source.line_at(end) - 1
    if keeps_blank_lines(source, node):
        return end if source.column(end) else source.starts[line] + len(source.lines[line].rstrip("\r\n"))
    while line > node.start_mark.line and not source.lines[line].strip():
        line -= 1
    return source.starts[line] + len(source.lines[line].rstrip("\r\n"))


def is_flow(node: Node) -> bool:
    """Whether a node is a collection in flow style: in [ ] or { }, or a pair that stands for a mapping in [ ]."""
    return bool(getattr(node, "flow_style", False))


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.value and node.start_mark.index == node.end_mark.index


class _Cutter:
    """Goes through the parts of one collection."""

    def __init__(self, source: Source, node: Node) -> None:
        self._source = source
        self._text = source.text
        self._node = node
        self._at = source.content_start(node)
        self._flow = is_flow(node)
        self._column = -1 if self._flow else source.column(self._at)
        if self._flow and self._text[self._at] in "[{":
            self._at += 1

    def __iter__(self) -> Iterator[Part]:
        for child in self._node.value:
            part = self._item(child) if isinstance(self._node, SequenceNode) else self._entry(child)
            self._at = part.value_end
            yield part

    def _begin(self) -> int:
        found = (_SPACE_AND_COMMAS if self._flow else _SPACE).match(self._text, self._at)
        return found.end() if found else self._at

    def _item(self, value: Node) -> Part:
        start = self._begin()
        after = start if self._flow else start + 1
        begin, end, alias = self._value(value, after)
        return Part(None, False, value, start, start, start, after, True, begin, end, alias)

    def _entry(self, entry: tuple[Node, Node]) -> Part:
        key, value = entry
        start = key_start = key.start_mark.index
        if start < self._at or self._flow or key.start_mark.column != self._column:
            start = key_start = self._begin()
            # In { } libyaml takes any `?` for the mark of a key.
            if self._text[start] == "?" and (self._flow or self._text[start + 1] in " \t\r\n"):
                key_start = self._source.skip(start + 1)
        key_end = self._source.end(key) if key.start_mark.index == key_start else self._source.aliases[key_start]
        after, has_colon = key_end, False
        colon = self._source.skip(key_end)
        # In block style a key can begin with a colon, too.
        if self._text[colon : colon + 1] == ":" and (
            self._flow or self._text[colon + 1 : colon + 2].isspace() or colon + 1 == len(self._text)
        ):
            after, has_colon = colon + 1, True
        begin, end, alias = self._value(value, after)
        merges = is_merge(key)
        name = None if merges else key.value
        return Part(name, merges, value, start, key_start, key_end, after, has_colon, begin, end, alias)

    def _value(self, value: Node, after: int) -> tuple[int, int, bool]:
        start = value.start_mark.index
        if start < after:
            start = self._source.skip(after)
            return start, self._source.aliases[start], True
        if _is_empty(value):
            return after, after, False
        return start, self._source.end(value), False
