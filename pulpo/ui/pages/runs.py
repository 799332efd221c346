"""`/runs`, `/runs/{run}` and what can be done there: what ran, how it went, why it failed, and going on from there."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.routing import Route

from pulpo.ui.api_client import Api, ApiProblem
from pulpo.ui.comparing import compare
from pulpo.ui.page import api_of, page, path_to, see_other
from pulpo.ui.timeline import timeline

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

STATES: Final = ("pending", "running", "completed", "failed", "cancelled", "crashed")
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
#: How far back the list of runs can be asked to go.
SINCE: Final[Mapping[str, tuple[str, dt.timedelta]]] = {
    "hour": ("the last hour", dt.timedelta(hours=1)),
    "day": ("the last day", dt.timedelta(days=1)),
    "week": ("the last week", dt.timedelta(days=7)),
    "month": ("the last 30 days", dt.timedelta(days=30)),
}
#: Runs on a page, steps on a page, lines that a run's page begins with, lines of a page of them, runs to compare with.
RUNS, STEPS, LINES, LOG, OTHERS = 50, 200, 500, 1000, 50
#: Failed steps whose errors are shown above all else.
ERRORS: Final = 10
#: States in which a run may be gone on with.
_UNFINISHED: Final = ("failed", "crashed", "cancelled")
_MISSING, _CONFLICT = 404, 409


# ---------------------------------------------------------------------------------------------------------------- the list


async def index(request: Request) -> Response:
    """The runs, newest first."""
    api, asked = api_of(request), request.query_params
    wanted = {name: asked.get(name, "") for name in ("flow", "operation", "state", "since")}
    since = SINCE.get(wanted["since"])
    begun = (dt.datetime.now(dt.UTC) - since[1]).isoformat() if since else None
    found, flows, operations = await asyncio.gather(
        api.get(
            "runs", flow=wanted["flow"] or None, operation=wanted["operation"] or None, state=wanted["state"] or None,
            since=begun, cursor=asked.get("cursor") or None, limit=RUNS,
        ),
        api.get("flows"),
        api.get("operations"),
    )  # fmt: skip
    given = {name: value for name, value in wanted.items() if value}
    return page(
        request, "runs.html", runs=found["items"], wanted=wanted, states=STATES, since=SINCE,
        flows=[flow["name"] for flow in flows["items"]], operations=[operation["name"] for operation in operations["items"]],
        later=urlencode(given) if asked.get("cursor") else None,
        older=urlencode({**given, "cursor": found["next"]}) if found["next"] else None,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------------ a run


async def show(request: Request) -> Response:
    """A run: its error first, then what it made, its steps in time, what it was given, and its logs."""
    return await _shown(request, None)


async def _shown(request: Request, problem: ApiProblem | None) -> Response:
    api, name, asked = api_of(request), request.path_params["run"], request.query_params
    run = await api.get("runs", name)
    flow, others, lines = await asyncio.gather(
        _flow_of(api, run), _others(api, run), _lines(api, run, asked, last="true", limit=LINES)
    )
    state = asked.get("state", "")
    steps = [step for step in run["steps"] if state in ("", step["state"])]
    at = min(_number(asked.get("page")), max(0, len(steps) - 1) // STEPS)
    return page(
        request, "run.html", problem.status if problem else 200, problem=problem, run=run, flow=flow, others=others, lines=lines,
        failed=[step for step in run["steps"] if step["state"] == "failed"], errors=ERRORS, made=_made(run["steps"]),
        timeline=timeline(run, dt.datetime.now(dt.UTC)), steps=steps[at * STEPS : (at + 1) * STEPS], states=_states(run["steps"]),
        wanted={"state": state, "page": at, "level": asked.get("level", ""), "operation": asked.get("operation", "")},
        pages=range(-(-len(steps) // STEPS)), size=STEPS, levels=LEVELS, unfinished=run["state"] in _UNFINISHED,
    )  # fmt: skip


async def _flow_of(api: Api, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was run, and where its page is; None where the manifest has it no longer."""
    for kind in ("flows", "operations"):
        try:
            found = await api.get(kind, run["flow"])
        except ApiProblem as problem:
            if problem.status != _MISSING:
                raise
        else:
            return {"kind": kind, "path": path_to(kind, run["flow"]), "operations": found.get("operations", [run["flow"]])}
    return None


async def _others(api: Api, run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The flow's other runs, newest first; the last one before it that completed is `default`."""
    found = [other for other in (await api.get("runs", flow=run["flow"], limit=OTHERS + 1))["items"] if other["id"] != run["id"]]
    done = [other["id"] for other in found if other["state"] == "completed"]
    before = [other for other in done if other < run["id"]]
    return [{**other, "default": other["id"] in (before or done)[:1]} for other in found[:OTHERS]]


async def _lines(api: Api, run: Mapping[str, Any], asked: Mapping[str, str], **more: Any) -> list[dict[str, Any]]:
    wanted = {"operation": asked.get("operation") or None, "level": asked.get("level") or None}
    found: list[dict[str, Any]] = (
        [] if run["started"] is None else (await api.get("runs", run["id"], "logs", **wanted, **more))["items"]
    )
    return found


def _made(steps: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """By model, how many records the run made, and what became of them."""
    found: dict[str, dict[str, int]] = {}
    for step in steps:
        for model, counts in step["counts"].items():
            if counts["made"]:
                total = found.setdefault(model, dict.fromkeys(("made", "inserted", "updated", "unchanged"), 0))
                for name in total:
                    total[name] += counts[name]
    return dict(sorted(found.items()))


def _states(steps: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many steps are in each state, those that want a look first."""
    order = ("failed", "crashed", "running", "cancelled", "skipped", "pending", "reused", "completed")
    counts = {state: sum(step["state"] == state for step in steps) for state in order}
    return {state: count for state, count in counts.items() if count}


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004


async def cancel(request: Request) -> Response:
    """Ask for the end of a run."""
    return await _asked(request, "cancel")


async def resume(request: Request) -> Response:
    """Go on with a run, as a new one."""
    return await _asked(request, "resume")


async def _asked(request: Request, what: str) -> Response:
    try:
        answer = await api_of(request).ask("POST", "runs", request.path_params["run"], what)
    except ApiProblem as problem:
        if problem.status in (401, _MISSING):
            raise
        return await _shown(request, problem)
    return see_other(request, path_to("runs", answer.data["id"]))


# ------------------------------------------------------------------------------------------------------------------- logs


async def logs(request: Request) -> Response:
    """All lines of a run, a page of them at a time; with `part`, only the lines, as its page follows them."""
    api, asked = api_of(request), request.query_params
    name = request.path_params["run"]
    wanted = {key: asked.get(key, "") for key in ("level", "operation")}
    found = await api.get(
        "runs",
        name,
        "logs",
        limit=LOG,
        cursor=asked.get("after") or None,
        **{key: value or None for key, value in wanted.items()},
    )
    if "part" in asked:
        return page(request, "lines.html", lines=found["items"])
    run = await api.get("runs", name)
    return page(request, "logs.html", run=run, lines=found["items"], next=found["next"], wanted=wanted, levels=LEVELS)


# -------------------------------------------------------------------------------------------------------------- comparing


async def compared(request: Request) -> Response:
    """Two runs side by side."""
    asked, api = request.query_params, api_of(request)
    names = (asked.get("a", ""), asked.get("b", ""))
    if not all(names):
        raise ApiProblem(422, "which two runs? the address says them as a and b", hint="choose one on the page of the other")
    one, other = await asyncio.gather(*(api.get("runs", name) for name in names))
    found = compare(one, other)
    only = "only" in asked
    rows = [row for row in found.rows if row.differs or not only]
    return page(request, "compare.html", a=one, b=other, found=found, rows=rows, only=only)


ROUTES: Final = (
    Route("/runs", index),
    Route("/runs/compare", compared),
    Route("/runs/{run}", show),
    Route("/runs/{run}/logs", logs),
    Route("/runs/{run}/cancel", cancel, methods=["POST"]),
    Route("/runs/{run}/resume", resume, methods=["POST"]),
)
