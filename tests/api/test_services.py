"""Services over HTTP: how they are, what they said, restarts; real processes, and what a container can see."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest

from pulpo.api.app import create_app
from pulpo.api.command_line import outer_environment
from pulpo.api.settings import Settings
from pulpo.apply.apply_lock import only_one
from pulpo.manifest.load import load
from pulpo.services.local import LocalServices
from pulpo.settings import find_project
from pulpo.store.sqlite import SqliteStore
from tests.api.conftest import client_of, example
from tests.cli.toys import Toys

SERVICES = """
  web: {command: [python, server.py], ports: ["PORT"], environment: {SAID: "${GREETING:-hello}"}}
  teller: {command: [python, -u, teller.py], replicas: 2}
  crash: {command: [python, server.py, crash], ports: ["PORT"]}
  cache: {uri: "redis://app:${CACHE_PASSWORD}@cache.example.org:6379"}
  db: {engine: embedded}
  off: {command: [python, server.py], enabled: false}
"""
#: Says the lines that are put into a file, and who it is.
TELLER = """
import os, pathlib, time
said = 0
print("ready as", os.environ.get("PULPO_REPLICA", "1"), "with mongodb://app:sesame@host/db")
while True:
    lines = pathlib.Path("lines").read_text().splitlines() if pathlib.Path("lines").exists() else []
    for line in lines[said:]:
        print(line)
    said = len(lines)
    time.sleep(0.02)
"""


@pytest.fixture
def toys(tmp_path):
    found = Toys(tmp_path)
    (tmp_path / "teller.py").write_text(TELLER)
    found.lock(SERVICES)
    yield found
    found.end()


def app_of(toys, **settings):
    project = find_project(toys.directory)
    manifest, document = load(project.lock_path, project.lock_shown)
    store = SqliteStore(project.store_path)
    return create_app(manifest, store, document=document, project=project, settings=Settings(**settings))


async def services_of(http) -> dict[str, dict]:
    return {one["name"]: one for one in (await http.get("/services")).json()["items"]}


async def until_state(http, name: str, state: str, *, not_since: str | None = None) -> dict:
    """How a service is when it has come to a state; with `not_since` anew."""
    async with asyncio.timeout(30):
        while True:
            status = (await http.get(f"/services/{name}")).json()["status"]
            if status["state"] == state and status["since"] != not_since:
                return status
            await asyncio.sleep(0.05)


async def test_services_are_told_as_the_command_tells_them(toys):
    toys("up", code=1)
    said = {one["name"]: one for one in json.loads(toys("status", "--format", "json", code=1).out)["services"]}
    async with client_of(app_of(toys)) as http:
        answer = (await http.get("/services")).json()
    told = {one["name"]: one["status"] for one in answer["items"]}
    assert (answer["mode"], answer["problem"]) == ("local", None)
    assert list(told) == ["cache", "crash", "db", "off", "teller", "web"]
    assert told["off"] is None
    for name, status in said.items():
        del status["name"]
        assert {**status, "restart_error": None, "addresses": told[name]["addresses"]} == told[name], name
    assert (told["web"]["state"], told["crash"]["state"], told["cache"]["state"]) == ("running", "failed", "elsewhere")
    assert told["crash"]["lines"] == ["no luck today"]
    assert told["cache"]["addresses"] == ["redis://app:${CACHE_PASSWORD}@cache.example.org:6379"]
    assert told["teller"]["replicas"] == 2


async def test_what_runs_otherwise_or_no_more_is_told(toys):
    toys("up", "web", "teller")
    lock = toys.directory / "pulpo.lock.yaml"
    async with client_of(app_of(toys)) as http:
        assert (await services_of(http))["web"]["status"]["differs"] is False
        text = lock.read_text().replace("GREETING:-hello", "GREETING:-moin").splitlines(keepends=True)
        lock.write_text("".join(line for line in text if "teller" not in line))
        await http.get("/manifest")
        found = await services_of(http)
        assert (await http.get("/services/teller/logs")).status_code == 200
        refused = await http.post("/services/teller/restart")
    assert found["web"]["status"]["differs"] is True
    assert (found["teller"]["settings"], found["teller"]["status"]["orphan"]) == ({}, True)
    assert (refused.status_code, refused.json()["hint"]) == (409, "`pulpo up` takes away what left it")


async def test_a_look_is_good_for_a_second_and_costs_little(toys):
    toys("up", "web", "teller")
    async with client_of(app_of(toys)) as http:
        await http.get("/services")
        toys.services.stop("web")
        assert (await services_of(http))["web"]["status"]["state"] == "running"
        assert (await until_state(http, "web", "stopped"))["pid"] is None
        costs = []
        for _ in range(5):
            http._transport.app.state.service_states.forget()
            began = time.perf_counter()
            await http.get("/services")
            costs.append(time.perf_counter() - began)
    assert sorted(costs)[2] < 0.2  # 5 ms on a machine that does nothing else


async def test_services_that_can_t_be_compared_say_why(toys, monkeypatch):
    async with client_of(app_of(toys)) as http:
        monkeypatch.setenv("PULPO_MODE", "swarm")
        answer = (await http.get("/services")).json()
    assert (answer["mode"], answer["problem"]) == (None, "PULPO_MODE: there is no such mode: swarm")
    assert [one["status"] for one in answer["items"]] == [None] * 6


async def test_a_log_is_followed_by_asking_again(toys):
    toys("up", "teller")
    async with client_of(app_of(toys)) as http:
        first = (await http.get("/services/teller/logs")).json()
        assert sorted(line["service"] for line in first["items"]) == ["teller", "teller.2"]
        assert {line["text"] for line in first["items"]} == {
            "ready as 1 with mongodb://app:***@host/db",
            "ready as 2 with mongodb://app:***@host/db",
        }
        said = [f"line {number}" for number in range(30)]
        (toys.directory / "lines.new").write_text("\n".join(said) + "\n")
        (toys.directory / "lines.new").rename(toys.directory / "lines")
        found: dict[str, list[str]] = {"teller": [], "teller.2": []}
        async with asyncio.timeout(20):
            after = first["next"]
            while len(found["teller"]) < 30 or len(found["teller.2"]) < 30:
                page = (await http.get("/services/teller/logs", params={"after": after, "tail": 7})).json()
                for line in page["items"]:
                    found[line["service"]].append(line["text"])
                after = page["next"]
        last = (await http.get("/services/teller/logs?tail=2")).json()["items"]
    assert found == {"teller": said, "teller.2": said}
    assert [line["text"] for line in last][-1] == "line 29"


@pytest.mark.parametrize(
    "after", ["x", "e30", base64.urlsafe_b64encode(b'{"web": [1]}').decode(), base64.urlsafe_b64encode(b"[]").decode()]
)
async def test_what_is_no_cursor_is_refused(toys, after):
    async with client_of(app_of(toys)) as http:
        answer = await http.get("/services/web/logs", params={"after": after})
    assert (answer.status_code, answer.json()["hint"]) == (400, "take `next` of the answer before, as it is")


async def test_a_service_is_restarted_by_itself(toys):
    toys("up", "web", "teller")
    async with client_of(app_of(toys)) as http:
        before = await services_of(http)
        answer = await http.post("/services/web/restart")
        assert (answer.status_code, answer.json()) == (202, {"name": "web", "state": "stopping"})
        assert (await http.get("/services/web")).json()["status"]["state"] == "stopping"
        again = await http.post("/services/web/restart")
        assert (again.status_code, again.json()["detail"]) == (409, "web is being started or stopped already")
        after = await until_state(http, "web", "running", not_since=before["web"]["status"]["since"])
        other = (await http.get("/services/teller")).json()["status"]
    assert after["pid"] != before["web"]["status"]["pid"]
    assert after["restart_error"] is None
    assert other["pid"] == before["teller"]["status"]["pid"]


async def test_a_restart_that_does_not_work_says_why_and_leaves_the_service_alone(toys):
    toys("up", "web")
    lock = toys.directory / "pulpo.lock.yaml"
    async with client_of(app_of(toys)) as http:
        before = (await http.get("/services/web")).json()["status"]
        lock.write_text(lock.read_text().replace("GREETING:-hello", "GREETING"))
        await http.get("/manifest")
        assert (await http.post("/services/web/restart")).status_code == 202
        async with asyncio.timeout(30):
            while (after := (await http.get("/services/web")).json()["status"])["restart_error"] is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert (after["state"], after["pid"]) == ("running", before["pid"])
    assert "GREETING" in after["restart_error"]


@pytest.mark.parametrize(
    ("name", "status", "detail"),
    [
        ("db", 409, "db can't be restarted: it is a file, nothing runs"),
        ("cache", 409, "cache can't be restarted: somebody else runs it"),
        ("off", 409, "the service is not part of the project: off"),
        ("wep", 404, "there is no such service: wep"),
    ],
)
async def test_what_can_t_be_restarted_is_refused(toys, name, status, detail):
    async with client_of(app_of(toys)) as http:
        answer = await http.post(f"/services/{name}/restart")
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


async def test_nothing_is_restarted_while_the_world_is_changed(toys):
    toys("up", "web")
    async with client_of(app_of(toys)) as http:
        with only_one(toys.directory / "run_cache", "pulpo apply"):
            answer = await http.post("/services/web/restart")
    assert answer.status_code == 409
    assert "pulpo apply, process" in answer.json()["detail"]


def test_the_api_restarts_itself(toys, tmp_path):
    toys.lock('\n  api: {ports: ["PORT"], environment: {PULPO_API_TIMEOUT: "20"}}\n  db: {engine: embedded}\n')
    url = toys("api", "start").out.strip()
    before = httpx.get(f"{url}/services/api").json()["status"]
    assert (before["state"], before["differs"]) == ("running", False)
    lock = tmp_path / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace('"20"', '"30"'))
    answer = httpx.post(f"{url}/services/api/restart")
    assert answer.status_code == 202
    deadline = time.monotonic() + 30
    while True:
        try:
            after = httpx.get(f"{url}/services/api").json()["status"]
        except httpx.TransportError:
            after = before
        if after["pid"] != before["pid"] and after["state"] == "running":
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert after["differs"] is False


async def test_without_a_project_only_the_manifest_is_told(tmp_path):
    app = create_app(example("jobs"), SqliteStore(tmp_path / "store.db"))
    async with client_of(app) as http:
        answer = (await http.get("/services")).json()
        refused = [await http.get("/services/api/logs"), await http.post("/services/api/restart"), await http.get("/plan")]
    assert (answer["mode"], answer["items"][0]["status"]) == (None, None)
    assert [one.status_code for one in refused] == [409] * 3


async def test_from_inside_a_container_services_are_asked_over_the_network(toys, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as other:
            closed = other.getsockname()[1]
        # As the names of a Compose network: this machine's own stands for a container.
        toys.lock(
            f"""
  localhost: {{image: "redis:8", ports: ["{port}"]}}
  api: {{ports: ["9000:{closed}"]}}
  worker: {{}}
  cache: {{uri: "redis://cache.example.org:6379"}}
"""
        )
        async with client_of(app_of(toys, open=True)) as http:
            found = (await http.get("http://localhost/services")).json()
            refused = [
                await http.get("http://localhost/services/worker/logs"),
                await http.post("http://localhost/services/worker/restart"),
                await http.get("http://localhost/plan"),
            ]
    assert found["mode"] == "container"
    states = {one["name"]: one["status"]["state"] for one in found["items"]}
    assert states == {"api": "unreachable", "cache": "elsewhere", "localhost": "running", "worker": "unknown"}
    assert found["items"][0]["status"]["addresses"] == ["http://127.0.0.1:9000"]
    assert [one.status_code for one in refused] == [409] * 3
    assert [one.json()["hint"].rpartition(": ")[2] for one in refused] == [
        "pulpo logs worker",
        "pulpo restart worker",
        "pulpo plan",
    ]


def test_a_command_is_not_given_what_only_the_service_was_given(toys):
    toys.lock(
        '\n  api: {ports: ["8000"], environment: {PULPO_API_RUNS: "3", LEVEL: "${LEVEL:-info}", PULPO_API_TIMEOUT: "9"}}\n'
        '  db: {image: "mongo:8"}\n'
    )
    manifest = load(toys.directory / "pulpo.lock.yaml")[0]
    of_person = {"PATH": "/bin", "LEVEL": "debug", "PULPO_API_TOKEN": "sesame", "PULPO_API_TIMEOUT": "8"}
    given = {
        **of_person, "PULPO_SERVICE": "x", "PULPO_DB_URI": "mongodb://127.0.0.1:27017/toys", "PULPO_API_RUNS": "3",
        "PULPO_API_HOST": "127.0.0.1", "PULPO_API_PORT": "8000", "DO_NOT_TRACK": "1",
    }  # fmt: skip
    assert outer_environment(manifest, given) == {**of_person, "PULPO_SERVICE": "x"} | {
        name: given[name] for name in ("PREFECT_SERVER_ANALYTICS_ENABLED",) if name in given
    }
    moved = {**given, "PULPO_API_PORT": "8001"}
    assert outer_environment(manifest, moved)["PULPO_API_PORT"] == "8001"
    del given["PULPO_SERVICE"]
    assert outer_environment(manifest, given) == given


def test_a_restart_outlives_who_asked_for_it(toys):
    """As `pulpo down api` ends all processes of the API's service, in the middle of a restart of another one."""
    toys("up", "web")
    before = toys.services.state("web")
    script = (
        "import sys; from pulpo.api.service_restarts import Restarts; from pulpo.api.service_states import World; import os\n"
        "from pulpo.manifest.load import load; from pulpo.settings import find_project; from pathlib import Path\n"
        "project = find_project(Path(sys.argv[1])); found = load(project.lock_path)\n"
        "Restarts(os.environ).begin(World(project, *found, 'local'), 'web'); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(toys.directory)], env={**os.environ, "PULPO_SERVICE": "mine"}, check=False
    )
    assert done.returncode == -9
    services = LocalServices(toys.directory / "run_cache")
    deadline = time.monotonic() + 30
    while (now := services.state("web")).id == before.id or now.status.value != "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
