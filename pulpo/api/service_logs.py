"""Pages of a service's log: of processes by the places in their files, of containers by the time of the last line."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
from typing import TYPE_CHECKING, Any, Final

from pulpo.api.problems import Problem
from pulpo.apply.services.instances import service_of
from pulpo.codes.credentials import without_credentials
from pulpo.services.local import LocalServices
from pulpo.services.log_pages import Position, log_page

if TYPE_CHECKING:
    from pulpo.api.service_states import World

_PAIR: Final = 2
#: Where containers have said nothing yet.
_BEGINNING: Final = "1970-01-01T00:00:00+00:00"


def read_log(world: World, name: str, tail: int, after: str | None) -> dict[str, Any]:
    """The last lines of a service, or those after a cursor, with the cursor that goes on; passwords are `***`.

    Raises:
        Problem: 400, the cursor is none of this log.
        PulpoError: The lines can't be found.
    """
    read = _of_containers if world.mode == "docker" else _of_processes
    rows, cursor = read(world, name, tail, None if after is None else _read_cursor(after))
    items = [{"service": service, "time": time, "text": without_credentials(text)} for service, time, text in rows]
    return {"items": items, "next": base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()}


Row = tuple[str, dt.datetime, str]


def _of_processes(world: World, name: str, tail: int, after: Any) -> tuple[list[Row], Any]:
    services = LocalServices(world.project.cache)
    known = sorted({instance for instance in services.names() if service_of(instance) == name} | {name})
    positions = {} if after is None else _positions(after)
    pages = {n: log_page(services.log_path(n), positions.get(n), limit=tail) for n in known}
    rows = [(n, line.time, line.text) for n, page in pages.items() for line in page.lines]
    cursor = {n: [page.end.inode, page.end.offset] for n, page in pages.items()}
    return sorted(rows, key=lambda row: row[1]), cursor


def _of_containers(world: World, name: str, tail: int, after: Any) -> tuple[list[Row], Any]:
    since, seen = (_BEGINNING, 0) if after is None else _moment(after)
    begin = dt.datetime.fromisoformat(since)
    last = tail if after is None else None
    found = world.driver(os.environ).logs([name], tail=last, since=None if after is None else begin, follow=False)
    rows = [(line.service, line.time, line.text) for line in found]
    of_before = [row for row in rows if row[1] <= begin][:seen] if after is not None else []
    new = rows[len(of_before) :][:tail] if after is not None else rows
    reached = new[-1][1] if new else begin
    # Lines of one moment may come later: so many of it were given.
    told = sum(row[1] == reached for row in [*of_before, *new])
    return new, {"time": reached.isoformat(), "seen": told}


def _read_cursor(text: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(text.encode()))
    except ValueError:
        raise _no_cursor() from None


def _positions(data: Any) -> dict[str, Position]:
    if not isinstance(data, dict):
        raise _no_cursor()
    found = {}
    for name, pair in data.items():
        if not (isinstance(pair, list) and len(pair) == _PAIR and all(isinstance(n, int) and 0 <= n < 1 << 63 for n in pair)):
            raise _no_cursor()
        found[name] = Position(*pair)
    return found


def _moment(data: Any) -> tuple[str, int]:
    try:
        time, seen = data["time"], data["seen"]
        aware = dt.datetime.fromisoformat(time).tzinfo is not None
    except (ValueError, KeyError, TypeError):
        raise _no_cursor() from None
    if not aware or not isinstance(seen, int) or seen < 0:
        raise _no_cursor()
    return time, seen


def _no_cursor() -> Problem:
    return Problem(400, "this is no cursor of this log", hint="take `next` of the answer before, as it is")
