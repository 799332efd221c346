"""Writing a manifest as canonical YAML: the same data gives the same bytes.

Sections and fields come in a fixed order, entries sorted by name; block style goes down to the fields of entries, and what
lies below is one line per fact, never wrapped, so that a change of the code shows as the one line that it is. What people
have edited is not written with `dumps` (it would lose their comments) but spliced, with the same `scalar` and `flow`.

A string stands without quotes only where every YAML 1.1 and 1.2 parser reads it as that string.
"""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic
from pulpo.errors import DiagnosticsError
from pulpo.manifest.layout import LINE, MANIFEST, Layout
from pulpo.manifest.schema import SCHEMA_URL
from pulpo.manifest.yaml_text import MAX_DEPTH, MAX_INTEGER, UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pulpo.diagnostics import Path

HEADER = f"""\
# yaml-language-server: $schema={SCHEMA_URL}
# Made by `pulpo lock` from the code, and yours to edit: see docs/manifest.md for who owns which field.
"""

#: Begins with a letter, `_`, `$` or `/`, so it can be no number, date or indicator; holds nothing that ends a plain scalar.
_PLAIN = re.compile(r"(?:[^\W\d]|[_$/])(?:[\w./$@%+=();<>'|&*?!^~-]|[ ](?=[\w./$@%+=(<]))*")
#: Outside of [ ] and { } also commas, and colons within a word.
_PLAIN_IN_BLOCK = re.compile(r"(?:[^\W\d]|[_$/])(?:[\w./$@%+=();<>'|&*?!^~,-]|:(?=[\w/])|[ ](?=[\w./$@%+=(<]))*")
#: What YAML 1.1 reads as booleans and nulls, in any case.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_ESCAPED = re.compile(rf'["\\\t\n\r]|{UNREADABLE.pattern}')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
#: A key may be written without `? ` up to 1024 characters (YAML 1.2.2, 7.4.2).
_LONG_KEY = 1000


def dumps(data: Mapping[str, Any]) -> str:
    """The canonical text of a manifest, given as plain data (`Manifest.data()`); `read` gives the same data back.

    Raises:
        DiagnosticsError: Values that YAML or JSON can't hold, one diagnostic (PLP006) for each.
    """
    lines = [HEADER]
    try:
        _block(data, MANIFEST, "", lines, 0)
    except (_UnwritableError, RecursionError):
        raise DiagnosticsError(list(_unwritable(data, ()))) from None
    return "".join(lines) if data else f"{HEADER}{{}}\n"


def scalar(value: object, *, in_flow: bool) -> str:
    """A scalar as YAML on one line; `in_flow`: to stand within [ ] or { }, or as a key."""
    if isinstance(value, str):
        return _string(value, in_flow)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    problem = _problem(value)
    if problem:
        raise _UnwritableError(problem)
    return _float(value) if isinstance(value, float) else str(value)


def flow(value: object, layout: Layout = LINE, depth: int = 0, *, in_flow: bool = False) -> str:
    """A value as YAML on one line, in flow style; `depth` is how many collections it lies in."""
    if isinstance(value, dict):
        _check_depth(depth)
        items = [
            _entry(key, flow(item, layout.of(key), depth + 1, in_flow=True), "")
            for key, item in layout.ordered(value)
        ]
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list):
        _check_depth(depth)
        return f"[{', '.join([flow(item, layout.each, depth + 1, in_flow=True) for item in value])}]"
    return scalar(value, in_flow=in_flow)
