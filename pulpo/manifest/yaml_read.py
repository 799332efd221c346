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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pulpo.diagnostics import Diagnostic, Place, Related
from pulpo.errors import DiagnosticsError
from pulpo.manifest.yaml_compose import BOOL, FLOAT, INT, MAP, MERGE, NULL, SEQ, STR, TOO_DEEP, Composer, compose, place_of
from pulpo.manifest.yaml_text import MAX_DEPTH, MAX_INTEGER, MAX_KEY, MAX_NODES, MAX_PROBLEMS, check_text, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pulpo.diagnostics import Path

#: Aliases may make a document as large as this many times its characters, or this many nodes, but never larger than MAX_NODES.
_GROWTH, _NODES = 20, 200_000


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
    def root(self) -> Node:
        """The node that the text is, with all that are in it; kept from reading where `read` was told so."""
        with collector_paused():
            return compose(self.text, self.file)

    @functools.cached_property
    def _entries(self) -> dict[int, tuple[dict[str, tuple[Node, Node]], list[Node]]]:
        return {}

    def locate(self, path: Path, *, key: bool = False) -> Place:
        """The place of a value: where it begins if that is the line of its key, else its key; of an entry always its name.

        Of a path that does not exist, the place of its nearest ancestor's key. `key` asks for the key in any case. The place
        of a collection in block style ends with its first key or item.
        """
        found: tuple[Node | None, Node] = (None, self.root)
        for part in path:
            child = self._child(found[1], part)
            if child is None:
                key = True
                break
            found = child
        name, value = found
        # An alias's value stands elsewhere, above its key.
        if name is not None and (
            key
            or (_is_entry(path) and isinstance(value, MappingNode))
            or name.start_mark.line != value.start_mark.line
            or value.start_mark.index < name.end_mark.index
        ):
            return place_of(self.file, name)
        return place_of(self.file, value)

    def _child(self, node: Node, part: str | int) -> tuple[Node | None, Node] | None:
        if isinstance(node, SequenceNode):
            return (None, node.value[part]) if isinstance(part, int) and 0 <= part < len(node.value) else None
        seen: set[int] = set()
        waiting = [node]
        while waiting:
            mapping = waiting.pop()
            if isinstance(mapping, MappingNode) and id(mapping) not in seen:
                seen.add(id(mapping))
                entries, merged = self._entries_of(mapping)
                if part in entries:
                    return entries[part]
                waiting += reversed(merged)
        return None

    def _entries_of(self, node: Node) -> tuple[dict[Any, tuple[Node, Node]], list[Node]]:
        """A mapping's own entries, and what `<<` names in it, the first of them the strongest."""
        found = self._entries.get(id(node))
        if found is None:
            merged = next((value for key, value in node.value if key.ctag is MERGE), None)
            sources = list(merged.value) if isinstance(merged, SequenceNode) else [merged] if merged is not None else []
            found = ({key.value: (key, value) for key, value in node.value if key.ctag is not MERGE}, sources)
            self._entries[id(node)] = found
        return found


def read(text: str, file: str, *, keep_nodes: bool = False) -> Document:
    """Parse the text of a file; `file` is what places call it.

    `keep_nodes` is for those who need all places, or to edit the text at its nodes: `Document.root` is then there already.

    Raises:
        DiagnosticsError: The text is not YAML, or none that has one plain meaning (PLP002 to PLP004).
    """
    check_text(text, file)
    with collector_paused():
        builder = _Builder(file, budget=min(max(_NODES, _GROWTH * len(text)), MAX_NODES))
        root = compose(text, file)
        data = builder.build(root)
        if builder.problems:
            raise DiagnosticsError(builder.problems)
        document = Document(file, text, data)
        if keep_nodes:
            document.__dict__["root"] = root  # as `cached_property` would
        del root
    return document


def is_merge(key: Node) -> bool:
    """Whether a key is the merge key, `<<`."""
    return key.ctag is MERGE


def data_of(node: Node) -> Any:
    """The plain data of a node of a valid document."""
    return _Builder("", budget=MAX_NODES).build(node)


def anchors_and_aliases(text: str) -> Iterator[tuple[int, int, str, bool]]:
    """Where the nodes that have an anchor, and the aliases, of a valid text begin and end, their name, and if it is an alias."""
    parser = Composer(text)
    while parser.check_event():
        event = parser.get_event()
        if getattr(event, "anchor", None):
            yield event.start_mark.index, event.end_mark.index, event.anchor, isinstance(event, AliasEvent)


def _is_entry(path: Path) -> bool:
    """Whether a path is that of an operation, a model, a flow or another thing with a name, which problems are about."""
    return len(path) == (4 if path[:1] == ("environments",) and len(path) > 2 else 2)  # noqa: PLR2004 - section and name


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


class _EnoughError(Exception):
    """There is no use in going on: aliases make the document too large, or there are too many problems."""


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
        except _EnoughError:
            return None

    def _value(self, node: Node) -> Any:
        return _READERS.get(id(node.ctag), _Builder.tagged)(self, node)

    def tagged(self, node: Node) -> None:
        self._problem(node, f"tags are not read: {shortened(str(node.tag))}", hint="write the value without it, text in quotes")

    def collection(self, node: Node) -> Any:
        if len(self._path) > MAX_DEPTH:
            self._problem(node, TOO_DEEP)
            return None
        if id(node) in self._open:
            self._problem(node, "an alias of something that it is itself in")
            return None
        self._budget -= len(node.value)
        if self._budget < 0:
            self._problem(node, "the aliases make the document too large")
            raise _EnoughError
        self._open.add(id(node))
        data = self._mapping(node) if node.ctag is MAP else [self._inner(i, item) for i, item in enumerate(node.value)]
        self._open.discard(id(node))
        return data

    def _inner(self, part: str | int, node: Node) -> Any:
        if node.ctag is STR:
            return node.value
        self._path.append(part)
        value = self._value(node)
        self._path.pop()
        return value

    def _mapping(self, node: Node) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merges: list[Node] = []
        bad: list[Node] = []
        for key, value in node.value:
            name = key.value
            if key.ctag is STR and name not in data and len(name) <= MAX_KEY:
                data[name] = value.value if value.ctag is STR else self._inner(name, value)
            elif key.ctag is MERGE and not merges:
                merges.append(value)
            else:
                bad.append(key)
        if bad:
            self._bad_keys(node, bad)
        for value in merges:
            self._merge(data, value)
        return data

    def _merge(self, data: dict[str, Any], value: Node) -> None:
        for source in value.value if isinstance(value, SequenceNode) else [value]:
            if source.ctag is not MAP:
                self._problem(source, "`<<` takes a mapping or a list of mappings")
                continue
            for name, inherited in (self._inner("<<", source) or {}).items():
                data.setdefault(name, inherited)

    def _bad_keys(self, node: Node, keys: list[Node]) -> None:
        first: dict[str, Node] = {}
        for key, _ in node.value:
            if key.ctag is STR or key.ctag is MERGE:
                first.setdefault(key.value, key)
        for key in keys:
            if key.ctag is not STR and key.ctag is not MERGE:
                self._problem(key, *_no_string(key))
            elif len(key.value) > MAX_KEY:
                self._problem(key, f"a key is longer than {MAX_KEY:,} characters: {shortened(key.value)}")
            else:
                path = (*self._path, key.value)
                related = Related("it stands here first", path, place_of(self.file, first[key.value]))
                message = f"the key stands twice: {shortened(key.value)}"
                hint = "keep one of them"
                self._add(Diagnostic("PLP003", message, path, place_of(self.file, key), hint=hint, related=(related,)))

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
        self._problem(node, f"JSON has no such number: {shortened(node.value)}", hint="quote it if it is a text")
        return None

    def _problem(self, node: Node, message: str, hint: str | None = None) -> None:
        self._add(Diagnostic("PLP002", message, tuple(self._path), place_of(self.file, node), hint=hint))

    def _add(self, problem: Diagnostic) -> None:
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            self.problems.append(Diagnostic("PLP002", f"more than {MAX_PROBLEMS:,} problems: the rest is not shown"))
            raise _EnoughError


def _no_string(key: Node) -> tuple[str, str | None]:
    """What is wrong with a key that is not a string, and what to do."""
    if not isinstance(key, ScalarNode):
        return "a key is a string, not a list or a mapping", "put it in quotes if it is a text"
    if not key.value:
        return "a key is missing before the colon", None
    return f"a key is a string, quote it: {shortened(key.value)}", f'write "{shortened(key.value)}"'


_READERS: dict[int, Callable[[_Builder, Node], Any]] = {
    id(STR): lambda _, node: node.value,
    id(MERGE): lambda _, node: node.value,
    id(NULL): lambda *_: None,
    id(BOOL): lambda _, node: node.value[0] in "tT",
    id(INT): _Builder.integer,
    id(FLOAT): _Builder.number,
    id(MAP): _Builder.collection,
    id(SEQ): _Builder.collection,
}
