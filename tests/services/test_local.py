"""Services as processes: what starts them, what ends them, and what they leave behind, with real ones."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import psutil
import pytest

from pulpo.services import processes
from pulpo.services.local import LocalServices, PortTakenError, ServiceError
from pulpo.services.ports import is_free
from pulpo.services.probes import CommandProbe, HttpProbe, LogProbe, TcpProbe
from pulpo.services.spec import Address, LocalService
from pulpo.services.state import MARK, ServiceFiles, Status, is_held, turn
from tests.services.conftest import alive, child_of, get, until

#: Python for a shim that takes a second for a minute; it is called with `-P -m pulpo.services.shim` and what that is given.
IMPATIENT = """
import sys
from pulpo.services import shim

shim._HEALTHY = 1
sys.exit(shim.main(sys.argv[4:]))
"""


def test_a_service_outlives_its_command_and_ends_when_asked(services, service, port):
    started = services.start(service())
    assert started.new
    assert started.state.status is Status.RUNNING
    assert get(port) == str(started.state.pid)
    before = services.stop("web")
    assert before.status is Status.RUNNING
    assert is_free(Address("127.0.0.1", port))
    assert not alive(started.state.pid)
    assert not alive(started.state.shim_pid)
    assert services.state("web").status is Status.STOPPED


@pytest.mark.parametrize("kind", ["http", "tcp", "command", "log", "none"])
def test_it_is_ready_when_its_probe_says_so(services, service, port, kind):
    probe = {
        "http": HttpProbe("127.0.0.1", port, "/"),
        "tcp": TcpProbe("127.0.0.1", port),
        "command": CommandProbe((sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)")),
        "log": LogProbe("at your [s]ervice"),
        "none": None,
    }[kind]
    state = services.start(service(probe=probe)).state
    assert state.status is Status.RUNNING
    assert kind == "none" or get(port) == str(state.pid)


def test_one_that_runs_is_not_started_again(services, service):
    first = services.start(service())
    second = services.start(service())
    assert (second.new, second.differs) == (False, False)
    assert second.state.pid == first.state.pid
    other = services.start(service(grace=6))
    assert (other.new, other.differs) == (False, True)
    assert services.start(service(environment={"SAID": "x"})).differs


def test_of_many_who_start_it_at_once_one_does(services, service, tmp_path):
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from pulpo.services.local import LocalServices
        from pulpo.services.probes import TcpProbe
        from pulpo.services.spec import Address, LocalService
        wanted = {service()!r}
        started = LocalServices(Path({str(tmp_path / "run_cache")!r})).start(wanted)
        print(started.new, started.state.pid)
    """)
    many = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(5)]
    said = [process.communicate(timeout=60)[0].split() for process in many]
    assert sorted(new for new, _ in said) == ["False"] * 4 + ["True"]
    assert {pid for _, pid in said} == {str(services.state("web").pid)}


def test_a_taken_port_names_its_holder(services, service, port):
    server = http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler)
    try:
        with pytest.raises(PortTakenError, match=rf"^port {port} of 127\.0\.0\.1 is taken: by .*\(process {os.getpid()}, in /"):
            services.start(service())
    finally:
        server.server_close()
    assert services.state("web") is None


def test_one_that_ends_before_it_is_ready_says_its_last_words(services, service):
    with pytest.raises(ServiceError) as caught:
        services.start(service("crash"))
    assert caught.value.message == "web ended before it was ready, with exit code: 1\n  begun \n  no database here"
    assert services.state("web").status is Status.FAILED
    with pytest.raises(ServiceError) as again:
        services.start(service("crash"))
    assert again.value.message == caught.value.message  # the words of this start alone


def test_what_started_the_shim_is_not_ended_with_what_the_service_left(services, service, tmp_path):
    """The process that made the shim has the mark as well, and may take its time to end."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys, time\nif 'web' in sys.orig_argv: atexit.register(time.sleep, 2)\n"
    )
    for _ in range(3):
        with pytest.raises(ServiceError, match=r"^web ended before it was ready, with exit code: 1\n"):
            services.start(service("crash", environment={"PYTHONPATH": str(tmp_path)}))


def test_a_command_that_is_not_there(services, tmp_path):
    with pytest.raises(ServiceError, match=r"^web did not start: /no/such can't be run: No such file or directory$"):
        services.start(LocalService("web", ("/no/such",), str(tmp_path)))


def test_one_that_is_not_ready_in_time_is_ended(services, service):
    with pytest.raises(ServiceError, match=r"^web is not ready after 3 s\n  begun $") as caught:
        services.start(service("slow", ready_timeout=3))
    assert not alive(caught.value.state.pid)
    assert not alive(caught.value.state.shim_pid)


def test_one_that_has_done_its_work_is_not_started_again(services, service):
    services.start(service("done", listens=False))
    over = until(lambda: (s := services.state("web")).status.over and s)
    assert (over.status, over.exit_code) == (Status.EXITED, 0)


def test_one_that_crashes_comes_back(services, service, port):
    first = services.start(service()).state
    os.kill(first.pid, signal.SIGKILL)
    back = until(lambda: (s := services.state("web")).restarts == 1 and s.status is Status.RUNNING and s)
    assert (back.exit_code, back.shim_pid) == (-9, first.shim_pid)
    assert get(port) == str(back.pid) != str(first.pid)


def test_one_that_crashes_again_and_again_has_failed(services, service, port):
    services.start(service(max_restarts=1))
    for restarts in range(2):
        now = until(lambda n=restarts: (s := services.state("web")).status is Status.RUNNING and s.restarts == n and s)
        os.kill(now.pid, signal.SIGKILL)
    failed = until(lambda: (s := services.state("web")).status is Status.FAILED and s)
    assert (failed.restarts, failed.exit_code) == (1, -9)
    assert services.start(service()).new


def test_crashes_of_long_ago_do_not_count(services, service, tmp_path, monkeypatch):
    web, python = service(max_restarts=1), tmp_path / "python"
    python.write_text(f"#!{sys.executable}\n{IMPATIENT}")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    pid = services.start(web).state.pid
    for _ in range(2):
        os.kill(pid, signal.SIGKILL)
        pid = until(lambda old=pid: (s := services.state("web")).status is Status.RUNNING and s.pid != old and s.pid)
        time.sleep(1.1)


@pytest.mark.parametrize("word", ["child", "hidden"])
def test_what_it_leaves_behind_is_ended_with_it(services, service, word):
    services.start(service(word, grace=0.5))
    left = child_of(services)
    services.stop("web")
    assert not alive(left)


@pytest.mark.parametrize("word", ["child", "hidden"])
def test_what_a_crash_leaves_behind_is_ended(services, service, word):
    first = services.start(service(word)).state
    left = child_of(services)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: (s := services.state("web")).restarts == 1 and s.status is Status.RUNNING)
    assert not alive(left)


def test_one_that_does_not_listen_is_killed(services, service):
    state = services.start(service("deaf", grace=0.5)).state
    services.stop("web")
    assert not alive(state.pid)
    assert services.state("web").forced


def test_without_its_shim_a_service_is_dead_and_can_be_started_again(services, service, port):
    first = services.start(service("child")).state
    left = child_of(services)
    os.kill(first.shim_pid, signal.SIGKILL)
    until(lambda: services.state("web").status is Status.DEAD)
    second = services.start(service("child"))
    assert second.new
    assert get(port) == str(second.state.pid)
    assert not alive(first.pid)
    assert not alive(left)


def test_without_its_shim_a_service_is_stopped_with_all_it_left_behind(services, service, port):
    first = services.start(service("child")).state
    left = child_of(services)
    os.kill(first.shim_pid, signal.SIGKILL)
    services.stop("web")
    assert not alive(first.pid)
    assert not alive(left)
    assert is_free(Address("127.0.0.1", port))
    assert services.state("web").status is Status.STOPPED


def test_ended_means_that_all_its_threads_have_ended(port):
    """The first one of a process may end long before another one, which still listens."""
    program = f"""
import ctypes, signal, socket, threading, time
server, asked = socket.create_server(("127.0.0.1", {port})), threading.Event()
threading.Thread(target=lambda: (asked.wait(), time.sleep(1))).start()
signal.signal(signal.SIGTERM, lambda *_: (asked.set(), ctypes.CDLL(None).pthread_exit(None)))
print(flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, MARK: "of-its-own"}, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        assert not processes.end("of-its-own", grace=10)
        assert is_free(Address("127.0.0.1", port))


def test_a_shim_that_hangs_is_killed(services, service):
    state = services.start(service(grace=0)).state
    os.kill(state.shim_pid, signal.SIGSTOP)
    services.stop("web")
    assert not alive(state.pid)
    assert not alive(state.shim_pid)


def test_a_process_that_has_got_the_number_of_a_dead_one_is_left_alone(services, service, tmp_path):
    services.start(service())
    services.stop("web")
    path = tmp_path / "run_cache" / "services" / "web.state.json"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as innocent:
        try:
            state = json.loads(path.read_text())
            path.write_text(json.dumps({**state, "status": "running", "pid": innocent.pid, "shim_pid": innocent.pid}))
            assert services.state("web").status is Status.DEAD
            services.stop("web")
            assert services.start(service()).new
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_what_was_never_started_stops_too(services):
    assert services.stop("web") is None
    assert services.state("web") is None
    assert services.names() == []


def test_an_interrupt_ends_what_was_started(services, service, tmp_path):
    program = textwrap.dedent(f"""
        from pathlib import Path
        from pulpo.services.local import LocalServices
        from pulpo.services.probes import TcpProbe
        from pulpo.services.spec import Address, LocalService
        services = LocalServices(Path({str(tmp_path / "run_cache")!r}))
        services.start({service("slow")!r}, on_start=lambda _: print("started", flush=True))
    """)
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        process.wait(30)
    state = services.state("web")
    assert state.status is Status.STOPPED
    assert not alive(state.shim_pid)


def test_a_service_that_a_service_starts_is_its_own(services, service, tmp_path):
    inner = tmp_path / "inner"
    program = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from pulpo.services.local import LocalServices
        from pulpo.services.spec import LocalService
        LocalServices(Path({str(inner)!r})).start(LocalService("inner", ("sleep", "600"), "/"))
        print("inner is up", flush=True)
        time.sleep(600)
    """)
    outer = LocalService("web", (sys.executable, "-c", program), str(tmp_path), probe=LogProbe("inner is up"))
    services.start(outer)
    services.stop("web")
    other = LocalServices(inner)
    assert other.state("inner").status is Status.RUNNING
    pid = other.state("inner").pid
    assert alive(pid)
    other.stop("inner")
    assert not alive(pid)


def test_two_projects_have_services_of_one_name(services, service, tmp_path):
    other = LocalServices(tmp_path / "other")
    first, second = (s.start(service(listens=False)).state for s in (services, other))
    services.stop("web")
    assert not alive(first.pid)
    assert alive(second.pid)
    other.stop("web")


def test_its_environment_is_nowhere_on_disk(services, service, tmp_path):
    services.start(service(listens=False, environment={"SAID": "hush", "PASSWORD": "s3cret-word"}))
    assert "begun hush" in [line.text for line in services.logs("web")]
    files = [file for file in (tmp_path / "run_cache").rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if b"s3cret-word" in file.read_bytes()]
    assert {oct(file.stat().st_mode & 0o077) for file in files if file.suffix in (".json", ".log")} == {"0o0"}


def test_a_turn_whose_file_was_removed_is_taken_anew(tmp_path):
    files, held = ServiceFiles(tmp_path / "services", tmp_path / "logs", "web"), []

    def wait() -> None:
        with turn(files):
            held.append(is_held(files.turn))

    waiting = threading.Thread(target=wait)
    with turn(files):
        waiting.start()
        time.sleep(0.3)
        shutil.rmtree(files.directory)
    waiting.join(20)
    assert held == [True]


def test_looking_never_keeps_a_shim_from_starting(services, service):
    """Who looks whether a lock is held takes it for an instant."""
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            services.state("web")

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(3):
            assert services.start(service(listens=False)).new
            services.stop("web")
    finally:
        stop.set()
        for looker in lookers:
            looker.join()


def test_a_start_that_was_killed_in_the_middle_does_not_go_on_after_a_stop(tmp_path, services, service):
    """What a killed start has begun, and nobody can see yet, is waited for, and ended like anything else."""
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
            import os, pathlib, sys, time

            if "pulpo.services.shim" in sys.orig_argv:
                if os.environ.pop("{MARK}", None):  # as a process is that is being made: without an environment
                    os.execv(sys.executable, sys.orig_argv)
                pathlib.Path("launching").touch()
                while not pathlib.Path("go").exists():
                    time.sleep(0.02)
            """)
    )
    spec = tmp_path / "service.json"
    spec.write_text(json.dumps(service(listens=False).data()))
    program = (
        "import json, pathlib, sys; from pulpo.services.local import LocalServices; from pulpo.services.spec import LocalService;"
        "service = LocalService.from_data(json.loads(pathlib.Path(sys.argv[2]).read_text()));"
        "LocalServices(pathlib.Path(sys.argv[1])).start(service)"
    )
    cache = tmp_path / "run_cache"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    starter = subprocess.Popen([sys.executable, "-c", program, str(cache), str(spec)], env=environment)
    until((cache / "services" / "launching").exists)
    starter.kill()
    starter.wait()
    stopping = threading.Thread(target=services.stop, args=["web"])
    stopping.start()
    stopping.join(0.5)
    (cache / "services" / "go").touch()
    stopping.join(30)
    until(lambda: not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or ())], 10)
    assert services.state("web").status is Status.STOPPED
