"""`/models`, and `/models/{model}`: the records of a model in a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from pulpo.ui.api_client import ApiProblem, Fault
from pulpo.ui.page import api_of, page, path_to, see_other
from pulpo.ui.record_query import LIMITS, OPERATORS, RecordQuery, added, described
from pulpo.ui.record_table import columns, rows

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

#: What the API has against what it was asked, rather than against who asks.
_ASKED_WRONG: Final = (400, 422)


async def models(request: Request) -> Response:
    """All models, with how many records they have."""
    found = await api_of(request).get("models", count="exact")
    return page(request, "models.html", models=found["items"])


async def model(request: Request) -> Response:
    """A page of a model's records: filtered, sorted, and chosen from."""
    name = request.path_params["model"]
    query = RecordQuery.of(request.query_params)
    if (more := added(query, request.query_params)) is not None:
        return see_other(request, path_to("models", name) + more.address())
    api = api_of(request)
    info = await api.get("models", name)
    problem: ApiProblem | None = None
    found: dict[str, Any] = {"items": [], "next": None, "count": 0}
    try:
        found = (await api.ask("GET", "models", name, "records", params={**query.asked(), "count": "exact"})).data
    except ApiProblem as refused:
        if refused.status not in _ASKED_WRONG:
            raise
        problem = refused
    shown = columns(info, query)
    return page(
        request, "model.html", problem.status if problem else 200,
        model=info, asked=query, problem=problem, count=found["count"], columns=shown, rows=rows(name, found["items"], shown),
        digest=_digest(found), filters=described(query, info["fields"], problem.faults if problem else ()),
        elsewhere=_elsewhere(query, problem.faults) if problem else (), operators=OPERATORS, limits=_limits(query),
        searched=[field["name"] for field in info["fields"] if field["searched"]], first=_first(query, found),
        next=query.next(found["next"]).address() if found["next"] else None, previous=_previous(query), done=_done(request),
    )  # fmt: skip


async def records(request: Request) -> Response:
    """The records of a model are on its page."""
    return see_other(request, path_to("models", request.path_params["model"]))


def _digest(found: Mapping[str, Any]) -> str:
    """What tells apart two looks at a page of records."""
    return hashlib.sha256(json.dumps([found["items"], found["count"]], sort_keys=True).encode()).hexdigest()[:16]


def _elsewhere(query: RecordQuery, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """The faults that are at none of the filters."""
    at = {("query", parameter) for parameter, _ in query.filters}
    return tuple(fault for fault in faults if fault.place not in at)


def _limits(query: RecordQuery) -> tuple[str, ...]:
    return LIMITS if query.limit in LIMITS else (query.limit, *LIMITS)


def _first(query: RecordQuery, found: Mapping[str, Any]) -> int:
    """The number of the page's first record, counted from 1; 0 where there is none."""
    return (query.page - 1) * int(query.limit) + 1 if found["items"] else 0


def _previous(query: RecordQuery) -> str | None:
    before = query.previous()
    return None if before is None else before.address()


def _done(request: Request) -> str:
    """What was just done, as the page says it."""
    kind, _, rest = request.query_params.get("~done", "").partition(":")
    numbers = [int(part) for part in rest.split(",") if part.isascii() and part.isdigit()]
    if kind == "deleted" and len(numbers) == 1:
        return f"{numbers[0]} record{'s' if numbers[0] != 1 else ''} deleted."
    if kind == "stored" and len(numbers) == 3:  # noqa: PLR2004 - inserted, updated, unchanged
        return "{} inserted, {} updated, {} as they were.".format(*numbers)
    return ""


ROUTES: Final = (
    Route("/models", models),
    Route("/models/{model}", model),
    Route("/models/{model}/records", records),
)
