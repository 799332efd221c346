"""Records between user code and the store: checked on the way out, the same again on the way in.

What an operation returns is not trusted: a record is dumped to plain data and validated from that, so that one which was
mutated or made by `model_construct` is caught where it was made. Consumers get the validated copy, which is what the store
will give back later: naive times are UTC, times have milliseconds.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from pulpo.declare.entrypoint import resolve
from pulpo.errors import RunError
from pulpo.manifest.held_schema import value_check
from pulpo.manifest.model import ModelSpec
from pulpo.run.beanie import is_document
from pulpo.run.failure import describe
from pulpo.store.base import Collection, Index
from pulpo.store.values import record_id

Data = dict[str, Any]

_SHOWN = 60
_NOTHING = object()


class WrongRecordError(RunError):
    """A record is not what its model says; `field` is the dotted field, empty where it is the whole record."""

    def __init__(self, field: str, problem: str, value: str | None = None) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem
        self.value = value


class Codec:
    """One model: its class, where its records are stored and how they get there and back."""

    def __init__(self, name: str, spec: ModelSpec) -> None:
        """Imports the model's class by its entrypoint; without one its records are dicts that follow its schema.

        Raises:
            UsageError: It can't be imported.
            ValueError: The schema is none.
        """
        self.name = name
        self.key = tuple(spec.key or ())
        self.collection = collection_of(name, spec)
        self.cls: type = resolve(spec.entrypoint) if spec.entrypoint else dict
        self._type: Any = self.cls if spec.entrypoint else by_schema(spec.json_schema)
        self._excluded = {"id", "revision_id"} if is_document(self.cls) else None
        self._adapter: TypeAdapter[Any] | None = None

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """Made when first needed: a Beanie Document has to be initialised before."""
        if self._adapter is None:
            self._adapter = TypeAdapter(self._type)
        return self._adapter

    def checked(self, value: object) -> tuple[object, Data]:
        """The record as consumers get it, and its data as stored, from an instance of exactly the class or a dict.

        Raises:
            WrongRecordError: It is neither, or does not survive being dumped and validated.
        """
        try:
            if type(value) is self.cls:
                return self._checked_instance(value)
            if isinstance(value, dict):
                return self._checked_instance(self.adapter.validate_python(value, by_name=True, by_alias=True))
        except ValidationError as error:
            raise _wrong(error) from error
        except WrongRecordError:
            raise
        except Exception as error:
            raise WrongRecordError("", f"it can't be dumped to plain data: {describe(error)}") from error
        raise WrongRecordError("", f"not an instance of {self.name}: {_shown(value)}")

    def load(self, data: Mapping[str, Any]) -> object:
        """The record from its data as stored.

        Raises:
            WrongRecordError: The data no longer validates.
        """
        try:
            return self.adapter.validate_json(to_json(data), by_name=True, by_alias=False)
        except ValidationError as error:
            raise _wrong(error) from error
        except WrongRecordError:
            raise
        except Exception as error:
            raise WrongRecordError("", describe(error)) from error

    def dump(self, record: object) -> Data:
        """A record's data, by field name, without what is computed."""
        data: Data = self.adapter.serializer.to_python(
            record, round_trip=True, by_alias=False, warnings=False, exclude=self._excluded
        )
        return data

    def copy(self, record: object) -> object:
        """A fresh copy: the record validated from its own data."""
        return self.adapter.validator.validate_python(self.dump(record), by_name=True, by_alias=False)

    def identity(self, data: Data) -> str | None:
        """The record's id by its natural key, None where the model has no key."""
        if not self.key:
            return None
        return record_id(*[data[field] if field in data else _at(data, field) for field in self.key])

    def _check_stable(self, record: object, data: Data) -> None:
        """Refuse a record that validation changes every time: it would be another one whenever it is read."""
        again = self.dump(self.copy(record))
        changed = next((field for field in data if again.get(field, _NOTHING) != data[field]), None)
        if changed is not None:
            problem = "it changes each time it is validated, and so each time it is read"
            raise WrongRecordError(changed, problem, f"{_shown(data[changed])} -> {_shown(again.get(changed))}")

    def named(self, record: object) -> str:
        """The natural key in words, `url='https://…'`, as far as what may be no record at all has one."""
        found = {
            field: record.get(field, _NOTHING) if isinstance(record, Mapping) else getattr(record, field, _NOTHING)
            for field in self.key
        }
        return ", ".join(f"{field}={_shown(value)}" for field, value in found.items() if value is not _NOTHING)

    def _checked_instance(self, value: object) -> tuple[object, Data]:
        given = self.dump(value)
        record = self.adapter.validator.validate_python(given, by_name=True, by_alias=False)
        data = self.dump(record)
        if data != given:
            self._check_stable(record, data)
        if _is_plain(data):
            return record, data
        try:
            as_json = self.adapter.dump_python(
                record, mode="json", round_trip=True, by_alias=False, warnings=False, exclude=self._excluded
            )
        except PydanticSerializationError as error:
            raise WrongRecordError("", f"it can't be stored: {describe(error)}") from error
        data = _storable(data, as_json)
        try:
            return self.load(data), data
        except WrongRecordError as error:
            raise WrongRecordError(error.field, f"it can't be read back once stored: {error.problem}", error.value) from error


def by_schema(schema: Mapping[str, Any]) -> Any:
    """The type of dicts that follow a JSON Schema, for pydantic; it raises WrongRecordError for others.

    Raises:
        ValueError: The schema is none.
    """
    problem = value_check(schema)

    def check(record: Data) -> Data:
        if found := problem(to_jsonable_python(record)):
            raise WrongRecordError(*found)
        return record

    return Annotated[dict[str, Any], AfterValidator(check)]


def collection_of(name: str, spec: ModelSpec) -> Collection:
    """Where the records of a model are stored."""
    indexes = tuple(Index(tuple(fields)) for fields in spec.indexes or ())
    return Collection(spec.collection_for(name), indexes=indexes, object_ids=bool(spec.object_ids))


def _at(data: Mapping[str, Any], path: str) -> Any:
    value: Any = data
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _wrong(error: ValidationError) -> WrongRecordError:
    first = error.errors(include_url=False, include_context=False)[0]
    value = None if first["type"] == "missing" else _shown(first["input"])
    return WrongRecordError(".".join(map(str, first["loc"])), first["msg"], value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


#: Types that the store writes as a text, or leaves alone, and that pydantic reads back from it as they were.
_ATOMS = frozenset({str, int, bool, type(None), dt.date, uuid.UUID, decimal.Decimal})


def _is_plain(value: Any) -> bool:
    """Whether the store gives the value back as it is, so that no detour by JSON is needed."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():  # noqa: SIM110 - every record goes through here, and a generator costs as much again
            if type(key) is not str or (type(item) not in _ATOMS and not _is_plain(item)):
                return False
        return True
    if kind is list or kind is tuple:
        return all(type(item) in _ATOMS or _is_plain(item) for item in value)
    if kind is float:
        return math.isfinite(value)
    if kind is dt.datetime:
        return value.tzinfo is not None and value.microsecond % 1000 == 0
    return kind in _ATOMS or (isinstance(value, enum.Enum) and type(value.value) in _ATOMS)


def _storable(value: Any, as_json: Any) -> Any:
    """Data in which every value is what pydantic's JSON has for it, but times stay times, and sets are in order."""
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return aware.astimezone(dt.UTC).replace(microsecond=aware.microsecond // 1000 * 1000)
    if isinstance(value, dict) and isinstance(as_json, dict):
        return {name: _storable(item, plain) for item, (name, plain) in zip(value.values(), as_json.items(), strict=True)}
    if isinstance(value, (list, tuple)) and isinstance(as_json, list):
        return [_storable(item, plain) for item, plain in zip(value, as_json, strict=True)]
    if isinstance(value, (set, frozenset)) and isinstance(as_json, list):
        pairs = zip(value, as_json, strict=True)
        return sorted((_storable(item, plain) for item, plain in pairs), key=lambda item: json.dumps(item, default=str))
    if isinstance(as_json, float) and not math.isfinite(as_json):
        return None
    return as_json
