"""Where an entrypoint is written, found by reading the file: nothing is imported."""

from __future__ import annotations

import ast
import tokenize
from pathlib import Path

from pulpo.api.shapes import SourcePlace

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def source_place(root: Path, entrypoint: str) -> SourcePlace | None:
    """The `def` or `class` of `package.module:attribute.path` in the project at `root`; None where it is not plainly there."""
    module, _, attributes = entrypoint.partition(":")
    for directory in (root, root / "src"):
        stem = directory.joinpath(*module.split("."))
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if file.is_file():
                return _defined(file, root, attributes.split("."))
    return None


def _defined(file: Path, root: Path, names: list[str]) -> SourcePlace | None:
    try:
        with tokenize.open(file) as stream:
            node: ast.AST | None = ast.parse(stream.read())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    for name in names:
        node = _last(node, name) if node is not None else None
    if not isinstance(node, _DEFINITIONS):
        return None
    return SourcePlace(file=file.relative_to(root).as_posix(), line=node.lineno, column=node.col_offset + 1)


def _last(node: ast.AST, name: str) -> ast.AST | None:
    """The definition of a name directly in a body: the last one counts, as it does when the module runs."""
    found = [child for child in ast.iter_child_nodes(node) if isinstance(child, _DEFINITIONS) and child.name == name]
    return found[-1] if found else None
