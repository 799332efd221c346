"""`/health/live` and `/health/ready`: whether the process answers, and whether it can do its work."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from pulpo.api.context import Context, context_of
from pulpo.errors import PulpoError
from pulpo.run.record import RUNS

if TYPE_CHECKING:
    from pulpo.settings import Project

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
    """Whether the API can do its work, and what of it can't; the reason is in the log."""

    status: Answer
    store: Answer
    manifest: Answer


class _Manifest:
    """Whether the manifest on disk loads; read again only when it changed."""

    def __init__(self) -> None:
        self._seen: object = None
        self._loads = True

    def loads(self, project: Project | None) -> bool:
        """Whether it does; the one in memory does where there is no file to compare with."""
        if project is None:
            return True
        from pulpo.manifest.load import load

        try:
            found = project.lock_path.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen != self._seen:
                load(project.lock_path, file=project.lock_shown, environment=project.environment)
                self._seen, self._loads = seen, True
        except (OSError, PulpoError) as error:
            _LOG.warning("not ready: the manifest does not load: %s", error)
            self._loads = False
        return self._loads


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The two routes."""
    routes = APIRouter(prefix="/health", tags=["health"])
    manifest = _Manifest()

    @routes.get("/live")
    async def live(response: Response) -> Live:
        """Whether the process answers."""
        response.headers.update(_NOT_STORED)
        return Live()

    @routes.get("/ready", responses={503: {"model": Ready, "description": "Not ready."}})
    async def ready(request: Request, response: Response) -> Ready:
        """Whether the store answers and the manifest loads."""
        context = context_of(request)
        answers, loads = await asyncio.gather(_answers(context), asyncio.to_thread(manifest.loads, context.project))
        response.headers.update(_NOT_STORED)
        response.status_code = 200 if answers and loads else 503
        return Ready(status=_word(answers and loads), store=_word(answers), manifest=_word(loads))

    return routes


async def _answers(context: Context) -> bool:
    try:
        async with asyncio.timeout(_SECONDS):
            await context.store.get(RUNS, _ANY)
    except (TimeoutError, PulpoError) as error:
        _LOG.warning("not ready: the store does not answer: %s", str(error) or f"within {_SECONDS} s")
        return False
    return True


def _word(fine: bool) -> Answer:
    return "ok" if fine else "failed"
