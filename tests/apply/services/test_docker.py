"""Services as containers of a real engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulpo.apply.services.comparing import OTHERWISE
from pulpo.apply.services.engine import NoEngineError
from pulpo.apply.services.status import ServiceError
from pulpo.errors import DiagnosticsError, UsageError
from tests.apply.services.docker_project import COMMAND, DockerProject, python, server, talker
from tests.docker_engine import PYTHON_IMAGE, docker, docker_engine  # noqa: F401 - a fixture
from tests.ports import free_port

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]


@pytest.fixture
def toy(tmp_path: Path):
    """A project; nothing of it is left after the test."""
    project = DockerProject(tmp_path / "toy")
    yield project
    project.down(volumes=True)


def running(name: str) -> bool:
    return docker("inspect", "--format", "{{.State.Running}}", name).strip() == "true"


def until(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_services_come_up_in_order_and_a_second_up_does_nothing(toy: DockerProject):
    toy.write({"web": server(), "back": talker(depends_on=["web"]), "far": talker(depends_on=["back"])})
    events = toy.up()
    assert [e for e in events if e[1] == "running"] == [("web", "running"), ("back", "running"), ("far", "running")]
    assert events.index(("web", "running")) < events.index(("back", "starting"))
    assert events.index(("back", "running")) < events.index(("far", "starting"))

    web = toy.manager().status("web")[0]
    assert urllib.request.urlopen(web.addresses[0], timeout=5).status == 200
    assert (web.state, web.differs, web.restarts, web.exit_code) == ("running", False, 0, None)

    before = toy.ids()
    began = time.monotonic()
    assert toy.up() == [("web", "unchanged"), ("back", "unchanged"), ("far", "unchanged")]
    assert time.monotonic() - began < 3
    assert toy.ids() == before


def test_a_second_up_asks_each_question_once(toy: DockerProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    toy.write({"web": server(), "back": server(depends_on=["web"]), "far": talker(depends_on=["back"])})
    toy.up()
    calls, program = tmp_path / "calls", tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexec {shutil.which("docker")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert {what for _, what in toy.up()} == {"unchanged"}
    asked = sorted(line.split()[0] for line in calls.read_text().splitlines())
    assert asked == ["compose", "container", "context", "image", "logs", "ps"]


def test_what_changed_is_made_anew_with_what_needs_it_and_nothing_else(toy: DockerProject):
    services = {"a": talker(), "b": talker(depends_on=["a"]), "other": talker()}
    toy.write(services)
    toy.up()
    before = toy.ids()

    toy.write({**services, "a": {**services["a"], "environment": {"X": "1"}}})
    assert {s.name for s in toy.manager().status() if s.differs} == {"a"}
    plan = toy.manager().plan()
    assert [(c.address, c.cause) for c in plan.changes] == [
        ("service:a", "changed in the manifest"), ("service:b", "needs a, which is made anew"),
    ]  # fmt: skip
    toy.up()
    after = toy.ids()
    assert after["other"] == before["other"]
    assert after["a"] != before["a"]
    assert after["b"] != before["b"]
    assert not toy.manager().plan()


def test_each_edit_is_told_with_its_fields_and_its_cause_and_no_value_of_the_environment(
    toy: DockerProject, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TOKEN", "s3cret")
    monkeypatch.setenv("WORD", "s3cret$word")
    one = talker(environment={"T": "${TOKEN}", "THEME": "s3cret theme"}, ports=["auto:9000"])
    one["command"] += ["it costs $$5", "${WORD}"]
    toy.write({"one": one})
    toy.up()

    def planned(**changed: Any) -> list[str]:
        toy.write({"one": {**one, **changed}})
        plan = toy.manager().plan()
        assert "s3cret" not in repr(plan)
        return str(plan).splitlines()[:-1]

    assert planned() == []
    before, port = json.dumps(one["command"]), free_port()
    assert planned(command=[*one["command"], "more"], ports=[f"{port}:9000"]) == [
        "± service:one  changed in the manifest",
        f'    command: {before} → {before[:-1]}, "more"]',
        f'    ports: ["auto:9000"] → ["{port}:9000"]',
    ]
    assert planned(image="python:other") == [
        "± service:one  changed in the manifest", f'    image: "{PYTHON_IMAGE}" → "python:other"',
    ]  # fmt: skip
    assert planned(environment={"T": "${TOKEN}", "THEME": "s3cret other"}) == [
        "± service:one  changed in the manifest", "    environment.THEME: changed",
    ]  # fmt: skip
    monkeypatch.setenv("TOKEN", "s3cret 2")
    assert planned() == ["± service:one  a variable's value changed: TOKEN", "    environment.T: changed"]
    monkeypatch.setenv("TOKEN", "s3cret")
    monkeypatch.setenv("WORD", "s3cret 3")
    assert planned() == ["± service:one  a variable's value changed: WORD", "    command: changed"]
    monkeypatch.setenv("WORD", "s3cret$word")
    override = {"services": {"one": {"environment": {"EXTRA": "s3cret"}, "cap_drop": ["ALL"]}}}
    (toy.root / "docker-compose.override.yml").write_text(yaml.safe_dump(override))
    assert planned() == [f"± service:one  {OTHERWISE}", "    environment.EXTRA: changed"]
    toy.up()
    assert planned() == []


def test_a_service_of_an_image_that_was_made_anew_is_made_anew(toy: DockerProject, tmp_path: Path):
    def build(text: str) -> str:
        (tmp_path / "Dockerfile").write_text(f"FROM {PYTHON_IMAGE}\nLABEL text={text}\n")
        return docker("build", "--quiet", "--tag", "pulpo-test/anew", str(tmp_path)).strip()

    images = [build("one")]
    toy.write({"a": talker(image="pulpo-test/anew")})
    toy.up()
    before = toy.ids()
    images.append(build("two"))
    assert [c.cause for c in toy.manager().plan().changes] == ["its image was made anew"]
    toy.up()
    assert toy.ids() != before
    assert not toy.manager().plan()
    toy.down()
    docker("image", "rm", "--force", *images)


def test_only_what_is_named_comes_up_with_what_it_needs(toy: DockerProject):
    toy.write({"a": talker(), "b": talker(depends_on=["a"]), "c": talker()})
    toy.up("b")
    assert toy.states() == {"a": "running", "b": "running", "c": "absent"}
    toy.down("a")
    assert toy.listed() == []


def test_replicas_are_told_and_brought_to_another_number(toy: DockerProject):
    toy.write({"a": talker(replicas=2)})
    toy.up()
    assert toy.manager().status("a")[0].replicas == 2
    toy.write({"a": talker(replicas=3)})
    toy.up()
    assert (toy.manager().status("a")[0].replicas, bool(toy.manager().plan())) == (3, False)
    docker("rm", "--force", f"{toy.name}-a-2")
    assert [c.cause for c in toy.manager().plan().changes] == ["another number of it runs"]
    toy.up()
    assert toy.manager().status("a")[0].replicas == 3


def test_a_killed_one_comes_back(toy: DockerProject):
    toy.write({"a": talker(restart="always")})
    toy.up()
    pid = docker("inspect", "--format", "{{.State.Pid}}", toy.listed()[0]).strip()
    subprocess.run(["kill", "-9", pid], check=True)
    until(lambda: docker("inspect", "--format", "{{.State.Pid}}", toy.listed()[0]).strip() not in (pid, "0"))
    until(lambda: toy.states() == {"a": "running"})
    assert toy.manager().status("a")[0].restarts == 1


def test_one_that_was_stopped_is_started_again(toy: DockerProject):
    toy.write({"a": talker(), "b": talker(depends_on=["a"])})
    toy.up()
    before = toy.ids()
    toy.manager().stop("a")
    assert toy.states() == {"a": "stopped", "b": "running"}
    toy.up()
    assert toy.states() == {"a": "running", "b": "running"}
    assert toy.ids() == before


#: Ends with 3 by itself, and with 0 when it is asked to.
ENDING = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
    "print('so it is'); time.sleep({}); raise SystemExit(3)"
)


@pytest.mark.parametrize("lives", [0, 0.5])
def test_one_that_ends_again_and_again_fails_and_the_others_are_up(toy: DockerProject, lives: float):
    bad = python(ENDING.format(lives), restart="always", probe={"log": "never"}) | {"grace": 2}
    toy.write({"bad": bad, "good": talker(), "needs-bad": talker(depends_on=["bad"])})
    with pytest.raises(ServiceError) as caught:
        toy.up()
    assert caught.value.services == ("bad",)
    assert "bad ended again and again before it was ready, with exit code: 3\n  so it is" in str(caught.value)
    assert toy.states() == {"bad": "failed", "good": "running", "needs-bad": "absent"}
    status = toy.manager().status("bad")[0]
    assert status.lines[-1] == "so it is"
    assert re.fullmatch(r"it ended, \d times by now, (with exit code: 3|and was stopped)", status.error or "")


def test_one_that_ended_again_and_again_has_failed_whatever_it_did_when_it_was_stopped(toy: DockerProject):
    counted = "import pathlib; runs = pathlib.Path('/tmp/runs'); runs.open('a').write('x'); "
    lasts = "8 if runs.stat().st_size > 3 else 0"  # its fourth run
    toy.write({"bad": python(counted + ENDING.format(lasts), restart="always") | {"grace": 2}})
    toy.up(wait=False)
    until(lambda: docker("logs", toy.listed()[0]).count("so it is") == 4)
    toy.manager().stop("bad")
    status = toy.manager().status("bad")[0]
    assert (status.state, status.exit_code) == ("failed", 0)
    assert re.fullmatch(r"it ended, \d times by now, and was stopped", status.error or "")


def test_one_that_is_not_ready_in_time_is_stopped_and_told_with_its_lines(toy: DockerProject):
    toy.write({"slow": python("import time; print('still at it'); time.sleep(1000)", probe={"log": "never", "timeout": 2})})
    with pytest.raises(ServiceError, match="slow is not ready after 2 s\n  still at it"):
        toy.up()
    assert not running(toy.listed()[0])


def test_a_job_that_ends_well_has_ended(toy: DockerProject):
    toy.write({"job": python("pass", restart="no"), "after": talker(depends_on=["job"])})
    toy.up()
    assert toy.states() == {"job": "exited", "after": "running"}


def test_a_service_that_ignores_term_is_killed_after_its_grace(toy: DockerProject):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(1000)"
    toy.write({"deaf": python(code, probe={"log": "ready"}) | {"grace": 1}})
    toy.up()
    began = time.monotonic()
    toy.down()
    assert 1 <= time.monotonic() - began < 8
    assert toy.listed() == []


def test_down_leaves_nothing_but_the_data_which_is_there_after_the_next_up(toy: DockerProject):
    code = "import pathlib, time; p = pathlib.Path('/data/n'); p.open('a').write('x'); print('ready', p.read_text()); time.sleep(1000)"
    toy.write({"a": python(code, probe={"log": "ready"}, volumes=["kept:/data"]), "web": server()})
    toy.up()
    port = int(toy.manager().status("web")[0].addresses[0].rpartition(":")[2])
    toy.down()
    assert toy.left() == docker("volume", "ls", "--quiet", "--filter", f"name={toy.name}_kept").split()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
    toy.up()
    assert [line.text for line in toy.manager().logs("a")] == ["ready xx"]
    assert toy.manager().status("web")[0].addresses[0].endswith(f":{port}")
    toy.down(volumes=True)
    assert toy.left() == []


def test_two_projects_and_two_checkouts_are_side_by_side(toy: DockerProject, tmp_path: Path):
    other = DockerProject(tmp_path / "other")
    for project in (toy, other):
        project.write({"web": server()})
        project.up()
    try:
        assert toy.name != other.name
        addresses = {project.manager().status("web")[0].addresses[0] for project in (toy, other)}
        assert len(addresses) == 2
        other.down()
        assert toy.states() == {"web": "running"}
    finally:
        other.down(volumes=True)


def test_containers_of_others_are_left_alone(toy: DockerProject):
    mine = docker("run", "--detach", "--label", "pulpo.project=toy", PYTHON_IMAGE, "sleep", "1000").strip()
    try:
        toy.write({"a": talker()})
        toy.up()
        toy.down(volumes=True)
        assert running(mine)
    finally:
        docker("rm", "--force", mine)


def test_what_left_the_manifest_is_an_orphan_until_everything_is_brought_up(toy: DockerProject):
    toy.write({"a": talker(), "b": talker(), "gone": talker()})
    toy.up()
    toy.write({"a": talker(), "b": talker()})
    assert [(s.name, s.orphan) for s in toy.manager().status() if s.orphan] == [("gone", True)]
    toy.up("a", "b")
    assert set(toy.ids()) == {"a", "b", "gone"}
    toy.up()
    assert set(toy.ids()) == {"a", "b"}


def test_a_taken_port_is_told_with_who_has_it(toy: DockerProject):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        services = {"web": server(ports=[f"{port}:9000"]), "needs-web": talker(depends_on=["web"])}
        toy.write(services)
        with pytest.raises(
            UsageError, match=f"web can't listen: port {port} of 127.0.0.1 is taken by .*process {os.getpid()}"
        ) as caught:
            toy.up()
        assert caught.value.hint == "stop that, or write another port, or auto, into services.web.ports"
        status = toy.manager().status("web")[0]
        assert (status.state, status.error) == ("failed", f"it did not start: port {port} of 127.0.0.1 is taken")
        assert toy.states()["needs-web"] == "absent"

        toy.write({**services, "bad": {"image": PYTHON_IMAGE, "command": ["there-is-no-such-program"]}})
        with pytest.raises(
            ServiceError, match=rf"(?s)there-is-no-such-program.*port {port} .*\n  stop that, or write"
        ) as several:
            toy.up()
        assert several.value.services == ("bad", "web")
    toy.write(services)
    toy.up()
    assert toy.states() == {"web": "running", "needs-web": "running"}


def test_two_that_run_exchange_their_ports(toy: DockerProject):
    one, other = free_port(), free_port()
    toy.write({"a": server(ports=[f"{one}:9000"]), "b": server(ports=[f"{other}:9000"], depends_on=["a"])})
    toy.up()
    toy.write({"a": server(ports=[f"{other}:9000"]), "b": server(ports=[f"{one}:9000"], depends_on=["a"])})
    toy.up()
    addresses = {status.name: status.addresses for status in toy.manager().status("a", "b")}
    assert addresses == {"a": (f"http://127.0.0.1:{other}",), "b": (f"http://127.0.0.1:{one}",)}


def test_an_image_that_is_not_there_is_told_and_the_others_are_up(toy: DockerProject):
    toy.write({"a": talker(), "bad": talker(image="localhost:1/there/is/none:7")})
    with pytest.raises(
        ServiceError, match="bad has no image: localhost:1/there/is/none:7 is not here and can't be pulled"
    ) as caught:
        toy.up()
    assert caught.value.message.endswith("\n  is services.bad.image right? else pull or load it by hand")
    assert toy.states() == {"a": "running", "bad": "absent"}


def test_a_command_that_is_not_there_is_told(toy: DockerProject):
    toy.write({"a": {"image": PYTHON_IMAGE, "command": ["there-is-no-such-program"]}})
    with pytest.raises(ServiceError, match=r"a: .*there-is-no-such-program.*not found"):
        toy.up()
    assert toy.states() == {"a": "failed"}


def test_a_variable_that_is_not_set_is_told_before_anything_happens(toy: DockerProject):
    toy.write({"a": talker(environment={"TOKEN": "${THERE_IS_NO_TOKEN}"})})
    with pytest.raises(DiagnosticsError, match="THERE_IS_NO_TOKEN"):
        toy.up()
    assert toy.listed() == []


def test_no_secret_is_in_the_file(toy: DockerProject, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOKEN", "a-secret")
    toy.write(
        {"a": python("import os; print('got', os.environ['T'])", environment={"T": "${TOKEN}"}, probe={"log": "got a-secret"})}
    )
    toy.write({"a": talker(environment={"T": "${TOKEN}"})})
    toy.up()
    assert "a-secret" in docker("inspect", toy.listed()[0])
    assert not [p for p in (toy.root / "run_cache").rglob("*") if p.is_file() and b"a-secret" in p.read_bytes()]


def test_the_user_s_override_is_laid_over_and_may_have_services_of_its_own(toy: DockerProject):
    toy.write({"a": talker()})
    extra = {"image": PYTHON_IMAGE, "command": ["sleep", "1000"], "stop_grace_period": "0s"}
    override = {"services": {"a": {"environment": {"EXTRA": "yes"}}, "extra": extra}}
    (toy.root / "docker-compose.override.yml").write_text(yaml.safe_dump(override))
    toy.up()
    assert set(toy.ids()) == {"a", "extra"}
    assert "EXTRA=yes" in docker("inspect", toy.ids()["a"])
    assert not toy.manager().plan()
    assert toy.states() == {"a": "running", "extra": "running"}
    toy.down()
    assert toy.left() == []


def test_plain_docker_compose_works_on_the_same_stack(toy: DockerProject):
    toy.write({"web": server(), "a": talker(depends_on=["web"])})
    toy.up()
    before = toy.ids()
    compose = ["docker", "compose", "--file", str(toy.root / "run_cache" / "docker-compose.yml")]
    subprocess.run([*compose, "up", "--detach"], check=True, capture_output=True)
    assert toy.ids() == before
    subprocess.run([*compose, "down"], check=True, capture_output=True)
    assert toy.listed() == []


def test_lines_of_several_services_are_merged_by_time(toy: DockerProject):
    loop = "import time, sys\nfor i in range(3): print('{0}', i); time.sleep(0.2)\nprint('ready'); time.sleep(1000)"
    toy.write({name: python(loop.format(name), probe={"log": "ready"}) for name in ("a", "b")})
    toy.up()
    lines = list(toy.manager().logs())
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert sorted(line.text for line in lines) == sorted([f"{n} {i}" for n in "ab" for i in range(3)] + ["ready"] * 2)
    assert [line.text for line in toy.manager().logs("a", tail=1)] == ["ready"]
    assert list(toy.manager().logs("a", since=lines[-1].time + (lines[-1].time - lines[0].time) * 100)) == []


def test_followed_lines_go_on_over_a_restart_and_what_reads_them_ends_with_the_generator(toy: DockerProject):
    code = "import time\nprint('begin')\nfor i in range(10000): print('line', i); time.sleep(0.05)"
    toy.write({"a": python(code, probe={"log": "begin"}, restart="always")})
    toy.up()
    lines = toy.manager().logs("a", follow=True)
    assert [next(lines).text for _ in range(4)] == ["begin", "line 0", "line 1", "line 2"]
    docker("restart", "--time", "0", toy.listed()[0])
    until(lambda: next(lines).text == "begin")
    assert "line 0" in next(lines).text
    assert readers(toy)
    lines.close()
    assert readers(toy) == []


def test_what_reads_lines_ends_with_a_process_that_is_killed(toy: DockerProject):
    toy.write({"a": talker()})
    toy.up()
    code = COMMAND[2].replace(".up()", ".logs(follow=True).__next__(); import time; time.sleep(1000)")
    child = subprocess.Popen([COMMAND[0], "-c", code, str(toy.root)])
    until(lambda: readers(toy))
    child.kill()
    child.wait()
    until(lambda: not readers(toy))


def readers(project: DockerProject) -> list[str]:
    """Processes that read the log of the project's first container."""
    ids = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label=com.docker.compose.project={project.name}").split()
    listed = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "--follow" in line and any(one in line for one in ids)]


def test_an_interrupt_stops_what_is_not_ready_yet_and_the_next_up_goes_on(toy: DockerProject):
    waiting = python("import time; print('begin'); time.sleep(1000)", probe={"log": "never", "timeout": 60})
    toy.write({"a": talker(), "b": {**waiting, "depends_on": ["a"]}})
    child = subprocess.Popen([*COMMAND, str(toy.root)], stderr=subprocess.DEVNULL)
    until(lambda: toy.states().get("b") == "starting")
    child.send_signal(signal.SIGINT)
    child.wait(20)
    assert toy.states() == {"a": "running", "b": "stopped"}
    toy.write({"a": talker(), "b": {**waiting, "depends_on": ["a"], "probe": {"log": "begin"}}})
    assert toy.up()[0] == ("a", "unchanged")
    assert toy.states() == {"a": "running", "b": "running"}


def test_two_ups_at_once_both_succeed(toy: DockerProject):
    toy.write({"a": talker(), "b": talker(depends_on=["a"])})
    children = [subprocess.Popen([*COMMAND, str(toy.root)]) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    assert toy.states() == {"a": "running", "b": "running"}


def test_up_without_an_engine_says_what_is_missing(toy: DockerProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    toy.write({"a": talker()})
    with monkeypatch.context() as patched:
        patched.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
        for act in (toy.up, toy.states, toy.down, toy.manager().plan):
            with pytest.raises(NoEngineError, match=r"the Docker daemon does not answer at unix:///.*nobody.sock"):
                act()
