"""`Idempotency-Key`: the same request sent again starts nothing again, also after a restart, also through another API.

A key is claimed by a record in `pulpo_requests`, made before the run and naming the run that it will be. A run is recorded
before its first step, so a claim whose run is not recorded, by a process that is gone, started nothing and is taken over. Claims
are kept as long as runs are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from pulpo.api.problems import Fault, Problem, invalid
from pulpo.run.record import REQUESTS, RUNS, Process
from pulpo.store.base import Conflict, NotFound, Record, Stale, Store
from pulpo.store.values import now

HEADER: Final = "Idempotency-Key"
_LONGEST: Final = 255
#: How long a run may take to start; of another machine's processes nothing else is known.
_LONGEST_START: Final = dt.timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for under a key."""

    #: Where its claim is.
    id: str
    #: Tells other requests under the same key.
    fingerprint: str

    @classmethod
    def of(cls, key: str, asked: Mapping[str, Any]) -> Self:
        """The request with this key; `asked` is all of it, JSON-able.

        Raises:
            Problem: 422, no key.
        """
        if not key.strip() or len(key) > _LONGEST:
            raise invalid([Fault(("header", HEADER), f"a key has 1 to {_LONGEST} characters")])
        text = json.dumps(asked, sort_keys=True)
        return cls(hashlib.sha256(key.encode()).hexdigest()[:24], hashlib.sha256(text.encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Claim:
    """The run that a request is for: to be started by whoever made the claim (`is_new`), else there already."""

    run: str
    is_new: bool
    rev: int = 1


async def claim(store: Store, request: Request, run: str = "") -> Claim:
    """Claims the key for a new run of the id `run`, or finds the run that it was claimed for.

    Without an id whoever claims it gets a run that is the same for the same request anyway, and says its id with `settle`.

    Raises:
        Problem: 422, another request had the key; 409, the same one is being answered right now.
    """
    wanted = Record(
        request.id, {"fingerprint": request.fingerprint, "run": run, "process": dataclasses.asdict(Process.current())}
    )
    try:
        return Claim(run, True, (await store.create(REQUESTS, wanted)).rev)
    except Conflict:
        found = await store.get(REQUESTS, request.id)
    if found is None:  # given back since
        return await claim(store, request, run)
    if found.data["fingerprint"] != request.fingerprint:
        raise invalid([Fault(("header", HEADER), "another request had this key: take a new one")])
    earlier = found.data["run"]
    if not run or await store.get(RUNS, earlier) is not None:
        return Claim(earlier, not earlier, found.rev)
    if _goes_on(found):
        raise _being_answered()
    try:
        return Claim(run, True, (await store.replace(REQUESTS, wanted, if_rev=found.rev)).rev)
    except (NotFound, Stale):  # by another that sent it again
        raise _being_answered() from None


async def release(store: Store, request: Request, claimed: Claim) -> None:
    """Gives a key back whose run could not start."""
    with contextlib.suppress(Stale):
        await store.delete(REQUESTS, request.id, if_rev=claimed.rev)


async def settle(store: Store, request: Request, run: str) -> None:
    """Says which run a key is for."""
    await store.patch(REQUESTS, request.id, {"run": run})


def _goes_on(claim: Record) -> bool:
    """Whether whoever made a claim may still start its run."""
    is_old = claim.updated is not None and now() - claim.updated > _LONGEST_START
    return not is_old and not Process(**claim.data["process"]).is_gone()


def _being_answered() -> Problem:
    return Problem(409, "a request with this key is being answered", headers={"Retry-After": "1"})
