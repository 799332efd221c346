"""Writing a manifest as canonical YAML: the same data gives the same bytes.

Block style goes down to the fields of entries; what lies below is one line per fact, never wrapped, so that a change of the
code shows as the one line that it is (`pulpo.manifest.layout` says which and in which order). A string stands without quotes
only where every YAML 1.1 and 1.2 parser reads it as that string.
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
    from collections.abc import Mapping

HEADER = f"""\
# yaml-language-server: $schema={SCHEMA_URL}
# Made by `pulpo lock` from the code, and yours to edit: see docs/manifest.md for who owns which field.
"""

_INDENT = "  "
#: Begins with a letter, `_`, `$` or `/`, so it is no number, date or indicator, and holds nothing that could end it.
_PLAIN = re.compile(r"(?:[^\W\d]|[_$/])(?:[\w./$@%+=()<>'-]|[ ](?=[\w./$@%+=(<]))*+")
#: Outside of [ ] and { } also commas, and colons within a word.
_PLAIN_IN_BLOCK = re.compile(r"(?:[^\W\d]|[_$/])(?:[\w./$@%+=()<>',;-]|:(?=[\w/])|[ ](?=[\w./$@%+=(<]))*+")
#: What YAML 1.1 reads as booleans and nulls, in any case.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_ESCAPED = re.compile(rf'["\\\t\n\r]|{UNREADABLE.pattern}')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_SURROGATE = re.compile("[\ud800-\udfff]")
#: Longer keys are written with `? `: without it they end at 1024 characters (YAML 1.2.2, 7.4.2).
_LONG_KEY = 1000


def dumps(data: Mapping[str, Any]) -> str:
    """The canonical text of a manifest, given as plain data (`Manifest.data()`); `read` gives the same data back.

    Raises:
        DiagnosticsError: There are values that YAML or JSON can't hold, one PLP006 for each.
    """
    check_values(data)
    lines = [HEADER]
    _block(data, MANIFEST, "", lines)
    return "".join(lines) if data else f"{HEADER}{{}}\n"


def check_values(data: Mapping[str, Any]) -> None:
    """Make sure that a text can hold the data.

    Raises:
        DiagnosticsError: There are values that YAML or JSON can't hold, one PLP006 for each.
    """
    problems: list[Diagnostic] = []
    _collect(data, [], problems)
    if problems:
        raise DiagnosticsError(problems)


def dump_entry(name: str, entry: Mapping[str, Any], section: str = "operations") -> str:
    """One entry of a section as YAML, laid out as in the lock, to be shown."""
    lines: list[str] = []
    _block({name: entry}, MANIFEST.of(section), "", lines)
    return "".join(lines)


def block(data: Mapping[str, Any] | list[Any], layout: Layout, indent: str = "", step: str = _INDENT) -> str:
    """Entries of a mapping, or items of a list, as lines at an indent; what lies below is indented by `step` each."""
    lines: list[str] = []
    _block(data, layout, indent, lines, step)
    return "".join(lines)


def flow_entry(key: str, value: object, layout: Layout) -> str:
    """An entry of a mapping with the given layout, to stand within { }."""
    return _entry(key, flow(value, layout.of(key), within=True), " ")


def quoted(value: str) -> str:
    """A string as YAML in double quotes."""
    return f'"{_ESCAPED.sub(_escape, value)}"'


def flow(value: object, layout: Layout = LINE, *, within: bool = False) -> str:
    """A value as YAML on one line; `within`: to stand within [ ] or { }."""
    if isinstance(value, dict):
        entries = [_entry(key, flow(item, layout.of(key), within=True), " ") for key, item in layout.ordered(value)]
        return f"{{{', '.join(entries)}}}"
    if isinstance(value, list):
        each = layout.each or LINE
        return f"[{', '.join([flow(item, each, within=True) for item in value])}]"
    return _scalar(value, within)


def _scalar(value: object, within: bool) -> str:
    if isinstance(value, str):
        return _string(value, within)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # YAML 1.1 knows a float by its point.
        text = float.__repr__(value)
        return text if "." in text else text.replace("e", ".0e")
    return "null" if value is None else str(value)


def _block(data: Mapping[str, Any] | list[Any], layout: Layout, indent: str, lines: list[str], step: str = _INDENT) -> None:
    if isinstance(data, list):
        lines.extend(f"{indent}- {flow(item, layout.each or LINE)}\n" for item in data)
        return
    key_end = f"\n{indent}"
    for key, value in layout.ordered(data):
        inner = layout.of(key)
        if inner.is_block(value):
            lines.append(f"{indent}{_entry(key, '', key_end).rstrip()}\n")
            _block(value, inner, indent + step, lines, step)
        elif inner.own_line and value == {}:
            lines.append(f"{indent}{_entry(key, '', key_end).rstrip()}\n{indent}{step}{{}}\n")
        else:
            lines.append(f"{indent}{_entry(key, flow(value, inner), key_end)}\n")


def _entry(key: str, value: str, key_end: str) -> str:
    name = _string(key, True)
    return f"{name}: {value}" if len(name) < _LONG_KEY else f"? {name}{key_end}: {value}"


@functools.lru_cache(maxsize=1 << 16)
def _string(value: str, within: bool) -> str:
    plain = _PLAIN if within else _PLAIN_IN_BLOCK
    if plain.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return quoted(value)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"


def _collect(value: object, path: list[str | int], problems: list[Diagnostic]) -> None:
    """Add what is wrong with a value, and with all in it, to the problems."""
    if isinstance(value, (dict, list)) and len(path) <= MAX_DEPTH:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            path.append(key)
            if isinstance(value, dict):
                _report(_key_problem(key), path, problems)
            _collect(item, path, problems)
            path.pop()
    else:
        _report(_problem(value), path, problems)


def _report(problem: str | None, path: list[str | int], problems: list[Diagnostic]) -> None:
    if problem:
        problems.append(Diagnostic("PLP006", problem, tuple(path)))


def _key_problem(key: object) -> str | None:
    return _problem(key) if isinstance(key, str) else f"a key has to be a string: {key!r}"


def _problem(value: object) -> str | None:
    if isinstance(value, str):
        return f"half of a surrogate pair is no character: {value!r}" if _SURROGATE.search(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"JSON has no such number: {value}"
    if isinstance(value, int):
        return None if abs(value) < MAX_INTEGER else "the number is too large"
    if isinstance(value, (dict, list)):
        return f"nested deeper than {MAX_DEPTH} levels"
    return None if value is None else f"a {type(value).__name__} has no form in YAML"
