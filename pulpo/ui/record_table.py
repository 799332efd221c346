"""Records as rows of a table: which columns, and each value as short as a cell is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pulpo.ui.page import path_to, shown
from pulpo.ui.record_query import RecordQuery

#: So many columns of a model's own fields; the page of a record has all.
COLUMNS: Final = 8
_SHORT = 60
_KEPT: Final = "_id"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: of which field, how it is sorted, and the address that sorts by it the other way; none where nothing can."""

    name: str
    label: str
    kind: str
    order: str = "none"
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A value: `kind` is `number`, `time`, `ago`, `none`, `nested` or `text`, `title` the longer text of one that is cut."""

    text: str
    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A record: its id, its page, its cells by column, and whether it no longer is what its model says."""

    id: str
    path: str
    cells: tuple[Cell, ...]
    is_wrong: bool


def columns(model: Mapping[str, Any], query: RecordQuery) -> tuple[Column, ...]:
    """The columns of a model's table: its id, the key, then the other fields, of a wide model those with plain values first."""
    fields = {field["name"]: field for field in model["fields"] if "." not in field["name"]}
    own = [name for name in fields if not name.startswith("_")]
    if len(own) > COLUMNS:
        own.sort(key=lambda name: (name not in model["key"], not fields[name]["sortable"], list(fields).index(name)))
        own = sorted(own[:COLUMNS], key=lambda name: (name not in model["key"], list(fields).index(name)))
    else:
        own.sort(key=lambda name: name not in model["key"])
    return tuple(_column(fields[name], query) for name in ("_id", *own, "_updated") if name in fields)


def rows(model: str, records: Sequence[Mapping[str, Any]], shown_columns: Sequence[Column]) -> tuple[Row, ...]:
    """The rows of a page of records."""
    return tuple(
        Row(
            record[_KEPT],
            record_path(model, record[_KEPT]),
            tuple(cell(record.get(column.name), column.kind) for column in shown_columns),
            "_errors" in record,
        )
        for record in records
    )


def record_path(model: str, record: str) -> str:
    """The path of a record's page, without the prefix."""
    # One that is called as the page for a new one has an address of its own.
    return path_to("models", model, "records", record) + ("?~record" if record == "new" else "")


def cell(value: Any, kind: str = "text") -> Cell:
    """A value on one line."""
    if value is None:
        return Cell("-", "none number" if kind == "number" else "none", "null")
    if isinstance(value, bool):
        return Cell("yes" if value else "no", "text")
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, str):
        return Cell(value, kind) if kind in ("time", "ago") else _cut(" ".join(value.split()), "text")
    return _list(value) if isinstance(value, list) else _cut(shown(value), "nested")


def _number(value: float) -> Cell:
    exact = shown(value)
    text = f"{value:.6g}" if "." in exact else exact
    return Cell(text, "number", exact if exact != text else "")


def _list(value: list[Any]) -> Cell:
    if not value:
        return Cell("none", "none", "an empty list")
    if all(isinstance(item, str | int | float) for item in value):
        return _cut(", ".join(map(shown, value)), "text")
    return Cell(f"{len(value)} item{'s' if len(value) != 1 else ''}", "nested", _cut(shown(value), "").text)


def _cut(text: str, kind: str) -> Cell:
    return Cell(text, kind) if len(text) <= _SHORT else Cell(f"{text[: _SHORT - 1].rstrip()}…", kind, text[:500])


def _column(field: Mapping[str, Any], query: RecordQuery) -> Column:
    name, kinds = field["name"], set(field["kinds"]) - {"null"}
    kind = "number" if kinds and kinds <= {"integer", "number"} else "time" if kinds == {"date-time"} else "text"
    kind = "ago" if name == "_updated" else kind
    label = {"_id": "id", "_updated": "changed"}.get(name, name)
    order = query.sorted_by(name)
    if not field["sortable"]:
        return Column(name, label, kind)
    # Times are of interest newest first.
    down = order == "ascending" or (order == "none" and kind in ("time", "ago"))
    return Column(name, label, kind, order, query.first(sort=f"-{name}" if down else name).address())
