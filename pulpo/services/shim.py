"""The shim: the process that keeps one service. It is started by `pulpo.services.local`, and lives as long as the service is up.

It holds the service's lock, which is what "alive" means: the system frees it however the shim ends. It starts the service in a
session of its own, writes what that says to the log, looks whether it is ready, starts it again when it crashes, and ends it with
all it left behind when it is asked to (SIGTERM). Whoever wants to know how it is reads the state that it writes.

    python -m pulpo.services.shim DIRECTORY LOG_DIRECTORY NAME

exits with 0 as soon as the lock is held and another process goes on with it, and with `TAKEN` where another shim has it. That
other process begins when this one is gone, which has the service's mark as well and would be ended with what the service left.
Its standard input is the service's turn (`pulpo.services.state.turn`): it is kept until the lock is held, also where whoever
started this was killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

import psutil

from pulpo.services import processes
from pulpo.services.logs import RotatingLog
from pulpo.services.probes import LogProbe, is_ready
from pulpo.services.spec import LocalService
from pulpo.services.state import TAKEN, ServiceFiles, ServiceState, Status, hold, read_json, write_state

#: Seconds after which a service without a probe is ready.
_SETTLED: Final = 0.3
#: Seconds of life after which earlier restarts are forgotten.
_HEALTHY: Final = 60
#: Seconds between two looks whether it is ready: at first, and from when on less often. A line of its log is seen at once.
_LOOKS, _SOON, _LATER = 0.05, 5.0, 0.2
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_LONGEST_LINE: Final = 64 * 1024


class Output:
    """What the service says: to its log, and looked at for the line that means it is ready."""

    def __init__(self, log: RotatingLog, pattern: re.Pattern[str] | None, on_seen: Callable[[], None]) -> None:
        self._log = log
        self._on_seen = on_seen
        self._pattern = pattern
        self._writing = threading.Lock()
        self._seen = False

    def pump(self, stream: IO[bytes]) -> None:
        """Write what comes until the last process has closed its end."""
        with stream:
            for line in iter(lambda: stream.readline(_LONGEST_LINE), b""):
                with self._writing, contextlib.suppress(OSError):  # a full disk must not stop the service
                    self._log.write(line)
                if self._pattern is not None and not self._seen and self._pattern.search(line.decode("utf-8", "replace")):
                    self._seen = True
                    self._on_seen()

    def begin(self) -> None:
        """Forget the lines of the process before."""
        self._seen = False

    def seen(self, _: re.Pattern[str]) -> bool:
        """Whether a line matched since then."""
        return self._seen


class Shim:
    """One service, kept until it is over."""

    def __init__(self, files: ServiceFiles, service: LocalService, state: ServiceState) -> None:
        self._files = files
        self._service = service
        self._state = state
        pattern = re.compile(service.probe.pattern) if isinstance(service.probe, LogProbe) else None
        self._output = Output(RotatingLog(files.log, max_bytes=service.log_bytes), pattern, self._wake)
        self._stopping = threading.Event()
        self._was_ready = False
        self._woken, self._waking = os.pipe()
        for end in (self._woken, self._waking):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._waking)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken
        for asked in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asked, self._stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def keep(self) -> None:
        """Run the service until it is over, started again as often as it may."""
        wait = _FIRST_WAIT
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                process = self._start()
            except OSError as error:
                self._say(status=Status.FAILED, error=f"{self._service.command[0]} can't be run: {error.strerror}")
                return
            self._watch(process, began)
            if time.monotonic() - began > _HEALTHY:  # before it is asked whether it may be started again
                wait = _FIRST_WAIT
                self._state = replace(self._state, restarts=0)
            self._finish(process)
            if self._state.status.over:
                return
            self._say(status=Status.RESTARTING, pid=None, exit_code=process.returncode, restarts=self._state.restarts + 1)
            again = time.monotonic() + wait * random.uniform(1, 1.2)  # noqa: S311 - no secret, only not all at once
            while not self._stopping.is_set() and (left := again - time.monotonic()) > 0:
                self._sleep(left)
            wait = min(wait * 2, _LONGEST_WAIT)
        self._say(status=Status.STOPPED, pid=None)

    def _start(self) -> subprocess.Popen[bytes]:
        self._output.begin()
        process = subprocess.Popen(  # noqa: S603 - the user's own command
            self._service.command, cwd=self._service.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=processes.dying_with_parent(),  # noqa: PLW1509
        )  # fmt: skip
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        self._pump = threading.Thread(target=self._output.pump, args=(process.stdout,), daemon=True)
        self._pump.start()
        self._say(status=Status.STARTING, pid=process.pid, ready_after=None)
        return process

    def _watch(self, process: subprocess.Popen[bytes], began: float) -> None:
        """Until it ends, or is to end."""
        ready = False
        while process.poll() is None and not self._stopping.is_set():
            processes.reap_others(process.pid)
            lived = time.monotonic() - began
            if not ready and self._is_ready(lived):
                ready = self._was_ready = True
                self._say(status=Status.RUNNING, ready_after=round(lived, 3))
            elif not ready and lived > self._service.ready_timeout and self._state.status is Status.STARTING:
                self._say(status=Status.UNREADY)
            self._sleep(_HEALTHY if ready else _LOOKS if lived < _SOON else _LATER)

    def _is_ready(self, lived: float) -> bool:
        if self._service.probe is None:
            return lived > _SETTLED
        return is_ready(self._service.probe, self._service.directory, os.environ, self._output.seen)

    def _finish(self, process: subprocess.Popen[bytes]) -> None:
        """End it and all it left behind; say how, unless it is started again."""
        if self._stopping.is_set():
            self._say(status=Status.STOPPING)
        ended = process.poll() is not None
        forced = processes.end(self._state.id, grace=1 if ended else self._service.grace, root=psutil.Process())
        process.wait()
        processes.reap_others(0)
        self._pump.join(2)  # what it said last is in the log before it is said that it ended
        if self._stopping.is_set():
            self._say(status=Status.STOPPED, pid=None, exit_code=process.returncode, forced=forced)
        elif not self._may_restart(process.returncode):
            over = Status.EXITED if process.returncode == 0 else Status.FAILED
            self._say(status=over, pid=None, exit_code=process.returncode)

    def _may_restart(self, exit_code: int) -> bool:
        if not self._was_ready:
            return False
        wanted = self._service.restart == "always" or (self._service.restart == "on-failure" and exit_code != 0)
        return wanted and self._state.restarts < self._service.max_restarts

    def _stop(self, *_: object) -> None:
        self._stopping.set()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is full of wakes
            os.write(self._waking, b"\0")

    def _sleep(self, seconds: float) -> None:
        """Until a signal or the line comes, or so many seconds."""
        if not self._stopping.is_set():
            select.select([self._woken], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)

    def _say(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)
        write_state(self._files, self._state)


def main(arguments: Sequence[str]) -> int:
    """Keep the service that the arguments name."""
    directory, log_directory, name = arguments
    files = ServiceFiles(Path(directory), Path(log_directory), name)
    lock = hold(files.lock, seconds=1)
    if lock is None:
        return TAKEN
    gone, alive = os.pipe()
    if os.fork():  # the other one goes on; whoever started this knows that the lock is held
        os._exit(0)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor
        os.dup2(nothing.fileno(), 0)  # the turn of whoever started this: others may have it now
    os.close(alive)
    os.read(gone, 1)  # nothing comes: it ends when the process has ended that had the other end
    os.close(gone)
    with lock:
        _keep(files)
    return 0


def _keep(files: ServiceFiles) -> None:
    spec = read_json(files.spec)
    service = LocalService.from_data(spec["service"])
    processes.become_subreaper()
    state = ServiceState(
        service.name,
        Status.STARTING,
        spec["id"],
        spec["digest"],
        shim_pid=os.getpid(),
        started=spec["started"],
        addresses=tuple(f"{a.host}:{a.port}" for a in service.addresses),
    )
    write_state(files, state)
    Shim(files, service, state).keep()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
