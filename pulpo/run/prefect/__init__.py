"""What generated Prefect flows call, and the engine `prefect`: the one package that imports Prefect.

Prefect gets nested flow runs, task runs, retries, time limits and states; order, inputs, checking, storing and history are the
inline engine's own.
"""

from __future__ import annotations

import os

# Before Prefect is imported, which reads them then: generated text imports this package first. Nothing is reported to anybody; a
# value that somebody set is left alone.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# Prefect's own limit of 20 s is too short for the first start of its temporary server on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

from pulpo.run.prefect.engine import run
from pulpo.run.prefect.project import project
from pulpo.run.prefect.schemas import schema
from pulpo.run.prefect.task_runners import dask, ray
from pulpo.run.prefect.tasks import call, worth_retrying
from pulpo.run.prefect.wiring import each, every, keyed, one, previous, step, subflow

__all__ = [
    "call",
    "dask",
    "each",
    "every",
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
