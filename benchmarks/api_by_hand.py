"""What somebody would write by hand with FastAPI and motor to do what Pulpo's API does with a model: `benchmarks/api.py` runs it.

Unknown fields are refused, answers are typed, the id is the natural key's digest, revisions guard against lost updates and are
the ETag, pages go on by the id, and a write is acknowledged when a majority has it in its journal. Around it is what an API that
others call has: a request id, limits of body and time, figures for Prometheus, errors as problems (RFC 9457); `bare` leaves
that out. It has no token, no check of Host and Origin, no queries but the page, no refusal of parameters that mean nothing, and
tells nobody of changes.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from api_jobs import Job
from fastapi import FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from motor.motor_asyncio import AsyncIOMotorClient
from prometheus_client import CollectorRegistry, Counter, Histogram
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pymongo import ASCENDING, ReplaceOne, UpdateOne
from pymongo.errors import DuplicateKeyError


class StoredJob(Job):
    """A job with what is kept beside it."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    id: str = Field(alias="_id")
    rev: int = Field(alias="_rev")
    run: str | None = Field(alias="_run")
    operation: str | None = Field(alias="_operation")
    created: dt.datetime = Field(alias="_created")
    updated: dt.datetime = Field(alias="_updated")


class Written(BaseModel):
    inserted: int
    updated: int
    unchanged: int


class Page(BaseModel):
    items: list[StoredJob]
    next: str | None


class Around:
    """Request id, limits and figures, as plain ASGI: Starlette's `BaseHTTPMiddleware` would cost several times as much."""

    def __init__(self, app: Any, max_body: int = 16 * 1024 * 1024, timeout_s: float = 60) -> None:
        self._app, self._max_body, self._timeout_s = app, max_body, timeout_s
        self._ids = random.Random()
        registry = CollectorRegistry()
        self._requests = Counter("requests", "Requests.", ("method", "route", "status"), registry=registry)
        self._seconds = Histogram("request_seconds", "Their times.", ("method", "route"), registry=registry)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id") or f"{self._ids.getrandbits(128):032x}".encode()
        scope.setdefault("state", {})["request_id"] = request_id.decode("latin-1")
        began, status, left = time.perf_counter(), 0, self._max_body

        async def received() -> Any:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413)
            return message

        async def sent(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            if int(headers.get(b"content-length", b"0")) > self._max_body:
                await JSONResponse({"title": "Content Too Large", "status": 413}, 413)(scope, receive, sent)
                return
            async with asyncio.timeout(self._timeout_s):
                await self._app(scope, received, sent)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._requests.labels(scope["method"], route, status).inc()
            self._seconds.labels(scope["method"], route).observe(time.perf_counter() - began)


def new_document(job: Job) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC)
    record_id = hashlib.sha256(json.dumps([job.url]).encode()).hexdigest()[:24]
    envelope = {"_id": record_id, "_rev": 1, "_run": None, "_operation": None, "_created": now, "_updated": now}
    return {**envelope, **job.model_dump()}


async def problem(request: Request, error: Exception) -> JSONResponse:
    """An error as RFC 9457 has it."""
    status = error.status_code if isinstance(error, HTTPException) else 422
    content = {"status": status, "detail": str(error), "instance": request.url.path, "request_id": request.state.request_id}
    return JSONResponse(content, status, media_type="application/problem+json")


def create(url: str, database: str, *, bare: bool = False) -> FastAPI:  # noqa: C901, PLR0915 - as one would write it
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        client: Any = AsyncIOMotorClient(url, w="majority", journal=True, tz_aware=True)
        app.state.jobs = client[database]["job"]
        yield
        client.close()

    app = FastAPI(lifespan=lifespan)
    if not bare:
        app.add_middleware(Around)
        app.add_exception_handler(HTTPException, problem)
        app.add_exception_handler(RequestValidationError, problem)

    @app.get("/models/Job/records")
    async def find(limit: Annotated[int, Query(ge=1, le=1000)] = 100, cursor: str | None = None) -> Page:
        where = {"_id": {"$gt": cursor}} if cursor else {}
        found = await app.state.jobs.find(where, sort=[("_id", ASCENDING)], limit=limit + 1).to_list(None)
        following = found[limit - 1]["_id"] if len(found) > limit else None
        return Page(items=[StoredJob.model_validate(one) for one in found[:limit]], next=following)

    @app.get("/models/Job/records/{record_id}")
    async def get(record_id: str, response: Response, if_none_match: Annotated[str | None, Header()] = None) -> StoredJob:
        found = await app.state.jobs.find_one({"_id": record_id})
        if found is None:
            raise HTTPException(404)
        tag = response.headers["ETag"] = f'"{found["_rev"]}"'
        if tag == if_none_match:
            raise HTTPException(304)
        return StoredJob.model_validate(found)

    @app.post("/models/Job/records", status_code=201)
    async def post(job: Job, response: Response) -> StoredJob:
        document = new_document(job)
        try:
            await app.state.jobs.insert_one(document)
        except DuplicateKeyError as error:
            raise HTTPException(409) from error
        response.headers["Location"] = f"/models/Job/records/{document['_id']}"
        response.headers["ETag"] = '"1"'
        return StoredJob.model_validate(document)

    @app.put("/models/Job/records")
    async def put_many(jobs: list[Job]) -> Written:
        new = {document["_id"]: document for document in map(new_document, jobs)}
        present = {one["_id"]: one async for one in app.state.jobs.find({"_id": {"$in": list(new)}})}
        writes: list[Any] = []
        for record_id, document in new.items():
            old = present.get(record_id)
            if old is None:
                writes.append(UpdateOne({"_id": record_id}, {"$setOnInsert": document}, upsert=True))
            elif any(old.get(name) != value for name, value in document.items() if not name.startswith("_")):
                kept = {"_rev": old["_rev"] + 1, "_created": old["_created"]}
                writes.append(ReplaceOne({"_id": record_id, "_rev": old["_rev"]}, {**document, **kept}))
        done = await app.state.jobs.bulk_write(writes) if writes else None
        if done is not None and done.upserted_count + done.matched_count < len(writes):
            raise HTTPException(409)
        inserted, updated = len(new) - len(present), len(writes) - len(new) + len(present)
        return Written(inserted=inserted, updated=updated, unchanged=len(new) - inserted - updated)

    @app.put("/models/Job/records/{record_id}")
    async def put(record_id: str, job: Job, response: Response, if_match: Annotated[str | None, Header()] = None) -> StoredJob:
        document = new_document(job)
        if document["_id"] != record_id:
            raise HTTPException(409)
        while True:
            found = await app.state.jobs.find_one({"_id": record_id})
            if found is None:
                return await post(job, response)
            if if_match is not None and if_match != f'"{found["_rev"]}"':
                raise HTTPException(412)
            whole = {**document, "_rev": found["_rev"] + 1, "_created": found["_created"]}
            done = await app.state.jobs.replace_one({"_id": record_id, "_rev": found["_rev"]}, whole)
            if done.matched_count:
                response.headers["ETag"] = f'"{whole["_rev"]}"'
                return StoredJob.model_validate(whole)

    @app.delete("/models/Job/records/{record_id}", status_code=204)
    async def delete(record_id: str, if_match: Annotated[str | None, Header()] = None) -> None:
        found = await app.state.jobs.find_one({"_id": record_id})
        if found is None:
            raise HTTPException(404)
        if if_match is not None and if_match != f'"{found["_rev"]}"':
            raise HTTPException(412)
        where = {"_id": record_id} if if_match is None else {"_id": record_id, "_rev": found["_rev"]}
        if not (await app.state.jobs.delete_one(where)).deleted_count:
            raise HTTPException(404 if if_match is None else 412)

    @app.patch("/models/Job/records/{record_id}")
    async def patch(
        record_id: str, changes: dict[str, Any], response: Response, if_match: Annotated[str | None, Header()] = None
    ) -> StoredJob:
        while True:
            found = await app.state.jobs.find_one({"_id": record_id})
            if found is None:
                raise HTTPException(404)
            if if_match is not None and if_match != f'"{found["_rev"]}"':
                raise HTTPException(412)
            old = {name: value for name, value in found.items() if not name.startswith("_")}
            merged = {name: value for name, value in {**old, **changes}.items() if value is not None}
            try:
                job = Job.model_validate(merged)
            except ValidationError as error:
                raise HTTPException(422, error.errors(include_url=False)) from error
            whole = job.model_dump()
            changed = {name: value for name, value in whole.items() if old.get(name) != value}
            changed |= {"_rev": found["_rev"] + 1, "_updated": dt.datetime.now(dt.UTC)}
            done = await app.state.jobs.update_one({"_id": record_id, "_rev": found["_rev"]}, {"$set": changed})
            if done.matched_count:
                response.headers["ETag"] = f'"{changed["_rev"]}"'
                return StoredJob.model_validate({**found, **whole, **changed})

    return app
