"""`plan`, `apply` and `destroy` where services are containers."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from pulpo import CLI
from tests.apply.services.docker_project import DockerProject, talker
from tests.docker_engine import PYTHON_IMAGE, docker, docker_engine  # noqa: F401 - a fixture

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    project = DockerProject(tmp_path / "toy")
    yield project
    project.down(volumes=True)


@pytest.fixture
def theirs():
    name = f"pulpo-test-theirs-{random.randrange(10**9)}"
    docker("run", "--detach", "--name", name, PYTHON_IMAGE, "sleep", "1000")
    yield name
    docker("rm", "--force", name)


def changes(found) -> list[str]:
    return [f"{change.action} {change.address}" for change in found.changes]


def test_from_nothing_through_edits_to_nothing(toy, theirs):
    before = docker("inspect", theirs)
    toy.write({"a": talker(), "b": talker(depends_on=["a"])})
    cli = CLI(toy.root)
    assert changes(cli.plan()) == ["create service:a", "create service:b"]
    assert cli.apply().ok
    assert not cli.plan()
    toy.write({"a": talker(), "c": talker("up")})
    assert changes(cli.plan()) == ["delete service:b", "create service:c"]
    assert cli.apply().ok
    toy.write({"a": talker(environment={"SAID": "more"}), "c": talker("up")})
    assert changes(cli.plan()) == ["replace service:a"]
    assert cli.apply().ok
    assert (toy.states(), bool(cli.plan())) == ({"a": "running", "c": "running"}, False)
    assert changes(cli.destroy().plan) == ["delete service:a", "delete service:c"]
    assert (toy.listed(), docker("inspect", theirs)) == ([], before)


def test_one_that_fails_is_told_with_its_last_lines(toy):
    toy.write({"a": talker(command=["python", "-u", "-c", "raise SystemExit('no luck today')"]), "b": talker()})
    applied = CLI(toy.root).apply()
    assert {one.change.address: one.outcome for one in applied.settled} == {"service:a": "failed", "service:b": "done"}
    assert "no luck today" in "\n".join(applied.problems)


def test_killed_at_any_moment_it_is_finished_by_the_next(toy):
    chance = random.Random(5)
    for number in range(5):
        said = {"ROUND": str(number)}
        toy.write({"a": talker(environment=said), "b": talker(depends_on=["a"], environment=said)})
        process = subprocess.Popen(
            [sys.executable, "-m", "pulpo", "apply", "--yes"], cwd=toy.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.5, 4))
        process.kill()
        process.wait()
        cli = CLI(toy.root)
        assert cli.apply().ok
        assert (toy.states(), bool(cli.plan())) == ({"a": "running", "b": "running"}, False)
