"""A glance into an embedded store, for what has no time to open one."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds; a writer that takes longer leaves nothing to see.
_PATIENCE: Final = 0.05


def newest_ids(path: Path, collection: str, *, limit: int) -> list[str]:
    """The ids of a collection that sort last, last first; the store is not changed, nor made where there is none.

    Raises:
        sqlite3.Error: There is no such file or collection, or it is no database.
    """
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as connection:
        name = collection.replace('"', '""')
        rows = connection.execute(f'select id from "{name}" order by id desc limit ?', (limit,))  # noqa: S608 - a quoted name
        return [row[0] for row in rows]
