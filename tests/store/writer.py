"""A process that stores batches of records: `python writer.py FILE NAME BATCHES SIZE`, with 0 batches until it is killed.

It says `ready`, waits for a line, and then says the number of each batch that is stored. In the end it creates or patches the record `shared`.
"""

import asyncio
import sys
from itertools import count, islice

from pulpo.store.base import Collection, Conflict, Record
from pulpo.store.sqlite import SqliteStore

JOBS = Collection("jobs")
PATCHES = 5


async def write(path: str, name: str, batches: int, size: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    async with SqliteStore(path) as store:
        for number in islice(count(), batches or None):
            batch = [Record(f"{name}-{number}-{n}", {"batch": f"{name}-{number}", "text": "x" * 200}) for n in range(size)]
            await store.upsert_many(JOBS, batch)
            print(number, flush=True)
        await store.upsert_many(Collection("shared"), [Record(name, {})])
        for n in range(PATCHES):
            try:
                await store.create(JOBS, Record("shared", {f"{name}-{n}": n}))
            except Conflict:
                await store.patch(JOBS, "shared", {f"{name}-{n}": n})


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
