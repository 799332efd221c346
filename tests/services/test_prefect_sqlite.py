"""A real Prefect server on SQLite, which several clients write to at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import httpx
import pytest

from pulpo.services.prefect_data import DATABASE, data_in
from tests.prefect_server import prefect_server

CLIENTS = 6
SECONDS = 8
#: Of a server that stands still it is 60.
LONGEST = 30


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ((), "sqlite+aiosqlite:////data/prefect.db?plugin=pulpo"),
        (("PREFECT_SERVER_DATABASE_TIMEOUT", "PREFECT_HOME"), "sqlite+aiosqlite:////data/prefect.db?plugin=pulpo"),
        (("PREFECT_SERVER_DATABASE_CONNECTION_URL",), None),
        (("PREFECT_API_DATABASE_CONNECTION_URL",), None),
        (("PREFECT_SERVER_DATABASE_DRIVER", "PREFECT_SERVER_DATABASE_HOST"), None),
    ],
)
def test_the_database_is_the_default_one_unless_somebody_says_which(said, url):
    found = data_in("/data", said)
    assert found["PREFECT_HOME"] == "/data"
    assert found.get(DATABASE) == url


async def test_it_goes_on_when_statements_fail_because_another_client_writes(tmp_path):
    answers: Counter[int] = Counter()
    longest = 0.0

    async def ask(http: httpx.AsyncClient, path: str, body: dict) -> dict:
        nonlocal longest
        while True:  # as Prefect's own client
            began = time.monotonic()
            try:
                answer = await http.post(path, json=body)
            except (httpx.ReadError, httpx.RemoteProtocolError):
                continue  # it ends the connection after a 503, which the next request on it may not know yet
            finally:
                longest = max(longest, time.monotonic() - began)
            answers[answer.status_code] += 1
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer.raise_for_status().json()
            await asyncio.sleep(0.05)

    async def write(http: httpx.AsyncClient, flow: str, until: float) -> None:
        while time.monotonic() < until:
            run = (await ask(http, "/flow_runs/", {"flow_id": flow}))["id"]
            for state in ("RUNNING", "COMPLETED"):
                await ask(http, f"/flow_runs/{run}/set_state", {"state": {"type": state}})

    with prefect_server(tmp_path) as environment:
        async with httpx.AsyncClient(base_url=environment["PREFECT_API_URL"], timeout=2 * LONGEST + 10) as http:
            flow = (await ask(http, "/flows/", {"name": "written"}))["id"]
            until = time.monotonic() + SECONDS
            await asyncio.gather(*(write(http, flow, until) for _ in range(CLIENTS)))
    assert answers[httpx.codes.SERVICE_UNAVAILABLE], "no statement failed"
    assert longest < LONGEST
