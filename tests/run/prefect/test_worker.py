"""Deployed flows on a real server, run by a real worker in processes of its own."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import textwrap
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.prefect_server import Shell, rows

#: One process starts the worker, and not each that has one of the tests.
pytestmark = pytest.mark.xdist_group("prefect worker")

SHOP = """
    import asyncio
    from pathlib import Path

    from pydantic import BaseModel

    from pulpo import datamodel, operation

    HERE = Path(__file__).parent

    @datamodel(key="n")
    class Item(BaseModel):
        n: int
        word: str

    @datamodel
    class Price(BaseModel):
        n: int
        price: float

    def note(text: str) -> None:
        with (HERE / "log").open("a") as log:
            log.write(text + "\\n")

    @operation("SHOP.load.items")
    def items(word: str, count: int = 3) -> list[Item]:
        note("load")
        return [Item(n=n, word=word) for n in range(count)]

    @operation("SHOP.price", retries=1, retry_delay=0.1)
    async def price(item: Item) -> Price:
        note(f"price {item.n}")
        if (HERE / "slow").exists() and item.n:
            await asyncio.sleep(120)
        if (HERE / "flaky").exists():
            (HERE / "flaky").unlink()
            raise OSError("busy")
        if (HERE / "broken").exists() and item.n:
            raise ValueError("no price today")
        return Price(n=item.n, price=2.0 * item.n)
"""


def a_project(directory: Path, environment: dict[str, str], name: str) -> Shell:
    """A project with the flow `name`, of which `name.load` is a part."""
    directory.mkdir(parents=True)
    (directory / f"{name}.py").write_text(textwrap.dedent(SHOP).replace("SHOP", name).lstrip())
    (directory / "pyproject.toml").write_text(f'[tool.pulpo]\nname = "{name}"\nmodules = ["{name}"]\n')
    shell = Shell(directory, environment)
    shell("lock")
    return shell


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process and all that it has started, at once."""
    with contextlib.suppress(psutil.NoSuchProcess):
        worker = psutil.Process(process.pid)
        for one in [worker, *worker.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    process.communicate()


@contextlib.contextmanager
def working(shell: Shell, pool: str):
    """A worker of the pool."""
    worker = shell.start("-m", "prefect", "worker", "start", "--pool", pool, PREFECT_WORKER_QUERY_SECONDS="1")
    try:
        yield worker
    finally:
        end(worker)


def test_the_worker_of_an_environment_runs_each_deployment_in_its_own(tmp_path, prefect):
    shell = a_project(tmp_path / "here", prefect, "here")
    lock = shell.directory / "pulpo.lock.yaml"
    code = shell.directory / "here.py"
    code.write_text(
        code.read_text()
        .replace('note("load")', 'note(str(os.environ.get("PULPO_ENV")))')
        .replace("import asyncio", "import asyncio, os")
    )
    lock.write_text(lock.read_text() + "environments:\n  prod: {}\n")
    shell("prefect", "deploy")
    shell("--env", "prod", "prefect", "deploy")
    worker = shell.start("-m", "pulpo", "--env", "prod", "prefect", "worker", PREFECT_WORKER_QUERY_SECONDS="1")
    try:
        for environment in ((), ("--env", "prod")):
            shell(*environment, "prefect", "run", "here.load", "--param", "word=a", "--watch")
    finally:
        end(worker)
    assert (shell.directory / "log").read_text().split() == ["None", "prod"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory, prefect):
    """The project, deployed, with a worker."""
    shell = a_project(tmp_path_factory.mktemp("worker") / "shop", prefect, "shop")
    shell("prefect", "deploy")
    with working(shell, "shop-process"):
        yield shell


@pytest.fixture(autouse=True)
def _without_faults(shop):
    yield
    for name in ("slow", "flaky", "broken", "log"):
        (shop.directory / name).unlink(missing_ok=True)


def fault(shell: Shell, name: str) -> None:
    (shell.directory / name).touch()


def log(shell: Shell) -> list[str]:
    path = shell.directory / "log"
    return path.read_text().splitlines() if path.exists() else []


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)


def set_state(shell: Shell, flow_run: str, kind: str, name: str) -> None:
    """As Prefect's UI asks for it."""
    body = {"state": {"type": kind, "name": name}, "force": False}
    request = urllib.request.Request(
        f"{shell.environment['PREFECT_API_URL']}/flow_runs/{flow_run}/set_state",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["status"] == "ACCEPT"


def state_of(shell: Shell, flow_run: str) -> str:
    return shell.flow_runs(flow_runs={"id": {"any_": [flow_run]}})[0]["state_name"]


def states(run: dict) -> dict[str, str]:
    return {step["operation"]: step["state"] for step in run["steps"]}


def content(shell: Shell) -> dict[str, list[tuple[object, ...]]]:
    """What is stored, without ids: those of prices, which have no key, are of their run. What is doubled is there twice."""
    return {table: sorted((row[1:] for row in found), key=str) for table, found in rows(shell.directory).items()}


def started(out: str) -> str:
    """The id of the flow run that `pulpo prefect run` prints first."""
    return re.match(r"\S+  ([0-9a-f-]{36})  shop/shop\n", out)[1]


def test_prefects_own_commands_list_a_deployment_and_run_it(shop):
    listed, _ = shop.python("-m", "prefect", "deployment", "ls")
    assert all(name in listed for name in ("pipeline/shop", "shop/shop", "shop.load/shop"))
    command = ("-m", "prefect", "deployment", "run", "shop/shop", "--watch", "--param")
    shop.python(*command, 'word="tea"', "--param", "count=2")
    run = shop.latest()
    assert (run["state"], run["parameters"]) == ("completed", {"count": 2, "word": "tea"})
    assert log(shop) == ["load", "price 0", "price 1"]
    flow_run = shop.flow_runs(flow_runs={"id": {"any_": [run["flow_run"]]}})[0]
    assert flow_run["state"]["message"] == f"2 operations, run {run['id']}"
    assert f"\nflow run {run['flow_run']} of Prefect\n" in shop("runs", "show")[0]


def test_a_run_that_is_watched_and_of_which_a_call_is_retried(shop):
    fault(shop, "flaky")
    out, err = shop("prefect", "run", "shop", "--param", "word=123", "-p", "count=1", "--watch")
    run = shop.latest()
    assert run["flow_run"] == started(out)
    assert (run["state"], run["parameters"]["word"]) == ("completed", "123")
    assert run["steps"][1]["attempts"] == 2
    assert out.splitlines()[1].endswith(f"/runs/flow-run/{run['flow_run']}")
    assert f": Completed: 2 operations, run {run['id']}" in out.splitlines()[-1]
    reached = re.findall(r"^\S+ state    \S+: (\w+)", err, re.MULTILINE)
    assert [name for name in reached if name != "Submitting"] == ["Scheduled", "Pending", "Running", "Completed"]
    assert "shop.load: Beginning subflow run" in err


def test_a_failed_run_that_is_retried_in_prefect_goes_on_where_it_failed(shop):
    fault(shop, "broken")
    out, err = shop("prefect", "run", "shop", "-p", "word=tea", "--watch", "--format", "json", code=1)
    answer, first = json.loads(out), shop.latest()
    assert (answer["ok"], answer["state"], answer["id"]) == (False, "Failed", first["flow_run"])
    assert "shop.price: ValueError: no price today" in answer["message"]
    assert "Traceback" not in err
    assert states(first) == {"shop.load.items": "completed", "shop.price": "failed"}
    (shop.directory / "broken").unlink()
    (shop.directory / "log").unlink()
    set_state(shop, answer["id"], "SCHEDULED", "AwaitingRetry")
    wait_until(lambda: state_of(shop, answer["id"]) == "Completed", "the run completed")
    second = shop.latest()
    assert (second["state"], second["flow_run"], second["resumed_from"]) == ("completed", answer["id"], first["id"])
    assert states(second) == {"shop.load.items": "reused", "shop.price": "completed"}
    assert log(shop) == ["price 0", "price 1", "price 2"]


def test_who_stops_watching_is_told_that_the_run_goes_on_and_it_can_be_cancelled_in_prefect(shop):
    fault(shop, "slow")
    process = shop.start("-m", "pulpo", "prefect", "run", "shop", "-p", "word=tea", "--watch")
    wait_until(lambda: "price 2" in log(shop), "the step began")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    flow_run = started(out)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == f"interrupted: the run goes on; cancel it with: prefect flow-run cancel {flow_run}"
    assert "Traceback" not in err
    assert shop.latest()["state"] == "running"
    set_state(shop, flow_run, "CANCELLING", "Cancelling")
    wait_until(lambda: state_of(shop, flow_run) == "Cancelled", "the run was cancelled")
    run = shop.latest()
    assert (run["flow_run"], run["state"]) == (flow_run, "cancelled")
    assert states(run) == {"shop.load.items": "completed", "shop.price": "cancelled"}


def test_a_run_whose_worker_is_killed_is_gone_on_with_and_nothing_is_doubled(tmp_path, prefect):
    inline = a_project(tmp_path / "inline", prefect, "stall")
    inline.run("stall", "--param", "word=tea")
    shell = a_project(tmp_path / "stall", prefect, "stall")
    shell("prefect", "deploy", "stall")
    fault(shell, "slow")
    with working(shell, "stall-process") as worker:
        shell("prefect", "run", "stall", "--param", "word=tea")
        wait_until(lambda: "price 2" in log(shell) and states(shell.latest())["stall.load.items"] == "completed", "load is over")
        end(worker)
    (shell.directory / "slow").unlink()
    crashed = shell.latest()
    assert (crashed["state"], state_of(shell, crashed["flow_run"])) == ("crashed", "Running")
    resumed = Shell(tmp_path / "resumed", prefect)
    shutil.copytree(shell.directory, resumed.directory)

    run = resumed.run("--resume", "latest")
    assert (run["state"], run["resumed_from"], log(resumed).count("load")) == ("completed", crashed["id"], 1)
    assert content(resumed) == content(inline)

    set_state(shell, crashed["flow_run"], "SCHEDULED", "AwaitingRetry")
    with working(shell, "stall-process"):
        wait_until(lambda: state_of(shell, crashed["flow_run"]) == "Completed", "the run completed")
    run = shell.latest()
    assert (run["flow_run"], run["resumed_from"], log(shell).count("load")) == (crashed["flow_run"], crashed["id"], 1)
    assert content(shell) == content(inline)
