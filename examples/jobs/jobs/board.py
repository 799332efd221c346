"""The job boards: static pages, served on this machine. `python -m jobs.board [PORT]` serves them until it is stopped."""

import asyncio
import functools
import http.server
import os
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

PAGES = Path(__file__).parents[1] / "pages"
PORT = 8765


class Pages(http.server.SimpleHTTPRequestHandler):
    """Serves the pages without a word on stderr."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing."""


def server(port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of the pages on a port of this machine, 0 for any free one; it serves when told to."""
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Pages, directory=str(PAGES)))


@asynccontextmanager
async def board() -> AsyncIterator[str]:
    """Where the boards are: at JOBS_BOARD_URL where that is set, else at a server of our own for as long as it is used."""
    if url := os.environ.get("JOBS_BOARD_URL"):
        yield url.rstrip("/")
        return
    with server() as own:
        thread = threading.Thread(target=own.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{own.server_port}"
        finally:
            await asyncio.to_thread(own.shutdown)
            thread.join()


async def page(name: str) -> str:
    """The text of a page of the boards.

    Raises:
        urllib.error.URLError: The board can't be reached, or has no such page.
    """
    async with board() as url:
        return await asyncio.to_thread(_download, f"{url}/{name}.html")


def _download(url: str) -> str:
    # The boards are local: a proxy of the environment can't know them.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as response:
        text: bytes = response.read()
    return text.decode("utf-8")


if __name__ == "__main__":
    with server(int(sys.argv[1]) if sys.argv[1:] else PORT) as boards:
        print(f"JOBS_BOARD_URL=http://127.0.0.1:{boards.server_port}", flush=True)
        with suppress(KeyboardInterrupt):
            boards.serve_forever()
