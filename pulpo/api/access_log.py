"""The outermost middleware: each request has an id, is counted, and leaves one line in the log; what nobody foresaw is a 500.

The id is the one that the client sent in `X-Request-ID`, if it is a plain word, else a new one. It is in the answer's header, in
every problem, and in the log. A path is logged without its query, which may hold data.
"""

from __future__ import annotations

import logging
import random
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.requests import Request

from pulpo.api.metrics import Metrics

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pulpo.api.context import Context

HEADER: Final = "X-Request-ID"
#: Every record has its fields in `record.fields`.
ACCESS: Final = logging.getLogger("pulpo.api.access")

_PROBED: Final = ("/health/live", "/health/ready")
_FOLLOWED: Final = re.compile(r"/services(/[^/]+(/logs)?)?")
_WELL: Final = 200
_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ID_BITS: Final = 128
_RAW_HEADER: Final = HEADER.lower().encode()
#: Ids have to differ, not to be secret: asking the system for each one makes a request wait for the other threads.
_IDS: Final = random.Random()  # noqa: S311


def install(app: FastAPI, context: Context) -> None:
    """Add the middleware; has to be the last that is added."""
    app.add_middleware(RequestLog, logged=context.settings.access_log)


@dataclass(slots=True)
class _Answer:
    """What has been sent."""

    status: int = 0
    size: int = 0


class RequestLog:
    """Names, counts and logs requests."""

    def __init__(self, app: ASGIApp, *, logged: bool) -> None:
        self._app = app
        self._logged = logged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get(HEADER))
        scope.setdefault("state", {})["request_id"] = request_id
        metrics: Metrics = scope["app"].state.metrics
        answer, began = _Answer(), time.perf_counter()

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                message["headers"] = [*message["headers"], (_RAW_HEADER, request_id.encode())]
            else:
                answer.size += len(message.get("body", b""))
            await send(message)

        with metrics.in_progress():
            try:
                await self._app(scope, receive, sent)
            except Exception as error:
                if answer.status:  # too late for another answer: the connection is cut
                    raise
                await _unforeseen(scope, receive, sent, error)
            finally:
                self._count(scope, request_id, answer, time.perf_counter() - began, metrics)

    def _count(self, scope: Scope, request_id: str, answer: _Answer, seconds: float, metrics: Metrics) -> None:
        metrics.observe(scope["method"], _route(scope), answer.status, seconds)
        if self._logged:
            client = scope.get("client")
            fields = {
                "request_id": request_id, "method": scope["method"], "path": scope["path"], "status": answer.status,
                "ms": round(seconds * 1000, 1), "bytes": answer.size, "client": client[0] if client else None,
            }  # fmt: skip
            ACCESS.log(_level(scope["path"], answer.status), "request", extra={"fields": fields})


def _level(path: str, status: int) -> int:
    """Probes ask every few seconds, and so do pages that follow services and logs: what is well is not worth a line."""
    return logging.DEBUG if status == _WELL and (path in _PROBED or _FOLLOWED.fullmatch(path)) else logging.INFO


def _request_id(given: str | None) -> str:
    return given if given is not None and _ID.fullmatch(given) else f"{_IDS.getrandbits(_ID_BITS):0{_ID_BITS // 4}x}"


def _route(scope: Scope) -> str:
    """The route's path with its parameters' names: as many kinds as there are routes, whatever clients ask for."""
    return getattr(scope.get("route"), "path", "unmatched")


async def _unforeseen(scope: Scope, receive: Receive, send: Send, error: Exception) -> None:
    handler = scope["app"].exception_handlers.get(Exception)
    if handler is None:
        raise error
    response = await handler(Request(scope, receive), error)
    await response(scope, receive, send)
