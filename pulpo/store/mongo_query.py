"""Filters and sort orders of MongoDB from conditions, sort keys and cursors.

The server compares only values of one kind with each other. It would look into lists, where a store looks only for `has`. Its
sort order goes over all kinds, as `_KINDS` has them, with the least or the greatest item in place of a list; a cursor goes the
same way, so that no record is lost behind it, whatever the kind of its value; but for lists of lists, in whose order there is
no index to find a place.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from pulpo.store.base import OBJECT_ID, Collection, Condition, Sort, StoreError
from pulpo.store.mongo_driver import BSONError, Decimal128, ObjectId, bson_of, read_bson_as_it_is
from pulpo.store.query import ENVELOPE

Filter = dict[str, Any]

NEVER: Final[Filter] = {"_id": {"$in": []}}

#: BSON's kinds of values in the order that the server sorts them in, null and missing first.
_KINDS: Final = ("null", "number", "string", "object", "binData", "objectId", "bool", "date", "timestamp", "regex")
_KIND_OF: Final[dict[type, str]] = {
    type(None): "null",
    int: "number",
    float: "number",
    str: "string",
    bytes: "binData",
    ObjectId: "objectId",
    Decimal128: "number",
    bool: "bool",
    datetime: "date",
}
#: The sort key of an empty list, which stands before null.
_EMPTY: Final[list[Any]] = []


def where_filter(collection: Collection, where: Sequence[Condition], text: str | None, *, object_ids: bool) -> Filter:
    """All the conditions (as `pulpo.store.query.checked` leaves them) and the text search."""
    filters = [_condition(condition, object_ids=object_ids) for condition in where]
    if text:
        filters.append(_any([_contains(field, text) for field in collection.text]))
    return all_of(filters)


def all_of(filters: Sequence[Filter]) -> Filter:
    """True of what all the filters are."""
    filled = [one for one in filters if one]
    if len(filled) > 1:
        return {"$and": filled}
    return filled[0] if filled else {}


def sort_keys(order: Sequence[Sort]) -> list[tuple[str, int]]:
    """What the server sorts by; a field that comes again changes nothing any more, and the server refuses it."""
    directions: dict[str, int] = {}
    for key in order:
        directions.setdefault(key.field, -1 if key.descending else 1)
    return list(directions.items())


def stored_id(record_id: str, *, object_ids: bool) -> Any:
    """The id as it is stored."""
    return ObjectId(record_id) if object_ids and OBJECT_ID.fullmatch(record_id) else record_id


def keys_of(document: Mapping[str, Any], order: Sequence[Sort]) -> list[str]:
    """The sort keys of a document as text for a cursor, exactly as BSON has them."""
    keys = []
    for key in order:
        value = _sort_value(document, key.field.split("."), descending=key.descending)
        keys.append(base64.b64encode(bson_of({"": value})).decode())
    return keys


def after_filters(order: Sequence[Sort], keys: Sequence[Any]) -> list[Filter]:
    """The records behind the one with these sort keys: all that one filter is true of stand before those of the next one.

    Raises:
        StoreError: The keys are of no cursor.
    """
    values = dict(reversed([(key.field, _read_key(text)) for key, text in zip(order, keys, strict=True)]))
    ways: list[Filter] = []
    same: list[Filter] = []
    for field, direction in sort_keys(order):
        # Alternatives stand side by side, so that the server can walk along an index for each and merge.
        ways.append(all_of([*same, _behind(field, values[field], descending=direction < 0)]))
        same.append(_same(field, values[field], descending=direction < 0))
    # Where it merges, the server sets what is missing before what is null, which its order has as the same.
    return ways[::-1] if None in values.values() else [_any(ways)]


def _condition(condition: Condition, *, object_ids: bool) -> Filter:
    if condition.field == "_id" and object_ids:
        return _id_condition(condition)
    return _OPERATORS[condition.operator](condition.field, condition.value)


def _id_condition(condition: Condition) -> Filter:
    """A condition on ids that are stored as ObjectIds and looked for as text."""
    operator, value = condition.operator, condition.value
    if operator in ("eq", "ne") and isinstance(value, str):
        value = stored_id(value, object_ids=True)
    elif operator in ("in", "nin"):
        value = [stored_id(one, object_ids=True) if isinstance(one, str) else one for one in value]
    elif operator in ("gt", "gte", "lt", "lte"):
        return {"$expr": {f"${operator}": [_ID_TEXT, {"$literal": value}]}} if isinstance(value, str) else NEVER
    elif operator in ("contains", "startswith"):
        pattern = _pattern(value) if operator == "contains" else "^" + re.escape(value)
        options = "i" if operator == "contains" else ""
        return {"$expr": {"$regexMatch": {"input": _ID_TEXT, "regex": {"$literal": pattern}, "options": options}}}
    return _OPERATORS[operator]("_id", value)


_ID_TEXT: Final = {"$toString": "$_id"}


def _compares(operator: str, field: str, value: Any) -> Filter:
    return _alone(field, {operator: value})


def _equals(field: str, value: Any) -> Filter:
    same = _compares("$eq", field, value)
    # What stands in the items of a list is no field of the record: it is missing.
    return _any([same, *({one: _LIST} for one in _above(field))]) if value is None else same


def _one_of(field: str, values: Sequence[Any]) -> Filter:
    listed = _compares("$in", field, [value for value in values if value is not None])
    return _any([listed, _equals(field, None)]) if None in values else listed


def _not(test: Filter) -> Filter:
    return {"$nor": [test]}


def _exists(field: str, value: bool) -> Filter:
    if field in ENVELOPE:
        return {field: {"$ne": None}} if value else {field: None}
    there = {**_no_lists_above(field), field: {"$exists": True}}
    return there if value else _not(there)


def _has(field: str, value: Any) -> Filter:
    return {**_no_lists_above(field), field: {"$elemMatch": {"$eq": value}}}


def _contains(field: str, value: str) -> Filter:
    return _alone(field, {"$regex": _pattern(value), "$options": "i"})


def _starts_with(field: str, prefix: str) -> Filter:
    return _alone(field, {"$regex": "^" + re.escape(prefix)})


def _alone(field: str, test: Filter) -> Filter:
    """The test of a value that is no list: the server would look into one, and into those above it."""
    return {field: test} if field in ENVELOPE else {**_no_lists_above(field), field: {**test, **_NO_LIST}}


def _no_lists_above(field: str) -> Filter:
    return dict.fromkeys(_above(field), _NO_LIST)


def _above(field: str) -> list[str]:
    """The fields that a field is in: of `a.b.c`, `a` and `a.b`."""
    names = field.split(".")
    return [".".join(names[:depth]) for depth in range(1, len(names))]


_LIST: Final[Filter] = {"$type": "array"}
_NO_LIST: Final[Filter] = {"$not": _LIST}


def _pattern(text: str) -> str:
    """What finds the text in any case."""
    return re.escape(text)


def _any(filters: Sequence[Filter]) -> Filter:
    if len(filters) > 1:
        return {"$or": list(filters)}
    return filters[0] if filters else NEVER


def _read_key(text: object) -> Any:
    try:
        (document,) = read_bson_as_it_is(base64.b64decode(str(text), validate=True))
        return document[""]
    except (ValueError, KeyError, BSONError):
        raise StoreError("this is not a cursor", hint="give the `next` of a page of the same query, or none") from None


def _behind(field: str, value: Any, *, descending: bool) -> Filter:
    """True of the records whose sort key is behind the value: nothing in them is at the value or before it."""
    if value == _EMPTY:
        return NEVER if descending else {field: {"$ne": _EMPTY}}
    if value is None and descending:
        return {field: _EMPTY}
    # `$not` of a comparison and `$ne` are ranges of an index, what is behind `$nor` is none.
    filters: list[Filter] = [] if value is None else [{field: {"$not": {"$gte" if descending else "$lte": value}}}]
    before = _before(field, value, descending=descending)
    if not descending:
        filters.append({field: {"$ne": None}})
        before.append({field: _EMPTY})
    return all_of([*filters, {"$nor": before} if before else {}])


def _same(field: str, value: Any, *, descending: bool) -> Filter:
    """True of the records whose sort key is the value: it is in them, and nothing before it is."""
    if value == _EMPTY or field in ENVELOPE:
        return {field: value}
    before = _before(field, value, descending=descending)
    if value is not None:
        before.append({field: {"$gt" if descending else "$lt": value}})
    return all_of([{field: {"$eq": value}}, {"$nor": before} if before else {}])


def _before(field: str, value: Any, *, descending: bool) -> list[Filter]:
    """True of the records that hold something of a kind before that of the value."""
    order = _KINDS[::-1] if descending else _KINDS
    kinds = order[: order.index(_kind(value))]
    return [{field: {"$type": list(kinds)}}] if kinds else []


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "object"
    return next((kind for known, kind in _KIND_OF.items() if type(value) is known), None) or (
        "number" if isinstance(value, int) else "regex"
    )


def _sort_value(document: Any, path: Sequence[str], *, descending: bool) -> Any:
    """The value that the server sorts a document by: of several in lists the least, or the greatest when descending."""
    found = list(_leaves(document, path))
    if len(found) == 1:
        return found[0]
    return (max if descending else min)(found, key=_rank) if found else _EMPTY


def _leaves(value: Any, path: Sequence[str]) -> Iterator[Any]:
    if not path:
        yield from value if isinstance(value, list) else [value]
    elif isinstance(value, Mapping):
        yield from _leaves(value.get(path[0]), path[1:])
    else:
        inner = [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
        for item in inner:
            yield from _leaves(item, path)
        if not inner:
            yield None


def _rank(value: Any) -> tuple[int, Any]:
    kind = _kind(value)
    if isinstance(value, Decimal128):
        value = value.to_decimal()
    comparable = kind in ("number", "string", "binData", "objectId", "bool", "date")
    return _KINDS.index(kind), value if comparable else bson_of({"": value})


_OPERATORS: Final[dict[str, Callable[[str, Any], Filter]]] = {
    "eq": _equals,
    "ne": lambda field, value: _not(_equals(field, value)),
    "in": _one_of,
    "nin": lambda field, values: _not(_one_of(field, values)),
    **{name: partial(_compares, f"${name}") for name in ("gt", "gte", "lt", "lte")},
    "exists": _exists,
    "has": _has,
    "contains": _contains,
    "startswith": _starts_with,
}
