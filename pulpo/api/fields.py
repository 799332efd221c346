"""Which fields a model's JSON Schema has, and which kinds of values are in each: what filters and sort orders are typed by."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from pulpo.names import did_you_mean

#: Nested fields are listed down to this depth; deeper ones can be named all the same.
_LISTED_DEPTH: Final = 3
_SHOWN: Final = 60

_INTEGER = re.compile(r"-?(0|[1-9]\d*)")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?)?")
#: A plus in a URL that nobody escaped is a space.
_LOST_PLUS = re.compile(r"(.*\d) (\d\d:\d\d)")

#: Formats of strings that are kinds of their own.
_FORMATS: Final = frozenset({"date", "date-time", "uuid"})
_NO_VALUE: Final = object()
#: What the store keeps beside a record's own values, and may be asked for.
_ENVELOPE: Final[Mapping[str, Mapping[str, Any]]] = {
    "_id": {"type": "string"},
    "_rev": {"type": "integer"},
    "_run": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "_operation": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "_created": {"type": "string", "format": "date-time"},
    "_updated": {"type": "string", "format": "date-time"},
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a query may name.

    `kinds` are of JSON Schema's types, `date`, `date-time` and `uuid` for strings of these formats, and `any`.
    """

    name: str
    kinds: frozenset[str]
    #: All values that there are; None where others can be.
    choices: tuple[Any, ...] | None = None
    #: What a list's items are.
    items: Field | None = None

    @property
    def plain(self) -> frozenset[str]:
        """The kinds that are neither null nor made of others."""
        return self.kinds - {"null", "array", "object"}

    @property
    def is_list(self) -> bool:
        """Whether there can be a list."""
        return "array" in self.kinds

    @property
    def is_ordered(self) -> bool:
        """Whether one of its values can be greater than another: they are of one kind, and that has an order."""
        families = {_FAMILIES.get(kind) for kind in self.plain}
        return not self.is_list and len(families) == 1 and families != {None}

    @property
    def is_text(self) -> bool:
        """Whether there can be texts that are nothing else than texts."""
        return bool(self.kinds & {"string", "any"}) and not self.is_list and self.choices is None

    def read(self, text: str) -> list[Any]:
        """The values of the field that a text can mean: none where it does not fit, several for a field of several kinds."""
        kinds = [kind for kind in _READERS if kind in self.kinds or ("any" in self.kinds and kind in _JSON_KINDS)]
        found = [value for kind in kinds if (value := _READERS[kind](text)) is not _NO_VALUE]
        if self.choices is not None:
            found = [value for value in found if any(value == one and type(value) is type(one) for one in self.choices)]
        if "integer" in kinds and "number" in kinds:
            found = [v for i, v in enumerate(found) if not any(v == o and type(o) is int for o in found[:i] if type(v) is float)]
        return found

    def wanted(self, text: str) -> tuple[str, str | None]:
        """What a text that does not fit has to be, and a hint."""
        if self.choices is not None:
            words = [c if isinstance(c, str) else json.dumps(c) for c in self.choices if c is not None]
            return f"must be one of {', '.join(words)}, not {shown(text)}", did_you_mean(text, words)
        kinds = [_WORDS[kind] for kind in _WORDS if kind in self.kinds]
        return f"must be {' or '.join(kinds)}, not {shown(text)}", None


class Fields:
    """The fields of a model, by dotted name, and those that the store keeps (`_id`, `_rev`, …)."""

    def __init__(self, schema: Mapping[str, Any], *, times: bool) -> None:
        """`times` says whether strings of the format `date-time` are stored as times."""
        self._root = schema
        self._times = times
        self._known: dict[str, Field | None] = {}

    def get(self, name: str) -> Field | None:
        """The field called `name`, None where there is none."""
        if name not in self._known:
            if len(self._known) > 10_000:  # noqa: PLR2004 - names come from requests
                self._known.clear()
            self._known[name] = self._find(name)
        return self._known[name]

    @cached_property
    def named(self) -> frozenset[str]:
        """The names that the schema or the store has itself; others can be keys of objects that take any."""
        return frozenset(self.names())

    def names(self) -> list[str]:
        """All names, in the order of the schema: what is nested behind what it is nested in, the store's own last."""
        return [*self._walk("", self._root, 0), *_ENVELOPE]

    def listed(self) -> list[Field]:
        """The fields of `names`."""
        return [field for name in self.names() if (field := self.get(name))]

    def texts(self) -> tuple[str, ...]:
        """The fields at the top level in which a text search looks."""
        return tuple(
            f.name for f in self.listed() if "string" in f.kinds and f.is_text and f.name[0] != "_" and "." not in f.name
        )

    def _find(self, name: str) -> Field | None:
        if name.startswith("_"):
            schema = _ENVELOPE.get(name)
            return None if schema is None else self._field(name, schema, times=True)
        current: list[Mapping[str, Any]] = [self._root]
        for part in name.split("."):
            current = [found for schema in current for one in self._alternatives(schema) for found in _property(one, part)]
            if not current:
                return None
        return self._field(name, {"anyOf": current} if len(current) > 1 else current[0], times=self._times)

    def _field(self, name: str, schema: Mapping[str, Any], *, times: bool) -> Field:
        kinds: set[str] = set()
        choices: list[Any] | None = []
        items: list[Mapping[str, Any]] = []
        for one in self._alternatives(schema):
            found = _kinds(one, times=times)
            kinds |= found
            values = one.get("enum", [one["const"]] if "const" in one else None)
            if values is not None and choices is not None:
                choices += values
            elif found != {"null"}:
                choices = None
            if "array" in found:
                items.append(one.get("items") or {} if isinstance(one.get("items", {}), Mapping) else {})
        # A list of lists is none that can be searched; a cycle ends here as well.
        inner = self._field(f"{name}[]", {"anyOf": items}, times=times) if items and not name.endswith("[]") else None
        plain = kinds - {"null", "array", "object"}
        return Field(name, frozenset(kinds), tuple(choices) if choices and plain else None, inner)

    def _alternatives(self, schema: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
        """The schemas that a value can follow, without references and `anyOf` at their top."""
        if depth > 16:  # noqa: PLR2004 - a reference that leads back to itself says nothing
            return
        if isinstance(reference := schema.get("$ref"), str):
            yield from self._alternatives(self._at(reference), depth + 1)
            return
        for word in ("anyOf", "oneOf"):
            if isinstance(several := schema.get(word), list):
                for one in several:
                    if isinstance(one, Mapping):
                        yield from self._alternatives(one, depth + 1)
                return
        if isinstance(parts := schema.get("allOf"), list):
            merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
            for part in parts:
                for one in self._alternatives(part, depth + 1):
                    properties = {**merged.get("properties", {}), **one.get("properties", {})}
                    merged = {**merged, **one, **({"properties": properties} if properties else {})}
            yield merged
            return
        yield schema

    def _at(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._root
        for part in reference.lstrip("#").split("/")[1:]:
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
        return found if isinstance(found, Mapping) else {}

    def _walk(self, prefix: str, schema: Mapping[str, Any], depth: int) -> Iterator[str]:
        seen: set[str] = set()
        for one in self._alternatives(schema):
            for name, inner in one.get("properties", {}).items():
                if name in seen or "." in name or (not prefix and name.startswith("_")) or not isinstance(inner, Mapping):
                    continue
                seen.add(name)
                yield f"{prefix}{name}"
                if depth + 1 < _LISTED_DEPTH:
                    yield from self._walk(f"{prefix}{name}.", inner, depth + 1)


def shown(text: str) -> str:
    """A value as messages have it."""
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


def read_boolean(text: str) -> Any:
    """`true` or `false`, or no value (`is_value`)."""
    return {"true": True, "false": False}.get(text, _NO_VALUE)


def is_value(value: object) -> bool:
    """Whether reading found a value."""
    return value is not _NO_VALUE


def _property(schema: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    properties = schema.get("properties", {})
    if name in properties:
        yield properties[name] if isinstance(properties[name], Mapping) else {}
        return
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping) or others is True:
        yield others if isinstance(others, Mapping) else {}
    elif others is None and not properties and schema.get("type", "object") == "object" and not schema.keys() & {"const", "enum"}:
        yield {}


def _kinds(schema: Mapping[str, Any], *, times: bool) -> set[str]:
    types = schema.get("type")
    if types is None:
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if values is not None:
            return {_JSON_TYPES.get(type(value), "any") for value in values}
        return {"object"} if "properties" in schema else {"any"}
    kinds = {types} if isinstance(types, str) else set(types)
    form = schema.get("format")
    if "string" in kinds and form in _FORMATS and (form != "date-time" or times):
        kinds = (kinds - {"string"}) | {form}
    return kinds


def _read_integer(text: str) -> Any:
    if not _INTEGER.fullmatch(text) or len(text) > 20:  # noqa: PLR2004 - more digits than 64 bits have
        return _NO_VALUE
    value = int(text)
    return value if -(2**63) <= value < 2**63 else _NO_VALUE


def _read_number(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return _NO_VALUE
    value = float(text)
    return value if value - value == 0 else _NO_VALUE  # an infinity less itself is none


def _read_date(text: str) -> Any:
    try:
        return date.fromisoformat(text).isoformat() if _DATE.fullmatch(text) else _NO_VALUE
    except ValueError:
        return _NO_VALUE


def _read_time(text: str) -> Any:
    if lost := _LOST_PLUS.fullmatch(text):
        text = "+".join(lost.groups()) if "T" in text.upper() else text
    try:
        if not _TIME.fullmatch(text):
            return _NO_VALUE
        found = datetime.fromisoformat(text.upper())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return _NO_VALUE


def _read_uuid(text: str) -> Any:
    try:
        return str(UUID(text))
    except ValueError:
        return _NO_VALUE


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "boolean": read_boolean,
    "integer": _read_integer,
    "number": _read_number,
    "date": _read_date,
    "date-time": _read_time,
    "uuid": _read_uuid,
    "string": lambda text: text,
}
_JSON_KINDS: Final = frozenset({"boolean", "integer", "number", "string"})
_JSON_TYPES: Final[Mapping[type, str]] = {
    type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object",
}  # fmt: skip
#: Which kinds are compared with each other.
_FAMILIES: Final = {
    "integer": "number", "number": "number", "string": "text", "date": "text", "date-time": "time", "any": "any",
}  # fmt: skip
_WORDS: Final = {
    "boolean": "true or false",
    "integer": "an integer of 64 bits",
    "number": "a number",
    "date": "a date, YYYY-MM-DD",
    "date-time": "a time, such as 2026-01-31T12:00:00Z",
    "uuid": "a UUID",
    "string": "a text",
    "any": "a plain value",
}
