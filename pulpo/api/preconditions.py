"""`If-Match` and `If-None-Match` (RFC 9110, section 13): a write only where the record is as the client knows it.

A tag is the record's `ETag`, or just its revision, `"3"`: that is what a client has who knows the record from a list.
"""

from __future__ import annotations

from starlette.requests import Request

from pulpo.api.problems import Problem
from pulpo.api.resource import tag
from pulpo.store.base import Record


def is_known(request: Request, current: str) -> bool:
    """Whether the client has what is tagged so: the answer is 304. Weak tags are as good as strong ones here."""
    given = _tags(request, "if-none-match")
    return bool(given) and ("*" in given or current in {one.removeprefix("W/") for one in given})


def check(request: Request, record: Record | None) -> bool:
    """Whether the write depends on the record's revision.

    Raises:
        Problem: 412, the record is not as the client says, or there is none, or there is one and should not be.
    """
    if record is not None and _is_excluded(request, record):
        raise Problem(412, f"the record is there, at revision {record.rev}", headers={"ETag": tag(record)})
    given = _tags(request, "if-match")
    if not given:
        return False
    if record is None:
        raise Problem(412, "there is no such record")
    if "*" not in given and not given & {tag(record), f'"{record.rev}"'}:
        said = ", ".join(sorted(given))
        raise Problem(
            412,
            f"the record is not as you know it: it is {tag(record)}, not {said}",
            hint="get it, and make your change again",
            headers={"ETag": tag(record)},
        )
    return True


def refuse(request: Request, *headers: str) -> None:
    """Refuse a condition of a write that has no one record which it could be about.

    Raises:
        Problem: 400, the request has one of these headers.
    """
    for header in headers:
        if header in request.headers:
            raise Problem(
                400, f"{header} is for writes of one record by its id", hint="PUT or PATCH the record at its own address"
            )


def _is_excluded(request: Request, record: Record) -> bool:
    given = {one.removeprefix("W/") for one in _tags(request, "if-none-match")}
    return bool(given) and bool(given & {"*", tag(record), f'"{record.rev}"'})


def _tags(request: Request, header: str) -> set[str]:
    return {one.strip() for value in request.headers.getlist(header) for one in value.split(",") if one.strip()}
