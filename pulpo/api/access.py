"""Who may call the API.

With a token in the settings, every request needs one, but for the questions whether the API is alive and ready: the token for
reading and writing, or the one for reading. Without one, this machine may everything and nobody else anything, whatever address
a server of the user's own listens on: a request that came to another address than a loopback one is refused. Since the
browsers of this machine show pages of others, a request has to have been meant for this machine (its `Host`), and one that
changes something must not come from a page of an origin that the settings don't name (its `Origin`). In a container, where the
API is `open`, requests of this machine come from outside, and those of other containers call it by a name without dots.
"""

from __future__ import annotations

import functools
import hmac
import ipaddress
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request

from pulpo.api.access_log import HEADER
from pulpo.api.problems import Problem, respond
from pulpo.api.settings import TOKEN_HINT, Settings, names_loopback, names_service

if TYPE_CHECKING:
    from fastapi import FastAPI
    from pydantic import SecretStr
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pulpo.api.context import Context

#: What anybody may ask: whether it works, which says nothing else.
OPEN: Final = frozenset({"/health/live", "/health/ready"})
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER: Final = {"WWW-Authenticate": 'Bearer realm="pulpo"'}
_HOW: Final = f"{TOKEN_HINT}; in a container whose port is published on a loopback address alone, PULPO_API_OPEN=true"
_EXPOSED: Final = (HEADER, "ETag", "Location", "Link", "Retry-After")


def install(app: FastAPI, context: Context) -> None:
    """Add the middleware: who may, and around it which origins' pages may read the answers: those that the settings name."""
    settings = context.settings
    app.add_middleware(Access, settings=settings)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.origins, allow_methods=["*"], allow_headers=["*"], expose_headers=_EXPOSED
        )


class Access:
    """Lets requests in that may."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._token = _bytes(settings.token)
        self._read_token = _bytes(settings.read_token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and (problem := self._problem(scope)) is not None:
            response = respond(Request(scope, receive), problem)
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        reads = scope["method"] in _READING
        if not self._settings.has_token:
            return _not_from_here(scope, headers, self._settings, reads=reads)
        if scope["path"] in OPEN and reads:
            return None
        return self._of_token(headers, reads=reads)

    def _of_token(self, headers: Headers, *, reads: bool) -> Problem | None:
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        token = given.strip().encode() if scheme.lower() == "bearer" else b""
        # Both are compared, whatever comes of the first: how long it takes tells nothing.
        may_write, may_read = _equal(token, self._token), _equal(token, self._read_token)
        if may_write or (may_read and reads):
            return None
        if may_read:
            return Problem(403, "this token may read, not write")
        if not token:
            return Problem(401, "this needs a token", hint="send the header Authorization: Bearer TOKEN", headers=_BEARER)
        return Problem(401, "this is no token of this API", headers=_BEARER)


def _not_from_here(scope: Scope, headers: Headers, settings: Settings, *, reads: bool) -> Problem | None:
    """Why a request was not meant for this machine, or comes from a page that may not; only asked where no token is needed."""
    host, origins = headers.get("Host", ""), settings.origins
    address = None if settings.open else _address((scope.get("server") or ("",))[0])
    if settings.open and not _is_meant_for_container(host, origins):
        hint = "set PULPO_API_TOKEN, or name its origin in PULPO_API_ORIGINS"
        return Problem(
            421, f"without a token the API answers for this machine and its containers, not for the host: {host}", hint=hint
        )
    if address is not None and not address.is_loopback:
        return Problem(403, f"without a token the API answers this machine alone, not what comes to: {address}", hint=_HOW)
    if address is not None and not names_loopback(host):
        return Problem(421, f"without a token the API answers for this machine alone, not for the host: {host}")
    origin = headers.get("Origin")
    if reads or origin is None or "*" in origins or origin in origins or origin == f"{scope['scheme']}://{host}":
        return None
    return Problem(403, f"pages of this origin may not change anything: {origin}", hint="name it in PULPO_API_ORIGINS")


# Each request asks the same ones again.


@functools.lru_cache(maxsize=64)
def _is_meant_for_container(host: str, origins: tuple[str, ...]) -> bool:
    """Whether a header `Host` means this machine, a service of the same stack, or an origin that the settings name."""
    named = (urlsplit(origin).netloc for origin in origins)
    return names_loopback(host) or names_service(host) or host in filter(None, named)


@functools.lru_cache(maxsize=64)
def _address(server: str) -> IPv4Address | IPv6Address | None:
    """The address that a request came to: of its own connection, also where the server listens on all of them.

    A socket's path is none, nor is the name that a client within this process gives.
    """
    try:
        address = ipaddress.ip_address(server)
    except ValueError:
        return None
    # A socket for both kinds shows those of version 4 within version 6.
    return getattr(address, "ipv4_mapped", None) or address


def _bytes(token: SecretStr | None) -> bytes | None:
    return None if token is None else token.get_secret_value().encode()


def _equal(given: bytes, token: bytes | None) -> bool:
    return hmac.compare_digest(given, token or b"") and bool(token)
