"""Which record and which field an operation failed on, in its step's record."""

from pydantic import BaseModel

from pulpo.run.codec import collection_of
from pulpo.run.history import every, get_run
from pulpo.run.record import Culprit
from tests.run.workshop import Clean, Job, Mode, many, step_of, takes


def jobs():
    return [Job(url="a", salary=1), Job(url="b", salary=2), Job(url="c", salary=3)]


async def ids(project):
    collection = collection_of("Job", project.models["Job"])
    return {row.data["url"]: row.id async for row in every(project.store, collection, ())}


async def test_a_mapped_operation_names_the_record_that_it_was_called_with(project):
    def fail(job):
        if job.url == "b":
            raise ValueError("no such page\nreally")

    project.step("a.jobs", jobs, out=many("Job"))
    project.step("b.each", fail, takes("job", "Job", Mode.EACH, sources=["a.jobs"]))
    run = await project.run()
    record = (await ids(project))["b"]
    assert step_of(run, "b.each").culprits == (Culprit("Job", record, None, "", "ValueError: no such page"),)
    assert await get_run(project.store, run.id) == run


async def test_a_wrong_output_names_the_field_and_the_record_that_came_in(project):
    def clean(job):
        return {"url": job.url, "salary": "much" if job.url == "c" else 1}

    project.step("a.jobs", jobs, out=many("Job"))
    project.step("b.clean", clean, takes("job", "Job", Mode.EACH, sources=["a.jobs"]), out="Clean")
    run = await project.run()
    [culprit] = step_of(run, "b.clean").culprits
    assert (culprit.model, culprit.record, culprit.of, culprit.field) == ("Job", (await ids(project))["c"], "Clean", "salary")


async def test_a_model_made_wrongly_by_the_operation_itself_names_the_field(project):
    class Inner(BaseModel):
        text: str

    def make():
        Inner.model_validate({"text": {"deep": 1}})

    project.step("a.make", make)
    run = await project.run()
    [culprit] = step_of(run, "a.make").culprits
    assert (culprit.model, culprit.record, culprit.of, culprit.field) == (None, None, "Inner", "text")


async def test_the_only_record_that_came_in_is_named_and_of_several_none(project):
    def fail(**_):
        raise ValueError("no")

    project.step("a.one", lambda: Job(url="a"), out="Job")
    project.step("a.two", lambda: [Clean(url="a"), Clean(url="b")], out=many("Clean"))
    project.step("b.one", fail, takes("job", "Job", sources=["a.one"]))
    project.step("b.all", fail, takes("clean", "Clean", Mode.ALL, sources=["a.two"]))
    run = await project.run()
    assert [(c.model, c.record) for c in step_of(run, "b.one").culprits] == [("Job", (await ids(project))["a"])]
    assert step_of(run, "b.all").culprits == ()


async def test_of_records_that_are_dropped_the_first_ten_are_named(project):
    def fail(job):
        raise ValueError(job.url)

    project.step("a.jobs", lambda: [Job(url=f"{n:02}") for n in range(15)], out=many("Job"))
    project.step("b.each", fail, takes("job", "Job", Mode.EACH, sources=["a.jobs"]), out="Clean", on_error="skip")
    run = await project.run()
    step = step_of(run, "b.each")
    assert (step.failures, step.state) == (15, "completed")
    assert [culprit.message for culprit in step.culprits] == [f"ValueError: {n:02}" for n in range(10)]
