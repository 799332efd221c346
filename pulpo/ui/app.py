"""The UI as an application: its pages, its events and its files put together, nothing else.

A module of `pulpo.ui.pages` has `ROUTES`, and stands in the list here. A page asks the API (`api_of`) and renders a template
(`page`); what the API refuses and no page takes up is shown by `_on_problem`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from pulpo.ui import events
from pulpo.ui.api_client import TIMEOUT, ApiProblem
from pulpo.ui.guard import HEALTH, Guard
from pulpo.ui.page import STATIC, page, path_of, path_to, root_of, see_other
from pulpo.ui.pages import bulk, flows, graph, login, manifest, models, operations, records, runs, services

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pulpo.ui.settings import Settings

_LOG: Final = logging.getLogger("pulpo.ui")
_PAGES: Final = (graph, models, bulk, records, operations, flows, runs, services, manifest, login)
_MISSING, _UNAUTHORISED = 404, 401
_READING: Final = ("GET", "HEAD")


def create_app(settings: Settings) -> Starlette:
    """The UI over the API that the settings name."""
    routes: list[BaseRoute] = [route for module in _PAGES for route in module.ROUTES]
    app = _Guarded(
        routes=[*routes, *events.ROUTES, Route(HEALTH, _health), Mount("/static", _Static(directory=STATIC))],
        middleware=[Middleware(GZipMiddleware, minimum_size=1000)],
        exception_handlers={ApiProblem: _on_problem, HTTPException: _on_http, Exception: _on_unforeseen},
        lifespan=_lifespan,
    )
    # One by the framework itself would name the scheme and host that a proxy in front calls by others.
    app.router.redirect_slashes = False
    app.state.settings = settings
    return app


class _Guarded(Starlette):
    """An application whose every answer has passed the guard, also that of what failed unforeseen."""

    def build_middleware_stack(self) -> ASGIApp:
        settings = self.state.settings
        return _Prefix(Guard(super().build_middleware_stack(), settings=settings), root=settings.root)


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    # Each visitor's stream of events keeps a connection.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    transport = httpx.AsyncHTTPTransport(limits=limits)
    # What proxies this machine's environment names is not asked: the API is near.
    async with httpx.AsyncClient(base_url=app.state.settings.api, transport=transport, timeout=TIMEOUT) as client:
        app.state.client, app.state.stopping = client, asyncio.Event()
        yield


class _Prefix:
    """Lets pages know the path under which a proxy has them, whether it is stripped or not."""

    def __init__(self, app: ASGIApp, *, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and self._root:
            path = scope["path"]
            kept = path == self._root or path.startswith(f"{self._root}/")
            full = path if kept else self._root + path
            scope = {**scope, "root_path": self._root, "path": f"{full}/" if full == self._root else full}
        await self._app(scope, receive, send)


class _Static(StaticFiles):
    """The files, kept by browsers for ever where their address has their version in it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if b"v=" in scope["query_string"]:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


async def _health(request: Request) -> Response:  # noqa: ARG001 - as all endpoints
    """That the UI itself is alive; of the API each page tells."""
    return PlainTextResponse("ok\n")


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiProblem)  # noqa: S101 - the handler is registered for it
    if error.status != _UNAUTHORISED:
        return _refusal(request, error)
    query = f"?{request.url.query}" if request.url.query else ""
    back = path_of(request) + query if request.method in _READING else "/"
    login_page = f"{path_to('login')}?{urlencode({'next': back})}"
    if _is_part(request):
        return Response(status_code=_UNAUTHORISED, headers={"HX-Redirect": root_of(request) + login_page})
    return see_other(request, login_page)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    path = path_of(request)
    if error.status_code != _MISSING:
        return _refusal(request, ApiProblem(error.status_code, f"{error.detail}: {request.method} {path}"))
    if path.endswith("/") and not path.startswith("//") and request.method in _READING:
        return see_other(request, path.rstrip("/") + (f"?{request.url.query}" if request.url.query else ""))
    return _refusal(request, ApiProblem(_MISSING, f"there is no such page: {path}"))


async def _on_unforeseen(request: Request, error: Exception) -> Response:
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    problem = ApiProblem(500, "this failed inside the UI", hint="its log has the cause: pulpo ui logs")
    return _refusal(request, problem)


def _refusal(request: Request, problem: ApiProblem) -> Response:
    """A page that says what is wrong. Of a page that asked for a part of itself anew, the part stays as it is."""
    headers = {"HX-Reswap": "none"} if _is_part(request) else None
    return page(request, "problem.html", problem.status, headers=headers, problem=problem, again=request.method in _READING)


def _is_part(request: Request) -> bool:
    return "hx-request" in request.headers
