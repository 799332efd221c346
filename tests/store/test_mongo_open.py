"""Which store a URI opens, and what is said when it can't be."""

import asyncio
import contextlib
import gc
import re
import socket
import subprocess
import sys
import time

import pytest
from pymongo import AsyncMongoClient

from pulpo.errors import UsageError
from pulpo.store.base import Collection, Record, StoreError
from pulpo.store.open import open_store
from pulpo.store.sqlite import SqliteStore

#: pymongo leaves sockets of attempts that its `close` ends to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

PASSWORD = "s3cr:et/p@ss%"
ENCODED = "s3cr%3Aet%2Fp%40ss%25"
DRIVERS = ("motor", "pymongo")
LEAKS = re.compile(r"s3cr|p@ss|p%40ss|et/p|et%2F")


@pytest.fixture(autouse=True)
def _collected():
    yield
    gc.collect()


@pytest.fixture
def opened(tmp_path, driver):
    """The store of a URI, closed yet."""

    def make(uri, database="jobs"):
        return open_store(uri, path=tmp_path / "store.db", database=database, driver=driver)

    return make


@pytest.fixture
def failure(tmp_path):
    """The error of opening the store of a URI, the same by each driver.

    It comes in time, shows no password, and no file takes the store's place.
    """

    async def of(uri, driver):
        begin = time.monotonic()
        with pytest.raises(UsageError) as caught:
            async with open_store(uri, path=tmp_path / "store.db", database="jobs", driver=driver):
                pass
        assert time.monotonic() - begin < 5.5
        error = caught.value
        assert not LEAKS.search(f"{error.message} {error.hint} {error}")
        assert error.hint
        return error

    async def fail(uri):
        error, other = await asyncio.gather(*(of(uri, driver) for driver in DRIVERS))
        assert (error.message, error.hint) == (other.message, other.hint)
        assert not (tmp_path / "store.db").exists()
        return error

    return fail


async def test_without_a_uri_it_is_the_embedded_store(opened, tmp_path):
    async with opened(None) as store:
        assert isinstance(store, SqliteStore)
        assert store.path == tmp_path / "store.db"


async def test_with_a_uri_it_is_mongodb(opened, mongo_url, database, tmp_path):
    async with opened(mongo_url, database) as store:
        await store.create(Collection("jobs"), Record("a", {"n": 1}))
        assert await store.count(Collection("jobs")) == 1
    assert not (tmp_path / "store.db").exists()


async def test_a_server_that_does_not_answer_is_an_error_in_time(failure):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        error = await failure(f"mongodb://ana:{ENCODED}@{where}/jobs")
    assert error.message == f"MongoDB does not answer within 4 s: mongodb://{where}"


async def test_where_nothing_listens_says_so(failure):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{free.getsockname()[1]}"
        error = await failure(f"mongodb://ana:{ENCODED}@{where}/jobs?retryWrites=false")
    assert error.message == f"nothing listens where MongoDB should be: mongodb://{where}"


@pytest.mark.parametrize("scheme", ["mongodb", "mongodb+srv"])
async def test_an_unknown_host_says_so(failure, scheme):
    error = await failure(f"{scheme}://ana:{ENCODED}@db.nowhere.invalid/jobs")
    assert error.message == f"the host of MongoDB is not known: {scheme}://db.nowhere.invalid"


async def test_a_socket_that_is_not_there_says_so(failure):
    error = await failure("mongodb://%2Ftmp%2Fno%2Fmongod.sock/jobs")
    assert error.message == "there is no socket of MongoDB at this place: mongodb:///tmp/no/mongod.sock"


async def test_a_server_without_tls_says_so(failure, mongo_url):
    error = await failure(f"{mongo_url}/?tls=true")
    assert re.match(r"MongoDB (does not speak TLS with this client|closes the connection at once): mongodb://", error.message)


@pytest.fixture
def certificate(tmp_path):
    path = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (tmp_path / "server.pem.crt").read_bytes())
    return path


async def test_tls_is_spoken_and_its_problems_are_told(failure, tmp_path, own_mongod, certificate):
    own_mongod.start("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(certificate))
    assert (await failure(f"{own_mongod.url}/?tls=true")).message.startswith("the certificate of MongoDB is not trusted: ")
    assert (await failure(own_mongod.url)).message.startswith("MongoDB closes the connection at once: ")
    error = await failure(f"{own_mongod.url}/?tls=true&tlsCAFile=/no/such/file")
    assert error.message == "a file that the URI of MongoDB names can't be read"
    for driver in DRIVERS:
        uri = f"{own_mongod.url}/?tls=true&tlsCAFile={certificate}.crt"
        async with open_store(uri, path=tmp_path / "store.db", database="jobs", driver=driver) as store:
            assert await store.count(Collection("jobs")) == 0


async def test_a_wrong_password_and_none_say_so(failure, tmp_path, own_mongod):
    own_mongod.start("--auth")
    async with AsyncMongoClient(own_mongod.url) as client:
        await client["admin"].command("createUser", "root", pwd="root", roles=["root"])
    async with AsyncMongoClient(own_mongod.url, username="root", password="root") as client:
        await client["admin"].command("createUser", "ana", pwd=PASSWORD, roles=[{"role": "readWrite", "db": "jobs"}])
    server = own_mongod.url.removeprefix("mongodb://")
    error = await failure(f"mongodb://ana:{ENCODED}x@{server}/jobs?authSource=admin")
    assert error.message == f"MongoDB refuses the user name or the password: {own_mongod.url}"
    assert "authSource=admin" in (await failure(f"mongodb://ana:{ENCODED}@{server}/jobs")).hint
    error = await failure(f"{own_mongod.url}/jobs")
    assert error.message == f"MongoDB does not let this user read the database jobs: {own_mongod.url}"
    error = await failure(f"mongodb://ana:{ENCODED}@{server}/others?authSource=admin")
    assert error.message == f"MongoDB does not let this user read the database others: {own_mongod.url}"
    for driver in DRIVERS:
        uri = f"mongodb://ana:{ENCODED}@{server}/jobs?authSource=admin"
        async with open_store(uri, path=tmp_path / "store.db", database="x", driver=driver) as store:
            await store.create(Collection("jobs"), Record(driver, {}))


async def test_a_replica_set_that_is_none_says_so(failure, mongo_url):
    error = await failure(f"{mongo_url}/?replicaSet=rs0")
    assert error.message.startswith("the replica set of MongoDB has no primary that can be reached: ")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (
            "postgresql://ana:s3cr@host/x",
            "a MongoDB's URI begins with mongodb:// or mongodb+srv://, this one with: postgresql://",
        ),
        ("s3cr", "a MongoDB's URI begins with mongodb:// or mongodb+srv://, this one with: something else"),
        ("", "a MongoDB's URI begins with mongodb:// or mongodb+srv://, this one with: something else"),
        ("mongodb://", "the URI of MongoDB makes no sense"),
        (f"mongodb://ana:{PASSWORD}@host/jobs", "the URI of MongoDB makes no sense"),
        ("mongodb://ana:s3cr@t@host/jobs", "the user name or the password in the URI of MongoDB is not encoded"),
        ("mongodb://ana:s3cr@host:x/jobs", "a port in the URI of MongoDB is no number from 1 to 65535"),
        ("mongodb://ana:s3cr", "a port in the URI of MongoDB is no number from 1 to 65535"),
        ("mongodb://ana:s3cr@host:99999", "a port in the URI of MongoDB is no number from 1 to 65535"),
        ("mongodb://host/jobs?s3cr", "the URI of MongoDB makes no sense"),
        ("mongodb://ana:s3cr@host/a.b/c?x", "the URI of MongoDB makes no sense"),
        ("mongodb://ana:s3cr@host/jobs?authMechanism=s3cr", "the URI of MongoDB makes no sense"),
        ("mongodb+srv://ana:s3cr@host", "the host of MongoDB is not known: mongodb+srv://host"),
        ("mongodb+srv://ana:s3cr@a.b.c:1/jobs", "the URI of MongoDB makes no sense"),
        ("mongodb://host/admin", "MongoDB keeps this database for itself: admin"),
        ("mongodb://ana:${PASSWORD}@host", "a reference in the store's URI is not resolved"),
    ],
)
async def test_a_uri_that_makes_no_sense_is_refused(failure, uri, message):
    assert (await failure(uri)).message == message


async def test_an_unknown_option_is_named(failure):
    error = await failure("mongodb://ana:s3cr@host/jobs?retryWritess=true")
    assert error.message == "the URI of MongoDB has an option that there is not: retrywritess"


def test_an_unknown_driver_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no such driver for MongoDB: moter") as caught:
        open_store("mongodb://host", path=tmp_path, database="x", driver="moter")
    assert caught.value.hint == "did you mean 'motor'?"


@pytest.mark.parametrize("missing", ["motor", "pymongo"])
async def test_a_driver_that_is_not_installed_says_what_to_install(opened, monkeypatch, missing, driver):
    for name in [name for name in sys.modules if name.split(".")[0] == missing or name.startswith("pulpo.store.mongo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "motor" and driver == "pymongo":
        opened("mongodb://host")
        return
    with pytest.raises(UsageError, match=f"MongoDB needs a package that is not installed: {missing}") as caught:
        async with opened("mongodb://host"):
            pass
    assert caught.value.hint == 'pip install "pulpocore[mongo]"'


async def test_a_store_that_could_not_be_opened_can_be_opened_later(opened, own_mongod):
    store = opened(own_mongod.url)
    with pytest.raises(UsageError):
        await store.open()
    with pytest.raises(StoreError, match="the store is not open"):
        await store.get(Collection("jobs"), "a")
    own_mongod.start()
    async with store:
        assert await store.count(Collection("jobs")) == 0


async def test_opening_can_be_cancelled(opened):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        store = opened(f"mongodb://127.0.0.1:{silent.getsockname()[1]}")
        opening = asyncio.ensure_future(store.open())
        await asyncio.sleep(0.1)
        opening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await opening
        await store.close()
    with pytest.raises(StoreError, match="the store is not open"):
        await store.get(Collection("jobs"), "a")
