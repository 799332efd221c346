"""A process that stores batches in a MongoDB until it is killed: `python mongo_writer.py URL DATABASE DRIVER NAME BATCHES SIZE`.

It says the number of each batch that is acknowledged; with batches to do, it patches the record `shared` five times in the end.
"""

import asyncio
import sys
from itertools import count, islice

from pulpo.store.base import Collection, Conflict, Record, StoreError
from pulpo.store.mongo import MongoStore

JOBS = Collection("jobs")
PATCHES = 5
#: Short, so that one whose server is gone is soon done.
TIMEOUT_S = 1.0


async def write(url: str, database: str, driver: str, name: str, batches: int, size: int) -> None:
    async with MongoStore(url, database=database, driver=driver, timeout_s=TIMEOUT_S) as store:
        for number in islice(count(), batches or None):
            batch = [
                Record(f"{name}-{number}-{n:05}", {"batch": f"{name}-{number}", "n": n, "t": "x" * 200}) for n in range(size)
            ]
            try:
                await store.upsert_many(JOBS, batch)
            except StoreError as error:
                print(f"! {error.message}", flush=True)
                return
            print(number, flush=True)
        for n in range(PATCHES):
            try:
                await store.create(JOBS, Record("shared", {f"{name}-{n}": n}))
            except Conflict:
                await store.patch(JOBS, "shared", {f"{name}-{n}": n})


if __name__ == "__main__":
    asyncio.run(write(*sys.argv[1:5], *map(int, sys.argv[5:7])))
