"""The application: routers, middleware and handlers put together, nothing else.

To hook in, a module has one or more of these, and stands in the list of that name here:

- `router(context: Context) -> APIRouter`: routes. A request takes its context by `context_of(request)`.
- `install(app: FastAPI, context: Context) -> None`: middleware and handlers.
- `lifespan(app: FastAPI) -> AbstractAsyncContextManager[None]`: what has to start and stop with the app. The store is open by
  then; what is put in `app.state.context` (`dataclasses.replace`) is there for requests. They are entered in the order of the
  list, left in reverse.

Errors are raised as `pulpo.api.problems.Problem`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, FastAPI

from pulpo.api import (
    access,
    access_log,
    events,
    graph,
    health,
    limits,
    manifest,
    meta,
    methods,
    metrics,
    plan,
    problems,
    records,
    runner,
    runs,
    services,
)
from pulpo.api.context import Context
from pulpo.api.openapi import openapi
from pulpo.api.settings import Settings, read_settings
from pulpo.manifest.model import Manifest
from pulpo.store.base import Store

if TYPE_CHECKING:
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

ROUTERS: Final[tuple[Callable[[Context], APIRouter], ...]] = (
    records.router,
    meta.router,
    graph.router,
    manifest.router,
    services.router,
    plan.router,
    runs.router,
    events.router,
    health.router,
    metrics.router,
)
INSTALLERS: Final[tuple[Callable[[FastAPI, Context], None], ...]] = (
    manifest.install,
    services.install,
    metrics.install,
    # Middleware, from the innermost to the outermost.
    limits.install,
    access.install,
    access_log.install,
)
LIFESPANS: Final[tuple[Callable[[FastAPI], AbstractAsyncContextManager[None]], ...]] = (
    manifest.lifespan,
    plan.lifespan,
    runner.lifespan,
    events.lifespan,
)


def create_app(
    manifest: Manifest,
    store: Store,
    *,
    settings: Settings | None = None,
    document: Document | None = None,
    project: Project | None = None,
) -> FastAPI:
    """The API over a manifest and a store.

    Args:
        manifest: Says which models, operations and flows there are; the app imports their code when it needs it.
        store: Opened when the app starts, closed when it stops.
        settings: Who may do what, and limits; those of the environment variables where it is None.
        document: The file that the manifest was read from.
        project: Where that file is; with it, the app notices a newer one.

    Raises:
        UsageError: An environment variable makes no sense.
    """
    settings = read_settings(os.environ) if settings is None else settings
    context = Context.of(manifest, store, settings, document=document, project=project)
    app = FastAPI(
        title=manifest.project.name, version="1", lifespan=_lifespan, redirect_slashes=False, docs_url=None, redoc_url=None
    )
    app.state.context = context
    problems.install(app)
    methods.install(app)
    for router in ROUTERS:
        app.router.routes.extend(router(context).routes)
    for install in INSTALLERS:
        install(app, context)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(app.state.context.store)
        for lifespan in LIFESPANS:
            await stack.enter_async_context(lifespan(app))
        yield
