"""What is the embedded store's own: its file, its threads, and what goes wrong with files."""

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pulpo.store.base import Collection, Conflict, Index, Record, Sort, Store, StoreError
from pulpo.store.sqlite import SqliteStore

JOBS = Collection("jobs", indexes=(Index(("company",)), Index(("posted", "salary"))), text=("title",))


async def failure(path: Path) -> StoreError:
    """The error of opening a store there."""
    with pytest.raises(StoreError) as caught:
        async with SqliteStore(path, timeout_s=0.1):
            pass
    return caught.value


@contextmanager
def sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Code in a process of its own that has imported what a store needs."""
    prelude = """
        import asyncio, os, sys
        from pulpo.store.base import *
        from pulpo.store.sqlite import SqliteStore
        JOBS = Collection("jobs")
        path = sys.argv[1]
    """
    text = textwrap.dedent(prelude) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", text, *arguments], capture_output=True, text=True, timeout=30, check=False
    )


# The file


def test_a_store_is_a_store(tmp_path: Path) -> None:
    store: Store = SqliteStore(tmp_path / "store.db")
    assert isinstance(store, SqliteStore)


async def test_the_file_and_its_directory_are_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "run_cache" / "store.db"
    async with SqliteStore(path) as store:
        await store.create(JOBS, Record("a", {}))
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
        assert set(modes.values()) == {0o600}
        assert "store.db-wal" in modes
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["store.db"]


async def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    async with SqliteStore(tmp_path / "shared" / "store.db"):
        pass
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o755


async def test_the_table_can_be_read_with_any_sqlite(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        await store.create(JOBS, Record("a", {"title": "ñ", "n": 1}, run="r1", operation="fetch"))
    with sqlite(tmp_path / "store.db") as connection:
        row = connection.execute("select id, rev, run, operation, doc ->> 'title', doc from jobs").fetchone()
    assert row == ("a", 1, "r1", "fetch", "ñ", '{"n":1,"title":"ñ"}')


@pytest.mark.parametrize("name", ["a b.db", "a%20b?.db", "ñ#.db", "mode=ro"])
async def test_any_name_of_a_file_will_do(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        async with SqliteStore(tmp_path / name) as store:
            await store.upsert_many(JOBS, [Record("a", {})])
    assert not {one.name for one in tmp_path.iterdir()} ^ {name}  # noqa: ASYNC240


async def test_a_relative_path_is_meant_from_where_the_store_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with SqliteStore("store.db") as store:
        await store.create(JOBS, Record("a", {}))
        monkeypatch.chdir("/")
        assert await store.count(JOBS) == 1


async def test_a_durable_store_waits_for_the_disk(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db", durable=True) as store:
        await store.upsert_many(JOBS, [Record("a", {})])
        assert await store.count(JOBS) == 1


@pytest.mark.parametrize(
    "sort", [[Sort("company")], [Sort("company", descending=True)], [Sort("posted"), Sort("salary")]], ids=str
)
async def test_a_sorted_page_is_a_walk_along_the_index(tmp_path: Path, sort: list[Sort]) -> None:
    from pulpo.store.query import sort_order
    from pulpo.store.sqlite_query import order_clause

    async with SqliteStore(tmp_path / "store.db") as store:
        await store.ensure(JOBS)
    with sqlite(tmp_path / "store.db") as connection:
        plan = connection.execute(f"explain query plan select doc from jobs order by {order_clause(sort_order(sort))} limit 9")
        steps = [row[-1] for row in plan.fetchall()]
    assert len(steps) == 1
    assert "USING INDEX" in steps[0]


# What goes wrong with files


@pytest.mark.parametrize("content", [b"notes", b"x" * 200, b"x" * 5000, b"SQLite format 3\0" + b"x" * 5000])
async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    error = await failure(path)
    assert error.message == f"the file is not a store: {path}"
    assert error.hint == "name another file, or move this one away"
    assert path.read_bytes() == content


async def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite(path) as connection:
        connection.execute("create table users(name)")
    assert (await failure(path)).message == f"this is a database of another program: {path}"
    with sqlite(path) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("users",)]


async def test_a_store_of_a_newer_pulpo_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteStore(path):
        pass
    with sqlite(path) as connection:
        connection.execute("pragma user_version = 2")
    error = await failure(path)
    assert (error.message, error.hint) == (f"a newer Pulpo wrote this store: {path}", "upgrade Pulpo, or name another file")


async def test_a_directory_is_no_store(tmp_path: Path) -> None:
    assert (await failure(tmp_path)).message == f"the store is a file, this is a directory: {tmp_path}"


async def test_a_place_where_nothing_can_be_created_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "store.db"
    assert (await failure(path)).message == f"the store can't be created, file exists: {path.parent}"


@pytest.mark.parametrize(
    ("readonly", "message"),
    [
        ("directory", "the store can't be created, permission denied: "),
        ("file", "the store's file can't be written: "),
        ("everything", "the store's file can't be "),
    ],
)
def test_a_read_only_place_is_an_error_with_a_hint(tmp_path: Path, readonly: str, message: str) -> None:
    code = """
        async def main():
            async with SqliteStore(path) as store:
                await store.create(JOBS, Record("a", {}))
        import pulpo.store.values, encodings.idna, encodings.ascii, urllib.parse
        if os.getuid() == 0:
            os.setuid(65534)
        try:
            asyncio.run(main())
        except StoreError as error:
            print(error.message, "|", error.hint)
    """
    root = Path(os.path.realpath("/tmp")) / f"pulpo-read-only-{os.getpid()}-{readonly}"
    root.mkdir(mode=0o777)
    try:
        path = root / "store.db"
        root.chmod(0o777)
        if readonly != "directory":
            with sqlite(path) as connection:
                connection.execute("pragma journal_mode = wal")
            path.chmod(0o444)
        if readonly != "file":
            root.chmod(0o555)
        done = run(code, str(path))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(message), done.stdout
        assert "| see that you may" in done.stdout or "| choose a place" in done.stdout
    finally:
        root.chmod(0o777)
        shutil.rmtree(root)


async def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteStore(path) as store:
        await store.upsert_many(JOBS, [Record(str(n), {"text": "x" * 500}) for n in range(200)])
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 60_000)
    async with SqliteStore(path) as store:
        with pytest.raises(StoreError, match=f"the store's file is damaged: {path}") as caught:
            await store.find(JOBS, limit=1000)
    assert caught.value.hint is not None
    assert "backup" in caught.value.hint


async def test_a_file_that_vanishes_is_not_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteStore(path) as store:
        path.unlink()
        with pytest.raises(StoreError, match=f"the store's file can't be opened: {path}"):
            await store.count(JOBS)
    assert not path.exists()


async def test_a_file_that_was_removed_while_closed_is_made_anew(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    for _ in range(2):
        async with store:
            assert (await store.create(JOBS, Record("a", {}))).rev == 1
        store.path.unlink()


async def test_a_lock_that_another_process_keeps_is_an_error_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteStore(path, timeout_s=0.05) as store:
        await store.create(JOBS, Record("a", {}))
        with sqlite(path) as other:
            other.execute("begin immediate")
            with pytest.raises(StoreError, match=f"another process holds the store's write lock: {path}") as caught:
                await store.create(JOBS, Record("b", {}))
            assert caught.value.hint
            assert await store.count(JOBS) == 1
            async with SqliteStore(path, timeout_s=0.05) as second:
                assert await second.count(JOBS) == 1
            other.execute("rollback")
        await store.create(JOBS, Record("b", {}))


@pytest.mark.parametrize("held", ["begin exclusive", "begin immediate"])
async def test_a_fresh_file_that_another_process_holds_is_waited_for(tmp_path: Path, held: str) -> None:
    path = tmp_path / "store.db"
    with sqlite(path) as other:
        other.execute(held)
        store = SqliteStore(path)
        opening = asyncio.ensure_future(store.open())
        await asyncio.sleep(0.1)  # long enough to have tried and failed
        assert not opening.done()
        other.execute("commit")
    await opening
    assert await store.count(JOBS) == 0
    await store.close()


async def test_a_batch_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    people = Collection("people", indexes=(Index(("email",), unique=True),))
    async with SqliteStore(tmp_path / "store.db") as store:
        with pytest.raises(Conflict):
            await store.upsert_many(people, [Record("1", {"email": "a"}), Record("2", {"email": "a"})])
        assert await store.count(people) == 0
        await store.upsert_many(people, [Record("1", {"email": "a"})])
        with pytest.raises(Conflict):
            await store.upsert_many(
                people, [Record("1", {"email": "b"}), Record("2", {"email": "c"}), Record("3", {"email": "c"})]
            )
        assert [record.data for record in (await store.find(people)).items] == [{"email": "a"}]


async def test_a_lock_that_is_let_go_in_time_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteStore(path) as store:
        await store.ensure(JOBS)
        with sqlite(path) as other:
            other.execute("begin immediate")
            writing = asyncio.ensure_future(store.create(JOBS, Record("a", {})))
            assert await store.count(JOBS) == 0
            other.execute("commit")
        assert (await writing).rev == 1


def test_a_full_disk_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    code = """
        async def main():
            async with SqliteStore(path) as store:
                stored = 0
                try:
                    while True:
                        await store.upsert_many(JOBS, [Record(f"{stored}-{n}", {"text": "x" * 1000}) for n in range(50)])
                        stored += 1
                except StoreError as error:
                    print(error.message, "|", error.hint)
                assert await store.count(JOBS) == stored * 50 > 0
            async with SqliteStore(path) as store:
                assert await store.count(JOBS) == stored * 50
        asyncio.run(main())
    """
    script = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$1/store.db"'
    probe = (
        subprocess.run(
            ["unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o size=1m none "$1"', "sh", str(tmp_path)],
            capture_output=True,
            check=False,
        )
        if shutil.which("unshare")
        else None
    )
    if probe is None or probe.returncode:
        pytest.skip("a small disk can't be mounted here")
    text = "import asyncio, sys\nfrom pulpo.store.base import *\nfrom pulpo.store.sqlite import SqliteStore\n"
    text += 'JOBS = Collection("jobs")\npath = sys.argv[1]\n' + textwrap.dedent(code)
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", str(tmp_path), sys.executable, text],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"the disk is full: nothing of the last write was stored: {tmp_path}/store.db | free some space and try again\n"
    )


def test_a_disk_that_refuses_to_write_says_so(tmp_path: Path) -> None:
    done = run(
        """
        import resource, signal
        async def main():
            async with SqliteStore(path) as store:
                await store.create(JOBS, Record("a", {}))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
                try:
                    await store.create(JOBS, Record("b", {"text": "x" * 300_000}))
                except StoreError as error:
                    print(error.message)
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                await store.create(JOBS, Record("c", {}))
                print(await store.count(JOBS))
        asyncio.run(main())
        """,
        str(tmp_path / "store.db"),
    )
    assert done.stderr == ""
    assert done.stdout == (
        f"the disk failed to read or write the store: nothing of the last write was stored: {tmp_path}/store.db\n2\n"
    )


async def test_text_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        await store.ensure(JOBS)
        for call in (store.create(JOBS, Record("\ud800", {})), store.get(JOBS, "\ud800")):
            with pytest.raises(StoreError, match="the store takes only text that is valid Unicode"):
                await call


# Threads and loops


def test_a_process_ends_though_its_store_is_open(tmp_path: Path) -> None:
    done = run(
        """
        async def main():
            store = SqliteStore(path)
            await store.open()
            await store.create(JOBS, Record("a", {}))
            asyncio.ensure_future(store.upsert_many(JOBS, [Record(str(n), {"n": n}) for n in range(20_000)]))
            await asyncio.sleep(0)
            print("done")
        asyncio.run(main())
        """,
        str(tmp_path / "store.db"),
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


async def test_closing_finishes_what_was_begun_and_ends_the_threads(tmp_path: Path) -> None:
    before = threading.active_count()
    store = SqliteStore(tmp_path / "store.db")
    await store.open()
    writes = [asyncio.ensure_future(store.create(JOBS, Record(str(n), {}))) for n in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    assert threading.active_count() == before
    async with store:
        assert await store.count(JOBS) == 20


async def test_a_store_that_is_closed_is_one_file(tmp_path: Path) -> None:
    """A copy of it alone has all: no connection left a log beside it, whichever of them ended last."""
    for n in range(100):
        async with SqliteStore(tmp_path / "store.db") as store:
            await store.upsert_many(JOBS, [Record(str(n), {})])
            await asyncio.gather(*(store.get(JOBS, str(other)) for other in range(20)))
        assert os.listdir(tmp_path) == ["store.db"]  # noqa: PTH208


async def test_a_store_that_could_not_be_opened_leaves_no_threads(tmp_path: Path) -> None:
    before = threading.active_count()
    (tmp_path / "notes").write_text("not a database, really not")
    await failure(tmp_path / "notes")
    assert threading.active_count() == before


def test_one_store_serves_several_event_loops(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    asyncio.run(store.open())
    asyncio.run(store.upsert_many(JOBS, [Record("a", {})]))

    def another(name: str) -> None:
        asyncio.run(store.upsert_many(JOBS, [Record(name, {})]))

    threads = [threading.Thread(target=another, args=(f"t{n}",)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asyncio.run(store.count(JOBS)) == 6
    asyncio.run(store.close())


async def test_two_stores_of_one_process_share_a_file(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as one, SqliteStore(tmp_path / "store.db") as two:
        await asyncio.gather(
            *(store.upsert_many(JOBS, [Record(f"{name}{n}", {})]) for n in range(30) for name, store in (("a", one), ("b", two)))
        )
        assert await one.count(JOBS) == await two.count(JOBS) == 60


async def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        await store.create(JOBS, Record("a", {}))
        with sqlite(tmp_path / "store.db") as other:
            other.execute("begin immediate")
            other.execute("delete from jobs")
            assert await store.count(JOBS) == 1
            other.execute("rollback")


def test_a_forked_child_is_told_to_open_its_own(tmp_path: Path) -> None:
    done = run(
        """
        store = SqliteStore(path)
        asyncio.run(store.open())
        asyncio.run(store.create(JOBS, Record("a", {})))
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            asyncio.run(store.close())
            sys.exit()
        try:
            asyncio.run(store.count(JOBS))
        except StoreError as error:
            print(error.message)
        """,
        str(tmp_path / "store.db"),
    )
    assert done.stdout == "the store was opened by the parent of this process\n", done.stderr


def test_importing_the_store_brings_nothing_heavy() -> None:
    done = run(
        "print([name for name in ('pydantic_core', 'networkx', 'rich', 'jsonschema', 'motor') if name in sys.modules])", "x"
    )
    assert done.stdout == "[]\n"


def test_an_interrupted_process_ends_at_once(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pulpo.store.sqlite import SqliteStore
async def main():
    async with SqliteStore({str(tmp_path / "store.db")!r}) as store:
        print("ready", flush=True)
        async for _ in store.watch(every=0.01):
            pass
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert errors.rstrip().endswith("KeyboardInterrupt")


async def test_a_file_that_was_removed_takes_no_more_writes(tmp_path):
    collection = Collection("things")
    async with SqliteStore(tmp_path / "store.db") as store:
        await store.upsert_many(collection, [Record("1", {"n": 1})])
        (tmp_path / "store.db").unlink()
        with pytest.raises(StoreError, match="was removed or replaced while it was in use"):
            await store.upsert_many(collection, [Record("2", {"n": 2})])
