"""Answers in the form that was asked for, under a tag that says which content it is."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from pulpo.api.preconditions import is_known
from pulpo.api.problems import Problem

Name = TypeVar("Name", bound=str)


def chosen(request: Request, offered: Mapping[Name, str], format: Name | None) -> Name:  # noqa: A002 - the parameter's name
    """The name of the form to answer in, of those `offered` with their media types; the first one where nothing is said.

    `format`, a name, goes before the header `Accept`.

    Raises:
        Problem: 406, nothing that is accepted is offered.
    """
    if format is not None:
        return format
    ranges = _ranges(",".join(request.headers.getlist("accept")))
    if not ranges:
        return next(iter(offered))
    weighed = {name: _weight(media_type, ranges) for name, media_type in offered.items()}
    best = max(weighed, key=lambda name: weighed[name])
    if weighed[best] <= 0:
        raise Problem(406, f"this is offered: {', '.join(offered.values())}")
    return best


@functools.lru_cache(maxsize=64)  # a client says the same each time
def _ranges(accept: str) -> Mapping[str, float]:
    """What a client accepts, with how much it likes it."""
    found: dict[str, float] = {}
    for one in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in one.split(";"))
        if media_range:
            quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
            try:
                found[media_range] = float(quality)
            except ValueError:
                found[media_range] = 1.0
    return found


def _weight(media_type: str, ranges: Mapping[str, float]) -> float:
    """The quality of the most specific range that a media type is in."""
    kind = media_type.partition("/")[0]
    return next((ranges[r] for r in (media_type, f"{kind}/*", "*/*") if r in ranges), 0.0)


def tagged(request: Request, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """The content under its `ETag`, or 304 where the client has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    kept = {"ETag": tag, "Cache-Control": "no-cache", **(headers or {})}
    if is_known(request, tag):
        return Response(None, 304, headers=kept)
    return Response(body, headers=kept, media_type=media_type)
