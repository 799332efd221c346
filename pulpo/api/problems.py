"""Errors as RFC 9457 has them: `application/problem+json` with type, title, status, detail, instance, and all problems found.

Raise a `Problem` anywhere in a request; the errors of `pulpo.errors` become one as well (`problem_of`). What nobody foresaw is a
500 that says nothing of its cause: that is logged, under the request's id.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pulpo.errors import DiagnosticsError, PulpoError, UsageError
from pulpo.store.base import Conflict, NotFound, Stale, StoreError

MEDIA_TYPE: Final = "application/problem+json"
#: As RFC 9110 has them; Python does from 3.13 on.
_TITLES: Final = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}

_LOG = logging.getLogger("pulpo.api")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: where (`("query", "salary__gte")`, `("body", 3, "url")`), what, and what to do."""

    loc: tuple[str | int, ...]
    message: str
    hint: str | None = None

    def data(self) -> dict[str, Any]:
        """As the answer has it."""
        return {"loc": list(self.loc), "message": self.message, **({"hint": self.hint} if self.hint else {})}


class Problem(Exception):  # noqa: N818 - the standard's word
    """A request that can't be answered as asked; becomes the answer."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.hint = hint
        self.headers = dict(headers or {})


def invalid(errors: Sequence[Fault]) -> Problem:
    """A 422 that tells everything that is wrong."""
    first = errors[0]
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    where = ".".join(map(str, first.loc))
    return Problem(422, f"{where}: {first.message}{more}", errors=errors)


def problem_of(error: PulpoError) -> Problem:
    """What an error of Pulpo's own is over HTTP: 404, 409, 412, 422, or 503 where the store does not answer."""
    match error:
        case NotFound():
            status = 404
        case Conflict():
            status = 409
        case Stale():
            status = 412
        case StoreError():
            status = 503
        case DiagnosticsError():
            errors = [Fault(tuple(d.path), d.message, d.hint) for d in error.diagnostics]
            return Problem(409, "the manifest or the code has problems", errors=errors)
        case UsageError():
            status = 422
        case _:
            status = 409
    return Problem(status, error.message, hint=error.hint)


def respond(request: Request, problem: Problem) -> Response:
    """The answer that a problem is."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES.get(HTTPStatus(problem.status), HTTPStatus(problem.status).phrase),
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
    }
    if problem.hint:
        content["hint"] = problem.hint
    if problem.errors:
        content["errors"] = [fault.data() for fault in problem.errors]
    if request_id := request.scope.get("state", {}).get("request_id"):
        content["request_id"] = request_id
    body = b"" if request.method == "HEAD" else json.dumps(content, default=str).encode()
    return Response(body, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every error of the application is answered as a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(PulpoError, _on_pulpo_error)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(Exception, _on_unforeseen)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - the handler is registered for it
    return respond(request, error)


async def _on_pulpo_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PulpoError)  # noqa: S101
    return respond(request, problem_of(error))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    detail = f"there is nothing here: {request.url.path}" if error.status_code == HTTPStatus.NOT_FOUND else error.detail
    if error.status_code == HTTPStatus.BAD_REQUEST:  # of the framework, which read a body in vain
        detail = "the body is not JSON"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"this can't be done here: {request.method}"
    return respond(request, Problem(error.status_code, detail, headers=error.headers))


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    if any(found["type"] == "json_invalid" for found in error.errors()):
        return respond(request, Problem(400, "the body is not JSON"))
    return respond(request, invalid([Fault(tuple(found["loc"]), found["msg"]) for found in error.errors()]))


async def _on_unforeseen(request: Request, error: Exception) -> Response:
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return respond(request, Problem(500, "this failed inside the API; its log has the cause, under the request's id"))
