"""Deployments on a real Prefect server: made, left alone, brought back, taken away."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulpo.compile.deployment import Schedule, WorkPool
from pulpo.errors import ApplyError
from tests.apply.wanted import DAILY, deployment

SCHEMA = {
    "title": "Parameters",
    "type": "object",
    "properties": {"keywords": {"type": "string", "title": "keywords", "position": 0, "default": "x"}},
}


def full(project: str, flow: str = "scraping", **fields: Any):
    said = {
        "description": "All boards.",
        "tags": ("nightly",),
        "parameters": {"keywords": "python"},
        "parameter_schema": SCHEMA,
        "schedule": DAILY,
        "concurrency": 2,
        "collision_strategy": "cancel_new",
        "job_variables": {"env": {"TOKEN": "t"}},
    }
    return deployment(flow, project=project, **{**said, **fields})


def test_what_is_deployed_is_there_and_a_second_time_nothing_is_written(server):
    wanted = [full(server.project), deployment("pipeline", project=server.project, schedule=Schedule(interval=90))]
    applied = server.deploy(wanted)
    assert [change.address for change in applied.changes] == [
        f"work_pool:{server.project}-process",
        f"deployment:pipeline/{server.project}",
        f"deployment:scraping/{server.project}",
    ]
    before = server.deployments()
    found = before["scraping"]
    assert (found["description"], found["parameters"], found["enforce_parameter_schema"]) == (
        "All boards.",
        {"keywords": "python"},
        True,
    )
    assert found["tags"] == ["nightly", f"pulpo.project={server.project}"]
    assert found["global_concurrency_limit"]["limit"] == 2
    assert found["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert found["job_variables"] == {"env": {"TOKEN": "t"}}
    assert found["schedules"][0]["schedule"] == {"cron": "0 6 * * *", "timezone": "Europe/Berlin", "day_or": True}
    pool = server.api("GET", f"/work_pools/{server.project}-process")
    assert {"env", "command"} <= set(pool["base_job_template"]["variables"]["properties"])
    assert server.deploy(wanted).changes == ()
    assert server.deployments() == before  # with the times of their last change
    assert server.api("GET", f"/work_pools/{server.project}-process") == pool


BY_HAND = {
    "version": "mine",
    "description": "mine",
    "tags": "more",
    "parameters": {"keywords": "rust"},
    "parameter_openapi_schema": {"type": "object", "properties": {}},
    "enforce_parameter_schema": False,
    "entrypoint": "mine.py:mine",
    "path": "/mine",
    "pull_steps": None,
    "job_variables": {},
    "concurrency_limit": None,
    "concurrency_options": {"collision_strategy": "ENQUEUE"},
    "work_queue_name": "fast",
    "work_pool_name": "elsewhere",
}


def test_each_field_that_is_changed_by_hand_shows_and_comes_back(server):
    wanted = [full(server.project)]
    server.deploy(wanted)
    server.api("POST", "/work_pools/", {"name": f"{server.project}-elsewhere", "type": "process", "base_job_template": {}})
    pool = f"{server.project}-process"
    for field, value in BY_HAND.items():
        given = {field: value}
        if field == "tags":
            given = {field: ["more", f"pulpo.project={server.project}"]}
        elif field == "work_queue_name":
            given |= {"work_pool_name": pool}
        elif field == "work_pool_name":
            given = {field: f"{server.project}-elsewhere"}
        before = server.deployments()["scraping"]
        server.change("scraping", **given)
        assert server.deployments()["scraping"] != before, field
        applied = server.deploy(wanted)
        (change,) = applied.changes
        assert change.drift is (field != "version"), field
        assert {diff.name.split(".")[0] for diff in change.fields} == {field}, field
        after = server.deployments()["scraping"]
        ignored = {"updated", "work_queue_id", "global_concurrency_limit"}
        assert {k: v for k, v in after.items() if k not in ignored} == {k: v for k, v in before.items() if k not in ignored}, (
            field
        )
        assert after["global_concurrency_limit"]["limit"] == 2
        assert server.deploy(wanted, check=True).changes == (), field


SCHEDULE_BY_HAND = {
    "cron": {"schedule": {"cron": "1 1 * * *", "timezone": "Europe/Berlin"}},
    "timezone": {"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}},
    "day_or": {"schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin", "day_or": False}},
    "parameters": {"parameters": {"keywords": "rust"}},
    "max_scheduled_runs": {"max_scheduled_runs": 3},
}


def test_a_schedule_that_is_changed_by_hand_comes_back_with_its_id(server):
    wanted = [full(server.project)]
    server.deploy(wanted)
    for field, given in SCHEDULE_BY_HAND.items():
        found = server.deployments()["scraping"]
        (before,) = found["schedules"]
        server.api("PATCH", f"/deployments/{found['id']}/schedules/{before['id']}", given)
        (change,) = server.deploy(wanted).changes
        assert [diff.name for diff in change.fields] == [f"schedule.{field}" + (".keywords" if field == "parameters" else "")]
        assert change.drift
        (after,) = server.deployments()["scraping"]["schedules"]
        assert (after["schedule"], after["active"], after["parameters"]) == (before["schedule"], True, {})
        # Prefect can't be told that there is no such limit: that schedule is made anew.
        assert (after["id"] == before["id"]) is (field != "max_scheduled_runs")


def test_another_schedule_in_the_manifest_keeps_the_schedules_id(server):
    kinds = [DAILY, replace(DAILY, cron="0 7 * * *"), Schedule(interval=3600), Schedule(interval=60), Schedule(rrule="FREQ=DAILY"), Schedule(cron="@hourly", timezone="Asia/Tokyo")]  # fmt: skip
    ids = set()
    for kind in kinds:
        wanted = [deployment("scraping", project=server.project, schedule=kind)]
        assert len(server.deploy(wanted).changes) in (1, 2)
        assert server.deploy(wanted).changes == ()
        (schedule,) = server.deployments()["scraping"]["schedules"]
        ids.add(schedule["id"])
    assert len(ids) == 1
    server.deploy([deployment("scraping", project=server.project)])
    assert server.deployments()["scraping"]["schedules"] == []


def test_a_pause_by_hand_stays_until_the_manifest_says_otherwise(server):
    wanted = full(server.project)
    server.deploy([wanted])
    found = server.deployments()["scraping"]
    server.api("PATCH", f"/deployments/{found['id']}/schedules/{found['schedules'][0]['id']}", {"active": False})
    server.api("POST", f"/deployments/{found['id']}/pause_deployment")
    applied = server.deploy([wanted])
    assert applied.changes == ()
    assert len(applied.notes) == 2
    server.deploy([full(server.project, description="other", schedule=replace(DAILY, cron="0 9 * * *"))])
    found = server.deployments()["scraping"]
    assert (found["paused"], found["schedules"][0]["active"], found["schedules"][0]["schedule"]["cron"]) == (
        True,
        False,
        "0 9 * * *",
    )
    for paused in (False, True):
        wanted = full(server.project, schedule=replace(DAILY, paused=paused))
        server.deploy([wanted])
        found = server.deployments()["scraping"]
        assert (found["paused"], found["schedules"][0]["active"]) == (False, not paused)
        assert server.deploy([wanted]).changes == ()


def test_a_flow_that_left_the_manifest_goes_and_nobody_elses_does(server):
    other = f"{server.project}x"
    server.deploy([deployment(flow, project=other) for flow in ("a", "b")], project=other)
    server.deploy([deployment("a", project=server.project, environment="prod")], environment="prod")
    server.deploy([deployment(flow, project=server.project) for flow in ("a", "b")])
    theirs = server.deployments(project=other)
    applied = server.deploy([deployment("a", project=server.project)])
    assert [str(change) for change in applied.changes] == [f"- deployment:b/{server.project}  left the manifest"]
    where = {"tags": {"all_": [f"pulpo.project={server.project}"]}}
    left = server.api("POST", "/deployments/filter", {"deployments": where})
    assert sorted(d["name"] for d in left) == [server.project, f"{server.project}.prod"]
    assert server.deployments(project=other) == theirs


def test_the_same_full_name_of_somebody_elses_is_an_error(server):
    flow = server.api("POST", "/flows/", {"name": "scraping"})
    server.api("POST", "/deployments/", {"name": server.project, "flow_id": flow["id"], "tags": ["mine"]})
    with pytest.raises(ApplyError, match=f"not this project's: scraping/{server.project}"):
        server.deploy([deployment("other", project=server.project), full(server.project)])
    assert server.deployments() == {}


def test_a_work_pool_is_used_as_it_is_and_must_be_of_the_type(server):
    name = f"{server.project}-mine"
    server.api("POST", "/work_pools/", {"name": name, "type": "docker", "base_job_template": {}})
    before = server.api("GET", f"/work_pools/{name}")
    server.deploy([full(server.project, work_pool=WorkPool(name, "docker"), work_queue="fast")])
    assert server.deployments()["scraping"]["work_queue_name"] == "fast"
    server.deploy([full(server.project, work_pool=WorkPool(name, "docker"))])
    assert server.deployments()["scraping"]["work_queue_name"] == "default"
    assert server.api("GET", f"/work_pools/{name}") == before
    with pytest.raises(ApplyError, match=f"{name} is docker, not process"):
        server.deploy([full(server.project, work_pool=WorkPool(name, "process"))])


def test_what_prefect_refuses_is_said_with_the_deployment(server):
    wanted = [full(server.project, parameters={"keywords": 3}), deployment("other", project=server.project)]
    server.deploy([replace(d, parameters={}) for d in wanted])
    with pytest.raises(ApplyError, match=f"(?s)1 of 2 changes.*deployment:scraping/{server.project}: .*keywords|3 is not"):
        server.deploy([replace(wanted[0], version="new"), replace(wanted[1], version="new")])
    assert server.deployments()["other"]["version"] == "new"


def test_a_hundred_deployments(server):
    wanted = [deployment(f"f{i}", project=server.project, schedule=DAILY) for i in range(100)]
    started = time.monotonic()
    assert len(server.deploy(wanted).changes) == 101
    print(f"{time.monotonic() - started:.1f} s")
    assert server.deploy(wanted).changes == ()
    # More than a page of Prefect's.
    wanted += [deployment(f"g{i}", project=server.project) for i in range(120)]
    assert len(server.deploy(wanted).changes) == 120
    assert server.deploy(wanted).changes == ()
    assert len(server.deploy(wanted[:1]).changes) == 219


SCRIPT = """
    import asyncio, sys
    from tests.apply.wanted import DAILY, ROOT, deployment
    from pulpo.apply.prefect import Scope, reconcile
    from pulpo.apply.prefect.api import connect

    project, count = sys.argv[1], int(sys.argv[2])
    wanted = [deployment(f"k{i}", project=project, schedule=DAILY, version="1") for i in range(count)]

    def made(change):
        print(change.address, flush=True)

    print("ready", flush=True)
    sys.stdin.readline()

    async def work():
        async with connect() as api:
            await reconcile(api, wanted, Scope(project, None, ROOT), on_change=made)

    asyncio.run(work())
"""


def start(server, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), server.project, str(count)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env={**server.environment, "PYTHONPATH": str(Path.cwd())}, text=True, **pipes)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def as_wanted(server, count: int) -> bool:
    wanted = [deployment(f"k{i}", project=server.project, schedule=DAILY, version="1") for i in range(count)]
    nothing_left = server.deploy(wanted).changes == ()
    return nothing_left and all(len(d["schedules"]) == 1 for d in server.deployments().values())


def test_two_deploys_at_the_same_time_leave_what_one_leaves(server):
    both = [start(server, 20) for _ in range(2)]
    for process in both:
        go(process)
    for process in both:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert as_wanted(server, 20)


@pytest.mark.parametrize("heard", [1, 8])
def test_a_deploy_that_was_killed_is_finished_by_the_next(server, heard):
    process = start(server, 10)
    go(process)
    assert process.stdout is not None
    for _ in range(heard):
        assert process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    process = start(server, 10)
    go(process)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out
    assert as_wanted(server, 10)


def test_a_server_that_is_not_there_is_said(server):
    server.url = "http://user:secret@127.0.0.1:9/api"
    with pytest.raises(ApplyError) as error:
        server.deploy([full(server.project)])
    assert "did not answer: http://127.0.0.1:9/api" in error.value.message
    assert "secret" not in json.dumps([error.value.message, error.value.hint])
