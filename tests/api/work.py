"""A project whose operations can be held up from outside, and the API over it: in this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import httpcore  # noqa: F401 - httpx imports it late, and `fresh_imports` forgets what a test imports
import httpx

from pulpo.cli.app import CLI
from pulpo.store.sqlite import SqliteStore
from tests.ports import free_port

CODE = {
    "jobs/__init__.py": "from jobs import operations\n",
    "jobs/operations.py": """
        import asyncio
        import logging
        import time
        from pathlib import Path

        from pydantic import BaseModel

        from pulpo import datamodel, operation

        log = logging.getLogger(__name__)
        HERE = Path(__file__).parent.parent


        @datamodel(key=["url"])
        class Job(BaseModel):
            url: str


        @datamodel(key=["url"])
        class Clean(BaseModel):
            url: str


        @operation
        def fetch(limit: int = 3) -> list[Job]:
            with (HERE / "calls").open("a") as calls:
                calls.write("fetch\\n")
            log.info("fetching %d", limit)
            return [Job(url=f"u{n}") for n in range(limit)]


        @operation
        async def clean(job: list[Job]) -> list[Clean]:
            log.warning("cleaning %d", len(job))
            while (HERE / "hold").exists():
                await asyncio.sleep(0.01)
            return [Clean(url=one.url) for one in job]


        @operation
        def deaf(seconds: float = 30.0) -> None:
            (HERE / "deaf").touch()
            time.sleep(seconds)


        @operation
        async def blocking(seconds: float = 30.0) -> None:
            (HERE / "deaf").touch()
            time.sleep(seconds)


        @operation
        def broken() -> None:
            raise ValueError("no luck")
    """,
    "pyproject.toml": '[project]\nname = "jobs"\n\n[tool.pulpo]\nmodules = ["jobs"]\n',
}


def make_project(root: Path) -> CLI:
    for name, text in CODE.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    cli = CLI(root)
    cli.lock()
    return cli


def store_of(cli: CLI) -> SqliteStore:
    return SqliteStore(cli.project.store_path)


async def until(found, seconds: float = 20.0):
    """The first true answer of an async function; fails when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := await found():
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that in time")


async def until_state(client: httpx.AsyncClient, run: str, *states: str):
    async def found():
        answer = (await client.get(f"/runs/{run}")).json()
        return answer if answer.get("state") in states else None

    return await until(found)


SERVER = """
import sys
from pulpo.api.serve import serve
from pulpo.api.settings import Settings
from pulpo.cli.app import CLI
cli = CLI(sys.argv[1])
serve(cli.project, *cli._lock(), Settings(port=int(sys.argv[2]), access_log=False), int(sys.argv[2]))
"""


@contextlib.contextmanager
def api_process(cli: CLI, environ: dict[str, str] | None = None):
    """An API as a process; yields it with its base URL when it is ready."""
    port = free_port()
    environment = environ or {k: v for k, v in os.environ.items() if not k.startswith(("PULPO_", "PREFECT_"))}
    log = (cli.project.root / "api.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(cli.project.root), str(port)], env=environment, stdout=log, stderr=log
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, cli.project.root / "api.log")
        yield process, url
    finally:
        log.close()
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


def _wait(url: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"the API ended: {log.read_text()}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/runs").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the API did not start: {log.read_text()}")


class Stream:
    """A client of `/events`."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.last: str | None = None

    async def next(self, *kinds: str):
        """The next event, of these kinds if any are given: kind and data."""
        kind, data = None, None
        async with asyncio.timeout(20):
            async for line in self._lines:
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    data = json.loads(line[6:])
                elif line.startswith("id: "):
                    self.last = line[4:]
                elif not line and kind:
                    if not kinds or kind in kinds:
                        return kind, data
                    kind = None
        raise AssertionError("the stream ended")


@contextlib.asynccontextmanager
async def events(url: str, *, last: str | None = None, **params):
    async with (
        httpx.AsyncClient(base_url=url, timeout=30) as client,
        client.stream("GET", "/events", params=params, headers={"Last-Event-ID": last} if last else {}) as response,
    ):
        assert response.status_code == 200, await response.aread()
        stream = Stream(response)
        assert (await stream.next())[0] == "ready"
        yield stream
