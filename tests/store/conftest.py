"""The stores that the contract tests run on: another backend is another parameter of `store`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pulpo.store.base import Collection, Index, Store
from pulpo.store.sqlite import SqliteStore

JOBS = Collection("jobs", indexes=(Index(("company",)), Index(("posted", "salary"))), text=("title", "company.name"))


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with SqliteStore(tmp_path / "cache" / "store.db") as opened:
        yield opened


@pytest.fixture
def jobs() -> Collection:
    return JOBS
