"""Flows that the API queues on a real Prefect server, where no worker takes them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import socket

import httpx
import pytest

from pulpo.cli.app import CLI
from tests.api.work import api_process, make_project, until, until_state
from tests.prefect_server import Shell

pytestmark = pytest.mark.usefixtures("fresh_imports")


async def test_a_flow_is_queued_once_shown_and_cancelled(tmp_path, prefect):
    cli, shell = make_project(tmp_path), Shell(tmp_path, prefect)
    with api_process(cli, prefect) as (_, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            key, body = {"Idempotency-Key": "q"}, {"engine": "prefect", "parameters": {"limit": 2}}
            early = await client.post("/flows/fetch/run", json={"engine": "prefect"}, headers=key)
            assert (early.status_code, "not deployed" in early.text) == (409, True)
            shell("prefect", "deploy")
            wrong = await client.post("/flows/fetch/run", json={**body, "parameters": {"limits": 2}}, headers=key)
            assert (wrong.status_code, "limits" in wrong.text) == (422, True)
            answers = [await client.post("/flows/fetch/run", json=body, headers=key) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [202, 202], answers[0].text
            run = answers[0].json()["id"]
            assert answers[1].json()["id"] == run
            assert answers[0].headers["Location"] == f"/runs/{run}"
            shown = (await client.get(f"/runs/{run}")).json()
            assert (shown["flow"], shown["state"], shown["engine"], shown["flow_run"]) == ("fetch", "pending", "prefect", run)
            assert (await client.get(f"/runs/{run}/logs")).json() == {"items": [], "next": None}
            (there,) = shell.flow_runs(flow_runs={"id": {"any_": [run]}})
            assert there["parameters"]["limit"] == 2
            assert (await client.post(f"/runs/{run}/cancel")).status_code == 202
            await until_state(client, run, "cancelled")
            assert (await client.get("/runs/00000000-0000-4000-8000-000000000000")).status_code == 404
            assert (await client.get("/runs/00000000-0000-4000-8000-000000000000/logs")).status_code == 404


async def test_what_is_queued_is_listed_while_it_is_and_waited_for(tmp_path, prefect):
    cli, shell = make_project(tmp_path), Shell(tmp_path, prefect)
    shell("prefect", "deploy")
    with api_process(cli, prefect) as (_, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:

            async def listed(**params):
                items = (await client.get("/runs", params=params)).json()["items"]
                return [(one["id"], one["flow"], one["state"], one["engine"], one["started"]) for one in items]

            done = (await client.post("/flows/fetch/run", json={"wait": 20})).json()
            early = await client.post("/flows/fetch/run", json={"engine": "prefect", "wait": 0.5})
            assert (early.status_code, early.json()["state"]) == (202, "pending")
            run = early.json()["id"]
            await later(shell, run)
            waiting, begun = (
                (run, "fetch", "pending", "prefect", None),
                (done["id"], "fetch", "completed", "inline", done["started"]),
            )
            assert await listed() == [waiting, begun]
            assert await listed(limit=1, state="pending", flow="fetch", operation="fetch") == [waiting]
            assert await listed(flow="clean") == await listed(operation="clean") == []
            assert await listed(state="completed") == await listed(since="2026-01-31") == [begun]
            waited = asyncio.create_task(client.post("/flows/clean/run", json={"engine": "prefect", "wait": 50}))
            (other,) = await until(lambda: listed(flow="clean"))
            assert (await client.post(f"/runs/{other[0]}/cancel")).status_code == 202
            over = await waited
            assert (over.status_code, over.json()["id"], over.json()["state"]) == (200, other[0], "cancelled")
            assert await listed() == [waiting, begun]


async def later(shell: Shell, run: str) -> None:
    """The same flow run once more, tomorrow, as a schedule makes it."""
    (there,) = shell.flow_runs(flow_runs={"id": {"any_": [run]}})
    tomorrow = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": tomorrow}}
    async with httpx.AsyncClient(timeout=60) as client:
        place = f"{shell.environment['PREFECT_API_URL']}/deployments/{there['deployment_id']}/create_flow_run"
        assert (await client.post(place, json={"state": state})).status_code == 201


def listen_on(cli: CLI, port: str) -> None:
    """Have the project's own server on a port, as `ports` has it."""
    text = cli.project.lock_path.read_text()
    changed = re.sub(r"(  prefect:\n    ports: ).*\n", rf'\1["{port}"]\n', text)
    assert changed != text
    cli.project.lock_path.write_text(changed)


async def test_the_project_s_own_server_is_asked_on_the_port_that_was_chosen(tmp_path, prefect):
    """As a run that is not in the history: without a server that is configured it would not be looked for there."""
    cli, shell = make_project(tmp_path), Shell(tmp_path, prefect)
    port = int(re.search(r":(\d+)/", prefect["PREFECT_API_URL"])[1])
    listen_on(cli, "auto")
    ports = cli.project.cache / "services" / "ports.json"
    ports.parent.mkdir(parents=True)
    ports.write_text(json.dumps({"prefect": port}))
    shell("prefect", "deploy")
    with api_process(cli, {name: value for name, value in prefect.items() if name != "PREFECT_API_URL"}) as (_, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            answer = await client.post("/flows/fetch/run", json={"engine": "prefect", "parameters": {"limit": 2}})
            assert answer.status_code == 202, answer.text
            run = answer.json()["id"]
            assert (await client.get(f"/runs/{run}")).json()["state"] == "pending"
            assert (await client.post(f"/runs/{run}/cancel")).status_code == 202
            ports.write_text("{}")
            assert (await client.get("/runs/00000000-0000-4000-8000-000000000000")).status_code == 404


async def test_without_a_server_nothing_is_queued(tmp_path):
    cli = make_project(tmp_path)
    with socket.socket() as silent:  # bound all the while, so that nobody else's server gets the port
        silent.bind(("127.0.0.1", 0))
        listen_on(cli, f"{silent.getsockname()[1]}:4200")
        with api_process(cli) as (_, url):
            async with httpx.AsyncClient(base_url=url, timeout=60) as client:
                answer = await client.post("/flows/fetch/run", json={"engine": "prefect"})
                assert (answer.status_code, "can't be reached" in answer.text) == (422, True)


def test_lines_are_kept_on_prefect_as_inline(tmp_path, prefect):
    make_project(tmp_path)
    shell = Shell(tmp_path, prefect)
    for engine in ("inline", "prefect"):
        assert shell.run("pipeline", "--only", "fetch", "--only", "clean", "--engine", engine)["state"] == "completed"
        lines = shell("runs", "logs")[0].splitlines()
        assert [line.split(" ", 2)[2] for line in lines] == ["info     fetch  fetching 3", "warning  clean  cleaning 3"]


async def test_the_next_times_of_an_interval_count_from_when_it_was_deployed(tmp_path, prefect):
    cli, shell = make_project(tmp_path), Shell(tmp_path, prefect)
    text = cli.project.lock_path.read_text()
    cli.project.lock_path.write_text(f"{text}flows:\n  fetch: {{schedule: {{interval: 5400}}}}\n")
    shell("prefect", "deploy")
    named = {"flows": {"name": {"any_": ["fetch"]}}, "deployments": {"name": {"any_": [cli.manifest().project.name]}}}
    with api_process(cli, prefect) as (_, url):
        async with httpx.AsyncClient(timeout=60) as client:
            (deployment,) = (await client.post(f"{prefect['PREFECT_API_URL']}/deployments/filter", json=named)).json()
            answer = await client.get(f"{url}/flows/fetch")
            assert answer.status_code == 200, answer.text
            times = [dt.datetime.fromisoformat(at) for at in answer.json()["next"]]
            listed = {flow["name"]: flow["next"] for flow in (await client.get(f"{url}/flows")).json()["items"]}
    anchor = dt.datetime.fromisoformat(deployment["schedules"][0]["schedule"]["anchor_date"])
    assert len(times) == 5
    assert all((time - anchor) % dt.timedelta(seconds=5400) == dt.timedelta(0) for time in times)
    assert [dt.datetime.fromisoformat(at) for at in listed.pop("fetch")] == times
    assert not any(listed.values())
