"""The query dialect of lists of records, typed by the model: `salary__gte=50&tags=python&sort=-posted,title&limit=20`.

`field=value` is equality, `field__operator=value` anything else; a list's field is equal to what it has. What is asked of several
parameters has to hold for all. What has no meaning is a fault, never ignored: an unknown field or operator, a value of the wrong
kind. A field called as one of the page's own parameters (`limit`, `sort`, …) is reached as `limit__eq`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pulpo.api.fields import Field, Fields, is_value, read_boolean, shown
from pulpo.api.problems import Fault, Problem, invalid
from pulpo.names import did_you_mean
from pulpo.store.base import Condition, Sort, StoreError
from pulpo.store.cursor import read_cursor
from pulpo.store.query import ORDER_OPERATORS, sort_order

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
#: The parameters of a page that are no filters.
PARAMETERS: Final = ("q", "sort", "limit", "cursor", "count")

_TEXT_OPERATORS: Final = ("contains", "startswith")
_SEPARATOR: Final = "__"


@dataclass(frozen=True, slots=True)
class Query:
    """What a list was asked for."""

    where: tuple[Condition, ...] = ()
    text: str | None = None
    sort: tuple[Sort, ...] = ()
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    count: bool = False


def operators(field: Field) -> tuple[str, ...]:
    """The operators that a field takes, `eq` first."""
    if field.is_list:
        has = field.items is not None and field.items.plain and not field.items.is_list
        return ("eq", "has", "exists") if has and not field.plain else ("has", "exists") if has else ("exists",)
    if not field.plain:
        return ("exists", "isnull")
    ordered = ("gt", "gte", "lt", "lte") if field.is_ordered else ()
    return ("eq", "ne", *ordered, "in", "nin", *(_TEXT_OPERATORS if field.is_text else ()), "exists", "isnull")


def parse(fields: Fields, parameters: Sequence[tuple[str, str]]) -> Query:
    """The query that the parameters of a URL are.

    Raises:
        Problem: 422 with all faults; 400 where all that is wrong is the cursor.
    """
    own: dict[str, str] = {}
    where: list[Condition] = []
    faults: list[Fault] = []
    for name, text in parameters:
        try:
            if name in PARAMETERS:
                _keep(own, name, text)
            else:
                where += _conditions(fields, name, text)
        except _Wrong as wrong:
            faults.append(Fault(("query", name), wrong.message, wrong.hint))
    query = _page(fields, own, tuple(where), faults)
    if faults:
        raise invalid(faults)
    if query.cursor is not None:
        try:
            read_cursor(query.cursor, sort_order(query.sort))
        except StoreError as error:
            raise Problem(
                400, f"cursor: {error.message}", errors=[Fault(("query", "cursor"), error.message, error.hint)]
            ) from None
    return query


class _Wrong(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def _keep(own: dict[str, str], name: str, text: str) -> None:
    if name in own:
        raise _Wrong("is given twice")
    own[name] = text


def _page(fields: Fields, own: dict[str, str], where: tuple[Condition, ...], faults: list[Fault]) -> Query:
    values: dict[str, Any] = {}
    for name, text in own.items():
        try:
            values[name] = _READERS[name](fields, text)
        except _Wrong as wrong:
            faults.append(Fault(("query", name), wrong.message, wrong.hint))
    return Query(
        where,
        text=values.get("q"),
        sort=values.get("sort", ()),
        limit=values.get("limit", DEFAULT_LIMIT),
        cursor=values.get("cursor"),
        count=values.get("count", False),
    )


def _read_limit(_: Fields, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise _Wrong(f"must be an integer from 1 to {MAX_LIMIT}, not {shown(text)}")
    return int(text)


def _read_count(_: Fields, text: str) -> bool:
    if text != "exact":
        raise _Wrong(f"must be exact, not {shown(text)}")
    return True


def _read_search(fields: Fields, text: str) -> str:
    if not fields.texts():
        raise _Wrong("the model has no text at its top level to look in")
    return text


def _read_sort(fields: Fields, text: str) -> tuple[Sort, ...]:
    keys: dict[str, Sort] = {}
    for key in text.split(","):
        name = key.removeprefix("-")
        field = fields.get(name)
        if field is None:
            raise _Wrong(f"there is no such field: {shown(name)}", did_you_mean(name, fields.names()))
        if not field.plain or field.is_list:
            raise _Wrong(f"records can't be sorted by a list or an object: {name}")
        keys.setdefault(name, Sort(name, descending=key.startswith("-")))
    return tuple(keys.values())


_READERS: Final[Mapping[str, Callable[[Fields, str], Any]]] = {
    "limit": _read_limit,
    "count": _read_count,
    "q": _read_search,
    "sort": _read_sort,
    "cursor": lambda _, text: text,
}


def _conditions(fields: Fields, parameter: str, text: str) -> Iterator[Condition]:
    field, operator = _named(fields, parameter)
    known = operators(field)
    if operator not in known:
        raise _unfit(field, operator, known)
    if operator in ("exists", "isnull"):
        value = read_boolean(text)
        if not is_value(value):
            raise _Wrong(f"must be true or false, not {shown(text)}")
        yield (
            Condition(field.name, "exists", value)
            if operator == "exists"
            else Condition(field.name, "eq" if value else "ne", None)
        )
    elif operator in _TEXT_OPERATORS:
        yield Condition(field.name, operator, text)  # type: ignore[arg-type]
    elif field.is_list:
        yield _has(field, text)
    elif operator in ("in", "nin"):
        yield Condition(field.name, operator, [value for one in _split(text) for value in _values(field, one)])  # type: ignore[arg-type]
    else:
        yield _compared(field, operator, text)


def _named(fields: Fields, parameter: str) -> tuple[Field, str]:
    """The field and the operator that a parameter names: a field that the model names just so goes first."""
    name, separator, operator = parameter.rpartition(_SEPARATOR)
    base = fields.get(name) if separator and parameter not in fields.named else None
    if base is not None and (operator in _OPERATORS or fields.get(parameter) is None):
        return base, operator
    if (field := fields.get(parameter)) is not None:
        return field, "eq"
    known = [*fields.names(), *PARAMETERS]
    unknown = name if separator and operator in _OPERATORS else parameter
    raise _Wrong(f"there is no such field: {shown(unknown)}", did_you_mean(unknown, known))


def _unfit(field: Field, operator: str, known: Sequence[str]) -> _Wrong:
    if operator not in _OPERATORS:
        return _Wrong(
            f"there is no such operator: {shown(operator)}", did_you_mean(operator, known) or f"one of {', '.join(known)}"
        )
    if operator in ORDER_OPERATORS and field.plain and not field.is_list:
        return _Wrong(f"its values have no order: {field.name}", f"it takes {', '.join(known)}")
    if field.kinds - {"null"} == {"object"}:
        return _Wrong(f"{field.name} is an object", f"name a field of it, such as {field.name}.name")
    return _Wrong(f"{field.name} does not take {operator}", f"it takes {', '.join(known)}")


def _compared(field: Field, operator: str, text: str) -> Condition:
    values = _values(field, text, any_choice=operator in ORDER_OPERATORS)
    if operator in ORDER_OPERATORS:
        fits = [value for value in values if not isinstance(value, bool)]
        if not fits:
            raise _Wrong(f"{shown(text)} has no order")
        return Condition(field.name, operator, fits[0])  # type: ignore[arg-type]
    if len(values) == 1:
        return Condition(field.name, operator, values[0])  # type: ignore[arg-type]
    return Condition(field.name, "in" if operator == "eq" else "nin", values)


def _has(field: Field, text: str) -> Condition:
    assert field.items is not None  # noqa: S101 - `operators` has seen to it
    values = _values(field.items, text)
    if len(values) > 1:
        raise _Wrong(f"{shown(text)} can be items of several kinds")
    return Condition(field.name, "has", values[0])


def _values(field: Field, text: str, *, any_choice: bool = False) -> list[Any]:
    asked = Field(field.name, field.kinds) if any_choice else field
    values = asked.read(text)
    if not values:
        raise _Wrong(*field.wanted(text))
    return values


def _split(text: str) -> list[str]:
    """The values of a list: between commas, or those of a JSON array where one of them has a comma itself."""
    if text.startswith("["):
        try:
            items = json.loads(text)
        except ValueError:
            items = None
        if isinstance(items, list) and items and all(isinstance(item, str | int | float | bool | None) for item in items):
            return [item if isinstance(item, str) else json.dumps(item) for item in items]
    return text.split(",")


_OPERATORS: Final = frozenset({"eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", *_TEXT_OPERATORS, "has", "exists", "isnull"})
