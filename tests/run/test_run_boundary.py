"""What operations return is checked at the boundary, and every mistake is said where it is."""

import dataclasses
import datetime as dt
import decimal
import enum
import uuid

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field

from pulpo.errors import UsageError
from pulpo.run.inputs import InputChoice
from tests.run.workshop import Job, Mode, Output, many, step_of, takes, told


async def error_of(project, returned, out):
    project.step("a.fetch", lambda: returned() if callable(returned) else returned, out=out)
    run = await project.run()
    assert run.state == "failed"
    assert await project.records("Job") == []
    return step_of(run, "a.fetch").error


class Rogue(Job):
    pass


def mutated():
    job = Job(url="https://x")
    job.salary = "abc"
    return job


@pytest.mark.parametrize(
    ("returned", "out", "message"),
    [
        (None, "Job", "a.fetch returned None where its output is Job"),
        (3, "Job", "a.fetch returned an int where its output is Job"),
        (lambda: Rogue(url="a"), "Job", "a.fetch returned a Rogue where its output is Job"),
        (lambda: Job(url="a"), many("Job"), "a.fetch has to return a list of Job, not a Job"),
        ("text", many("Job"), "a.fetch has to return a list of Job, not a str"),
        (None, many("Job"), "a.fetch has to return a list of Job, not None"),
        (lambda: (x for x in ()), many("Job"), "a.fetch has to return a list of Job, not a generator"),
        (lambda: [Job(url="a")], "Job", "a.fetch returned a list where its output is Job"),
        (lambda: Job(url="a"), ["Job", "Note"], "a.fetch has to return a tuple of 2, not a Job"),
        (lambda: (Job(url="a"),), ["Job", "Note"], "a.fetch has to return a tuple of 2, not of 1"),
        (
            mutated,
            "Job",
            (
                "a.fetch returned a Job whose field salary is wrong: Input should be a valid integer, unable to parse string as an "
                "integer (url='https://x', salary='abc')"
            ),
        ),
        (lambda: Job.model_construct(salary=1), "Job", "a.fetch returned a Job whose field url is wrong: Field required"),
        (
            lambda: [Job(url="a"), {"url": "b", "salary": None}],
            many("Job"),
            (
                "a.fetch returned a Job whose field salary is wrong: Input should be a valid integer (record 2 of 2, url='b', "
                "salary=None)"
            ),
        ),
    ],
)
async def test_what_is_not_as_declared_is_an_error_that_says_what_and_where(project, returned, out, message):
    assert await error_of(project, returned, out) == message


async def test_a_forgotten_await_is_said(project):
    async def inner():
        return Job(url="a")

    assert await error_of(project, inner, "Job") == "a.fetch returned a coroutine that nobody awaited"


async def test_a_sync_function_that_the_lock_calls_async_is_said(project):
    project.step("a.fetch", lambda: Job(url="a"), out="Job")
    project.steps[0] = dataclasses.replace(project.steps[0], is_async=True)
    assert "a.fetch is not async" in step_of(await project.run(), "a.fetch").error


async def test_a_mapped_call_says_which_record_it_was_for(project):
    project.step("a.fetch", lambda: [Job(url=str(i)) for i in range(3)], out=many("Job"))
    each = takes("job", "Job", Mode.EACH, ["a.fetch"])
    project.step("b.clean", lambda job: {"url": job.url, "salary": "x" if job.url == "1" else 1}, each, out="Clean")
    run = await project.run()
    error = step_of(run, "b.clean").error
    assert "b.clean returned a Clean whose field salary is wrong" in error
    assert "(called for record 2 of 3, url='1', salary='x')" in error
    assert run.error == f"b.clean: {error}"


async def test_a_dict_is_as_good_as_the_model_and_a_boundary_error_is_not_retried(project):
    calls = []

    def fetch():
        calls.append(1)
        return {"url": "a", "salary": "7"}

    project.step("a.fetch", fetch, out="Job", retries=3, retry_delay=0)
    assert (await project.run()).ok
    assert await project.data("Job") == [{"url": "a", "salary": 7}]
    project.step("a.fetch", lambda: calls.append(1), out="Job", retries=3, retry_delay=0)
    assert not (await project.run()).ok
    assert len(calls) == 2


async def test_consumers_get_the_validated_record_and_not_the_one_that_was_returned(project):
    got = []
    project.step("a.fetch", lambda: Job.model_construct(url="a", salary="7"), out="Job")
    project.step("b.see", told(got.append), takes("job", "Job", sources=["a.fetch"]))
    assert (await project.run()).ok
    assert got == [Job(url="a", salary=7)]


class Colour(enum.Enum):
    RED = "red"


class Rich(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    identity: uuid.UUID = Field(alias="ID")
    day: dt.date
    at: dt.datetime
    price: decimal.Decimal
    colour: Colour
    tags: set[str]
    pair: tuple[int, str]
    blob: bytes
    lasts: dt.timedelta
    by_colour: dict[Colour, int]
    nested: list[Job]

    @pydantic.computed_field
    @property
    def double(self) -> decimal.Decimal:
        return self.price * 2


def rich():
    return Rich(
        ID=uuid.UUID(int=7),
        day=dt.date(2026, 1, 2),
        at=dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        price=decimal.Decimal("1.10"),
        colour=Colour.RED,
        tags={"b", "a"},
        pair=(1, "x"),
        blob=b"bytes",
        lasts=dt.timedelta(days=1, seconds=2),
        by_colour={Colour.RED: 1},
        nested=[Job(url="n")],
    )


@dataclasses.dataclass
class Plain:
    url: str
    days: list[int]


@pydantic.dataclasses.dataclass
class Checked:
    url: str
    day: dt.date


@pytest.mark.parametrize(
    "record", [rich(), Plain("a", [1, 2]), Checked("a", dt.date(2026, 1, 1))], ids=lambda r: type(r).__name__
)
async def test_a_record_comes_back_from_the_store_as_it_went_to_the_next_step(project, record):
    name = type(record).__name__
    project.model(type(record))
    got = []
    project.step("a.make", lambda: record, out=name)
    project.step("b.see", told(got.append), takes("one", name, sources=["a.make"]))
    run = await project.run()
    assert run.ok, run.error
    assert (await project.run("b.see")).ok
    assert got == [record, record]
    assert [type(one) for one in got] == [type(record)] * 2


class Timed(BaseModel):
    at: dt.datetime


async def test_a_naive_time_is_utc_in_the_run_as_in_the_store(project):
    project.model(Timed)
    got = []
    project.step("a.make", lambda: Timed(at=dt.datetime.fromisoformat("2026-01-01T12:00:00.123456")), out="Timed")
    project.step("b.see", lambda one: got.append(one.at), takes("one", "Timed", sources=["a.make"]))
    assert (await project.run()).ok
    assert (await project.run("b.see")).ok
    assert got == [dt.datetime(2026, 1, 1, 12, 0, 0, 123000, tzinfo=dt.UTC)] * 2


class Measure(BaseModel):
    value: float


async def test_what_can_not_be_read_back_from_the_store_is_an_error_at_once(project):
    project.model(Measure)
    project.step("a.make", lambda: Measure(value=float("nan")), out="Measure")
    error = step_of(await project.run(), "a.make").error
    assert "field value is wrong: it can't be read back once stored" in error


class Lossy(BaseModel):
    day: dt.date

    @pydantic.field_serializer("day")
    def as_text(self, day: dt.date) -> str:
        return f"the {day}"


async def test_a_model_whose_dump_is_no_input_is_an_error_at_once(project):
    project.model(Lossy)
    project.step("a.make", lambda: Lossy(day=dt.date(2026, 1, 1)), out="Lossy")
    assert "a.make returned a Lossy whose field day is wrong" in step_of(await project.run(), "a.make").error


async def test_an_output_that_is_not_declared_goes_nowhere(project):
    project.step("a.one", lambda: 42)
    project.step("a.two", lambda: (Job(url="a"),), out=Output("Job"))
    assert (await project.run()).ok


async def test_a_parameter_left_to_its_default_is_fine(project):
    def clean(job, note="n"):
        return {"url": job.url + note}

    project.step("a.fetch", lambda: Job(url="a"), out="Job")
    project.step("b.clean", clean, takes("job", "Job", sources=["a.fetch"]), out="Clean")
    assert (await project.run()).ok
    assert await project.data("Clean") == [{"url": "an", "salary": 0}]


class Place(BaseModel):
    country: str
    code: str | None = None


async def test_a_record_without_a_value_in_its_key_is_refused(project):
    project.model(Place, key=["country", "code"])
    project.step("a.make", lambda: [Place(country="at", code="1"), Place(country="de")], out=many("Place"))
    project.step("b.see", told(id), takes("places", "Place", Mode.ALL))
    run = await project.run("a.make")
    assert step_of(run, "a.make").error == (
        "a.make returned a Place whose field code is wrong: it is part of the key and can't be None "
        "(record 2 of 2, country='de', code=None)"
    )
    with pytest.raises(UsageError) as caught:
        await project.run("b.see", inputs={"Place": InputChoice("file", "places.json", [{"country": "de"}])})
    assert caught.value.message == ("record 1 of 1 in places.json is no Place: code: it is part of the key and can't be None")
