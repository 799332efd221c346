"""One real stack: toy services, the embedded store and a real Prefect server, from nothing, through edits, and killed at random."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT
from tests.cli.toys import Toys

#: One worker has the stack.
pytestmark = pytest.mark.xdist_group("stack of toys")

SERVICES = """services:
  db: {engine: embedded}
  prefect: {ports: [auto]}
  web: {command: [python, server.py], ports: ["PORT"]}
  shop: {command: [python, server.py], ports: ["PORT"], depends_on: [web], environment: {SAID: twice}}
"""
FLOWS = """flows:
  scraping: {schedule: {cron: "0 6 * * *"}, parameters: {keywords: rust}}
"""
NOTHING = "No changes: the world is as the manifest says\n"
#: How often apply is killed: in each part of the time that it may take, once.
KILLS = int(os.environ.get("PULPO_TEST_KILLS", "20"))
TAKES = 0.2, 6


class Stack(Toys):
    """The jobs example with services of its own; `text` is what its lock says when a test begins."""

    def __init__(self, directory: Path) -> None:
        shutil.copytree(ROOT / "examples" / "jobs", directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
        super().__init__(directory)
        self.path = directory / "pulpo.lock.yaml"
        operations = re.sub(r"^services:.*?^(?=\S)", "", self.path.read_text(), flags=re.MULTILINE | re.DOTALL)
        self.lock(SERVICES.partition("\n")[2])
        services = self.path.read_text().partition("services:")[2]
        self.text = operations.replace("declared:", f"{FLOWS}services:{services}declared:", 1)
        self.path.write_text(self.text)

    def __call__(self, *arguments: str, **options: Any) -> Any:
        return super().__call__(*arguments, env={"PREFECT_HOME": str(self.directory / "home"), "PREFECT_API_URL": ""}, **options)

    def edit(self, old: str, new: str) -> None:
        assert old in self.path.read_text(), old
        self.path.write_text(self.path.read_text().replace(old, new))

    def prefect(self, method: str, path: str, body: Any = None) -> Any:
        port = json.loads((self.directory / "run_cache" / "services" / "ports.json").read_text())["prefect"]
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api{path}", data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def deployments(self) -> dict[str, dict]:
        return {d["entrypoint"]: d for d in self.prefect("POST", "/deployments/filter", {}) if d["name"] == "jobs"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("stack") / "jobs")
    yield stack
    stack.end()


@pytest.fixture
def stack(built):
    built.path.write_text(built.text)
    built("apply", "--yes")
    return built


def test_from_nothing_to_everything_in_one_go(built):
    done = built("apply", "--yes")
    assert "  + service:prefect  is not there\n" in done.out
    assert "  + collection:raw_jobs  not in the database\n" in done.out
    assert "  + deployment:scraping/jobs  not in Prefect\n" in done.out
    assert done.out.count("Plan: ") == 1
    assert "Applied: " in done.out
    assert len(built.deployments()) == 6
    assert built("apply").out == NOTHING
    assert built("prefect", "deploy", "--check").code == 0
    assert built("plan", "--detailed-exitcode").out == NOTHING


EDITS = {
    "environment": ("SAID: twice", "SAID: thrice", "± service:shop"),
    "schedule": ("0 6 * * *", "0 7 * * *", "~ deployment:scraping/jobs"),
    "parameter": ("keywords: rust", "keywords: go", "~ deployment:scraping/jobs"),
    "index": ("key: [board, keywords]\n    schema", "key: [board, keywords]\n    indexes: [[title]]\n    schema", "+ index:"),
    "flow renamed": ("\n  validate:", "\n  verify:", "+ deployment:verify/jobs"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_applied_and_then_there_is_nothing_to_do(stack, name):
    old, new, told = EDITS[name]
    theirs = foreign(stack)
    stack.edit(old, new)
    assert f"  {told}" in stack("plan").out
    stack("apply", "--yes")
    assert stack("plan").out == NOTHING
    assert stack.prefect("GET", f"/deployments/{theirs['id']}") == theirs


def foreign(stack: Stack) -> dict:
    flow = stack.prefect("POST", "/flows/", {"name": "scraping"})
    body = {"name": "theirs", "flow_id": flow["id"], "tags": ["pulpo.project=other"]}
    return stack.prefect("GET", f"/deployments/{stack.prefect('POST', '/deployments/', body)['id']}")


def test_a_default_in_the_code_reaches_the_deployment(stack):
    module = stack.directory / "jobs" / "operations.py"
    before = module.read_text()
    try:
        module.write_text(before.replace('keywords: str = "python"', 'keywords: str = "go"'))
        stack("lock")
        assert "  ~ deployment:scraping/jobs  changed in the manifest\n" in stack("apply", "--yes").out
    finally:
        module.write_text(before)
    live = next(d for entrypoint, d in stack.deployments().items() if "scraping" in entrypoint)
    assert live["parameter_openapi_schema"]["properties"]["keywords"]["default"] == "go"
    assert stack("plan").out == NOTHING


def test_of_two_at_once_one_is_done_and_the_world_is_right(stack):
    stack.edit("SAID: twice", "SAID: by two")
    stack.edit("keywords: rust", "keywords: go")
    both = [stack.begin("apply", "--yes") for _ in range(2)]
    told = {process.communicate()[1]: process.returncode for process in both}
    assert 0 in told.values()
    for said, code in told.items():
        assert code == 0 or (code == 2 and "error: another one is changing this project's world: " in said), said
    assert stack("plan").out == NOTHING


def test_a_service_that_left_goes_and_its_port_is_free_for_another(stack):
    stack.edit("  shop: ", "  store: ")
    found = stack("apply", "--yes").out
    assert "- service:shop  not in the manifest any more\n" in found
    assert "+ service:store  is not there\n" in found
    assert stack("plan").out == NOTHING


def test_what_somebody_changed_in_prefect_is_drift_and_is_put_right(stack):
    live = next(d for entrypoint, d in stack.deployments().items() if "validate" in entrypoint)
    stack.prefect("PATCH", f"/deployments/{live['id']}", {"description": "by hand"})
    assert stack("plan").out.startswith("changed behind the manifest's back\n  ~ deployment:validate/jobs  changed in Prefect\n")
    stack("apply", "--yes")
    assert stack("plan").out == NOTHING


def test_what_lies_in_a_stopped_server_is_shown_before_it_is_changed(stack):
    stack("prefect", "stop")
    stack.edit("keywords: rust", "keywords: go")
    assert "  prefect  compared when service:prefect runs as it should\n" in stack("plan").out
    done = stack("apply", "--yes").out
    assert done.index("Plan: ") < done.index("  ~ deployment:scraping/jobs") < done.index("Applied: ")
    assert stack("plan").out == NOTHING


def test_killed_at_any_moment_it_is_finished_by_the_next(stack):
    chance = random.Random(7)
    theirs = foreign(stack)
    parts = chance.sample(range(KILLS), KILLS)
    for said, part in enumerate(parts):
        stack.path.write_text(stack.text)
        stack.edit("SAID: twice", f"SAID: s{said}")
        stack.edit("keywords: rust", f"keywords: k{said}")
        for name in chance.sample(["index", "flow renamed", "schedule"], chance.randint(0, 3)):
            stack.edit(*EDITS[name][:2])
        if chance.random() < 0.5:
            stack.edit("  shop: ", "  store: ")
        process = stack.begin("apply", "--yes")
        time.sleep(TAKES[0] + (TAKES[1] - TAKES[0]) * (part + chance.random()) / KILLS)
        process.kill()
        process.communicate()
        stack("apply", "--yes")
        assert stack("plan").out == NOTHING
        names = {s["name"]: s["state"] for s in json.loads(stack("status", "--format", "json").out)["services"]}
        assert set(names.values()) == {"running", "embedded"}
        assert stack.prefect("GET", f"/deployments/{theirs['id']}") == theirs


def test_killed_while_the_server_is_made_it_is_finished_by_the_next(tmp_path):
    new = Stack(tmp_path / "jobs")
    try:
        for seconds in (1.2, 2.5, 5):
            process = new.begin("apply", "--yes")
            time.sleep(seconds)
            process.kill()
            process.communicate()
        new("apply", "--yes")
        assert new("plan").out == NOTHING
        assert len(new.deployments()) == 6
    finally:
        new.end()


def test_destroy_takes_what_is_ours_and_leaves_what_is_not(stack):
    theirs = foreign(stack)
    done = stack("destroy", "--yes")
    assert "  - deployment:scraping/jobs  of this project\n" in done.out
    assert "  - service:prefect  of this project\n" in done.out
    assert done.out.count("Plan: ") == 1
    assert "work_pool" not in done.out
    assert stack("destroy").out.endswith("Nothing of this project is there\n")
    stack("prefect", "start")
    assert (stack.deployments(), stack.prefect("GET", f"/deployments/{theirs['id']}")) == ({}, theirs)
    (ours, *others) = stack.prefect("POST", "/work_pools/filter", {})
    assert (ours["name"], others) == ("jobs-process", [])
