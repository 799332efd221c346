"""How much a request may ask for: the size of its body, and the time until its answer begins; and the end of open answers.

Answers that go on for as long as the client wants, such as `/events`, end when the app stops.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import Request

from pulpo.api.problems import Problem, respond

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pulpo.api.context import Context


def install(app: FastAPI, context: Context) -> None:
    """Add the middleware; `app.state.stopping` is set by whoever is about to stop the app."""
    app.state.stopping = asyncio.Event()
    app.add_middleware(Limits, max_body=context.settings.max_body, timeout=context.settings.timeout)


class Limits:
    """Ends requests that ask for too much."""

    def __init__(self, app: ASGIApp, *, max_body: int, timeout: float) -> None:
        self._app = app
        self._max_body = max_body
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request within the limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, self._max_body, scope["app"].state.stopping)
        problem = None
        if _length(scope) > self._max_body:
            problem = self._too_large()
        else:
            try:
                async with asyncio.timeout(self._timeout) as exchange.clock:
                    await self._app(scope, exchange.receive, exchange.send)
            except TimeoutError:
                if exchange.started or not exchange.clock.expired():
                    raise
                problem = Problem(503, f"this took longer than {self._timeout:g} s", headers={"Retry-After": "5"})
            except _TooLargeError:
                problem = self._too_large()
        if problem is None and exchange.too_large:  # the answer to a part of a body, which was held back
            problem = self._too_large()
        if problem is not None and not exchange.started:
            response = respond(Request(scope, receive), problem)
            await response(scope, receive, send)
        elif exchange.started and not exchange.ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _too_large(self) -> Problem:
        return Problem(413, f"a body may have {self._max_body} bytes")


class _TooLargeError(Exception):
    """More of a body came than may."""


class _Exchange:
    """One request and its answer, watched."""

    def __init__(self, receive: Receive, send: Send, max_body: int, stopping: asyncio.Event) -> None:
        self._receive = receive
        self._send = send
        self._left = max_body
        self._stopping = stopping
        self._whole = False
        self.clock: asyncio.Timeout = asyncio.timeout(None)
        self.too_large = False
        self.started = False
        self.ended = False

    async def receive(self) -> Message:
        """The next part of the body; after it, that the client went away, which it has when the app stops."""
        if self._whole:
            return await self._until_gone()
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._left < 0:
                self.too_large = True
                raise _TooLargeError
        return message

    async def send(self, message: Message) -> None:
        """A part of the answer; when it begins, it has all the time it wants."""
        if self.too_large:
            return
        if message["type"] == "http.response.start":
            self.started = True
            self.clock.reschedule(None)
        elif message["type"] == "http.response.body":
            self.ended = not message.get("more_body", False)
        await self._send(message)

    async def _until_gone(self) -> Message:
        gone = asyncio.ensure_future(self._receive())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({gone, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return gone.result() if gone.done() else {"type": "http.disconnect"}
        finally:
            gone.cancel()
            stopping.cancel()


def _length(scope: Scope) -> int:
    """What the request says of its body's size; what it says wrong is the server's matter."""
    length = Headers(scope=scope).get("Content-Length", "")
    return int(length) if length.isdecimal() else 0
