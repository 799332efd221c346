"""Many records at once: `/models/{model}/delete`, `/models/{model}/import` and `/models/{model}/export`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.responses import StreamingResponse
from starlette.routing import Route

from pulpo.ui.api_client import Api, ApiProblem, Fault
from pulpo.ui.form_values import read_json
from pulpo.ui.page import api_of, form_of, page, path_to, see_other
from pulpo.ui.record_query import RecordQuery
from pulpo.ui.record_table import record_path

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_PAGE: Final = 1000
_UNAUTHORISED, _FORBIDDEN, _MISSING, _CONFLICT, _INVALID = 401, 403, 404, 409, 422
#: What the store keeps of a record: an export has it, and an import leaves it out.
_KEPT: Final = frozenset({"_rev", "_run", "_operation", "_created", "_updated", "_errors"})


async def delete(request: Request) -> Response:
    """Ask whether the chosen records shall be deleted, and delete them."""
    model = request.path_params["model"]
    given = request.query_params if request.method == "GET" else await form_of(request)
    ids = [str(one) for one in given.getlist("id")]
    etag = str(given.get("etag", "")) if len(ids) == 1 else ""
    gone, problem = 0, None
    if request.method == "POST" and "sure" in given:
        gone, ids, problem = await _delete(api_of(request), model, ids, etag)
        if problem is None:
            return see_other(request, f"{path_to('models', model)}?~done=deleted:{gone}")
        etag = ""
    chosen = [(one, record_path(model, one)) for one in ids]
    status = problem.status if problem else 200
    return page(request, "delete.html", status, model=model, ids=chosen, etag=etag, gone=gone, problem=problem)


async def _delete(api: Api, model: str, ids: list[str], etag: str) -> tuple[int, list[str], ApiProblem | None]:
    """How many of the records were there; and from the first one that can't be deleted on, those that are left, and why.

    Raises:
        ApiProblem: Nobody may without a token.
    """
    gone = 0
    for at, one in enumerate(ids):
        try:
            await api.ask("DELETE", "models", model, "records", one, headers={"If-Match": etag} if etag else None)
            gone += 1
        except ApiProblem as refused:
            if refused.status == _UNAUTHORISED:
                raise
            if refused.status != _MISSING:
                return gone, ids[at:], refused
    return gone, [], None


async def import_(request: Request) -> Response:
    """Records pasted as JSON, stored whether or not they are there: none is, where one is wrong."""
    model = request.path_params["model"]
    info = await api_of(request).get("models", model)
    if request.method == "GET":
        return page(request, "import.html", model=info, text="", problem=None, faults=())
    text = str((await form_of(request)).get("records", ""))
    try:
        stored = (await api_of(request).ask("PUT", "models", model, "records", body=_records(text))).data
    except ApiProblem as refused:
        if refused.status not in (_FORBIDDEN, _CONFLICT, _INVALID, 413, 400):
            raise
        rows = [
            (fault.place[0] + 1 if fault.place and isinstance(fault.place[0], int) else None, fault) for fault in refused.faults
        ]
        return page(request, "import.html", refused.status, model=info, text=text, problem=refused, faults=rows)
    numbers = ",".join(str(stored[name]) for name in ("inserted", "updated", "unchanged"))
    return see_other(request, f"{path_to('models', model)}?~done=stored:{numbers}")


def _records(text: str) -> list[Any]:
    """The records that a text is: a list, one record, or one on each line.

    Raises:
        ApiProblem: It is none of these; says where.
    """
    try:
        found = read_json(text)
        values = found if isinstance(found, list) else [found]
    except ValueError as error:
        if text.lstrip().startswith("["):
            raise ApiProblem(_INVALID, f"this {error}") from None
        values = _lines(text)
    return [_without_kept(value) for value in values]


def _lines(text: str) -> list[Any]:
    values, faults = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                values.append(read_json(line))
            except ValueError as error:
                faults.append(Fault((number - 1,), str(error)))
    if faults or not values:
        raise ApiProblem(_INVALID, "not every line is JSON" if values or faults else "there is nothing to store", faults=faults)
    return values


def _without_kept(value: Any) -> Any:
    return {name: item for name, item in value.items() if name not in _KEPT} if isinstance(value, dict) else value


async def export(request: Request) -> Response:
    """All records that the table's filters let through, one on each line, as they are when their turn comes."""
    model = request.path_params["model"]
    query = RecordQuery.of(request.query_params).first(limit=str(_PAGE))
    api = api_of(request)
    first = await _page(api, model, query)
    name = quote(f"{model}.jsonl", safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Cache-Control": "no-store"}
    return StreamingResponse(_all(api, model, query, first), headers=headers, media_type="application/x-ndjson")


async def _all(api: Api, model: str, query: RecordQuery, first: dict[str, Any]) -> AsyncIterator[str]:
    found = first
    while True:
        yield "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in found["items"])
        if not found["next"]:
            return
        found = await _page(api, model, query.next(found["next"]))


async def _page(api: Api, model: str, query: RecordQuery) -> dict[str, Any]:
    found: dict[str, Any] = (await api.ask("GET", "models", model, "records", params=query.asked())).data
    return found


ROUTES: Final = (
    Route("/models/{model}/delete", delete, methods=["GET", "POST"]),
    Route("/models/{model}/import", import_, methods=["GET", "POST"]),
    Route("/models/{model}/export", export),
)
