"""What is said where there is no Docker to work with: one message for each thing that can be missing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pulpo.apply.services.engine import DockerError, Engine, NoEngineError
from tests.docker_engine import docker_engine  # noqa: F401 - a fixture

real = pytest.mark.usefixtures("docker_engine")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A `docker` of the test's own, the only program on PATH: what it says for each first word, and its exit code."""

    def _fake(**answers: tuple[str, int]) -> None:
        cases = "\n".join(
            f"  *{word}*) echo '{text}' >&{2 if code else 1}; exit {code};;" for word, (text, code) in answers.items()
        )
        path = tmp_path / "docker"
        path.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\nesac\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("DOCKER_HOST", raising=False)

    return _fake


def refused(engine: Engine) -> NoEngineError:
    with pytest.raises(NoEngineError) as caught:
        engine.check()
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value


def test_no_docker_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused(Engine())
    assert str(error) == "there is no `docker` on PATH"
    assert "--mode local" in error.hint


@pytest.mark.docker
@real
def test_a_daemon_that_does_not_answer_is_told_with_where_it_would_be(tmp_path: Path):
    error = refused(Engine(host=f"unix://{tmp_path}/nobody.sock"))
    assert str(error).startswith(f"the Docker daemon does not answer at unix://{tmp_path}/nobody.sock: ")
    assert "systemctl start docker" in error.hint


def test_a_host_that_is_not_reached_is_not_told_to_start_a_service_of_this_machine(fake):
    fake(version=("error during connect: ssh: connect to host nowhere port 22: Connection refused", 1))
    error = refused(Engine(host="ssh://me@nowhere"))
    assert (
        str(error)
        == "the Docker daemon does not answer at ssh://me@nowhere: ssh: connect to host nowhere port 22: Connection refused"
    )
    assert "systemctl" not in error.hint


def test_no_permission(fake):
    said = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
    fake(context=("unix:///var/run/docker.sock", 0), version=(said, 1))
    error = refused(Engine())
    assert str(error) == "you have no permission to talk to the Docker daemon at: unix:///var/run/docker.sock"
    assert "usermod -aG docker" in error.hint


@pytest.mark.docker
@real
@pytest.mark.parametrize("host", [None, "unix:///nobody.sock"])
def test_a_context_that_is_not_there_is_told_with_those_that_are(host: str | None, monkeypatch: pytest.MonkeyPatch):
    if host:
        monkeypatch.setenv("DOCKER_HOST", host)
    error = refused(Engine(context="defualt"))
    assert str(error) == "there is no Docker context: defualt"
    assert "default" in error.hint


@pytest.mark.docker
@real
def test_a_context_that_is_not_there_is_told_where_the_stack_s_name_is_asked_for():
    with pytest.raises(NoEngineError, match="there is no Docker context: nope"):
        _ = Engine(context="nope").is_remote


def test_no_compose_plugin(fake):
    fake(compose=("docker: unknown command: docker compose", 1), version=("28.0", 0))
    assert str(refused(Engine())) == "Docker has no Compose plugin"


@pytest.mark.parametrize("version", ["2.23.0", "v2.17.2", "2.9.0-3"])
def test_a_compose_that_is_too_old_is_told_with_the_oldest_that_works_and_why(fake, version: str):
    fake(compose=(version, 0), version=("28.0", 0))
    error = refused(Engine())
    assert str(error) == f"Docker Compose {version} is too old; the oldest that works is: 2.24"
    assert "config --hash" in error.hint


@pytest.mark.parametrize("version", ["2.24.0", "v2.26.1-4", "2.101.0", "5.0.0", "dev"])
def test_a_compose_that_is_new_enough_is_fine(fake, version: str):
    fake(compose=(version, 0), version=("28.0", 0))
    Engine().check()


@pytest.mark.docker
@real
def test_the_engine_of_this_machine_is_fine_and_near():
    Engine().check()
    assert not Engine().is_remote
    assert Engine(host="ssh://me@example.org").is_remote


@pytest.mark.docker
@real
def test_what_docker_refuses_is_told_with_its_last_line():
    with pytest.raises(DockerError) as caught:
        Engine().run("volume", "inspect", "there-is-no-such-volume")
    assert "no such volume" in caught.value.reason.lower()


@pytest.mark.docker
@real
def test_what_python_on_whales_is_refused_is_the_same_error():
    with pytest.raises(DockerError, match="No such container"), Engine().client() as client:
        client.container.stop("there-is-no-such-container")


@pytest.mark.docker
@real
def test_a_stream_ends_when_nobody_reads_it_any_more():
    with Engine().lines("events", "--filter", "label=nobody") as lines:
        child = lines.gi_frame.f_locals["child"]
        assert child.poll() is None
    assert child.poll() is not None
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
