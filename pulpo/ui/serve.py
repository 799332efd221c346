"""Serving the UI in this process, until it is asked to end: what `pulpo ui serve` does."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import uvicorn

from pulpo.api.listening import another_port, listen, log_to_stdout
from pulpo.api.settings import url
from pulpo.errors import PulpoError
from pulpo.manifest.addresses import DEFAULT_PORTS
from pulpo.ui.app import create_app

if TYPE_CHECKING:
    import socket

    from starlette.applications import Starlette

    from pulpo.ui.settings import Settings

_LOG: Final = logging.getLogger("pulpo.ui")
#: Seconds that answers have to end in.
_GRACE: Final = 1


class _Server(uvicorn.Server):
    """Says when it takes requests, and ends what would go on for ever before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, app: Starlette, on_listen: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._on_listen = on_listen

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        if self.started:
            self._on_listen()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for requests, but not for long."""
        self._app.state.stopping.set()
        await super().shutdown(sockets)


def serve(settings: Settings, port: int, *, on_listen: Callable[[str], None] = lambda _: None) -> None:
    """Serve the UI until a signal ends it; logs go to stdout as JSON, a record a line.

    `on_listen` is told where it is, when it takes requests.

    Raises:
        UsageError: The address is taken, can't be used, or others can reach it and the API asks for no token.
        KeyboardInterrupt: It was interrupted, and ended in order.
    """
    settings.check_address()
    with listen(settings.host, port, hint=another_port(DEFAULT_PORTS["ui"])) as listening:
        log_to_stdout()
        where = url(settings.host, port) + settings.root

        def listens() -> None:
            _LOG.info("listening", extra={"fields": {"url": where, "api": settings.api}})
            on_listen(where)

        app = create_app(settings)
        config = uvicorn.Config(
            app,
            workers=1,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
        )
        server = _Server(config, app, listens)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            server.run([listening])
        finally:
            if server.started:
                _LOG.info("stopped")
    if not server.started:
        raise PulpoError("the UI could not start", hint="its log says why")
