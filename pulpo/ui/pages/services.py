"""`/services`: how the services are, and one of them with its settings and its log, which is followed."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from pulpo.ui.api_client import Api, ApiProblem
from pulpo.ui.page import api_of, page, path_to, see_other

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

#: Lines of a log that a page begins with, and that come at once later.
_LINES: Final = 500
_CONFLICT: Final = 409
#: What the API says when it does not answer: it may be on its way, as after its own restart.
_AWAY: Final = (502, 503, 504)
#: What is up, what is wrong, and what runs nothing of its own.
_UP: Final = frozenset({"running", "starting", "unready", "restarting", "stopping", "unknown"})
_WRONG: Final = ("failed", "unready", "unreachable")
_NO_LOG: Final = ("embedded", "elsewhere")
_LEVEL: Final = re.compile(r"\b(DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)\b")
_LEVELS: Final = {"WARN": "WARNING", "FATAL": "CRITICAL"}


async def show_all(request: Request) -> Response:
    """The table."""
    found: dict[str, Any] = {"items": [], "mode": None, "problem": None}
    problem = None
    try:
        found = await api_of(request).get("services")
    except ApiProblem as error:
        if not _is_live(request) or error.status not in _AWAY:
            raise
        problem = error
    counts = _counts(found["items"])
    return page(request, "services.html", services=found, problem=problem, counts=counts, runs=_UP & counts.keys(), wrong=_WRONG)


async def show(request: Request) -> Response:
    """One service."""
    return await _service(request, None)


async def restart(request: Request) -> Response:
    """Have it restarted; what keeps it from that is shown on its page."""
    name = request.path_params["name"]
    try:
        await api_of(request).ask("POST", "services", name, "restart")
    except ApiProblem as problem:
        if problem.status != _CONFLICT:
            raise
        return await _service(request, problem)
    return see_other(request, path_to("services", name))


async def lines(request: Request) -> Response:
    """The lines of a log that came since, as the page shows them; the header `X-Next` has where to go on."""
    api, name = api_of(request), request.path_params["name"]
    found = await api.get("services", name, "logs", tail=_LINES, after=request.query_params.get("after"))
    return page(request, "service_lines.html", headers={"X-Next": found["next"]}, lines=_spoken(found["items"]))


async def _service(request: Request, refused: ApiProblem | None) -> Response:
    api, name = api_of(request), request.path_params["name"]
    service: dict[str, Any] | None = None
    log: dict[str, Any] = {"items": [], "next": None}
    why = problem = None
    try:
        # What is asked for again and again is how it is: the log is followed by itself.
        service, (log, why) = await asyncio.gather(
            api.get("services", name), _nothing() if _is_live(request) else _log(api, name)
        )
    except ApiProblem as error:
        if not _is_live(request) or error.status not in _AWAY:
            raise
        problem = error
    state = service["status"]["state"] if service and service["status"] else None
    following = None if state in _NO_LOG else log["next"]
    return page(
        request, "service.html", refused.status if refused else 200, name=name, service=service, state=state, problem=problem,
        refused=refused, lines=_spoken(log["items"]), following=following, why=why, no_log=_NO_LOG, wrong=_WRONG,
    )  # fmt: skip


async def _nothing() -> tuple[dict[str, Any], None]:
    return {"items": [], "next": None}, None


async def _log(api: Api, name: str) -> tuple[dict[str, Any], ApiProblem | None]:
    """The last lines, or why there are none: the rest of the page does not depend on them."""
    try:
        return await api.get("services", name, "logs", tail=_LINES), None
    except ApiProblem as problem:
        if problem.status != _CONFLICT:
            raise
        return {"items": [], "next": None}, problem


def _is_live(request: Request) -> bool:
    """Whether a page that is open asks again for how things are."""
    return request.headers.get("hx-request") == "true"


def _counts(services: list[dict[str, Any]]) -> dict[str, int]:
    """How many are in each state, those first that there are most of."""
    states = [service["status"]["state"] for service in services if service["status"]]
    return {state: states.count(state) for state in sorted(set(states), key=lambda one: (-states.count(one), one))}


def _spoken(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines as people read them: one that is JSON is its message with the rest behind it; with the level, if one is said."""
    return [{**item, **_said(item["text"])} for item in items]


def _said(text: str) -> dict[str, str]:
    try:
        data = json.loads(text) if text.startswith("{") else None
    except ValueError:
        data = None
    if not isinstance(data, dict) or "message" not in data:
        found = _LEVEL.search(text)
        return {"text": text, "level": _LEVELS.get(found[1], found[1]) if found else ""}
    rest = {key: value for key, value in data.items() if key not in ("time", "level", "message")}
    told = " ".join(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in rest.items())
    return {"text": f"{data['message']}  {told}".rstrip(), "level": str(data.get("level", "")).upper()}


ROUTES: Final = (
    Route("/services", show_all),
    Route("/services/{name}", show),
    Route("/services/{name}/restart", restart, methods=["POST"]),
    Route("/services/{name}/lines", lines),
)
