import pytest

from pulpo.store.sqlite import SqliteStore
from tests.run.workshop import Project


@pytest.fixture
async def store(tmp_path):
    async with SqliteStore(tmp_path / "store.db") as store:
        yield store


@pytest.fixture
def project(store):
    return Project(store)
