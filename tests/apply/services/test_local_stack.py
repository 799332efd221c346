"""The whole stack of an example as processes: database, Prefect's server, a worker and the API; a flow goes through all of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pulpo.services.ports import is_free
from pulpo.services.spec import Address
from tests.apply.services.local_stack import Stack
from tests.mongo_server import _binary

EXAMPLE = Path(__file__).parents[3] / "examples" / "jobs"
SERVICES = ("api", "db", "prefect", "worker")


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """The example, with MongoDB and ports that are free."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "PULPO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{Path(_binary()).parent}{os.pathsep}{os.environ['PATH']}")
    directory = tmp_path / "jobs"
    shutil.copytree(EXAMPLE, directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    lock = directory / "pulpo.lock.yaml"
    text = lock.read_text()
    for before, after in (('"8000"', "auto"), ('"4200"', "auto"), ("engine: embedded", "engine: mongodb\n    ports: [auto]")):
        assert before in text
        text = text.replace(before, after)
    lock.write_text(text)
    stack = Stack(directory)
    yield stack
    stack.end()
    assert not stack.processes()


def pulpo(stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pulpo", *arguments], cwd=stack.directory, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def records(stack: Stack, port: int) -> list[dict]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/models/RawJobs/records", timeout=20) as answer:
        return json.load(answer)["items"]


def test_a_flow_goes_through_the_whole_stack_and_its_records_outlive_it(jobs):
    began = time.monotonic()
    jobs.up()
    print(f"up: {time.monotonic() - began:.1f} s")
    assert jobs.states() == dict.fromkeys(SERVICES, "running")
    ports = {name: jobs.port(name) for name in ("api", "db", "prefect")}
    pulpo(jobs, "prefect", "deploy")
    pulpo(jobs, "prefect", "run", "scraping", "--watch")
    found = records(jobs, ports["api"])
    assert found
    assert sorted(jobs.up()) == [f"{name} unchanged" for name in SERVICES]

    jobs.down()
    assert not jobs.processes()
    assert all(is_free(Address("127.0.0.1", port)) for port in ports.values())

    jobs.up("api")
    assert jobs.states() == {"api": "running", "db": "running", "prefect": "stopped", "worker": "stopped"}
    assert {name: jobs.port(name) for name in ports} == ports
    assert records(jobs, ports["api"]) == found
    assert json.loads(pulpo(jobs, "runs", "list", "--format", "json"))
