"""What is asked of runs, steps and logs, and what flows say of their schedules."""

from __future__ import annotations

import datetime as dt

import pytest

from pulpo.run.logs import LoggedLine
from pulpo.run.record import LOGS, RUNS, RunRecord, State
from pulpo.store.base import Record
from tests.api.conftest import client_of
from tests.api.test_runs import app_of
from tests.api.work import make_project, store_of, until_state

pytestmark = pytest.mark.usefixtures("fresh_imports")
DAY = dt.datetime(2026, 1, 31, 6, tzinfo=dt.UTC)
SCHEDULES = """flows:
  pipeline: {schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}}
  fetch: {schedule: {interval: 60}}
  clean: {schedule: {rrule: FREQ=DAILY, paused: true}}
"""


@pytest.fixture
def cli(tmp_path):
    made = make_project(tmp_path)
    lock = made.project.lock_path
    lock.write_text(lock.read_text().replace("services:\n", f"{SCHEDULES}services:\n", 1))
    return made


@pytest.fixture
async def client(cli):
    async with client_of(app_of(cli)) as client:
        yield client


@pytest.fixture
async def history(cli, client):
    """Three runs, an hour apart, the middle one with lines."""
    runs = [
        RunRecord(
            f"20260131-0{hour}0000-000abcd", "pipeline", State.COMPLETED, DAY + dt.timedelta(hours=hour - 6), operations=parts
        )
        for hour, parts in ((6, ("fetch",)), (7, ("fetch", "clean")), (8, ("clean",)))
    ]
    lines = [LoggedLine(runs[1].id, n, "fetch", DAY, "info" if n % 2 else "error", "jobs", f"line {n}") for n in range(10)]
    async with store_of(cli) as store:
        await store.upsert_many(RUNS, [Record(run.id, run.data(), run=run.id) for run in runs])
        await store.upsert_many(LOGS, [line.record() for line in lines])
    return [run.id for run in runs]


async def ids(client, query):
    return [run["id"] for run in (await client.get(f"/runs?{query}")).json()["items"]]


async def test_runs_are_asked_for_by_operation_and_by_when_they_began(client, history):
    first, second, third = history
    assert await ids(client, "operation=fetch") == [second, first]
    assert await ids(client, "operation=nothing") == []
    assert await ids(client, "since=2026-01-31T07:00:00Z") == [third, second]
    assert await ids(client, "since=2026-01-31T08:00:00%2B01:00") == [third, second]
    assert await ids(client, "since=2026-01-31T07:00:00.001") == [third]
    assert await ids(client, "operation=clean&since=2026-01-31&limit=1") == [third]


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-12:00", "0300-01-01"])
async def test_any_time_can_be_asked_for(client, history, since):
    assert await ids(client, f"since={since}") == ([] if since.startswith("9") else history[::-1])


async def test_the_last_lines_of_a_log_are_asked_for(client, history):
    async def lines(query):
        answer = (await client.get(f"/runs/{history[1]}/logs?{query}")).json()
        return [line["number"] for line in answer["items"]], answer["next"]

    assert await lines("last=true&limit=3") == ([7, 8, 9], None)
    assert await lines("last=true&limit=3&level=error") == ([4, 6, 8], None)
    assert await lines("limit=3") == ([0, 1, 2], "2")
    assert await lines("cursor=7") == ([8, 9], None)


async def test_a_step_says_what_it_failed_on(client):
    answer = await client.post("/operations/clean/run", json={"inputs": {"Job": [{"url": "a"}]}, "wait": 20})
    assert [step["culprits"] for step in answer.json()["steps"]] == [[]]


async def test_operations_and_flows_say_how_they_fared_last(client, history):
    run = (await client.post("/operations/broken/run")).json()["id"]
    await until_state(client, run, "failed")
    operations = {one["name"]: one["last_run"] for one in (await client.get("/operations?last=true")).json()["items"]}
    assert (operations["broken"]["run"], operations["broken"]["state"]) == (run, "failed")
    assert operations["fetch"]["run"] == history[1]
    assert operations["deaf"] is None
    flows = {one["name"]: one["last_run"] for one in (await client.get("/flows?last=true")).json()["items"]}
    assert flows["pipeline"]["run"] == history[2]
    assert (await client.get("/flows/pipeline")).json()["last_run"]["run"] == history[2]
    assert {one["last_run"] for one in (await client.get("/operations")).json()["items"]} == {None}


async def test_flows_say_when_they_run_next_and_what_they_take(client):
    flows = {one["name"]: one for one in (await client.get("/flows")).json()["items"]}
    times = [dt.datetime.fromisoformat(at) for at in flows["pipeline"]["next"]]
    assert len(times) == 5
    assert times == sorted(times)
    assert {at.hour for at in times} == {6}
    assert min(times) > dt.datetime.now(dt.UTC)
    assert flows["fetch"]["next"] == flows["clean"]["next"] == flows["broken"]["next"] == []
    pipeline = (await client.get("/flows/pipeline")).json()
    assert pipeline["inputs"] == [{"model": "Job", "arguments": ["clean.job"], "outside": False}]
    assert (await client.get("/flows/clean")).json()["inputs"][0]["outside"] is True
