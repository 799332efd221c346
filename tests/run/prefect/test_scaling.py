"""Flows whose operations run on a real Dask cluster of local processes give the inline engine's answers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.run.prefect.models import MODELS
from tests.run.prefect.test_prefect_engine import both

#: Each operation leaves the id of the process that it ran in.
HEAD = f"""{MODELS}
    def here(name):
        Path("seen", name).mkdir(parents=True, exist_ok=True)
        Path("seen", name, str(os.getpid())).touch()
"""
WORK = f"""{HEAD}
    tries = []

    @operation("make.many")
    def many(count: int = 8) -> list[A]:
        here("many")
        return [A(n=i) for i in range(count)]

    @operation("map.deep.blocking")
    def blocking(a: A) -> B:
        here("blocking")
        time.sleep(0.1)
        return B(n=a.n)

    @operation("map.deep.waiting", inputs=Settings, on_error="skip")
    async def waiting(a: A, settings: Settings) -> C:
        here("waiting")
        await asyncio.sleep(0.1)
        if a.n in (3, 5):
            raise ValueError("not this one")
        return C(n=a.n * settings.factor)

    @operation("late.flaky", retries=2, retry_delay=0.1)
    def flaky(bs: list[B]) -> D:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("flaky")
        return D(n=len(bs))

    @operation("late.slow", timeout=0.5)
    def slow(d: D) -> None:
        time.sleep(30)

    @operation("late.raises")
    def raises(d: D) -> None:
        raise ValueError("no such page") from KeyError("page")

    @operation("late.wrong", retries=2)
    def wrong(d: D) -> E:
        return {{"n": "x"}}

    @operation("late.exits")
    async def exits(d: D) -> None:
        raise SystemExit("enough")

    @operation("end")
    def end(cs: list[C]) -> None:
        here("end")
"""
#: One process is enough for what is not about several.
ONE = "task_runner: dask, task_runner_options: {cluster_kwargs: {n_workers: 1, threads_per_worker: 2}}"
CLUSTER = "task_runner: dask, task_runner_options: {cluster_kwargs: {n_workers: 2, threads_per_worker: 2}}"


def say(shell, flows: str) -> None:
    lock = shell.directory / "pulpo.lock.yaml"
    lock.write_text(f"{lock.read_text()}flows: {flows}\n")


def seen(shell) -> dict[str, set[int]]:
    return {path.name: {int(p.name) for p in path.iterdir()} for path in (shell.directory / "seen").iterdir()}


def test_a_dask_cluster_gives_the_inline_answers(project):
    shell = project(WORK)
    say(shell, f"{{pipeline: {{{CLUSTER}}}}}")
    _, prefect = both(shell, "pipeline", "-p", "factor=2", code=1)
    steps = {step["operation"]: step for step in prefect["steps"]}
    assert steps["late.flaky"]["attempts"] == 3
    assert {name for name, step in steps.items() if step["state"] == "failed"} == {
        "late.exits", "late.raises", "late.slow", "late.wrong"
    }  # fmt: skip
    assert "shop.py" in prefect["error"]
    assert "run_cache" not in prefect["error"]
    processes = seen(shell)["blocking"]
    assert len(processes) == 3  # the inline engine's, and both workers of the one cluster
    assert set.union(*seen(shell).values()) == processes


def test_a_worker_that_is_killed_in_the_middle_is_made_up_for(project):
    shell = project(f"""{HEAD}
    @operation("make.many")
    def many() -> list[A]:
        return [A(n=i) for i in range(6)]

    @operation("use.each")
    def use(a: A) -> B:
        if a.n == 2 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), 9)
        return B(n=a.n)
    """)
    say(shell, f"{{use: {{{ONE}}}}}")
    _, prefect = both_but_killed(shell)
    assert [(s["operation"], s["state"], s["attempts"]) for s in prefect["steps"]] == [
        ("make.many", "completed", 1), ("use.each", "completed", 1)
    ]  # fmt: skip


def both_but_killed(shell):
    (shell.directory / "killed").touch()
    inline = shell.run("pipeline")
    (shell.directory / "killed").unlink()
    return inline, shell.run("pipeline", "--engine", "prefect")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_workers_behind(project, number):
    shell = project(f"""{HEAD}
    @operation("make.many")
    def many() -> list[A]:
        return [A(n=i) for i in range(4)]

    @operation("use.each")
    def use(a: A) -> B:
        here("use")
        time.sleep(60)
        return B(n=a.n)

    @operation("use.other")
    async def other(a: A) -> C:
        here("use")
        await asyncio.sleep(60)
        return C(n=a.n)
    """)
    say(shell, f"{{pipeline: {{{CLUSTER}}}}}")
    process = shell.start("-m", "pulpo", "run", "pipeline", "--engine", "prefect")
    try:
        deadline = time.monotonic() + 60
        while len(seen(shell).get("use", ()) if (shell.directory / "seen").exists() else ()) < 2:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (workers,) = seen(shell).values()
        process.send_signal(number)
        stopped = time.monotonic()
        _, err = process.communicate(timeout=30)
        took = time.monotonic() - stopped
    finally:
        process.kill()
    while any(map(is_alive, workers)):
        assert time.monotonic() < stopped + 30
        time.sleep(0.05)
    if number is signal.SIGINT:
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert took < 15
        assert {s["state"] for s in shell.latest()["steps"] if s["operation"] != "make.many"} == {"cancelled"}


@contextlib.contextmanager
def dask(directory: Path, kind: str, *path: Path):
    """A scheduler or a worker started by hand, with modules from `path`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")])}
    options = ("--no-dashboard", "--scheduler-file", "cluster.json", "--host", "127.0.0.1")
    options += ("--port", "0") if kind == "scheduler" else ("--no-nanny", "--nthreads", "2")
    with (directory / f"{kind}.log").open("w") as log:
        command = (sys.executable, "-m", f"distributed.cli.dask_{kind}", *options)
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address(directory: Path) -> str:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError, ValueError):
            return json.loads((directory / "cluster.json").read_text())["address"]
        assert time.monotonic() < deadline, (directory / "scheduler.log").read_text()
        time.sleep(0.05)


def test_a_cluster_that_is_there_needs_the_project_on_its_workers_alone(project, tmp_path_factory):
    shell = project(f"""{HEAD}
    @operation("make.many")
    def many() -> list[A]:
        return [A(n=i) for i in range(4)]

    @operation("use.each", inputs=Settings)
    def use(a: A, settings: Settings) -> B:
        return B(n=a.n * settings.factor)
    """)
    say(shell, "{pipeline: {task_runner: dask, task_runner_options: {address: '${DASK_ADDRESS}'}}}")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with dask(elsewhere, "scheduler"):
        shell.environment = {**shell.environment, "DASK_ADDRESS": address(elsewhere)}
        with dask(elsewhere, "worker") as worker:
            failed = shell.run("pipeline", "--engine", "prefect", code=1)
            assert failed["error"].startswith("make.many: the worker can't read the call: ModuleNotFoundError: No module named ")
            assert worker.poll() is None
        with dask(elsewhere, "worker", shell.directory):
            both(shell, "pipeline", "-p", "factor=2")


def test_what_a_task_runner_lacks_is_said_before_anything_begins(project):
    shell = project(f"""{HEAD}
    @operation("make.many")
    def many() -> list[A]:
        return [A(n=1)]
    """)
    lock = shell.directory / "pulpo.lock.yaml"
    before = lock.read_text()
    say(shell, "{make: {task_runner: dask, task_runner_options: {address: '${DASK_ADDRESS}'}}}")
    command = ("run", "pipeline", "--engine", "prefect")
    _, err = shell(*command, code=2)
    assert "an environment variable is not set: DASK_ADDRESS" in err
    assert "DASK_ADDRESS" in (shell.directory / "run_cache/orchestration/make_flow.py").read_text()
    _, err = shell(*command, code=2, PREFECT_API_URL="", DASK_ADDRESS="tcp://127.0.0.1:9")
    assert "task_runner dask needs a Prefect server" in err
    program = "import sys; sys.modules['prefect_dask'] = None; from pulpo.__main__ import main; main()"
    _, err = shell.python("-c", program, *command, code=2, DASK_ADDRESS="tcp://127.0.0.1:9")
    assert "pip install 'pulpocore[dask]'" in err
    lock.write_text(before)
    say(shell, "{make: {task_runner: dask, task_runner_options: {workers: 2}}}")
    _, err = shell(*command, code=2)
    assert "DaskTaskRunner does not take the task_runner_options" in err
    assert "there are no runs yet" in shell("runs")[1]
