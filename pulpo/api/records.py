"""`/models/{model}/records`: the records of a model, listed, made, replaced, changed and deleted.

A record that the API makes has no run and no operation; one that it changes keeps those that made it. The id of a model with a
natural key is the key's digest, as runs compute it; of another, `_id` of the body, or 24 random hex digits.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from pulpo.api import bodies, preconditions
from pulpo.api.bodies import RefusedError
from pulpo.api.context import Context, context_of
from pulpo.api.negotiate import chosen
from pulpo.api.parameters import refuse_unknown
from pulpo.api.problems import Fault, Problem, invalid
from pulpo.api.query import parse
from pulpo.api.resource import Resource, tag
from pulpo.run.codec import Codec
from pulpo.store.base import Conflict, NotFound, Record, Stale, Store, StoreError

Endpoint = Callable[[Request], Awaitable[Response]]

_JSON: Final = "application/json"
_BODY: Final = ("body",)
#: So many records of one body are checked on the event loop; more, on a thread.
_FEW: Final = 20
#: A write that does not say which revision it is for begins again when another came between, at most so often.
_TRIES: Final = 100
_ID_BYTES: Final = 12


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The routes of records."""
    routes = APIRouter()
    for path, methods in (
        ("/models/{model}/records", {"GET": list_records, "POST": create_record, "PUT": upsert_records}),
        (
            "/models/{model}/records/{id:path}",  # an id can have slashes
            {"GET": read_record, "PUT": replace_record, "PATCH": patch_record, "DELETE": delete_record},
        ),
    ):
        routes.add_route(path, _by_method(methods), methods=[*methods], include_in_schema=False)
    return routes


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    """One route for all methods of a path: with one for each, every request is matched with those before its own."""

    async def endpoint(request: Request) -> Response:
        return await endpoints[request.method](request)

    return endpoint


async def list_records(request: Request) -> Response:
    """A page of records, and how many there are where `count=exact` asks for it."""
    resource, store = _asked(request)
    query = parse(resource.fields, request.query_params.multi_items())
    collection = resource.searched if query.text is not None else resource.collection
    page = await store.find(collection, query.where, text=query.text, sort=query.sort, limit=query.limit, after=query.cursor)
    rest: dict[str, Any] = {"next": page.next}
    if query.count:
        rest["count"] = await store.count(collection, query.where, text=query.text)
    items = b",".join(await resource.wire(page.items))
    return Response(b'{"items":[%b],%b' % (items, to_json(rest)[1:]), media_type=_JSON)


async def create_record(request: Request) -> Response:
    """A new record."""
    resource, store = _asked(request, no_query=True)
    preconditions.refuse(request, "If-Match")
    bodies.media_type(request, bodies.JSON)
    codec = await resource.codec()
    record = _checked(codec, resource, bodies.read_json(await request.body()))
    record = Record(record.id or secrets.token_hex(_ID_BYTES), record.data)
    try:
        made = await store.create(resource.collection, record)
    except StoreError as error:
        raise _refused(error, resource, record) from error
    location = f"{request.scope['path']}/{quote(made.id, safe='')}"
    return await _one(resource, made, status=201, headers={"Location": location})


async def upsert_records(request: Request) -> Response:
    """Many records, stored whether or not they are there: all are checked first, and none is stored where one is wrong.

    What only the store finds in the midst of them is another matter: those before a unique value that is taken may be stored.
    """
    resource, store = _asked(request, no_query=True)
    preconditions.refuse(request, "If-Match", "If-None-Match")
    kind = bodies.media_type(request, bodies.JSON | bodies.NDJSON)
    codec, text = await resource.codec(), await request.body()
    values = bodies.read_lines(text) if kind in bodies.NDJSON else bodies.read_json(text)
    if not isinstance(values, list):
        raise invalid([Fault(_BODY, "must be a list of records")])
    if len(values) <= _FEW:
        records = _all_checked(codec, resource, values)
    else:
        records = await asyncio.to_thread(_all_checked, codec, resource, values)
    try:
        written = await store.upsert_many(resource.collection, records)
    except Conflict as error:
        detail = f"{error.message}; the records before that one may be stored"
        raise Problem(409, detail, hint=f"{error.hint}; then send all of them again") from error
    except StoreError as error:
        raise _refused(error, resource, *records) from error
    return _json({"inserted": written.inserted, "updated": written.updated, "unchanged": written.unchanged})


async def read_record(request: Request) -> Response:
    """One record, or 304 where the client has it."""
    resource, store = _asked(request, no_query=True)
    record = await _found(store, resource, request)
    if preconditions.is_known(request, tag(record)):
        return Response(status_code=304, headers={"ETag": tag(record)})
    return await _one(resource, record, checked=False)


async def replace_record(request: Request) -> Response:
    """The record with this id, new or replaced whole."""
    resource, store = _asked(request, no_query=True)
    bodies.media_type(request, bodies.JSON)
    codec = await resource.codec()
    new = _at_its_place(codec, resource, bodies.read_json(await request.body()), request.path_params["id"])
    for _ in range(_TRIES):
        current = await store.get(resource.collection, new.id)
        preconditions.check(request, current)
        if current is None and not bodies.valid_id(new.id):
            raise invalid([Fault(("path", "id"), "can't be the id of a new record", bodies.ID_HINT)])
        try:
            if current is None:
                return await _one(resource, await store.create(resource.collection, new), status=201)
            return await _one(resource, await store.replace(resource.collection, new, if_rev=current.rev, known=current))
        except (Stale, NotFound):
            continue
        except StoreError as error:
            if isinstance(error, Conflict) and current is None and await store.get(resource.collection, new.id):
                continue
            raise _refused(error, resource, new) from error
    raise _busy(new.id)


async def patch_record(request: Request) -> Response:
    """Some top-level fields of a record changed: a merge patch (RFC 7396) at the top level, whose nested objects replace."""
    resource, store = _asked(request, no_query=True)
    bodies.media_type(request, bodies.MERGE_PATCH)
    codec, changes = await resource.codec(), bodies.read_json(await request.body())
    if not isinstance(changes, dict):
        raise invalid([Fault(_BODY, "must be an object, the fields to change by name")])
    for _ in range(_TRIES):
        current = await _found(store, resource, request)
        preconditions.check(request, current)
        new = _patched(codec, resource, current, changes)
        try:
            return await _one(resource, await store.replace(resource.collection, new, if_rev=current.rev, known=current))
        except Stale:
            continue
        except NotFound as error:
            raise _missing(resource, current.id) from error
        except StoreError as error:
            raise _refused(error, resource, new) from error
    raise _busy(request.path_params["id"])


async def delete_record(request: Request) -> Response:
    """The record gone."""
    resource, store = _asked(request, no_query=True)
    for _ in range(_TRIES):
        current = await _found(store, resource, request)
        depends = preconditions.check(request, current)
        try:
            if await store.delete(resource.collection, current.id, if_rev=current.rev if depends else None):
                return Response(status_code=204)
        except Stale:
            continue
        raise _missing(resource, current.id)
    raise _busy(request.path_params["id"])


def _asked(request: Request, *, no_query: bool = False) -> tuple[Resource, Store]:
    """The model that the path names and the store, once it is clear that the answer can be JSON."""
    context = context_of(request)
    resource = context.resource(request.path_params["model"])
    chosen(request, {"json": _JSON}, None)
    if no_query:
        refuse_unknown(request)
    return resource, context.store


async def _found(store: Store, resource: Resource, request: Request) -> Record:
    record = await store.get(resource.collection, request.path_params["id"])
    if record is None:
        raise _missing(resource, request.path_params["id"])
    return record


def _checked(codec: Codec, resource: Resource, value: Any) -> Record:
    try:
        return bodies.checked(codec, resource.schema, value, _BODY)
    except RefusedError as error:
        raise invalid(error.faults) from error


def _all_checked(codec: Codec, resource: Resource, values: Sequence[Any]) -> list[Record]:
    """The records that a list is; where some are wrong, all that is wrong with them."""
    records: list[Record] = []
    faults: list[Fault] = []
    refused = 0
    for index, value in enumerate(values):
        try:
            record = bodies.checked(codec, resource.schema, value, (*_BODY, index))
            records.append(Record(record.id or secrets.token_hex(_ID_BYTES), record.data))
        except RefusedError as error:
            refused += 1
            faults += error.faults[: bodies.TOLD - len(faults)]
    if faults:
        raise Problem(422, f"{refused} of {len(values)} records are wrong, none was stored", errors=faults)
    return records


def _at_its_place(codec: Codec, resource: Resource, value: Any, place: str) -> Record:
    """The record that a body is, at the id in the path."""
    record = _checked(codec, resource, value)
    if record.id and record.id != place:
        raise _elsewhere(codec, record.id)
    return Record(place, record.data)


def _patched(codec: Codec, resource: Resource, current: Record, changes: Mapping[str, Any]) -> Record:
    """The record with the changes; fields of it that the model does not know stay."""
    schema = resource.json_schema.get("properties", {})
    removed = {name for name, value in changes.items() if value is None and not _takes_null(resource, name)}
    known = {name: value for name, value in current.data.items() if name in schema and name not in removed}
    given = {name: value for name, value in changes.items() if name not in removed or name not in schema}
    if faults := _changed_faults(resource, given, current):
        raise invalid(faults)
    try:
        data = bodies.validated(codec, {**known, **{name: value for name, value in given.items() if name != "_id"}}, _BODY)
    except RefusedError as error:
        raise invalid(error.faults) from error
    identity = codec.identity(data)
    if identity is not None and identity != current.id:
        raise _elsewhere(codec, identity)
    return Record(current.id, {**{name: value for name, value in current.data.items() if name not in schema}, **data})


def _changed_faults(resource: Resource, changes: Mapping[str, Any], current: Record) -> list[Fault]:
    """What the schema has against the fields given; what is missing among them is none of its business."""
    own = {name: value for name, value in changes.items() if not name.startswith("_")}
    faults = [*bodies.kept({name: value for name, value in changes.items() if name not in own and name != "_id"}, _BODY)]
    faults += [
        fault
        for fault in resource.schema.faults(own, _BODY, some=True)
        if len(fault.loc) > len(_BODY) + 1 or fault.loc[-1] in changes or not fault.message.startswith("is required")
    ]
    if changes.get("_id", current.id) != current.id:
        faults.append(Fault((*_BODY, "_id"), f"a record keeps its id: {current.id}"))
    return faults


def _takes_null(resource: Resource, name: str) -> bool:
    field = resource.fields.get(name)
    return field is not None and bool(field.kinds & {"null", "any"})


def _elsewhere(codec: Codec, identity: str) -> Problem:
    key = ", ".join(codec.key)
    return Problem(
        409,
        f"the key ({key}) of the body makes another record: {identity}" if key else f"the body is of another record: {identity}",
        errors=[Fault((*_BODY, *field.split(".")), "is part of the key") for field in codec.key]
        or [Fault((*_BODY, "_id"), "differs")],
        hint="a record keeps its key: make a new one and delete this",
    )


def _refused(error: StoreError, resource: Resource, *records: Record) -> StoreError | Problem:
    """The error, or 422 where the cause is a value that no store can keep."""
    if isinstance(error, (Conflict, Stale, NotFound)):
        return error
    for index, record in enumerate(records):
        try:
            bodies.storable(record, resource.collection, (*_BODY, index) if len(records) > 1 else _BODY)
        except RefusedError as refused:
            return invalid(refused.faults)
    return error


def _missing(resource: Resource, record_id: str) -> Problem:
    return Problem(404, f"there is no such {resource.name}: {record_id}")


def _busy(record_id: str) -> Problem:
    return Problem(409, f"the record changes all the time: {record_id}", hint="try again")


async def _one(
    resource: Resource, record: Record, *, status: int = 200, headers: Mapping[str, str] | None = None, checked: bool = True
) -> Response:
    """The answer that a record is; one that was just written is `checked`."""
    (content,) = await resource.wire([record], checked=checked)
    return Response(content, status, headers={"ETag": tag(record), **(headers or {})}, media_type=_JSON)


def _json(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(content), status, headers=headers, media_type=_JSON)
