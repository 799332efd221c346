"""Serving the API of a project in this process, until it is asked to end: what `pulpo api serve` does."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import uvicorn

from pulpo.api.app import create_app
from pulpo.api.listening import another_port, listen, log_to_stdout
from pulpo.api.settings import url
from pulpo.errors import PulpoError
from pulpo.manifest.addresses import DEFAULT_PORTS
from pulpo.store.open import project_store

if TYPE_CHECKING:
    from fastapi import FastAPI

    from pulpo.api.settings import Settings
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

_LOG: Final = logging.getLogger("pulpo.api")


class _Server(uvicorn.Server):
    """Ends what would go on for ever before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, on_listen: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._on_listen = on_listen

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        if self.started:
            self._on_listen()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for requests, no longer than the settings say."""
        self._app.state.stopping.set()
        if (runner := self._app.state.context.runner) is not None:
            runner.cancel_all()
        await super().shutdown(sockets)


def serve(
    project: Project,
    manifest: Manifest,
    document: Document,
    settings: Settings,
    port: int,
    *,
    on_listen: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the API until a signal ends it; logs go to stdout as JSON, a record a line.

    `on_listen` is told where it is, when it takes requests.

    Raises:
        UsageError: The address is taken, can't be used, or others can reach it and no token is set.
        PulpoError: The store can't be opened.
        KeyboardInterrupt: It was interrupted, and ended in order.
    """
    settings.check_address()
    store = project_store(project, manifest, locate=document.locate)
    with listen(settings.host, port, hint=another_port(DEFAULT_PORTS["api"])) as listening:
        log_to_stdout()
        app = create_app(manifest, store, settings=settings, document=document, project=project)
        where = url(settings.host, port)

        def listens() -> None:
            _LOG.info("listening", extra={"fields": {"url": where}})
            on_listen(where)

        server = _Server(_config(app, settings), app, listens)
        signal.signal(signal.SIGTERM, _end)

        async def work() -> None:
            async with store:  # here, so that one that can't be opened is an error like any other
                await server.serve([listening])

        try:
            asyncio.run(work())
        finally:
            if server.started:
                _LOG.info("stopped")
    if not server.started:
        raise PulpoError("the API could not start", hint="its log says why")


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app, workers=1, lifespan="on", ws="none", log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(settings.grace)),
    )  # fmt: skip


def _end(*_: object) -> None:
    """SIGTERM before the server listens to it, and after: an end in order."""
    sys.exit(0)
