"""`pulpo ui`: the UI as a process that outlives the command, over the API of its project or of somebody else."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import psutil
import pytest

from pulpo.services.local import LocalServices
from pulpo.services.ports import is_free
from pulpo.services.spec import Address
from tests.ports import free_port


@pytest.fixture
def ui(jobs, monkeypatch):
    """The jobs example, with the API and the UI on ports of their own; what a test leaves running is ended."""
    jobs.port, api = free_port(), free_port()
    monkeypatch.setenv("PULPO_UI_PORT", str(jobs.port))
    monkeypatch.setenv("PULPO_API_PORT", str(api))
    jobs.url, jobs.api = f"http://127.0.0.1:{jobs.port}", f"http://127.0.0.1:{api}"
    jobs.services = LocalServices(jobs.directory / "run_cache")
    yield jobs
    for name in jobs.services.names():
        jobs.services.stop(name)


def get(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@contextlib.contextmanager
def serving(ui, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """`pulpo ui serve` in the foreground."""
    command = [sys.executable, "-m", "pulpo", "ui", "serve", *arguments]
    environment = {**os.environ, **environ}
    with subprocess.Popen(
        command, cwd=ui.directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_starts_with_the_api_that_it_shows_and_stops_alone(ui):
    started = ui("ui", "start")
    assert started.out == f"{ui.url}\n"
    assert started.err == "starting the UI\n"
    assert get(f"{ui.url}/health") == (200, "ok\n")
    assert "CleanedJobs" in get(f"{ui.url}/models")[1]
    again = ui("ui", "start")
    assert re.fullmatch(r"the UI is running since [\d-]+ [\d:]+ \(process \d+\)\n", again.err)
    restarted = json.loads(ui("ui", "restart", "--format", "json").out)
    assert (restarted["new"], restarted["url"]) == (True, ui.url)
    (said, _) = (json.loads(line) for line in ui("ui", "logs").out.splitlines() if "listening" in line)
    assert (said["url"], said["api"]) == (ui.url, ui.api)
    assert ui("ui", "stop").err == "the UI is stopped\n"
    assert is_free(Address("127.0.0.1", ui.port))
    assert get(f"{ui.api}/health/ready")[0] == 200
    assert ui("ui", "stop").err == "the UI is not running\n"


def test_up_says_where_it_is(ui):
    done = ui("up", "ui")
    assert done.err.endswith(f"the UI is at {ui.url}\n")
    assert ui("up", "ui").err.endswith("everything is up already\n")
    assert f"ui       running   {ui.url}" in ui("status").out


def test_what_the_shell_says_goes_before_the_lock(ui):
    lock = ui.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace('  ui:\n    ports: ["3000"]\n', "  ui: {environment: {PULPO_UI_ROOT: /lock}}\n"))
    ui("ui", "start")
    assert 'href="/lock/models"' in get(f"{ui.url}/models")[1]
    changed = ui("ui", "start", env={"PULPO_UI_ROOT": "/shell"})
    assert changed.err.endswith("its settings are others by now; it takes them with: pulpo ui restart\n")
    ui("ui", "restart", env={"PULPO_UI_ROOT": "/shell"})
    assert 'href="/shell/models"' in get(f"{ui.url}/models")[1]


def test_where_the_api_asks_for_a_token_the_ui_does(ui):
    tokens = {"PULPO_API_TOKEN": "s3cret-word"}
    assert ui("ui", "start", env=tokens).out == f"{ui.url}\n"
    assert "<h1>Log in</h1>" in get(f"{ui.url}/models")[1]
    status, text = get(f"{ui.url}/models", Cookie="pulpo_token=s3cret-word", Host="pulpo.example.org")
    assert (status, "CleanedJobs" in text) == (200, True)
    written = [f for f in (ui.directory / "run_cache").rglob("*") if f.is_file() and b"s3cret-word" in f.read_bytes()]
    assert written == []


def test_a_token_of_the_lock_guards_it_and_is_not_given_to_it(ui):
    lock = ui.directory / "pulpo.lock.yaml"
    text = '  api:\n    ports: ["8000"]\n'
    assert text in lock.read_text()
    lock.write_text(lock.read_text().replace(text, text + "    environment: {PULPO_API_TOKEN: letmein}\n"))
    ui("ui", "start")
    assert "<h1>Log in</h1>" in get(f"{ui.url}/models")[1]
    environ = psutil.Process(ui.services.state("ui").pid).environ()
    assert environ["PULPO_UI_GUARDED"] == "true"
    assert "letmein" not in environ.values()


def test_others_reach_it_only_where_the_api_asks_for_a_token(ui):
    for command in ("start", "serve", "restart"):
        done = ui("ui", command, "--host", "0.0.0.0", code=2)
        assert "without a token the UI listens on this machine alone, not on: 0.0.0.0" in done.err
        assert "PULPO_API_TOKEN" in done.err
    assert ui("ui", "start", "--host", "0.0.0.0", env={"PULPO_API_TOKEN": "t"}).out == f"{ui.url}\n"
    assert "<h1>Log in</h1>" in get(f"{ui.url}/models")[1]


def test_a_taken_port_names_its_holder(ui):
    with socket.create_server(("127.0.0.1", ui.port)):
        for command in ("start", "serve"):
            done = ui("ui", command, code=2)
            assert f"error: port {ui.port} of 127.0.0.1 is taken: by " in done.err
            assert "choose another port: --port 3001, or `--port auto` for one that is free" in done.err


def test_settings_that_make_no_sense_are_told(ui):
    for variable, value in (("PULPO_UI_ROOT", "pulpo"), ("PULPO_UI_PORT", "99999"), ("PULPO_UI_OPEN", "perhaps")):
        done = ui("ui", "serve", code=2, env={variable: value})
        assert done.err.startswith(f"error: {variable}: ")
    assert ui("ui", "serve", "--api", "example.org", code=2).err.startswith("error: --api: the API's address begins with http")
    lock = ui.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace('  ui:\n    ports: ["3000"]\n', "  ui: {environment: {PULPO_UI_ROUTE: /x}}\n"))
    assert "the UI has no such setting: PULPO_UI_ROUTE\n  hint: did you mean 'PULPO_UI_ROOT'?" in ui("ui", "start", code=2).err


def test_an_api_of_somebody_elses_is_shown(ui, tmp_path):
    ui("api", "start")
    assert json.loads(ui("ui", "start", "--api", ui.api, "--format", "json").out)["new"]
    assert "CleanedJobs" in get(f"{ui.url}/models")[1]
    ui("ui", "stop")
    ui.directory = tmp_path  # no project
    with serving(ui, "--api", ui.api) as process:
        assert process.stderr.readline() == f"the UI is at {ui.url}\n"
        assert "CleanedJobs" in get(f"{ui.url}/models")[1]


def test_a_project_without_an_api_has_no_ui(ui):
    lock = ui.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace('  api:\n    ports: ["8000"]\n', "  api: {enabled: false}\n"))
    assert "PLP223" in ui("check", "--no-code", code=1).out
    assert "the service is not part of the project: api" in ui("ui", "start", code=2).err
    assert "the lock says where" in ui("--mode", "docker", "ui", "start", "--port", "1", code=2).err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_at_a_signal_with_streams_open(ui, number, code):
    ui("api", "start")
    with serving(ui) as process:
        assert process.stderr.readline() == f"the UI is at {ui.url}\n"
        streams = [http.client.HTTPConnection("127.0.0.1", ui.port, timeout=20) for _ in range(3)]
        for stream in streams:
            stream.request("GET", "/events")
            assert stream.getresponse().readline()
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - began < 3
        assert process.returncode == code
        assert "Traceback" not in out + err
        assert json.loads(out.splitlines()[-1])["message"] == "stopped"
        for stream in streams:
            stream.close()


def test_an_api_that_ends_is_no_failure_of_the_uis(ui):
    ui("ui", "start")
    stream = http.client.HTTPConnection("127.0.0.1", ui.port, timeout=20)
    stream.request("GET", "/events")
    answer = stream.getresponse()
    ui("api", "stop")
    while answer.readline():  # to its end
        pass
    answer.close()
    stream.close()
    status, text = get(f"{ui.url}/models")
    assert (status, "pulpo api start" in text) == (502, True)
    ui("api", "start")
    assert get(f"{ui.url}/models")[0] == 200
    assert "error" not in {json.loads(line)["level"] for line in ui("ui", "logs").out.splitlines()}


def test_what_is_not_installed_is_named(ui):
    program = "import sys; sys.modules['python_multipart'] = None; from pulpo.__main__ import main; sys.exit(main())"
    for command in ("start", "serve"):
        done = subprocess.run(
            [sys.executable, "-c", program, "ui", command],
            cwd=ui.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr == (
            "error: ui needs a package that is not installed: python_multipart\n  hint: pip install 'pulpocore[ui]'\n"
        )


def test_starting_imports_nothing_of_what_it_starts(ui):
    program = (
        "import sys; from pulpo.cli.app import CLI; cli = CLI('.'); print(cli.ui_start().url); cli.ui_stop();"
        "print([m for m in ('starlette', 'uvicorn', 'httpx', 'jinja2', 'prefect', 'jobs') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ui.directory, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == [ui.url, "[]"]
