"""Reading YAML strictly, and knowing where everything stands.

YAML 1.2's core schema and not a bit more: `yes`, `012`, `22:22` and dates are what they look like, not booleans, octals,
base-60 numbers and dates. What parsers read differently, or what hides a mistake, is refused: duplicate keys, keys that are
not strings, tags, numbers that JSON lacks, control characters. Aliases and merge keys (`<<`) are read, and can't blow up.

libyaml finds the nodes, by way of ruamel.yaml; which value a plain scalar means is decided here. ruamel's own parser does
the same where libyaml is missing, ten times slower.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml.docinfo import DocInfo
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.tag import Tag

from pulpo.diagnostics import Diagnostic, Place, Related
from pulpo.errors import DiagnosticsError
from pulpo.manifest.yaml_text import MAX_DEPTH, MAX_INTEGER, check_text

try:
    from ruamel.yaml.cyaml import CParser as _Parser  # type: ignore[attr-defined]
except ImportError:
    from ruamel.yaml.loader import SafeLoader as _Parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pulpo.diagnostics import Path

_STR, _INT, _FLOAT, _BOOL, _NULL, _MAP, _SEQ = (
    Tag(suffix=f"tag:yaml.org,2002:{kind}") for kind in ("str", "int", "float", "bool", "null", "map", "seq")
)
_MERGE = Tag(suffix="tag:yaml.org,2002:merge")
_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), _BOOL),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), _NULL),
    "<<": _MERGE,
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII
)
#: What a plain scalar that is not a string can begin with; the empty one is found in every string.
_FIRST = "-+.0123456789tTfFnN~<"
#: Aliases may make a document as large as this many times its characters, or this many nodes.
_GROWTH, _NODES = 20, 200_000

#: Begins a comment (up to the end of its line), an anchor or an alias, where it stands outside of scalars.
_BY_HAND = re.compile(r"#[^\n]*|[&*]")

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_PLAIN_WORDS = {
    "found character that cannot start any token": "a character that can't stand here",
    "mapping values are not allowed in this context": "a colon that can't stand here: quote the text around it, "
    "or check the indentation",
    "found unexpected ':'": "a colon within [ ] or { }: put the text around it in quotes",
    "could not find expected ':'": "a key without its colon",
    "did not find expected key": "a key was expected: check the indentation and the quotes above",
    "did not find expected '-' indicator": "a list item was expected: check the indentation",
    "did not find expected ',' or ']'": "a list in [ ] lacks a comma or its end",
    "did not find expected ',' or '}'": "a mapping in { } lacks a comma or its end",
    "found unexpected end of stream": "the file ends within quotes",
    "found undefined alias": "an alias of an anchor that is not set above it",
    "but found another document": "a second document begins here, but the lock is one",
}


@dataclass(frozen=True)
class Document:
    """A YAML file, read: its data, and where each part of it stands."""

    file: str
    text: str = field(repr=False)
    #: Plain dicts, lists, strings, numbers, booleans and None; nothing in it is shared.
    data: Any = field(repr=False)

    # Parsed again by the first who asks for a place: few do, and half a million nodes kept alive cost the garbage collector,
    # at the latest at exit, more than that.
    @functools.cached_property
    def _root(self) -> Node:
        with collector_paused():
            return _compose(self.text, self.file)

    def locate(self, path: Path, *, key: bool = False) -> Place:
        """The place of a value: where it begins if that is the line of its key, else its key.

        Of a path that does not exist, the place of its nearest ancestor's key. `key` asks for the key in any case.
        """
        found: tuple[Node | None, Node] = (None, self._root)
        for part in path:
            child = _child(found[1], part)
            if child is None:
                key = True
                break
            found = child
        name, value = found
        if name is not None and (key or name.start_mark.line != value.start_mark.line):
            return _place(self.file, name)
        return _place(self.file, value)


def read(text: str, file: str) -> Document:
    """Parse the text of a file; `file` is what places call it.

    Raises:
        DiagnosticsError: The text is not YAML, or none that has one plain meaning (PLP002 to PLP004).
    """
    check_text(text, file)
    with collector_paused():
        builder = _Builder(file, budget=max(_NODES, _GROWTH * len(text)))
        data = builder.build(_compose(text, file))
    if builder.problems:
        raise DiagnosticsError(builder.problems)
    return Document(file, text, data)


def hand_written(text: str) -> list[int]:
    """The lines, from 0, of a valid document that have a comment, an anchor or an alias: what its data does not tell."""
    # The span of an anchored scalar begins with its anchor.
    spans = sorted((start + (text[start : start + 1] == "&"), end) for start, end in _scalar_spans(_compose(text, "")))
    lines: set[int] = set()
    at = 0
    for match in _BY_HAND.finditer(text):
        while at < len(spans) and spans[at][1] <= match.start():
            at += 1
        if at == len(spans) or match.start() < spans[at][0]:
            lines.add(text.count("\n", 0, match.start()))
    return sorted(lines)


def _scalar_spans(node: Node) -> Iterator[tuple[int, int]]:
    """Where scalars begin and end: what stands in none of them is structure, or a comment."""
    if isinstance(node, ScalarNode):
        yield node.start_mark.index, node.end_mark.index
    else:
        for item in node.value:
            for part in item if isinstance(item, tuple) else (item,):
                yield from _scalar_spans(part)


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Without garbage collection: it takes longer than the work where hundreds of thousands of objects are made to stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _TooDeepError(Exception):
    """The composer met a node nested too deep; it would recurse until the stack overflows."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node


class _Composer(_Parser):  # type: ignore[misc]
    """The parser with the core schema's resolution of plain scalars."""

    # ruamel's own parser asks its loader for these, which only its front door sets.
    max_depth = version = tags = None

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.doc_infos = [DocInfo()]
        # Called before and after each node. Closures: counting in attributes takes a fifth of the parser's time.
        self.descend_resolver, self.ascend_resolver = _depth_guard()

    def resolve(self, kind: type[Node], value: str | None, implicit: Any) -> Tag:
        """The tag of a node that has none in the text."""
        if kind is ScalarNode:
            if value is not None and implicit[0] and value[:1] in _FIRST:
                return _plain_tag(value)
            return _STR
        return _MAP if kind is MappingNode else _SEQ


def _depth_guard() -> tuple[Callable[[Node | None, object], None], Callable[[], None]]:
    depth = 0

    def descend(parent: Node | None, _index: object) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH + 2 and parent is not None:
            raise _TooDeepError(parent)

    def ascend() -> None:
        nonlocal depth
        depth -= 1

    return descend, ascend


def _plain_tag(value: str) -> Tag:
    word = _WORDS.get(value)
    if word is not None:
        return word
    if _INTEGER.fullmatch(value):
        return _INT
    return _FLOAT if _NUMBER.fullmatch(value) else _STR


def _compose(text: str, file: str) -> Node:
    composer = _Composer(text)
    try:
        root: Node | None = composer.get_single_node()
    except _TooDeepError as error:
        raise _error(file, _TOO_DEEP, place=_place(file, error.node)) from None
    except MarkedYAMLError as error:
        raise _syntax_error(error, text, file) from None
    except YAMLError as error:
        raise _error(file, str(error)) from None
    finally:
        composer.dispose()
    if root is None or (isinstance(root, ScalarNode) and not root.value):
        raise _error(file, "the file is empty", hint="delete it, and `pulpo lock` makes it from the code")
    return root


def _error(file: str, message: str, *, place: Place | None = None, hint: str | None = None) -> DiagnosticsError:
    return DiagnosticsError([Diagnostic("PLP002", message, place=place or Place(file, 1), hint=hint)])


def _syntax_error(error: MarkedYAMLError, text: str, file: str) -> DiagnosticsError:
    mark = error.problem_mark or error.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1)
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return _error(file, "a tab indents this line", place=place, hint="indent with spaces")
    problem = str(error.problem)
    return _error(file, _PLAIN_WORDS.get(problem, problem), place=place)


def _place(file: str, node: Node) -> Place:
    return Place(file, node.start_mark.line + 1, node.start_mark.column + 1)


def _child(node: Node, part: str | int) -> tuple[Node | None, Node] | None:
    if isinstance(node, SequenceNode):
        return (None, node.value[part]) if isinstance(part, int) and part < len(node.value) else None
    if not isinstance(node, MappingNode):
        return None
    for key, value in node.value:
        if key.value == part and key.ctag is not _MERGE:
            return key, value
    inherited = (_child(source, part) for source in _merged(node))
    return next((found for found in inherited if found), None)


def _merged(node: MappingNode) -> list[Node]:
    """What `<<` names in a mapping, the first of them the strongest."""
    for key, value in node.value:
        if key.ctag is _MERGE:
            return list(value.value) if isinstance(value, SequenceNode) else [value]
    return []


class _BlowUpError(Exception):
    """Aliases make the document too large to go on."""


class _Builder:
    """Makes plain data of nodes, and collects what is wrong with them."""

    def __init__(self, file: str, budget: int) -> None:
        self.file = file
        self.problems: list[Diagnostic] = []
        self._budget = budget
        self._path: list[str | int] = []
        self._open: set[int] = set()

    def build(self, root: Node) -> Any:
        """The data of a document; of no meaning when there are `problems`."""
        try:
            return self._value(root)
        except _BlowUpError:
            return None

    def _value(self, node: Node) -> Any:
        return _READERS.get(id(node.ctag), _Builder.tagged)(self, node)

    def tagged(self, node: Node) -> None:
        self._problem(node, f"tags are not read: {node.tag}", hint="write the value without it, text in quotes")

    def collection(self, node: Node) -> Any:
        if len(self._path) > MAX_DEPTH:
            self._problem(node, _TOO_DEEP)
            return None
        if id(node) in self._open:
            self._problem(node, "an alias of something that it is itself in")
            return None
        self._budget -= len(node.value)
        if self._budget < 0:
            self._problem(node, "the aliases make the document too large")
            raise _BlowUpError
        self._open.add(id(node))
        data = self._mapping(node) if node.ctag is _MAP else [self._inner(i, item) for i, item in enumerate(node.value)]
        self._open.discard(id(node))
        return data

    def _inner(self, part: str | int, node: Node) -> Any:
        if node.ctag is _STR:
            return node.value
        self._path.append(part)
        value = self._value(node)
        self._path.pop()
        return value

    def _mapping(self, node: Node) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merges: list[Node] = []
        for key, value in node.value:
            name = key.value
            if key.ctag is _STR and name not in data:
                data[name] = value.value if value.ctag is _STR else self._inner(name, value)
            elif key.ctag is _MERGE and not merges:
                merges.append(value)
            else:
                self._bad_key(node, key)
        for value in merges:
            self._merge(data, value)
        return data

    def _merge(self, data: dict[str, Any], value: Node) -> None:
        for source in value.value if isinstance(value, SequenceNode) else [value]:
            if source.ctag is not _MAP:
                self._problem(source, "`<<` takes a mapping or a list of mappings")
                continue
            for name, inherited in (self._inner("<<", source) or {}).items():
                data.setdefault(name, inherited)

    def _bad_key(self, node: Node, key: Node) -> None:
        if key.ctag is not _STR and key.ctag is not _MERGE:
            what = f"quote it: {key.value}" if isinstance(key, ScalarNode) else "not a list or a mapping"
            self._problem(key, f"a key is a string, {what}")
            return
        path = (*self._path, key.value)
        first = next(k for k, _ in node.value if k.value == key.value)
        related = Related("it stands here first", path, _place(self.file, first))
        message = f"the key stands twice: {key.value}"
        self.problems.append(Diagnostic("PLP003", message, path, _place(self.file, key), related=(related,)))

    def integer(self, node: Node) -> int | None:
        text = node.value
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        # Python refuses to read thousands of digits; nothing that long is within the bounds.
        number = int(text, base) if len(text) < len(str(MAX_INTEGER)) * 2 else MAX_INTEGER
        if abs(number) >= MAX_INTEGER:
            self._problem(node, "the number is too large")
            return None
        return number

    def number(self, node: Node) -> float | None:
        with contextlib.suppress(ValueError):  # .inf and .nan are not Python's words for them
            number = float(node.value)
            if math.isfinite(number):
                return number
        self._problem(node, f"JSON has no such number: {node.value}", hint="quote it if it is a text")
        return None

    def _problem(self, node: Node, message: str, *, hint: str | None = None) -> None:
        self.problems.append(Diagnostic("PLP002", message, tuple(self._path), _place(self.file, node), hint=hint))


_READERS: dict[int, Callable[[_Builder, Node], Any]] = {
    id(_STR): lambda _, node: node.value,
    id(_MERGE): lambda _, node: node.value,
    id(_NULL): lambda *_: None,
    id(_BOOL): lambda _, node: node.value[0] in "tT",
    id(_INT): _Builder.integer,
    id(_FLOAT): _Builder.number,
    id(_MAP): _Builder.collection,
    id(_SEQ): _Builder.collection,
}
