"""Resuming, cancelling, being killed, and reusing cached outputs."""

import asyncio
import dataclasses
import datetime as dt
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from pulpo.errors import UsageError
from pulpo.run.history import get_run, list_runs
from pulpo.run.inline import execute
from pulpo.run.inputs import InputChoice
from pulpo.run.record import RUNS, SILENCE, Process, State
from pulpo.store.base import Collection, Record, StoreError
from pulpo.store.sqlite import SqliteStore
from pulpo.store.values import now
from tests.run.workshop import Job, Mode, Note, Output, Parameter, many, states, step_of, takes, told

STORES = ("sqlite", "mongo")


@pytest.fixture
def flaky(project):
    """fetch → notes → last, where `last` fails as long as `project.broken`."""
    project.broken = True
    project.calls = []

    def call(name, result=None):
        def function(*_, **__):
            project.calls.append(name)
            if name == "c.last" and project.broken:
                raise ValueError("broken")
            return result

        return function

    project.step("a.fetch", call("a.fetch", [Job(url="1"), Job(url="2")]), out=many("Job"))
    project.step(
        "b.notes", lambda job: [Note(text=job.url), Note(text="x")], takes("job", "Job", Mode.EACH, ["a.fetch"]), out=many("Note")
    )
    got = project.got = []

    def last(notes):
        project.calls.append("c.last")
        if project.broken:
            raise ValueError("broken")
        got.extend(note.text for note in notes)
        return [Note(text=note.text + "!") for note in notes]

    project.step("c.last", last, takes("notes", "Note", Mode.ALL, ["b.notes"]), out=many("Note"))
    project.step("c.side", call("c.side"), after=["a.fetch"])
    return project


async def test_a_resumed_run_does_only_what_was_not_done(flaky):
    first = await flaky.run()
    assert states(first) == {"a.fetch": "completed", "b.notes": "completed", "c.last": "failed", "c.side": "completed"}
    flaky.calls.clear()
    flaky.broken = False
    second = await flaky.run(resume=first.id)
    assert second.ok
    assert flaky.calls == ["c.last"]
    assert flaky.got == ["1", "x", "2", "x"]
    assert states(second) == {"a.fetch": "reused", "b.notes": "reused", "c.last": "completed", "c.side": "reused"}
    assert (second.resumed_from, second.root) == (first.id, first.id)
    assert step_of(second, "a.fetch").reused_from == first.id
    assert await get_run(flaky.store, second.id) == second


async def test_resuming_a_resumed_run_goes_back_as_far_as_it_takes_and_doubles_nothing(flaky):
    run = first = await flaky.run()
    for _ in range(3):
        run = await flaky.run(resume=run.id)
        assert run.state == "failed"
    flaky.broken = False
    run = await flaky.run(resume=run.id)
    assert run.ok
    assert run.root == first.id
    assert step_of(run, "a.fetch").reused_from == first.id
    assert len(await flaky.records("Note")) == 8


async def test_records_without_a_key_are_not_doubled_when_a_step_runs_again(flaky):
    first = await flaky.run()
    old = next(step for step in flaky.steps if step.operation == "b.notes")
    moved = dataclasses.replace(old, entrypoint=flaky.entrypoint(lambda job: [Note(text=job.url)] * 2, "moved"))
    flaky.steps = [moved if step is old else step for step in flaky.steps]
    second = await flaky.run(resume=first.id)
    assert states(second)["b.notes"] == "completed"
    assert states(second)["a.fetch"] == "reused"
    assert len(await flaky.records("Note")) == 4


async def test_what_depends_on_a_step_that_runs_again_runs_again_too(project):
    works, got = False, []

    def may_fail():
        if not works:
            raise ValueError("down")
        return Job(url="late")

    project.step("a.down", may_fail, out="Job", on_error="skip")
    project.step("a.up", lambda: Job(url="early"), out="Job")
    project.step("b.all", lambda jobs: got.append([j.url for j in jobs]), takes("jobs", "Job", Mode.ALL, ["a.down", "a.up"]))
    first = await project.run()
    works = True
    second = await project.run(resume=first.id)
    assert got == [["early"], ["late", "early"]]
    assert states(second) == {"a.down": "completed", "a.up": "reused", "b.all": "completed"}


async def test_parameters_and_inputs_of_the_resumed_run_hold_unless_given_anew(project):
    got, broken = [], True

    def last(jobs, limit: int):
        got.append(([j.url for j in jobs], limit))
        if broken:
            raise ValueError("broken")

    project.step("a.first", told(got.append), parameters=["limit"])
    project.step("b.last", last, takes("jobs", "Job", Mode.ALL), parameters=["limit"], after=["a.first"])
    choice = {"Job": InputChoice("file", "x.json", [{"url": "from file"}])}
    first = await project.run(parameters={"limit": 3}, inputs=choice)
    await project.run(resume=first.id)
    third = await project.run(resume=first.id, parameters={"a.first.limit": 9})
    assert got == [3, (["from file"], 3), (["from file"], 3), 9, (["from file"], 3)]
    assert third.inputs == {"b.last.jobs": "file"}
    assert states(third)["a.first"] == "completed"


async def test_the_earlier_run_read_from_outside_is_read_again_when_resuming(project):
    got, broken = [], True

    def last(jobs):
        got.append([j.url for j in jobs])
        if broken:
            raise ValueError("broken")

    url = "1"
    project.step("a.fetch", lambda: Job(url=url), out="Job")
    project.step("b.last", last, takes("jobs", "Job", Mode.ALL, ["a.fetch"]))
    await project.run("a.fetch")
    first = await project.run("b.last", flow="b")
    url = "2"
    await project.run("a.fetch")
    await project.run("b.last", flow="b", resume=first.id)
    assert got == [["1"], ["1"]]


async def test_a_run_that_can_not_be_resumed_is_refused(project):
    project.step("a.one", lambda: None)
    run = await project.run()
    with pytest.raises(UsageError) as caught:
        await project.run(resume=run.id + "0")
    assert caught.value.message == f"there is no such run: {run.id}0"
    assert caught.value.hint == f"did you mean '{run.id}'?"
    with pytest.raises(UsageError, match=f"run {run.id} is not one of other, but of: pipeline"):
        await project.run(flow="other", resume=run.id)


async def test_a_cancelled_run_is_stored_as_such_and_can_be_resumed(project):
    ran, begun = [], asyncio.Event()

    async def endless():
        ran.append("endless")
        if len(ran) == 2:
            begun.set()
            await asyncio.Event().wait()

    project.step("a.first", lambda: ran.append("first"))
    project.step("b.endless", endless, after=["a.first"])
    project.step("c.last", lambda: ran.append("last"), after=["b.endless"])
    task = asyncio.create_task(project.run())
    await begun.wait()
    run_id = project.events[0].run
    with pytest.raises(UsageError, match="the run is still going on"):
        await execute(project.flow(), models=project.models, store=project.store, resume=run_id)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    run = await get_run(project.store, run_id)
    assert run.state == "cancelled"
    assert states(run) == {"a.first": "completed", "b.endless": "cancelled", "c.last": "cancelled"}
    again = await project.run(resume=run_id)
    assert again.ok
    assert ran == ["first", "endless", "endless", "last"]


async def test_cancelling_does_not_wait_for_threads(project):
    begun, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def stuck(job):
        loop.call_soon_threadsafe(begun.set)
        release.wait(20)

    project.step("a.fetch", lambda: [Job(url="a")], out=many("Job"))
    project.step("b.stuck", stuck, takes("job", "Job", Mode.EACH, ["a.fetch"]))
    task = asyncio.create_task(project.run())
    await begun.wait()
    task.cancel()
    async with asyncio.timeout(4):
        with pytest.raises(asyncio.CancelledError):
            await task
    release.set()
    assert states(await get_run(project.store, project.events[0].run))["b.stuck"] == "cancelled"


PROGRAM = """
    import asyncio, sys, time
    from pathlib import Path
    from pydantic import BaseModel
    from pulpo.compile.flow import Argument, FlowDefinition, Output, Step
    from pulpo.manifest.model import Mode, ModelSpec
    from pulpo.run.inline import execute
    from pulpo.store.sqlite import SqliteStore

    class Note(BaseModel):
        text: str

    def first():
        Path("first.log").open("a").write("x")
        return [Note(text=str(i)) for i in range(500)]

    def second(notes):
        if not Path("go").exists():
            print("waiting", flush=True)
            time.sleep(60)
        return [Note(text=note.text + "!") for note in notes]

    MODELS = {"Note": ModelSpec.model_validate({"entrypoint": "program:Note"})}
    notes = (Output("Note", many=True),)
    argument = Argument("notes", "Note", Mode.ALL, ("a.first",), ("a.first",))
    FLOW = FlowDefinition(
        "pipeline",
        (
            Step("a.first", "program:first", is_async=False, outputs=notes),
            Step("b.second", "program:second", is_async=False, arguments=(argument,), outputs=notes, after=("a.first",), models_in=("Note",)),
        ),
        operations=("a.first", "b.second"),
        dependencies={"a.first": (), "b.second": ("a.first",)},
    )

    async def main(resume):
        async with SqliteStore("store.db") as store:
            run = await execute(FLOW, models=MODELS, store=store, resume=resume)
            print(run.state, *(step.state for step in run.steps))

    if __name__ == "__main__":
        import program
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))

    def start(*arguments):
        paths = [str(tmp_path), str(Path(__file__).parents[2])]
        return subprocess.Popen(
            [sys.executable, "program.py", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.PIPE,
            text=True,
        )

    return start


async def test_a_killed_run_is_crashed_and_the_resumed_one_doubles_nothing(program, tmp_path):
    process = program()
    assert process.stdout.readline() == "waiting\n"
    async with SqliteStore(tmp_path / "store.db") as store:
        (alive,) = await list_runs(store)
        assert alive.state == "running"
        async with asyncio.timeout(10):
            while step_of(await get_run(store, alive.id), "b.second").state != "running":  # noqa: ASYNC110 - a process's doing
                await asyncio.sleep(0.01)
        process.kill()
        process.communicate()
        (run,) = await list_runs(store, state=State.CRASHED)
        found = await get_run(store, run.id)
        assert found.state == "crashed"
        assert states(found) == {"a.first": "completed", "b.second": "crashed"}
        (tmp_path / "go").touch()
        output, _ = program(run.id).communicate(timeout=30)
        assert output == "completed reused completed\n"
        assert (tmp_path / "first.log").read_text() == "x"
        assert await store.count(Collection("note")) == 1000


async def test_ctrl_c_leaves_a_cancelled_run(program, tmp_path):
    process = program()
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    async with SqliteStore(tmp_path / "store.db") as store:
        (run,) = await list_runs(store)
        assert run.state == "cancelled"


async def test_a_run_of_another_machine_that_says_nothing_for_long_is_crashed_and_can_be_gone_on_with(flaky):
    run = await flaky.run()
    there = dataclasses.replace(run, state=State.RUNNING, finished=None, process=Process("elsewhere", 1, 1.0), seen=now())

    async def say(seen):
        said = dataclasses.replace(there, seen=seen)
        await flaky.store.upsert_many(RUNS, [Record(run.id, said.data(), run=run.id)])

    await say(now() - SILENCE + dt.timedelta(seconds=30))
    assert [one.state for one in await list_runs(flaky.store)] == ["running"]
    with pytest.raises(UsageError, match="still going on, in process 1 on elsewhere"):
        await flaky.run(resume=run.id)
    await say(now() - SILENCE)
    assert [one.id for one in await list_runs(flaky.store, state=State.CRASHED)] == [run.id]
    assert (await get_run(flaky.store, run.id)).state == "crashed"
    flaky.broken = False
    assert (await flaky.run(resume=run.id)).ok
    assert flaky.calls == ["a.fetch", "c.side", "c.last", "c.last"]


async def test_a_run_says_from_time_to_time_that_it_goes_on_and_a_short_one_only_how_it_ended(project, monkeypatch):
    seen = []

    async def work():
        record = await project.store.get(RUNS, project.events[0].run)
        seen.append(record.data["seen"])
        while len(seen) == 1:
            await asyncio.sleep(0.01)
            record = await project.store.get(RUNS, record.id)
            if record.data["seen"] != seen[0]:
                seen.append(record.data["seen"])

    project.step("a.work", work)
    monkeypatch.setattr("pulpo.run.inline.SIGN", 0.05)
    run = await asyncio.wait_for(project.run(), 20)
    assert run.ok
    assert run.started <= seen[0] < seen[1] <= run.finished
    monkeypatch.undo()
    project.step("a.work", lambda: None)
    short = await project.run()
    assert (await project.store.get(RUNS, short.id)).rev == 2


async def test_cached_outputs_are_reused_for_the_same_inputs_parameters_and_version(project):
    calls = []

    def clean(jobs, limit: int):
        calls.append(limit)
        return [{"url": j.url, "salary": limit} for j in jobs]

    def define(urls, **settings):
        project.step("a.fetch", lambda: [Job(url=u) for u in urls], out=many("Job"))
        jobs = takes("jobs", "Job", Mode.ALL, ["a.fetch"])
        project.step("b.clean", clean, jobs, out=many("Clean"), parameters=["limit"], cached=True, **settings)

    define("ab")
    first = await project.run(parameters={"limit": 1})
    second = await project.run(parameters={"limit": "1"})
    assert states(second)["b.clean"] == "reused"
    assert step_of(second, "b.clean").reused_from == first.id
    await project.run(parameters={"limit": 2})
    assert calls == [1, 2]
    define("abc")
    await project.run(parameters={"limit": 2})
    define("abc", version="2")
    await project.run(parameters={"limit": 2})
    assert calls == [1, 2, 2, 2]
    define("abc", version="2", cache_ttl=1e-9)
    await project.run(parameters={"limit": 2})
    assert calls == [1, 2, 2, 2, 2]


async def test_a_cached_output_that_was_changed_or_deleted_since_is_made_again(project):
    calls = []
    project.step("a.fetch", lambda: calls.append(1) or Job(url="a"), out="Job", cached=True)
    update = takes("job", "Job", sources=["a.fetch"])
    project.step("b.raise", lambda job: {"url": job.url, "salary": job.salary + 1}, update, out="Job")
    for _ in range(2):
        assert (await project.run()).ok
    assert len(calls) == 2
    assert await project.data("Job") == [{"url": "a", "salary": 1}]


async def test_failed_calls_are_not_cached(project):
    broken, calls = True, []

    def fetch():
        calls.append(1)
        if broken:
            raise ValueError("down")
        return Job(url="a")

    project.step("a.fetch", fetch, out="Job", cached=True)
    await project.run()
    broken = False
    await project.run()
    await project.run()
    assert len(calls) == 2


async def test_runs_are_listed_newest_first_and_can_be_filtered(project):
    project.step("a.one", lambda: None)
    first = await project.run()
    second = await project.run(flow="other")
    project.step("a.one", lambda: 1 / 0)
    third = await project.run()
    assert [r.id for r in await list_runs(project.store)] == [third.id, second.id, first.id]
    assert [r.id for r in await list_runs(project.store, flow="pipeline", state=State.COMPLETED)] == [first.id]
    assert [r.id for r in await list_runs(project.store, limit=1)] == [third.id]
    assert await list_runs(project.store, state=State.CRASHED) == []


@pytest.fixture
def accounts(project):
    """fetch → fee, which subtracts → report, which fails as long as `project.broken`; each updates or takes all records."""
    project.broken, project.calls = True, []

    def fetch():
        project.calls.append("a.fetch")
        return [Job(url="1", salary=100), Job(url="2", salary=200)]

    def fee(jobs, by: int = 1):
        project.calls.append("b.fee")
        for job in jobs:
            job.salary -= by
        return jobs

    def report(jobs):
        project.calls.append("c.report")
        if project.broken:
            raise ValueError("broken")

    project.step("a.fetch", fetch, out=many("Job"))
    project.step("a.stored", lambda: None, after=["a.fetch"], models_in=["Job"])  # from here on fetch is stored
    jobs = takes("jobs", "Job", Mode.ALL, ["a.fetch"])
    project.step("b.fee", fee, jobs, out=many("Job"), parameters=[Parameter("by", {}, 1)], after=["a.stored"])
    project.step("b.side", lambda jobs: project.calls.append("b.side"), takes("jobs", "Job", Mode.ALL, ["a.fetch"]))
    project.step("c.report", report, takes("jobs", "Job", Mode.ALL, ["b.fee"]))
    return project


async def salaries(project):
    return [record["salary"] for record in sorted(await project.data("Job"), key=lambda record: record["url"])]


async def test_an_updater_that_runs_again_gets_what_its_producer_made_not_what_it_stored_itself(accounts):
    first = await accounts.run()
    assert await salaries(accounts) == [99, 199]
    accounts.calls.clear()
    accounts.broken = False
    second = await accounts.run(resume=first.id, parameters={"by": 10})
    assert second.ok
    assert await salaries(accounts) == [90, 190]
    assert sorted(accounts.calls) == ["a.fetch", "b.fee", "b.side", "c.report"]


async def test_an_updater_that_is_done_is_reused_together_with_its_producer(accounts):
    first = await accounts.run()
    accounts.calls.clear()
    accounts.broken = False
    second = await accounts.run(resume=first.id)
    assert accounts.calls == ["c.report"]
    assert states(second)["a.fetch"] == states(second)["b.fee"] == "reused"
    assert await salaries(accounts) == [99, 199]


async def test_an_updater_whose_records_were_stored_and_not_its_state_updates_once(accounts):
    store = accounts.store
    stored = []

    class Dying:
        def __getattr__(self, name):
            return getattr(store, name)

        async def upsert_many(self, collection, rows):
            rows = list(rows)
            if collection.name in ("pulpo_outputs", "pulpo_steps") and stored:
                raise StoreError("the machine is gone")
            written = await store.upsert_many(collection, rows)
            if collection.name == "job" and any(row.operation == "b.fee" for row in rows):
                stored.append(len(rows))
            return written

    accounts.store = Dying()
    with pytest.raises(StoreError, match="gone"):
        await accounts.run()
    accounts.store, accounts.broken = store, False
    assert await salaries(accounts) == [99, 199]
    (run,) = await list_runs(store)
    again = await accounts.run(resume=run.id)
    assert again.ok
    assert await salaries(accounts) == [99, 199]


async def test_of_two_updaters_in_turn_the_first_runs_again_too_where_the_second_has_stored_its_records(accounts):
    accounts.step(
        "b.tax",
        lambda jobs, rate: [{"url": j.url, "salary": j.salary // rate} for j in jobs],
        takes("jobs", "Job", Mode.ALL, ["b.fee"]),
        out=many("Job"),
        parameters=[Parameter("rate", {}, 3)],
    )
    accounts.step("c.report", lambda jobs: 1 / 0, takes("jobs", "Job", Mode.ALL, ["b.tax"]))
    first = await accounts.run(parameters={"rate": 3})
    assert await salaries(accounts) == [33, 66]
    await accounts.run(resume=first.id, parameters={"rate": 9})
    assert await salaries(accounts) == [11, 22]


async def test_what_was_done_behind_a_step_that_had_nothing_to_do_is_not_done_again(project):
    sent = []
    project.step("a.fetch", lambda: None, out=Output("Job", optional=True))
    project.step("b.clean", lambda job: job, takes("job", "Job", sources=["a.fetch"]), out=Output("Clean"))
    project.step("c.send", lambda jobs: sent.append(len(jobs)), takes("jobs", "Clean", Mode.ALL, ["b.clean"]))
    project.step("d.fail", lambda: 1 / 0, after=["c.send"])
    first = await project.run()
    second = await project.run(resume=first.id)
    third = await project.run(resume=second.id)
    assert sent == [0]
    for run in (second, third):
        assert states(run) == {"a.fetch": "reused", "b.clean": "skipped", "c.send": "reused", "d.fail": "failed"}
        assert step_of(run, "b.clean").error == "skipped: no Job came in for job"
