"""Ending a run, in whichever process it goes on.

What the API's own process runs it cancels itself; a server's run in another process is cancelled through the store, a command's
by SIGINT to its process, after making sure that it still is that process, and a flow run that one of Prefect's workers makes by
Prefect.
"""

from __future__ import annotations

import os
import signal
import socket

from pulpo.api import queued
from pulpo.api.context import Context
from pulpo.api.problems import Problem
from pulpo.api.runner import Runner
from pulpo.run.record import CANCELS, RunRecord
from pulpo.store.base import Record
from pulpo.store.values import now


async def cancel(context: Context, runner: Runner, run: RunRecord) -> None:
    """Ask for the end of a run that goes on; raises a `Problem` where that can't be done from here."""
    if runner.cancel(run.id):
        return
    if run.flow_run and await queued.cancel(context, run.flow_run):
        return
    if run.served:
        await context.store.upsert_many(CANCELS, [Record(run.id, {"asked": now()}, run=run.id)])
        return
    _interrupt(run)


def _interrupt(run: RunRecord) -> None:
    """Does to a command's process what Ctrl-C does."""
    process = run.process
    if process is None or process.host != socket.gethostname():
        raise Problem(409, f"the run goes on {where(run)}: {run.id}", hint="cancel it there")
    if process.pid == os.getpid():
        raise Problem(409, f"the run goes on in this process, but was not started over the API: {run.id}")
    if process.is_gone():
        raise Problem(409, f"the run's process is gone: {run.id}", hint="it can be resumed")
    try:
        os.kill(process.pid, signal.SIGINT)
    except ProcessLookupError:
        raise Problem(409, f"the run's process is gone: {run.id}", hint="it can be resumed") from None
    except PermissionError:
        hint = "cancel it as the user who started it"
        raise Problem(409, f"the run is another user's, {where(run)}: {run.id}", hint=hint) from None


def where(run: RunRecord) -> str:
    """In which process a run goes on, for people."""
    return f"in process {run.process.pid} on {run.process.host}" if run.process else "in another process"
