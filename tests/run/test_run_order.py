"""Order and overlap, and how records reach the parameters."""

import asyncio
import contextvars
import gc
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulpo.run.inline import execute
from pulpo.store.sqlite import SqliteStore
from tests.run.workshop import Clean, Job, Mode, Note, Output, Project, many, states, step_of, takes, told


async def test_records_go_from_step_to_step_and_into_the_store(project):
    async def fetch():
        return [Job(url="a", salary=1), Job(url="b", salary=2)]

    def clean(raw: Job):
        return Clean(url=raw.url, salary=raw.salary * 10)

    project.step("scraping.fetch", fetch, out=many("Job"))
    project.step("parsing.clean", clean, takes("raw", "Job", Mode.EACH, ["scraping.fetch"]), out="Clean")
    run = await project.run()
    assert run.ok
    assert states(run) == {"scraping.fetch": "completed", "parsing.clean": "completed"}
    assert await project.data("Clean") == [{"url": "a", "salary": 10}, {"url": "b", "salary": 20}]
    counts = step_of(run, "parsing.clean").counts
    assert (counts["Job"].taken, counts["Clean"].made, counts["Clean"].inserted) == (2, 2, 2)
    assert {(r.run, r.operation) for r in await project.records("Clean")} == {(run.id, "parsing.clean")}


async def test_a_step_starts_when_its_own_sources_are_done_and_not_later(project):
    released = asyncio.Event()

    async def quick():
        return Job(url="quick")

    async def slow():
        await released.wait()
        return Note(text="slow")

    async def follow(job):
        released.set()  # the slow step only ends if this one starts before it has
        return Clean(url=job.url)

    project.step("a.quick", quick, out="Job")
    project.step("a.slow", slow, out="Note")
    project.step("b.follow", follow, takes("job", "Job", sources=["a.quick"]), out="Clean")
    async with asyncio.timeout(5):
        assert (await project.run()).ok


async def test_sync_operations_overlap_with_each_other_and_with_async_ones(project):
    barrier = threading.Barrier(2, timeout=5)
    met = asyncio.Event()
    loop = asyncio.get_running_loop()

    def left():
        barrier.wait()
        loop.call_soon_threadsafe(met.set)

    def right():
        barrier.wait()

    async def third():
        await met.wait()

    project.step("a.left", left)
    project.step("a.right", right)
    project.step("a.third", third)
    async with asyncio.timeout(5):
        run = await project.run()
    assert run.ok, run.error


async def test_context_variables_reach_sync_operations(project):
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    seen = []
    project.step("a.one", lambda: seen.append(variable.get()))
    assert (await project.run()).ok
    assert seen == ["set"]


async def test_a_list_comes_by_producer_name_and_then_as_produced(project):
    got = []
    project.step("b.two", lambda: [Job(url="3"), Job(url="2")], out=many("Job"))
    project.step("a.one", lambda: Job(url="9"), out="Job")
    project.step("c.all", lambda jobs: got.extend(j.url for j in jobs), takes("jobs", "Job", Mode.ALL, ["b.two", "a.one"]))
    assert (await project.run()).ok
    assert got == ["9", "3", "2"]


@pytest.mark.parametrize("of_lists", [True, False])
async def test_a_dict_comes_by_producer_name(project, of_lists):
    got = {}
    makes = {"a.one": "1", "a.two": "2"}
    for name, url in makes.items():
        made = [Job(url=url)] if of_lists else Job(url=url)
        project.step(name, lambda made=made: made, out=Output("Job", many=of_lists))
    project.step("b.keyed", told(got.update), takes("jobs", "Job", Mode.KEYED, makes, many=of_lists))
    assert (await project.run()).ok
    assert got == {name: [Job(url=url)] if of_lists else Job(url=url) for name, url in makes.items()}


async def test_each_is_called_once_per_record_in_order_with_the_others_beside_it(project):
    project.step("a.fetch", lambda: [Job(url=str(i)) for i in range(100)], out=many("Job"))
    project.step("a.note", lambda: Note(text="n"), out="Note")

    async def clean(job, note):
        await asyncio.sleep(0.001 if int(job.url) % 2 else 0)
        return Clean(url=job.url + note.text)

    got = []
    each = takes("job", "Job", Mode.EACH, ["a.fetch"])
    project.step("b.clean", clean, each, takes("note", "Note", sources=["a.note"]), out="Clean")
    project.step("c.see", lambda all_: got.extend(c.url for c in all_), takes("all_", "Clean", Mode.ALL, ["b.clean"]))
    assert (await project.run()).ok
    assert got == [f"{i}n" for i in range(100)]
    progress = [(e.done, e.total) for e in project.events if e.kind == "progress" and e.operation == "b.clean"]
    assert progress[-1] == (100, 100)


@pytest.mark.parametrize("is_async", [True, False])
async def test_concurrency_limits_the_calls_at_the_same_time(project, is_async):
    lock, now, most = threading.Lock(), 0, 0

    def enter(change):
        nonlocal now, most
        with lock:
            now += change
            most = max(most, now)

    def sync(job):
        enter(+1)
        threading.Event().wait(0.002)
        enter(-1)

    async def asynchronous(job):
        enter(+1)
        await asyncio.sleep(0.002)
        enter(-1)

    project.step("a.fetch", lambda: [Job(url=str(i)) for i in range(12)], out=many("Job"))
    each = takes("job", "Job", Mode.EACH, ["a.fetch"])
    project.step("b.each", asynchronous if is_async else sync, each, concurrency=3)
    assert (await project.run()).ok
    assert most == 3


async def test_nothing_in_the_list_means_no_call_and_an_empty_output(project):
    got = []
    project.step("a.fetch", list, out=many("Job"))
    project.step("b.clean", lambda job: 1 / 0, takes("job", "Job", Mode.EACH, ["a.fetch"]), out="Clean")
    project.step("c.see", told(got.append), takes("clean", "Clean", Mode.ALL, ["b.clean"]))
    assert (await project.run()).ok
    assert got == [[]]


async def test_none_from_an_optional_output_is_no_record(project):
    got = []
    project.step("a.maybe", lambda: None, out=Output("Job", optional=True))
    project.step("b.list", told(got.append), takes("jobs", "Job", Mode.ALL, ["a.maybe"]))
    project.step("b.option", told(got.append), takes("job", "Job", sources=["a.maybe"], optional=True), after=["b.list"])
    project.step("b.needs", lambda job: 1 / 0, takes("job", "Job", sources=["a.maybe"]))
    run = await project.run()
    assert run.ok
    assert got == [[], None]
    assert states(run)["b.needs"] == "skipped"
    assert "no Job came in for job" in step_of(run, "b.needs").error


async def test_an_updater_gets_copies_so_that_nobody_else_sees_what_it_changes_in_place(project):
    seen = []

    def raise_salary(jobs):
        for job in jobs:
            job.salary += 1
        return jobs

    project.step("a.fetch", lambda: [Job(url="a")], out=many("Job"))
    project.step("b.raise", raise_salary, takes("jobs", "Job", Mode.ALL, ["a.fetch"]), out=many("Job"))
    see = takes("jobs", "Job", Mode.ALL, ["a.fetch"])
    project.step("c.see", lambda jobs: seen.extend(j.salary for j in jobs), see, after=["b.raise"])
    run = await project.run()
    assert run.ok
    assert seen == [0]
    assert await project.data("Job") == [{"url": "a", "salary": 1}]
    assert step_of(run, "b.raise").counts["Job"].updated == 1


async def test_several_outputs_come_as_a_tuple(project):
    project.step("a.both", lambda: (Job(url="a"), [Note(text="x"), Note(text="y")]), out=["Job", many("Note")])
    assert (await project.run()).ok
    assert await project.data("Job") == [{"url": "a", "salary": 0}]
    assert await project.data("Note") == [{"text": "x"}, {"text": "y"}]


async def test_the_same_key_twice_is_one_record_and_the_last_one_counts(project):
    got = []
    project.step("a.fetch", lambda: [Job(url="a", salary=1), Job(url="b"), Job(url="a", salary=2)], out=many("Job"))
    project.step("b.see", told(got.extend), takes("jobs", "Job", Mode.ALL, ["a.fetch"]))
    assert (await project.run()).ok
    assert got == [Job(url="a", salary=2), Job(url="b")]
    assert len(await project.records("Job")) == 2


async def test_steps_that_store_the_same_record_are_counted_each_for_itself(project):
    project.step("a.first", lambda: Job(url="a", salary=1), out="Job")
    project.step("a.second", lambda: Job(url="a", salary=2), out="Job", after=["a.first"])
    project.step("a.third", lambda: Job(url="b"), out="Job")
    run = await project.run()
    assert step_of(run, "a.first").counts["Job"].inserted == 1
    assert step_of(run, "a.second").counts["Job"].updated == 1
    assert step_of(run, "a.third").counts["Job"].inserted == 1
    again = await project.run("a.second", "a.third")
    assert step_of(again, "a.second").counts["Job"].unchanged == 1


async def test_counts_are_right_where_one_write_inserts_updates_and_leaves_alone(project):
    for name in ("new", "changed", "same"):
        project.step(f"a.{name}", lambda url=name: Job(url=url), out="Job")
    await project.run("a.changed", "a.same")
    project.step("a.changed", lambda: Job(url="changed", salary=5), out="Job")
    run = await project.run()
    counts = {step.operation: step.counts["Job"] for step in run.steps}
    assert counts["a.new"].inserted == counts["a.changed"].updated == counts["a.same"].unchanged == 1


async def test_a_model_stored_by_the_function_itself_is_read_through_the_store(project):
    async def write():
        from pulpo.run.codec import collection_of
        from pulpo.store.base import Record

        await project.store.upsert_many(collection_of("Note", project.models["Note"]), [Record("1", {"text": "direct"})])

    got = []
    project.step("a.write", write, models_out=["Note"])
    project.step("b.read", told(got.extend), takes("notes", "Note", Mode.ALL), after=["a.write"])
    run = await project.run()
    assert run.ok, run.error
    assert got == [Note(text="direct")]


async def test_what_reads_the_store_itself_sees_all_that_was_made_before(project):
    seen = []

    async def read():
        seen.extend(await project.data("Job"))

    project.step("a.fetch", lambda: Job(url="a"), out="Job")
    project.step("b.read", read, models_in=["Job"], after=["a.fetch"])
    assert (await project.run()).ok
    assert seen == [{"url": "a", "salary": 0}]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_graphs_give_what_running_one_by_one_gives(tmp_path_factory, data):
    size = data.draw(st.integers(1, 12))
    edges = [data.draw(st.sets(st.integers(0, i - 1)) if i else st.just(set())) for i in range(size)]
    kinds = [data.draw(st.booleans()) for _ in range(size)]

    def total(i, notes):
        return f"{i}({','.join(note.text for note in notes)})"

    async def go():
        async with SqliteStore(tmp_path_factory.mktemp("random") / "s.db") as store:
            project = Project(store)
            for i, sources in enumerate(edges):

                def sync(notes=(), i=i):
                    return Note(text=total(i, notes))

                async def asynchronous(notes=(), i=i):
                    return Note(text=total(i, notes))

                arguments = [takes("notes", "Note", Mode.ALL, [f"s.n{j:02}" for j in sources])] if sources else []
                project.step(f"s.n{i:02}", asynchronous if kinds[i] else sync, *arguments, out="Note")
            run = await project.run()
            assert run.ok, run.error
            return sorted(record["text"] for record in await project.data("Note"))

    expected = []
    for i, sources in enumerate(edges):
        expected.append(f"{i}({','.join(expected[j] for j in sorted(sources))})")
    assert asyncio.run(go()) == sorted(expected)


async def test_the_garbage_collector_is_as_before_when_the_last_of_several_runs_is_over(project):
    before = gc.get_threshold()
    first, second = asyncio.Event(), asyncio.Event()
    project.step("a.first", first.wait)
    flow = project.flow()
    project.steps.clear()
    project.step("a.second", second.wait)
    runs = [asyncio.create_task(execute(f, models=project.models, store=project.store)) for f in (flow, project.flow())]
    first.set()
    await runs[0]
    assert gc.get_threshold() != before
    second.set()
    await runs[1]
    assert gc.get_threshold() == before
