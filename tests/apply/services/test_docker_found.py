"""Containers of a project whose lock has errors, of a real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulpo.cli.app import CLI
from pulpo.settings import LOCK_NAME
from tests.apply.services.docker_project import DockerProject, server, talker
from tests.docker_engine import docker, docker_engine  # noqa: F401 - a fixture
from tests.services.conftest import until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]


@pytest.fixture
def toy(tmp_path: Path):
    """A project of two services, up; nothing of it is left after the test."""
    project = DockerProject(tmp_path / "toy")
    project.write({"back": server(), "far": talker("hello")}, name="plaything")
    text = (project.root / LOCK_NAME).read_text()
    project.up()
    yield project
    (project.root / LOCK_NAME).write_text(text)
    project.down(volumes=True)


def left(kind: str, stack: str) -> list[str]:
    words, name = (["ps", "--all"], "{{.Names}}") if kind == "ps" else ([kind, "ls"], "{{.Name}}")
    return docker(*words, "--filter", f"label=com.docker.compose.project={stack}", "--format", name).split()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("services:", "sevrices:"), "found by the labels of their containers"),
        (lambda text: text.replace("grace: 0", "grace: 0\n    depends_on: [far]"), "found by the labels of their containers"),
        (lambda text: text + ": {", "labels on this machine's engine; whether it names another can't be read"),
    ],
    ids=["unknown key", "circle", "no YAML"],
)
def test_containers_are_seen_and_taken_down_whatever_the_lock_is(toy: DockerProject, change, said: str):
    files = {path: path.read_bytes() for path in (toy.root / "run_cache").glob("*") if path.is_file()}
    name = toy.name
    (toy.root / LOCK_NAME).write_text(change((toy.root / LOCK_NAME).read_text()))
    cli, warnings = CLI(toy.root, mode="docker"), []
    cli.on_warning = warnings.append
    until(lambda: {service.state for service in cli.status()} == {"running"})  # without their probes it takes a moment
    assert [(service.name, service.differs, service.orphan) for service in cli.status()] == [
        ("back", False, False),
        ("far", False, False),
    ]
    assert said in warnings[0]
    assert [line.text for line in cli.logs("far")] == ["hello"]
    cli.down("far")
    assert left("ps", name) == [f"{name}-back-1"]
    cli.down()
    assert left("ps", name) == left("network", name) == []
    assert files == {path: path.read_bytes() for path in files}


def test_one_container_is_read_and_stopped_whatever_the_lock_is(tmp_path: Path):
    project = DockerProject(tmp_path / "toy")
    project.write({"back": talker(), "prefect": talker("hello")}, name="plaything")
    lock, text = project.root / LOCK_NAME, (tmp_path / "toy" / LOCK_NAME).read_text()
    project.up()
    try:
        lock.write_text(text.replace("services:", "sevrices:"))
        cli, warnings = CLI(project.root, mode="docker"), []
        cli.on_warning = warnings.append
        assert [line.text for line in cli.prefect_logs()] == ["hello"]
        assert (cli.prefect_stop(), cli.prefect_stop(), cli.ui_stop(), list(cli.api_logs())) == (True, False, False, [])
        assert {service.name: str(service.state) for service in cli.status()}["back"] == "running"
        assert all("found by the labels of their containers" in warning for warning in warnings)
    finally:
        lock.write_text(text)
        project.down(volumes=True)
