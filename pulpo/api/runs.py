"""`/operations/{operation}/run`, `/flows/{flow}/run` and `/runs`: runs started, listed, shown, cancelled and gone on with.

A run goes on when whoever asked for it has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from pulpo.api import cancelling, queued, run_lookup
from pulpo.api.bodies import JSON, media_type
from pulpo.api.context import Context, context_of
from pulpo.api.idempotency import HEADER, claim, release, settle
from pulpo.api.idempotency import Request as Keyed
from pulpo.api.parameters import known_alone
from pulpo.api.problems import Fault, Problem, invalid
from pulpo.api.run_given import inputs_of, parameter_fault
from pulpo.api.run_shapes import (
    FlowRunRequest,
    LogItem,
    LogList,
    OperationRunRequest,
    OutputIds,
    ResumeRequest,
    RunDetail,
    RunList,
    RunState,
    RunSummary,
    Since,
)
from pulpo.api.runner import Job, Runner
from pulpo.names import did_you_mean
from pulpo.run.history import every, ids_from
from pulpo.run.logs import read_logs
from pulpo.run.parameters import ParametersError
from pulpo.run.record import RUNS, RunRecord, State, first_run_id, new_run_id
from pulpo.run.start import Part
from pulpo.store.base import Condition, Sort
from pulpo.store.values import now

_RUN_ID: Final = re.compile(r"\d{8}-\d{6}-[0-9a-f]{7}")
_PLACE: Final = re.compile(r"[0-9]{1,12}")
_LINE: Final = re.compile(r"[0-9]{1,18}")
#: The part of the request's time limit that a request may wait for a run.
_PATIENCE: Final = 0.9
#: Seconds between two looks at a run that another process executes, and at one that is queued, at which Prefect has to look.
_LOOK: Final = 0.2
_LOOK_ELSEWHERE: Final = 1.0
#: States of runs that are not over.
_UNDER_WAY: Final = (State.PENDING, State.RUNNING)
#: Runs that are read at once where their state has to be found out.
_PAGE: Final = 200

_OPERATION, _FLOW, _RESUME = OperationRunRequest(), FlowRunRequest(), ResumeRequest()


async def _json_alone(request: Request) -> None:
    """Refuse a body in another form; there need not be any."""
    if await request.body():
        media_type(request, JSON)


KeyHeader = Annotated[str | None, Header(alias=HEADER, description="The same key again starts nothing again.")]
Levels = Literal["debug", "info", "warning", "error", "critical"]


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The routes of runs."""
    routes = APIRouter(tags=["runs"], dependencies=[Depends(known_alone)])
    started: dict[str, Any] = {
        "response_model": RunDetail,
        "status_code": 202,
        "responses": {200: {"model": RunDetail, "description": "The run is over"}},
        "dependencies": [Depends(_json_alone)],
    }
    routes.add_api_route("/operations/{operation}/run", run_operation, methods=["POST"], operation_id="run_operation", **started)
    routes.add_api_route("/flows/{flow}/run", run_flow, methods=["POST"], operation_id="run_flow", **started)
    routes.add_api_route("/runs", get_runs, response_model=RunList, operation_id="get_runs")
    routes.add_api_route("/runs/{run}", get_one_run, response_model=RunDetail, operation_id="get_run")
    routes.add_api_route("/runs/{run}/outputs/{operation}", get_output, response_model=OutputIds, operation_id="get_run_output")
    routes.add_api_route("/runs/{run}/logs", get_logs, response_model=LogList, operation_id="get_run_logs")
    routes.add_api_route(
        "/runs/{run}/cancel", cancel_run, methods=["POST"], response_model=RunDetail, status_code=202, operation_id="cancel_run"
    )
    routes.add_api_route("/runs/{run}/resume", resume_run, methods=["POST"], operation_id="resume_run", **started)
    return routes


# ------------------------------------------------------------------------------------------------------------- starting


async def run_operation(
    request: Request, operation: str, body: OperationRunRequest = _OPERATION, key: KeyHeader = None
) -> Response:
    """Run an operation; its run goes on when the client has gone."""
    operations = context_of(request).manifest.operations
    if operation not in operations:
        raise Problem(404, f"there is no such operation: {operation}", hint=did_you_mean(operation, operations))
    return await _start(request, operation, body, key, Part())


async def run_flow(request: Request, flow: str, body: FlowRunRequest = _FLOW, key: KeyHeader = None) -> Response:
    """Run a flow or a part of it; its run goes on when the client has gone."""
    flows = context_of(request).compiler.flow_names()
    if flow not in flows:
        raise Problem(404, f"there is no such flow: {flow}", hint=did_you_mean(flow, flows))
    part = Part(tuple(body.select), tuple(body.from_), tuple(body.to), tuple(body.only), with_upstream=body.with_upstream)
    return await _start(request, flow, body, key, part)


async def resume_run(request: Request, run: str, body: ResumeRequest = _RESUME, key: KeyHeader = None) -> Response:
    """Go on after the last finished operation of a run, as a new run; what is not given is as it was."""
    earlier = await run_lookup.require(context_of(request), run)
    if earlier.state is State.RUNNING:
        raise Problem(409, f"the run is still going on, {cancelling.where(earlier)}: {run}", hint="cancel it first")
    keyed = _keyed(request, key, body)
    return await _run_here(request, body, keyed, name=None, part=Part(), resume=earlier.id)


async def _start(request: Request, name: str, body: OperationRunRequest, key: str | None, part: Part) -> Response:
    keyed = _keyed(request, key, body)
    if body.engine == "inline":
        return await _run_here(request, body, keyed, name=name, part=part)
    if part or body.inputs:
        raise Problem(422, "a deployment runs the whole flow, with the inputs that are stored", hint="use the engine inline")
    if name not in context_of(request).compiler.flow_names():
        hint = "use the engine inline, or run the flow that it is in"
        raise Problem(422, f"an operation in a flow has no deployment of its own: {name}", hint=hint)
    return await _queue(request, name, body, keyed)


async def _run_here(
    request: Request, body: ResumeRequest | OperationRunRequest, keyed: Keyed | None, *, name: str | None, part: Part,
    resume: str | None = None,
) -> Response:  # fmt: skip
    context = context_of(request)
    runner = _runner(context)
    inputs = await inputs_of(context, body)
    job = Job(context.manifest, new_run_id(now()), name, part, dict(body.parameters), inputs, resume)
    try:
        run = await _submit(context, runner, job, keyed)
    except ParametersError as error:
        raise invalid(list(dict.fromkeys(parameter_fault(one, body.parameters) for one in error.wrong))) from error
    return await _answer(request, run, body.wait)


async def _submit(context: Context, runner: Runner, job: Job, keyed: Keyed | None) -> str:
    if keyed is None:
        await runner.submit(job)
        return job.run
    claimed = await claim(context.store, keyed, job.run)
    if claimed.is_new:
        try:
            await runner.submit(job)
        except Exception:
            await release(context.store, keyed, claimed)
            raise
    return claimed.run


async def _queue(request: Request, name: str, body: OperationRunRequest, keyed: Keyed | None) -> Response:
    context = context_of(request)
    claimed = None if keyed is None else await claim(context.store, keyed)
    if keyed is None or claimed is None:
        return await _answer(request, await queued.queue(context, name, body.parameters, None), body.wait)
    if not claimed.is_new:
        return await _answer(request, claimed.run, body.wait)
    try:
        # Prefect is told of the whole request: whether it has heard of one that failed here is not known.
        run = await queued.queue(context, name, body.parameters, f"{keyed.id}-{keyed.fingerprint}")
    except Exception:
        await release(context.store, keyed, claimed)
        raise
    await settle(context.store, keyed, run)
    return await _answer(request, run, body.wait)


def _keyed(request: Request, key: str | None, body: ResumeRequest | OperationRunRequest) -> Keyed | None:
    """The request under its key, if it has one; all that is sent has to be JSON that can be sent back."""
    asked = {"path": request.url.path, "body": body.model_dump(mode="python", by_alias=True)}
    try:
        json.dumps(asked, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        raise invalid([Fault(("body",), f"a value can't be kept: {error}")]) from error
    return None if key is None else Keyed.of(key, asked)


async def _answer(request: Request, run: str, wait: float) -> Response:
    """The run as it is, or as it ended if that is within the time that the client waits."""
    context = context_of(request)
    if wait:
        async with _until_disconnected(request) as gone:
            waiting = asyncio.ensure_future(_over(context, run))
            patience = min(wait, context.settings.timeout * _PATIENCE)
            try:
                await asyncio.wait({waiting, gone}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
    detail = await run_lookup.shown(context, run)
    return _respond(detail, 200 if wait and detail.state not in _UNDER_WAY else 202)


async def _over(context: Context, run: str) -> None:
    """Returns when a run is over, whichever process executes it, and whether or not it has begun."""
    await _runner(context).wait(run)
    while True:
        found = await run_lookup.find(context, run)
        state = (await run_lookup.shown(context, run)).state if found is None else found.state
        if state not in _UNDER_WAY:
            return
        await asyncio.sleep(_LOOK_ELSEWHERE if found is None else _LOOK)


@contextlib.asynccontextmanager
async def _until_disconnected(request: Request) -> AsyncIterator[asyncio.Task[None]]:
    """A task that ends when the client has gone."""

    async def listen() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(listen())
    try:
        yield task
    finally:
        task.cancel()


def _respond(run: RunDetail, status: int) -> Response:
    return JSONResponse(run.model_dump(mode="json"), status, {"Location": f"/runs/{run.id}"})


# -------------------------------------------------------------------------------------------------------------- reading


async def get_runs(
    request: Request,
    flow: Annotated[str | None, Query(description="Only those of this flow or operation.")] = None,
    operation: Annotated[str | None, Query(description="Only those in which this operation takes part.")] = None,
    state: Annotated[RunState | None, Query(description="Only those in this state.")] = None,
    since: Annotated[Since | None, Query(description="Only those that began then or later; UTC where no offset is said.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
) -> Any:
    """The runs of all engines, newest first; `limit` counts those that have begun, before which are those queued on Prefect."""
    if cursor is not None and not _RUN_ID.fullmatch(cursor):
        raise Problem(400, "this is no cursor of runs", hint="take `next` of the page before, as it is")
    where = [Condition("flow", "eq", flow)] if flow is not None else []
    where += [Condition("operations", "has", operation)] if operation is not None else []
    where += [Condition("_id", "gte", first_run_id(since))] if since is not None else []
    context = context_of(request)
    waiting = await _not_begun(context, flow, operation, state) if cursor is None and since is None else []
    found = await _page(context, where, state, limit + 1, cursor)
    following = found[limit - 1].id if len(found) > limit else None
    return RunList(items=[*waiting, *(RunSummary.of(run) for run in found[:limit])], next=following)


async def _not_begun(context: Context, flow: str | None, operation: str | None, state: str | None) -> list[RunDetail]:
    """The flow runs that Prefect has and the history does not: queued, or in a process that is only starting."""
    if state is not None and state not in _UNDER_WAY:
        return []
    there = await queued.under_way(context)
    if not there:
        return []
    begun = every(context.store, RUNS, [Condition("flow_run", "in", [run.id for run in there])])
    known = {record.data["flow_run"] async for record in begun}
    return [
        run
        for run in there
        if run.id not in known
        and flow in (None, run.flow)
        and state in (None, run.state)
        and (operation is None or operation in context.compiler.operations_of(run.flow))
    ]


async def _page(
    context: Context, wanted: Sequence[Condition], state: str | None, limit: int, before: str | None
) -> list[RunRecord]:
    """Runs from one on, newest first; whether one has crashed is not stored, but found out."""
    stored = State.RUNNING.value if state == State.CRASHED.value else state
    where = [*wanted, Condition("state", "eq", stored)] if stored else list(wanted)
    found: list[RunRecord] = []
    while len(found) < limit:
        further = [*where, Condition("_id", "lt", before)] if before else where
        page = await context.store.find(RUNS, further, sort=(Sort("_id", descending=True),), limit=_PAGE)
        runs = [RunRecord.of(record) for record in page.items]
        found += [run for run in runs if state is None or run.state.value == state]
        if page.next is None:
            break
        before = runs[-1].id
    return found[:limit]


async def get_one_run(request: Request, run: str) -> Any:
    """A run with its steps, and of each output the ids of the first records; by Prefect's id, a flow run that is queued there."""
    return await run_lookup.shown(context_of(request), run)


async def get_output(
    request: Request,
    run: str,
    operation: str,
    output: Annotated[int, Query(ge=0, description="Which of its outputs, from 0.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    cursor: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
) -> Any:
    """The ids of all records that an operation put out in a run, also of those that a later run has made again since."""
    context = context_of(request)
    if cursor is not None and not _PLACE.fullmatch(cursor):
        raise Problem(400, "this is no cursor of ids", hint="take `next` of the page before, as it is")
    found = await run_lookup.require(context, run)
    steps = {step.operation: step for step in found.steps}
    if operation not in steps:
        raise Problem(404, f"no such operation takes part in the run: {operation}", hint=did_you_mean(operation, steps))
    made, start = steps[operation].outputs, int(cursor or 0)
    if output >= max(len(made), 1):
        raise invalid([Fault(("query", "output"), f"there is no such output, {operation} has {len(made)}")])
    following = start + limit
    is_last = not made or following >= made[output]
    items = await ids_from(context.store, found.id, operation, output, start, limit)
    return OutputIds(items=items, next=None if is_last else str(following))


async def get_logs(
    request: Request,
    run: str,
    operation: Annotated[str | None, Query(description="Only those of this operation.")] = None,
    level: Annotated[Levels | None, Query(description="Only those of this level or above.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    cursor: Annotated[str | None, Query(description="The `next` of the page before, or the number of a line.")] = None,
    last: Annotated[bool, Query(description="The last lines there are instead of the first.")] = False,
) -> Any:
    """What operations of a run logged, in the order in which it came; the last lines come a moment after they are logged."""
    context = context_of(request)
    if cursor is not None and not _LINE.fullmatch(cursor):
        raise Problem(400, "this is no cursor of lines", hint="take `next` of the page before, as it is")
    found = await run_lookup.find(context, run)
    if found is None:
        await get_one_run(request, run)  # queued on Prefect, or unknown
        return LogList(items=[], next=None)
    after = None if cursor is None else int(cursor)
    page = await read_logs(context.store, found.id, operation=operation, level=level, limit=limit, after=after, last=last)
    return LogList(items=[LogItem.of(line) for line in page.lines], next=None if page.next is None else str(page.next))


# ----------------------------------------------------------------------------------------------------------- cancelling


async def cancel_run(request: Request, run: str) -> Response:
    """Ask for the end of a run; it is recorded as cancelled a little later, and can be gone on with."""
    context = context_of(request)
    found = await run_lookup.find(context, run)
    if found is None:
        if (
            run_lookup.is_flow_run(run)
            and await queued.cancel(context, run)
            and (left := await queued.look(context, run)) is not None
        ):
            return _respond(left, 202)
        raise await run_lookup.unknown(context, run)
    if found.state is not State.RUNNING:
        hint = "it can be resumed" if found.state is not State.COMPLETED else None
        raise Problem(409, f"the run is over, it is {found.state}: {run}", hint=hint)
    await cancelling.cancel(context, _runner(context), found)
    return _respond(await run_lookup.detail(context, await run_lookup.require(context, found.id)), 202)


def _runner(context: Context) -> Runner:
    if context.runner is None:
        raise Problem(503, "the API has not started yet")
    return context.runner
