"""Failures: retries, time limits, what is skipped, what goes on, and what is never called completed."""

import asyncio
import dataclasses
import sys
import threading
import time

import pytest

from pulpo.run.history import get_run, list_runs, stored_in
from pulpo.run.inline import execute
from pulpo.store.base import StoreError
from tests.run.workshop import Job, Mode, Note, Output, many, states, step_of, takes, told


def failing(*_, **__):
    raise ValueError("no such page")


async def test_what_waits_for_a_failed_step_is_skipped_and_all_else_goes_on(project):
    project.step("a.bad", failing, out="Job")
    project.step("a.good", lambda: Note(text="n"), out="Note")
    project.step("b.next", lambda job: job, takes("job", "Job", sources=["a.bad"]), out="Job")
    project.step("c.last", lambda: None, after=["b.next"])
    project.step("b.other", lambda note: None, takes("note", "Note", sources=["a.good"]))
    run = await project.run()
    assert run.state == "failed"
    assert states(run) == {
        "a.bad": "failed", "a.good": "completed", "b.next": "skipped", "c.last": "skipped", "b.other": "completed",
    }  # fmt: skip
    assert step_of(run, "c.last").error == "skipped: b.next did not complete"
    assert step_of(run, "c.last").started is None
    assert "c.last" not in {event.operation for event in project.events if event.kind == "started"}
    assert await get_run(project.store, run.id) == run


async def test_an_error_shows_the_users_own_frames_and_no_others(project):
    project.step("a.bad", failing)
    run = await project.run()
    first, *frames = step_of(run, "a.bad").error.splitlines()
    assert first == "ValueError: no such page"
    assert len(frames) == 1
    assert frames[0].strip().startswith("tests/run/test_run_failures.py:")
    assert frames[0].endswith(" in failing")


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_call_is_retried_with_growing_pauses_until_it_works(project, is_async):
    tries = []

    def flaky():
        tries.append(time.monotonic())
        if len(tries) < 3:
            raise OSError("not yet")
        return Job(url="a")

    async def asynchronous():
        return flaky()

    project.step("a.flaky", asynchronous if is_async else flaky, out="Job", retries=5, retry_delay=0.02)
    run = await project.run()
    assert run.ok
    assert step_of(run, "a.flaky").attempts == 3
    assert [(e.attempt, e.message) for e in project.events if e.kind == "retried"] == [
        (2, "OSError: not yet"),
        (3, "OSError: not yet"),
    ]
    assert tries[1] - tries[0] >= 0.02
    assert tries[2] - tries[1] >= 0.04


async def test_each_try_of_an_updater_gets_fresh_records(project):
    seen = []

    def update(job):
        seen.append(job.salary)
        job.salary += 1
        if len(seen) == 1:
            raise ValueError("half way")
        return job

    project.step("a.fetch", lambda: Job(url="a"), out="Job")
    project.step("b.update", update, takes("job", "Job", sources=["a.fetch"]), out="Job", retries=1, retry_delay=0)
    assert (await project.run()).ok
    assert seen == [0, 0]


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("mapped", [True, False])
async def test_a_call_that_takes_too_long_fails(project, is_async, mapped):
    release = threading.Event()

    async def asynchronous(job=None):
        await asyncio.Event().wait()

    def sync(job=None):
        release.wait(10)

    project.step("a.fetch", lambda: Job(url="a"), out="Job")
    arguments = [takes("job", "Job", Mode.EACH, ["a.fetch"])] if mapped else []
    project.step("b.slow", asynchronous if is_async else sync, *arguments, timeout=0.05)
    async with asyncio.timeout(5):
        run = await project.run()
    release.set()
    assert step_of(run, "b.slow").error == "took longer than 0.05 s" + (" (record 1 of 1, url='a')" if mapped else "")
    assert states(run)["b.slow"] == "failed"


async def test_a_time_out_of_the_users_own_is_told_from_ours(project):
    async def own():
        raise TimeoutError("the site is down")

    project.step("a.own", own, timeout=5)
    assert step_of(await project.run(), "a.own").error.startswith("TimeoutError: the site is down")


async def test_abandoned_threads_do_not_block_the_ones_behind_them(project):
    release = threading.Event()
    for i in range(40):
        project.step(f"a.stuck{i:02}", lambda: release.wait(20), timeout=0.05, on_error="skip")
    project.step("b.after", lambda: None, after=["a.stuck00"])
    async with asyncio.timeout(8):
        run = await project.run()
    release.set()
    assert states(run)["b.after"] == "completed"


@pytest.mark.parametrize("is_async", [True, False])
async def test_records_whose_call_fails_are_dropped_and_counted_with_on_error_skip(project, is_async):
    def clean(job):
        if int(job.url) % 3 == 0:
            raise ValueError(f"bad {job.url}")
        return {"url": job.url}

    async def asynchronous(job):
        return clean(job)

    project.step("a.fetch", lambda: [Job(url=str(i)) for i in range(10)], out=many("Job"))
    each = takes("job", "Job", Mode.EACH, ["a.fetch"])
    project.step("b.clean", asynchronous if is_async else clean, each, out="Clean", on_error="skip")
    run = await project.run()
    step = step_of(run, "b.clean")
    assert run.ok
    assert (step.state, step.failures, step.counts["Clean"].made) == ("completed", 4, 6)
    first, *rest = step.error.splitlines()
    assert first == "ValueError: bad 0 (record 1 of 10, url='0')"
    assert [line for line in rest if not line.startswith(" ")] == [
        f"ValueError: bad {n} (record {n + 1} of 10, url='{n}')" for n in (3, 6, 9)
    ]


@pytest.mark.parametrize("is_async", [True, False])
async def test_the_first_failing_record_fails_the_step_and_stops_the_rest(project, is_async):
    calls = []

    def clean(job):
        calls.append(job.url)
        raise ValueError("bad")

    async def asynchronous(job):
        clean(job)

    project.step("a.fetch", lambda: [Job(url=str(i)) for i in range(1000)], out=many("Job"))
    each = takes("job", "Job", Mode.EACH, ["a.fetch"])
    project.step("b.clean", asynchronous if is_async else clean, each, out="Clean", concurrency=2)
    run = await project.run()
    assert states(run)["b.clean"] == "failed"
    assert len(calls) <= 4
    assert await project.records("Clean") == []


async def test_consumers_go_on_without_a_step_that_may_fail_where_they_can(project):
    got = {}

    def note(name):
        def function(jobs):
            got[name] = jobs

        return function

    project.step("a.bad", failing, out="Job", on_error="skip")
    project.step("a.good", lambda: Job(url="a"), out="Job")
    both = ["a.bad", "a.good"]
    project.step("b.all", note("all"), takes("jobs", "Job", Mode.ALL, both))
    project.step("b.keyed", note("keyed"), takes("jobs", "Job", Mode.KEYED, both))
    project.step("b.each", note("each"), takes("jobs", "Job", Mode.EACH, both))
    project.step("b.option", note("option"), takes("jobs", "Job", sources=["a.bad"], optional=True))
    project.step("b.needs", note("needs"), takes("jobs", "Job", sources=["a.bad"]), out=Output("Note", optional=True))
    project.step("c.beyond", note("beyond"), takes("jobs", "Note", Mode.ALL, ["b.needs"]))
    run = await project.run()
    assert run.ok
    job = Job(url="a")
    assert got == {"all": [job], "keyed": {"a.good": job}, "each": job, "option": None, "beyond": []}
    assert states(run)["a.bad"] == "failed"
    assert states(run)["b.needs"] == "skipped"


async def test_one_record_asked_for_and_several_there_is_an_error(project):
    project.step("a.fetch", lambda: [Job(url="a"), Job(url="b")], out=many("Job"))
    project.step("b.one", lambda job: None, takes("job", "Job", sources=["a.fetch"]))
    assert step_of(await project.run(), "b.one").error == "one Job is asked for and 2 came in: job"


class Refusing:
    """The real store, but for one collection that takes nothing more after so many writes."""

    def __init__(self, store, collection, records=lambda rows: True):
        self._store, self._collection, self._refuses = store, collection, records

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def upsert_many(self, collection, rows):
        rows = list(rows)
        if collection.name == self._collection and self._refuses(rows):
            raise StoreError("no room for these records")
        return await self._store.upsert_many(collection, rows)


async def test_a_step_whose_records_can_not_be_stored_has_failed_and_the_others_have_not(project):
    real = project.store
    project.store = Refusing(real, "job", lambda rows: any(row.data["url"] == "bad" for row in rows))
    for name in ("bad", "good", "fine"):
        project.step(f"a.{name}", lambda url=name: Job(url=url), out="Job")
    project.step("b.needs", lambda: 1 / 0, after=["a.bad"], models_in=["Job"])
    run = await project.run()
    project.store = real
    assert run.state == "failed"
    assert states(run) == {"a.bad": "failed", "a.good": "completed", "a.fine": "completed", "b.needs": "skipped"}
    assert step_of(run, "a.bad").error == "what it made can't be stored: no room for these records"
    assert [r["url"] for r in await project.data("Job")] == ["fine", "good"]
    assert await get_run(real, run.id) == run
    assert sorted((await stored_in(real, run, "Job")).ids) == ["a.fine", "a.good"]


async def test_the_last_step_of_a_run_can_still_fail_when_it_is_stored(project):
    project.step("a.huge", lambda: Job(url="a", salary=2**70), out="Job")
    run = await project.run()
    assert run.state == "failed"
    assert "64 bits" in run.error


async def test_a_history_that_can_not_be_written_ends_the_run_with_the_stores_error(project):
    released = asyncio.Event()

    async def endless():
        await released.wait()

    project.store = Refusing(project.store, "pulpo_steps")
    project.step("a.endless", endless)
    async with asyncio.timeout(5):
        with pytest.raises(StoreError, match="no room"):
            await project.run()


async def test_an_operation_that_exits_the_interpreter_only_fails(project):
    async def leave():
        sys.exit(3)

    project.step("a.async", leave)
    project.step("a.sync", lambda: sys.exit(3))
    run = await project.run()
    assert set(states(run).values()) == {"failed"}
    assert step_of(run, "a.async").error.startswith("SystemExit: 3")


async def test_an_operation_that_cancels_itself_only_fails(project):
    async def cancel():
        raise asyncio.CancelledError

    project.step("a.cancel", cancel)
    project.step("b.next", lambda: None)
    run = await project.run()
    assert states(run) == {"a.cancel": "failed", "b.next": "completed"}


async def test_a_long_chain_of_skipped_steps_is_no_problem(project):
    bad = project.step("s.s0000", failing)
    for i in range(1, 3000):
        project.steps.append(dataclasses.replace(bad, operation=f"s.s{i:04}", after=(f"s.s{i - 1:04}",)))
    run = await project.run()
    assert sum(state == "skipped" for state in states(run).values()) == 2999


async def test_nothing_that_comes_after_an_unstored_step_and_is_not_done_is_run(project):
    real = project.store
    project.store = Refusing(real, "job")
    project.step("a.bad", lambda: Job(url="a"), out="Job")
    project.step("b.done", lambda job: Note(text=job.url), takes("job", "Job", sources=["a.bad"]), out="Note")
    project.step("c.flush", lambda: None, models_in=["Note"], after=["b.done"])
    run = await project.run()
    project.store = real
    assert states(run) == {"a.bad": "failed", "b.done": "completed", "c.flush": "skipped"}
    assert step_of(run, "c.flush").error == "skipped: a.bad did not complete"


@pytest.mark.parametrize("kind", ["started", "finished"])
async def test_a_listener_that_fails_ends_the_run_and_not_silently(project, kind):
    def listen(event):
        if event.kind == kind:
            raise RuntimeError("no more")

    project.step("a.one", lambda: None)
    project.step("b.two", lambda: None, after=["a.one"])
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="no more"):
            await execute(project.flow(), models=project.models, store=project.store, on_event=listen)
    (run,) = await list_runs(project.store)
    assert run.state == "failed"


async def test_an_operation_that_ignores_being_cancelled_starts_nothing_more(project):
    begun, ran = asyncio.Event(), []

    async def stubborn():
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Job(url="a")

    project.step("a.stubborn", stubborn, out="Job")
    project.step("b.next", told(ran.append), takes("job", "Job", sources=["a.stubborn"]))
    task = asyncio.create_task(project.run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (run,) = await list_runs(project.store)
    assert run.state == "cancelled"
    assert states(await get_run(project.store, run.id)) == {"a.stubborn": "completed", "b.next": "cancelled"}
    assert ran == []


async def test_a_failed_call_for_a_record_says_which_and_is_not_counted_as_dropped(project):
    def clean(job):
        raise ValueError(f"no {job.url}")

    project.step("a.fetch", lambda: [Job(url=str(i)) for i in range(10)], out=many("Job"))
    project.step("b.clean", clean, takes("job", "Job", Mode.EACH, ["a.fetch"]), out="Clean", concurrency=1)
    step = step_of(await project.run(), "b.clean")
    assert step.error.splitlines()[0] == "ValueError: no 0 (record 1 of 10, url='0')"
    assert (step.state, step.failures) == ("failed", 0)


async def test_of_many_dropped_records_ten_are_told_of(project):
    project.step("a.fetch", lambda: [Job(url=str(i)) for i in range(30)], out=many("Job"))
    project.step("b.clean", lambda job: 1 / 0, takes("job", "Job", Mode.EACH, ["a.fetch"]), on_error="skip")
    step = step_of(await project.run(), "b.clean")
    told_of = [line for line in step.error.splitlines() if not line.startswith(" ")]
    assert len(told_of) == 11
    assert told_of[9] == "ZeroDivisionError: division by zero (record 10 of 30, url='9')"
    assert told_of[10] == "… and 20 more"
    assert step.failures == 30


async def test_a_message_is_cut_and_can_do_nothing_to_a_terminal_or_a_store(project):
    def long():
        raise ValueError("x" * 20_000_000)

    def colourful():
        raise ValueError("\x1b[31mred\x07\nand \ud800 no text")

    project.step("a.long", long)
    project.step("a.colourful", colourful)
    run = await project.run()
    error = step_of(run, "a.long").error.splitlines()[0]
    assert error.endswith("x… (20000012 characters)")
    assert len(error) < 8_100
    assert step_of(run, "a.colourful").error.startswith("ValueError: \\x1b[31mred\\x07\nand \\ud800 no text\n")
    assert await get_run(project.store, run.id) == run


async def test_a_password_in_a_uri_does_not_get_into_the_history(project):
    def connect():
        raise ConnectionError("nothing answers at mongodb://app:hunter2@db.example/jobs")

    project.step("a.connect", connect)
    run = await project.run()
    assert "mongodb://app:***@db.example/jobs" in run.error
    assert "hunter2" not in f"{run.error}{step_of(run, 'a.connect').error}"


async def test_the_errors_of_a_run_are_cut_all_together(project):
    for i in range(20):
        project.step(f"a.bad{i:02}", lambda i=i: {}[str(i) * 7_000])
    run = await project.run()
    assert len(run.error) < 66_000
    assert run.error.rpartition("\n\n")[2] == "… and 11 more errors: see the steps"


async def test_an_error_names_what_is_in_a_group_and_what_caused_it(project):
    def group():
        raise ExceptionGroup("several", [ValueError("the real reason"), ExceptionGroup("inner", [OSError("disk")] * 6)])

    def caused():
        try:
            raise KeyError("user")
        except KeyError as error:
            raise RuntimeError("no such user") from error

    project.step("a.group", group)
    project.step("a.caused", caused)
    run = await project.run()
    lines = step_of(run, "a.group").error.splitlines()
    assert lines[:7] == [
        "ExceptionGroup: several (2 sub-exceptions)",
        "  ValueError: the real reason",
        *["  OSError: disk"] * 4,
        "  … and 2 more",
    ]
    lines = step_of(run, "a.caused").error.splitlines()
    assert lines[0] == "RuntimeError: no such user"
    assert lines[2] == "caused by: KeyError: 'user'"
    assert len(lines) == 4


async def test_an_endless_recursion_leaves_a_short_error(project):
    def again():
        again()

    project.step("a.again", again)
    assert len(step_of(await project.run(), "a.again").error.splitlines()) == 22


async def test_an_operation_that_deletes_the_current_directory_only_fails(project, tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def delete():
        folder.rmdir()
        raise ValueError("all gone")

    project.step("a.delete", delete)
    assert step_of(await project.run(), "a.delete").error.startswith("ValueError: all gone\n")


async def test_what_can_not_be_stored_keeps_the_stores_hint(project):
    class Refusal:
        def __getattr__(self, name):
            return getattr(store, name)

        async def upsert_many(self, collection, rows):
            if collection.name == "job":
                raise StoreError("the disk is full", hint="free some space")
            return await store.upsert_many(collection, rows)

    store, project.store = project.store, Refusal()
    project.step("a.make", lambda: Job(url="a"), out="Job")
    error = step_of(await project.run(), "a.make").error
    assert error == "what it made can't be stored: the disk is full\n  hint: free some space"


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
async def test_each_try_gets_records_that_the_failed_one_has_not_changed(project, mapped, is_async):
    seen = []

    def change(job, jobs):
        seen.append((job.salary, [one.salary for one in jobs]))
        job.salary += 1
        jobs[0].salary += 1
        if len(seen) == 1:
            raise ValueError("half way")

    async def asynchronous(job, jobs):
        change(job, jobs)

    project.step("a.fetch", lambda: [Job(url="a")], out=many("Job"))
    job = takes("job", "Job", Mode.EACH if mapped else Mode.ONE, ["a.fetch"])
    jobs = takes("jobs", "Job", Mode.ALL, ["a.fetch"])
    project.step("b.change", asynchronous if is_async else change, job, jobs, retries=1, retry_delay=0)
    assert (await project.run()).ok
    assert seen == [(0, [0])] * 2
