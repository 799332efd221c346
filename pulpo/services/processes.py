"""Processes and what they leave behind: every process of a service is found and ended, and none of anybody else.

A service's processes have its mark in their environment, `PULPO_SERVICE`, which they inherit. A process with another mark
belongs to another service, even if this one started it. On Linux the shim is a subreaper as well, so that what a service's
process leaves behind becomes the shim's child, whatever it did to its environment.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

import psutil

from pulpo.services.state import MARK

_SUBREAPER: Final = 36
_PARENT_DEATH_SIGNAL: Final = 1
_LINUX: Final = sys.platform == "linux"


def become_subreaper() -> None:
    """Make orphans among this process's descendants its children; only Linux knows that."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def dying_with_parent() -> Callable[[], None] | None:
    """For `preexec_fn`: the process is killed when its parent, this process, ends; None where the system can't do it."""
    if not _LINUX:
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork, after which little is safe
    parent = os.getpid()

    def prepare() -> None:
        prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before it could be said
            os._exit(1)

    return prepare


def reap_others(mine: int) -> None:
    """Collect the children that have ended, but for the process `mine`: those that were left to this process."""
    if not _LINUX:
        return  # nothing is left to it
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None and ended.si_pid != mine:
            os.waitpid(ended.si_pid, os.WNOHANG)


def end(mark: str, *, grace: float, root: psutil.Process | None = None) -> bool:
    """End all processes with the mark, and those below `root` that have no other; True if something had to be killed.

    Each is asked to, and killed after `grace` seconds, as is what came meanwhile. This process, and `root`, stay. None is waited
    for in the system's sense: who started it can still ask how it ended.
    """
    asked = _processes(mark, root)
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    until_ended(asked, grace)
    forced = False
    known = dict.fromkeys(asked)  # one that is just ending shows no mark any more
    for _ in range(20):  # what forks faster than it is found gives up at some time, or the machine does
        known |= dict.fromkeys(_processes(mark, root))
        left = [process for process in known if not _ended(process)]
        if not left:
            break
        forced = True
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        until_ended(left, 1)
    return forced


def process_of(pid: int) -> psutil.Process | None:
    """The process that has this number now; None where there is none."""
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def environment_of(pid: int, mark: str) -> dict[str, str] | None:
    """What a process with the mark was started with; None where it has ended, or is another one by now."""
    try:
        found = psutil.Process(pid).environ()
    except (psutil.Error, OSError, ValueError):
        return None
    return found if found.get(MARK) == mark else None


def until_ended(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Wait until all have ended, or for so many seconds."""
    deadline = time.monotonic() + seconds
    waiting = list(processes)
    while (waiting := [p for p in waiting if not _ended(p)]) and time.monotonic() < deadline:
        time.sleep(0.02)


def _processes(mark: str, root: psutil.Process | None) -> list[psutil.Process]:
    below: Collection[psutil.Process] = ()
    if root is not None:
        with contextlib.suppress(psutil.Error):
            below = root.children(recursive=True)
    found = {p.pid: p for p in below if _mark(p) in (mark, None)}
    for process in psutil.process_iter():
        if process.pid not in found and _mark(process) == mark:
            found[process.pid] = process
    not_ours = {os.getpid(), root.pid if root is not None else 0}
    return [p for pid, p in found.items() if pid not in not_ours and not _ended(p)]


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError, ValueError):
        return None  # another user's, or ended


def _ended(process: psutil.Process) -> bool:
    """Whether it runs no more. Of a zombie only its first thread has surely ended: the others may still hold its ports."""
    try:
        if not process.is_running() or process.status() == psutil.STATUS_DEAD:
            return True
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.Error:
        return True
