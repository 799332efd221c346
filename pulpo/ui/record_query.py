"""What a table of records is asked for: the address of its page, in the words of the API's own query dialect.

Beside these the address has `~page` and `~trail`, the cursors of the pages before, for the way back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from pulpo.ui.api_client import Fault

#: The API's parameters of a page that are no filters.
_OWN: Final = ("q", "sort", "limit", "cursor", "count")
_LIMIT: Final = "50"
LIMITS: Final = ("20", "50", "100", "500")
#: Pages that one can go back; before them there is the first.
_TRAIL: Final = 20
#: The operators as people say them, in the order of a list to choose from.
OPERATORS: Final[Mapping[str, str]] = {
    "eq": "is", "ne": "is not", "contains": "contains", "startswith": "starts with", "has": "has", "gt": "is more than",
    "gte": "is at least", "lt": "is less than", "lte": "is at most", "in": "is one of", "nin": "is none of",
    "isnull": "is null", "exists": "is there",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition, with what the API has against it."""

    parameter: str
    field: str
    operator: str
    value: str
    #: How its value is chosen: its texts, none for anything.
    choices: tuple[str, ...]
    kind: str
    without: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """The parameters of a page of records."""

    filters: tuple[tuple[str, str], ...] = ()
    q: str = ""
    sort: str = ""
    limit: str = _LIMIT
    cursor: str = ""
    page: int = 1
    trail: tuple[str, ...] = ()

    @classmethod
    def of(cls, params: QueryParams) -> RecordQuery:
        """From the address of a page."""
        items = params.multi_items()
        number = params.get("~page", "1")
        return cls(
            tuple((name, value) for name, value in items if name not in _OWN and not name.startswith("~")),
            params.get("q", ""),
            params.get("sort", ""),
            params.get("limit") or _LIMIT,
            params.get("cursor", ""),
            int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 1,  # noqa: PLR2004
            tuple(value for name, value in items if name == "~trail"),
        )

    def asked(self) -> dict[str, list[str]]:
        """What the API is asked."""
        return _lists([*self.filters, *self._said(), *([("cursor", self.cursor)] if self.cursor else [])])

    def address(self) -> str:
        """The query of the page's address, with its question mark; empty for the whole list."""
        items = [*self.filters, *(one for one in self._said() if one != ("limit", _LIMIT))]
        if self.cursor:
            items += [("cursor", self.cursor), ("~page", str(self.page)), *(("~trail", one) for one in self.trail)]
        return f"?{urlencode(items)}" if items else ""

    def first(self, **changes: Any) -> RecordQuery:
        """The first page, with other parameters."""
        return replace(self, **{"cursor": "", "page": 1, "trail": (), **changes})

    def next(self, cursor: str) -> RecordQuery:
        """The page after this one."""
        trail = (*self.trail, self.cursor)[-_TRAIL:] if self.cursor else ()
        return replace(self, cursor=cursor, page=self.page + 1, trail=trail)

    def previous(self) -> RecordQuery | None:
        """The page before this one; the first where it is not known any more."""
        if not self.cursor:
            return None
        return replace(self, cursor=self.trail[-1], page=self.page - 1, trail=self.trail[:-1]) if self.trail else self.first()

    def sorted_by(self, name: str) -> str:
        """`ascending`, `descending` or `none`: how the records are sorted by a field first of all."""
        first = self.sort.split(",")[0]
        return "ascending" if first == name else "descending" if first == f"-{name}" else "none"

    def _said(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in (("q", self.q), ("sort", self.sort), ("limit", self.limit)) if value]


def added(query: RecordQuery, params: QueryParams) -> RecordQuery | None:
    """The query with the filter that the form for a new one says; None where it says none."""
    field, operator, value = (params.get(f"~{name}", "") for name in ("field", "operator", "value"))
    if not field:
        return None
    name = field if operator in ("", "eq") and field not in _OWN else f"{field}__{operator or 'eq'}"
    return query.first(filters=(*query.filters, (name, value)))


def described(query: RecordQuery, fields: Sequence[Mapping[str, Any]], faults: Sequence[Fault]) -> tuple[Filter, ...]:
    """The filters of a query, for people to change."""
    known = {field["name"]: field for field in fields}
    found = []
    for number, (parameter, value) in enumerate(query.filters):
        base, separator, operator = parameter.rpartition("__")
        if parameter in known or not separator or operator not in OPERATORS:
            base, operator = parameter, "eq"
        rest = query.first(filters=(*query.filters[:number], *query.filters[number + 1 :]))
        errors = tuple(_told(fault) for fault in faults if fault.place == ("query", parameter))
        choices, kind = _values(known.get(base), operator)
        found.append(Filter(parameter, base, operator, value, choices, kind, rest.address(), errors))
    return tuple(found)


def _values(field: Mapping[str, Any] | None, operator: str) -> tuple[tuple[str, ...], str]:
    """What the value of a filter is chosen from, and the type of its input."""
    if operator in ("isnull", "exists") or (field and set(field["kinds"]) - {"null"} == {"boolean"}):
        return ("true", "false"), "text"
    if field and field["choices"] and operator in ("eq", "ne"):
        return tuple(str(choice) for choice in field["choices"] if choice is not None), "text"
    is_date = field is not None and set(field["kinds"]) - {"null"} == {"date"} and operator not in ("in", "nin")
    return (), "date" if is_date else "text"


def _told(fault: Fault) -> str:
    return f"{fault.message} ({fault.hint})" if fault.hint else fault.message


def _lists(items: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in items:
        found.setdefault(name, []).append(value)
    return found
