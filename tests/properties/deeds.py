"""What the operations of random projects do: a copy of this module lies beside them in each project.

Everything is deterministic. What an operation makes names who made it and encodes all that came in, so that a wrong record, a
wrong order or a missing one shows in every row after it. Each try of a call is noted in `events.txt` as it begins and ends.
Operations that `meeting.json` lists wait for each other, so they can only end if they overlap.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

HERE = Path(__file__).parent
EVENTS = HERE / "events.txt"
MEETING = HERE / "meeting.json"
#: Seconds after which who was waited for will not come any more.
PATIENCE = 60


class Record(BaseModel):
    """What all models of a random project look like."""

    name: str
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Out:
    """One output: of many `size` records; of maybe one, none now and then."""

    model: type[Record]
    shape: Literal["one", "many", "maybe"] = "one"
    size: int = 1


@dataclass(frozen=True, slots=True)
class Deed:
    """An operation: what it makes, the parameters whose records it passes on under their names, and how it fails."""

    name: str
    outputs: tuple[Out, ...] = ()
    keeps: tuple[str, ...] = ()
    fault: Literal["", "once", "always", "some", "wrong"] = ""
    #: Whether a try that fails may spoil what it was given, because the next one gets copies.
    spoils: bool = False

    def do(self, **given: object) -> Any:
        """The deed of a sync operation."""
        _note(f"begin {self.name}")
        try:
            for other in _expected(self.name):
                if not other.wait(PATIENCE):
                    raise TimeoutError("nobody came")
            return self._made(given)
        finally:
            _note(f"end {self.name}")

    async def do_async(self, **given: object) -> Any:
        """The deed of an async operation."""
        _note(f"begin {self.name}")
        try:
            async with asyncio.timeout(PATIENCE):
                for other in _expected(self.name):
                    while not other.is_set():  # noqa: ASYNC110 - who sets it may be in a thread
                        await asyncio.sleep(0.002)
            await asyncio.sleep(0)
            return self._made(given)
        finally:
            _note(f"end {self.name}")

    def _made(self, given: dict[str, object]) -> Any:
        what = _digest(self.name, given)
        self._fail(what, given)
        if self.fault == "wrong":
            return {"name": "nonsense"}
        names = [record.name for key in self.keeps for record in _records(given[key])]
        made: list[Any] = []
        total = 0
        for out in self.outputs:
            records = []
            for _ in range(out.size):
                name = names[total] if total < len(names) else f"{what}-{total}"
                records.append(out.model(name=name, by=self.name, text=f"{what} {total}"))
                total += 1
            nothing = out.shape == "maybe" and int(what, 16) % 2 == 0
            made.append(records if out.shape == "many" else None if nothing else records[0])
        return None if not made else made[0] if len(made) == 1 else tuple(made)

    def _fail(self, what: str, given: dict[str, object]) -> None:
        with _LOCK:
            _TRIES[what] += 1
            tries = _TRIES[what]
        if self.spoils and self.fault in ("once", "some"):
            for record in _records(list(given.values())):
                record.text = "spoiled"
        if self.fault == "once" and tries == 1:
            raise OSError("once")
        if self.fault == "always" or (self.fault == "some" and int(what, 16) % 3 == 0):
            raise ValueError(f"{self.fault}: {what}")


_LOCK = threading.Lock()
_TRIES: Counter[str] = Counter()
_THERE = {name: threading.Event() for name in (json.loads(MEETING.read_text()) if MEETING.exists() else ())}


def _expected(name: str) -> list[threading.Event]:
    if name not in _THERE:
        return []
    _THERE[name].set()
    return list(_THERE.values())


def _note(line: str) -> None:
    with _LOCK, EVENTS.open("a") as file:
        file.write(f"{line}\n")


def _records(value: object) -> list[Record]:
    if isinstance(value, Record):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [record for one in inner for record in _records(one)]


def _digest(name: str, given: dict[str, object]) -> str:
    return hashlib.sha1(repr((name, sorted((key, _plain(value)) for key, value in given.items()))).encode()).hexdigest()[:12]


def _plain(value: object) -> str:
    if isinstance(value, BaseModel):
        return f"{type(value).__name__}({', '.join(f'{k}={v!r}' for k, v in value)})"
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, dict):  # in the order in which it comes
        return f"{{{', '.join(f'{k}: {_plain(v)}' for k, v in value.items())}}}"
    return repr(value)
