"""SQL from conditions, sort orders and cursors, over the table of a collection.

Text and order in SQL have to be the same for an index and for the query that is to use it, so every field has one expression.
Field names stand in the text, quoted; values are always bound.
"""
# ruff: noqa: S608 - as just said

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from pulpo.store.base import Collection, Condition, Index, Sort
from pulpo.store.query import ENVELOPE, fold
from pulpo.store.values import to_iso

_TIME_PREFIX: Final = '{"$d":"'
#: No key of an object begins with `$`, so between these two lies the text of times and of nothing else.
_TIMES: Final = {"<": f">='{_TIME_PREFIX}'", ">": f"<'{_TIME_PREFIX}~'"}
_JSON_TYPES: Final = {"text": "='text'", "number": " in ('integer','real')", "time": "='object'"}
_COLUMN_KINDS: Final = {"_rev": "number", "_created": "time", "_updated": "time"}
#: Code points between these are no characters.
_FIRST_SURROGATE: Final = 0xD800
_BEHIND_SURROGATES: Final = 0xE000
_NULLABLE_COLUMNS: Final = frozenset({"_run", "_operation"})


class Clause(NamedTuple):
    """A piece of SQL and the values bound in it, in order."""

    sql: str
    values: tuple[Any, ...] = ()


NEVER: Final = Clause("0")


def table(collection: Collection) -> str:
    """The quoted name of the collection's table.

    SQLite takes two names for one when they differ only in case: capitals are spelled out behind the name, as bits.
    """
    name = collection.name
    capitals = sum(1 << place for place, letter in enumerate(name) if letter.isupper())
    reserved = "~" if name.lower().startswith("sqlite_") else ""
    return quoted(f"{reserved}{name}~{capitals:x}" if capitals else reserved + name)


def index_name(collection: Collection, index: Index) -> str:
    """The name, unique in the file, that an index has by what it is."""
    return f"{table(collection)[1:-1]}:{index.label}"


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def expression(field: str) -> str:
    """The SQL of a field's value: times as text, True and False as 1 and 0, missing and null as NULL."""
    return ENVELOPE.get(field) or f"json_extract(doc,{_path(field)})"


def all_of(clauses: Sequence[Clause]) -> Clause:
    """True where all the clauses are."""
    return _joined(clauses, " and ", Clause("1"))


def where_clause(collection: Collection, where: Sequence[Condition], text: str | None) -> Clause:
    """All the conditions (as `pulpo.store.query.checked` leaves them) and the text search, as one truth value."""
    clauses = [_OPERATORS[c.operator](c.field, c.value) for c in where]
    if text:
        clauses.append(_any([_contains(field, text) for field in collection.text]))
    return all_of(clauses)


def order_clause(order: Sequence[Sort]) -> str:
    """What stands behind ORDER BY."""
    return ",".join(expression(key.field) + (" desc" if key.descending else "") for key in order)


def after_clause(order: Sequence[Sort], keys: Sequence[Any]) -> Clause:
    """The records behind the one with these sort keys, in an order that ends in something unique."""
    ways = []
    for depth, key in enumerate(order):
        same = [Clause(f"{expression(k.field)} is ?", (v,)) for k, v in zip(order[:depth], keys, strict=False)]
        ways.append(all_of([*same, _behind(key, keys[depth])]))
    behind = _any(ways)
    bound = _bound(order[0], keys[0])
    return all_of([bound, behind]) if bound else behind


def _path(field: str) -> str:
    """The JSON path of a field as an SQL string: each name quoted as JSON does, which is how it stands in the document."""
    path = "$" + "".join("." + json.dumps(name, ensure_ascii=False) for name in field.split("."))
    return "'" + path.replace("'", "''") + "'"


def _equals(field: str, value: Any) -> Clause:
    if value is None:
        return Clause(f"{expression(field)} is null")
    return _compares("=", field, value)


def _compares(comparison: str, field: str, value: Any) -> Clause:
    if isinstance(value, bool):
        return Clause(f"{_type(field)}='{_json_bool(value)}'") if field not in ENVELOPE else NEVER
    kind = _kind(value)
    test = Clause(f"{expression(field)}{comparison}?", (_bindable(field, value),))
    clauses = [test, *_of_kind(field, kind)]
    # Only times may take part in a comparison of times, not whatever other object sorts before or behind them.
    if kind == "time" and field not in ENVELOPE and comparison != "=":
        clauses.append(Clause(expression(field) + _TIMES[comparison[0]]))
    return all_of(clauses)


def _one_of(field: str, values: Sequence[Any]) -> Clause:
    """One bound JSON array for all values of a kind: it has no limit of length, and an index still serves."""
    ways = [_equals(field, value) for value in _unique(v for v in values if v is None or isinstance(v, bool))]
    for kind in ("text", "number", "time"):
        members = [_bindable(field, v) for v in values if v is not None and not isinstance(v, bool) and _kind(v) == kind]
        if members:
            listed = Clause(f"{expression(field)} in (select value from json_each(?))", (json.dumps(members),))
            ways.append(all_of([listed, *_of_kind(field, kind)]))
    return _any(ways)


def _exists(field: str) -> Clause:
    subject = expression(field) if field in ENVELOPE else _type(field)
    return Clause(f"{subject} is not null")


def _has(field: str, value: Any) -> Clause:
    if field in ENVELOPE:
        return NEVER
    if value is None or isinstance(value, bool):
        item = Clause(f"type='{_json_bool(value) if value is not None else 'null'}'")
    else:
        item = Clause(f"value=? and type{_JSON_TYPES[_kind(value)]}", (_in_document(value),))
    path = _path(field)
    return Clause(f"({_type(field)}='array' and exists (select 1 from json_each(doc,{path}) where {item.sql}))", item.values)


def _contains(field: str, value: str) -> Clause:
    return all_of([*_of_kind(field, "text"), Clause(f"instr(fold({expression(field)}),?)>0", (fold(value),))])


def _starts_with(field: str, prefix: str) -> Clause:
    """A range, so that an index serves; LIKE would ignore case."""
    value = expression(field)
    clauses = [Clause(f"{value}>=?", (prefix,)), *_of_kind(field, "text")]
    end = _after_prefix(prefix)
    if end:
        clauses.append(Clause(f"{value}<?", (end,)))
    return all_of(clauses)


def _after_prefix(prefix: str) -> str:
    """The first string behind all that begin with the prefix, or "" where none is."""
    shorter = prefix.rstrip(chr(sys.maxunicode))
    if not shorter:
        return ""
    following = ord(shorter[-1]) + 1
    return shorter[:-1] + chr(following if following != _FIRST_SURROGATE else _BEHIND_SURROGATES)


def _behind(key: Sort, value: Any) -> Clause:
    field = expression(key.field)
    if key.descending:
        return NEVER if value is None else Clause(f"({field}<? or {field} is null)", (value,))
    return Clause(f"{field} is not null") if value is None else Clause(f"{field}>?", (value,))


def _bound(key: Sort, value: Any) -> Clause | None:
    """What the first key has to be at least, said apart, as SQLite can't find the place in an index from alternatives."""
    if value is None:
        return None
    if not key.descending:
        return Clause(f"{expression(key.field)}>=?", (value,))
    never_null = key.field in ENVELOPE and key.field not in _NULLABLE_COLUMNS
    return Clause(f"{expression(key.field)}<=?", (value,)) if never_null else None


def _type(field: str) -> str:
    return f"json_type(doc,{_path(field)})"


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return "time" if isinstance(value, datetime) else "number"


def _of_kind(field: str, kind: str) -> list[Clause]:
    """What has to hold so that the field's value is of the kind: columns have one for all records."""
    if field in ENVELOPE:
        return [] if _COLUMN_KINDS.get(field, "text") == kind else [NEVER]
    return [Clause(_type(field) + _JSON_TYPES[kind])]


def _bindable(field: str, value: Any) -> Any:
    """Times stand bare in columns."""
    return to_iso(value) if field in ENVELOPE and isinstance(value, datetime) else _in_document(value)


def _in_document(value: Any) -> Any:
    """Times stand as objects in documents."""
    return f'{_TIME_PREFIX}{to_iso(value)}"}}' if isinstance(value, datetime) else value


def _json_bool(value: bool) -> str:
    return "true" if value else "false"


def _unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _not(clause: Clause) -> Clause:
    return Clause(f"not coalesce({clause.sql},0)", clause.values)


def _any(clauses: Sequence[Clause]) -> Clause:
    return _joined(clauses, " or ", NEVER)


def _joined(clauses: Sequence[Clause], word: str, empty: Clause) -> Clause:
    if len(clauses) < 2:  # noqa: PLR2004
        return clauses[0] if clauses else empty
    return Clause(f"({word.join(clause.sql for clause in clauses)})", tuple(v for clause in clauses for v in clause.values))


_OPERATORS: Final[dict[str, Callable[[str, Any], Clause]]] = {
    "eq": _equals,
    "ne": lambda field, value: _not(_equals(field, value)),
    "gt": partial(_compares, ">"),
    "gte": partial(_compares, ">="),
    "lt": partial(_compares, "<"),
    "lte": partial(_compares, "<="),
    "in": _one_of,
    "nin": lambda field, values: _not(_one_of(field, values)),
    "exists": lambda field, value: _exists(field) if value else _not(_exists(field)),
    "has": _has,
    "contains": _contains,
    "startswith": _starts_with,
}
