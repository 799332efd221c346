"""Finding the nodes of a YAML text: libyaml by way of ruamel.yaml, with YAML 1.2's core schema, within bounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ruamel.yaml.docinfo import DocInfo
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.tag import Tag

from pulpo.diagnostics import Diagnostic, Place
from pulpo.errors import DiagnosticsError
from pulpo.manifest.yaml_syntax import Parser, syntax_problem
from pulpo.manifest.yaml_text import MAX_DEPTH, MAX_NODES, shortened

if TYPE_CHECKING:
    from collections.abc import Callable

STR, INT, FLOAT, BOOL, NULL, MAP, SEQ = (
    Tag(suffix=f"tag:yaml.org,2002:{kind}") for kind in ("str", "int", "float", "bool", "null", "map", "seq")
)
MERGE = Tag(suffix="tag:yaml.org,2002:merge")
_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), BOOL),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), NULL),
    "<<": MERGE,
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII
)
#: What a plain scalar that is not a string can begin with; the empty one is found in every string.
_FIRST = "-+.0123456789tTfFnN~<"
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_TOO_MANY = f"the lock holds more than {MAX_NODES:,} keys and values"


class _TooMuchError(Exception):
    """The composer met a node nested too deep, where it would recurse until the stack overflows, or one too many."""

    def __init__(self, message: str, node: Node) -> None:
        super().__init__(message)
        self.node = node


class Composer(Parser):
    """The parser with the core schema's resolution of plain scalars."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.doc_infos = [DocInfo()]
        # Called before and after each node. Closures: counting in attributes takes a fifth of the parser's time.
        self.descend_resolver, self.ascend_resolver = _guard()

    def resolve(self, kind: type[Node], value: str | None, implicit: Any) -> Tag:
        """The tag of a node that has none in the text."""
        if kind is ScalarNode:
            if value is not None and implicit[0] and value[:1] in _FIRST:
                return _plain_tag(value)
            return STR
        return MAP if kind is MappingNode else SEQ


def _guard() -> tuple[Callable[[Node | None, object], None], Callable[[], None]]:
    depth = 0
    left = MAX_NODES

    def descend(parent: Node | None, _index: object) -> None:
        nonlocal depth, left
        depth += 1
        left -= 1
        if (depth > MAX_DEPTH + 2 or left < 0) and parent is not None:
            raise _TooMuchError(TOO_DEEP if left >= 0 else _TOO_MANY, parent)

    def ascend() -> None:
        nonlocal depth
        depth -= 1

    return descend, ascend


def _plain_tag(value: str) -> Tag:
    word = _WORDS.get(value)
    if word is not None:
        return word
    if _INTEGER.fullmatch(value):
        return INT
    return FLOAT if _NUMBER.fullmatch(value) else STR


def compose(text: str, file: str) -> Node:
    """The root node of a text; `file` is what places call it.

    Raises:
        DiagnosticsError: It is not YAML, holds nothing, or too much (PLP002).
    """
    composer = Composer(text)
    try:
        root: Node | None = composer.get_single_node()
    except _TooMuchError as error:
        raise _error(file, str(error), place=place_of(file, error.node)) from None
    except MarkedYAMLError as error:
        raise DiagnosticsError([syntax_problem(error, text, file)]) from None
    except YAMLError as error:
        raise _error(file, shortened(str(error))) from None
    finally:
        composer.dispose()
    if root is None or (isinstance(root, ScalarNode) and not root.value and not root.style):
        raise _error(file, _emptiness(text), hint="delete it, and `pulpo lock` makes it from the code")
    return root


def _emptiness(text: str) -> str:
    if not text.strip():
        return "the file is empty"
    lines = (line.strip() for line in text.splitlines())
    return "the file holds only comments" if all(not line or line[0] == "#" for line in lines) else "the document is empty"


def _error(file: str, message: str, *, place: Place | None = None, hint: str | None = None) -> DiagnosticsError:
    return DiagnosticsError([Diagnostic("PLP002", message, place=place or Place(file, 1), hint=hint)])


def place_of(file: str, node: Node) -> Place:
    """Where a node stands; one in block style is taken to end with its first key or item."""
    start, end = node.start_mark, _end(node)
    if end is None or end.index < start.index:  # it was not read to its end, or is an alias, whose value stands elsewhere
        end = start
    return Place(file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _end(node: Any) -> Any:
    """The mark where a scalar or a collection in flow style ends, and the first key or item of one in block style."""
    while not isinstance(node, ScalarNode) and not node.flow_style and node.value:
        first = node.value[0]
        node = first[0] if isinstance(first, tuple) else first
    return node.end_mark
