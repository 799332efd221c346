"""Beanie Documents as models, on both stores."""

from typing import Annotated

import beanie
import pytest

from pulpo.run.beanie import DirectAccessError
from pulpo.store.sqlite import SqliteStore
from tests.run.workshop import Mode, many, step_of, takes, told

STORES = ("sqlite", "mongo")


@pytest.fixture
def documents(project):
    class Company(beanie.Document):
        name: str

    class Posting(beanie.Document):
        url: Annotated[str, beanie.Indexed(unique=True)]
        salary: int | None = None

        class Settings:
            name = "postings"

    project.model(Company, key=["name"], object_ids=True)
    project.model(Posting, key=["url"], collection="postings", object_ids=True, schema=Posting.model_json_schema())
    return project


async def test_documents_are_made_stored_and_read_back(documents):
    got = []
    posting, company = documents.module.Posting, documents.module.Company
    documents.step("a.fetch", lambda: [posting(url="a", salary=1), {"url": "b"}], out=many("Posting"))
    documents.step(
        "b.company", lambda p: company(name=p.url.upper()), takes("p", "Posting", Mode.EACH, ["a.fetch"]), out="Company"
    )
    documents.step("c.see", told(got.extend), takes("ps", "Posting", Mode.ALL, ["a.fetch"]))
    for _ in range(2):
        run = await documents.run()
        assert run.ok, run.error
    assert await documents.data("Posting") == [{"url": "a", "salary": 1}, {"url": "b", "salary": None}]
    assert await documents.data("Company") == [{"name": "A"}, {"name": "B"}]
    assert [type(p) for p in got] == [posting] * 4
    assert (await documents.run("c.see")).ok
    assert [p.url for p in got] == ["a", "b"] * 3


async def test_a_document_that_derives_from_one_that_is_in_use_has_a_collection_of_its_own(documents):
    posting = documents.module.Posting
    seen = []

    class Archived(posting):
        pass

    async def keep():
        await Archived(url="old").insert()
        return Archived(url="older")

    async def count():
        seen.extend([await posting.count(), await Archived.count()])

    documents.step("a.fetch", lambda: [posting(url="a"), posting(url="b")], out=many("Posting"))
    assert (await documents.run()).ok
    documents.model(Archived, key=["url"], collection="archived", object_ids=True)
    documents.step("b.keep", keep, out="Archived", after=["a.fetch"])
    documents.step("c.count", count, models_in=["Archived", "Posting"], after=["b.keep"])
    run = await documents.run()
    if isinstance(documents.store, SqliteStore):
        assert "a method of a Document of 'archived' used 'insert_one'" in step_of(run, "b.keep").error
        with pytest.raises(DirectAccessError, match="a Document of 'postings'"):
            await posting.count()
        return
    assert run.ok, run.error
    assert seen == [2, 2]
    assert sorted(one.data["url"] for one in await documents.records("Archived")) == ["old", "older"]


async def test_a_documents_own_methods_work_on_mongodb_and_say_so_where_there_is_none(documents):
    posting = documents.module.Posting
    embedded = isinstance(documents.store, SqliteStore)

    seen = []

    async def insert():
        await posting(url="own").insert()
        seen.extend([await posting.count(), (await posting.find_one(posting.url == "own")).url])

    async def read():
        seen.extend(sorted([one.url async for one in posting.find_all()]))

    documents.step("a.fetch", insert)
    documents.step("b.other", lambda: posting(url="a"), out="Posting", after=["a.fetch"])
    documents.step("c.read", read, after=["b.other"], models_in=["Posting"])
    run = await documents.run()
    if embedded:
        error = step_of(run, "a.fetch").error
        assert "a method of a Document of 'postings' used 'insert_one', which talks to MongoDB itself" in error
        return
    assert run.ok, run.error
    assert seen == [1, "own", "a", "own"]
    assert sorted(one.data["url"] for one in await documents.records("Posting")) == ["a", "own"]
