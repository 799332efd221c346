"""`/health/live` and `/health/ready`: whether the process answers, and whether it can do its work.

A manifest is always answered by. A lock that has errors is not adopted, and leaves the API as ready as it was.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from pulpo.api.context import Context, context_of
from pulpo.api.manifest import LockFile
from pulpo.errors import PulpoError
from pulpo.run.record import RUNS

_LOG: Final = logging.getLogger("pulpo.api")
#: Seconds in which the store has to answer.
_SECONDS: Final = 3
#: No run has it.
_ANY: Final = "0" * 24
_NOT_STORED: Final = {"Cache-Control": "no-store"}

Answer = Literal["ok", "failed"]


class Live(BaseModel):
    """That the process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether the API can do its work: whether the store answers; if not, the reason is in the log."""

    status: Answer
    store: Answer
    manifest: Literal["ok", "errors"] = Field(
        description="`errors`: the lock has some, which `/manifest` tells; the API answers by the last good one."
    )


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The two routes."""
    routes = APIRouter(prefix="/health", tags=["health"])

    @routes.get("/live")
    async def live(response: Response) -> Live:
        """Whether the process answers."""
        response.headers.update(_NOT_STORED)
        return Live()

    @routes.get("/ready", responses={503: {"model": Ready, "description": "Not ready."}})
    async def ready(request: Request, response: Response) -> Ready:
        """Whether the store answers, and whether the lock is what the API answers by."""
        lock_file: LockFile = request.app.state.lock_file
        answers, seen = await asyncio.gather(_answers(context_of(request)), lock_file.now())
        response.headers.update(_NOT_STORED)
        response.status_code = 200 if answers else 503
        word: Answer = "ok" if answers else "failed"
        return Ready(status=word, store=word, manifest="ok" if lock_file.is_current(seen) else "errors")

    return routes


async def _answers(context: Context) -> bool:
    try:
        async with asyncio.timeout(_SECONDS):
            await context.store.get(RUNS, _ANY)
    except (TimeoutError, PulpoError) as error:
        _LOG.warning("not ready: the store does not answer: %s", str(error) or f"within {_SECONDS} s")
        return False
    return True
