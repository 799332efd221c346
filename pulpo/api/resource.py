"""A model as a resource: its typed fields, the checks of its bodies, and what its records look like on the wire."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from pulpo.api.bodies import SchemaCheck, wrong
from pulpo.api.fields import Fields
from pulpo.api.problems import Problem
from pulpo.declare.entrypoint import resolve
from pulpo.manifest.model import ModelSpec
from pulpo.run.beanie import is_document
from pulpo.run.codec import Codec, WrongRecordError, collection_of
from pulpo.store.base import Collection, Record

if TYPE_CHECKING:
    from pulpo.api.context import Codecs

#: Digits of the part of a tag that tells apart what has the same revision.
_TAG_DIGITS: Final = 8


class Resource:
    """One model; what is dear to make is made when it is first needed."""

    def __init__(self, name: str, spec: ModelSpec, codecs: Codecs) -> None:
        self.name = name
        self.spec = spec
        self._codecs = codecs
        self._pages: TypeAdapter[Any] | None = None

    @cached_property
    def collection(self) -> Collection:
        """Where its records are."""
        return collection_of(self.name, self.spec)

    @cached_property
    def json_schema(self) -> Mapping[str, Any]:
        """The manifest's schema; of a class with aliases its own, by the names that fields are stored under.

        Over HTTP a field has one name, whichever way it goes, and that is the one it is looked for by.
        """
        return _by_field_name(self.spec) or self.spec.json_schema

    @cached_property
    def searched(self) -> Collection:
        """The same, with the fields that a text search looks in."""
        return dataclasses.replace(self.collection, text=self.fields.texts())

    @cached_property
    def fields(self) -> Fields:
        """What queries can name. Without a class a time is stored as the text that it came as."""
        return Fields(self.json_schema, times=self.spec.entrypoint is not None)

    @cached_property
    def schema(self) -> SchemaCheck:
        """The check of bodies.

        Raises:
            Problem: 503, the manifest's schema is none.
        """
        try:
            return SchemaCheck(self.json_schema)
        except ValueError as error:
            raise Problem(503, f"records of {self.name} can't be checked, its schema is none: {error}") from error

    async def codec(self) -> Codec:
        """The class of its records.

        Raises:
            Problem: 503, it can't be imported.
        """
        return await self._codecs.get(self.name)

    async def wire(self, records: Sequence[Record], *, checked: bool = False) -> list[bytes]:
        """Records in JSON as answers have them; one that the class refuses is as stored, with `_errors`.

        Where the class can't be imported nothing is checked, nor where it is said that all are `checked`.
        """
        texts = [orjson.dumps(record.data, option=orjson.OPT_UTC_Z) for record in records]
        errors = {} if checked else await self._errors(records, texts)
        return [_wire(text, record, errors.get(n)) for n, (text, record) in enumerate(zip(texts, records, strict=True))]

    async def _errors(self, records: Sequence[Record], texts: Sequence[bytes]) -> dict[int, list[dict[str, Any]]]:
        """What the class has against each of the records that it refuses, by number."""
        try:
            codec = await self.codec()
        except Problem:
            return {}
        found: dict[int, list[dict[str, Any]]] = {}
        if not self._are_valid(codec, texts):
            for number, record in enumerate(records):
                try:
                    codec.load(record.data)
                except WrongRecordError as error:
                    found[number] = [{"loc": list(fault.loc), "message": fault.message} for fault in wrong(error, ())]
        return found

    def _are_valid(self, codec: Codec, texts: Sequence[bytes]) -> bool:
        """Whether all records validate, found out in one go: a call for each costs much more."""
        if self._pages is None:
            self._pages = TypeAdapter(list[codec.adapter._type])  # type: ignore[name-defined] # noqa: SLF001
        try:
            self._pages.validate_json(b"[%b]" % b",".join(texts), by_name=True, by_alias=False)
        except ValidationError:
            return False
        except Exception:  # noqa: BLE001 - a validator of the user's may raise anything
            return False
        return True


class Resources:
    """The models of a manifest, each as a resource that is made once."""

    def __init__(self, models: Mapping[str, ModelSpec], codecs: Codecs) -> None:
        self._models = models
        self._codecs = codecs
        self._made: dict[str, Resource] = {}

    def __getitem__(self, name: str) -> Resource:
        """The model called `name`, which has to be one of the manifest."""
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = Resource(name, self._models[name], self._codecs)
        return found


def tag(record: Record) -> str:
    """A record's `ETag`, a strong one: `"3-1f0c9a2b"`, its revision and a digest of what else its answer has.

    Revisions alone would not do: a record that is deleted and made again begins at 1 again, and a run that makes the same data
    once more leaves the revision as it is.
    """
    rest = f"{record.created}|{record.updated}|{record.run}|{record.operation}"
    return f'"{record.rev}-{hashlib.sha256(rest.encode()).hexdigest()[:_TAG_DIGITS]}"'


def _wire(text: bytes, record: Record, errors: Sequence[Any] | None) -> bytes:
    """A record's data, in JSON already, with what is kept beside it: written once, for a page has many."""
    kept = {
        "_id": record.id,
        "_rev": record.rev,
        "_run": record.run,
        "_operation": record.operation,
        "_created": record.created,
        "_updated": record.updated,
    }
    beside = orjson.dumps(kept if errors is None else {**kept, "_errors": errors}, option=orjson.OPT_UTC_Z)
    return b"%b,%b" % (text[:-1], beside[1:]) if record.data else beside


def _by_field_name(spec: ModelSpec) -> dict[str, Any] | None:
    """The schema of a class by the names of its fields; None where the manifest has these names already."""
    if not spec.entrypoint:
        return None
    try:
        cls = resolve(spec.entrypoint)
        make = cls.model_json_schema if hasattr(cls, "model_json_schema") else TypeAdapter(cls).json_schema
        schema: dict[str, Any] = make(by_alias=False)
        if schema == make(by_alias=True):
            return None
    except Exception:  # noqa: BLE001 - whoever writes a record is told why the class can't be had
        return None
    if is_document(cls):
        for name in ("id", "revision_id"):
            schema.get("properties", {}).pop(name, None)
    return schema
