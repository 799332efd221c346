"""The new text of a document, as pieces: slices of the old text, and what is written anew between them."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pulpo.manifest.equality import ORDERED, same
from pulpo.manifest.layout import LINE, MANIFEST, Layout
from pulpo.manifest.splice_blocks import Lines
from pulpo.manifest.splice_excerpts import Excerpts
from pulpo.manifest.splice_flows import Flow
from pulpo.manifest.splice_parts import is_flow
from pulpo.manifest.splice_plan import Plan, of_list, of_mapping
from pulpo.manifest.splice_scalars import Style, restyled
from pulpo.manifest.yaml_write import block, flow, flow_entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulpo.diagnostics import Path
    from pulpo.manifest.splice_parts import Part, Piece, Source

_COMMENT = re.compile(r"[ \t]+(#[^\r\n]*)")
#: That of a block scalar.
_HEADER_COMMENT = re.compile(r"[|>][-+0-9]*[ \t]+(#[^\r\n]*)")
_BREAK = re.compile(r"\r\n?|\n")
_LONG_KEY = 1000
#: How long the paths of the entries of sections are.
_SECTION = 2
_MISSING = object()


@dataclass(frozen=True, slots=True)
class _Frame:
    """A collection that is edited."""

    layout: Layout
    path: Path
    #: How far the entries of the collection, or of the block collection around it, are indented.
    column: int
    #: How much deeper the entries of a collection within it are.
    step: int
    flow: bool = False
    is_list: bool = False

    def inner(self, part: Part, number: int) -> _Frame:
        """For the value of an entry, seen from outside."""
        layout = self.layout.of(part.name) if part.name is not None else self.layout.each or LINE
        return replace(self, layout=layout, path=(*self.path, number if part.name is None else part.name))


class Editor:
    """Finds the pieces of the new text."""

    def __init__(self, source: Source, wanted: Mapping[str, Any], renamed: Mapping[Path, str], *, one_line: bool) -> None:
        """`one_line`: block scalars that change are not written as block scalars."""
        self._source = source
        self._text = source.text
        self._wanted = wanted
        self._renamed = renamed
        self._one_line = one_line
        self.excerpts = Excerpts(source)

    def pieces(self) -> list[Piece]:
        """The new text."""
        root, data = self._source.document.root, self._source.document.data
        if isinstance(root, MappingNode) and root.value and self._wanted:
            start, end, pieces = self._collection(root, data, self._wanted, _Frame(MANIFEST, (), 0, 2))
            return [(0, start), *pieces, (end, len(self._text))]
        start, end = self._source.content_start(root), self._source.end(root)
        text = block(self._wanted, MANIFEST).removesuffix("\n") if self._wanted else "{}"
        beside = "\n" if self._source.column(start) else ""
        opening = len(self._text[:start].rstrip(" ")) if beside else start
        text = self._spaced(beside + text, end)
        return [(0, opening), text.replace("\n", self._source.newline(start)), (end, len(self._text))]

    def _collection(self, node: Node, old: Any, new: Any, frame: _Frame) -> tuple[int, int, list[Piece]]:
        """The span of a collection that stays one of its kind, and the pieces that take its place."""
        parts = self._source.parts(node)
        start = self._source.content_start(node)
        frame = replace(frame, is_list=isinstance(node, SequenceNode), flow=is_flow(node))
        lines: Lines | Flow
        if frame.flow:
            lines = Flow(self._source, parts, start + 1, self._source.end(node) - 1, frame.column + 2 * frame.step)
        else:
            column = self._source.column(start)
            step = _step(self._source, parts, column) or max(column - frame.column, 0) or frame.step
            frame = replace(frame, column=column, step=step)
            lines = Lines(self._source, parts, column, root=not frame.path)
        plan = of_list(old, new) if frame.is_list else self._plan(parts, old, new, frame)

        def core(number: int) -> list[Piece]:
            part = parts[number]
            end = lines.chunks[number].end if isinstance(lines, Lines) else part.value_end
            if number not in plan.values and number not in plan.names:
                return [(part.start, end)]
            before = old[number if part.name is None else part.name]
            pieces, resume = self._value(part, before, plan.values.get(number, before), frame.inner(part, number), frame)
            return [*self._opening(part), *self._key(part, plan.names.get(number)), *pieces, (resume, max(end, resume))]

        if plan.sequence == list(range(len(parts))):
            pieces = lines.unmoved(core)
        else:
            sequence = [item if isinstance(item, int) else self._new(item[0], new, frame) for item in plan.sequence]
            pieces = lines.laid_out(sequence, core, plan.moved)
        if len(frame.path) < _SECTION:
            self.excerpts.add(plan, parts, lines.entries if isinstance(lines, Lines) else None, frame.path)
        return (*lines.span, pieces)

    def _plan(self, parts: Sequence[Part], old: dict[str, Any], new: dict[str, Any], frame: _Frame) -> Plan:
        names: dict[int, str] = {}
        for number, part in enumerate(parts) if self._renamed else ():
            key = self._renamed.get((*frame.path, part.name or ""))
            if key in new and key not in old and part.name not in new and len(key) < _LONG_KEY:
                names[number] = key
        return of_mapping(parts, old, new, frame.layout, names, ordered=frame.path[-1:] != () and frame.path[-1] in ORDERED)

    def _new(self, key: str | int, new: Any, frame: _Frame) -> str:
        """The text of an entry that comes."""
        if isinstance(key, int):
            text = flow(new[key], frame.layout.each or LINE, within=frame.flow)
            return text if frame.flow else f"{' ' * frame.column}- {text}\n"
        if frame.flow:
            return flow_entry(key, new[key], frame.layout)
        return block({key: new[key]}, frame.layout, " " * frame.column, " " * frame.step)

    def _opening(self, part: Part) -> list[Piece]:
        """A key over several lines that gets a value has to say that it is one."""
        over_lines = not part.has_colon and _BREAK.search(self._text, part.key_start, part.key_end)
        return ["? "] if over_lines and part.start == part.key_start and part.name is not None else []

    def _key(self, part: Part, name: str | None) -> list[Piece]:
        """What stands from the start of an entry up to the space before its value."""
        if name is None:
            return [(part.start, part.after)]
        key = self._text[part.key_start : part.key_end]
        anchor = re.match(r"&\S+\s+", key)
        begin = anchor.end() if anchor else 0
        quote = key[begin] if key[begin] in "'\"" else None
        text = restyled(Style(key[begin:], quote, flow=True, indent=0, newline=""), name)
        return [(part.start, part.key_start + begin), text, (part.key_end, part.after)]

    def _value(self, part: Part, old: Any, new: Any, inner: _Frame, outer: _Frame) -> tuple[list[Piece], int]:
        """What stands behind the colon or the dash, and where the old text goes on."""
        node = part.value
        ordered = inner.path[-1] in ORDERED
        if same(old, new, ordered=ordered) or (part.alias and self._follows(node, new, ordered=ordered)):
            return [(part.after, part.value_end)], part.value_end
        # A pair in [ ] that stands for a mapping has no brackets to put more into.
        if not part.alias and _is_like(node, new) and (not is_flow(node) or self._text[self._source.content_start(node)] in "[{"):
            start, end, pieces = self._collection(node, old, new, inner)
            return [(part.after, start), *pieces], end
        if len(inner.path) < _SECTION:
            self.excerpts.suffice = False
        lines = _as_lines(new, inner, outer)
        if not part.alias and not isinstance(node, ScalarNode) and not is_flow(node):
            return self._instead_of_block(part, new, inner, lines)
        if lines is not None:
            return self._lines_instead(part, lines)
        return self._inline_instead(part, new, inner, outer), part.value_end

    def _instead_of_block(self, part: Part, new: Any, inner: _Frame, lines: str | None) -> tuple[list[Piece], int]:
        """In place of a block collection: its comments go, that beside the key stays."""
        rest = self._text[part.after : self._source.end_of_text(part.after)]
        beside = _COMMENT.search(rest) if self._source.content_start(part.value) >= part.after + len(rest) else None
        comment = f"  {beside[1]}" if beside else ""
        newline = self._source.newline(part.after)
        text = comment + "\n" + lines.removesuffix("\n") if lines is not None else f" {flow(new, inner.layout)}{comment}"
        resume = self._source.end_of_text(part.value_end)
        return [text.replace("\n", newline)], resume

    def _lines_instead(self, part: Part, lines: str) -> tuple[list[Piece], int]:
        """Lines in place of a scalar, an alias or a flow collection; the comments stay."""
        resume = self._source.end_of_text(part.value_end)
        content = part.value_start if part.alias else min(self._source.content_start(part.value), part.value_end)
        above = _BREAK.split(self._text[part.after : max(content, part.after)].replace(self._source.anchor(part.value), "", 1))
        header = _HEADER_COMMENT.match(self._text, content)
        behind = (header[1] if header else self._text[part.value_end : resume]).strip()
        beside, *between = (line.strip() for line in above)
        # What stood behind the value is of the whole entry: above the first line it would go with that one.
        comments = [beside, *between, behind] if beside else [behind, *between]
        indent = lines[: len(lines) - len(lines.lstrip(" "))]
        colon = "" if part.has_colon else f"\n{' ' * self._source.column(part.start)}:"
        text = colon + (f"  {comments[0]}" if comments[0] else "") + "\n"
        text += "".join(f"{indent}{comment}\n" for comment in comments[1:] if comment) + lines.removesuffix("\n")
        return [text.replace("\n", self._source.newline(part.after))], resume

    def _inline_instead(self, part: Part, new: Any, inner: _Frame, outer: _Frame) -> list[Piece]:
        """A value in place of a scalar, an alias or a flow collection."""
        node = part.value
        newline = self._source.newline(part.after)
        content = part.value_start if part.alias or part.value_start == part.value_end else self._source.content_start(node)
        content = min(content, part.value_end)
        quote = node.style if isinstance(node, ScalarNode) and not part.alias else None
        style = Style(self._text[content : part.value_end], quote, outer.flow, outer.column + outer.step, newline)
        text = restyled(style, new, inner.layout, one_line=self._one_line)
        before = self._text[part.after : content]
        if not part.has_colon:
            text = f": {text}" if outer.flow else f"{newline}{' ' * outer.column}: {text}"
        elif content == part.value_end and not before[-1:].isspace():
            text = f" {text}"
        # What `<<` merges can't become a scalar: the anchor of a collection goes, and its aliases keep the value.
        kept = content if part.alias or isinstance(node, ScalarNode) else min(content, node.start_mark.index)
        return [(part.after, kept), self._spaced(text, part.value_end)]

    def _spaced(self, text: str, end: int) -> str:
        """New text for what ends there: behind a bracket a comment may begin at once, behind a plain text not."""
        return f"{text} " if self._text[end : end + 1] == "#" else text

    def _follows(self, node: Node, new: Any, *, ordered: bool) -> bool:
        """Whether what an alias stands for becomes the same."""
        return same(self._defined.get(node.start_mark.index, _MISSING), new, ordered=ordered)

    @functools.cached_property
    def _defined(self) -> dict[int, Any]:
        """The wanted values of nodes with an anchor, by where they begin."""
        starts = {start for start, _, _, is_alias in self._source.tokens if not is_alias}
        defined: dict[int, Any] = {}

        def visit(node: Node, wanted: Any, path: Path) -> None:
            start = node.start_mark.index
            if start in starts:
                if start in defined:
                    return
                defined[start] = wanted
            if isinstance(node, MappingNode):
                for key, value in node.value:
                    name = self._renamed.get((*path, key.value), key.value)
                    visit(value, wanted.get(name, _MISSING) if isinstance(wanted, dict) else _MISSING, (*path, key.value))
            elif isinstance(node, SequenceNode):
                for number, item in enumerate(node.value):
                    fits = isinstance(wanted, list) and number < len(wanted)
                    visit(item, wanted[number] if fits else _MISSING, (*path, number))

        visit(self._source.document.root, self._wanted, ())
        return defined


def _is_like(node: Node, value: Any) -> bool:
    """Whether a node with entries stays a collection of its kind, with entries."""
    kind = dict if isinstance(node, MappingNode) else list
    return not isinstance(node, ScalarNode) and bool(node.value) and isinstance(value, kind) and bool(value)


def _step(source: Source, parts: Sequence[Part], column: int) -> int:
    """How much deeper the first block collection within the entries is."""
    for part in parts:
        if not part.alias and not isinstance(part.value, ScalarNode) and not is_flow(part.value):
            step = source.column(source.content_start(part.value)) - column
            if step > 0:
                return step
    return 0


def _as_lines(value: Any, inner: _Frame, outer: _Frame) -> str | None:
    """The lines of a value that is written below its key."""
    if outer.flow or outer.is_list:
        return None
    indent = " " * (outer.column + outer.step)
    if inner.layout.is_block(value):
        return block(value, inner.layout, indent, " " * outer.step)
    return f"{indent}{{}}\n" if inner.layout.own_line and value == {} else None
