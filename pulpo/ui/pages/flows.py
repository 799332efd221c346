"""`/flows` and `/flows/{flow}`: what runs when, and running a flow or a part of it."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from pulpo.names import PIPELINE, parents
from pulpo.ui.page import api_of, form_of, page, path_to, see_other
from pulpo.ui.pages.graph import Address
from pulpo.ui.pages.operations import matching
from pulpo.ui.starting import Form, Source, blank, start

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

_REFUSED: Final = 422
#: Runs on a flow's page.
_LAST: Final = 10
_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


async def index(request: Request) -> Response:
    """The flows as they are nested, and what runs next."""
    found = (await api_of(request).get("flows", last="true"))["items"]
    text = request.query_params.get("q", "")
    return page(
        request, "flows.html", flows=matching(found, text), total=len(found), text=text, said=said,
        coming=sorted((flow for flow in found if flow["next"]), key=lambda flow: (_instant(flow["next"][0]), flow["name"])),
        uncounted=[flow for flow in found if flow["schedule"] and not flow["next"]],
    )  # fmt: skip


def _instant(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def said(schedule: Mapping[str, Any] | None) -> str:
    """A schedule in words; empty where there is none."""
    if schedule is None:
        return ""
    zone = f" in {schedule.get('timezone') or 'UTC'}"
    paused = ", paused" if schedule.get("paused") else ""
    if schedule.get("interval"):
        return f"every {_every(schedule['interval'])}{paused}"
    return f"{schedule.get('cron') or schedule.get('rrule')}{zone}{paused}"


def _every(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds % size == 0), (1, "second"))
    count = seconds / size
    return unit if count == 1 else f"{count:g} {unit}s"


async def show(request: Request) -> Response:
    """A flow, and the form that runs it."""
    api, name = api_of(request), request.path_params["flow"]
    again = request.query_params.get("run")
    flow, run = await asyncio.gather(api.get("flows", name), _again(request, again))
    return await _shown(request, flow, blank(flow["parameters"], _sources(flow), run), run)


async def _again(request: Request, run: str | None) -> Any:
    return await api_of(request).get("runs", run) if run else None


async def run(request: Request) -> Response:
    """Run it, or say what is wrong with how."""
    api, name = api_of(request), request.path_params["flow"]
    flow = await api.get("flows", name)
    typed = {key: str(value) for key, value in (await form_of(request)).items()}
    done = await start(api, ("flows", name), flow["parameters"], _sources(flow), typed)
    if isinstance(done, Form):
        return await _shown(request, flow, done, None)
    return see_other(request, path_to("runs", done))


async def _shown(request: Request, flow: Mapping[str, Any], form: Form, again: Mapping[str, Any] | None) -> Response:
    status = _REFUSED if form.wrong or any(source.errors for source in form.sources) else 200
    runs = (await api_of(request).get("runs", flow=flow["name"], limit=_LAST))["items"]
    return page(
        request, "flow.html", form.problem.status if form.problem else status, flow=flow, form=form, again=again, runs=runs,
        schedule=said(flow["schedule"]), graph=_in_graph(flow), engines=flow["deployment"] is not None,
    )  # fmt: skip


def _in_graph(flow: Mapping[str, Any]) -> Address:
    """Where the graph tells about a flow, with it and all that it lies in open; `pipeline` and one operation lie in nothing."""
    name = flow["name"]
    is_node = name != PIPELINE and not flow["standalone"]
    return Address(open=",".join((*parents(name), name)) if is_node else None, at=name)


def _sources(flow: Mapping[str, Any]) -> list[Source]:
    return [Source(one["model"], tuple(one["arguments"]), outside=one["outside"]) for one in flow["inputs"]]


ROUTES: Final = (
    Route("/flows", index),
    Route("/flows/{flow}", show),
    Route("/flows/{flow}", run, methods=["POST"]),
)
