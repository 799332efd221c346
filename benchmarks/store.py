"""How long storing records in the embedded store takes beside plain `sqlite3`: `python benchmarks/store.py [--rounds N]`.

Each measurement is a process of its own, the two kinds take turns, and the table has the medians. `process` is the whole process,
interpreter and imports included, `storing` the part that stores. Both sides store the same dicts in the same table, in one
transaction: plain `sqlite3` by `json.dumps` and `executemany`.

With `--mongo URL` it is the store on MongoDB beside plain motor and pymongo: upserts in batches of 1000 by `ReplaceOne`, as
durable as ours, and reading all records sorted by id. Plain code compares nothing: it writes again what is equal.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNT = 10_000
CASES = ("new", "again", "changed")
TABLE = (
    "create table if not exists jobs(id text primary key not null, rev integer not null, run text, operation text, "
    "created text not null, updated text not null, doc text not null)"
)
INDEX = "create index if not exists jobs_company on jobs(json_extract(doc,'$.\"company\"'),id)"
UPSERT = (
    "insert into jobs values(?,1,?,?,?,?,?) on conflict(id) do update set rev=rev+1, run=excluded.run, "
    "operation=excluded.operation, updated=excluded.updated, doc=excluded.doc"
)


def jobs(case: str) -> list[tuple[str, dict[str, object]]]:
    """Ids (digests, as real ones are) and data of about 300 bytes; `changed` differs from the others in one field."""
    import hashlib

    return [
        (
            hashlib.sha256(str(n).encode()).hexdigest()[:24],
            {
                "url": f"https://example.com/jobs/{n}",
                "title": f"Data engineer {n % 100}",
                "company": f"Company {n % 500}",
                "location": "München, Bayern" if n % 3 else "A Coruña",
                "salary": 40_000 + n + (case == "changed"),
                "rating": n / 7,
                "remote": n % 2 == 0,
                "posted": "2026-01-31T06:00:00Z",
                "tags": ["python", "sql", f"t{n % 10}"],
                "contact": {"name": "Ana", "phone": None},
                "description": "Builds pipelines. " * 3,
            },
        )
        for n in range(COUNT)
    ]


def store_plainly(path: Path, case: str, data: list[tuple[str, dict[str, object]]], *, indexed: bool) -> None:
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute("begin immediate")
    connection.execute(TABLE)
    if indexed:
        connection.execute(INDEX)
    stamp = "2026-02-01T00:00:00.000Z"
    rows = [(key, case, "fetch", stamp, stamp, json.dumps(values)) for key, values in data]
    connection.executemany("insert into jobs values(?,1,?,?,?,?,?)" if case == "new" else UPSERT, rows)
    connection.execute("commit")
    connection.close()


def store_by_pulpo(path: Path, case: str, data: list[tuple[str, dict[str, object]]], *, indexed: bool) -> None:
    import asyncio

    from pulpo.store.base import Collection, Index, Record
    from pulpo.store.sqlite import SqliteStore

    async def upsert() -> None:
        collection = Collection("jobs", indexes=(Index(("company",)),) if indexed else ())
        async with SqliteStore(path) as store:
            await store.upsert_many(collection, [Record(key, values, run=case, operation="fetch") for key, values in data])

    asyncio.run(upsert())


SIDES = {"sqlite3": store_plainly, "pulpo": store_by_pulpo}


def measure(side: str, case: str, *, indexed: bool) -> tuple[float, float]:
    """Seconds of the process and of the storing in it; for all but `new` the records are there before."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "store.db"
        command = [sys.executable, __file__, "--side", side, "--path", str(path), *(["--indexed"] if indexed else [])]
        if case != "new":
            subprocess.run([*command, "--case", "new"], check=True, capture_output=True)
        begin = time.perf_counter()
        done = subprocess.run([*command, "--case", case], check=True, capture_output=True, text=True)
        return time.perf_counter() - begin, float(done.stdout)


def report(rounds: int) -> None:
    print(f"{COUNT} records, medians of {rounds} rounds, milliseconds\n")
    print(f"{'':<20}{'process':>27}{'storing':>33}")
    print(f"{'':<20}" + f"{'sqlite3':>9}{'pulpo':>9}{'ratio':>9}      " * 2)
    for indexed in (False, True):
        for case in CASES:
            times: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
            for _ in range(rounds):
                for side, taken in times.items():
                    taken.append(measure(side, case, indexed=indexed))
            row = f"{case + (', one index' if indexed else ''):<20}"
            for part in (0, 1):
                plain, ours = (statistics.median(taken[part] for taken in times[side]) * 1000 for side in SIDES)
                row += f"{plain:>9.0f}{ours:>9.0f}{ours / plain:>9.2f}      "
            print(row.rstrip(), flush=True)


async def mongo_plainly(url: str, driver: str, case: str, data: list[tuple[str, dict[str, object]]]) -> float:
    from datetime import UTC, datetime

    from pymongo import ReplaceOne

    from pulpo.store.mongo_driver import connect, settled

    client = connect(url, driver, timeout_s=5)
    collection = client["pulpo_benchmark"]["jobs"]
    await client["pulpo_benchmark"].command("ping")
    stamp = datetime.now(UTC)
    begin = time.perf_counter()
    if case == "read":
        await collection.find({}, sort=[("_id", 1)]).to_list(None)
    else:
        for start in range(0, COUNT, 1000):
            await collection.bulk_write(
                [
                    ReplaceOne(
                        {"_id": key},
                        {**values, "_rev": 1, "_run": case, "_operation": "fetch", "_created": stamp, "_updated": stamp},
                        upsert=True,
                    )
                    for key, values in data[start : start + 1000]
                ]
            )
    taken = time.perf_counter() - begin
    await settled(client.close())
    return taken


async def mongo_by_pulpo(url: str, driver: str, case: str, data: list[tuple[str, dict[str, object]]]) -> float:
    from pulpo.store.base import Collection, Record
    from pulpo.store.mongo import MongoStore

    async with MongoStore(url, database="pulpo_benchmark", driver=driver) as store:
        begin = time.perf_counter()
        if case == "read":
            await store.find(Collection("jobs"), limit=COUNT)
        else:
            records = [Record(key, values, run=case, operation="fetch") for key, values in data]
            await store.upsert_many(Collection("jobs"), records)
        return time.perf_counter() - begin


async def measure_mongo(url: str, driver: str, side: str, case: str) -> float:
    """Seconds; for all but `new` the records are there before."""
    from pulpo.store.mongo import MongoStore

    call = mongo_by_pulpo if side == "pulpo" else mongo_plainly
    async with MongoStore(url, database="pulpo_benchmark", driver="pymongo") as store:
        await store.database.client.drop_database("pulpo_benchmark")
    if case != "new":
        await mongo_by_pulpo(url, driver, "new", jobs("new"))
    return await call(url, driver, case, jobs(case))


def report_mongo(url: str, rounds: int) -> None:
    import asyncio

    print(f"{COUNT} records, medians of {rounds} rounds, milliseconds\n\n{'':<20}{'driver':>9}{'pulpo':>9}{'ratio':>9}")
    for driver in ("motor", "pymongo"):
        for case in (*CASES, "read"):
            times: dict[str, list[float]] = {"plain": [], "pulpo": []}
            for _ in range(rounds):
                for side, taken in times.items():
                    taken.append(asyncio.run(measure_mongo(url, driver, side, case)))
            plain, ours = (statistics.median(taken) * 1000 for taken in times.values())
            print(f"{driver + ', ' + case:<20}{plain:>9.0f}{ours:>9.0f}{ours / plain:>9.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mongo", metavar="URL")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--case", choices=CASES, default="new")
    parser.add_argument("--path", type=Path)
    parser.add_argument("--indexed", action="store_true")
    options = parser.parse_args()
    if options.mongo is not None:
        report_mongo(options.mongo, options.rounds)
        return
    if options.side is None:
        report(options.rounds)
        return
    data = jobs(options.case)
    begin = time.perf_counter()
    SIDES[options.side](options.path, options.case, data, indexed=options.indexed)
    print(time.perf_counter() - begin)


if __name__ == "__main__":
    main()
