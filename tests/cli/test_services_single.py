"""`pulpo prefect`, `db` and `api` as services: started, stopped and read one by one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pulpo.api.settings import read_settings
from pulpo.cli.app import CLI
from pulpo.errors import UsageError
from pulpo.services.state import Status
from tests.cli.toys import BROKEN, Toys

PREFECT = """
  prefect: {command: [python, server.py], ports: ["PORT"], probe: {http: /api/health}}
  db: {engine: embedded}
"""
ELSEWHERE = """
  prefect: {uri: "https://prefect.example.org/api"}
  db: {uri: "mongodb://db.example.org"}
  api: {enabled: false}
"""


@pytest.fixture
def toys(tmp_path):
    found = Toys(tmp_path)
    yield found
    found.end()


def test_one_service_starts_and_stops(toys):
    toys.lock(PREFECT)
    started = toys("prefect", "start")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", started.out)
    assert started.err == "starting Prefect's server\n"
    again = toys("prefect", "start")
    assert again.out == started.out
    assert re.fullmatch(r"Prefect's server is running since [\d-]+ [\d:]+ \(process \d+\)\n", again.err)
    assert toys("prefect", "logs").out == "at your service \n"
    before = toys.services.state("prefect").pid
    restarted = json.loads(toys("prefect", "restart", "--format", "json").out)
    assert (restarted["new"], restarted["state"], restarted["url"]) == (True, "running", started.out.strip())
    assert restarted["pid"] != before
    assert toys("prefect", "stop").err == "Prefect's server is stopped\n"
    assert toys("prefect", "stop").err == "Prefect's server is not running\n"
    assert toys.services.state("prefect").status is Status.STOPPED


def test_what_is_changed_in_the_lock_is_told_and_left_alone(toys):
    toys.lock(PREFECT)
    toys("prefect", "start")
    lock = toys.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("[python, server.py]", "[python, server.py, anew]"))
    before = toys.services.state("prefect").pid
    assert toys("prefect", "start").err.endswith("its settings are others by now; it takes them with: pulpo prefect restart\n")
    assert toys.services.state("prefect").pid == before


def test_a_mode_that_somebody_chose_is_said(toys):
    toys.lock(PREFECT)
    assert toys("db", "start").err == "the database is embedded, a file in run_cache: nothing runs\n"
    assert toys("db", "start", "--mode", "local").err.startswith("mode: local (--mode)\n")


def test_an_embedded_database_has_nothing_to_start(toys):
    toys.lock(PREFECT)
    state = CLI(toys.directory).db_start()
    assert (state.state, state.new, state.pid) == ("embedded", False, None)
    for command, said in (("restart", "embedded"), ("stop", "is not running"), ("logs", "")):
        done = toys("db", command)
        assert said in done.err
    assert toys.services.names() == []


def test_what_somebody_else_runs_is_neither_started_nor_stopped(toys):
    toys.lock(ELSEWHERE)
    started = toys("prefect", "start")
    assert (started.out, started.err) == (
        "https://prefect.example.org/api\n",
        "Prefect's server is run by somebody else: nothing is started\n",
    )
    assert toys("db", "stop").err == "the database is not running\n"


def test_a_service_that_is_disabled_is_not_started(toys):
    toys.lock(ELSEWHERE)
    for command in ("start", "stop", "logs"):
        done = toys("api", command, code=2)
        assert "error: the service is not part of the project: api\n  hint: take out services.api.enabled: false" in done.err


@pytest.mark.parametrize("how", ["unknown key", "wrong setting", "no YAML", "no file"])
def test_what_runs_is_stopped_and_read_alone_whatever_the_lock_is(toys, how):
    (toys.directory / "pyproject.toml").write_text("[tool.pulpo]\nname = 'toys'\n")
    toys.lock(PREFECT)
    toys("prefect", "start")
    lock = toys.directory / "pulpo.lock.yaml"
    if how == "no file":
        lock.unlink()
    else:
        lock.write_text(BROKEN[how](lock.read_text()))
    read = toys("prefect", "logs")
    assert (read.out, read.err.count("\n")) == ("at your service \n", 1)
    assert "services are found by what is remembered of their processes" in read.err
    assert toys("api", "logs").err.endswith("nothing has been said\n")
    assert toys("ui", "stop").err.endswith("the UI is not running\n")
    assert toys("prefect", "start", code=None).code != 0
    assert toys.services.state("prefect").status is Status.RUNNING
    assert toys("prefect", "stop").err.endswith("Prefect's server is stopped\n")
    assert toys.services.state("prefect").status is Status.STOPPED


def test_a_lock_with_errors_is_told_where_nothing_was_ever_started(toys):
    toys.lock(BROKEN["broken rule"](PREFECT))
    for command in ("stop", "logs"):
        assert "error PLP225" in toys("prefect", command, code=1).err


def test_what_keeps_the_api_from_starting_is_told_at_once(toys):
    toys.lock("  db: {engine: embedded}\n  api: {environment: {PULPO_API_TIMEOUT: soon}}\n")
    for command in ("start", "restart", "serve"):
        assert "error: PULPO_API_TIMEOUT: " in toys("api", command, code=2).err
    toys.lock('  db: {uri: "mysql://db.example.org"}\n  api: {}\n')
    for command in ("start", "serve"):
        assert "mysql" in toys("api", command, code=2).err
    assert toys.services.names() == []


def test_the_api_of_a_container_is_where_the_lock_says(toys):
    toys.lock("  api: {}\n")
    done = toys("api", "start", "--mode", "docker", "--port", "8001", code=2)
    assert "error: the lock says where the API of a container is reached\n  hint: write services.api.ports" in done.err


def test_the_api_is_where_up_and_start_are_both_told(toys):
    toys.lock('  db: {engine: embedded}\n  api: {ports: ["PORT"]}\n')
    url = toys("api", "start").out
    assert toys("up", "api").err == "mode: local (default)\neverything is up already\n"
    assert url.strip() in toys("status").out


def test_a_container_may_open_the_api_without_a_token():
    with pytest.raises(UsageError, match="without a token"):
        read_settings({"PULPO_API_HOST": "0.0.0.0"}).check_address()
    opened = read_settings({"PULPO_API_HOST": "0.0.0.0", "PULPO_API_OPEN": "true"})
    opened.check_address()
    assert opened.variables(8000)["PULPO_API_OPEN"] == "True"


def test_deployments_of_containers_lie_in_their_image(jobs, monkeypatch):
    given = []
    monkeypatch.setattr("pulpo.cli.deploying.deploy_flows", lambda *_, root, **__: given.append(root))
    for mode in ("docker", "local", None):
        CLI(jobs.directory, mode=mode).prefect_deploy(check=True)
    assert given == [Path("/project"), None, None]
