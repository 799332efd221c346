"""Bodies of requests: read as JSON, checked by the model's JSON Schema, unknown fields refused, then by the project's class."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import jsonschema_rs
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import Request

from pulpo.api.fields import shown
from pulpo.api.problems import Fault, Problem
from pulpo.manifest.held_schema import schema_problem
from pulpo.names import did_you_mean
from pulpo.run.codec import Codec, WrongRecordError
from pulpo.run.failure import describe
from pulpo.run.outputs import check_key
from pulpo.store.base import Collection, Record, StoreError
from pulpo.store.values import encode

JSON: Final = frozenset({"application/json"})
MERGE_PATCH: Final = JSON | {"application/merge-patch+json"}
NDJSON_TYPE: Final = "application/x-ndjson"
NDJSON: Final = frozenset({NDJSON_TYPE, "application/ndjson", "application/jsonl"})

Loc = tuple[str | int, ...]

#: Faults of one request that are told.
TOLD: Final = 100

#: Keys of a schema whose values are plain data, in which a key is no keyword.
DATA: Final = frozenset({"const", "default", "enum", "examples"})
#: Keys of a schema whose values are schemas by name.
BY_NAME: Final = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
#: Keywords under which a schema says only a part of what an object is.
_PARTS: Final = frozenset({"allOf", "if", "then", "else", "not", "dependentSchemas"})
#: What `valid_id` says in words.
ID_HINT: Final = "up to 128 letters, digits, _, ., : and -, of which the first is a letter or a digit"
_BOUNDS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const"})
#: Keywords that say more of an object's fields, by themselves or in other schemas.
_OPEN: Final = _PARTS | {"additionalProperties", "unevaluatedProperties", "patternProperties", "$ref", "anyOf", "oneOf"}


class RefusedError(Exception):
    """A record was refused; `faults` are all that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].message)
        self.faults = tuple(faults)


def media_type(request: Request, accepted: frozenset[str]) -> str:
    """The media type of the body.

    Raises:
        Problem: 415, it is not one of those accepted, is compressed, or is not in UTF-8.
    """
    kind = _type_in_utf8(request.headers.get("content-type", ""))
    if kind not in accepted:
        listed = ", ".join(sorted(accepted))
        raise Problem(
            415, f"the body has to be {listed} in UTF-8", hint=f"Content-Type: {min(accepted)}", headers={"Accept": listed}
        )
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "the body can't be compressed", headers={"Accept-Encoding": "identity"})
    return kind


@functools.lru_cache(maxsize=64)  # a client says the same each time
def _type_in_utf8(said: str) -> str:
    """The media type that a `Content-Type` is, empty where that is in another encoding than UTF-8."""
    kind, *parameters = (part.strip().lower() for part in said.split(";"))
    charsets = [p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")]
    return kind if all(charset in ("utf-8", "utf8", "us-ascii") for charset in charsets) else ""


def read_json(text: bytes) -> Any:
    """The value that a body is; of a key that is there twice the last counts.

    Raises:
        Problem: 400, it is not JSON.
    """
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}") from None


def read_lines(text: bytes) -> list[Any]:
    """The values of a body that has one on each line; empty lines are none.

    Raises:
        Problem: 400, a line is not JSON; it says which.
    """
    values = []
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.strip():
            try:
                values.append(from_json(line, allow_inf_nan=False))
            except ValueError as error:
                raise Problem(400, f"line {number} of the body is not JSON: {error}") from None
    return values


def checked(codec: Codec, schema: SchemaCheck, value: Any, loc: Loc) -> Record:
    """The record that a value of a body is, as it will be stored; its id is empty where neither the key nor `_id` gives one.

    Raises:
        RefusedError: It is none; all faults of the first stage that finds any.
    """
    if not isinstance(value, dict):
        raise RefusedError([Fault(loc, "must be an object, a record's fields by name")])
    own = {name: item for name, item in value.items() if not name.startswith("_")}
    faults = [*kept(value, loc), *schema.faults(own, loc)]
    if faults:
        raise RefusedError(faults)
    data = validated(codec, own, loc)
    return Record(_identity(codec, data, value.get("_id"), loc), data)


def validated(codec: Codec, value: Mapping[str, Any], loc: Loc) -> dict[str, Any]:
    """The data of a record as it will be stored, checked by the project's class.

    Raises:
        RefusedError: The class refuses it.
    """
    try:
        record = codec.adapter.validate_json(to_json(value), by_name=True, by_alias=True)
        data = codec.checked(record)[1]
        check_key(codec, data)
    except WrongRecordError as error:
        raise RefusedError(wrong(error, loc)) from error
    except ValidationError as error:
        raise RefusedError(_all(error, loc)) from error
    except Exception as error:
        raise RefusedError([Fault(loc, describe(error))]) from error
    return data


def wrong(error: WrongRecordError, loc: Loc) -> list[Fault]:
    """All that a codec found wrong with a record."""
    if isinstance(error.__cause__, ValidationError):
        return _all(error.__cause__, loc)
    path = tuple(error.field.split(".")) if error.field else ()
    return [Fault((*loc, *path), error.problem)]


def storable(record: Record, collection: Collection, loc: Loc) -> None:
    """Raise a `RefusedError` where a record is valid but no store can keep it: too many bits, too much nesting, no ObjectId."""
    try:
        collection.check_id(record.id)
        encode(record.data)
    except StoreError as error:
        raise RefusedError([Fault(loc, error.message, error.hint)]) from error


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that refuses fields which it does not name, and integers that no store can keep, at every depth."""
    result: dict[str, Any] = _closed(schema, whole=True, parts=_parts_of(schema))
    return result


class SchemaCheck:
    """Values against a model's JSON Schema, closed."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises `ValueError` where the schema is none."""
        if problem := schema_problem(schema):
            raise ValueError(problem)

        self.schema = closed(schema)
        self._known = sorted(schema.get("properties", {}))
        self._validator = jsonschema_rs.Draft202012Validator(self.schema)
        some = {word: inner for word, inner in self.schema.items() if word != "required"}
        self._validator_of_some = jsonschema_rs.Draft202012Validator(some)

    def faults(self, value: Mapping[str, Any], loc: Loc, *, some: bool = False) -> list[Fault]:
        """All that is wrong with a value, in the order of its fields' names; with `some` fields, others may be missing."""
        validator = self._validator_of_some if some else self._validator
        try:
            found = [fault for error in validator.iter_errors(value) for fault in _told(error, loc, self._known)]
        except ValueError as error:
            return [Fault(loc, str(error))]
        return sorted(found, key=lambda fault: (list(map(str, fault.loc)), fault.message))


def _told(error: Any, loc: Loc, known: Sequence[str]) -> Iterator[Fault]:
    path = (*loc, *error.instance_path)
    unexpected = getattr(error.kind, "unexpected", None)
    alternatives = getattr(error.kind, "context", ())
    kinds = [_other_kinds(faults, error.instance_path) for faults in alternatives]
    if kinds.count(()) == 1:
        for fault in alternatives[kinds.index(())]:
            yield from _told(fault, loc, known)
    elif kinds and () not in kinds:
        yield Fault(path, f"must be {' or '.join(dict.fromkeys(kind for several in kinds for kind in several))}")
    elif unexpected:
        for name in unexpected:
            hint = None if error.instance_path else did_you_mean(name, known)
            yield Fault((*path, name), "there is no such field", hint)
    elif (missing := getattr(error.kind, "property", None)) is not None:
        yield Fault((*path, missing), "is required")
    else:
        yield Fault(path, error.message if len(error.message) < 200 else f"{error.message[:199]}…")  # noqa: PLR2004


def _other_kinds(faults: Sequence[Any], place: Sequence[str | int]) -> tuple[str, ...]:
    """The types that one of several alternatives is for, where the value is of none of them."""
    return next((tuple(f.kind.types) for f in faults if f.instance_path == place and hasattr(f.kind, "types")), ())


def kept(value: Mapping[str, Any], loc: Loc) -> Iterator[Fault]:
    """What is wrong with the fields that the store keeps, of which a body may have the id."""
    for name in value:
        if name == "_id":
            if not isinstance(value[name], str) or not valid_id(value[name]):
                yield Fault((*loc, "_id"), f"can't be the id of a record: {shown(str(value[name]))}", ID_HINT)
        elif name.startswith("_"):
            yield Fault((*loc, name), "is kept by the store and can't be given", "leave it out; for a revision, use If-Match")


def valid_id(text: str) -> bool:
    """Whether a new record can have this id."""
    rest = text.replace("_", "a").replace(".", "a").replace(":", "a").replace("-", "a")
    return text.isascii() and 1 <= len(text) <= 128 and text[0].isalnum() and rest.isalnum()  # noqa: PLR2004


def _identity(codec: Codec, data: dict[str, Any], given: str | None, loc: Loc) -> str:
    identity = codec.identity(data)
    if identity is not None and given is not None and given != identity:
        raise RefusedError(
            [Fault((*loc, "_id"), f"the key ({', '.join(codec.key)}) makes the id {identity}, not {shown(given)}")]
        )
    return identity or given or ""


def _all(error: ValidationError, loc: Loc) -> list[Fault]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Fault((*loc, *one["loc"]), one["msg"].removeprefix("Value error, ")) for one in found]


def _parts_of(schema: Any) -> frozenset[str]:
    """The references to schemas that say only a part of what an object is."""
    found: set[str] = set()

    def look(node: Any, *, part: bool) -> None:
        if isinstance(node, list):
            for item in node:
                look(item, part=part)
        elif isinstance(node, dict):
            if part and isinstance(node.get("$ref"), str):
                found.add(node["$ref"])
            for word, inner in node.items():
                if word in BY_NAME and isinstance(inner, dict):
                    for item in inner.values():
                        look(item, part=word in _PARTS)
                elif word not in DATA:
                    look(inner, part=word in _PARTS)

    look(schema, part=False)
    return frozenset(found)


def _closed(schema: Any, *, whole: bool, parts: frozenset[str]) -> Any:
    if isinstance(schema, list):
        return [_closed(item, whole=whole, parts=parts) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    result: dict[str, Any] = {}
    for word, inner in schema.items():
        if word in DATA:
            result[word] = inner
        elif word in BY_NAME and isinstance(inner, Mapping):
            inside = word not in _PARTS
            result[word] = {
                name: _closed(item, whole=inside and f"#/{word}/{name}" not in parts, parts=parts) for name, item in inner.items()
            }
        else:
            result[word] = _closed(inner, whole=word not in _PARTS, parts=parts)
    if result.get("type") == "integer" and not _BOUNDS & result.keys():
        result.update(minimum=-(2**63), maximum=2**63 - 1)
    if whole and "properties" in result and not _OPEN & result.keys():
        result["additionalProperties"] = False
    return result
