"""Which Prefect server a project has that runs one itself, and the worker that waits for it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from pulpo.compile.work_pools import has_worker, process_pools
from pulpo.manifest.model import Manifest
from pulpo.run.prefect.server import connected
from pulpo.run.prefect.worker import READY, worker_name
from tests.ports import free_port


def manifest(**data: object) -> Manifest:
    return Manifest.model_validate({"version": 1, "project": {"name": "jobs", "modules": ["jobs"]}, **data})


def url(prefect: dict[str, object] | None, environ: dict[str, str] | None = None, **settings) -> str | None:
    services = {} if prefect is None else {"services": {"prefect": prefect}}
    with connected(manifest(**services), environ or {}, **settings) as found:
        return found


@pytest.fixture
def taken():
    """A port on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_project_s_own_server_is_where_it_listens(taken):
    nothing = url(None)
    assert url({}) == "http://127.0.0.1:4200/api"
    assert url({"ports": ["0.0.0.0:4300:4200"]}) == "http://127.0.0.1:4300/api"
    assert url({"ports": ["auto"]}, ports={"prefect": 20123}) == "http://127.0.0.1:20123/api"
    assert url({"ports": ["auto"]}) == nothing
    assert url({"enabled": False}) == nothing
    assert url({"uri": "http://prefect.example.org"}) == "http://prefect.example.org/api"
    assert url({}, {"PREFECT_API_URL": "http://set"}) == nothing  # Prefect reads the variable itself


def test_for_a_run_it_counts_only_while_something_listens_there(taken):
    nothing = url(None)
    assert url({"ports": [f"{taken}:4200"]}, running=True) == f"http://127.0.0.1:{taken}/api"
    assert url({"ports": [f"{free_port()}:4200"]}, running=True) == nothing


def test_a_worker_serves_the_pools_of_processes_that_flows_name_and_the_one_by_default():
    flows = {
        "a": {"work_pool": {"name": "${POOL}"}},
        "b": {"work_pool": {"type": "process", "name": "other"}},
        "c": {"work_pool": {"type": "docker", "name": "containers"}},
        "d": {"tags": ["x"]},
    }
    assert process_pools(manifest(flows=flows), {"POOL": "mine"}) == ["jobs-process", "mine", "other"]
    assert process_pools(manifest(), {}) == ["jobs-process"]


def test_a_worker_has_the_name_that_it_had_before():
    host = socket.gethostname()
    assert worker_name(None, manifest(), {}) == f"jobs@{host}"
    assert worker_name("prod", manifest(), {"PULPO_REPLICA": "2"}) == f"jobs-prod@{host}-2"


def test_whose_runs_the_project_s_own_worker_takes():
    own = manifest(services={"worker": {}, "prefect": {}})
    assert has_worker(own, "jobs-process", {})
    assert not has_worker(own, "other", {})
    assert not has_worker(own, "jobs-process", {"PREFECT_API_URL": "http://set"})  # as a service it is told of the project's own
    assert has_worker(manifest(services={"worker": {}}), "jobs-process", {"PREFECT_API_URL": "http://set"})
    assert not has_worker(manifest(services={"worker": {"enabled": False}}), "jobs-process", {})
    assert not has_worker(manifest(), "jobs-process", {})


def test_a_worker_waits_for_its_server_makes_its_pools_and_ends_when_asked(prefect, tmp_path):
    """Until the server is told to be there, nobody passes on what goes to it."""
    lock = "version: 1\nproject: {name: waits, modules: [waits]}\nflows: {x: {work_pool: {name: waits-other}}}\n"
    (tmp_path / "pulpo.lock.yaml").write_text(lock)
    program = """
from pathlib import Path
from pulpo.manifest.load import load
from pulpo.run.prefect.worker import serve_worker
from pulpo.settings import find_project
project = find_project(Path("."))
serve_worker(project, load(project.lock_path)[0], say=lambda line: print(line, flush=True))
"""
    server = prefect["PREFECT_API_URL"]
    with passing_on(int(re.search(r":(\d+)/", server)[1])) as (port, open_up):
        environment = {**os.environ, **prefect, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        worker = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with worker:
            try:
                assert worker.stdout.readline() == f"waiting for the Prefect server: http://127.0.0.1:{port}/api\n"
                open_up()
                assert worker.stdout.readline() == f"{READY}: waits-other, waits-process\n"
                assert workers_of(server, "waits-other") == [f"waits@{socket.gethostname()}"]
                worker.send_signal(signal.SIGTERM)
                assert worker.stdout.read() == "the worker has ended\n"
                assert worker.wait(30) == 0
            finally:
                worker.kill()


def workers_of(server: str, pool: str) -> list[str]:
    """The workers that a server lists, by name."""
    request = urllib.request.Request(f"{server}/work_pools/{pool}/workers/filter", method="POST", data=b"{}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return [worker["name"] for worker in json.load(answer)]


@contextlib.contextmanager
def passing_on(target: int):
    """A port that passes bytes on to another one from when it is opened up; before, it hangs up."""
    opened = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def pipe(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket) -> None:
        with client:
            if opened.is_set():
                with socket.create_connection(("127.0.0.1", target)) as server:
                    back = threading.Thread(target=pipe, args=(server, client), daemon=True)
                    back.start()
                    pipe(client, server)
                    back.join()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], opened.set
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
