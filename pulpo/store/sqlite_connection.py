"""Connections to a SQLite file: how one is opened, the threads that own them, and what SQLite's errors mean to a user."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar

from pulpo.store.base import StoreError
from pulpo.store.query import fold

T = TypeVar("T")

_WAL_RETRY_S: Final = 0.02
_CREATING = threading.Lock()

#: SQLite's primary result codes: what happened, and what to do.
_MEANINGS: Final = {
    sqlite3.SQLITE_BUSY: (
        "another process holds the store's write lock",
        "wait for it to finish and try again; for many writers use MongoDB",
    ),
    sqlite3.SQLITE_NOTADB: ("the file is not a store", "name another file, or move this one away"),
    sqlite3.SQLITE_CORRUPT: (
        "the store's file is damaged",
        "put a backup in its place, or save what can be read with `sqlite3 FILE .recover`",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the store's file can't be opened",
        "see that it exists and that you may read and write it and its directory",
    ),
    sqlite3.SQLITE_READONLY: ("the store's file can't be written", "see that you may write it and its directory"),
    sqlite3.SQLITE_PERM: ("the store's file can't be written", "see that you may write it and its directory"),
    sqlite3.SQLITE_FULL: ("the disk is full: nothing of the last write was stored", "free some space and try again"),
    sqlite3.SQLITE_IOERR: (
        "the disk failed to read or write the store: nothing of the last write was stored",
        "see that the disk has space and is not a network drive, and try again",
    ),
}


class _Job(NamedTuple):
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    work: Callable[[sqlite3.Connection], Any]


class ConnectionThreads:
    """Threads that each own a connection to one file and take jobs from one queue, first come first served.

    They are daemons: a process that ends does not wait for them. Jobs may come from any event loop.
    """

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection], *, count: int = 1) -> None:
        self._path = path
        self._connect = connect
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._process = os.getpid()
        self._threads = [threading.Thread(target=self._serve, name=f"pulpo-store-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns when a thread calls it with its connection; a job cancelled in time is never begun.

        Raises:
            StoreError: SQLite's own errors, in a user's words.
        """
        if os.getpid() != self._process:
            raise StoreError("the store was opened by the parent of this process", hint="open it after the fork, in each process")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(loop, future, work))
        return await future

    def close(self) -> None:
        """Finish the jobs that are waiting, close the connections and end the threads."""
        if os.getpid() != self._process:
            return
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        connection = None
        try:
            while (job := self._jobs.get()) is not None:
                if job.future.cancelled():
                    continue
                try:
                    connection = connection or self._connect()
                    _settle(job, job.work(connection), None)
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the job
                    _settle(job, None, translated(error, self._path))
                del job  # else the last caller's loop and result live until the next job
        finally:
            if connection is not None:
                connection.close()


def connect(path: Path, *, timeout_s: float, durable: bool) -> sqlite3.Connection:
    """A connection to an existing file, in WAL mode, without implicit transactions and with the function `fold`.

    Raises:
        sqlite3.Error: The file can't be opened, or is no database.
        StoreError: The place can't hold a database that several processes share.
    """
    connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=timeout_s, isolation_level=None)
    try:
        _switch_to_wal(connection, path, timeout_s)
        connection.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
        connection.create_function("fold", 1, _fold, deterministic=True)
    except BaseException:
        connection.close()
        raise
    return connection


def memory_connection() -> sqlite3.Connection:
    """A connection to a new database in memory that nobody else sees, otherwise as `connect`."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.create_function("fold", 1, _fold, deterministic=True)
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is done inside is stored at the end, or, on any error, nothing of it."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        # A full disk makes SQLite roll back by itself.
        if connection.in_transaction:
            connection.execute("rollback")
        raise


@contextlib.contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is read inside is of one moment."""
    connection.execute("begin")
    try:
        yield
    finally:
        connection.execute("rollback")


def prepare_file(path: Path) -> None:
    """Create the file, for its owner only, and its directory where they are missing.

    Raises:
        StoreError: The path is a directory, or nothing can be created there.
    """
    if path.is_dir():
        raise StoreError(f"the store is a file, this is a directory: {path}", hint="name a file in it")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Closing any descriptor of a file drops this process's locks on it: only that of a new file is, and one at a time.
        with _CREATING, contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StoreError(
            f"the store can't be created, {(error.strerror or 'it failed').lower()}: {error.filename or path}",
            hint="choose a place that you can write to",
        ) from error


def file_identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from every other one, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def translated(error: BaseException, path: Path) -> BaseException:
    """The error in a user's words, where it comes from SQLite or from text that is not Unicode; any other as it is."""
    if isinstance(error, UnicodeEncodeError):
        wrapped = StoreError("the store takes only text that is valid Unicode")
    elif isinstance(error, sqlite3.Error):
        # The lower byte is the primary code; errors of the Python module itself have none.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        meaning, hint = _MEANINGS.get(code, (f"the store failed, {error}", None))
        wrapped = StoreError(f"{meaning}: {path}", hint=hint)
    else:
        return error
    wrapped.__cause__ = error
    return wrapped


def _fold(value: object) -> str | None:
    """SQLite's own `lower` and LIKE know only ASCII."""
    return fold(value) if isinstance(value, str) else None


def _switch_to_wal(connection: sqlite3.Connection, path: Path, timeout_s: float) -> None:
    """Readers and the writer don't wait for each other in WAL mode; the switch itself does not heed SQLite's own time-out."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            mode = connection.execute("pragma journal_mode = wal").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_RETRY_S)
    if mode != "wal":
        raise StoreError(
            f"several processes can't share a store in this place: {path}",
            hint="put it on a local disk (not a network drive), or use MongoDB",
        )


def _settle(job: _Job, result: object, error: BaseException | None) -> None:
    def settle() -> None:
        if job.future.done():
            return
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)

    # A loop that is closed has nobody left who waits.
    with contextlib.suppress(RuntimeError):
        job.loop.call_soon_threadsafe(settle)
