"""What user code can do to a run: cancel it, raise what is no Exception, block its threads, make more than fits."""

import asyncio
import gc
import threading

import pytest

from pulpo.run import writer
from pulpo.run.history import list_runs
from pulpo.store.base import StoreError
from tests.run.workshop import Clean, Job, Mode, many, states, step_of, takes


class PanicException(BaseException):
    """What a library in Rust raises."""


def cancel_here():
    asyncio.current_task().cancel()


async def cancel_and_go_on():
    cancel_here()
    await asyncio.sleep(0)


async def cancel_and_return():
    cancel_here()


def cancelled_inside():
    asyncio.run(cancel_and_go_on())


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("function", [cancel_and_go_on, cancel_and_return, cancelled_inside])
async def test_a_cancellation_in_user_code_fails_its_step_alone(project, function, mapped):
    if asyncio.iscoroutinefunction(function):

        async def operation(job=None):
            await function()
    else:

        def operation(job=None):
            function()

    project.step("a.fetch", lambda: [Job(url=str(i)) for i in range(40)], out=many("Job"))
    arguments = [takes("job", "Job", Mode.EACH, ["a.fetch"])] if mapped else []
    project.step("b.cancel", operation, *arguments)
    project.step("b.other", lambda: None, after=["a.fetch"])
    project.step("c.next", lambda: None, after=["b.cancel"])
    async with asyncio.timeout(5):
        run = await project.run()
    assert states(run) == {"a.fetch": "completed", "b.cancel": "failed", "b.other": "completed", "c.next": "skipped"}
    assert step_of(run, "b.cancel").error.startswith("CancelledError: ")


@pytest.mark.parametrize("tolerant", [False, True])
async def test_calls_that_cancel_themselves_are_counted_and_none_is_lost(project, tolerant):
    async def clean(job):
        if job.url == "3":
            await cancel_and_go_on()
        return {"url": job.url}

    project.step("a.fetch", lambda: [Job(url=str(i)) for i in range(10)], out=many("Job"))
    each = takes("job", "Job", Mode.EACH, ["a.fetch"])
    project.step("b.clean", clean, each, out="Clean", **({"on_error": "skip"} if tolerant else {}))
    async with asyncio.timeout(5):
        step = step_of(await project.run(), "b.clean")
    assert step.state == ("completed" if tolerant else "failed")
    if tolerant:
        assert (step.failures, step.counts["Clean"].made) == (1, 9)


@pytest.mark.parametrize("begun", [False, True])
async def test_steps_whose_tasks_others_cancel_fail_and_the_run_ends(project, begun):
    async def cancel_all():
        if begun:
            await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "Steps._carry_out" in repr(task):
                task.cancel()

    async def wait():
        await asyncio.Event().wait()

    project.step("a.all", cancel_all)
    project.step("a.wait", wait)
    project.step("b.next", lambda: None, after=["a.all"])
    async with asyncio.timeout(5):
        run = await project.run()
    assert states(run) == {"a.all": "completed", "a.wait": "failed", "b.next": "completed"}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("error", "is_async"),
    [
        (PanicException, False),
        (PanicException, True),
        (GeneratorExit, False),
        (GeneratorExit, True),
        (KeyboardInterrupt, False),
    ],
)
async def test_whatever_user_code_raises_fails_its_step_alone(project, error, mapped, is_async):
    def fail(job=None):
        raise error("no more")

    async def asynchronous(job=None):
        raise error("no more")

    project.step("a.fetch", lambda: [Job(url="a")], out=many("Job"))
    arguments = [takes("job", "Job", Mode.EACH, ["a.fetch"])] if mapped else []
    project.step("b.fail", asynchronous if is_async else fail, *arguments, after=["a.fetch"])
    project.step("b.other", lambda: None, after=["a.fetch"])
    async with asyncio.timeout(5):
        run = await project.run()
    assert states(run) == {"a.fetch": "completed", "b.fail": "failed", "b.other": "completed"}
    assert f"{error.__name__}: no more" in step_of(run, "b.fail").error.splitlines()[0]


async def test_checking_the_outputs_of_async_steps_does_not_wait_for_sync_ones(project):
    release, done = threading.Event(), asyncio.Event()

    async def make():
        return [Job(url=str(i)) for i in range(501)]

    async def after(jobs):
        done.set()

    for i in range(40):
        project.step(f"a.stuck{i:02}", lambda: release.wait(20))
    project.step("b.make", make, out=many("Job"))
    project.step("b.next", after, takes("jobs", "Job", Mode.ALL, ["b.make"]))
    task = asyncio.create_task(project.run())
    async with asyncio.timeout(5):
        await done.wait()
    release.set()
    assert (await task).ok


async def test_a_step_has_not_started_as_long_as_it_waits_for_a_thread(project):
    release, begun, some = threading.Event(), [], asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait(name):
        begun.append(name)
        loop.call_soon_threadsafe(some.set)
        release.wait(20)

    for i in range(60):
        project.step(f"a.s{i:02}", lambda name=f"a.s{i:02}": wait(name))
    task = asyncio.create_task(project.run())
    async with asyncio.timeout(5):
        await some.wait()
    started = [e.operation for e in project.events if e.kind == "started"]
    assert 0 < len(started) <= 32
    release.set()
    run = await task
    assert sorted(e.operation for e in project.events if e.kind == "started") == sorted(begun)
    assert run.ok
    assert all(step.started for step in run.steps)


async def test_outputs_that_nobody_takes_are_not_kept_until_the_run_ends(project):
    class Heavy(Job):
        pass

    project.model(Heavy, key=["url"])
    found = []
    project.step("a.make", lambda: [Heavy(url=str(i)) for i in range(10)], out=many("Heavy"))

    def alive():
        gc.collect()
        found.append(sum(type(thing) is Heavy for thing in gc.get_objects()))

    project.step("b.look", alive, after=["a.make"], models_in=["Heavy"])
    assert (await project.run()).ok
    assert found == [0]


async def test_steps_wait_while_too_much_is_waiting_to_be_stored(project, monkeypatch):
    monkeypatch.setattr(writer, "ROOM", 50)
    store, waiting, seen = project.store, [], []

    class Slow:
        def __getattr__(self, name):
            return getattr(store, name)

        async def upsert_many(self, collection, rows):
            rows = list(rows)
            if collection.name == "job":
                waiting.append(-len(rows))
            return await store.upsert_many(collection, rows)

    def make(number):
        seen.append(sum(waiting))
        waiting.append(100)
        return [Job(url=f"{number}/{i}") for i in range(100)]

    project.store = Slow()
    for i in range(12):
        project.step(f"a.s{i:02}", lambda number=i: make(number), out=many("Job"), after=[f"a.s{i - 1:02}"] if i else [])
    assert (await project.run()).ok
    assert max(seen) == 0


async def test_models_are_stored_at_the_same_time_and_one_that_fails_fails_its_step_alone(project):
    store, both = project.store, asyncio.Barrier(2)

    class Together:
        def __getattr__(self, name):
            return getattr(store, name)

        async def upsert_many(self, collection, rows):
            if collection.name in ("clean", "job"):
                async with asyncio.timeout(5):
                    await both.wait()
            if collection.name == "clean":
                raise StoreError("no room")
            return await store.upsert_many(collection, rows)

    async def clean():
        return Clean(url="a")

    async def job():
        return Job(url="a")

    project.store = Together()
    project.step("a.clean", clean, out="Clean")
    project.step("a.job", job, out="Job")
    run = await project.run()
    project.store = store
    assert states(run) == {"a.clean": "failed", "a.job": "completed"}
    assert step_of(run, "a.clean").error == "what it made can't be stored: no room"
    assert [record["url"] for record in await project.data("Job")] == ["a"]


async def test_a_ctrl_c_on_the_event_loops_thread_ends_the_run(project):
    async def interrupted():
        raise KeyboardInterrupt

    project.step("a.interrupted", interrupted)
    with pytest.raises(KeyboardInterrupt):
        await project.run()
    assert [run.state for run in await list_runs(project.store)] == ["cancelled"]
