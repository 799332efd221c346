"""Runs and events over a shared MongoDB: two APIs on one store."""

from __future__ import annotations

import asyncio
import os

import pytest

from pulpo.api.app import create_app
from pulpo.api.settings import Settings
from pulpo.store.mongo import MongoStore
from tests.api.conftest import client_of
from tests.api.test_events import Client
from tests.api.work import make_project, until, until_state

pytestmark = pytest.mark.usefixtures("fresh_imports")


@pytest.fixture(params=["motor", "pymongo"])
def driver(request):
    return request.param


async def test_two_apis_on_one_mongodb_see_and_cancel_each_others_runs(tmp_path, mongo_url, driver):
    cli = make_project(tmp_path)
    (tmp_path / "hold").touch()
    database = f"pulpo_api_{os.getpid()}_{driver}"

    def app():
        manifest, document = cli._lock()
        store = MongoStore(mongo_url, database=database, driver=driver)
        return create_app(manifest, store, settings=Settings(), document=document, project=cli.project)

    one, two = app(), app()
    async with client_of(one) as first, client_of(two) as second:
        await two.state.events.start()
        stream = await Client(two.state.events).until("ready")
        key = {"Idempotency-Key": "k"}
        run = (await first.post("/flows/pipeline/run", json={"only": ["fetch", "clean"]}, headers=key)).json()["id"]
        await stream.until("run", run)
        await stream.until("step", '"fetch"')
        again = await second.post("/flows/pipeline/run", json={"only": ["fetch", "clean"]}, headers=key)
        assert again.json()["id"] == run

        async def fetched():
            steps = (await second.get(f"/runs/{run}")).json()["steps"]
            return any(s["operation"] == "fetch" and s["state"] == "completed" for s in steps)

        await until(fetched)
        assert (await second.post(f"/runs/{run}/cancel")).status_code == 202
        await until_state(second, run, "cancelled")
        await stream.until("run", "cancelled")
        (tmp_path / "hold").unlink()
        resumed = (await second.post(f"/runs/{run}/resume", json={"wait": 20})).json()
        assert resumed["state"] == "completed"
        logs = (await first.get(f"/runs/{resumed['id']}/logs")).json()["items"]
        assert [line["message"] for line in logs] == ["cleaning 3"]
        assert (await first.get("/models/Clean/records", params={"count": "exact"})).json()["count"] == 3
        await stream.close()
    async with asyncio.timeout(10), MongoStore(mongo_url, database=database) as store:
        await store.database.client.drop_database(database)
