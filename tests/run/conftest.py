import pytest
from tests.run.workshop import Project

from pulpo.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path):
    async with SqliteStore(tmp_path / "store.db") as store:
        yield store


@pytest.fixture
def project(store):
    return Project(store)
