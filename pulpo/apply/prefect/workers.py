"""Who takes the runs of work pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pulpo.apply.prefect.api import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulpo.apply.prefect.api import Api

_MISSING: Final = 404


async def idle(api: Api, work_pools: Iterable[str]) -> tuple[str, ...]:
    """Those of the work pools, sorted, in which no worker is online; also those that are not there.

    Raises:
        ApplyError: The server can't be reached.
    """
    return tuple([name for name in sorted(set(work_pools)) if not await _has_worker(api, name)])


async def _has_worker(api: Api, work_pool: str) -> bool:
    try:
        workers = await api.request("POST", f"/work_pools/{quote(work_pool, safe='')}/workers/filter", {})
    except RefusedError as error:
        if error.status == _MISSING:
            return False
        raise
    return any(worker["status"] == "ONLINE" for worker in workers)
