"""Services brought up and down as processes of this machine, with real ones."""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import socket
import sys
import time
import tracemalloc
import urllib.request

import psutil
import pytest

from pulpo.apply.services.observed import status_of
from pulpo.apply.services.status import ServiceError, State
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.services.local import LocalServices
from pulpo.services.ports import PortTakenError, is_free
from pulpo.services.spec import Address
from pulpo.services.state import ServiceState, Status
from tests.apply.services.local_stack import Stack, command, has_ended, until
from tests.ports import free_port


@pytest.fixture
def stack(tmp_path):
    """Makes a project with services; what a test leaves running is ended after it."""
    made: list[Stack] = []

    def _stack(services: str, name: str = "toys") -> Stack:
        made.append(Stack(tmp_path / name))
        made[-1].write(services)
        return made[-1]

    yield _stack
    for found in made:
        found.end()
        assert not found.processes()


def answer(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as got:
        return got.read().decode()


WEB = f'  web: {{command: {command(port="$PORT")}, ports: ["auto:80"], restart: always}}'
SLEEP = '  quiet: {command: [sleep, "600"]}'


def test_up_brings_up_what_is_needed_first_and_then_leaves_it_alone(stack):
    toys = stack(f"""
  after: {{command: {command()}, depends_on: [base]}}
  base: {{command: {command(port="$PORT")}, ports: ["auto:80"]}}
{SLEEP}""")
    first = toys.up("after")
    assert first == ["base starting", "base running", "after starting", "after running"]
    assert toys.states() == {"base": "running", "after": "running", "quiet": "absent"}
    assert answer(toys.port("base")) == str(toys.status("base").pid)
    pids = [toys.status(name).pid for name in ("base", "after")]
    assert sorted(toys.up()) == ["after unchanged", "base unchanged", "quiet running", "quiet starting"]
    assert sorted(toys.up()) == ["after unchanged", "base unchanged", "quiet unchanged"]
    assert [toys.status(name).pid for name in ("base", "after")] == pids
    assert not toys.manager.plan()


def test_services_that_do_not_need_each_other_start_together(stack):
    """Each is ready only when the other one has begun."""
    probe = "probe: {command: [test, -f, %s]}, restart: always"
    toys = stack(f"""
  left: {{command: [sh, -c, "touch left; sleep 600"], {probe % "right"}}}
  right: {{command: [sh, -c, "touch right; sleep 600"], {probe % "left"}}}""")
    toys.up()
    assert toys.states() == {"left": "running", "right": "running"}


def test_a_service_that_is_killed_comes_back(stack):
    toys = stack(WEB)
    toys.up()
    port, pid = toys.port("web"), toys.status("web").pid
    os.kill(pid, signal.SIGKILL)
    now = until(lambda: (s := toys.status("web")).pid not in (None, pid) and s.state is State.RUNNING and s)
    assert now.restarts == 1
    assert answer(port) == str(now.pid)
    assert toys.up() == ["web unchanged"]


def test_one_whose_keeper_was_killed_is_started_anew(stack):
    toys = stack(WEB)
    toys.up()
    shim = toys.manager._driver._services.state("web").shim_pid
    os.kill(shim, signal.SIGKILL)
    until(lambda: has_ended(shim))
    assert (toys.status("web").state, toys.status("web").error) == (State.FAILED, "what kept it was killed")
    assert toys.up() == ["web starting", "web running"]
    assert answer(toys.port("web")) == str(toys.status("web").pid)


def test_one_that_fails_is_told_with_its_last_lines_and_what_does_not_need_it_is_up(stack):
    toys = stack(f"""
  bad: {{command: {command("crash")}, probe: {{log: at your service}}}}
  needing: {{command: [sleep, "600"], depends_on: [bad]}}
{SLEEP}""")
    events = []
    with pytest.raises(ServiceError) as caught:
        toys.manager.up(on_event=events.append)
    assert "bad ended before it was ready, with exit code: 1\n  begun \n  no database here" in str(caught.value)
    assert (caught.value.services, caught.value.hint) == (("bad",), "pulpo logs bad")
    assert ("needing", "skipped", "it needs bad, which failed") in [(e.service, e.what, e.detail) for e in events]
    assert toys.states() == {"bad": "failed", "needing": "absent", "quiet": "running"}
    assert toys.status("bad").lines[-1] == "no database here"
    assert toys.status("bad").error == "it ended, with exit code: 1"


def test_a_crash_loop_ends_as_failed_with_the_last_lines(stack):
    toys = stack('  loop: {command: [sh, -c, "sleep 0.5; echo out of luck; exit 3"], restart: always}')
    toys.up()
    found = until(lambda: (s := toys.status("loop")).state is State.FAILED and s, 60)
    assert found.error == "it ended after 5 restarts, with exit code: 3"
    assert found.lines[-1] == "out of luck"


def test_one_that_ignores_being_asked_and_its_grandchild_are_ended(stack):
    toys = stack(f'  web: {{command: {command("deaf", "child", port="$PORT")}, ports: ["auto:80"], grace: 1}}')
    toys.up()
    port, pid = toys.port("web"), toys.status("web").pid
    child = int(until(lambda: [line.text for line in toys.manager.logs() if line.text.startswith("child ")])[0].split()[1])
    assert psutil.pid_exists(child)
    assert toys.down() == ["web stopping", "web stopped"]
    assert has_ended(pid)
    assert has_ended(child)
    assert is_free(Address("127.0.0.1", port))


def test_a_grandchild_does_not_outlive_its_parent(stack):
    toys = stack(f'  web: {{command: {command("child", port="$PORT")}, ports: ["auto:80"], restart: always, grace: 1}}')
    toys.up()
    pid = toys.status("web").pid
    child = int(until(lambda: [line.text for line in toys.manager.logs() if line.text.startswith("child ")])[0].split()[1])
    os.kill(pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(child))
    until(lambda: toys.status("web").state is State.RUNNING)


def test_projects_and_checkouts_do_not_see_each_other(stack):
    one, two = stack(WEB, "one"), stack(WEB, "two")
    one.up()
    two.up()
    assert one.port("web") != two.port("web")
    one.down()
    assert one.states() == {"web": "stopped"}
    assert answer(two.port("web")) == str(two.status("web").pid)


def test_down_leaves_nothing_but_data_and_ports_are_the_same_again(stack):
    number = free_port()
    toys = stack(f"""
  db: {{engine: mongodb, command: [{sys.executable}, -m, http.server, "{number}"], ports: ["{number}"]}}
{WEB}""")
    toys.up()
    ports = [toys.port(name) for name in ("db", "web")]
    kept = toys.directory / "run_cache/data/db/kept"
    kept.write_text("x")
    toys.down()
    assert not toys.processes()
    assert all(is_free(Address("127.0.0.1", port)) for port in ports)
    assert toys.down() == []
    toys.up()
    assert kept.exists()
    assert [toys.port(name) for name in ("db", "web")] == ports
    toys.down(volumes=True)
    assert not kept.parent.exists()


def test_down_of_one_takes_what_needs_it_along_and_stop_does_not(stack):
    toys = stack(f"""
  base: {{command: [sleep, "600"]}}
  after: {{command: [sleep, "600"], depends_on: [base]}}
{SLEEP}""")
    toys.up()
    assert toys.down("base") == ["after stopping", "after stopped", "base stopping", "base stopped"]
    assert toys.states() == {"base": "stopped", "after": "stopped", "quiet": "running"}
    toys.up()
    toys.manager.stop("base")
    assert toys.states() == {"base": "stopped", "after": "running", "quiet": "running"}


def test_what_changed_is_started_anew_with_what_needs_it_and_what_left_is_stopped(stack):
    services = """
  base: {{command: [sleep, "{}"]}}
  after: {{command: [sleep, "600"], depends_on: [base]}}
  quiet: {{command: [sleep, "600"]}}"""
    toys = stack(services.format(600) + "\n  gone: {command: [sleep, '600']}")
    toys.up()
    before = {name: toys.status(name).pid for name in ("base", "after", "quiet")}
    toys.write(services.format(601))
    assert toys.status("base").differs
    orphan = toys.manager.status()[-1]
    assert (orphan.name, orphan.orphan, orphan.state) == ("gone", True, State.RUNNING)
    assert [str(change).partition("\n")[0] for change in toys.manager.plan().changes] == [
        "- service:gone  not in the manifest any more",
        "± service:base  changed in the manifest",
        "± service:after  needs base, which is made anew",
    ]
    toys.up()
    after = {name: toys.status(name).pid for name in before}
    assert {name for name in before if before[name] != after[name]} == {"base", "after"}
    assert toys.states() == dict.fromkeys(before, "running")
    assert not toys.manager.plan()


def test_each_edit_is_told_with_its_fields_and_its_cause_and_no_value_of_the_environment(stack, monkeypatch):
    for name, value in (("TOYS_TOKEN", "s3cret"), ("TOYS_WORD", "s3cret word")):
        monkeypatch.setenv(name, value)
    one = """
  one:
    command: [sh, -c, "sleep 600", "${TOYS_WORD}"]
    environment: {TOKEN: "${TOYS_TOKEN}", THEME: s3cret theme}"""
    toys = stack(one)
    toys.up()

    def planned(text: str) -> list[str]:
        toys.write(text)
        plan = toys.manager.plan()
        assert "s3cret" not in repr(plan)
        return str(plan).splitlines()[:-1]

    assert planned(one.replace("sleep 600", "sleep 601") + "\n    ports: ['auto:80']") == [
        "± service:one  changed in the manifest",
        '    command: ["sh", "-c", "sleep 600", "${TOYS_WORD}"] → ["sh", "-c", "sleep 601", "${TOYS_WORD}"]',
        '    ports: unset → ["auto:80"]',
    ]
    assert planned(one.replace("THEME: s3cret theme", "THEME: s3cret other")) == [
        "± service:one  changed in the manifest", "    environment.THEME: changed",
    ]  # fmt: skip
    monkeypatch.setenv("TOYS_TOKEN", "s3cret 2")
    assert planned(one) == ["± service:one  a variable's value changed: TOYS_TOKEN", "    environment.TOKEN: changed"]
    monkeypatch.setenv("TOYS_WORD", "s3cret 3")
    assert planned(one) == [
        "± service:one  a variable's value changed: TOYS_TOKEN, TOYS_WORD",
        "    command: changed",
        "    environment.TOKEN: changed",
    ]
    toys.up()
    assert planned(one) == []


def test_what_left_stays_where_services_were_named_also_if_they_are_all(stack):
    toys = stack(f"{WEB}\n{SLEEP}\n  gone: {{command: [sleep, '600']}}")
    toys.up()
    toys.write(f"{WEB}\n{SLEEP}")
    pid = toys.manager.status()[-1].pid
    assert sorted(toys.up("web", "quiet")) == ["quiet unchanged", "web unchanged"]
    assert not toys.manager.plan("web", "quiet")
    assert sorted(toys.down("web", "quiet")) == ["quiet stopped", "quiet stopping", "web stopped", "web stopping"]
    assert not has_ended(pid)
    assert sorted(toys.down()) == ["gone stopped", "gone stopping"]


def test_replicas_are_processes_of_their_own(stack):
    toys = stack('  many: {command: [sh, -c, "echo hello; sleep 600"], replicas: 3}')
    toys.up()
    assert len({process.pid for process in toys.processes() if "sleep" in process.cmdline()}) == 3
    assert sorted(line.service for line in toys.manager.logs("many")) == ["many", "many.2", "many.3"]
    toys.write('  many: {command: [sh, -c, "echo hello; sleep 600"]}')
    toys.up()
    assert len([process for process in toys.processes() if "sleep" in process.cmdline()]) == 1
    toys.down()
    assert toys.states() == {"many": "stopped"}


def test_two_at_once_bring_it_up_once(stack):
    toys = stack(f"{WEB}\n  after: {{command: [sleep, '600'], depends_on: [web]}}\n{SLEEP}")
    many = [toys.start("up") for _ in range(3)]
    assert [process.wait(60) for process in many] == [0, 0, 0]
    assert set(toys.states().values()) == {"running"}
    assert len([p for p in toys.processes() if "sleep" in p.cmdline()]) == 2
    toys.write(f"{WEB.replace('always', 'no')}\n  after: {{command: [sleep, '600'], depends_on: [web]}}\n{SLEEP}")
    many = [toys.start("up") for _ in range(3)]
    assert [process.wait(60) for process in many] == [0, 0, 0]
    assert not toys.manager.plan()


def test_after_a_kill_at_any_moment_the_next_one_converges(stack):
    toys = stack(f"""
{WEB}
  after: {{command: {command(port="$PORT")}, ports: ["auto:81"], depends_on: [web]}}
{SLEEP}""")
    moments = random.Random(6)
    for _ in range(20):
        process = toys.start("up")
        time.sleep(moments.uniform(0.2, 1.6))
        process.kill()
        process.wait()
        toys.up()
        assert set(toys.states().values()) == {"running"}
        assert not toys.manager.plan()
        assert answer(toys.port("after")) == str(toys.status("after").pid)
        assert len([p for p in toys.processes() if "sleep" in p.cmdline()]) == 1
        toys.down()
        assert not toys.processes()


def test_an_interrupt_stops_what_is_not_ready_and_leaves_what_is(stack):
    toys = stack(f"""
{WEB}
  late: {{command: [sleep, '600'], probe: {{log: never}}, depends_on: [web]}}
  last: {{command: [sleep, '600'], depends_on: [late]}}""")
    process = toys.start("up")
    until(lambda: toys.status("late").state is State.STARTING)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    assert toys.states() == {"web": "running", "late": "stopped", "last": "absent"}


def test_a_taken_port_names_its_holder_and_the_others_are_up(stack):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        toys = stack(f'  web: {{command: {command(port="$PORT")}, ports: ["{port}"]}}\n{SLEEP}')
        with pytest.raises(PortTakenError, match=rf"port {port} of 127.0.0.1 is taken: by .*\(process {os.getpid()}"):
            toys.up()
    assert toys.states() == {"web": "absent", "quiet": "running"}


def test_without_mongod_it_says_what_to_do(stack, monkeypatch, tmp_path):
    toys = stack(f"  db: {{engine: mongodb, ports: [auto]}}\n{SLEEP}")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no `mongod` on PATH, which runs the service: db") as caught:
        toys.up()
    assert "services.db.uri" in caught.value.hint
    assert "engine: embedded" in caught.value.hint
    assert toys.states() == {"db": "absent", "quiet": "absent"}


def test_what_is_not_installed_is_told_at_once_before_anything_starts(stack, monkeypatch):
    toys = stack(f"  prefect: {{ports: [auto]}}\n  worker: {{}}\n  api: {{ports: [auto]}}\n{SLEEP}")
    for package in ("prefect", "fastapi", "uvicorn", "orjson"):
        monkeypatch.setitem(sys.modules, package, None)
    noted = dict(str(note).split("  ", 1) for note in toys.manager.plan().notes)
    assert sorted(noted) == ["service:api", "service:prefect", "service:worker"]
    assert noted["service:worker"] == (
        "can't be brought up here: worker needs a package that is not installed: prefect (pip install 'pulpocore[prefect]')"
    )
    with pytest.raises(UsageError) as caught:
        toys.up()
    assert str(caught.value) == "api, prefect, worker need packages that are not installed: fastapi, orjson, uvicorn, …"
    assert caught.value.hint == "pip install 'pulpocore[api,prefect]'"
    assert set(toys.states().values()) == {"absent"}


def test_a_command_of_ones_own_needs_no_extra(stack, monkeypatch):
    toys = stack('  prefect: {command: [sleep, "600"], probe: {command: ["true"]}}')
    monkeypatch.setitem(sys.modules, "prefect", None)
    assert toys.up() == ["prefect starting", "prefect running"]


def test_an_image_alone_does_not_run_as_a_process(stack):
    toys = stack("  cache: {image: redis}")
    with pytest.raises(UsageError, match="without a command, can't run as a process of this machine: cache"):
        toys.up()


def test_variables_that_are_not_set_are_told_before_anything_starts(stack, monkeypatch):
    monkeypatch.delenv("TOYS_TOKEN", raising=False)
    toys = stack(f'  one: {{command: [sleep, "600"], environment: {{TOKEN: "${{TOYS_TOKEN}}"}}}}\n{SLEEP}')
    with pytest.raises(DiagnosticsError, match="an environment variable is not set: TOYS_TOKEN"):
        toys.up()
    assert toys.states() == {"one": "absent", "quiet": "absent"}
    monkeypatch.setenv("TOYS_TOKEN", "s3cret")
    toys.up()
    assert not [file for file in toys.directory.rglob("*") if file.is_file() and "s3cret" in file.read_text(errors="replace")]
    monkeypatch.delenv("TOYS_TOKEN")
    assert not toys.status("one").differs
    monkeypatch.setenv("TOYS_TOKEN", "other")
    assert toys.status("one").differs


def test_a_start_may_lay_variables_over_those_of_the_manifest(stack):
    toys = stack(f'  web: {{command: {command(port="$PORT")}, ports: ["auto:80"], environment: {{SAID: file}}}}')
    toys.manager.start("web", environment={"SAID": "call"})
    assert "begun call" in [line.text for line in toys.manager.logs("web")]
    toys.manager.restart("web")
    assert [line.text for line in toys.manager.logs("web") if line.text.startswith("begun")] == ["begun call", "begun file"]


def test_embedded_and_elsewhere_are_told_and_an_unknown_name_is_refused(stack):
    toys = stack(f"  db: {{engine: embedded}}\n  prefect: {{uri: 'https://prefect.example.org/api'}}\n{SLEEP}")
    toys.up()
    found = {status.name: (status.state.value, status.addresses) for status in toys.manager.status()}
    assert found == {
        "db": ("embedded", ("run_cache/store.db",)),
        "prefect": ("elsewhere", ("https://prefect.example.org/api",)),
        "quiet": ("running", ()),
    }
    with pytest.raises(UsageError, match="there is no such service: quite") as caught:
        toys.up("quite")
    assert "quiet" in caught.value.hint


def test_of_a_long_log_only_the_end_is_read_to_tell_how_a_failed_service_is(tmp_path):
    services = LocalServices(tmp_path)
    path = services.log_path("web")
    path.parent.mkdir(parents=True)
    line = "2026-01-01T00:00:0{}.000Z line {} " + "of many, which a service says while it works " * 2 + "\n"
    with path.open("w") as log:
        log.writelines(line.format(1, number) for number in range(170_000))
        log.writelines(line.format(2, number) for number in range(170_000, 170_005))
    assert path.stat().st_size > 20_000_000
    started = [dt.datetime(2026, 1, 1, 0, 0, second, tzinfo=dt.UTC).timestamp() for second in (0, 2)]
    tracemalloc.start()
    try:
        found = [status_of(ServiceState("web", Status.FAILED, started=at), services) for at in started]
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert [line.split()[1] for line in found[0].lines] == [str(n) for n in range(169_985, 170_005)]
    assert [line.split()[1] for line in found[1].lines] == [str(n) for n in range(170_000, 170_005)]
