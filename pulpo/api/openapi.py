"""The OpenAPI document: what FastAPI says of the routes, and for each model its own paths with its own JSON Schema.

Schemas are called by the model (`Job`), definitions and what is made of it have a dot (`Job.Salary`, `Job.record`), which no
model's name has. Bodies are closed, as they are checked; a record that is read need not validate any more: it requires nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pulpo.api.access import OPEN
from pulpo.api.bodies import MERGE_PATCH, NDJSON_TYPE, closed
from pulpo.api.context import Context
from pulpo.api.fields import Field
from pulpo.api.openapi_runs import run_paths
from pulpo.api.openapi_schemas import SCHEMAS, definitions, led
from pulpo.api.problems import MEDIA_TYPE
from pulpo.api.query import DEFAULT_LIMIT, MAX_LIMIT, PARAMETERS, operators
from pulpo.api.resource import Resource

Schema = dict[str, Any]

_ID: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"}
_TAG: Final[Schema] = {"ETag": {"description": "What `If-Match` takes.", "schema": {"type": "string"}}}
_FAULT: Final[Schema] = {
    "type": "object",
    "description": "One thing that is wrong with a request.",
    "properties": {
        "loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
        "message": {"type": "string"},
        "hint": {"type": "string"},
    },
    "required": ["loc", "message"],
}
_PROBLEM: Final[Schema] = {
    "type": "object",
    "description": "Why a request was not answered as asked (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "hint": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": f"{SCHEMAS}Fault"}},
        "request_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "instance"],
}
_WRITTEN: Final[Schema] = {
    "type": "object",
    "description": "How many records were new, changed, and there already.",
    "properties": {name: {"type": "integer"} for name in ("inserted", "updated", "unchanged")},
    "required": ["inserted", "updated", "unchanged"],
}
_TEXT_OR_NULL: Final[Schema] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_TIME: Final[Schema] = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
_ENVELOPE: Final[Schema] = {
    "_id": {"type": "string"},
    "_rev": {"type": "integer", "description": "Grows with each change."},
    "_run": {**_TEXT_OR_NULL, "description": "The run that made it."},
    "_operation": {**_TEXT_OR_NULL, "description": "The operation that made it."},
    "_created": _TIME,
    "_updated": _TIME,
}
_ERRORS: Final[Schema] = {
    "type": "array",
    "items": {"$ref": f"{SCHEMAS}Fault"},
    "description": "Why the record no longer is what its model says; it is then as it is stored.",
}


def openapi(app: FastAPI) -> Schema:
    """The document, made anew when the manifest is another one."""
    context: Context = app.state.context
    kept = app.openapi_schema
    if kept is None or app.state.openapi_of is not context.manifest:
        kept = app.openapi_schema = _document(app, context)
        app.state.openapi_of = context.manifest
    return kept


def _document(app: FastAPI, context: Context) -> Schema:
    document = get_openapi(title=app.title, version=app.version, openapi_version="3.1.0", routes=app.routes)
    paths: Schema = document.setdefault("paths", {})
    components: Schema = document.setdefault("components", {})
    schemas: Schema = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(Problem=_PROBLEM, Fault=_FAULT, Written=_WRITTEN)
    for name in sorted(context.manifest.models):
        resource = context.resource(name)
        schemas.update(_schemas(resource))
        paths.update(_paths(resource))
    run_paths(paths, schemas, context.compiler)
    for operation in _operations(paths):
        for parameter in operation.get("parameters", ()):
            _choose(parameter, "model", sorted(context.manifest.models))
    components["responses"] = {
        "Problem": {"description": "It failed.", "content": {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}Problem"}}}}
    }
    if context.settings.token or context.settings.read_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        for path in OPEN:
            paths[path]["get"]["security"] = []
    for operation in _operations(paths):
        responses = operation["responses"]
        responses.pop("422", None)
        responses["default"] = {"$ref": "#/components/responses/Problem"}
    return document


def _choose(parameter: Schema, name: str, choices: list[str]) -> None:
    """Say which values a list in a query can have."""
    if parameter["name"] == name and parameter["in"] == "query" and "items" in parameter["schema"] and choices:
        parameter["schema"]["items"] = {"type": "string", "enum": choices}


def _operations(paths: Schema) -> Iterator[Schema]:
    for item in paths.values():
        yield from (operation for operation in item.values() if isinstance(operation, dict) and "responses" in operation)


def _schemas(resource: Resource) -> Iterator[tuple[str, Schema]]:
    """The components of a model: itself, its definitions, and what is made of it."""
    name = resource.name
    schema = closed(resource.json_schema)
    inner = dict(definitions(name, schema))
    yield from inner.items()
    root = led({word: value for word, value in schema.items() if word != "$defs"}, name)
    if set(root) == {"$ref"}:
        root = inner.get(root["$ref"].removeprefix(SCHEMAS), {})
    properties = {field: one for field, one in root.get("properties", {}).items() if not field.startswith("_")}
    required = root.get("required", [])
    described = {"description": resource.spec.description} if resource.spec.description else {}
    # A natural key makes the id; a body may have it, and has no reason to.
    own = {} if resource.spec.key else {"_id": {**_ID, "description": "The id of a new record."}}
    yield name, {**root, **described, "properties": {**properties, **own}}
    yield (
        f"{name}.record",
        {"type": "object", **described, "properties": {**properties, **_ENVELOPE, "_errors": _ERRORS}, "required": [*_ENVELOPE]},
    )
    patch = {field: one if field in required else {"anyOf": [one, {"type": "null"}]} for field, one in properties.items()}
    yield f"{name}.patch", {"type": "object", "properties": patch, "additionalProperties": root.get("additionalProperties", True)}
    yield (
        f"{name}.page",
        {
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": {"$ref": f"{SCHEMAS}{name}.record"}},
                "next": {**_TEXT_OR_NULL, "description": "The `cursor` of the page after; null on the last one."},
                "count": {"type": "integer", "description": "How many records there are on all pages."},
            },
            "required": ["items", "next"],
        },
    )


def _paths(resource: Resource) -> Schema:
    name = resource.name
    base = f"/models/{name}/records"
    one = f"{SCHEMAS}{name}.record"
    identity = {"name": "id", "in": "path", "required": True, "schema": _ID}
    writes = [identity, _header("If-Match", "The record's tag or revision: 412 where it has another.")]
    creates = _header("If-None-Match", "`*` only makes a new record.")
    return {
        base: {
            "get": _operation(
                name, "list", "A page of records.", _ok({"$ref": f"{SCHEMAS}{name}.page"}), parameters=_parameters(resource)
            ),
            "post": _operation(
                name,
                "create",
                "Make a record.",
                {"201": _content(one, "Made.", _located())},
                body=_body(name, "application/json"),
            ),
            "put": _operation(
                name,
                "upsert",
                "Store many records: all of them, or none where one is wrong (422). Of several with one id the last counts. "
                "Where a unique value is taken (409), those before it may be stored: send all of them again.",
                _ok({"$ref": f"{SCHEMAS}Written"}),
                body=_many(name),
            ),
        },
        f"{base}/{{id}}": {
            "get": _operation(
                name,
                "read",
                "One record.",
                {**_ok({"$ref": one}, _TAG), "304": {"description": "As you know it."}},
                parameters=[identity, _header("If-None-Match", "The tag of what you have.")],
            ),
            "put": _operation(
                name,
                "replace",
                "Replace a record whole, or make it.",
                {**_ok({"$ref": one}, _TAG), "201": _content(one, "Made.", _TAG)},
                parameters=[*writes, creates],
                body=_body(name, "application/json"),
            ),
            "patch": _operation(
                name,
                "patch",
                "Change the fields given; null takes a field back to its default.",
                _ok({"$ref": one}, _TAG),
                parameters=writes,
                body=_body(f"{name}.patch", *sorted(MERGE_PATCH)),
            ),
            "delete": _operation(name, "delete", "Delete a record.", {"204": {"description": "It is gone."}}, parameters=writes),
        },
    }


def _operation(
    model: str, verb: str, summary: str, responses: Schema, *, parameters: list[Schema] | None = None, body: Schema | None = None
) -> Schema:
    return {
        "operationId": f"{verb}_{model}",
        "summary": summary,
        "tags": [model],
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": body} if body else {}),
        "responses": responses,
    }


def _ok(schema: Schema, headers: Schema | None = None) -> Schema:
    return {
        "200": {
            "description": "Done.",
            **({"headers": headers} if headers else {}),
            "content": {"application/json": {"schema": schema}},
        }
    }


def _content(reference: str, description: str, headers: Schema) -> Schema:
    return {"description": description, "headers": headers, "content": {"application/json": {"schema": {"$ref": reference}}}}


def _located() -> Schema:
    return {**_TAG, "Location": {"description": "Where the record is.", "schema": {"type": "string"}}}


def _header(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def _body(schema: str, *media_types: str) -> Schema:
    return {"required": True, "content": {kind: {"schema": {"$ref": f"{SCHEMAS}{schema}"}} for kind in media_types}}


def _many(name: str) -> Schema:
    lines = {"schema": {"type": "string", "description": f"A {name} in JSON on each line."}}
    items = {"schema": {"type": "array", "items": {"$ref": f"{SCHEMAS}{name}"}}}
    return {"required": True, "content": {"application/json": items, NDJSON_TYPE: lines}}


def _parameters(resource: Resource) -> list[Schema]:
    """The parameters of a page and all filters."""
    fields = resource.fields.listed()
    sortable = [sign + field.name for field in fields if field.plain and not field.is_list for sign in ("", "-")]
    own = [
        _query("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
        _query("cursor", {"type": "string", "minLength": 1}, "`next` of the page before."),
        _query("count", {"type": "string", "enum": ["exact"]}, "Say how many records there are on all pages."),
        _query(
            "sort",
            {"type": "array", "minItems": 1, "items": {"type": "string", "enum": sortable}},
            "Fields; with - in front, descending.",
        ),
    ]
    if resource.fields.texts():
        own.append(_query("q", {"type": "string"}, "A text to look for in all text fields, in any case."))
    return [*own, *(parameter for field in fields for parameter in _filters(field))]


def _filters(field: Field) -> Iterator[Schema]:
    for operator in operators(field):
        name = field.name if operator == "eq" and field.name not in PARAMETERS else f"{field.name}__{operator}"
        yield _query(name, _filter_schema(field, operator))


def _filter_schema(field: Field, operator: str) -> Schema:
    if operator in ("exists", "isnull"):
        return {"type": "boolean"}
    if operator in ("contains", "startswith"):
        return {"type": "string"}
    if operator in ("in", "nin"):
        return {"type": "array", "minItems": 1, "items": _value(field)}
    if field.is_list and field.items is not None:
        return _value(field.items)
    return _value(field, any_choice=operator not in ("eq", "ne"))


def _value(field: Field, *, any_choice: bool = False) -> Schema:
    """The schema of a value in a filter; any text is some value of a field that takes texts."""
    if field.choices is not None and not any_choice:
        return {"enum": [choice for choice in field.choices if choice is not None]}
    if field.kinds & {"string", "any"}:
        return {"type": "string"}
    alternatives = [_KINDS[kind] for kind in sorted(field.plain)]
    return alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}


_KINDS: Final[Mapping[str, Schema]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "number": {"type": "number"},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
}


def _query(name: str, schema: Schema, description: str | None = None) -> Schema:
    array = {"style": "form", "explode": False} if schema.get("type") == "array" else {}
    return {
        "name": name,
        "in": "query",
        "required": False,
        **({"description": description} if description else {}),
        **array,
        "schema": schema,
    }
