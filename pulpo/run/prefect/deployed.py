"""Runs of what is deployed: asked for on the server, made by workers, watched from here."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
    LogFilterTimestamp,
    TaskRunFilter,
    TaskRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, Log
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling
from prefect.utilities.urls import url_for

from pulpo.compile.flow import REQUIRED, FlowDefinition
from pulpo.compile.identifiers import parameter_names
from pulpo.errors import UsageError
from pulpo.names import did_you_mean
from pulpo.run.prefect.server import without_password

#: Seconds between two looks at a run.
_INTERVAL = 1.0
#: How long a run's last lines may take to arrive, and how much later than their time any line may: clients send them in batches.
_LATE = dt.timedelta(seconds=10)
_LAST_LINES = 2.5
#: The most that the server gives at once.
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment as the server has it."""

    id: UUID
    #: As in `scraping/jobs`.
    name: str
    #: By the name of the generated function's parameter.
    parameters: Mapping[str, Any]
    work_pool: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """What a run that is watched says: a line of its log, or a state that it has reached."""

    time: dt.datetime
    #: `info`, `error`…; of a state `state`.
    level: str
    text: str


async def find(client: PrefectClient, name: str) -> Deployed | None:
    """The deployment of a full name such as `scraping/jobs`; None where there is none."""
    flow, _, own = name.partition("/")  # by filters: a path would not take every name
    found = await client.read_deployments(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[own])),
    )
    return Deployed(found[0].id, name, found[0].parameters or {}, found[0].work_pool_name) if found else None


async def start(
    client: PrefectClient, deployed: Deployed, parameters: Mapping[str, Any], *, key: str | None = None
) -> tuple[FlowRun, str | None]:
    """Asks for a flow run, now; returns it with its URL in Prefect's UI, None where the server has none.

    With a `key` that was given before it is the flow run of then.
    """
    flow_run = await client.create_flow_run_from_deployment(deployed.id, parameters=dict(parameters), idempotency_key=key)
    return flow_run, without_password(url_for(flow_run))


def values_for(flow: FlowDefinition, given: Mapping[str, object], found: Deployed) -> dict[str, Any]:
    """The values by the names of the generated function's parameters.

    Raises:
        UsageError: Names are unknown, or parameters have no value; all of them.
    """
    names = parameter_names(flow)
    own = {**{function: function for function in names.values()}, **names}
    unknown = sorted(set(given) - set(own))
    values = {own[name]: value for name, value in given.items() if name in own}
    there = {*values, *found.parameters}
    missing = sorted(p.name for p in flow.parameters if p.default is REQUIRED and names[p.name] not in there)
    problems = [f"{flow.name} has no such parameter: {name!r}" for name in unknown]
    problems += [f"a parameter has no value: {name}" for name in missing]
    if problems:
        near = [hint for name in unknown if (hint := did_you_mean(name, names))]
        known = f"it has: {', '.join(sorted(names))}" if names else "it has none"
        raise UsageError("\n".join(problems), hint=" ".join([*near, *(f"--param {name}=…" for name in missing)]) or known)
    return values


async def watch(client: PrefectClient, flow_run: FlowRun, tell: Callable[[Line], None]) -> FlowRun:
    """Tells the states of a flow run, and the log of it and of all below it, as they come; returns it when it is over."""
    log = _Log(client, flow_run)
    while True:
        run = await client.read_flow_run(flow_run.id)
        over = run.state is not None and run.state.is_final()
        if over:
            await asyncio.sleep(_LAST_LINES)
        for line in await log.news():
            tell(line)
        if over:
            return run
        await asyncio.sleep(_INTERVAL)


class _Log:
    """The states of a flow run, and the log of it and of all below it, read bit by bit."""

    def __init__(self, client: PrefectClient, flow_run: FlowRun) -> None:
        self._client = client
        self._id = flow_run.id
        #: Of the flow runs, and of the task runs that have said something.
        self._names = {flow_run.id: flow_run.name}
        self._flow_runs = [flow_run.id]
        self._states: set[UUID] = set()
        #: By the id of a line, while another of about its time may still come.
        self._seen: dict[UUID, dt.datetime] = {}

    async def news(self) -> Sequence[Line]:
        """What came since the last call, by time."""
        return sorted([*await self._new_states(), *await self._new_lines()], key=lambda line: line.time)

    async def _new_states(self) -> list[Line]:
        new = [s for s in await self._client.read_flow_run_states(self._id) if s.id not in self._states]
        self._states |= {state.id for state in new}
        name = self._names[self._id]
        return [Line(s.timestamp, "state", f"{name}: {s.name}{f': {s.message}' if s.message else ''}") for s in new]

    async def _new_lines(self) -> list[Line]:
        await self._find_subflows()
        new = [log for log in await self._read() if log.id not in self._seen]
        await self._find_names({log.task_run_id for log in new if log.task_run_id} - set(self._names))
        self._seen |= {log.id: log.timestamp for log in new}
        since = self._since()
        self._seen = {key: time for key, time in self._seen.items() if since is None or time >= since}
        return [self._line(log) for log in new]

    def _line(self, log: Log) -> Line:
        source = log.task_run_id or log.flow_run_id
        name = self._names.get(source) if source and source != self._id else None
        return Line(log.timestamp, logging.getLevelName(log.level).lower(), f"{name}: {log.message}" if name else log.message)

    def _since(self) -> dt.datetime | None:
        return max(self._seen.values()) - _LATE if self._seen else None

    async def _find_subflows(self) -> None:
        below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=self._flow_runs))
        runs = await self._client.read_flow_runs(flow_run_filter=below, limit=_PAGE)
        self._names |= {run.id: run.name for run in runs}
        self._flow_runs += sorted({run.id for run in runs} - set(self._flow_runs))

    async def _find_names(self, task_runs: set[UUID]) -> None:
        ids = sorted(task_runs)
        for first in range(0, len(ids), _PAGE):
            where = TaskRunFilter(id=TaskRunFilterId(any_=ids[first : first + _PAGE]))
            self._names |= {run.id: run.name for run in await self._client.read_task_runs(task_run_filter=where, limit=_PAGE)}

    async def _read(self) -> list[Log]:
        where = LogFilter(
            flow_run_id=LogFilterFlowRunId(any_=self._flow_runs), timestamp=LogFilterTimestamp(after_=self._since())
        )
        found: list[Log] = []
        while True:
            page = await self._client.read_logs(where, limit=_PAGE, offset=len(found))
            found += page
            if len(page) < _PAGE:
                return found


async def read(client: PrefectClient, flow_run: UUID) -> tuple[FlowRun, str] | None:
    """A flow run, and the name of its flow; None where there is none."""
    try:
        found = await client.read_flow_run(flow_run)
        return found, (await client.read_flow(found.flow_id)).name
    except ObjectNotFound:
        return None


async def cancel(client: PrefectClient, flow_run: UUID) -> bool:
    """Asks for the end of a flow run that a worker makes; False where nobody but its own process can end it.

    One that has not begun is cancelled at once, else its worker hears of it.
    """
    try:
        found = await client.read_flow_run(flow_run)
    except ObjectNotFound:
        return False
    if found.deployment_id is None:
        return False
    await client.set_flow_run_state(flow_run, Cancelling())
    return True
