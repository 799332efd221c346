"""How a page is made: a template, what all pages share, and the filters that say values to people."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from pulpo.api.settings import MAX_BODY
from pulpo.ui.api_client import Api

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import FormData
    from starlette.requests import Request

STATIC: Final = Path(__file__).parent / "static"
#: The cookie that holds a visitor's token.
COOKIE: Final = "pulpo_token"
#: The pages that each page has a link to: the first segment of their paths, and what they are called.
SECTIONS: Final = (
    ("", "Graph"),
    ("models", "Models"),
    ("operations", "Operations"),
    ("flows", "Flows"),
    ("runs", "Runs"),
    ("services", "Services"),
    ("manifest", "Manifest"),
)
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_MINUTE, _HOUR, _SECOND = 60, 3600, 1
#: What a form may send: bytes of a field, as many as the API takes, each of which may be escaped as three; and fields.
_FIELD, _FIELDS = 3 * MAX_BODY, 100_000


def api_of(request: Request) -> Api:
    """The API in the name of who sent a request."""
    return Api(request.app.state.client, request.cookies.get(COOKIE), request.headers.get("x-request-id"))


async def form_of(request: Request) -> FormData:
    """What a form of a page sent; the framework's own limits are below the API's."""
    return await request.form(max_fields=_FIELDS, max_part_size=_FIELD)


def path_of(request: Request) -> str:
    """The path that was asked for, without the prefix, escaped as it was asked; the query is no part of it."""
    raw = request.scope.get("raw_path")
    path = quote(request.scope["path"]) if raw is None else raw.decode("latin-1")
    root = root_of(request)
    return path.removeprefix(root) if path == root or path.startswith(f"{root}/") else path


def root_of(request: Request) -> str:
    """The prefix of all paths: empty, or `/pulpo`."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def page(
    request: Request, template: str, status: int = 200, /, headers: Mapping[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """A page from a template of `templates/`."""
    root = root_of(request)
    path = path_of(request)
    text = TEMPLATES.get_template(template).render(
        root=root,
        path=path,
        section=path.strip("/").split("/")[0],
        sections=SECTIONS,
        query=request.query_params,
        version=VERSION,
        guarded=request.app.state.settings.guarded or COOKIE in request.cookies,
        **values,
    )
    return HTMLResponse(text, status, headers=headers)


def see_other(request: Request, path: str) -> RedirectResponse:
    """To another page of the UI, after something was done."""
    return RedirectResponse(root_of(request) + path, 303)


def path_to(*segments: object) -> str:
    """The path of a page, without the prefix; its segments are escaped here."""
    return "/" + "/".join(quote(str(segment), safe="") for segment in segments)


def ago(text: str | None, now: dt.datetime | None = None) -> str:
    """How long ago a time was, or how far ahead: `3 min ago`, `in 2 h`."""
    if text is None:
        return ""
    seconds = ((now or dt.datetime.now(dt.UTC)) - dt.datetime.fromisoformat(text)).total_seconds()
    size = next((f"{abs(seconds) // unit:.0f} {name}" for unit, name in _UNITS if abs(seconds) >= unit), "")
    if not size:
        return "now"
    return f"in {size}" if seconds < 0 else f"{size} ago"


def duration(seconds: float | None) -> str:
    """How long something took: `0.3 s`, `2 min 5 s`, `3 h 2 min`."""
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return (
            f"{seconds:.0f} s"
            if seconds >= 10 * _SECOND
            else f"{seconds:.1f} s"
            if seconds >= _SECOND
            else f"{seconds * 1000:.0f} ms"
        )
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"


def took(what: Mapping[str, Any]) -> float | None:
    """The seconds between `started` and `finished`, or now; None where it has not begun, or nobody knows when it crashed."""
    if not what.get("started") or (what["state"] == "crashed" and not what["finished"]):
        return None
    end = dt.datetime.fromisoformat(what["finished"]) if what.get("finished") else dt.datetime.now(dt.UTC)
    return (end - dt.datetime.fromisoformat(what["started"])).total_seconds()


def shown(value: Any) -> str:
    """A value as a person reads it: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pulpo.ui"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {"ago": ago, "duration": duration, "took": took, "shown": shown}
    environment.globals |= {"path_to": path_to}
    return environment


def _version() -> str:
    """A digest of all static files: their addresses change with them, so browsers keep them for ever."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


TEMPLATES: Final = _environment()
VERSION: Final = _version()
