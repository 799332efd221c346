"""`plan`, `apply` and `destroy` where services are containers."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time

import pytest

from pulpo import CLI
from pulpo.apply.services.manager import ServiceManager
from pulpo.apply.services.stack import Compose
from pulpo.errors import UsageError
from pulpo.manifest.load import load
from pulpo.services.local import LocalServices
from pulpo.services.spec import Address, LocalService
from pulpo.settings import find_project
from tests.apply.services.docker_project import DockerProject, server, talker
from tests.docker_engine import PYTHON_IMAGE, docker, docker_engine, over_tcp  # noqa: F401 - a fixture

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    project = DockerProject(tmp_path / "toy")
    yield project
    project.down(volumes=True)


@pytest.fixture
def far():
    with over_tcp() as host:
        yield host


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
    toy.write(
        {
            "a": talker(command=["python", "-u", "-c", "raise SystemExit('no luck today')"]),
            "b": talker(),
            "c": talker(depends_on=["a"]),
            "d": talker(depends_on=["c"]),
        }
    )
    applied = CLI(toy.root).apply()
    assert {one.change.address: (one.outcome, one.reason) for one in applied.settled if one.change.address != "service:a"} == {
        "service:b": ("done", None),
        "service:c": ("untried", "it needs a, which failed"),
        "service:d": ("untried", "it needs c, which failed"),
    }
    assert [one.change.address for one in applied.settled if one.outcome == "failed"] == ["service:a"]
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


def ports(toy: DockerProject) -> str:
    return (toy.root / "run_cache" / "services" / "ports.json").read_text()


def test_what_was_left_in_the_middle_of_replacing_is_a_change_of_its_own(toy):
    toy.write({"a": talker()})
    toy.up()
    kept, left = toy.ids(), f"0123456789ab_{toy.name}-a-1"
    said = {"project": toy.name, "service": "a", "oneoff": "False", "container-number": "1"}
    labels = [word for key, value in said.items() for word in ("--label", f"com.docker.compose.{key}={value}")]
    labels += ["--label", "pulpo.project=toy"]
    docker("create", "--name", left, *labels, PYTHON_IMAGE, "sleep", "1000")
    cli = CLI(toy.root)
    assert changes(cli.plan()) == [f"delete service:{left}"]
    assert cli.apply().ok
    assert (toy.ids(), bool(cli.plan())) == (kept, False)


def test_a_port_that_a_process_of_the_project_has_is_not_given_up(toy):
    toy.write({"a": server()})
    assert CLI(toy.root).plan()
    chosen = ports(toy)
    port = json.loads(chosen)["a"]
    services = LocalServices(toy.root / "run_cache")
    command = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port))
    services.start(LocalService("a", command, str(toy.root), addresses=(Address("127.0.0.1", port),)))
    try:
        assert CLI(toy.root).plan()
        assert ports(toy) == chosen
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1 is taken"):
            toy.up()
    finally:
        services.stop("a")
    assert ports(toy) == chosen


def test_a_port_that_a_container_of_the_project_has_is_not_given_up(toy):
    toy.write({"a": server()})
    toy.up()
    chosen = ports(toy)
    project = find_project(toy.root)
    processes = ServiceManager(project, *load(project.lock_path), mode="local")
    with pytest.raises(UsageError, match=f"port {json.loads(chosen)['a']} of 127.0.0.1 is taken"):
        processes.up("a")
    assert ports(toy) == chosen


def test_looking_gives_up_no_port_that_somebody_else_took(toy):
    toy.write({"a": server()})
    assert CLI(toy.root).plan()
    chosen = ports(toy)
    with socket.create_server(("127.0.0.1", json.loads(chosen)["a"])):
        assert CLI(toy.root).plan()
        assert ports(toy) == chosen
        toy.up()
        assert ports(toy) != chosen


def test_what_runs_on_another_machine_is_not_looked_for_on_this_one(far, toy, monkeypatch):
    name = f"far-{random.randrange(10**9)}"  # whose stack has no digest of the checkout in its name
    toy.write({"db": server(engine="mongodb"), "prefect": server()}, name=name, docker={"host": far})
    cli = CLI(toy.root)
    toy.up()
    notes = {note.address: note.message for part in cli.plan().parts for note in part.plan.notes}
    assert "set PULPO_DB_URI" in notes["database"]
    assert "set PREFECT_API_URL" in notes["prefect"]
    for act in (cli.prefect_deploy, cli.db_init):
        with pytest.raises(UsageError, match="runs on another machine, and where it is reached from here is not said"):
            act()
    assert "/api/" not in "".join(line.text for line in cli.logs("prefect"))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")  # where nobody is
    with pytest.raises(UsageError) as caught:
        cli.plan()
    assert "another machine" not in caught.value.message


def test_a_service_that_only_the_override_has_is_applied_and_read_like_any_other(toy):
    toy.write({"a": talker()})
    extra = {"image": PYTHON_IMAGE, "command": ["sh", "-c", "echo hello; sleep 1000"], "stop_grace_period": "0s"}
    (toy.root / "docker-compose.override.yml").write_text(json.dumps({"services": {"extra": extra}}))
    cli = CLI(toy.root)
    assert changes(cli.plan()) == ["create service:a", "create service:extra"]
    applied = cli.apply()
    assert ({one.change.address: one.outcome for one in applied.settled}, applied.ok) == (
        {"service:a": "done", "service:extra": "done"},
        True,
    )
    assert [str(status.state) for status in cli.status("extra")] == ["running"]
    names, lines = cli.named_logs("extra")
    assert (names, [line.text for line in lines]) == (("extra",), ["hello"])
    with pytest.raises(UsageError, match="there is no such service: extr") as caught:
        cli.status("extr")
    assert caught.value.hint == "did you mean 'extra'?"
    assert cli.destroy(data=True).ok
    assert toy.left() == []


def test_where_nothing_changes_containers_are_compared_once_to_plan_and_once_to_check(toy, monkeypatch):
    toy.write({"a": talker()})
    toy.up()
    asked = []
    hashes = Compose.hashes
    monkeypatch.setattr(Compose, "hashes", lambda compose: asked.append(compose) or hashes(compose))
    assert CLI(toy.root).apply().ok
    assert len(asked) == 2
    assert str(toy.manager().state("a")) == "running"
    assert len(asked) == 2
