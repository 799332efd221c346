"""`pulpo api`: the API as a process that outlives the command, with real ones."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import psutil
import pytest

from pulpo.services.local import LocalServices
from pulpo.services.ports import is_free
from pulpo.services.spec import Address
from pulpo.services.state import Status
from tests.ports import free_port
from tests.services.conftest import alive, until


@pytest.fixture
def api(jobs, monkeypatch):
    """The jobs example, on a port of its own; what a test leaves running is ended."""
    monkeypatch.setenv("PULPO_API_PORT", str(free_port()))
    jobs.services = LocalServices(jobs.directory / "run_cache")
    yield jobs
    jobs.services.stop("api")


def port() -> int:
    return int(os.environ["PULPO_API_PORT"])


def get(path: str, token: str | None = None) -> tuple[int, dict]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port()}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_it_starts_answers_and_stops(api):
    started = api("api", "start")
    assert started.out == f"http://127.0.0.1:{port()}\n"
    assert started.err == "starting the API\n"
    assert get("/models")[0] == 200
    assert api("api", "stop").err == "the API is stopped\n"
    assert is_free(Address("127.0.0.1", port()))
    assert api("api", "stop").err == "the API is not running\n"


def test_it_is_started_once(api):
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: api("api", "start", "--format", "json"), range(2)))
    states = [json.loads(done.out) for done in both]
    assert sorted(state["new"] for state in states) == [False, True]
    assert states[0]["pid"] == states[1]["pid"]
    again = api("api", "start")
    assert re.fullmatch(rf"the API is running since [\d-]+ [\d:]+ \(process {states[0]['pid']}\)\n", again.err)
    changed = api("api", "start", env={"PULPO_API_TIMEOUT": "7"})
    assert changed.err.endswith("its settings are others by now; it takes them with: pulpo api restart\n")
    restarted = json.loads(api("api", "restart", "--format", "json", env={"PULPO_API_TIMEOUT": "7"}).out)
    assert restarted["new"]
    assert restarted["pid"] != states[0]["pid"]


def test_a_port_that_is_free_is_taken_again(api):
    first = api("api", "start", "--port", "auto").out
    assert api("api", "start", "--port", "auto").out == first
    api("api", "stop")
    assert api("api", "start", "--port", "auto").out == first


def test_a_taken_port_names_its_holder(api):
    with socket.create_server(("127.0.0.1", port())):
        for command in ("start", "serve"):
            done = api("api", command, code=2)
            assert re.match(rf"error: port {port()} of 127\.0\.0\.1 is taken: by .*\(process {os.getpid()}, in ", done.err)
            assert "hint: stop that, or choose another port: --port 8001, or `--port auto` for one that is free" in done.err


def test_others_are_listened_to_with_a_token_alone(api):
    for command in ("start", "serve", "restart"):
        done = api("api", command, "--host", "0.0.0.0", code=2)
        assert "without a token the API listens on this machine alone, not on: 0.0.0.0" in done.err
        assert "hint: set PULPO_API_TOKEN (may read and write), PULPO_API_READ_TOKEN (may read), or both" in done.err
    tokens = {"PULPO_API_TOKEN": "s3cret-word", "PULPO_API_READ_TOKEN": "reads"}
    assert api("api", "start", "--host", "0.0.0.0", env=tokens).out == f"http://127.0.0.1:{port()}\n"
    assert get("/models")[0] == 401
    assert get("/models", "reads")[0] == 200
    assert get("/health/ready")[0] == 200
    written = [f for f in (api.directory / "run_cache").rglob("*") if f.is_file() and b"s3cret-word" in f.read_bytes()]
    assert written == []


def test_settings_stand_in_the_lock(api, monkeypatch):
    service = "  api:\n    ports: ['127.0.0.1:%d:8000']\n    environment: {PULPO_API_TOKEN: '${MY_TOKEN}'}\n"
    lock = api.directory / "pulpo.lock.yaml"
    lock.write_text(re.sub(r"  api:\n    ports: .*\n", service % port(), lock.read_text()))
    monkeypatch.delenv("PULPO_API_PORT")
    assert "MY_TOKEN" in api("api", "start", code=1).err
    url = api("api", "start", env={"MY_TOKEN": "abc"}).out
    monkeypatch.setenv("PULPO_API_PORT", url.strip().rpartition(":")[2])
    assert get("/models")[0] == 401
    assert get("/models", "abc")[0] == 200


def test_when_it_is_killed_it_comes_back(api):
    api("api", "start")
    first = api.services.state("api")
    os.kill(first.pid, signal.SIGKILL)
    back = until(lambda: (s := api.services.state("api")).restarts == 1 and s.status is Status.RUNNING and s)
    assert back.pid != first.pid
    assert get("/models")[0] == 200


def test_when_its_shim_is_killed_it_can_be_stopped_and_started(api):
    for command, said in (("stop", "the API is not running\n"), ("start", "starting the API\n")):
        api("api", "start")
        first = api.services.state("api")
        os.kill(first.shim_pid, signal.SIGKILL)
        until(lambda: api.services.state("api").status is Status.DEAD)
        assert api("api", command).err == said
        assert not alive(first.pid)
    assert get("/models")[0] == 200


def test_a_start_that_fails_says_why(api):
    (api.directory / "run_cache").mkdir()
    (api.directory / "run_cache" / "store.db").write_bytes(b"no database" * 1000)
    done = api("api", "start", code=1)
    assert "error: api ended before it was ready, with exit code: 1\n  " in done.err
    assert "store.db" in done.err
    assert "hint: name another file, or move this one away" in done.err
    assert is_free(Address("127.0.0.1", port()))


def test_its_log_is_read_and_followed(api):
    assert api("api", "logs").out == ""
    api("api", "start")
    command = [sys.executable, "-m", "pulpo", "api", "logs", "--follow", "--tail", "1"]
    with subprocess.Popen(command, cwd=api.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        json.loads(process.stdout.readline())
        get("/models/Nothing")
        while (line := json.loads(process.stdout.readline()))["path"] != "/models/Nothing":
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert line["status"] == 404
    lines = [json.loads(text) for text in api("api", "logs", "--since", "5m").out.splitlines()]
    assert any(found["message"] == "listening" for found in lines)
    assert lines[-1]["request_id"] == line["request_id"]
    assert api("api", "logs", "--since", "2100-01-01").out == ""
    assert "this is no time: yesterday" in api("api", "logs", "--since", "yesterday", code=2).err


def test_open_answers_end_when_it_stops(api):
    api("api", "start")
    with urllib.request.urlopen(f"http://127.0.0.1:{port()}/events", timeout=20) as events:
        assert events.readline()
        began = time.monotonic()
        api("api", "stop")
        events.read()
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_in_the_foreground_it_ends_with_a_signal(api, number, code):
    command = [sys.executable, "-m", "pulpo", "api", "serve"]
    with subprocess.Popen(command, cwd=api.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        assert line == f"the API is at http://127.0.0.1:{port()}\n"
        assert get("/models")[0] == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == code
    assert "Traceback" not in out + err
    assert json.loads(out.splitlines()[-1])["message"] == "stopped"


def test_what_is_not_installed_is_named(api):
    program = "import sys; sys.modules['fastapi'] = None; from pulpo.__main__ import main; sys.exit(main())"
    for command in ("start", "serve"):
        done = subprocess.run(
            [sys.executable, "-c", program, "api", command],
            cwd=api.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr == (
            "error: api needs a package that is not installed: fastapi\n  hint: pip install 'pulpocore[api]'\n"
        )


def test_starting_imports_nothing_of_what_it_starts(api):
    program = (
        "import sys; from pulpo.cli.app import CLI; cli = CLI('.'); print(cli.api_start().url); cli.api_stop();"
        "print([m for m in ('fastapi', 'uvicorn', 'prefect', 'networkx', 'jobs') if m in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=api.directory, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [f"http://127.0.0.1:{port()}", "[]"]


def is_of(process: psutil.Process, directory: Path) -> bool:
    try:
        return str(directory) in " ".join([process.cwd(), *process.cmdline()])
    except psutil.Error:  # of another test, and gone meanwhile
        return False


def test_nothing_is_left_of_it(api):
    before = {process.pid for process in psutil.process_iter()}
    api("api", "start")
    ours = {process.pid for process in psutil.process_iter() if process.pid not in before and is_of(process, api.directory)}
    assert len(ours) == 2
    api("api", "stop")
    assert not [pid for pid in ours if alive(pid)]


class Load:
    """Clients that make records and change them, one after the other, and what they were answered."""

    def __init__(self) -> None:
        #: By id the title that was acknowledged last.
        self.acknowledged: dict[str, str] = {}
        self.refused: list[tuple[int, str, str]] = []
        self._stop = threading.Event()
        self._clients = [threading.Thread(target=self._write, args=(n,)) for n in range(4)]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for client in self._clients:
            client.join()

    def _write(self, client: int) -> None:
        path = "/models/RawJobs/records"
        for number in itertools.count():
            if self._stop.is_set():
                return
            new = {"board": f"b{client}", "keywords": f"{number}", "title": "new", "jobs": []}
            if made := self._ask("POST", path, new):
                self._ask("GET", f"{path}/{made}")
                self._ask("PATCH", f"{path}/{made}", {"title": "changed"})

    def _ask(self, method: str, path: str, body: dict | None = None) -> str | None:
        """The id of the record that answered."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port()}{path}", content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                record = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                self.refused.append((error.code, error.headers["Content-Type"], error.read().decode()))
        except (http.client.HTTPException, OSError):  # it is down
            self._stop.wait(0.05)
        else:
            self.acknowledged[record["_id"]] = record["title"]
            return record["_id"]
        return None

    def until_more(self) -> None:
        """Wait until some more records are acknowledged."""
        before = len(self.acknowledged)
        until(lambda: len(self.acknowledged) > before + 20)

    def lost(self) -> dict[str, str]:
        """What was acknowledged and is not there; a change that nobody answered may be."""
        there, cursor = {}, ""
        while cursor is not None:
            page = get(f"/models/RawJobs/records?limit=1000{cursor}")[1]
            there |= {record["_id"]: record["title"] for record in page["items"]}
            cursor = page["next"] and f"&cursor={page['next']}"
        return {one: title for one, title in self.acknowledged.items() if there.get(one) not in (title, "changed")}


@pytest.mark.parametrize(("store", "kills"), [("embedded", 2), ("mongodb", 1)])
def test_nothing_that_was_acknowledged_is_lost_when_it_is_killed(api, store, kills, request, monkeypatch):
    if store == "mongodb":
        monkeypatch.setenv("PULPO_DB_URI", f"{request.getfixturevalue('mongo_url')}/{request.getfixturevalue('database')}")
    api("api", "start")
    with Load() as load:
        for restarts in range(kills):
            now = until(lambda n=restarts: (s := api.services.state("api")).status is Status.RUNNING and s.restarts == n and s)
            load.until_more()
            os.kill(now.pid, signal.SIGKILL)
        until(lambda: (s := api.services.state("api")).status is Status.RUNNING and s.restarts == kills)
    assert (load.lost(), load.refused) == ({}, [])


def test_nothing_that_was_acknowledged_is_lost_when_its_database_is_killed(own_mongod, api, monkeypatch):
    monkeypatch.setenv("PULPO_DB_URI", f"{own_mongod.url}/jobs")
    own_mongod.start()
    api("api", "start")
    with Load() as load:
        load.until_more()
        own_mongod.kill()
        until(lambda: len(load.refused) >= 4)
        assert get("/health/live")[0] == 200
        assert get("/health/ready")[0] == 503
        own_mongod.start()
        load.until_more()
    assert load.lost() == {}
    assert {refused[:2] for refused in load.refused} == {(503, "application/problem+json")}, load.refused
    assert not [said for *_, said in load.refused if "Traceback" in said]
    assert api.services.state("api").restarts == 0
