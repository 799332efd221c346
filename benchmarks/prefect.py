"""What Pulpo adds to Prefect, and what it saves: side by side on real servers, whole processes, in turn.

`run`: a generated flow of 100 and 1,000 operations that do nothing, in chains of two, against the same flow written by hand:
once as it is, and once with each record stored (SQLite, one commit a record, on a thread), which the generated one does as well,
besides checking it and keeping the run's history. Only the flow is timed, not the imports. Then 100 operations that sleep for
10 ms, and the whole processes, which is what a user waits for.
`deploy`: `pulpo prefect deploy` of 100 flows on a fresh server, against `prefect deploy --all` of the same `prefect.yaml`; then
both again where nothing changed. `apply`: the same 100 to the server of a project whose services are up, then `plan` and `apply`
in turn where nothing is to be done. `compile`: 1,000 operations, and which modules that imports.

`python benchmarks/prefect.py [run|deploy|apply|compile]... [--rounds N] [--tasks N]`: with `--tasks`, `run` is the one case of so
many operations that do nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from measure import Timing
from projects import pulpo_project, shared_models_project

BIN = Path(sys.executable).parent
QUIET = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "ERROR",
}
BY_HAND = """
import asyncio
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

sys.path.insert(0, str(Path(__file__).parent))
import shop

RECORDS = sqlite3.connect(sys.argv[-1] if {stored} else ":memory:", check_same_thread=False, isolation_level=None)
RECORDS.execute("pragma journal_mode=wal")
RECORDS.execute("pragma synchronous=normal")
RECORDS.execute("create table records (model text, key integer, data text, primary key (model, key))")
THREAD = ThreadPoolExecutor(1)


def store(record):
    row = (type(record).__name__, record.n, record.model_dump_json())
    RECORDS.execute("insert or replace into records values (?, ?, ?)", row)


{tasks}

async def chain(make, use):
    made = await make()
    if {stored}:
        await asyncio.get_running_loop().run_in_executor(THREAD, store, made)
    await use(made)


@flow(name="shop")
async def shop_flow():
    await asyncio.gather(*(chain(*pair) for pair in [{pairs}]))


@flow(name="pipeline")
async def pipeline_flow():
    await shop_flow()


if __name__ == "__main__":
    asyncio.run(pipeline_flow())
"""
TIME_IT = """
import asyncio, runpy, sys, time
names = runpy.run_path(sys.argv[1])
async def main():
    wall, cpu = time.perf_counter(), time.process_time()
    await names["pipeline_flow"]()
    print(time.perf_counter() - wall, time.process_time() - cpu)
asyncio.run(main())
"""


@contextlib.contextmanager
def server(home: Path) -> Iterator[dict[str, str]]:
    """A fresh Prefect server; gives the environment that uses it."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {**QUIET, "PREFECT_HOME": str(home)}
    argv = [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-services"]
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(900):
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/ready", timeout=5).close()
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"no Prefect server:\n{(home / 'server.log').read_text()}")
        yield {**environment, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "SERVER_GROUP": str(process.pid)}
    finally:
        process.terminate()
        process.wait(30)


def call(argv: list[str | Path], cwd: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def timed(argv: list[str | Path], cwd: Path, environment: dict[str, str], timing: Timing) -> None:
    before, started = os.times(), time.perf_counter()
    call(argv, cwd, environment)
    timing.wall.append(time.perf_counter() - started)
    after = os.times()
    timing.cpu.append(after.children_user + after.children_system - before.children_user - before.children_system)


def report(name: str, timing: Timing, unit: Timing | None = None) -> None:
    rounds = " ".join(f"{seconds:.2f}" for seconds in timing.wall)
    ratio = (
        f"  {timing.median_wall / unit.median_wall:5.2f}x wall {timing.median_cpu / unit.median_cpu:5.2f}x cpu" if unit else ""
    )
    print(f"  {name:34} {timing.median_wall:7.2f} s wall {timing.median_cpu:7.2f} s cpu{ratio}   ({rounds})", flush=True)


def chains(root: Path, n: int, doing: str) -> None:
    """A project of `n` operations in chains of two, in one flow, and the same by hand; each does `doing`, a statement."""
    (root / "shop").mkdir(parents=True)
    text = ["import asyncio\n\nfrom pydantic import BaseModel\n\nfrom pulpo import datamodel, operation\n"]
    tasks, names = [], []
    for i in range(n // 2):
        text.append(
            f'@datamodel(key="n")\nclass M{i}(BaseModel):\n    n: int\n\n\n'
            f'@operation("shop.make{i}")\nasync def make{i}() -> M{i}:\n    {doing}\n    return M{i}(n={i})\n\n\n'
            f'@operation("shop.use{i}")\nasync def use{i}(m: M{i}) -> None:\n    {doing}\n'
        )
        for function, parameter in (("make", ""), ("use", "m")):
            tasks.append(
                f'@task(name="shop.{function}{i}", task_run_name="shop.{function}{i}", cache_policy=NO_CACHE)\n'
                f"async def {function}{i}({parameter}):\n    return await shop.{function}{i}({parameter})\n"
            )
        names.append(f"(make{i}, use{i})")
    (root / "shop" / "__init__.py").write_text("\n\n".join(text))
    (root / "pyproject.toml").write_text('[tool.pulpo]\nname = "shop"\nmodules = ["shop"]\n')
    for file, stored in (("by_hand.py", False), ("storing.py", True)):
        (root / file).write_text(BY_HAND.format(tasks="\n".join(tasks), pairs=", ".join(names), stored=stored))


def settle(environment: dict[str, str]) -> None:
    """Wait until the server has written the events of what ran, which it does long after they were sent."""
    group = environment["SERVER_GROUP"]
    used = -1.0
    while (now := cpu_of(group)) - used > 0.02:
        used = now
        time.sleep(0.5)


def cpu_of(group: str) -> float:
    """Seconds of CPU that the processes of a group have used."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12]) if fields[2] == group else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def run(rounds: int, tasks: int | None) -> None:
    cases = ((100, "pass"), (1_000, "pass"), (100, "await asyncio.sleep(0.01)")) if tasks is None else ((tasks, "pass"),)
    for n, doing in cases:
        print(f"run {n} operations, each of them: {doing}")
        with tempfile.TemporaryDirectory() as directory:
            root, home = Path(directory) / "project", Path(directory) / "home"
            chains(root, n, doing)
            call([BIN / "pulpo", "lock"], root, QUIET)
            call([BIN / "pulpo", "compile"], root, QUIET)
            home.mkdir()
            texts = {
                "by hand": root / "by_hand.py",
                "by hand, records stored": root / "storing.py",
                "generated": root / "run_cache" / "orchestration" / "pipeline_flow.py",
            }
            timings = {(what, name): Timing() for what in ("flow", "process") for name in texts}
            with server(home) as environment:
                for number in range(rounds + 1):  # the first one warms up
                    for name in sorted(texts, reverse=bool(number % 2)):
                        database = home / f"{number}-{name}.db"
                        wall, cpu = call([sys.executable, "-c", TIME_IT, texts[name], database], root, environment).split()[-2:]
                        settle(environment)
                        whole = Timing()
                        timed([sys.executable, texts[name], f"{database}-whole"], root, environment, whole)
                        settle(environment)
                        if number:
                            timings["flow", name].wall.append(float(wall))
                            timings["flow", name].cpu.append(float(cpu))
                            timings["process", name].wall += whole.wall
                            timings["process", name].cpu += whole.cpu
            for what in ("flow", "process"):
                report(f"{what} by hand", timings[what, "by hand"])
                for name in ("by hand, records stored", "generated"):
                    report(f"{what} {name}", timings[what, name], timings[what, "by hand"])
                report(f"{what} generated, to stored", timings[what, "generated"], timings[what, "by hand, records stored"])


def scheduled(root: Path) -> None:
    """Give each flow of the lock a schedule."""
    lock = root / "pulpo.lock.yaml"
    flows = "".join(f'  shop{i}: {{schedule: {{cron: "0 6 * * *", timezone: Europe/Berlin}}}}\n' for i in range(99))
    lock.write_text(lock.read_text() + f"flows:\n{flows}")


def deploy(rounds: int) -> None:
    ours: list[str | Path] = [BIN / "pulpo", "prefect", "deploy"]
    theirs: list[str | Path] = [
        BIN / "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", "run_cache/orchestration/prefect.yaml",
    ]  # fmt: skip
    for kind in ("without schedules", "with schedules"):
        print(f"deploy 100 flows, {kind}:")
        timings = {name: Timing() for name in ("prefect", "prefect again", "pulpo", "pulpo again")}
        for _ in range(rounds):
            for name, argv in (("prefect", theirs), ("pulpo", ours)):
                with tempfile.TemporaryDirectory() as directory:
                    root, home = Path(directory) / "project", Path(directory) / "home"
                    home.mkdir()
                    pulpo_project(root, 2 * 99)
                    call([BIN / "pulpo", "lock"], root, QUIET)
                    if kind == "with schedules":
                        scheduled(root)
                    call([BIN / "pulpo", "compile"], root, QUIET)
                    with server(home) as environment:
                        pool: list[str | Path] = [BIN / "prefect", "work-pool", "create", "shop-process", "--type", "process"]
                        call(pool, root, environment)
                        timed(argv, root, environment, timings[name])
                        timed(argv, root, environment, timings[f"{name} again"])
        for name in ("", " again"):
            report(f"prefect deploy --all{name}", timings[f"prefect{name}"])
            report(f"pulpo prefect deploy{name}", timings[f"pulpo{name}"], timings[f"prefect{name}"])


def apply(rounds: int) -> None:
    print("apply 100 deployments to the project's own server, all services up:")
    created, looked, nothing = Timing(), Timing(), Timing()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory) / "project"
            environment = {**QUIET, "PREFECT_HOME": str(root / "home")}
            pulpo_project(root, 2 * 99)
            call([BIN / "pulpo", "lock"], root, QUIET)
            lock = root / "pulpo.lock.yaml"
            lock.write_text(re.sub(r'- "(4200|8000|3000)"', "- auto", lock.read_text()))
            try:
                call([BIN / "pulpo", "up"], root, environment)
                timed([BIN / "pulpo", "apply", "--yes"], root, environment, created)
                for _ in range(5):
                    timed([BIN / "pulpo", "plan"], root, environment, looked)
                    timed([BIN / "pulpo", "apply", "--yes"], root, environment, nothing)
            finally:
                call([BIN / "pulpo", "down"], root, environment)
    report("pulpo apply", created)
    report("pulpo plan, nothing to do", looked)
    report("pulpo apply, nothing to do", nothing, looked)


def compile_(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = shared_models_project(Path(directory) / "project", 1_000)
        call([BIN / "pulpo", "lock"], root, QUIET)
        timing = Timing()
        for _ in range(rounds):
            shutil.rmtree(root / "run_cache", ignore_errors=True)
            timed([BIN / "pulpo", "compile"], root, QUIET, timing)
        print("compile 1,000 operations:")
        report("pulpo compile", timing)
        probe = "import sys; from pulpo import CLI; CLI('.').compile(); print('prefect' in sys.modules)"
        print(f"  imports Prefect: {call([sys.executable, '-c', probe], root, QUIET).split()[-1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], "run", "deploy", "apply", "compile"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int)
    asked = parser.parse_args()
    parts = {"run": lambda rounds: run(rounds, asked.tasks), "deploy": deploy, "apply": apply, "compile": compile_}
    for name, part in parts.items():
        if not asked.parts or name in asked.parts:
            part(asked.rounds)


if __name__ == "__main__":
    main()
