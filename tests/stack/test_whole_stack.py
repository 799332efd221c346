"""The whole stack of an example, as processes and as containers: database, Prefect's server, a worker, the API and the UI."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator

import pytest

from tests.docker_engine import docker_engine  # noqa: F401 - a fixture
from tests.stack.whole_stack import SERVICES, Containers, Processes, WholeStack, free, until

MODES = [
    pytest.param(Processes, id="local", marks=pytest.mark.xdist_group("stack of processes")),
    pytest.param(Containers, id="docker", marks=pytest.mark.docker),
]


@pytest.fixture(scope="module", params=MODES)
def brought_up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    """The stack, brought up from nothing."""
    if request.param is Containers:
        request.getfixturevalue("docker_engine")
    stack: WholeStack = request.param(tmp_path_factory.mktemp("stack") / "jobs")
    try:
        stack.pulpo("up")
        yield stack
    finally:
        stack.end()
    assert stack.left() == []


@pytest.fixture
def jobs(brought_up: WholeStack) -> WholeStack:
    """All of it up, whatever the test before did."""
    brought_up.pulpo("up")
    return brought_up


@pytest.fixture(scope="module")
def run(brought_up: WholeStack) -> str:
    """What was told while the worker ran the pipeline."""
    assert "6 created" in brought_up.pulpo("prefect", "deploy")[0]
    return "\n".join(brought_up.pulpo("prefect", "run", "pipeline", "--watch"))


def test_every_service_is_up_and_says_where(jobs: WholeStack):
    found = json.loads(jobs.pulpo("status", "--format", "json")[0])
    assert found["ok"] is True
    assert {service["name"]: service["state"] for service in found["services"]} == dict.fromkeys(SERVICES, "running")
    assert sorted(jobs.addresses()) == ["api", "db", "prefect", "ui"]
    assert json.loads(jobs.page("api", "/health/ready"))["status"] == "ok"


def test_prefects_pages_are_there_and_ask_where_a_browser_finds_its_api(jobs: WholeStack):
    assert "<html" in jobs.page("prefect", "/")
    assert json.loads(jobs.page("prefect", "/ui-settings"))["api_url"] == f"http://{jobs.addresses()['prefect']}/api"


def test_the_uis_pages_are_there_and_show_what_the_api_has(jobs: WholeStack):
    assert jobs.page("ui", "/health") == "ok\n"
    assert "CleanedJobs" in jobs.page("ui", "/models")
    assert "event: ready" in jobs.beginning("ui", "/events")


def test_the_workers_run_is_read_back_through_the_api_and_by_the_commands(jobs: WholeStack, run: str):
    assert "Completed: 5 operations" in run
    listed = json.loads(jobs.pulpo("runs", "list", "--format", "json")[0])
    assert [(found["flow"], found["state"], found["engine"]) for found in listed] == [("pipeline", "completed", "prefect")]
    assert listed[0]["id"] in run
    exported = [json.loads(line) for line in jobs.pulpo("db", "export")[0].splitlines()]
    for model, boards in (("RawJobs", ["linkedin", "stepstone"]), ("CleanedJobs", ["all", "linkedin", "stepstone"])):
        assert sorted(record["board"] for record in jobs.records(model)) == boards
        assert sorted(record["board"] for record in exported if record["_model"] == model) == boards
    assert {record["_run"] for record in exported} == {listed[0]["id"]}


@pytest.mark.usefixtures("run")
def test_logs_have_what_each_of_them_said(jobs: WholeStack):
    lines = [json.loads(line) for line in jobs.pulpo("logs", "--format", "json")[0].splitlines()]
    assert {line["service"] for line in lines} == set(SERVICES)
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    last = jobs.pulpo("logs", "worker", "--tail", "1")[0]
    assert "Completed('5 operations" in last
    assert last.count("\n") == 1


def test_a_second_up_changes_nothing_and_says_so(jobs: WholeStack):
    before = jobs.identities()
    told = jobs.pulpo("up")[1]
    assert "everything is up already" in told
    assert jobs.identities() == before


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("service", ["db", "api", "ui"])
def test_one_that_is_killed_comes_back_and_the_others_go_on(jobs: WholeStack, service: str):
    before = jobs.identities()
    jobs.kill(service)
    until(lambda: (found := jobs.status()[service])["state"] == "running" and found["restarts"] == 1)
    until(lambda: _answers(jobs))
    after = jobs.identities()
    assert [name for name in SERVICES if after[name] != before[name]] == [service]


@pytest.mark.usefixtures("run")
def test_down_leaves_nothing_but_the_data_which_the_next_up_has_unless_it_goes_too(jobs: WholeStack):
    found, addresses, data = jobs.records("RawJobs"), jobs.addresses(), jobs.data()
    assert found
    jobs.pulpo("down")
    assert jobs.left() == []
    assert all(map(free, addresses.values()))
    assert jobs.data() == data

    told = jobs.pulpo("up", "api")[1]
    assert "building" not in told  # the image is there
    assert jobs.states()["prefect"] not in ("running", "starting")
    assert {name: jobs.addresses()[name] for name in ("api", "db")} == {name: addresses[name] for name in ("api", "db")}
    assert jobs.records("RawJobs") == found

    jobs.pulpo("down", "--volumes", "--yes")
    assert jobs.left() == []
    assert jobs.data() == []


def _answers(jobs: WholeStack) -> bool:
    try:
        return bool(jobs.records("RawJobs"))
    except (OSError, urllib.error.HTTPError):
        return False
