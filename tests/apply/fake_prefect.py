"""A Prefect in memory that answers as the real server does, and refuses what it refuses."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

from pulpo.apply.prefect.api import RefusedError
from pulpo.errors import ApplyError

LIMIT = 7  # of a page: small, so that tests have several


class FakePrefect:
    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.flows: dict[str, str] = {}
        self.pools: dict[str, dict] = {}
        self.deployments: dict[str, dict] = {}
        self.variables: dict[str, dict] = {}
        self.writes: list[tuple[str, str]] = []
        #: How many writing requests go through before the line breaks.
        self.fuse: int | None = None

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        body = json.loads(json.dumps(body))  # nothing but JSON crosses the line
        writes = method != "GET" and not path.endswith(("/paginate", "/filter"))
        if writes:
            if self.fuse is not None and len(self.writes) >= self.fuse:
                raise ApplyError("the line broke")
            self.writes.append((method, path))
        return copy.deepcopy(self._route(method, path.strip("/").split("/"), body))

    def _route(self, method: str, parts: list[str], body: Any) -> Any:
        match method, parts:
            case "POST", ["deployments", "paginate"]:
                where = body["deployments"]
                assert where["operator"] == "or_"
                found = [
                    d
                    for d in self.deployments.values()
                    if set(where["tags"]["all_"]) <= set(d["tags"]) or d["name"] in where["name"]["any_"]
                ]
                return _page(found[::-1], body["page"])
            case "POST", ["flows", "paginate"]:
                ((key, values),) = body["flows"].items()
                flows = [{"id": i, "name": n} for n, i in self.flows.items()]
                return _page([f for f in flows if f[key] in values["any_"]], body["page"])
            case "POST", ["work_pools", "filter"]:
                return [p for p in self.pools.values() if p["name"] in body["work_pools"]["name"]["any_"]]
            case "POST", ["flows"]:
                return {"id": self.flows.setdefault(body["name"], self.new_id())}
            case "POST", ["work_pools"]:
                if body["name"] in self.pools:
                    raise RefusedError(409, "already exists")
                return self.pools.setdefault(body["name"], {**body, "default_queue_id": self.new_id()})
            case "GET", ["work_pools", name]:
                return self.pools[name]
            case "POST", ["deployments"]:
                return self._create(body)
            case _, ["variables", *rest]:
                return self._variable(method, rest, body)
            case _, ["deployments", i, *rest]:
                if i not in self.deployments:
                    raise RefusedError(404, "Deployment not found.")
                return self._deployment(method, self.deployments[i], rest, body)
        raise AssertionError((method, parts))

    def _variable(self, method: str, rest: list[str], body: Any) -> Any:
        match method, rest:
            case "POST", ["filter"]:
                ((key, values),) = body["variables"].items()
                named = sorted(self.variables.values(), key=lambda v: v["name"])
                if key == "tags":
                    found = [v for v in named if set(values["all_"]) <= set(v["tags"])]
                else:
                    found = [v for v in named if v["name"] in values["any_"]]
                return found[body["offset"] : body["offset"] + body["limit"]]
            case "POST", []:
                if any(v["name"] == body["name"] for v in self.variables.values()):
                    raise RefusedError(409, "A variable with the name already exists.")
                made = {"id": self.new_id(), "updated": "2026-01-01T00:00:00Z", **body}
                return self.variables.setdefault(made["id"], made)
            case "PATCH", [i]:
                self.variables[i] |= body
            case "DELETE", [i]:
                if i not in self.variables:
                    raise RefusedError(404, "Variable not found.")
                del self.variables[i]
            case _:
                raise AssertionError((method, rest))
        return None

    def _deployment(self, method: str, deployment: dict, rest: list[str], body: Any) -> Any:
        schedules = deployment["schedules"]
        match method, rest:
            case "PATCH", []:
                if "work_pool_name" in body:
                    self._judge(body["work_pool_name"], body.get("job_variables", {}))
                self._set(deployment, body)
            case "DELETE", []:
                del self.deployments[deployment["id"]]
            case "GET", ["schedules"]:
                return schedules
            case "POST", ["schedules"]:
                if {s["slug"] for s in body} & {s["slug"] for s in schedules}:
                    raise RefusedError(500, "UNIQUE constraint failed")
                schedules += map(self._schedule, body)
            case "PATCH", ["schedules", i]:
                found = self._find(schedules, i)
                # As the server does: null is not said.
                found |= {key: value for key, value in body.items() if value is not None}
                found["schedule"] = _normal(found["schedule"])
            case "DELETE", ["schedules", i]:
                schedules.remove(self._find(schedules, i))
            case _:
                raise AssertionError((method, rest))
        return None

    def _find(self, schedules: list[dict], i: str) -> dict:
        for schedule in schedules:
            if schedule["id"] == i:
                return schedule
        raise RefusedError(404, "Schedule not found.")

    def _create(self, body: dict) -> dict:
        assert body["flow_id"] in self.flows.values()
        if any((d["flow_id"], d["name"]) == (body["flow_id"], body["name"]) for d in self.deployments.values()):
            raise AssertionError("create_deployment on one that is there: that replaces it")
        self._judge(body["work_pool_name"], body.get("job_variables", {}))
        deployment = {
            "id": self.new_id(),
            "name": body["name"],
            "flow_id": body["flow_id"],
            "paused": False,
            "schedules": [],
            "version": None,
            "description": None,
            "tags": [],
            "parameters": {},
            "path": None,
            "pull_steps": None,
            "parameter_openapi_schema": {"type": "object", "properties": {}},
            "enforce_parameter_schema": False,
            "entrypoint": None,
            "job_variables": {},
            "global_concurrency_limit": None,
            "concurrency_options": None,
        }
        self._set(deployment, {key: value for key, value in body.items() if key not in ("name", "flow_id", "schedules")})
        deployment["schedules"] = [self._schedule(s) for s in body.get("schedules", ())]
        self.deployments[deployment["id"]] = deployment
        return deployment

    def _judge(self, pool: str, variables: dict) -> None:
        if pool not in self.pools:
            raise RefusedError(404, f'Work pool "{pool}" not found.')
        if "refuse" in variables:
            raise RefusedError(409, f"Error creating deployment: {variables['refuse']!r}")

    def _set(self, deployment: dict, body: dict) -> None:
        body = dict(body)
        if "concurrency_limit" in body:
            limit = body.pop("concurrency_limit")
            deployment["global_concurrency_limit"] = None if limit is None else {"limit": limit}
        if body.get("concurrency_options"):
            body["concurrency_options"] = {"grace_period_seconds": None, **body["concurrency_options"]}
        if pool := body.get("work_pool_name"):
            queue = body.get("work_queue_name")
            body["work_queue_name"] = queue or "default"
            body["work_queue_id"] = f"{pool}/{queue}" if queue else self.pools[pool]["default_queue_id"]
        deployment |= body

    def _schedule(self, body: dict) -> dict:
        return {
            "id": self.new_id(),
            "parameters": {},
            "max_scheduled_runs": None,
            "active": True,
            "slug": None,
            **body,
            "schedule": _normal(body["schedule"]),
        }

    def new_id(self) -> str:
        return f"id{next(self._ids)}"


def _normal(schedule: dict) -> dict:
    if "interval" in schedule:
        return {"anchor_date": "2026-01-01T00:00:00Z", **schedule, "interval": float(schedule["interval"])}
    return {"day_or": True, **schedule} if "cron" in schedule else schedule


def _page(found: list[dict], page: int) -> dict:
    pages = -(-len(found) // LIMIT)
    return {
        "results": found[(page - 1) * LIMIT : page * LIMIT],
        "count": len(found),
        "limit": LIMIT,
        "pages": pages,
        "page": page,
    }
