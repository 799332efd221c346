"""The API's stream of events, relayed to browsers as it comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pulpo.ui.api_client import ApiProblem
from pulpo.ui.page import api_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

#: A proxy must not hold events back.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def relay(request: Request) -> Response:
    """The events, from the one on that the browser had last. Where the API says no, it is no stream: the browser tries again."""
    if request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=_HEADERS)
    last = request.headers.get("last-event-id", "")
    headers = {"Last-Event-ID": last} if last.isascii() and last.isprintable() and last else {}
    stack = contextlib.AsyncExitStack()
    try:
        chunks = await stack.enter_async_context(api_of(request).stream("events", headers=headers))
    except ApiProblem as problem:
        # No stream that ended: the script asks again, where a browser by itself would have given up.
        return PlainTextResponse(f"{problem.detail}\n", problem.status)
    return _Relay(chunks, stack, request.app.state.stopping)


class _Relay(Response):
    """What comes, until the API ends it, the browser leaves or the UI stops; then the connection to the API is closed.

    Starlette's own response cancels what makes the stream so that it can close nothing any more: each visitor who left would keep
    a connection.
    """

    def __init__(self, chunks: AsyncIterator[bytes], stack: contextlib.AsyncExitStack, stopping: asyncio.Event) -> None:
        super().__init__(media_type="text/event-stream", headers=_HEADERS)
        del self.headers["content-length"]
        self._chunks = chunks
        self._stack = stack
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Relay the stream to one browser."""
        async with self._stack:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            tasks: list[asyncio.Task[Any]] = [
                asyncio.create_task(waiting) for waiting in (self._pump(send), _left(receive), self._stopping.wait())
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        async for chunk in self._chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _left(receive: Receive) -> None:
    """Wait until the browser is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


ROUTES: Final = (Route("/events", relay),)
