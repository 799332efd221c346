"""What the embedded store does with a connection: each function is a read, or a part of one write transaction.

The rows of a collection's table are `id, rev, run, operation, created, updated, doc`; `pulpo_collections` has the version of each
collection, moved on by every write that changes something.
"""
# ruff: noqa: S608 - names in SQL are quoted by `table` and `quoted`, fields by `expression`, and values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pulpo.store.base import (
    ANY_PROJECT,
    VERSIONS,
    Collection,
    Conflict,
    Ensured,
    Index,
    NotFound,
    ObservedCollection,
    ObservedIndex,
    Page,
    Record,
    Sort,
    Stale,
    StoreError,
    Written,
    not_empty,
)
from pulpo.store.cursor import make_cursor
from pulpo.store.sqlite_connection import reading, transaction
from pulpo.store.sqlite_query import Clause, expression, index_name, order_clause, quoted, table
from pulpo.store.values import decode, encode, from_iso, now, to_iso

#: What the store's files are marked with ("Pulp"), and the format that this module writes.
_APPLICATION: Final = 0x50756C70
_FORMAT: Final = 1
_COLUMNS: Final = "id,rev,run,operation,created,updated,doc"
_COLUMN_COUNT: Final = 7
_MADE_BY: Final = "run=coalesce(?,run),operation=coalesce(?,operation)"
#: Far below the number of values that any SQLite can bind in one statement.
_IDS_AT_ONCE: Final = 500


class Document(NamedTuple):
    """A record about to be written, and the text of its data."""

    record: Record
    text: str


def document(collection: Collection, record: Record) -> Document:
    """The record with the text of its data.

    Raises:
        StoreError: It can't be stored; the message says which record, and why.
    """
    collection.check_id(record.id)
    try:
        return Document(record, encode(record.data))
    except StoreError as error:
        raise StoreError(f"{_label(collection, record.id)}: {error.message}", hint=error.hint) from error


def initialise(connection: sqlite3.Connection, path: Path) -> None:
    """Mark a new file as a store and check that any other is one.

    Raises:
        StoreError: The file is another program's, or of a newer format.
    """
    if _marks(connection) == (_APPLICATION, _FORMAT):
        return
    with transaction(connection):
        application, version = _marks(connection)
        if application == _APPLICATION and version > _FORMAT:
            raise StoreError(f"a newer Pulpo wrote this store: {path}", hint="upgrade Pulpo, or name another file")
        if application != _APPLICATION and (application or connection.execute("select 1 from sqlite_master").fetchone()):
            raise StoreError(f"this is a database of another program: {path}", hint="name another file")
        connection.execute(
            f"create table if not exists {VERSIONS}(name text primary key not null, version integer not null) without rowid"
        )
        connection.execute(f"pragma application_id = {_APPLICATION}")
        connection.execute(f"pragma user_version = {_FORMAT}")


def ensure(connection: sqlite3.Connection, collection: Collection) -> Ensured:
    """Create the collection's table and indexes where they are missing."""
    name = table(collection)
    # By their names alone: a project with as many collections as models would read all names for each of them.
    names = [_bare(collection), *(index_name(collection, index) for index in collection.indexes)]
    marks = ",".join("?" * len(names))
    there = {row[0] for row in connection.execute(f"select name from sqlite_master where name in ({marks})", names)}
    connection.execute(
        f"create table if not exists {name}(id text primary key not null, rev integer not null, run text, operation text, "
        "created text not null, updated text not null, doc text not null)"
    )
    connection.execute(f"insert or ignore into {VERSIONS} values(?,0)", (collection.name,))
    for index in collection.indexes:
        # The id behind the fields makes a sorted page one walk along the index.
        keys = [expression(field) for field in index.fields] + ([] if index.unique else ["id"])
        kind = "unique index" if index.unique else "index"
        connection.execute(f"create {kind} if not exists {quoted(index_name(collection, index))} on {name}({','.join(keys)})")
    made = [index for index in dict.fromkeys(collection.indexes) if index_name(collection, index) not in there]
    return Ensured(created=_bare(collection) not in there, indexes=tuple(made))


def structure(connection: sqlite3.Connection) -> dict[str, ObservedCollection]:
    """The collections that are there, sorted by name, all at one moment."""
    with reading(connection):
        collections = [Collection(name) for name in versions(connection)]
        return {one.name: _observed(connection, one) for one in collections if _is_there(connection, one)}


def drop_index(connection: sqlite3.Connection, collection: str, name: str) -> bool:
    """Drop an index; False when there is none of this name."""
    where = "type='index' and name=? and tbl_name=? and sql is not null"
    values = (name, _bare(Collection(collection)))
    if connection.execute(f"select 1 from sqlite_master where {where}", values).fetchone() is None:
        return False
    connection.execute(f"drop index {quoted(name)}")
    return True


def drop_collection(connection: sqlite3.Connection, name: str, *, with_records: bool) -> bool:
    """Drop a collection; False when there is none."""
    collection = Collection(name)
    if not _is_there(connection, collection):
        return False
    if not with_records and connection.execute(f"select 1 from {table(collection)} limit 1").fetchone():
        raise not_empty(name)
    connection.execute(f"drop table {table(collection)}")
    _move_on(connection, collection)
    return True


def conflict(collection: Collection, error: sqlite3.IntegrityError) -> Conflict:
    """What a broken unique index means to a user."""
    broken = [index for index in collection.indexes if index.unique and index_name(collection, index) in str(error)]
    fields = ", ".join(broken[0].fields) if broken else str(error).rpartition(": ")[2]
    return Conflict(
        f"two records of {collection.name} would agree in what has to be unique: {fields}",
        hint="change one of them, or make the index not unique",
    )


def versions(connection: sqlite3.Connection) -> dict[str, int]:
    """The version of every collection, sorted by name."""
    return dict(connection.execute(f"select name,version from {VERSIONS} order by name"))


def get(connection: sqlite3.Connection, collection: Collection, record_id: str) -> Record | None:
    """The record with this id."""
    row = connection.execute(f"select {_COLUMNS} from {table(collection)} where id=?", (record_id,)).fetchone()
    return _record(row) if row else None


def get_many(connection: sqlite3.Connection, collection: Collection, ids: Sequence[str]) -> list[Record]:
    """The records with these ids that are there, in the order of the ids."""
    found = {row[0]: _record(row) for row in _rows(connection, collection, _COLUMNS, ids)}
    return [found[record_id] for record_id in ids if record_id in found]


def find(
    connection: sqlite3.Connection, collection: Collection, where: Clause, order: Sequence[Sort], limit: int, skip: int
) -> Page:
    """A page of the records that `where` is true of."""
    # The sort keys as SQLite sees them: what a cursor compares with later.
    keys = ",".join(expression(key.field) for key in order)
    sql = f"select {_COLUMNS},{keys} from {table(collection)} where {where.sql} order by {order_clause(order)} limit ? offset ?"
    rows = connection.execute(sql, (*where.values, limit + 1, skip)).fetchall()
    more = len(rows) > limit
    del rows[limit:]
    return Page([_record(row) for row in rows], make_cursor(order, rows[-1][_COLUMN_COUNT:]) if more else None)


def count(connection: sqlite3.Connection, collection: Collection, where: Clause) -> int:
    """How many records `where` is true of."""
    row = connection.execute(f"select count(*) from {table(collection)} where {where.sql}", where.values).fetchone()
    return int(row[0])


def create(connection: sqlite3.Connection, collection: Collection, new: Document) -> Record:
    """Insert a record."""
    if get(connection, collection, new.record.id) is not None:
        raise Conflict(
            f"there is a record with this id already: {_label(collection, new.record.id)}",
            hint="replace it, or give the new one another id",
        )
    _insert(connection, collection, [new])
    _move_on(connection, collection)
    return _present(connection, collection, new.record.id)


def replace(connection: sqlite3.Connection, collection: Collection, new: Document, if_rev: int | None) -> Record:
    """Give a record new data."""
    _present(connection, collection, new.record.id, if_rev)
    upsert(connection, collection, [new])
    return _present(connection, collection, new.record.id)


def patch(
    connection: sqlite3.Connection, collection: Collection, record_id: str, changes: Mapping[str, Any], if_rev: int | None
) -> Record:
    """Change the top-level fields given."""
    old = _present(connection, collection, record_id, if_rev)
    upsert(connection, collection, [document(collection, Record(record_id, {**old.data, **changes}))])
    return _present(connection, collection, record_id)


def upsert(
    connection: sqlite3.Connection, collection: Collection, batch: Sequence[Document], *, as_stored: bool = False
) -> Written:
    """Insert or update records, each id once; new ones `as_stored` keep their revisions and times."""
    stored = {row[0]: row for row in _rows(connection, collection, "id,doc,run,operation", [new.record.id for new in batch])}
    inserts, updates, touches = [], [], []
    for new in batch:
        record, text = new
        old = stored.get(record.id)
        if old is None:
            inserts.append(new)
        elif old[1] != text:
            updates.append(new)
        elif record.run not in (None, old[2]) or record.operation not in (None, old[3]):
            touches.append((record.run, record.operation, record.id))
    _insert(connection, collection, inserts, as_stored=as_stored)
    _update(connection, collection, updates)
    connection.executemany(f"update {table(collection)} set {_MADE_BY} where id=?", touches)
    if inserts or updates or touches:
        _move_on(connection, collection)
    return Written(len(inserts), len(updates), len(batch) - len(inserts) - len(updates))


def delete(connection: sqlite3.Connection, collection: Collection, record_id: str, if_rev: int | None) -> bool:
    """Delete a record; False when there is none."""
    try:
        _present(connection, collection, record_id, if_rev)
    except NotFound:
        return False
    return delete_where(connection, collection, Clause("id=?", (record_id,))) > 0


def delete_where(connection: sqlite3.Connection, collection: Collection, where: Clause) -> int:
    """Delete the records that `where` is true of and say how many."""
    deleted = connection.execute(f"delete from {table(collection)} where {where.sql}", where.values).rowcount
    if deleted:
        _move_on(connection, collection)
    return deleted


def _observed(connection: sqlite3.Connection, collection: Collection) -> ObservedCollection:
    prefix = index_name(collection, Index(("",)))
    where = "type='index' and tbl_name=?"
    rows = connection.execute(f"select name from sqlite_master where {where} order by name", (_bare(collection),))
    labels = [row[0].removeprefix(prefix) for row in rows if row[0].startswith(prefix)]
    indexes = tuple(ObservedIndex(prefix + label, Index.of_label(label), ANY_PROJECT) for label in labels)
    return ObservedCollection(indexes, count(connection, collection, Clause("1")), ANY_PROJECT)


def _is_there(connection: sqlite3.Connection, collection: Collection) -> bool:
    where = "type='table' and name=?"
    return connection.execute(f"select 1 from sqlite_master where {where}", (_bare(collection),)).fetchone() is not None


def _bare(collection: Collection) -> str:
    """The name of the collection's table, not quoted."""
    return table(collection)[1:-1].replace('""', '"')


def _marks(connection: sqlite3.Connection) -> tuple[int, int]:
    application = connection.execute("pragma application_id").fetchone()[0]
    return application, connection.execute("pragma user_version").fetchone()[0]


def _rows(connection: sqlite3.Connection, collection: Collection, columns: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        marks = ",".join("?" * len(some))
        rows += connection.execute(f"select {columns} from {table(collection)} where id in ({marks})", some)
    return rows


def _present(connection: sqlite3.Connection, collection: Collection, record_id: str, if_rev: int | None = None) -> Record:
    """The record that has to be there, and at this revision."""
    record = get(connection, collection, record_id)
    if record is None:
        raise NotFound(f"there is no such record: {_label(collection, record_id)}")
    if if_rev is not None and record.rev != if_rev:
        raise Stale(
            f"{_label(collection, record_id)} is not at revision {if_rev} any more, but at: {record.rev}",
            hint="read it again and repeat the change",
        )
    return record


def _insert(
    connection: sqlite3.Connection, collection: Collection, batch: Sequence[Document], *, as_stored: bool = False
) -> None:
    stamp = to_iso(now())
    # Sorted, as ids are digests: each page of the index of ids is then visited once.
    rows = sorted(
        (record.id, record.rev if as_stored else 1, record.run, record.operation, *_times(record, stamp, as_stored), text)
        for record, text in batch
    )
    connection.executemany(f"insert into {table(collection)} values(?,?,?,?,?,?,?)", rows)


def _times(record: Record, stamp: str, as_stored: bool) -> tuple[str, str]:
    if not as_stored:
        return stamp, stamp
    return to_iso(record.created) if record.created else stamp, to_iso(record.updated) if record.updated else stamp


def _update(connection: sqlite3.Connection, collection: Collection, batch: Sequence[Document]) -> None:
    stamp = to_iso(now())
    connection.executemany(
        f"update {table(collection)} set rev=rev+1,{_MADE_BY},updated=?,doc=? where id=?",
        [(record.run, record.operation, stamp, text, record.id) for record, text in batch],
    )


def _move_on(connection: sqlite3.Connection, collection: Collection) -> None:
    connection.execute(f"update {VERSIONS} set version=version+1 where name=?", (collection.name,))


def _record(row: Sequence[Any]) -> Record:
    return Record(row[0], decode(row[6]), row[1], row[2], row[3], from_iso(row[4]), from_iso(row[5]))


def _label(collection: Collection, record_id: str) -> str:
    return f"{collection.name}/{record_id}"
