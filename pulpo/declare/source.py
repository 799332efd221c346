"""The source of declarations, as syntax trees: read when a place is asked for, each file once.

Nothing here raises for a file that can't be read, has changed since it was imported, or holds other code than was run: there
is then no exact place, and the caller tells the line that it knows.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tokenize
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pulpo.declare.registry import stamp
from pulpo.diagnostics import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

    from pulpo.declare.registry import ModelDeclaration, OperationDeclaration, Stamp

    Declaration = ModelDeclaration | OperationDeclaration

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Definition = FunctionNode | ast.ClassDef
_LIBRARIES = {"site-packages", "dist-packages"}
_DEFINED = re.compile(r"(?:async\s+)?(?:def|class)\s+(\w+)")


class SourceFile:
    """A parsed file and what stands in which of its lines.

    Raises:
        SyntaxError: It is no Python; `ValueError`, `RecursionError` and `MemoryError` likewise.
    """

    def __init__(self, file: str, text: str) -> None:
        #: The file as places name it.
        self.file = file
        self.lines = text.split("\n")
        #: By the line of the first decorator, or of `def`, and the name.
        self.functions: dict[tuple[int, str], list[FunctionNode]] = {}
        #: By qualified name.
        self.classes: dict[str, list[ast.ClassDef]] = {}
        #: By each line of the decorator.
        self.decorated: dict[int, tuple[ast.expr, Definition]] = {}
        #: By the line in which they begin.
        self.calls: dict[int, list[ast.Call]] = {}
        waiting: list[tuple[ast.AST, str]] = [(ast.parse(text), "")]
        while waiting:
            node, scope = waiting.pop()
            inner = self._note(node, scope)
            waiting += [(child, inner) for child in ast.iter_child_nodes(node)]

    def _note(self, node: ast.AST, scope: str) -> str:
        """Index a node; returns what the qualified names of those inside of it begin with."""
        if isinstance(node, ast.Call):
            self.calls.setdefault(node.lineno, []).append(node)
        elif isinstance(node, ast.Lambda):
            self.functions.setdefault((node.lineno, "<lambda>"), []).append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                lines = range(decorator.lineno, (decorator.end_lineno or decorator.lineno) + 1)
                self.decorated |= dict.fromkeys(lines, (decorator, node))
            if isinstance(node, ast.ClassDef):
                self.classes.setdefault(scope + node.name, []).append(node)
                return f"{scope}{node.name}."
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            self.functions.setdefault((first, node.name), []).append(node)
            return f"{scope}{node.name}.<locals>."
        return scope

    def place(self, node: ast.expr | ast.stmt | ast.arg) -> Place:
        """From where to where a node goes."""
        end = node.end_lineno or node.lineno
        column = self._column(node.lineno, node.col_offset)
        return Place(self.file, node.lineno, column, end, self._column(end, node.end_col_offset or node.col_offset))

    def name_of(self, node: Definition) -> Place:
        """The name that a function or class is defined by; a lambda is its own."""
        start = self.place(node)
        match = _DEFINED.match(self.lines[node.lineno - 1], start.column - 1)
        if isinstance(node, ast.Lambda) or match is None:
            return start
        return Place(self.file, node.lineno, match.start(1) + 1, node.lineno, match.end(1) + 1)

    def _column(self, line: int, offset: int) -> int:
        return column_of(self.lines[line - 1], offset)

    def calls_at(self, line: int) -> list[ast.Call]:
        """The calls that begin in a line, else those that go on in it."""
        around = (c for calls in self.calls.values() for c in calls if c.lineno <= line <= (c.end_lineno or c.lineno))
        return self.calls.get(line) or list(around)


def column_of(line: str, offset: int) -> int:
    """The column, in characters from 1, of an offset in the bytes of a line in UTF-8."""
    return len(line.encode()[:offset].decode(errors="replace")) + 1


@dataclass(frozen=True, slots=True)
class Site:
    """Where a declaration is written."""

    source: SourceFile
    #: The decorator, or the call that takes the decorator's arguments.
    call: ast.expr
    #: What is decorated, where it is written below the decorator.
    definition: Definition | None = None

    def argument(self, name: str) -> ast.expr | None:
        """The value of a keyword argument."""
        keywords = self.call.keywords if isinstance(self.call, ast.Call) else []
        return next((keyword.value for keyword in keywords if keyword.arg == name), None)

    def name_argument(self) -> ast.expr | None:
        """The first argument, which is the name unless it is left out."""
        return _name_argument(self.call)


@dataclass(slots=True)
class Sources:
    """The files of a project, parsed when they are first asked for."""

    #: Places are relative to it, and what lies elsewhere is not the project's.
    root: Path
    #: The version of each file that was imported, where it is known.
    files: Mapping[str, tuple[CodeType, Stamp]] = field(default_factory=dict)
    _parsed: dict[str, SourceFile | None] = field(default_factory=dict)

    def open(self, file: str) -> SourceFile | None:
        """A parsed file; None for what is no file in Python, or another one than was imported."""
        if file not in self._parsed:
            self._parsed[file] = self._parse(file)
        return self._parsed[file]

    def _parse(self, file: str) -> SourceFile | None:
        now = stamp(file)
        if now is None or (file in self.files and self.files[file][1] != now):
            return None
        try:
            text = source_text(file)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # told at the import
                return SourceFile(self.shown(file), text)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    def shown(self, file: str) -> str:
        """A file as places name it."""
        return Place(file, 1).seen_from(str(self.root)).file

    def site(self, declaration: Declaration) -> Site | None:
        """Where a declaration is written, if that is certain."""
        place = declaration.place
        source = self.open(place.file)
        if source is None:
            return None
        if found := source.decorated.get(place.line):
            return Site(source, *found)
        call = _applied(source.calls_at(place.line), declaration.name)
        return Site(source, call) if call else None

    def function(self, function: Any) -> tuple[SourceFile, FunctionNode] | None:
        """Where a function of the project is defined, below wrappers that name what they wrap."""
        code: CodeType | None = getattr(inspect.unwrap(function), "__code__", None)
        source = self._own(code.co_filename) if code else None
        found = source.functions.get((code.co_firstlineno, code.co_name), []) if code and source else []
        return (source, found[0]) if source and len(found) == 1 else None

    def class_of(self, cls: type) -> tuple[SourceFile, ast.ClassDef] | None:
        """Where a class of the project is defined."""
        file = getattr(sys.modules.get(cls.__module__), "__file__", None)
        source = self._own(file) if file else None
        found = source.classes.get(cls.__qualname__, []) if source else []
        return (source, found[0]) if source and len(found) == 1 else None

    def _own(self, file: str) -> SourceFile | None:
        path = Path(file)
        return self.open(file) if path.is_relative_to(self.root) and _LIBRARIES.isdisjoint(path.parts) else None


def source_text(file: str) -> str:
    """A file's text, in the encoding that it names.

    Raises:
        OSError: It can't be read; `SyntaxError` and `ValueError` where its encoding is not what it says.
    """
    if not Path(file).is_file():
        raise FileNotFoundError(file)
    with tokenize.open(file) as stream:
        return stream.read()


def _applied(calls: list[ast.Call], name: str) -> ast.Call | None:
    """Which of the calls in a line declares something by that name: `operation(name)(function)`, else `operation(function)`.

    One that has the name as a literal comes before those that work it out; where several could be it, none is.
    """
    applied = [call.func for call in calls if isinstance(call.func, ast.Call)]
    for candidates in (applied, calls):
        named = [call for call in candidates if _literal(_name_argument(call)) == name]
        possible = named or [call for call in candidates if _literal(_name_argument(call)) is None]
        if possible:
            return possible[0] if len(possible) == 1 else None
    return None


def _name_argument(call: ast.expr) -> ast.expr | None:
    if not isinstance(call, ast.Call):
        return None
    if call.args:
        return call.args[0]
    return next((keyword.value for keyword in call.keywords if keyword.arg == "name"), None)


def _literal(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def descend(node: ast.expr, path: tuple[str | int, ...]) -> ast.expr:
    """What is written at a path inside of a literal; as far down as it is literal."""
    for part in path:
        inner = next(_inside(node, part), None)
        if inner is None:
            break
        node = inner
    return node


def _inside(node: ast.expr, part: str | int) -> Iterator[ast.expr]:
    if isinstance(node, ast.Dict):
        yield from (v for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant) and k.value == part)
    elif isinstance(node, ast.Call):
        yield from (keyword.value for keyword in node.keywords if keyword.arg == part)
    elif isinstance(part, int):
        items = elements(node)
        if 0 <= part < len(items):
            yield items[part]


def elements(node: ast.expr) -> list[ast.expr]:
    """The items of a list, a tuple, or an annotation `tuple[…]`, written out one by one; else none."""
    if isinstance(node, ast.Subscript) and _last_name(node.value) in ("tuple", "Tuple"):
        node = node.slice
    items = node.elts if isinstance(node, ast.List | ast.Tuple) else []
    return [] if any(isinstance(item, ast.Starred) for item in items) else items


def _last_name(node: ast.expr) -> str | None:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None
