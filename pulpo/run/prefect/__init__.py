"""What generated Prefect flows call, and the engine `prefect`: the one package that imports Prefect.

Prefect gets nested flow runs, task runs, retries, time limits and states; order, inputs, checking, storing and history are the
inline engine's own.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# Before Prefect is imported, which reads them then: generated text imports this package first. Nothing is reported to anybody; a
# value that somebody set is left alone.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# Prefect's own limit of 20 s is too short for the first start of its temporary server on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

# At once, or the module of this name would stand here.
from pulpo.run.prefect.project import has_server, project

if TYPE_CHECKING:
    from pulpo.run.prefect.engine import run
    from pulpo.run.prefect.schemas import schema
    from pulpo.run.prefect.task_runners import dask, ray
    from pulpo.run.prefect.tasks import call, worth_retrying
    from pulpo.run.prefect.wiring import each, every, keyed, one, previous, step, subflow

__all__ = [
    "call",
    "dask",
    "each",
    "every",
    "has_server",
    "keyed",
    "one",
    "previous",
    "project",
    "ray",
    "run",
    "schema",
    "step",
    "subflow",
    "worth_retrying",
]

#: Where the rest is, which is imported when it is asked for: who deploys runs nothing, and is not to wait for Prefect's engines.
_PLACES = {
    "run": "engine",
    "schema": "schemas",
    **dict.fromkeys(("dask", "ray"), "task_runners"),
    **dict.fromkeys(("call", "worth_retrying"), "tasks"),
    **dict.fromkeys(("each", "every", "keyed", "one", "previous", "step", "subflow"), "wiring"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    return found
