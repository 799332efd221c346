"""How long storing records in the embedded store takes beside plain `sqlite3`: `python benchmarks/store.py [--rounds N]`.

Each measurement is a process of its own, the two kinds take turns, and the table has the medians. `process` is the whole process,
interpreter and imports included, `storing` the part that stores. Both sides store the same dicts in the same table, in one
transaction: plain `sqlite3` by `json.dumps` and `executemany`.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--case", choices=CASES, default="new")
    parser.add_argument("--path", type=Path)
    parser.add_argument("--indexed", action="store_true")
    options = parser.parse_args()
    if options.side is None:
        report(options.rounds)
        return
    data = jobs(options.case)
    begin = time.perf_counter()
    SIDES[options.side](options.path, options.case, data, indexed=options.indexed)
    print(time.perf_counter() - begin)


if __name__ == "__main__":
    main()
