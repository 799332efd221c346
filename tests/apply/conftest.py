"""Deploying to the real server, from this process."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import pytest

from pulpo.apply.change import Plan
from pulpo.apply.prefect import Scope, reconcile
from pulpo.apply.prefect.api import connect
from pulpo.compile.deployment import Deployment
from tests.apply.wanted import ROOT


class Server:
    """A real Prefect, for one project that no other test has."""

    def __init__(self, environment: dict[str, str], project: str) -> None:
        self.environment = environment
        self.url = environment["PREFECT_API_URL"]
        self.project = project

    def deploy(self, wanted: list[Deployment], *, check: bool = False, **said: Any) -> Plan:
        from prefect.settings import PREFECT_API_URL, temporary_settings

        scope = Scope(**{"project": self.project, "environment": None, "root": ROOT, **said})

        async def work() -> Plan:
            async with connect() as api:
                return await reconcile(api, wanted, scope, check=check)

        with temporary_settings({PREFECT_API_URL: self.url}):
            return asyncio.run(work())

    def api(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def deployments(self, *, project: str | None = None) -> dict[str, dict]:
        """By the name of the flow."""
        where = {"tags": {"all_": [f"pulpo.project={project or self.project}"]}}
        flows: dict[str, str] = {}
        found = self.api("POST", "/deployments/filter", {"deployments": where})
        for one in found:
            flows[one["flow_id"]] = self.api("GET", f"/flows/{one['flow_id']}")["name"]
        return {flows[d["flow_id"]]: d for d in found}

    def change(self, flow: str, **fields: Any) -> None:
        """By hand, as somebody does in Prefect's own pages."""
        self.api("PATCH", f"/deployments/{self.deployments()[flow]['id']}", fields)


@pytest.fixture
def server(request, prefect, monkeypatch) -> Server:
    # Prefect reads them when it is imported, which may be now.
    for name in ("PREFECT_HOME", "PREFECT_SERVER_ANALYTICS_ENABLED", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, prefect[name])
    return Server(prefect, f"p{abs(hash(request.node.nodeid)) % 10**9}")
