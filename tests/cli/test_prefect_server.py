"""`pulpo prefect`: which server is talked to, and what is said where it can't be."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cli.conftest import Shell
from tests.ports import free_port


@contextlib.contextmanager
def answering(status: int, body: str):
    """A server that says the same to everything; yields the URL of what could be its API, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def no_server(tmp_path, monkeypatch):
    """Prefect without a server, and a home of its own."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    monkeypatch.setenv("DO_NOT_TRACK", "1")


def prefect_is(shell: Shell, entry: str) -> None:
    """Write the service `prefect` anew into the lock."""
    path = shell.directory / "pulpo.lock.yaml"
    before, after = path.read_text(), '  prefect:\n    ports: ["4200"]\n'
    assert after in before
    path.write_text(before.replace(after, f"  prefect: {entry}\n"))


@pytest.mark.parametrize("command", [("deploy",), ("run", "scraping")])
def test_without_a_server_it_says_how_to_name_one(jobs, no_server, command):
    prefect_is(jobs, "{ports: [auto]}")
    done = jobs("prefect", *command, code=2)
    assert done.out == ""
    assert done.err.startswith(
        "error: no Prefect server is configured\n  hint: `pulpo prefect start` starts the project's own; or set "
    )


def test_the_project_s_own_server_that_does_not_run_is_to_be_started(jobs, no_server):
    port = free_port()
    prefect_is(jobs, f'{{ports: ["{port}:4200"]}}')
    done = jobs("prefect", "deploy", code=2)
    assert f"error: the Prefect server at http://127.0.0.1:{port}/api can't be reached: " in done.err
    assert "hint: is it running? `pulpo prefect start` starts the project's own" in done.err


@pytest.mark.parametrize("command", [("deploy",), ("run", "scraping")])
def test_a_server_that_is_down(jobs, no_server, command):
    done = jobs("prefect", *command, code=2, env={"PREFECT_API_URL": "http://127.0.0.1:1/api"})
    assert "error: the Prefect server at http://127.0.0.1:1/api can't be reached: " in done.err
    assert "is it running?" in done.err


def test_a_server_of_another_version(jobs, no_server):
    with answering(200, json.dumps("2.20.1")) as (url, _):
        done = jobs("prefect", "deploy", code=2, env={"PREFECT_API_URL": url})
    assert f"error: the Prefect server at {url} is of version 2.20.1, which this Prefect can't talk to: 3." in done.err


@pytest.mark.parametrize(("status", "body"), [(200, "<html>hello</html>"), (200, '{"a": 1}'), (404, "{}")])
def test_something_else_that_answers(jobs, no_server, status, body):
    with answering(status, body) as (url, _):
        done = jobs("prefect", "deploy", code=2, env={"PREFECT_API_URL": url})
    assert f"error: what answers is no Prefect server: {url}" in done.err


def test_who_interrupts_a_deploy_is_told_that_the_same_command_goes_on(jobs, no_server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        process = subprocess.Popen(
            [sys.executable, "-m", "pulpo", "prefect", "deploy"],
            cwd=jobs.directory,
            env={**os.environ, "PREFECT_API_URL": url},
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted; what was done stands: go on with the same command\n")


def test_credentials_that_are_refused(jobs, no_server):
    with answering(401, '{"exception_message": "Unauthorized"}') as (url, _):
        done = jobs("prefect", "deploy", code=2, env={"PREFECT_API_URL": url})
    assert f"error: the Prefect server at {url} wants other credentials: 401" in done.err
    assert "PREFECT_API_AUTH_STRING" in done.err


def test_the_service_prefect_of_the_lock_names_the_server_and_its_password_is_not_shown(jobs, no_server):
    prefect_is(jobs, '{uri: "${SERVER_URI}"}')
    with answering(401, "{}") as (url, asked):
        uri = url.removesuffix("/api").replace("://", "://me:ab%20cret@")
        done = jobs("prefect", "deploy", code=2, env={"SERVER_URI": uri})
    assert f"the Prefect server at {url} wants other credentials" in done.err
    assert "cret" not in done.err
    assert asked == ["/api/admin/version"]


@pytest.mark.parametrize("command", [("prefect", "deploy"), ("run", "scraping", "--engine", "prefect")])
def test_a_password_in_the_variable_is_not_shown(jobs, no_server, command):
    done = jobs(*command, code=2, env={"PREFECT_API_URL": "http://me:s3cret@127.0.0.1:1/api"})
    assert "error: the Prefect server at http://127.0.0.1:1/api can't be " in done.err
    assert "s3cret" not in done.err


def test_the_variable_goes_before_the_lock(jobs, no_server):
    prefect_is(jobs, "{uri: 'http://127.0.0.1:1/api'}")
    with answering(401, "{}") as (url, asked):
        jobs("prefect", "deploy", code=2, env={"PREFECT_API_URL": url})
    assert asked != []


def test_a_variable_of_the_service_that_is_not_set_is_told_with_its_place(jobs, no_server):
    prefect_is(jobs, '{uri: "${SERVER_URI}"}')
    done = jobs("prefect", "deploy", code=1)
    assert "PLP217" in done.err
    assert "pulpo.lock.yaml:" in done.err


@pytest.mark.parametrize("uri", ["127.0.0.1:4200", "http://", "ftp://host/api", "http://[::1/api", "http://host:port"])
def test_a_service_whose_uri_is_no_address(jobs, no_server, uri):
    prefect_is(jobs, f"{{uri: '{uri}'}}")
    assert "no address of a Prefect server stands in: services.prefect.uri" in jobs("prefect", "deploy", code=2).err


def test_a_lock_with_problems_is_refused_before_anything_is_asked(jobs, no_server):
    path = jobs.directory / "pulpo.lock.yaml"
    path.write_text(path.read_text().replace("from: [parsing.clean, scraping.merge]", "from: [parsing.clean, scraping.marge]"))
    with answering(200, "{}") as (url, asked):
        done = jobs("prefect", "deploy", code=1, env={"PREFECT_API_URL": url})
    assert "scraping.marge" in done.err
    assert asked == []


@pytest.mark.parametrize("command", ["deploy", "run"])
def test_a_flow_that_is_not_there(jobs, no_server, command):
    done = jobs("prefect", command, "scrapping", code=2)
    assert done.err.startswith("error: there is no such flow: scrapping\n")
    assert "scraping" in done.err.splitlines()[1]


@pytest.mark.parametrize("command", ["deploy", "run"])
def test_an_operation_is_no_flow(jobs, no_server, command):
    done = jobs("prefect", command, "scraping.merge", code=2)
    assert done.err == (
        "error: only flows are deployed, and this is an operation: scraping.merge\n"
        "  hint: it is in the flow scraping; `pulpo run scraping.merge` runs it alone, here\n"
    )


def test_settings_that_prefect_can_not_read(jobs, no_server):
    done = jobs("prefect", "deploy", code=2, env={"PREFECT_SERVER": "no JSON"})
    assert done.err.startswith("error: Prefect's settings can't be read: ")


def test_without_prefect_it_says_what_to_install(jobs, no_server):
    package = jobs.directory / "absent" / "prefect"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'prefect'\", name='prefect')\n")
    done = jobs("prefect", "deploy", code=2, env={"PYTHONPATH": str(package.parent)})
    assert done.err == (
        "error: this needs Prefect, of which this is not installed: prefect\n  hint: pip install 'pulpocore[prefect]'\n"
    )
