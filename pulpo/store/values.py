"""Values as every store keeps them: the canonical form, its JSON text, ids and times.

Canonical are None, bool, integers of 64 bits, finite floats, strings without NUL and lone surrogates, times in UTC to the
millisecond (what BSON can hold), lists, and dicts whose keys are field names. In JSON text a time is `{"$d": "…Z"}` of fixed
width, so that it sorts as text and can be told from a string without a schema.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import hashlib
import json
import math
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final

from pulpo.store.base import StoreError

#: What MongoDB takes as one document, and as depth of nesting.
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 100
_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**63 - 1
_ID_DIGITS: Final = 24

_PLAIN: Final = frozenset({str, float, bool, type(None), datetime, date, uuid.UUID, Decimal})
_CONTAINERS: Final = frozenset({dict, list, tuple})
_UNFIT: Final = re.compile("[\0\ud800-\udfff]")


class _Unstorable(Exception):  # noqa: N818 - never leaves this module
    """Why a value can't be stored; `path` grows from the inside out."""

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.path: list[str] = []

    def as_store_error(self) -> StoreError:
        where = f"at {'.'.join(reversed(self.path))}: " if self.path else ""
        return StoreError(f"a value can't be stored: {where}{self.problem}", hint=self.hint)


@lru_cache(maxsize=8192)
def nested_name_problem(name: object) -> str | None:
    """What is wrong with a key below the top level, or None."""
    if not isinstance(name, str):
        return f"a field's name is a string, not {name!r}"
    if not name:
        return "a field's name can't be empty"
    if name.startswith("$"):
        return f"a field's name can't begin with $: {name!r}"
    bad = next((c for c in '."\0' if c in name), None)
    if bad is not None:
        return f"a field's name can't hold {bad!r}: {name!r}"
    return None if not _UNFIT.search(name) else f"a field's name has to be valid Unicode: {name!r}"


@lru_cache(maxsize=8192)
def field_name_problem(name: object) -> str | None:
    """What is wrong with the name of a model's field, or None: that of a nested key, or it begins with `_`."""
    if isinstance(name, str) and name.startswith("_"):
        return f"a field's name can't begin with _: {name!r}"
    return nested_name_problem(name)


@lru_cache(maxsize=512)
def _field_names_problem(names: tuple[object, ...]) -> str | None:
    """The first problem of several names: the records of a model have the same ones over and over."""
    return next(filter(None, map(field_name_problem, names)), None)


def canonical(value: object) -> Any:
    """The one form of a value that every store can keep and gives back.

    A naive time is taken as UTC; dates, UUIDs, decimals and bytes (base64) become strings, enum members their values, sets sorted
    lists, NaN and infinities None, models and dataclasses dicts. Equal values give equal results on any machine.

    Raises:
        StoreError: A key, a number, the depth or a type that can't be stored; the message says where.
    """
    try:
        return _canonical(value, 0)
    except _Unstorable as error:
        raise error.as_store_error() from None


def encode(data: Mapping[str, Any]) -> str:
    """The JSON text of a record's data: canonical, keys sorted, no spaces; equal data gives the same text.

    Raises:
        StoreError: As `canonical`, or a field begins with `_`, or the text is larger than 16 MiB.
    """
    _check_field_names(data)
    text = _fast_text(data)
    if text is None:
        text = _ENCODER.encode(canonical(data))
    if len(text) * 4 > MAX_BYTES and len(text.encode()) > MAX_BYTES:
        raise StoreError(f"a record is at most {MAX_BYTES} bytes, this one has: {len(text.encode())}")
    return text


def canonical_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """A record's data in canonical form: what `decode` gives back of what `encode` writes.

    Raises:
        StoreError: As `encode`, but for the size, which is not looked at.
    """
    _check_field_names(data)
    result: dict[str, Any] = canonical(data)
    return result


def _check_field_names(data: Mapping[str, Any]) -> None:
    problem = _field_names_problem(tuple(data))
    if problem is not None:
        raise _Unstorable(problem, "give the field another name or an alias").as_store_error()


def decode(text: str) -> dict[str, Any]:
    """The data whose JSON text `encode` wrote."""
    data: dict[str, Any] = _DECODER.decode(text) if '"$d"' in text else json.loads(text)
    return data


def to_json(value: object) -> str:
    """The JSON text of any value in canonical form, as `encode` writes it."""
    return _ENCODER.encode(canonical(value))


def record_id(*key: object) -> str:
    """The id of a natural key, or of a run, an operation and an index: 24 hex digits, the same for the same key.

    They are the first 96 bits of a SHA-256 digest, and so can be an ObjectId of MongoDB too.
    """
    text = _plain_key(key) or to_json(list(key))
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]


def _plain_key(key: Sequence[object]) -> str | None:
    """What `to_json` gives for a key of ASCII strings and integers, in a tenth of its time; None for any other."""
    parts = []
    for part in key:
        if type(part) is str and part.isascii() and "\0" not in part:
            parts.append(encode_basestring(part))
        elif type(part) is int and _MIN_INT <= part <= _MAX_INT:
            parts.append(str(part))
        else:
            return None
    return f"[{','.join(parts)}]"


def utc(moment: datetime) -> datetime:
    """The moment in UTC, cut to milliseconds; a naive one is taken as UTC already."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.microsecond % 1000:
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return moment


def now() -> datetime:
    """The time as stores keep it: UTC, milliseconds."""
    return utc(datetime.now(UTC))


def to_iso(moment: datetime) -> str:
    """`2026-01-31T06:00:00.000Z`: UTC, milliseconds, fixed width, so that it sorts as the time does."""
    return utc(moment).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def from_iso(text: str) -> datetime:
    """The time that `to_iso` wrote.

    Raises:
        ValueError: The text is no ISO 8601 time.
    """
    return datetime.fromisoformat(text)


def _canonical(value: object, depth: int) -> Any:
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    if depth >= MAX_DEPTH:
        raise _Unstorable(f"it is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return _canonical_mapping(value, depth + 1)
    if isinstance(value, AbstractSet):
        return _sorted(_canonical_items(value, depth + 1))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
        return _canonical_items(value, depth + 1)
    return _canonical(_plainer(value), depth + 1)


def _canonical_mapping(mapping: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in mapping.items():
        name = key if type(key) is str else _key_text(key)
        problem = nested_name_problem(name)
        if problem is not None:
            raise _Unstorable(problem, "give the field another name or an alias, or make the mapping a list of pairs")
        if name in result:
            raise _Unstorable(f"two keys have one name: {name!r}")
        scalar = _SCALARS.get(type(value))
        try:
            result[name] = scalar(value) if scalar is not None else _canonical(value, depth)
        except _Unstorable as error:
            error.path.append(name)
            raise
    return result


def _canonical_items(items: Iterable[object], depth: int) -> list[Any]:
    result = []
    for index, item in enumerate(items):
        scalar = _SCALARS.get(type(item))
        try:
            result.append(scalar(item) if scalar is not None else _canonical(item, depth))
        except _Unstorable as error:
            error.path.append(str(index))
            raise
    return result


def _key_text(key: object) -> str:
    """A key that is no string, as JSON writes it: `1`, `true`, `2026-01-31`."""
    value = _canonical(key, 0)
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, list | dict | datetime):
        raise _Unstorable(f"a field's name can't be of type {type(key).__name__}")
    return json.dumps(value)


def _sorted(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=_ENCODER.encode)


def _text(value: str) -> str:
    return value if value.isascii() and "\0" not in value else _UNFIT.sub("\N{REPLACEMENT CHARACTER}", value)


def _fitting(value: int) -> int:
    if not _MIN_INT <= value <= _MAX_INT:
        raise _Unstorable(f"an integer of more than 64 bits: it has {value.bit_length()}", "store it as a string or a float")
    return value


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _moment(value: datetime) -> datetime:
    try:
        return utc(value)
    except OverflowError:
        raise _Unstorable(f"the time is before the year 1 or after 9999 in UTC: {value}") from None


def _plain_moment(value: datetime) -> datetime | None:
    """A time of a subclass as a plain one; pandas' "not a time" is the only one not equal to itself."""
    if value != value:  # noqa: PLR0124
        return None
    value = _moment(value)
    return datetime(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, UTC)


#: Values that are not looked into, by exact type.
_SCALARS: Final[dict[type, Callable[[Any], Any]]] = {
    type(None): lambda value: value,
    bool: lambda value: value,
    str: _text,
    int: _fitting,
    float: _finite,
    datetime: _moment,
}

#: In this order: what each other type becomes, one step nearer to those.
_CONVERSIONS: Final[tuple[tuple[type | tuple[type, ...], Callable[[Any], object]], ...]] = (
    (enum.Enum, lambda value: value.value),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (datetime, _plain_moment),
    ((date, time), lambda value: value.isoformat()),
    ((uuid.UUID, Decimal), str),
    (os.PathLike, os.fspath),
    ((bytes, bytearray, memoryview), lambda value: base64.b64encode(value).decode()),
)


def _plainer(value: object) -> object:
    """One step from a model, a dataclass, a NumPy value or what else pydantic can write, to plain values."""
    for kind, convert in _CONVERSIONS:
        if isinstance(value, kind):
            return convert(value)
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "tolist"):
        return value.tolist()
    return _plain_by_pydantic(value)


def _plain_by_pydantic(value: object) -> object:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value)
    except PydanticSerializationError:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise _Unstorable(f"it is of type {kind}", "use JSON's types, or a pydantic model") from None


def _fast_text(data: Mapping[str, Any]) -> str | None:
    """The text straight from the JSON encoder where that is what `canonical` leads to, otherwise None."""
    if not _are_plain(data.values(), 1):
        return None
    try:
        text = _ENCODER.encode(data)
        if not text.isascii():
            text.encode()
    except (ValueError, _Unstorable):  # NaN, an infinity, a lone surrogate, a time that has no UTC
        return None
    return None if "\\u0000" in text else text


def _are_plain(values: Iterable[object], depth: int) -> bool:
    """Whether the JSON encoder and `_json_default` alone give what `canonical` would; `_fast_text` sees to strings and floats."""
    for value in values:
        kind = type(value)
        if kind in _PLAIN or (kind is int and _MIN_INT <= value <= _MAX_INT):  # type: ignore[operator]
            continue
        if kind not in _CONTAINERS or depth >= MAX_DEPTH:
            return False
        if kind is dict:
            if any(map(nested_name_problem, value)) or not _are_plain(value.values(), depth + 1):  # type: ignore[call-overload,attr-defined]
                return False
        elif not _are_plain(value, depth + 1):  # type: ignore[arg-type]
            return False
    return True


def _json_default(value: object) -> object:
    if isinstance(value, datetime):
        return {"$d": to_iso(_moment(value))}
    return _canonical(value, 0)


def _json_object(found: dict[str, Any]) -> Any:
    return from_iso(found["$d"]) if len(found) == 1 and "$d" in found else found


_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), default=_json_default
)
_DECODER: Final = json.JSONDecoder(object_hook=_json_object)
