"""The compiled stack on a Swarm of one node, which is this machine's engine for as long as the test takes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pulpo.apply.services.engine import Engine
from pulpo.apply.services.project_stack import write_files
from pulpo.manifest.load import load
from pulpo.settings import find_project
from tests.apply.services.docker_project import DockerProject, talker
from tests.docker_engine import docker, docker_engine  # noqa: F401 - a fixture

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]


@pytest.fixture
def swarm():
    if json.loads(docker("info", "--format", "{{json .Swarm.LocalNodeState}}")) != "inactive":
        pytest.fail("this engine is part of a Swarm already, which the test would leave")
    networks = docker("network", "ls", "--format", "{{.Name}}").split()
    docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    yield
    docker("swarm", "leave", "--force")
    if "docker_gwbridge" not in networks:  # a Swarm leaves it behind
        docker("network", "rm", "docker_gwbridge")


@pytest.mark.usefixtures("swarm")
def test_the_compiled_stack_runs_on_a_swarm(tmp_path: Path):
    toy = DockerProject(tmp_path / "toy")
    toy.write({"a": talker(replicas=2), "b": talker(depends_on=["a"])})
    project = find_project(toy.root)
    manifest, _ = load(project.lock_path)
    write_files(project, manifest)

    with Engine().client() as client:
        client.stack.deploy("pulpo-test", [project.cache / "docker-stack.yml"], resolve_image="never")
        try:
            wanted = {"pulpo-test_a": "2/2", "pulpo-test_b": "1/1"}
            end = time.monotonic() + 60
            while (found := _replicas()) != wanted:
                assert time.monotonic() < end, found
                time.sleep(0.2)
        finally:
            client.stack.remove("pulpo-test")
            _until_gone("pulpo-test")


def _replicas() -> dict[str, str]:
    return dict(line.split() for line in docker("service", "ls", "--format", "{{.Name}} {{.Replicas}}").splitlines())


def _until_gone(name: str) -> None:
    label = f"label=com.docker.stack.namespace={name}"
    end = time.monotonic() + 60
    while docker("ps", "--all", "--quiet", "--filter", label) or docker("network", "ls", "--quiet", "--filter", label):
        assert time.monotonic() < end
        time.sleep(0.2)
