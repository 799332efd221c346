"""What is in Prefect of a project, read in a handful of requests whatever the number of flows."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

from pulpo.apply.prefect.state import LiveDeployment, LiveSchedule, LiveVariable, Observed
from pulpo.apply.prefect.wire import live_fields, project_tag
from pulpo.errors import ApplyError
from pulpo.store.values import now

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pulpo.apply.prefect.api import Api
    from pulpo.compile.deployment import Deployment

#: How many names or ids one filter has; an answer then needs no second page at Prefect's limit of 200.
_CHUNK = 100
_TRIES = 10
#: Types of states of flow runs that are not over.
_UNDER_WAY = ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING"]


async def observe(api: Api, desired: Sequence[Deployment], *, project: str, variables: Sequence[str] | None = None) -> Observed:
    """All deployments that carry the project's tag, or a desired deployment's name; the desired flows, and work pools.

    Args:
        api: The server's.
        desired: All deployments of the manifest.
        project: Its name.
        variables: The names of those of the manifest, which are asked for with all of the project's; None asks for none.

    Raises:
        ApplyError: Other programs change Prefect faster than it can be read, or it can't be reached.
    """
    names = sorted({d.name for d in desired})
    deployments, flows, pools, found = await asyncio.gather(
        _deployments(api, project, names),
        _flows(api, "name", {d.flow for d in desired}),
        _pools(api, {d.work_pool.name for d in desired}),
        _variables(api, project, variables),
    )
    # Those that left the manifest.
    flows |= await _flows(api, "id", {d["flow_id"] for d in deployments} - set(flows.values()))
    default_queues = frozenset(pool["default_queue_id"] for pool in pools)
    flow_names = {flow_id: name for name, flow_id in flows.items()}
    return Observed(
        tuple(
            sorted(
                # A flow that was deleted since has taken its deployments with it.
                (_deployment(d, flow_names[d["flow_id"]], default_queues) for d in deployments if d["flow_id"] in flow_names),
                key=lambda d: d.full_name,
            )
        ),
        {pool["name"]: pool["type"] for pool in pools},
        flows,
        found,
    )


async def anchors(api: Api, deployments: Collection[str]) -> dict[str, dt.datetime]:
    """What the intervals of deployments count from, by the deployments' full names; without those that have none.

    Raises:
        ApplyError: As for `observe`.
    """
    names = [name.partition("/")[::2] for name in deployments]
    flows = await _flows(api, "name", {flow for flow, _ in names})
    where = {
        "deployments": {"name": {"any_": sorted({own for _, own in names})}},
        "flows": {"id": {"any_": sorted(flows.values())}},
    }
    flow_names = {flow_id: name for name, flow_id in flows.items()}
    return {
        f"{flow_names[found['flow_id']]}/{found['name']}": dt.datetime.fromisoformat(schedule["schedule"]["anchor_date"])
        for found in await _all_pages(api, "/deployments/paginate", where)
        for schedule in found["schedules"]
        if schedule["schedule"].get("anchor_date")
    }


async def under_way(api: Api, name: str, flows: Collection[str]) -> list[tuple[str, dict[str, Any]]]:
    """The flow runs of the flows' deployments of this name that are due or go on, the latest first, each after its flow's name.

    What a schedule has in store for later is not among them.

    Raises:
        ApplyError: As for `observe`.
    """
    names = {flow_id: flow for flow, flow_id in (await _flows(api, "name", flows)).items()}
    where = {
        "deployments": {"name": {"any_": [name]}},
        "flows": {"id": {"any_": sorted(names)}},
        "flow_runs": {"state": {"type": {"any_": _UNDER_WAY}}, "expected_start_time": {"before_": now().isoformat()}},
    }
    query = {**where, "sort": "EXPECTED_START_TIME_DESC", "limit": _CHUNK}
    return [(names[run["flow_id"]], run) for run in await api.request("POST", "/flow_runs/filter", query)]


async def _deployments(api: Api, project: str, names: Sequence[str]) -> list[dict[str, Any]]:
    where = {"operator": "or_", "tags": {"all_": [project_tag(project)]}, "name": {"any_": list(names)}}
    return await _all_pages(api, "/deployments/paginate", {"deployments": where, "sort": "CREATED_DESC"})


async def _flows(api: Api, key: str, values: Collection[str]) -> dict[str, str]:
    """The ids of flows by name."""
    chunks = [
        await _all_pages(api, "/flows/paginate", {"flows": {key: {"any_": list(chunk)}}}) for chunk in _chunks(sorted(values))
    ]
    return {flow["name"]: flow["id"] for chunk in chunks for flow in chunk}


async def _pools(api: Api, names: Collection[str]) -> list[dict[str, Any]]:
    chunks = [
        await api.request("POST", "/work_pools/filter", {"work_pools": {"name": {"any_": list(chunk)}}})
        for chunk in _chunks(sorted(names))
    ]
    return [pool for chunk in chunks for pool in chunk]


async def _variables(api: Api, project: str, names: Sequence[str] | None) -> tuple[LiveVariable, ...]:
    if names is None:
        return ()
    queries = [{"tags": {"all_": [project_tag(project)]}}, *({"name": {"any_": list(chunk)}} for chunk in _chunks(sorted(names)))]
    found = {item["id"]: item for query in queries for item in await _all_of(api, "/variables/filter", {"variables": query})}
    return tuple(
        LiveVariable(item["id"], item["name"], item["value"], tuple(item["tags"]), str(item["updated"]))
        for item in sorted(found.values(), key=lambda item: str(item["name"]))
    )


async def _all_of(api: Api, path: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a filter without a count gives, which is sorted by name: one that changes meanwhile is seen by the next plan."""
    found: list[dict[str, Any]] = []
    while True:
        items = await api.request("POST", path, {**query, "limit": _CHUNK, "offset": len(found)})
        found += items
        if len(items) < _CHUNK:
            return found


async def _all_pages(api: Api, path: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What all pages hold, each thing once.

    Pages are cut anew with each request: where somebody adds or removes something meanwhile, one thing may be on two pages and
    another on none. So they are read again until there are as many as Prefect counts.
    """
    for _ in range(_TRIES):
        found: dict[str, dict[str, Any]] = {}
        page, pages, count = 0, 1, 0
        while page < pages:
            page += 1
            answer = await api.request("POST", path, {**query, "page": page})
            pages, count = answer["pages"], answer["count"]
            found |= {item["id"]: item for item in answer["results"]}
        if len(found) == count:
            return list(found.values())
    raise ApplyError("Prefect was changed while it was read, time and again", hint="run it again when the others are done")


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[i : i + _CHUNK] for i in range(0, len(values), _CHUNK))


def _deployment(data: Mapping[str, Any], flow: str, default_queues: frozenset[str]) -> LiveDeployment:
    return LiveDeployment(
        data["id"],
        flow,
        data["name"],
        live_fields(data, default_queues),
        tuple(data["tags"]),
        bool(data["paused"]),
        tuple(map(_schedule, data["schedules"])),
    )


def _schedule(data: Mapping[str, Any]) -> LiveSchedule:
    return LiveSchedule(
        data["id"],
        data.get("slug"),
        data["active"],
        data["schedule"],
        data.get("parameters") or {},
        data.get("max_scheduled_runs"),
    )
