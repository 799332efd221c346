"""The worker that runs the project's deployments: one Prefect worker for each work pool of processes, all in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from prefect.client.orchestration import get_client
from prefect.plugins import load_prefect_collections
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.workers.process import ProcessWorker

from pulpo.compile.work_pools import process_pools
from pulpo.errors import RunError
from pulpo.run.prefect.server import connected, required

if TYPE_CHECKING:
    from pulpo.diagnostics import Locate
    from pulpo.manifest.model import Manifest
    from pulpo.settings import Project

#: The beginning of the line that says that runs are taken now.
READY: Final = "the worker is ready"
#: Seconds between two looks whether the server answers.
_EVERY: Final = 0.1
#: The environment variable with the number of a worker that is one of several on this machine.
_REPLICA: Final = "PULPO_REPLICA"


def serve_worker(
    project: Project,
    manifest: Manifest,
    *,
    environ: Mapping[str, str] = os.environ,
    locate: Locate = lambda _: None,
    say: Callable[[str], None] = print,
) -> None:
    """Take runs from the project's work pools until a signal ends it (SIGTERM, SIGINT); waits for the server, however long.

    A pool that is not there yet is made. Runs that are going on when it ends are ended as Prefect's own worker ends them.

    Args:
        project: Whose services it looks for.
        manifest: As the environment has it that is worked in.
        environ: The environment variables.
        locate: Knows the places of paths in the manifest, for problems.
        say: Told what happens; the line that begins with `READY` when runs are taken.

    Raises:
        UsageError: No server is configured.
        DiagnosticsError: Variables are not set that the server's URI or work pools refer to.
        RunError: The server was not to be reached for too long.
    """
    pools = process_pools(manifest, environ, locate)
    with connected(manifest, environ, locate, ports=project.chosen_ports) as url, contextlib.suppress(asyncio.CancelledError):
        try:
            asyncio.run(_serve(pools, worker_name(project.environment, manifest, environ), required(url), say))
        except ExceptionGroup as group:
            error = group.exceptions[0]
            raise RunError(f"the worker gave up: {type(error).__name__}: {error}", hint="does its Prefect server run?") from error
    say("the worker has ended")


def worker_name(environment: str | None, manifest: Manifest, environ: Mapping[str, str]) -> str:
    """`PROJECT[-ENVIRONMENT]@HOST[-NUMBER]`: the same after a restart, so that Prefect lists it once."""
    project = f"{manifest.project.name}{f'-{environment}' if environment else ''}"
    number = environ.get(_REPLICA)
    return f"{project}@{socket.gethostname()}{f'-{number}' if number else ''}"


async def _serve(pools: list[str], name: str, url: str, say: Callable[[str], None]) -> None:
    _end_on_signals()
    load_prefect_collections()  # what the workers tell the server of: it takes a second, in which the server may be starting
    await _until_it_answers(url, say)
    started: set[str] = set()

    def told(pool: str) -> None:
        started.add(pool)
        if len(started) == len(pools):
            say(f"{READY}: {', '.join(pools)}")

    async with asyncio.TaskGroup() as group:
        for pool in pools:
            group.create_task(_serve_pool(pool, name, told))


async def _serve_pool(pool: str, name: str, told: Callable[[str], None]) -> None:
    worker = ProcessWorker(work_pool_name=pool, name=name)
    # Prefect says it twice: when it has begun, then with the pool made and known to the server, and when it has ended.
    await worker.start(printer=lambda _: told(pool))


async def _until_it_answers(url: str, say: Callable[[str], None]) -> None:
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with get_client() as client:
            if await client.api_healthcheck() is None:
                return
            say(f"waiting for the Prefect server: {url}")
            while await client.api_healthcheck() is not None:  # noqa: ASYNC110 - nobody here knows when it does
                await asyncio.sleep(_EVERY)


def _end_on_signals() -> None:
    """The first signal ends this task; a second one this process."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one

    def end() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
