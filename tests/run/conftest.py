import itertools
import os

import pytest

from pulpo.store.sqlite import SqliteStore
from tests.run.workshop import Project

_DATABASES = itertools.count()


def pytest_generate_tests(metafunc):
    """A module whose tests are to hold on both stores says `STORES = ("sqlite", "mongo")`."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store", getattr(metafunc.module, "STORES", ("sqlite",)), indirect=True)


@pytest.fixture
async def store(request, tmp_path):
    if request.param == "sqlite":
        async with SqliteStore(tmp_path / "store.db") as store:
            yield store
        return
    from pulpo.store.mongo import MongoStore

    database = f"pulpo_run_{os.getpid()}_{next(_DATABASES)}"
    async with MongoStore(request.getfixturevalue("mongo_url"), database=database) as store:
        yield store
        await store.open()
        await store.database.client.drop_database(database)


@pytest.fixture
def project(store):
    return Project(store)
