"""A real Prefect server for tests, on a free port, with a home of its own; and projects that are run against it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pulpo import CLI
from pulpo.services.prefect_data import data_in
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The database of a server of this version that has done nothing yet; made once on a machine.
_TEMPLATE = Path(tempfile.gettempdir()) / f"pulpo-tests-{os.getuid()}-prefect-{version('prefect')}.db"


def migrate(home: Path) -> None:
    """Puts a database into a new home that servers and runs need not migrate first, which takes them seconds."""
    if not _TEMPLATE.exists():
        _make_template()
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_TEMPLATE, home / "prefect.db")


def _make_template() -> None:
    with tempfile.TemporaryDirectory(dir=_TEMPLATE.parent) as home:
        upgrade = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        subprocess.run(upgrade, env={**environment, "PREFECT_HOME": home, "DO_NOT_TRACK": "1"}, check=True, capture_output=True)
        (Path(home) / "prefect.db").replace(_TEMPLATE)


@contextlib.contextmanager
def prefect_server(home: Path, *, services: bool = False) -> Iterator[dict[str, str]]:
    """The environment of processes that use the server, which runs until the end of the block; its data lies in `home`.

    It knows of task runs only with its services.
    """
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PULPO_"))},
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        *(() if services else ("--no-services",)),
    ]
    migrate(home)
    with (home / "server.log").open("w") as log:
        own = {**environment, **data_in(str(home), ())}
        server = subprocess.Popen([sys.executable, *command], env=own, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/health", server, home / "server.log")
        yield {**environment, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"no Prefect server:\n{log.read_text()}")


class Shell:
    """Runs processes in a project that lies in a directory."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self.environment = environment

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.directory,
            env={**self.environment, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, *arguments: str, code: int | None = 0, **env: str) -> tuple[str, str]:
        """What a process says on stdout and stderr."""
        process = self.start(*arguments, **env)
        try:
            out, err = process.communicate(timeout=180)
        finally:
            process.kill()
        assert code is None or process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
        return out, err

    def __call__(self, *arguments: str, code: int | None = 0, **env: str) -> tuple[str, str]:
        return self.python("-m", "pulpo", *arguments, code=code, **env)

    def run(self, *arguments: str, code: int | None = 0, **env: str) -> dict:
        """The run that `pulpo run` prints."""
        out, err = self("run", *arguments, "--format", "json", code=code, **env)
        assert "Traceback" not in err, err
        return json.loads(out)

    def latest(self) -> dict:
        """The latest run, read in this process."""
        return json.loads(json.dumps(asdict(CLI(self.directory).runs_show()), default=str))

    def compile(self) -> None:
        """`pulpo compile`, in this process."""
        CLI(self.directory).compile()

    def ask(self, kind: str, **where: object) -> list[dict]:
        """What Prefect's API knows."""
        request = urllib.request.Request(
            f"{self.environment['PREFECT_API_URL']}/{kind}/filter",
            data=json.dumps(where).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def flow_runs(self, **where: object) -> list[dict]:
        """Prefect's own."""
        return self.ask("flow_runs", **where)

    def flow_runs_of(self, run: str) -> list[dict]:
        """Prefect's flow run of a run, and those inside it, however deep: other runs of the server are left out."""
        found = level = self.flow_runs(flow_runs={"name": {"any_": [run]}})
        while level:
            level = self.flow_runs(flow_runs={"parent_flow_run_id": {"any_": [one["id"] for one in level]}})
            found = [*found, *level]
        return found

    def script(self, name: str) -> str:
        return str(self.directory / "run_cache" / "orchestration" / f"{name}.py")


def rows(directory: Path) -> dict[str, list[tuple[object, ...]]]:
    """What the store holds of the models, without times and runs."""
    with contextlib.closing(sqlite3.connect(directory / "run_cache" / "store.db")) as db:
        tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
        found = {}
        for table in sorted(tables):
            if table.startswith(("pulpo_", "sqlite_", "_")):
                continue
            cursor = db.execute(f'select * from "{table}"')
            columns = [column[0] for column in cursor.description]
            kept = [i for i, name in enumerate(columns) if name not in ("run", "created", "updated")]
            found[table] = sorted((tuple(row[i] for i in kept) for row in cursor), key=str)
    return found
