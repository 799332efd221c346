"""Runs of an API that is a process of its own: clients that go away, ends in order, `kill -9`."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time

import httpx
import pytest

from tests.api.work import api_process, make_project, until, until_state

pytestmark = pytest.mark.usefixtures("fresh_imports")
BOTH = {"only": ["fetch", "clean"]}


@pytest.fixture
def cli(tmp_path):
    return make_project(tmp_path)


@pytest.fixture
def hold(tmp_path):
    (tmp_path / "hold").touch()
    return tmp_path / "hold"


def client_at(url):
    return httpx.AsyncClient(base_url=url, timeout=30)


async def running(client):
    return (await client.get("/runs", params={"state": "running"})).json()["items"]


async def test_a_run_survives_the_client_that_waits_for_it(cli, hold):
    with api_process(cli) as (_, url):
        async with client_at(url) as client:
            body = json.dumps({**BOTH, "wait": 50})
            head = f"POST /flows/pipeline/run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            with socket.create_connection(("127.0.0.1", httpx.URL(url).port)) as waiting:
                waiting.sendall(f"{head}{body}".encode())
                run = (await until(lambda: running(client)))[0]["id"]
            assert (await client.get(f"/runs/{run}")).json()["state"] == "running"
            hold.unlink()
            assert (await until_state(client, run, "completed", "cancelled", "failed"))["state"] == "completed"


async def test_a_signal_ends_the_api_with_its_runs_recorded_as_cancelled(cli, hold, tmp_path):
    with api_process(cli) as (process, url):
        async with client_at(url) as client:
            ids = [(await client.post("/flows/pipeline/run", json=BOTH)).json()["id"]]
            ids.append((await client.post("/operations/deaf/run", json={})).json()["id"])
            await until(lambda: _exists(tmp_path / "deaf"))
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert await asyncio.to_thread(process.wait, 25) == 0
        assert time.monotonic() - began < 15
    hold.unlink()
    assert [(await asyncio.to_thread(cli.runs_show, run)).state for run in ids] == ["cancelled", "cancelled"]


async def test_an_operation_that_blocks_its_event_loop_does_not_keep_the_api_from_ending(cli, tmp_path):
    with api_process(cli) as (process, url):
        async with client_at(url) as client:
            run = (await client.post("/operations/blocking/run", json={})).json()["id"]
            await until(lambda: _exists(tmp_path / "deaf"))
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 25)
    assert (await asyncio.to_thread(cli.runs_show, run)).state == "cancelled"


async def test_after_a_kill_its_run_shows_as_crashed_and_is_gone_on_with_once(cli, hold, tmp_path):
    with api_process(cli) as (process, url):
        async with client_at(url) as client:
            run = (await client.post("/flows/pipeline/run", json=BOTH, headers={"Idempotency-Key": "k"})).json()["id"]

            async def fetched():
                steps = (await client.get(f"/runs/{run}")).json()["steps"]
                return any(s["operation"] == "fetch" and s["state"] == "completed" for s in steps)

            await until(fetched)
        process.send_signal(signal.SIGKILL)
        process.wait()
    hold.unlink()
    with api_process(cli) as (_, url):
        async with client_at(url) as client:
            assert (await client.get(f"/runs/{run}")).json()["state"] == "crashed"
            again = await client.post("/flows/pipeline/run", json=BOTH, headers={"Idempotency-Key": "k"})
            assert again.json()["id"] == run
            resumed = await client.post(f"/runs/{run}/resume", json={"wait": 20})
            assert resumed.json()["state"] == "completed"
            counted = {
                model: (await client.get(f"/models/{model}/records", params={"count": "exact"})).json()["count"]
                for model in ("Job", "Clean")
            }
    assert counted == {"Job": 3, "Clean": 3}
    assert (tmp_path / "calls").read_text().split() == ["fetch"]


async def _exists(path):
    return path.exists()
