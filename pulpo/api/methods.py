"""`HEAD`, `OPTIONS` and 405 for every route alike, whoever made it.

`HEAD` is `GET` without the body. `OPTIONS`, and a method that a path does not have, are told all the methods that it has: routers
only know those of one route.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def install(app: FastAPI) -> None:
    """Every route gets `HEAD` and `OPTIONS`, and 405 says what it allows."""
    app.add_middleware(Methods, routes=app.router.routes)


class Methods:
    """The middleware; `routes` are read at each request that needs them."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, changed where its method is one of these."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and (allowed := self._allowed(scope)):
            await Response(status_code=204, headers={"Allow": allowed})(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, _without_body(send))
        else:
            await self._app(scope, receive, self._telling(scope, send))

    def _allowed(self, scope: Scope) -> str:
        methods = {method for route in self._routes for method in _methods(route, scope)}
        return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))) if methods else ""

    def _telling(self, scope: Scope, send: Send) -> Send:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 405:  # noqa: PLR2004
                MutableHeaders(scope=message)["Allow"] = self._allowed(scope)
            await send(message)

        return told


def _methods(route: Any, scope: Scope) -> Iterable[str]:
    if route.matches(scope)[0] is Match.NONE:
        return ()
    return getattr(route, "methods", None) or ()


def _without_body(send: Send) -> Send:
    """Send the head of an answer and end it there, however long its body goes on."""
    ended = False

    async def headed(message: Message) -> None:
        nonlocal ended
        if message["type"] == "http.response.start":
            await send(message)
        elif not ended:
            ended = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return headed
