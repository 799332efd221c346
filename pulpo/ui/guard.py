"""Who may see the UI, and what a browser may do with its pages.

The UI holds no token: where the API asks for one, a visitor gives theirs, and it stays in a cookie of their browser's that no
script can read and no other site's page can send. Without a token everybody may who reaches it, which is this machine alone; so,
as for the API, a request has to have been meant for this machine. What changes something has to come from a page of the UI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from pulpo.api.settings import names_loopback, names_service

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pulpo.ui.settings import Settings

#: What pages may do: show and run what is the UI's own, and nothing else.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'{wasm}; worker-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: On the page whose graph is laid out by Graphviz as WebAssembly.
WITH_WASM: Final = {"Content-Security-Policy": _POLICY.format(wasm=" 'wasm-unsafe-eval'")}
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY.format(wasm=""),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_READING: Final = frozenset({"GET", "HEAD"})
#: How the API's container calls the UI's, and how anybody asks whether it is alive.
HEALTH: Final = "/health"


class Guard:
    """Lets requests in that may, and says in each answer what a browser may do with it."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(scope)
        await (PlainTextResponse(refused[1], refused[0]) if refused else self._app)(scope, receive, with_headers)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_meant(host):
            return 421, f"the UI does not answer for the host: {host}\nname it in PULPO_UI_HOSTS\n"
        if scope["method"] not in _READING and not _same_site(headers, Request(scope).url.netloc):
            return 403, "this may only be done from a page of the UI\n"
        return None

    def _is_meant(self, host: str) -> bool:
        settings = self._settings
        named = host in settings.hosts or host.rpartition(":")[0] in settings.hosts
        return settings.guarded or named or names_loopback(host) or (settings.open and names_service(host))


def _same_site(headers: Headers, host: str) -> bool:
    """Whether a browser says that one of the UI's own pages sent this; what is no browser says nothing."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == host
