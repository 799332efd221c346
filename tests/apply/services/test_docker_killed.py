"""`up` that is killed at any moment: the next one finishes what it began."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from pulpo.apply.services.removing import heal
from tests.apply.services.docker_project import COMMAND, DockerProject, talker
from tests.docker_engine import PYTHON_IMAGE, docker, docker_engine  # noqa: F401 - a fixture

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]
#: How often it is killed: in each part of the time that it takes, once.
ROUNDS = int(os.environ.get("PULPO_TEST_KILLS", "20"))


@pytest.fixture
def toy(tmp_path: Path):
    project = DockerProject(tmp_path / "toy")
    yield project
    project.down(volumes=True)


def test_up_converges_after_being_killed_at_any_moment(toy: DockerProject):
    random.seed(20)
    began = time.monotonic()
    begin(toy, 0).wait()
    begin(toy, 1).wait()
    takes = (time.monotonic() - began) / 2
    containers = [f"{toy.name}-a-1", f"{toy.name}-b-1"]
    for number, part in enumerate(random.sample(range(ROUNDS), ROUNDS), 2):
        child = begin(toy, number)
        time.sleep(0.3 + (takes - 0.3) * (part + random.random()) / ROUNDS)  # the moment, which is what is tested
        child.kill()
        child.wait()
        toy.up()
        assert toy.states() == {"a": "running", "b": "running"}, number
        assert sorted(toy.listed()) == containers, number
        assert not toy.manager().plan(), number
        assert docker("inspect", *containers).count(f'"ROUND={number}"') == 2, number


def begin(toy: DockerProject, number: int) -> subprocess.Popen[bytes]:
    """`up` of what each number has otherwise."""
    environment = {"ROUND": str(number)}
    toy.write({"a": talker(environment=environment), "b": talker(depends_on=["a"], environment=environment)})
    return subprocess.Popen([*COMMAND, str(toy.root)], stderr=subprocess.DEVNULL)


def test_what_a_killed_up_left_is_put_away_or_takes_the_place_that_is_empty(toy: DockerProject):
    toy.write({"a": talker(), "b": talker()})
    toy.up()
    for name in ("a", "b"):
        docker("rename", f"{toy.name}-{name}-1", f"0123456789ab_{toy.name}-{name}-1")
    stack = toy.manager()._driver.stack
    docker("run", "--detach", "--name", f"{toy.name}-a-1", *labels(toy, "a"), PYTHON_IMAGE, "sleep", "1000")
    kept = docker("inspect", "--format", "{{.Id}}", f"0123456789ab_{toy.name}-b-1")
    heal(stack)
    assert sorted(toy.listed()) == [f"{toy.name}-a-1", f"{toy.name}-b-1"]
    assert docker("inspect", "--format", "{{.Id}}", f"{toy.name}-b-1") == kept


def labels(toy: DockerProject, service: str) -> list[str]:
    said = {"project": toy.name, "service": service, "oneoff": "False", "container-number": "1"}
    labels = ["pulpo.project=toy", *(f"com.docker.compose.{key}={value}" for key, value in said.items())]
    return [word for label in labels for word in ("--label", label)]
