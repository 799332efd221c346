"""Runs on a MongoDB that goes away."""

import asyncio
import os
import time

import pytest

from pulpo.run.history import get_run, list_runs
from pulpo.store.base import StoreError
from pulpo.store.mongo import MongoStore
from tests.run.workshop import Clean, Job, Mode, Project, many, states, takes

#: pymongo leaves sockets of attempts that its `close` ends to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


class Watched(MongoStore):
    """Says when a write was given up."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.gave_up = asyncio.Event()
        self.on_error = None

    async def upsert_many(self, *arguments, **options):
        try:
            return await super().upsert_many(*arguments, **options)
        except StoreError:
            self.gave_up.set()
            if self.on_error:
                await self.on_error()
            raise


@pytest.fixture(params=["motor", "pymongo"])
async def killed(request, own_mongod):
    """A project on a MongoDB that its second operation kills, and which then does `project.then`."""
    own_mongod.start()
    async with Watched(own_mongod.url, database="runs", driver=request.param, timeout_s=1.5) as store:
        project = Project(store)
        project.then = None

        async def kill(jobs):
            run = project.events[0].run
            # Until all is stored, so that the next write has the records that this one makes.
            while states(await get_run(store, run)) != {"a.fetch": "completed", "b.kill": "running"}:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.to_thread(own_mongod.kill)
            if project.then:
                project.then()
            return [Clean(url=job.url, salary=1) for job in jobs]

        project.step("a.fetch", lambda: [Job(url=str(n)) for n in range(50)], out=many("Job"))
        project.step("b.kill", kill, takes("jobs", "Job", Mode.ALL, ["a.fetch"]), out=many("Clean"))
        yield project


async def test_runs_are_found_along_indexes(mongo_url):
    async with MongoStore(mongo_url, database=f"pulpo_found_{os.getpid()}") as store:
        project = Project(store)
        project.step("a.fetch", lambda: None)
        run = await project.run()
        await store.database.command("profile", 2)
        assert [found.id for found in await list_runs(store)] == [run.id]
        assert await list_runs(store, flow_run="none") == []
        await store.database.command("profile", 0)
        asked = store.database["system.profile"].find({"op": "query", "ns": {"$regex": "pulpo_runs$"}}, sort=[("ts", 1)])
        assert [(query["planSummary"], query.get("hasSortStage", False)) for query in await asked.to_list(None)] == [
            ("IXSCAN { _id: 1 }", False),
            ("IXSCAN { flow_run: 1, _id: 1 }", False),
        ]
        await store.database.client.drop_database(store.database.name)


async def test_a_mongodb_that_comes_back_soon_costs_a_run_nothing(killed, own_mongod):
    starting = []
    killed.then = lambda: starting.append(asyncio.create_task(asyncio.to_thread(own_mongod.start)))
    run = await killed.run()
    await starting[0]
    assert run.ok, run.error
    assert await get_run(killed.store, run.id) == run
    assert states(run) == {"a.fetch": "completed", "b.kill": "completed"}
    assert len(await killed.records("Clean")) == 50


async def test_a_mongodb_that_comes_back_late_is_an_error_in_the_runs_record(killed, own_mongod):
    killed.store.on_error = lambda: asyncio.to_thread(own_mongod.start) if own_mongod.process is None else asyncio.sleep(0)
    run = await killed.run()
    assert states(run) == {"a.fetch": "completed", "b.kill": "failed"}
    assert "the connection to MongoDB was lost" in run.error
    assert await get_run(killed.store, run.id) == run
    killed.step(
        "b.kill", lambda jobs: [Clean(url=j.url) for j in jobs], takes("jobs", "Job", Mode.ALL, ["a.fetch"]), out=many("Clean")
    )
    again = await killed.run(resume=run.id)
    assert states(again) == {"a.fetch": "reused", "b.kill": "completed"}
    assert len(await killed.records("Clean")) == 50


async def test_a_mongodb_that_stays_away_ends_the_run_in_bounded_time(killed, own_mongod):
    begin = time.monotonic()
    with pytest.raises(StoreError, match="the connection to MongoDB was lost"):
        await killed.run()
    assert time.monotonic() - begin < 60
    own_mongod.start()
    (run,) = await list_runs(killed.store)
    assert states(await get_run(killed.store, run.id))["a.fetch"] == "completed"
    assert run.state == "running"  # and crashed, once this process is gone
