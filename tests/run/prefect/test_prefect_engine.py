"""The engine `prefect` on a real server gives the inline engine's answers."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.prefect_server import rows
from tests.run.prefect.models import MODELS

FAULTS = (
    MODELS
    + """
    tries = {}

    @operation("make.many")
    def many(count: int = 6) -> list[A]:
        return [A(n=i) for i in range(count)]

    @operation("make.flaky", retries=2, retry_delay=0.1)
    def flaky() -> B:
        tries["flaky"] = tries.get("flaky", 0) + 1
        if tries["flaky"] < 3:
            raise OSError("flaky")
        return B(n=1)

    @operation("map.some", on_error="skip", concurrency=2)
    def some(a: A) -> C:
        if a.n == 3:
            raise ValueError("three")
        return C(n=a.n)

    @operation("map.odd", inputs=Settings, retries=1, retry_delay=0.1)
    async def odd(a: A, settings: Settings) -> D:
        tries[a.n] = tries.get(a.n, 0) + 1
        if a.n % 2 and tries[a.n] < 2:
            a.n = 100  # the next try gets another copy
            raise ValueError("odd once")
        return D(n=a.n * settings.factor)

    @operation("bad.slow", timeout=0.3)
    async def slow(b: B) -> None:
        await asyncio.sleep(60)

    @operation("bad.blocking", timeout=0.3)
    def blocking(b: B) -> None:
        time.sleep(2)

    @operation("bad.cancels")
    async def cancels(b: B) -> None:
        asyncio.current_task().cancel()
        await asyncio.sleep(60)

    @operation("bad.exits")
    async def exits(b: B) -> None:
        raise SystemExit("enough")

    @operation("bad.raises")
    async def raises(b: B) -> D:
        raise ValueError("no such page") from KeyError("page")

    @operation("bad.wrong", retries=2)
    def wrong(b: B) -> D:
        return {"n": "x"}

    @operation("good.end")
    async def end(cs: list[C], b: B) -> None:
        print("end", len(cs))
"""
)

#: More operations than there are threads, all of which fail once.
WAITING = """
    from pathlib import Path

    from pulpo import operation

    HERE = Path(__file__).parent

    def attempt(name: str) -> None:
        first = not (HERE / name).exists()
        (HERE / name).touch()
        with (HERE / "tries").open("a") as tries:
            tries.write("1\\n" if first else "2\\n")
        if first:
            raise OSError("busy")
""" + "".join(
    f"""
    @operation("many.op{number}", retries=1, retry_delay=3)
    def op{number}() -> None:
        attempt("op{number}")
"""
    for number in range(40)
)


def answer(run: dict) -> dict:
    """What a run says, without what is of this very run."""
    steps = [{k: v for k, v in step.items() if k not in ("started", "finished")} for step in run["steps"]]
    return {
        **{k: run[k] for k in ("flow", "state", "parameters", "inputs", "operations", "selection", "error")},
        "steps": [json.loads(json.dumps(step).replace(run["id"], "RUN")) for step in steps],
    }


def both(shell, *arguments: str, code: int = 0) -> tuple[dict, dict]:
    """The run on each engine, from an empty store, compared with its rows."""
    runs = []
    for engine in ("inline", "prefect"):
        for old in shell.directory.glob("run_cache/store.db*"):
            old.unlink()
        run = shell.run(*arguments, "--engine", engine, code=code)
        runs.append((run, answer(run), rows(shell.directory)))
    (inline, said, stored), (prefect, also_said, also_stored) = runs
    assert also_said == said
    assert also_stored == stored
    assert stored
    assert (inline["engine"], prefect["engine"]) == ("inline", "prefect")
    return inline, prefect


def test_jobs_gives_the_same_on_both_engines(jobs):
    _, prefect = both(jobs, "pipeline", "--param", "keywords=python")
    assert prefect["state"] == "completed"
    assert prefect["parameters"] == {"keywords": "python"}
    alone = jobs.run("parsing", "--engine", "prefect")  # takes what the last run stored
    assert [(s["operation"], s["state"]) for s in alone["steps"]] == [("parsing.clean", "completed")]
    assert list(alone["inputs"].values()) == [f"run:{prefect['id']}"]


def test_prefect_shows_a_flow_run_for_each_flow(jobs):
    run = jobs.run("pipeline", "--engine", "prefect")
    states = [(one["name"], one["state_type"]) for one in jobs.flow_runs_of(run["id"])]
    names = [run["id"], "scraping", "scraping.linkedin", "scraping.stepstone", "parsing"]
    assert sorted(states) == sorted((name, "COMPLETED") for name in names)


def test_failures_retries_and_time_limits_are_the_same_on_both_engines(project):
    inline, prefect = both(project(FAULTS), "pipeline", "-p", "count=7", "-p", "factor=2", code=1)
    states = {step["operation"]: step["state"] for step in prefect["steps"]}
    assert states["map.odd"] == states["good.end"] == "completed"
    assert {name for name, state in states.items() if state == "failed"} == {
        "bad.slow", "bad.blocking", "bad.cancels", "bad.exits", "bad.raises", "bad.wrong"
    }  # fmt: skip
    assert "shop.py" in inline["error"]
    assert "run_cache" not in prefect["error"]


def test_a_part_of_a_flow_runs_as_it_does_inline(project):
    shell = project(FAULTS)
    _, prefect = both(shell, "pipeline", "--select", "make.many", "--select", "map.some")
    assert prefect["operations"] == ["make.many", "map.some"]
    Path(shell.directory / "a.json").write_text('[{"n": 5}]')
    both(shell, "map.some", "--input", "A=@a.json")


OVERLAP = (
    MODELS
    + """
    @operation("scraping.fast")
    async def fast() -> A:
        return A(n=1)

    @operation("scraping.slow")
    def slow() -> None:
        time.sleep(3)

    @operation("parsing.clean")
    async def clean(a: A) -> B:
        await asyncio.sleep(0.1)
        return B(n=a.n)
"""
)


def test_a_step_starts_before_the_flow_of_its_producer_ends(project):
    run = project(OVERLAP).run("pipeline", "--engine", "prefect")
    steps = {step["operation"]: step for step in run["steps"]}
    assert steps["parsing.clean"]["finished"] < steps["scraping.slow"]["finished"]


STOPPED = (
    MODELS
    + """
    @datamodel()
    class Seen(BaseModel):
        n: int

    @operation("first.make")
    def make() -> list[A]:
        with Path("made.txt").open("a") as file:
            file.write("made\\n")
        return [A(n=i) for i in range(4)]

    @operation("first.see")
    def see(a: A) -> Seen:
        return Seen(n=a.n)

    @operation("second.use")
    async def use(a: A, seen: list[Seen]) -> B:
        if os.environ.get("STOP") and a.n:
            Path("there.txt").touch()
            await asyncio.sleep(60)
        return B(n=a.n)
"""
)


def stopped(shell, number: int, *command: str) -> tuple[int, str]:
    """Sends a signal to a run whose mapped step has one call done; gives its exit code and what it said on stderr."""
    process = shell.start(*command, STOP="1")
    try:
        deadline = time.monotonic() + 60
        while not (shell.directory / "there.txt").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        while "first.see" not in {s["operation"] for s in shell.latest()["steps"] if s["state"] == "completed"}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, err


def test_a_killed_run_is_gone_on_with_and_nothing_is_doubled(project):
    shell = project(STOPPED)
    command = ("-m", "pulpo", "run", "pipeline", "--engine", "prefect")
    assert stopped(shell, signal.SIGKILL, *command)[0] == -signal.SIGKILL
    assert shell.latest()["state"] == "crashed"
    run = shell.run("--resume", "latest", "--engine", "prefect")
    assert [(s["operation"], s["state"]) for s in run["steps"]] == [
        ("first.make", "reused"), ("first.see", "reused"), ("second.use", "completed")
    ]  # fmt: skip
    assert (shell.directory / "made.txt").read_text() == "made\n"
    assert [len(found) for found in rows(shell.directory).values()] == [4, 4, 4]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_recorded_as_cancelled(project, number):
    shell = project(STOPPED)
    code, err = stopped(shell, number, "-m", "pulpo", "run", "pipeline", "--engine", "prefect")
    assert code == 130
    assert "Traceback" not in err
    run = shell.latest()
    states = {s["operation"]: s["state"] for s in run["steps"]}
    assert run["state"] == states["second.use"] == "cancelled"
    assert states["first.make"] == "completed"


def test_a_generated_file_runs_by_itself(jobs):
    jobs.compile()
    jobs.python(jobs.script("pipeline_flow"))
    run = jobs.latest()
    assert (run["engine"], run["state"], len(run["steps"])) == ("prefect", "completed", 5)
    assert run["parameters"] == {}


def test_where_prefect_keeps_results_a_run_is_as_without(jobs, tmp_path):
    where = {"PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true", "PREFECT_LOCAL_STORAGE_PATH": str(tmp_path / "results")}
    without, kept = (answer(jobs.run("pipeline", "--engine", "prefect", **env)) for env in ({}, where))
    assert kept["state"] == without["state"] == "completed"
    assert [(s["operation"], s["state"], s["outputs"]) for s in kept["steps"]] == [
        (s["operation"], s["state"], s["outputs"]) for s in without["steps"]
    ]


def test_a_server_that_is_not_there_is_said_so(jobs):
    _, err = jobs("run", "pipeline", "--engine", "prefect", code=2, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert "the Prefect server at http://127.0.0.1:9/api" in err
    assert "Traceback" not in err


def test_text_older_than_the_lock_runs_nothing(jobs):
    jobs.compile()
    lock = jobs.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("from: [scraping.stepstone.fetch]", "from: [scraping.linkedin.fetch]", 1))
    _, err = jobs.python(jobs.script("scraping_flow"), code=1)
    assert "is older than the lock: where stepstone of scraping.merge comes from" in err
    assert "there are no runs yet" in jobs("runs")[1]


def test_text_that_calls_another_function_than_the_lock_says_runs_nothing(jobs):
    jobs.compile()
    (jobs.directory / "jobs" / "cleaning.py").write_text(
        "from jobs.models import *\n\ndef clean(raw: RawJobs) -> CleanedJobs: ...\n"
    )
    lock = jobs.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("entrypoint: jobs.operations:clean", "entrypoint: jobs.cleaning:clean"))
    _, err = jobs.python(jobs.script("parsing_flow"), code=1)
    assert "is older than the lock: the function of parsing.clean" in err
    assert "there are no runs yet" in jobs("runs")[1]


def test_text_with_other_delays_than_the_lock_has_runs_nothing(project):
    shop = project(WAITING)
    shop("compile")
    lock = shop.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("retry_delay: 3", "retry_delay: 4"))
    _, err = shop.python(shop.script("pipeline_flow"), code=1)
    assert "is older than the lock: retry_delay of many.op0" in err


def test_who_waits_for_the_next_try_keeps_no_thread_from_others(project):
    shop = project(WAITING)
    answer(shop.run("pipeline", "--engine", "prefect"))
    tries = (shop.directory / "tries").read_text().split()
    assert tries[:40] == ["1"] * 40
    assert tries[40:] == ["2"] * 40


def test_text_with_another_default_than_the_lock_has_runs_nothing(jobs):
    jobs.compile()
    lock = jobs.directory / "pulpo.lock.yaml"
    assert "default: python" in lock.read_text()
    lock.write_text(lock.read_text().replace("default: python", "default: rust"))
    _, err = jobs.python(jobs.script("scraping_flow"), code=1)
    assert "is older than the lock: its parameter keywords" in err
    assert "there are no runs yet" in jobs("runs")[1]


def test_without_prefect_the_engine_says_what_to_install(jobs):
    program = "import sys; sys.modules['prefect'] = None; from pulpo.__main__ import main; main()"
    _, err = jobs.python("-c", program, "run", "pipeline", "--engine", "prefect", code=2)
    assert "pip install 'pulpocore[prefect]'" in err
