"""A MongoDB that runs of the command line, of two APIs and of a Prefect worker share."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import httpx

from pulpo.store.mongo import MongoStore
from tests.locks import with_services
from tests.ports import free_port
from tests.run.prefect.test_worker import a_project, end, wait_until, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.prefect_server import Shell


@contextlib.contextmanager
def serving(shell: Shell) -> Iterator[httpx.Client]:
    """A client of an API of the project, in a process of its own."""
    port = free_port()
    process = shell.start("-m", "pulpo", "api", "serve", PULPO_API_PORT=str(port))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until(lambda: process.poll() is not None or is_ready(client), "the API is ready")
            assert process.poll() is None, process.communicate()
            yield client
    finally:
        end(process)


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def see_each_other(one: httpx.Client, other: httpx.Client) -> None:
    """What is done at one API is there at the other: a record, a run of its own process, and one that the worker makes."""
    made = one.post("/models/Item/records", json={"n": 100, "word": "new"})
    assert made.status_code == 201, made.text
    place, known = made.headers["Location"], {"If-Match": made.headers["ETag"]}
    assert other.get(place).json() == made.json()
    assert other.patch(place, json={"word": "changed"}, headers=known).status_code == 200
    assert one.patch(place, json={"word": "lost"}, headers=known).status_code == 412
    assert one.get(place).json()["word"] == "changed"
    body, key = {"parameters": {"word": "b"}}, {"Idempotency-Key": "the same"}
    run = ran(one, body, key)
    assert ran(other, body, key) == run
    queued = ran(one, {**body, "engine": "prefect"}, {})
    wait_until(lambda: is_over(other, run) and is_over(other, queued), "both runs are over")


def ran(client: httpx.Client, body: dict, headers: dict[str, str]) -> str:
    """The id of the run that an API is asked for."""
    answer = client.post("/flows/store/run", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def is_over(client: httpx.Client, run: str) -> bool:
    """Whether an API says of a run, by its own id or by Prefect's, that it is completed."""
    (found,) = [one for one in client.get("/runs").json()["items"] if run in (one["id"], one["flow_run"])] or [
        {"state": "pending"}
    ]
    assert found["state"] in ("pending", "running", "completed"), found
    return found["state"] == "completed"


async def test_two_apis_two_runs_and_a_worker_at_once_share_the_records_and_the_history(tmp_path, prefect, mongo_url, database):
    environment = {**prefect, "MONGO_URL": f"{mongo_url}/{database}"}
    shell = a_project(tmp_path / "store", environment, "store")
    with_services(shell.directory / "pulpo.lock.yaml", db='{uri: "${MONGO_URL}", driver: pymongo}')

    def work():
        shell("prefect", "deploy")
        with working(shell, "store-process"), serving(shell) as one, serving(shell) as other:
            asked = shell.start("-m", "pulpo", "prefect", "run", "store", "--param", "word=a", "--watch", "--format", "json")
            runs = [shell.start("-m", "pulpo", "run", "store", "--param", "word=a", "--format", "json") for _ in range(2)]
            see_each_other(one, other)
            ended = [json.loads(process.communicate(timeout=120)[0]) for process in (asked, *runs)]
            assert one.get("/runs").json() == other.get("/runs").json()
        return ended, json.loads(shell("runs", "--format", "json")[0])

    (asked, *runs), history = await asyncio.to_thread(work)
    assert asked["state"] == "Completed"
    assert [run["state"] for run in runs] == ["completed"] * 2
    assert sorted(run["engine"] for run in history) == ["inline", "inline", "inline", "prefect", "prefect"]
    assert {run["state"] for run in history} == {"completed"}
    assert not (shell.directory / "run_cache" / "store.db").exists()
    async with MongoStore(f"{mongo_url}/{database}", database="x", driver="pymongo") as store:
        assert await store.database["item"].count_documents({}) == 4
        assert await store.database["price"].count_documents({}) == 15
