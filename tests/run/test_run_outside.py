"""Records from outside the run, and what `Previous` gives."""

import pytest

from pulpo.errors import RunError, UsageError
from pulpo.run.history import get_run
from pulpo.run.inputs import InputChoice
from tests.run.workshop import Job, Mode, Note, many, states, step_of, takes, told

STORES = ("sqlite", "mongo")


def fetch_and_see(project, got, **more):
    project.step("a.fetch", lambda: [Job(url="1"), Job(url="2")], out=many("Job"))
    project.step("b.see", told(got.append), takes("jobs", "Job", Mode.ALL, ["a.fetch"], **more))


async def test_the_last_completed_run_gives_what_no_step_makes_and_that_is_told(project):
    got = []
    fetch_and_see(project, got)
    first = await project.run("a.fetch")
    project.step("a.fetch", lambda: [Job(url="3")], out=many("Job"))
    second = await project.run("a.fetch")
    project.step("a.fetch", lambda: [Job(url="4")] and 1 / 0, out=many("Job"))
    assert not (await project.run("a.fetch")).ok
    run = await project.run("b.see")
    assert run.ok
    assert got == [[Job(url="3")]]
    assert run.inputs == {"b.see.jobs": f"run:{second.id}"}
    event = next(e for e in project.events if e.kind == "outside")
    assert (event.operation, event.model, event.source) == ("b.see", "Job", second.id)
    assert event.age >= 0
    assert event.message == f"1 Job of run {second.id}"
    assert first.id < second.id


async def test_what_a_failed_run_stored_is_not_taken(project):
    got = []
    fetch_and_see(project, got)
    good = await project.run("a.fetch")
    project.step("a.bad", lambda: 1 / 0)
    project.step("a.fetch", lambda: [Job(url="3")], out=many("Job"))
    assert states(await project.run("a.bad", "a.fetch")) == {"a.fetch": "completed", "a.bad": "failed"}
    run = await project.run("b.see")
    assert run.inputs == {"b.see.jobs": f"run:{good.id}"}


async def test_only_the_producers_count_where_they_have_stored_something(project):
    got = []
    for name in ("a.one", "a.two", "z.other"):
        project.step(name, lambda name=name: Job(url=name), out="Job")
    project.step("b.see", told(got.append), takes("jobs", "Job", Mode.KEYED, ["a.one", "a.two"]))
    await project.run("a.one")
    await project.run("z.other")
    assert (await project.run("b.see")).ok
    assert got == [{"a.one": Job(url="a.one")}]
    assert next(e for e in project.events if e.kind == "outside").message.endswith(", none of a.two")


async def test_any_operation_will_do_where_no_producer_ever_stored_the_model(project):
    got = []
    project.step("old.name", lambda: Job(url="old"), out="Job")
    fetch_and_see(project, got)
    await project.run("old.name")
    assert (await project.run("b.see")).ok
    assert got == [[Job(url="old")]]


async def test_inputs_without_records_are_one_error_before_anything_runs(project):
    ran = []
    project.step("a.first", lambda: ran.append(1))
    project.step("b.one", lambda job: None, takes("job", "Job", producers=["x.fetch", "y.fetch"]))
    project.step("b.two", lambda notes: None, takes("notes", "Note", Mode.ALL))
    with pytest.raises(UsageError) as caught:
        await project.run()
    assert caught.value.message.splitlines() == [
        "nothing was stored of what comes from outside:",
        "  Job as b.one(job), made by x.fetch, y.fetch",
        "  Note as b.two(notes)",
    ]
    assert "--with-upstream" in caught.value.hint
    assert "--input Job=@file.json" in caught.value.hint
    assert ran == []


async def test_an_empty_output_of_the_last_run_is_not_taken_for_records(project):
    got = []
    fetch_and_see(project, got)
    project.step("a.fetch", list, out=many("Job"))
    await project.run("a.fetch")
    with pytest.raises(UsageError):
        await project.run("b.see")


async def test_an_optional_input_is_none_where_nothing_is_there(project):
    got = []
    project.step("b.see", told(got.append), takes("job", "Job", optional=True))
    assert (await project.run()).ok
    assert got == [None]


async def test_more_than_one_record_where_one_is_asked_for_is_an_error(project):
    got = []
    fetch_and_see(project, got)
    project.step("b.see", lambda job: None, takes("job", "Job", sources=["a.fetch"]))
    await project.run("a.fetch")
    with pytest.raises(RunError, match=r"b\.see asks for one Job as job, and 2 were stored"):
        await project.run("b.see")


async def test_a_file_or_a_run_can_be_chosen(project):
    got = []
    fetch_and_see(project, got)
    first = await project.run("a.fetch")
    project.step("a.fetch", lambda: [Job(url="9")], out=many("Job"))
    await project.run("a.fetch")
    assert (await project.run("b.see", inputs={"Job": InputChoice("run", first.id)})).ok
    assert (await project.run("b.see", inputs={"Job": InputChoice("file", "x.json", [{"url": "f", "salary": "5"}])})).ok
    assert (await project.run("b.see", inputs={"Job": InputChoice("latest")})).ok
    assert got == [[Job(url="1"), Job(url="2")], [Job(url="f", salary=5)], [Job(url="9")]]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"Jbo": InputChoice("latest")}, "no operation of this run takes this model from outside: Jbo"),
        ({"Job": InputChoice("run", "20200101-000000-0000000")}, "there is no such run: 20200101-000000-0000000"),
        (
            {"Job": InputChoice("file", "x.json", [{"url": "a"}, {"salary": 1}])},
            "record 2 of 2 in x.json is no Job: url: Field required",
        ),
        (
            {"Job": InputChoice("file", "x.json", [{"url": 3}])},
            "record 1 of 1 in x.json is no Job: url: Input should be a valid string: 3",
        ),
        ({"Job": InputChoice("file", "x.json", ["a"])}, "record 1 of 1 in x.json is no Job: not an instance of Job: 'a'"),
    ],
)
async def test_a_choice_that_makes_no_sense_is_refused(project, choices, message):
    fetch_and_see(project, [])
    await project.run("a.fetch")
    with pytest.raises(UsageError) as caught:
        await project.run("b.see", inputs=choices)
    assert caught.value.message == message


async def test_a_run_that_stored_none_of_the_model_is_no_choice(project):
    fetch_and_see(project, [])
    project.step("a.note", lambda: Note(text="n"), out="Note")
    run = await project.run("a.note")
    with pytest.raises(UsageError, match=f"this run stored no Job: {run.id}"):
        await project.run("b.see", inputs={"Job": InputChoice("run", run.id)})


async def test_previous_is_what_the_last_run_stored_and_not_this_one(project):
    got = []
    value = 1

    def fetch():
        return [Job(url="a", salary=value)]

    project.step("a.fetch", fetch, out=many("Job"))
    project.step("b.raise", lambda job: job, takes("job", "Job", Mode.EACH, ["a.fetch"]), out="Job")
    project.step("c.compare", told(got.append), takes("before", "Job", Mode.PREVIOUS, many=True), after=["b.raise"])
    assert (await project.run()).ok
    value = 2
    assert (await project.run()).ok
    assert got == [[], [Job(url="a", salary=1)]]


async def test_previous_of_one_record_is_none_on_the_first_run_if_it_may_be(project):
    got = []
    project.step("a.fetch", lambda: Job(url="a"), out="Job")
    project.step("c.see", told(got.append), takes("before", "Job", Mode.PREVIOUS, optional=True))
    await project.run()
    await project.run()
    assert got == [None, Job(url="a")]
    project.step("c.see", lambda before: None, takes("before", "Note", Mode.PREVIOUS))
    with pytest.raises(UsageError) as caught:
        await project.run()
    assert "Note as Previous of c.see(before)" in caught.value.message
    assert "Previous[Note] | None" in caught.value.hint


async def test_a_stored_record_that_is_no_longer_what_the_model_says_is_said(project):
    from pydantic import BaseModel

    class Job(BaseModel):
        url: str
        company: str

    fetch_and_see(project, [])
    await project.run("a.fetch")
    project.model(Job, key=["url"])
    with pytest.raises(RunError, match=r"is no longer what the model says .*: company: Field required"):
        await project.run("b.see")


async def test_what_was_selected_is_recorded(project):
    project.step("a.one", lambda: None)
    project.step("a.two", lambda: None, after=["a.one"])
    run = await project.run("a.two", selection=("a.two",))
    assert (run.selection, states(run)) == (("a.two",), {"a.two": "completed"})
    assert (await get_run(project.store, run.id)).selection == ("a.two",)


async def test_many_records_come_back_in_order_across_chunks(project):
    got = []
    count = 25_000
    project.step("a.fetch", lambda: [{"text": str(i)} for i in range(count)], out=many("Note"))
    project.step("b.see", told(got.extend), takes("notes", "Note", Mode.ALL, ["a.fetch"]))
    run = await project.run("a.fetch")
    assert run.ok, run.error
    assert step_of(run, "a.fetch").outputs == (count,)
    assert (await project.run("b.see")).ok
    assert [note.text for note in got] == [str(i) for i in range(count)]


async def test_of_records_of_a_file_with_one_key_the_last_counts(project):
    got = []
    project.step("b.see", told(got.append), takes("jobs", "Job", Mode.ALL))
    records = [{"url": "a", "salary": 1}, {"url": "b"}, {"url": "a", "salary": 2}]
    assert (await project.run(inputs={"Job": InputChoice("file", "jobs.json", records)})).ok
    assert got == [[Job(url="a", salary=2), Job(url="b")]]


async def test_equal_records_of_a_file_are_several_where_the_model_has_no_key(project):
    got = []
    project.step("b.see", told(got.append), takes("notes", "Note", Mode.ALL))
    assert (await project.run(inputs={"Note": InputChoice("file", "notes.json", [{"text": "a"}] * 2)})).ok
    assert got == [[Note(text="a")] * 2]
