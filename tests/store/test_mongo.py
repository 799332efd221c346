"""What is the MongoDB store's own: its documents and indexes, several writers, kills, and Beanie's Documents beside it."""

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import beanie
import pytest
from bson import Decimal128, ObjectId
from pymongo.errors import AutoReconnect

from pulpo.store.base import (
    Collection,
    Condition,
    Conflict,
    Ensured,
    Index,
    ObservedCollection,
    ObservedIndex,
    Record,
    Sort,
    Stale,
    Store,
    StoreError,
    Written,
)
from pulpo.store.mongo import MongoStore
from pulpo.store.mongo_patience import Patience
from tests.mongo_server import Mongod

JOBS = Collection("jobs", indexes=(Index(("company",)), Index(("posted", "salary"))), text=("title",))
DOCUMENTS = Collection("postings", object_ids=True)
#: MongoDB's own, of every collection.
ID = ObservedIndex("_id_", Index(("_id",)))


@pytest.fixture
async def mongo(mongo_url, database, driver):
    async with MongoStore(mongo_url, database=database, driver=driver, project="shop") as opened:
        yield opened


def writer(url: str, database: str, driver: str, name: str, *, batches: int, size: int) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        str(Path(__file__).parent / "mongo_writer.py"),
        url,
        database,
        driver,
        name,
        str(batches),
        str(size),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def index_names(mongo: MongoStore, name: str = "jobs") -> set[str]:
    return set(await mongo.database[name].index_information())


# Documents


async def test_a_document_is_the_data_and_what_the_store_keeps(mongo):
    store: Store = mongo
    made = await store.create(JOBS, Record("a", {"company": "x", "n": 2**40, "f": 1.0}, run="r1", operation="o"))
    assert await mongo.database["jobs"].find_one({}) == {
        "_id": "a",
        "_rev": 1,
        "_run": "r1",
        "_operation": "o",
        "_created": made.created,
        "_updated": made.created,
        "company": "x",
        "n": 2**40,
        "f": 1.0,
    }


async def test_a_write_waits_for_the_journals_of_a_majority(mongo_url, database, driver):
    async with MongoStore(f"{mongo_url}/?w=1&journal=false", database=database, driver=driver) as mongo:
        assert mongo.database["jobs"].write_concern.document == {"w": "majority", "j": True}


async def test_the_database_is_that_of_the_uri(mongo_url, database, driver):
    async with MongoStore(f"{mongo_url}/{database}", database="other", driver=driver) as mongo:
        assert mongo.database.name == database
    async with MongoStore(mongo_url, database='my.proj/"x"', driver=driver) as mongo:
        assert mongo.database.name == "my_proj__x_"


async def test_another_programs_documents_are_read_and_their_other_fields_kept(mongo):
    price = Decimal128("1.50")
    await mongo.database["jobs"].insert_one({"_id": "a", "_class_id": "X", "price": price, "link": ObjectId("a" * 24), "n": 1})
    found = await mongo.get(JOBS, "a")
    assert found == Record("a", {"price": "1.50", "link": "a" * 24, "n": 1}, rev=0)
    assert (await mongo.patch(JOBS, "a", {"n": 2})).rev == 1
    raw = await mongo.database.client[mongo.database.name]["jobs"].find_one({})
    assert (raw["price"], raw["link"], raw["_class_id"], raw["n"], raw["_rev"]) == (price, ObjectId("a" * 24), "X", 2, 1)
    await mongo.replace(JOBS, Record("a", {"n": 3}), if_rev=1)
    assert (await mongo.database["jobs"].find_one({}))["_class_id"] == "X"


async def test_a_run_that_makes_the_same_again_is_told_of_each_record_whatever_its_revision(mongo):
    await mongo.database["jobs"].insert_one({"_id": "foreign", "_class_id": "X", "n": 1})
    await mongo.upsert_many(JOBS, [Record("first", {"n": 1}, run="r1"), Record("second", {"n": 0}, run="r1")])
    await mongo.upsert_many(JOBS, [Record("second", {"n": 1}, run="r1")])
    again = [Record(one, {"n": 1}, run="r2", operation="o") for one in ("first", "foreign", "second")]
    for _ in range(2):
        assert await mongo.upsert_many(JOBS, again) == Written(unchanged=3)
        found = (await mongo.find(JOBS)).items
        assert [(one.id, one.rev, one.run, one.operation) for one in found] == [
            ("first", 1, "r2", "o"),
            ("foreign", 0, "r2", "o"),
            ("second", 2, "r2", "o"),
        ]
    assert (await mongo.database["jobs"].find_one({"_id": "foreign"}))["_class_id"] == "X"


async def test_numbers_that_only_differ_in_kind_are_a_change(mongo):
    await mongo.create(JOBS, Record("a", {"n": 1}))
    assert await mongo.upsert_many(JOBS, [Record("a", {"n": 1.0})]) == Written(updated=1)
    assert await mongo.upsert_many(JOBS, [Record("a", {"n": True})]) == Written(updated=1)
    assert (await mongo.patch(JOBS, "a", {"n": 1})).rev == 4


@pytest.mark.parametrize("length", [1_052_260, 1_060_000], ids=["server", "driver"])
async def test_a_record_that_only_mongodb_finds_too_large_is_an_error(mongo, length):
    """What is a little too large the driver lets through."""
    large = {"n": [0.0] * length}
    with pytest.raises(StoreError, match="larger than what MongoDB takes"):
        await mongo.upsert_many(JOBS, [Record("a", large)])
    with pytest.raises(StoreError, match="larger than what MongoDB takes"):
        await mongo.upsert_many(JOBS, [Record("b", {}), Record("a", large)])
    with pytest.raises(StoreError, match="larger than what MongoDB takes"):
        await mongo.create(JOBS, Record("a", large))
    assert await mongo.get(JOBS, "a") is None


async def test_a_record_that_just_fits_is_stored_whole(mongo):
    large = {"n": [0.0] * 1_052_200}
    assert await mongo.upsert_many(JOBS, [Record("a", large)]) == Written(inserted=1)
    assert (await mongo.get(JOBS, "a")).data == large


# Indexes


async def test_indexes_are_made_once_and_never_dropped(mongo):
    unique = Collection("jobs", indexes=(Index(("url",), unique=True),))
    for _ in range(2):
        await mongo.close()
        await mongo.open()
        await mongo.ensure(JOBS)
        await mongo.ensure(unique)
    assert await index_names(mongo) == {"_id_", "pulpo.shop:company", "pulpo.shop:posted,salary", "pulpo.shop:url:unique"}


async def test_an_index_that_does_the_same_under_another_name_will_do(mongo):
    await mongo.database["jobs"].create_index([("company", 1), ("_id", 1)], name="theirs")
    await mongo.ensure(JOBS)
    assert await index_names(mongo) == {"_id_", "theirs", "pulpo.shop:posted,salary"}


@pytest.mark.parametrize("unique", [False, True])
async def test_an_index_of_another_project_will_do(mongo, mongo_url, database, unique):
    collection = Collection("jobs", indexes=(Index(("url",), unique=unique),))
    async with MongoStore(mongo_url, database=database, project="other") as other:
        await other.ensure(collection)
    assert await mongo.ensure(collection) == Ensured()
    assert await index_names(mongo) == {"_id_", f"pulpo.other:url{':unique' if unique else ''}"}


async def test_an_index_in_the_way_is_named(mongo):
    await mongo.database["jobs"].create_index([("company", 1), ("_id", 1)], name="theirs", sparse=True)
    await mongo.database["jobs"].create_index([("other", 1)], name="pulpo.shop:company")
    with pytest.raises(StoreError, match="another index of jobs is in the way of the one over company: ") as caught:
        await mongo.create(JOBS, Record("a", {}))
    assert "dropIndex(" in str(caught.value.hint)


# Whose things are


async def test_a_collection_carries_its_project_from_the_call_that_makes_it(mongo):
    await mongo.create(JOBS, Record("a", {}))
    await mongo.database["theirs"].insert_one({"_id": "a"})
    await mongo.ensure(Collection("theirs"))
    found = await mongo.structure()
    assert (found["jobs"].project, found["theirs"].project) == ("shop", None)


async def test_what_is_somebody_elses_is_seen_as_theirs(mongo, mongo_url, database):
    await mongo.database["theirs"].insert_one({"_id": "a"})
    await mongo.database["theirs"].create_index([("a", 1), ("_id", 1)], name="by_a")
    await mongo.database["theirs"].create_index([("b", 1)], name="by_b", unique=True)
    for name, options in {"hashed": {}, "sparse": {"sparse": True}, "partial": {"partialFilterExpression": {"c": 1}}}.items():
        await mongo.database["theirs"].create_index(
            [(name, "hashed" if name == "hashed" else 1), ("_id", 1)], name=name, **options
        )
    await mongo.database.create_collection("seen", viewOn="theirs", pipeline=[])
    async with MongoStore(mongo_url, database=database, project="other") as other:
        await other.ensure(Collection("shared", indexes=(Index(("c",)),)))
    assert {name: one for name, one in (await mongo.structure()).items() if name != "system.views"} == {
        "seen": ObservedCollection(),
        "shared": ObservedCollection((ID, ObservedIndex("pulpo.other:c", Index(("c",)), "other")), 0, "other"),
        "theirs": ObservedCollection(
            (
                ID,
                ObservedIndex("by_a", Index(("a", "_id"))),
                ObservedIndex("by_a", Index(("a",))),
                ObservedIndex("by_b", Index(("b",), unique=True)),
            ),
            1,
        ),
    }


@pytest.mark.parametrize(
    ("index", "change"),
    [(Index(("posted",)), {"hidden": True}), (Index(("posted",), unique=True), {"expireAfterSeconds": 60})],
    ids=str,
)
async def test_an_index_that_was_altered_is_seen(mongo, index, change):
    await mongo.ensure(Collection("jobs", indexes=(index,)))
    name = f"pulpo.shop:{index.label}"
    made = (await mongo.database["jobs"].index_information())[name]
    await mongo.database["jobs"].drop_index(name)
    options = {key: value for key, value in made.items() if key not in ("key", "v")}
    await mongo.database["jobs"].create_index(made["key"], name=name, **options, **change)
    (found,) = [one for one in (await mongo.structure())["jobs"].indexes if one.name == name]
    assert found == ObservedIndex(name, index, "shop", altered=True)


async def test_the_ids_of_a_collection_that_was_dropped_are_settled_anew(mongo):
    await mongo.create(Collection("postings", object_ids=True), Record("0" * 24, {}))
    assert await mongo.drop_collection("postings", with_records=True)
    await mongo.create(Collection("postings"), Record("0" * 24, {}))
    assert await mongo.database["postings"].count_documents({"_id": {"$type": "string"}}) == 1


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("fields", [["company"], ["posted", "salary"], []])
async def test_a_later_page_is_a_walk_along_the_index(mongo, fields, descending):
    records = [
        Record(f"{n:04}", {"company": f"c{n % 7}", "posted": n % 5, "salary": None if n % 3 == 0 else n}) for n in range(2000)
    ]
    await mongo.upsert_many(JOBS, records)
    sort = [Sort(field, descending) for field in fields]
    after = (await mongo.find(JOBS, sort=sort, limit=1000)).next
    await mongo.database.command({"profile": 2})
    assert len((await mongo.find(JOBS, sort=sort, limit=10, after=after)).items) == 10
    await mongo.database.command({"profile": 0})
    seen = await mongo.database["system.profile"].find_one({"op": "query", "ns": f"{mongo.database.name}.jobs"})
    assert seen["docsExamined"] <= 15, seen["planSummary"]


async def test_a_page_that_ends_where_a_batch_of_the_server_ends_has_its_cursor(mongo):
    await mongo.upsert_many(JOBS, [Record(f"{n:03}", {"n": n}) for n in range(150)])
    for limit in (100, 101, 102):  # the server's first batch has 101
        page = await mongo.find(JOBS, limit=limit)
        rest = await mongo.find(JOBS, limit=limit, after=page.next)
        assert [one.data["n"] for one in (*page.items, *rest.items)] == list(range(150))
        assert rest.next is None


# Ids


async def test_ids_of_documents_are_object_ids(mongo):
    ids = [f"{n:024x}" for n in range(5)]
    await mongo.upsert_many(DOCUMENTS, [Record(one, {"n": n}) for n, one in enumerate(ids)])
    assert (await mongo.database.client[mongo.database.name]["postings"].find_one({"n": 3}))["_id"] == ObjectId(ids[3])
    # Whoever reads them need not know.
    await mongo.close()
    await mongo.open()
    plain = Collection("postings")
    assert [one.id for one in await mongo.get_many(plain, ids)] == ids
    for condition, expected in (
        (Condition("_id", "eq", ids[2]), [2]),
        (Condition("_id", "ne", ids[2]), [0, 1, 3, 4]),
        (Condition("_id", "in", [ids[1], "x"]), [1]),
        (Condition("_id", "gt", ids[2]), [3, 4]),
        (Condition("_id", "lte", "0"), []),
        (Condition("_id", "gt", 3), []),
        (Condition("_id", "startswith", "00"), [0, 1, 2, 3, 4]),
        (Condition("_id", "contains", "04"), [4]),
    ):
        assert [one.data["n"] for one in (await mongo.find(plain, [condition])).items] == expected
    page = await mongo.find(plain, limit=2)
    assert [one.id for one in (await mongo.find(plain, after=page.next)).items] == ids[2:]
    assert await mongo.delete(plain, ids[0]) is True


async def test_an_id_that_is_no_object_id_is_refused_where_they_are(store):
    with pytest.raises(StoreError, match="the ids of postings are ObjectIds, this is none: 'x'"):
        await store.create(DOCUMENTS, Record("x", {}))


# Beanie


async def test_beanie_documents_and_the_store_see_each_others_records(mongo):
    class Posting(beanie.Document):
        url: str
        salary: int | None = None

        class Settings:
            name = "postings"

    await beanie.init_beanie(database=mongo.beanie_database(), document_models=[Posting], skip_indexes=True)
    await mongo.create(DOCUMENTS, Record("a" * 24, {"url": "x", "salary": 1}, run="r1"))
    ours = await Posting.get("a" * 24)
    assert (ours.url, ours.salary) == ("x", 1)
    ours.salary = 2
    await ours.save()
    found = await mongo.get(DOCUMENTS, "a" * 24)
    assert (found.data, found.rev, found.run) == ({"url": "x", "salary": 2}, 1, "r1")
    theirs = await Posting(url="y").insert()
    assert (await mongo.get(DOCUMENTS, str(theirs.id))).data == {"url": "y", "salary": None}
    patched = await mongo.patch(DOCUMENTS, str(theirs.id), {"salary": 3})
    assert (patched.rev, (await Posting.get(theirs.id)).salary) == (1, 3)
    await Posting.find_all().delete()


async def test_a_collection_that_only_beanie_wrote_is_read(mongo):
    raw = mongo.beanie_database()["postings"]
    await raw.insert_one({"_id": ObjectId("b" * 24), "url": "z"})
    assert (await mongo.get(Collection("postings"), "b" * 24)).data == {"url": "z"}
    assert (await mongo.upsert_many(Collection("postings"), [Record("b" * 24, {"url": "w"})])).updated == 1


# Several at once, and kills


async def test_stores_that_write_the_same_batch_at_once_agree(mongo_url, database):
    batch = [Record(f"{n:05}", {"n": n, "u": n}) for n in range(1500)]
    people = Collection("people", indexes=(Index(("u",), unique=True),))
    stores = [MongoStore(mongo_url, database=database, driver=driver) for driver in ("motor", "pymongo", "motor")]
    for one in stores:
        await one.open()
    await asyncio.gather(*(one.upsert_many(people, batch) for one in stores))
    changed = [Record(one.id, {**one.data, "n": -1}) for one in batch]
    await asyncio.gather(*(one.upsert_many(people, changed) for one in stores))
    assert await stores[0].count(people, [Condition("n", "eq", -1), Condition("_rev", "eq", 2)]) == 1500
    with pytest.raises(Conflict):
        await stores[1].create(people, Record("x", {"u": 3}))
    for one in stores:
        await one.close()


async def test_of_stores_that_compare_and_swap_one_wins(mongo, mongo_url, database):
    await mongo.create(JOBS, Record("a", {"n": 0}))
    async with MongoStore(mongo_url, database=database, driver="motor") as other:
        writes = [one.replace(JOBS, Record("a", {"n": n}), if_rev=1) for n, one in enumerate((mongo, other) * 5, 1)]
        done = await asyncio.gather(*writes, return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["Record"] + ["Stale"] * 9
    with pytest.raises(Stale):
        await mongo.delete(JOBS, "a", if_rev=1)


async def test_processes_that_write_together_lose_nothing(mongo, mongo_url, database, driver):
    processes = [writer(mongo_url, database, driver, f"p{n}", batches=3, size=20) for n in range(3)]
    for process in processes:
        _, errors = await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == 0, errors
    assert await mongo.count(Collection("jobs")) == 3 * 3 * 20 + 1
    shared = await mongo.get(Collection("jobs"), "shared")
    assert shared.data == {f"p{n}-{patch}": patch for n in range(3) for patch in range(5)}
    assert shared.rev == 15


@pytest.mark.parametrize("seed", range(3))
async def test_a_killed_batch_leaves_its_beginning_and_can_be_done_again(mongo, mongo_url, database, driver, seed):
    process = writer(mongo_url, database, driver, "p", batches=0, size=3000)
    assert await asyncio.to_thread(process.stdout.readline) == "0\n"
    await asyncio.sleep(random.Random(seed).uniform(0, 0.8))  # to kill at any moment
    process.kill()
    out, _ = await asyncio.to_thread(process.communicate)
    numbers = defaultdict(list)
    for record in (await mongo.find(Collection("jobs"), limit=10_000_000)).items:
        numbers[record.data["batch"]].append(record.data["n"])
    last = max(int(name[2:]) for name in numbers)
    for name, found in numbers.items():
        assert sorted(found) == list(range(len(found) if name == f"p-{last}" else 3000)), name
    assert all(len(numbers[f"p-{line}"]) == 3000 for line in out.split())
    again = [Record(f"p-{last}-{n:05}", {"batch": f"p-{last}", "n": n, "t": "x" * 200}) for n in range(3000)]
    before = len(numbers[f"p-{last}"])
    assert await mongo.upsert_many(Collection("jobs"), again) == Written(inserted=3000 - before, unchanged=before)


@pytest.mark.parametrize("seed", range(2))
async def test_a_killed_mongodb_loses_nothing_that_was_acknowledged(own_mongod: Mongod, driver, seed):
    own_mongod.start()
    process = writer(own_mongod.url, "jobs", driver, "p", batches=0, size=50)
    async with MongoStore(own_mongod.url, database="jobs", driver=driver, timeout_s=1) as mongo:
        assert await asyncio.to_thread(process.stdout.readline) == "0\n"
        await asyncio.sleep(random.Random(seed).uniform(0, 0.5))  # to kill at any moment
        own_mongod.kill()
        with pytest.raises(StoreError, match="the connection to MongoDB was lost") as caught:
            await mongo.count(Collection("jobs"))
        assert "do the same again" in str(caught.value.hint)
        out, errors = await asyncio.to_thread(process.communicate, timeout=60)
        assert "! the connection to MongoDB was lost" in out, errors
        own_mongod.start()
        acknowledged = [line for line in out.split("\n") if line.isdecimal()]
        for number in ["0", *acknowledged]:
            assert await mongo.count(Collection("jobs"), [Condition("batch", "eq", f"p-{number}")]) == 50


@pytest.fixture
async def impatient(own_mongod: Mongod, driver):
    """A store that waits for its own server a quarter as long as others do, 6 s."""
    own_mongod.start()
    async with MongoStore(own_mongod.url, database="jobs", driver=driver, timeout_s=1) as mongo:
        await mongo.ensure(JOBS)
        yield mongo


async def test_a_server_that_is_restarted_is_waited_for(impatient, own_mongod):
    own_mongod.kill()
    writing = asyncio.create_task(impatient.upsert_many(JOBS, [Record("a", {"n": 1})]))
    await asyncio.sleep(0)
    await asyncio.to_thread(own_mongod.start)
    assert await writing == Written(inserted=1)


async def test_a_change_that_could_not_be_told_is_told_when_the_server_is_back(impatient, own_mongod):
    before = (await impatient.versions())["jobs"]
    await impatient.upsert_many(JOBS, [Record("a", {"n": 1})])  # the change is told behind its back
    own_mongod.kill()
    await asyncio.sleep(2)  # it was tried, in vain
    await asyncio.to_thread(own_mongod.start)
    async with asyncio.timeout(20):
        while (await impatient.versions())["jobs"] == before:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_a_server_that_is_gone_is_waited_for_once_and_found_again(impatient, own_mongod):
    own_mongod.kill()
    begin = time.monotonic()
    for collection in (JOBS, Collection("people"), JOBS, JOBS):
        with pytest.raises(StoreError, match=f"the connection to MongoDB was lost: {own_mongod.url}/jobs"):
            await impatient.upsert_many(collection, [Record("a", {"n": 1})])
    assert 5 < time.monotonic() - begin < 10
    await asyncio.to_thread(own_mongod.start)
    while True:
        with contextlib.suppress(StoreError):
            assert await impatient.upsert_many(JOBS, [Record("a", {"n": 1})]) == Written(inserted=1)
            break
        await asyncio.sleep(0.05)
    assert time.monotonic() - begin < 20


async def test_each_outage_is_waited_for_anew():
    patience = Patience(0.8)

    async def lost():
        raise AutoReconnect("gone")

    async def there():
        return 1

    async def waited() -> float:
        begin = time.monotonic()
        with pytest.raises(AutoReconnect):
            await patience.persistently(lost)
        return time.monotonic() - begin

    assert await waited() > 0.4
    assert await waited() > 0.1  # the last wait, for one that came back meanwhile
    assert await waited() < 0.1
    assert await waited() < 0.1
    while True:
        with contextlib.suppress(AutoReconnect):
            assert await patience.persistently(there) == 1
            break
        await asyncio.sleep(0.05)
    assert await waited() > 0.4


async def test_what_came_back_when_it_was_no_longer_waited_for_is_found_by_the_next_call():
    patience = Patience(0.2)
    tries = 0

    async def lost():
        raise AutoReconnect("gone")

    async def there_soon():
        nonlocal tries
        tries += 1
        if tries == 1:
            raise AutoReconnect("gone")
        return 1

    with pytest.raises(AutoReconnect, match="gone"):
        await patience.persistently(lost)
    assert await patience.persistently(there_soon) == 1


# Loops and processes


def test_a_store_belongs_to_its_event_loop(mongo_url, database, driver):
    store = MongoStore(mongo_url, database=database, driver=driver)

    async def use():
        with pytest.raises(StoreError, match="the store was opened in another event loop"):
            await store.get(JOBS, "a")

    with asyncio.Runner() as runner:
        runner.run(store.open())
        asyncio_run_elsewhere(use)
        runner.run(store.close())


def asyncio_run_elsewhere(use):
    import threading

    failed = []

    def run():
        try:
            asyncio.run(use())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failed, failed


@pytest.mark.parametrize("module", ["pulpo.store.open", "pulpo.store.sqlite", "pulpo.store.base"])
def test_without_mongodb_no_driver_is_imported(module):
    code = f"import {module}, sys; assert not {{'motor', 'pymongo', 'bson'}} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
