"""Runs over HTTP, in this process: starting, waiting, listing, cancelling, resuming, keys, logs."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import socket
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from pulpo.api.app import create_app
from pulpo.api.settings import Settings
from pulpo.run.record import RUNS, SILENCE, STEPS, Process, RunRecord, State, StepRecord, step_id
from pulpo.store.base import Record
from pulpo.store.values import now
from tests.api.conftest import client_of
from tests.api.work import make_project, store_of, until, until_state

pytestmark = pytest.mark.usefixtures("fresh_imports")


@pytest.fixture
def cli(tmp_path):
    return make_project(tmp_path)


def app_of(cli, **settings):
    manifest, document = cli._lock()
    return create_app(manifest, store_of(cli), settings=Settings(**settings), document=document, project=cli.project)


@pytest.fixture
async def client(cli):
    async with client_of(app_of(cli)) as client:
        yield client


@pytest.fixture
def hold(tmp_path):
    (tmp_path / "hold").touch()
    return tmp_path / "hold"


def calls(root):
    path = root / "calls"
    return path.read_text().split() if path.exists() else []


async def test_a_run_is_accepted_and_found_at_its_location(client):
    answer = await client.post("/flows/pipeline/run", json={"only": ["fetch", "clean"], "parameters": {"limit": 2}})
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/runs/{answer.json()['id']}"
    run = await until_state(client, answer.json()["id"], "completed")
    assert run["parameters"] == {"limit": 2}
    assert run["selection"] == ["clean", "fetch"]
    assert {s["operation"]: (s["state"], s["outputs"]) for s in run["steps"]} == {
        "clean": ("completed", [2]),
        "fetch": ("completed", [2]),
    }
    records = (await client.get("/models/Job/records", params={"_run": run["id"]})).json()["items"]
    fetch = next(s for s in run["steps"] if s["operation"] == "fetch")
    assert sorted(r["_id"] for r in records) == sorted(fetch["ids"][0])


async def test_a_password_in_a_parameter_is_not_shown(cli, client):
    given = {"fetch.limit": 2, "source": {"of": ["mongodb://app:hunter2@db.example/jobs"]}}
    run = RunRecord("20261122-083000-0000000", "fetch", State.FAILED, now(), parameters=given, operations=("fetch",), root="x")
    async with store_of(cli) as store:
        await store.upsert_many(RUNS, [Record(run.id, run.data(), run=run.id)])
    shown = (await client.get(f"/runs/{run.id}")).json()["parameters"]
    assert shown == {"fetch.limit": 2, "source": {"of": ["mongodb://app:***@db.example/jobs"]}}


async def test_all_ids_of_an_output_come_in_pages_whatever_later_runs_made_again(client):
    made = {"parameters": {"limit": 12_000}, "wait": 20}
    run, _ = [(await client.post("/operations/fetch/run", json=made)).json() for _ in range(2)]
    assert run["steps"][0]["outputs"] == [12_000]
    assert (await client.get("/models/Job/records", params={"_run": run["id"]})).json()["items"] == []  # the later run's by now
    place, pages, cursor = f"/runs/{run['id']}/outputs/fetch", [], {}
    while cursor is not None:
        page = (await client.get(place, params={"limit": 7_000, **cursor})).json()
        pages.append(page["items"])
        cursor = {"cursor": page["next"]} if page["next"] else None
    assert [len(page) for page in pages] == [7_000, 5_000]
    assert len({one for page in pages for one in page}) == 12_000
    assert pages[0][:100] == run["steps"][0]["ids"][0]
    (last,) = (await client.get("/models/Job/records", params={"url": "u11999"})).json()["items"]
    assert pages[1][-1] == last["_id"]
    for path, status in (
        (f"{place}?output=1", 422),
        (f"{place}?cursor=x", 400),
        (f"/runs/{run['id']}/outputs/fetsh", 404),
        ("/runs/20261122-083000-0000000/outputs/fetch", 404),
    ):
        assert (await client.get(path)).status_code == status


async def test_waiting_for_the_end_answers_with_the_ended_run(client):
    answer = await client.post("/operations/fetch/run", json={"wait": 20})
    assert (answer.status_code, answer.json()["state"]) == (200, "completed")
    failed = await client.post("/operations/broken/run", json={"wait": 20})
    assert (failed.status_code, failed.json()["state"]) == (200, "failed")
    assert "no luck" in failed.json()["error"]


async def test_waiting_in_vain_answers_with_the_run_as_it_is(client, hold):
    answer = await client.post("/flows/pipeline/run", json={"only": ["fetch", "clean"], "wait": 0.2})
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    hold.unlink()
    await until_state(client, answer.json()["id"], "completed")


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/flows/pipelin/run", {}, 404, "pipelin"),
        ("/operations/fetsh/run", {}, 404, "fetsh"),
        ("/operations/fetch/run", {"parameters": {"limits": 1}}, 422, "limits"),
        ("/operations/fetch/run", {"parameters": {"limit": "many"}}, 422, "limit"),
        ("/operations/fetch/run", {"wait": "5"}, 422, "wait"),
        ("/operations/fetch/run", {"waits": 5}, 422, "waits"),
        ("/operations/clean/run", {"inputs": {"Jop": "latest"}}, 422, "Jop"),
        ("/operations/clean/run", {"inputs": {"Job": "@/etc/passwd"}}, 422, "inputs"),
        ("/operations/clean/run", {}, 422, "Job"),
        ("/operations/fetch/run", {"select": ["x"]}, 422, "select"),
        ("/flows/pipeline/run", {"engine": "prefect", "only": ["fetch"]}, 422, "whole flow"),
        ("/runs/20261122-083000-0000000/resume", {}, 404, "no such run"),
        ("/runs/20261122-083000-0000000/cancel", {}, 404, "no such run"),
    ],
)
async def test_what_cant_start_says_why_and_leaves_no_run(client, path, body, status, said):
    answer = await client.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert said in answer.text
    assert (await client.get("/runs")).json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("path", "body", "places"),
    [
        ("/operations/clean/run", {"inputs": {"Job": "x"}}, ["inputs.Job"]),
        ("/operations/clean/run", {"inputs": {"Job": {}}}, ["inputs.Job"]),
        ("/operations/clean/run", {"inputs": {"Job": [{"url": "u"}, 5]}}, ["inputs.Job.1"]),
        (
            "/operations/clean/run",
            {"inputs": {"Job": [{"url": 5}, {}], "Jop": "latest"}},
            ["inputs.Job.0.url", "inputs.Job.1.url", "inputs.Jop"],
        ),
        ("/flows/pipeline/run", {"parameters": {"nope": 1, "lmit": 2, "limit": 3}}, ["parameters.lmit", "parameters.nope"]),
        ("/flows/pipeline/run", {"parameters": {"limit": "x", "seconds": "y"}}, ["parameters.limit", "parameters.seconds"]),
        ("/flows/pipeline/run", {"parameters": {"limit": 1, "fetch.limit": "x"}}, ["parameters.fetch.limit"]),
    ],
)
async def test_all_that_is_wrong_with_what_a_run_is_given_is_told_at_its_place(client, path, body, places):
    answer = await client.post(path, json=body)
    assert answer.status_code == 422
    assert sorted(".".join(map(str, fault["loc"])) for fault in answer.json()["errors"]) == [f"body.{one}" for one in places]
    assert (await client.get("/runs")).json()["items"] == []


@pytest.mark.parametrize("text", ['{"parameters": {"limit": NaN}}', '{"parameters": {"limit": "\\ud800"}}'])
async def test_values_that_json_can_t_say_are_refused(client, text):
    answer = await client.post("/operations/fetch/run", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("text", [b"{", b"[" * 100_000, b'{"parameters": {"limit": ' + b"9" * 5000 + b"}}", b'{"\xff": 1}'])
async def test_a_body_that_is_no_json_is_told(client, text):
    answer = await client.post("/operations/fetch/run", content=text, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "the body is not JSON")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"])
async def test_a_body_in_another_form_is_not_read(client, kind):
    answer = await client.post("/operations/fetch/run", content=b"{}", headers={"Content-Type": kind})
    assert (answer.status_code, answer.headers["Accept"]) == (415, "application/json")
    assert (await client.get("/runs")).json()["items"] == []


async def test_records_can_be_given_in_the_request(client):
    answer = await client.post("/operations/clean/run", json={"inputs": {"Job": [{"url": "mine"}]}, "wait": 20})
    assert answer.json()["state"] == "completed", answer.text
    assert [r["url"] for r in (await client.get("/models/Clean/records")).json()["items"]] == ["mine"]


async def test_runs_are_paged_newest_first_and_filtered(client):
    names = ("fetch", "broken", "fetch", "fetch")
    ids = [(await client.post(f"/operations/{name}/run", json={"wait": 20})).json()["id"] for name in names]
    first = (await client.get("/runs", params={"limit": 3})).json()
    second = (await client.get("/runs", params={"limit": 3, "cursor": first["next"]})).json()
    assert [run["id"] for run in first["items"] + second["items"]] == sorted(ids, reverse=True)
    assert second["next"] is None
    only = (await client.get("/runs", params={"flow": "fetch", "limit": 1})).json()
    assert [run["flow"] for run in only["items"]] == ["fetch"]
    assert only["next"] is not None
    assert [r["id"] for r in (await client.get("/runs", params={"state": "failed"})).json()["items"]] == [ids[1]]
    assert (await client.get("/runs", params={"cursor": "nonsense"})).status_code == 400
    assert (await client.get("/runs", params={"state": "odd"})).status_code == 422


async def test_several_runs_go_on_at_once_and_one_too_many_is_refused(cli, hold):
    app = app_of(cli, runs=2)
    async with client_of(app) as client:
        body = {"only": ["fetch", "clean"]}
        both = await asyncio.gather(*(client.post("/flows/pipeline/run", json=body) for _ in range(2)))
        assert [answer.status_code for answer in both] == [202, 202]
        refused = await client.post("/flows/pipeline/run", json=body)
        assert refused.status_code == 429
        assert "Retry-After" in refused.headers
        hold.unlink()
        for answer in both:
            await until_state(client, answer.json()["id"], "completed")
        assert (await client.post("/flows/pipeline/run", json=body)).status_code == 202


async def test_a_blocking_operation_stops_no_request(client, tmp_path):
    answer = await client.post("/operations/blocking/run", json={"parameters": {"seconds": 1.5}})
    await until(lambda: _exists(tmp_path / "deaf"))
    began = asyncio.get_running_loop().time()
    assert (await client.get("/models")).status_code == 200
    assert asyncio.get_running_loop().time() - began < 0.5
    await until_state(client, answer.json()["id"], "completed")


async def _exists(path):
    return path.exists()


# ----------------------------------------------------------------------------------------------------------------- keys


async def test_the_same_key_is_the_same_run(client, tmp_path):
    headers, body = {"Idempotency-Key": "k1"}, {"parameters": {"limit": 1}}
    answers = [await client.post("/operations/fetch/run", json=body, headers=headers) for _ in range(3)]
    assert len({answer.json()["id"] for answer in answers}) == 1
    await until_state(client, answers[0].json()["id"], "completed")
    assert calls(tmp_path) == ["fetch"]
    other = await client.post("/operations/fetch/run", json={"parameters": {"limit": 2}}, headers=headers)
    assert other.status_code == 422
    elsewhere = await client.post("/flows/pipeline/run", json=body, headers=headers)
    assert elsewhere.status_code == 422


async def test_a_key_at_once_from_many_clients_starts_one_run(client, tmp_path):
    send = lambda: client.post("/operations/fetch/run", json={}, headers={"Idempotency-Key": "k"})  # noqa: E731
    answers = await asyncio.gather(*(send() for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    ids = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert len(ids) == 1
    await until_state(client, ids.pop(), "completed")
    assert calls(tmp_path) == ["fetch"]


async def test_a_key_holds_after_a_restart(cli, tmp_path):
    ids = []
    for _ in range(2):
        async with client_of(app_of(cli)) as client:
            answer = await client.post("/operations/fetch/run", json={"wait": 20}, headers={"Idempotency-Key": "k"})
            ids.append(answer.json()["id"])
    assert ids[0] == ids[1]
    assert calls(tmp_path) == ["fetch"]


async def test_a_key_whose_run_could_not_start_is_free_again(client):
    headers = {"Idempotency-Key": "k"}
    assert (await client.post("/operations/fetch/run", json={"parameters": {"x": 1}}, headers=headers)).status_code == 422
    assert (await client.post("/operations/fetch/run", json={}, headers=headers)).status_code == 202


async def test_a_key_is_taken_over_from_a_process_that_died_before_it_started_the_run(cli, client):
    headers = {"Idempotency-Key": "k"}
    first = await client.post("/operations/fetch/run", json={"wait": 20}, headers=headers)
    async with store_of(cli) as store:
        assert await store.delete(RUNS, first.json()["id"])
        again = await client.post("/operations/fetch/run", json={"wait": 20}, headers=headers)
        assert again.status_code == 409  # its process is alive: it may be about to start it
        from pulpo.run.record import REQUESTS

        (claim,) = (await store.find(REQUESTS)).items
        await store.patch(REQUESTS, claim.id, {"process": {"host": socket.gethostname(), "pid": 1, "created": 0.0}})
    again = await client.post("/operations/fetch/run", json={"wait": 20}, headers=headers)
    assert again.json()["state"] == "completed"
    assert again.json()["id"] != first.json()["id"]


# ---------------------------------------------------------------------------------------------- cancelling and resuming


async def test_a_cancelled_run_is_resumed_without_doing_anything_twice(client, hold, tmp_path):
    answer = await client.post("/flows/pipeline/run", json={"only": ["fetch", "clean"]})
    run = answer.json()["id"]
    await until(lambda: _step_is(client, run, "fetch", "completed"))
    assert (await client.post(f"/runs/{run}/resume", json={})).status_code == 409
    assert (await client.post(f"/runs/{run}/cancel")).status_code == 202
    cancelled = await until_state(client, run, "cancelled")
    assert {s["operation"]: s["state"] for s in cancelled["steps"]} == {"fetch": "completed", "clean": "cancelled"}
    assert (await client.post(f"/runs/{run}/cancel")).status_code == 409
    hold.unlink()
    resumed = await client.post(f"/runs/{run}/resume", json={"wait": 20})
    assert (resumed.status_code, resumed.json()["state"], resumed.json()["resumed_from"]) == (200, "completed", run)
    assert {s["operation"]: s["state"] for s in resumed.json()["steps"]} == {"fetch": "reused", "clean": "completed"}
    assert calls(tmp_path) == ["fetch"]
    assert (await client.get("/models/Clean/records", params={"count": "exact"})).json()["count"] == 3


async def _step_is(client, run, operation, state):
    steps = (await client.get(f"/runs/{run}")).json()["steps"]
    return any(s["operation"] == operation and s["state"] == state for s in steps)


async def test_the_end_of_the_app_cancels_its_runs_even_deaf_ones(cli, hold, tmp_path):
    async with client_of(app_of(cli)) as client:
        held = (await client.post("/flows/pipeline/run", json={"only": ["fetch", "clean"]})).json()["id"]
        deaf = (await client.post("/operations/deaf/run", json={})).json()["id"]
        await until(lambda: _exists(tmp_path / "deaf"))
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 8
    hold.unlink()
    async with client_of(app_of(cli)) as client:
        for run in (held, deaf):
            assert (await client.get(f"/runs/{run}")).json()["state"] == "cancelled"
        assert (await client.post(f"/runs/{held}/resume", json={"wait": 20})).json()["state"] == "completed"


async def test_another_api_on_the_store_cancels_a_run_and_does_not_end_its_process(cli, client, hold):
    run = (await client.post("/flows/pipeline/run", json={"only": ["fetch", "clean"]})).json()["id"]
    async with client_of(app_of(cli)) as other:
        assert (await other.post(f"/runs/{run}/cancel")).status_code == 202
        await until_state(other, run, "cancelled")


async def test_a_run_of_another_api_is_waited_for_under_its_key(cli, client, hold):
    asked = {"headers": {"Idempotency-Key": "k"}, "json": {"only": ["fetch", "clean"], "wait": 20}}
    first = asyncio.create_task(client.post("/flows/pipeline/run", **asked))
    async with client_of(app_of(cli)) as other:

        async def running():
            return (await other.get("/runs", params={"state": "running"})).json()["items"]

        await until(running)
        second = asyncio.create_task(other.post("/flows/pipeline/run", **asked))
        done, _ = await asyncio.wait({second}, timeout=0.5)
        assert not done
        hold.unlink()
        answers = [await first, await second]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {(answer.json()["id"], answer.json()["state"]) for answer in answers} == {(answers[0].json()["id"], "completed")}


async def test_a_run_of_a_command_is_interrupted(cli, client, hold):
    command = [
        sys.executable,
        "-m",
        "pulpo",
        "--project",
        str(cli.project.root),
        "run",
        "pipeline",
        "--only",
        "fetch",
        "--only",
        "clean",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # noqa: ASYNC220
    try:

        async def running():
            return (await client.get("/runs", params={"state": "running"})).json()["items"]

        run = (await until(running))[0]
        assert run["process"]["pid"] == process.pid
        assert (await client.post(f"/runs/{run['id']}/cancel")).status_code == 202
        await until_state(client, run["id"], "cancelled")
        assert await asyncio.to_thread(process.wait, 20) == 130
    finally:
        process.kill()
        process.communicate()


def foreign(run: str, process: Process, silent: dt.timedelta = dt.timedelta()) -> RunRecord:
    began = now() - silent
    return RunRecord(run, "fetch", State.RUNNING, began, operations=("fetch",), process=process, seen=began, root=run)


@pytest.mark.parametrize(
    ("process", "state", "said"),
    [
        (Process("elsewhere", 12, 1.0), "running", "process 12 on elsewhere"),
        (Process(socket.gethostname(), 1, 1.0), "crashed", "it is crashed"),
    ],
)
async def test_a_process_that_is_not_that_of_the_run_is_left_alone(cli, client, process, state, said):
    run = foreign("20261122-083000-0000000", process)
    step = StepRecord("fetch", "shop:fetch", State.RUNNING, now())
    async with store_of(cli) as store:
        await store.upsert_many(RUNS, [Record(run.id, run.data(), run=run.id)])
        await store.upsert_many(STEPS, [Record(step_id(run.id, "fetch"), step.data(run.id), run=run.id)])
    told = (await client.get(f"/runs/{run.id}")).json()
    last = (await client.get("/operations/fetch")).json()["last_run"]
    assert [one["state"] for one in (told, *told["steps"], last)] == [state] * 3
    answer = await client.post(f"/runs/{run.id}/cancel")
    assert answer.status_code == 409
    assert said in answer.text
    listed = (await client.get("/runs", params={"state": state})).json()["items"]
    assert [one["id"] for one in listed] == [run.id]


async def test_a_run_of_a_container_that_is_gone_is_crashed_and_gone_on_with(cli, client):
    run = replace(foreign("20261122-083000-0000000", Process("elsewhere", 1, 1.0), SILENCE), served=True)
    async with store_of(cli) as store:
        await store.upsert_many(RUNS, [Record(run.id, run.data(), run=run.id)])
    assert [one["state"] for one in (await client.get("/runs")).json()["items"]] == ["crashed"]
    refused = await client.post(f"/runs/{run.id}/cancel")
    assert (refused.status_code, refused.json()["hint"]) == (409, "it can be resumed")
    resumed = await client.post(f"/runs/{run.id}/resume", json={"wait": 20})
    assert (resumed.status_code, resumed.json()["state"]) == (200, "completed")


async def test_the_api_does_not_interrupt_itself(cli, client):
    mine = Process(socket.gethostname(), os.getpid(), psutil.Process().create_time())
    run = foreign("20261122-083000-0000000", mine)
    async with store_of(cli) as store:
        await store.upsert_many(RUNS, [Record(run.id, run.data(), run=run.id)])
    assert (await client.post(f"/runs/{run.id}/cancel")).status_code == 409


# ----------------------------------------------------------------------------------------------------------------- logs


async def test_the_log_of_a_run_is_read_by_level_operation_and_page(client):
    answer = await client.post("/flows/pipeline/run", json={"only": ["fetch", "clean"], "wait": 20})
    logs = f"/runs/{answer.json()['id']}/logs"
    items = (await client.get(logs)).json()["items"]
    assert [(i["number"], i["operation"], i["level"], i["logger"], i["message"]) for i in items] == [
        (0, "fetch", "info", "jobs.operations", "fetching 3"),
        (1, "clean", "warning", "jobs.operations", "cleaning 3"),
    ]
    assert [i["operation"] for i in (await client.get(logs, params={"level": "warning"})).json()["items"]] == ["clean"]
    assert [i["operation"] for i in (await client.get(logs, params={"operation": "fetch"})).json()["items"]] == ["fetch"]
    page = (await client.get(logs, params={"limit": 1})).json()
    rest = (await client.get(logs, params={"limit": 1, "cursor": page["next"]})).json()
    assert [i["number"] for i in page["items"] + rest["items"]] == [0, 1]
    assert rest["next"] is None
    assert (await client.get("/runs/20261122-083000-0000000/logs")).status_code == 404
    for cursor in ("x", "-1", "9" * 5000):
        assert (await client.get(logs, params={"cursor": cursor})).status_code == 400


async def test_a_run_outlives_the_request_that_asked_for_it(cli, hold):
    app = app_of(cli)
    async with client_of(app) as client:
        asking = asyncio.create_task(client.post("/flows/pipeline/run", json={"only": ["fetch", "clean"], "wait": 20}))

        async def running():
            return (await client.get("/runs", params={"state": "running"})).json()["items"]

        run = (await until(running))[0]["id"]
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        hold.unlink()
        assert (await until_state(client, run, "completed", "cancelled"))["state"] == "completed"
