"""The stores that the contract tests run on, each test on all of them: another backend is another parameter of `store`."""

import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pulpo.store.base import Collection, Index, Store
from pulpo.store.sqlite import SqliteStore

JOBS = Collection("jobs", indexes=(Index(("company",)), Index(("posted", "salary"))), text=("title", "company.name"))
BACKENDS = ["sqlite", "motor", "pymongo"]
_NUMBERS = itertools.count()


@pytest.fixture(params=["motor", "pymongo"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        async with SqliteStore(tmp_path / "cache" / "store.db") as opened:
            yield opened
        return
    from pulpo.store.mongo import MongoStore

    url, database = request.getfixturevalue("mongo_url"), f"pulpo_test_{os.getpid()}_{next(_NUMBERS)}"
    async with MongoStore(url, database=database, driver=request.param, project="shop") as opened_mongo:
        yield opened_mongo
        await opened_mongo.open()
        await opened_mongo.database.client.drop_database(database)


@pytest.fixture
def jobs() -> Collection:
    return JOBS
