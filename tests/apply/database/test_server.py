"""A plan made and carried out on a real MongoDB."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from pulpo.apply.change import Change
from pulpo.apply.database import Steps, execute_database, observe, plan_database, plan_removal
from pulpo.errors import ApplyError
from pulpo.run.record import HISTORY, RUNS
from pulpo.store.base import Collection, Index, Record
from pulpo.store.mongo import MongoStore
from tests.mongo_server import Mongod

COMPANY, URL = Index(("company",)), Index(("url",), unique=True)
JOBS = Collection("jobs", indexes=(COMPANY, Index(("posted", "salary"))))
PEOPLE = Collection("people")

Open = Callable[..., MongoStore]


@pytest.fixture(params=["motor", "pymongo"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connect(mongo_url: str, database: str, driver: str) -> Open:
    return lambda project="shop": MongoStore(mongo_url, database=database, driver=driver, project=project)


@pytest.fixture
async def mongo(connect: Open) -> AsyncIterator[MongoStore]:
    async with connect() as store:
        yield store


async def planned(store: MongoStore, *wanted: Collection, project: str = "shop", destroy_data: bool = False) -> Steps:
    return plan_database([*wanted, *HISTORY], await observe(store), project=project, destroy_data=destroy_data)


async def applied(store: MongoStore, *wanted: Collection, destroy_data: bool = False) -> list[str]:
    """The addresses of what was changed; the next plan is empty."""
    done: list[Change] = []
    await execute_database(store, await planned(store, *wanted, destroy_data=destroy_data), done.append)
    assert not (await planned(store, *wanted)).plan.changes
    return [f"{change.action} {change.address}" for change in done]


async def names(store: MongoStore) -> set[str]:
    return set((await store.structure()).keys())


async def test_from_nothing_to_all_and_on_through_each_change(mongo):
    assert await applied(mongo, JOBS, PEOPLE) == [
        "create collection:jobs",
        "create collection:people",
        "create index:jobs/company",
        "create index:jobs/posted+salary",
    ]
    assert await applied(mongo, JOBS, PEOPLE) == []
    await mongo.create(JOBS, Record("a", {"company": "x"}))
    await mongo.create(RUNS, Record("r", {}))
    assert await applied(mongo, Collection("jobs", indexes=(URL, COMPANY)), PEOPLE) == [
        "create index:jobs/url",
        "delete index:jobs/posted+salary",
    ]
    assert await applied(mongo, Collection("jobs", indexes=(Index(("url",)), COMPANY))) == [
        "replace index:jobs/url",
        "delete collection:people",
    ]
    assert await applied(mongo) == []
    assert [str(note) for note in (await planned(mongo)).notes] == [
        "collection:jobs  left the manifest, holds 1 record: --destroy-data drops it"
    ]
    assert await applied(mongo, destroy_data=True) == ["delete collection:jobs"]
    assert await names(mongo) == {"pulpo_runs"}
    await execute_database(mongo, plan_removal(await observe(mongo), project="shop"))
    assert await names(mongo) == set()


@pytest.mark.parametrize(
    ("keys", "options"), [([("company", 1), ("_id", 1)], {"hidden": True}), ([("other", 1)], {})], ids=["hidden", "other keys"]
)
async def test_an_index_that_was_altered_by_hand_is_made_anew(mongo, keys, options):
    jobs = Collection("jobs", indexes=(COMPANY,))
    await applied(mongo, jobs)
    made = await mongo.database["jobs"].index_information()
    await mongo.database["jobs"].drop_index("pulpo.shop:company")
    await mongo.database["jobs"].create_index(keys, name="pulpo.shop:company", **options)
    assert await applied(mongo, jobs) == ["replace index:jobs/company"]
    assert await mongo.database["jobs"].index_information() == made


async def test_what_was_dropped_by_hand_is_made_again_by_a_store_that_knew_it(mongo):
    await applied(mongo, JOBS)
    await mongo.database["jobs"].drop_index("pulpo.shop:company")
    assert await applied(mongo, JOBS) == ["create index:jobs/company"]
    await mongo.database["jobs"].drop()
    assert len(await applied(mongo, JOBS)) == 3


async def test_what_is_others_is_neither_dropped_nor_counted(mongo, connect):
    theirs = mongo.database["theirs"]
    await theirs.create_index([("a", 1)], name="by_a", unique=True)
    await mongo.database["jobs"].create_index([("salary", -1)], name="by_salary")
    async with connect("other") as other:
        await other.ensure(Collection("orders", indexes=(COMPANY,)))
        await other.ensure(Collection("jobs", indexes=(Index(("posted",)),)))
    before = {name: await mongo.database[name].index_information() for name in ("theirs", "orders", "jobs")}
    assert await applied(mongo, JOBS, PEOPLE) == [
        "create collection:people",
        "create index:jobs/company",
        "create index:jobs/posted+salary",
    ]
    assert await applied(mongo, destroy_data=True) == [
        "delete index:jobs/company",
        "delete index:jobs/posted+salary",
        "delete collection:people",
    ]
    await execute_database(mongo, plan_removal(await observe(mongo), project="shop"))
    assert {name: await mongo.database[name].index_information() for name in ("theirs", "orders", "jobs")} == before


async def test_a_unique_index_that_records_break_is_refused_with_what_to_do_and_all_else_is_made(mongo):
    await applied(mongo, Collection("jobs"))
    await mongo.upsert_many(Collection("jobs"), [Record("a", {"url": "x"}), Record("b", {"url": "x"})])
    failed: list[str] = []
    steps = await planned(mongo, Collection("jobs", indexes=(URL, COMPANY)), PEOPLE)
    with pytest.raises(ApplyError) as caught:
        await execute_database(mongo, steps, on_failure=lambda change, _: failed.append(change.address))
    assert caught.value.message == (
        "the database refused 1 of 3 changes; the others were made:\n"
        "  index:jobs/url: two records of jobs would agree in what has to be unique: url"
    )
    assert caught.value.hint == "change one of them, or make the index not unique"
    assert failed == ["index:jobs/url"]
    await mongo.delete(Collection("jobs"), "b")
    assert await applied(mongo, Collection("jobs", indexes=(URL, COMPANY)), PEOPLE) == ["create index:jobs/url"]


async def test_a_replacement_that_records_break_leaves_the_index_that_is_there(mongo):
    await applied(mongo, Collection("jobs", indexes=(Index(("url",)),)))
    await mongo.upsert_many(Collection("jobs"), [Record("a", {"url": "x"}), Record("b", {"url": "x"})])
    with pytest.raises(ApplyError, match="index:jobs/url: two records"):
        await execute_database(mongo, await planned(mongo, Collection("jobs", indexes=(URL,))))
    assert set(await mongo.database["jobs"].index_information()) == {"_id_", "pulpo.shop:url"}


async def test_two_at_once_reach_the_same(mongo, connect):
    wanted = [Collection(f"c{n}", indexes=(COMPANY, URL)) for n in range(6)]
    for manifest in (wanted, [], wanted[:3]):
        async with connect() as one, connect() as other:
            plans = [await planned(one, *manifest), await planned(other, *manifest)]
            await asyncio.gather(*(execute_database(store, steps) for store, steps in zip((one, other), plans, strict=True)))
        assert not (await planned(mongo, *manifest)).plan.changes
    assert await names(mongo) == {"c0", "c1", "c2"}
    assert all(found.is_of("shop") for found in (await mongo.structure()).values())


APPLY = """
import asyncio, sys
from pulpo.apply.database import execute_database, observe, plan_database
from pulpo.store.base import Collection, Index
from pulpo.store.mongo import MongoStore

async def main(url, database, driver, wanted):
    async with MongoStore(url, database=database, driver=driver, project="shop") as store:
        made = [Collection(name, indexes=tuple(Index((field,)) for field in fields)) for name, fields in eval(wanted)]
        print("begins", flush=True)
        await execute_database(store, plan_database(made, await observe(store), project="shop"), lambda c: print(c, flush=True))

asyncio.run(main(*sys.argv[1:]))
"""


def apply_and_kill(url: str, database: str, wanted: str, *, after: int) -> None:
    """Carry a plan out in another process, which is killed when it has told of some changes."""
    command = [sys.executable, "-c", APPLY, url, database, "pymongo", wanted]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as applying:
        assert applying.stdout is not None
        for _ in range(after):
            applying.stdout.readline()
        applying.kill()


@pytest.mark.parametrize("driver", ["pymongo"])
async def test_what_was_killed_in_the_middle_is_finished_by_the_next(mongo, mongo_url, database):
    rng = random.Random(7)
    for _ in range(6):
        wanted = [(f"c{n}", rng.sample("abcd", rng.randint(0, 3))) for n in rng.sample(range(8), 5)]
        await asyncio.to_thread(apply_and_kill, mongo_url, database, repr(wanted), after=rng.randint(1, 8))
        await applied(mongo, *(Collection(name, indexes=tuple(Index((field,)) for field in fields)) for name, fields in wanted))
        found = await mongo.structure()
        assert all(one.is_of("shop") for one in found.values())
        assert found.keys() == {name for name, _ in wanted}


async def test_a_server_that_is_gone_ends_it_at_once_and_the_next_goes_on(own_mongod: Mongod, driver):
    own_mongod.start()
    wanted = [Collection(f"c{n}", indexes=(COMPANY,)) for n in range(5)]
    async with MongoStore(own_mongod.url, database="shop", driver=driver, timeout_s=1) as mongo:
        done: list[Change] = []

        def kill_after_three(change: Change) -> None:
            done.append(change)
            if len(done) == 3:
                own_mongod.kill()

        with pytest.raises(ApplyError, match=r"the connection to MongoDB was lost.* \(3 of 10 changes were made\)"):
            await execute_database(mongo, await planned(mongo, *wanted), kill_after_three)
        await asyncio.to_thread(own_mongod.start)
        made: Sequence[str] = await applied(mongo, *wanted)
        assert 7 <= len(made) <= 10
