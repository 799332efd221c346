"""The store in memory: that of the tests of projects."""

import pytest

from pulpo.store.base import Collection, Record, StoreError
from pulpo.store.memory import MemoryStore

THINGS = Collection("things")


async def test_what_is_stored_is_there_until_it_is_closed_and_in_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with MemoryStore() as store:
        await store.create(THINGS, Record("a", {"n": 1}))
        assert (await store.get(THINGS, "a")).data == {"n": 1}
        async with MemoryStore() as other:
            assert await other.get(THINGS, "a") is None
    async with store:
        assert await store.get(THINGS, "a") is None
    assert list(tmp_path.iterdir()) == []


async def test_it_cannot_be_opened_a_second_time():
    async with MemoryStore() as store:
        with pytest.raises(StoreError, match="a second time"):
            store.another()
