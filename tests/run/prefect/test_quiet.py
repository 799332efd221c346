"""Nothing that Pulpo starts on Prefect looks up or connects to another machine: seen by a hook in every one of its processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.prefect_server import migrate

#: Not two at once: Prefect picks the port of its temporary server among a thousand before that listens there.
pytestmark = pytest.mark.xdist_group("prefect's temporary server")
GUARD = """
import os
import sys


def note(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else str(host)
    if host not in ("None", "localhost", "::1", "::", "0.0.0.0") and not host.startswith("127."):
        with open(os.environ["GUARD"], "a") as file:
            file.write(f"{event} {host} {sys.argv}\\n")


sys.addaudithook(note)
"""
#: On a terminal of its own: Prefect counts only what people start.
ON_TERMINAL = """
import os
import pty
import sys

sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], lambda fd: os.read(fd, 65536))))
"""


@pytest.fixture
def watched(jobs, tmp_path):
    """Runs a command of the project on a terminal, as somebody's first with Prefect; gives what it says, and what left."""
    guard = tmp_path / "guard"
    guard.mkdir()
    database = tmp_path / "database"
    database.mkdir()
    migrate(database)
    (guard / "sitecustomize.py").write_text(GUARD)
    off = ("DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED", "PREFECT_API_URL", "CI", "GITHUB_ACTIONS")
    jobs.environment = {name: value for name, value in jobs.environment.items() if name not in off}
    jobs.environment |= {
        "PYTHONPATH": str(guard),
        "GUARD": str(guard / "seen.txt"),
        # With a database in it, it would be the home of somebody who used Prefect before, and of whom nothing is sent.
        "PREFECT_HOME": str(tmp_path / "home"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database / 'prefect.db'}",
    }

    def _watched(*arguments: str, **env: str) -> tuple[str, str]:
        out, _ = jobs.python("-c", ON_TERMINAL, sys.executable, *arguments, **env)
        seen = guard / "seen.txt"
        return out, seen.read_text() if seen.exists() else ""

    return _watched


def test_the_hook_sees_what_prefect_sends_by_itself(watched):
    """Else the other tests would show nothing."""
    out, seen = watched("-c", "import prefect, time; time.sleep(1)")
    assert "Prefect collects anonymous usage data" in out
    assert "amplitude.com" in seen


@pytest.mark.parametrize("how", ["script", "engine"])
def test_a_run_tells_nobody_but_its_server(jobs, watched, how):
    jobs.compile()
    script = str(Path(jobs.script("pipeline_flow")))
    command = (script,) if how == "script" else ("-m", "pulpo", "run", "pipeline", "--engine", "prefect")
    out, seen = watched(*command)
    assert "anonymous usage data" not in out
    assert seen == ""
    assert jobs.latest()["state"] == "completed"


def test_what_somebody_set_stays(jobs):
    show = "import pulpo.run.prefect, os; print(os.environ['DO_NOT_TRACK'], os.environ['PREFECT_SERVER_ANALYTICS_ENABLED'])"
    out, _ = jobs.python("-c", show, DO_NOT_TRACK="0", PREFECT_SERVER_ANALYTICS_ENABLED="true")
    assert out == "0 true\n"
