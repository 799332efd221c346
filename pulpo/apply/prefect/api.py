"""Prefect's API as the rest needs it: one request after another, with quick retries where the server is only busy."""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pulpo.errors import ApplyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import httpx
    from prefect.client.orchestration import PrefectClient

Method = Literal["GET", "POST", "PATCH", "DELETE"]

#: A server on SQLite answers 503 where it met a lock, which is gone in hundredths of a second; proxies answer the others.
_BUSY = frozenset({429, 502, 503, 504})
_BAD_REQUEST, _FORBIDDEN = 400, 403
#: Seconds for which a request is tried again.
_PATIENCE = 90.0
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0


class RefusedError(Exception):
    """Prefect said no to a request; `detail` is what it says about it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class Api(Protocol):
    """Prefect's API, or what stands for it."""

    async def request(self, method: Method, path: str, body: Any = None) -> Any:
        """The answer, as JSON data; None where it is empty.

        Raises:
            RefusedError: The server said no, and would say so again.
            ApplyError: The server can't be reached, or stays busy.
        """
        ...


@asynccontextmanager
async def connect() -> AsyncIterator[HttpApi]:
    """The API that Prefect's settings name, for as long as the block lasts."""
    # Before Prefect is imported, which reads them once: nothing is reported to anybody; a value that somebody set is left alone.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    # Prefect's own retries sleep for seconds.
    hooks = {"event_hooks": {"response": [_no_sleep]}}
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with get_client(httpx_settings=hooks) as client:
            yield through(client)


def through(client: PrefectClient) -> HttpApi:
    """The API that a client of Prefect's talks to."""
    return HttpApi(partial(_sent, client), str(client.api_url.copy_with(userinfo=b"")).rstrip("/"))  # it may have a password


async def _sent(client: PrefectClient, method: Method, path: str, body: Any) -> httpx.Response:
    return await client.request(method, path, json=body)  # type: ignore[arg-type]  # paths with ids


async def _no_sleep(response: httpx.Response) -> None:
    """Keep Prefect's client from sleeping two seconds before it hands over a 503, which it does without any retries, too."""
    if response.status_code >= _BAD_REQUEST:
        response.headers.setdefault("Retry-After", "0")


class HttpApi:
    """The API over HTTP, without the models of Prefect's client: they cost more than the requests."""

    def __init__(self, send: Callable[[Method, str, Any], Awaitable[httpx.Response]], url: str) -> None:
        """`send` makes one request and raises what httpx does, for answers as well; `url` has no password."""
        self._send = send
        self.url = url

    async def request(self, method: Method, path: str, body: Any = None) -> Any:
        """As `Api.request`."""
        import httpx

        deadline = time.monotonic() + _PATIENCE
        wait = _FIRST_WAIT
        while True:
            try:
                answer = await self._send(method, path, body)
            except httpx.HTTPStatusError as error:
                if not _is_busy(error.response):
                    from pulpo.run.prefect.server import detail  # it imports Prefect, which what goes well does not need

                    raise RefusedError(error.response.status_code, detail(error.response)) from None
                problem = f"it answers {error.response.status_code}"
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
                if isinstance(error, httpx.ConnectError):
                    raise self._gone(problem) from None
            else:
                return answer.json() if answer.content else None
            if time.monotonic() + wait > deadline:
                raise self._gone(problem)
            await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311  # not a secret
            wait = min(wait * 1.5, _LONGEST_WAIT)

    def _gone(self, problem: str) -> ApplyError:
        return ApplyError(f"Prefect's server did not answer: {self.url}: {problem}", hint="run it again to go on")


def _is_busy(response: httpx.Response) -> bool:
    # Prefect's client has a new token for the next request.
    return response.status_code in _BUSY or (response.status_code == _FORBIDDEN and "Invalid CSRF token" in response.text)
