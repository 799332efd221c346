"""Services as processes of this machine: started, stopped and asked after, by any number of commands at once."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from pulpo.errors import PulpoError, UsageError
from pulpo.services import logs
from pulpo.services.log_pages import log_page
from pulpo.services.logs import LogLine
from pulpo.services.ports import PortTakenError, holder, is_free, until_free
from pulpo.services.spec import Address, LocalService
from pulpo.services.state import (
    MARK,
    TAKEN,
    ServiceFiles,
    ServiceState,
    Status,
    how_ended,
    is_held,
    read_json,
    read_state,
    turn,
    write_json,
    write_state,
)

_EVERY: Final = 0.03
#: Seconds over the service's own grace until its shim counts as stuck, and until a port that it left is free.
_SLACK: Final = 5.0
_LAST_LINES: Final = 20


class ServiceError(PulpoError):
    """A service did not become ready, or did not go away; `lines` are the last ones of its log since it was started."""

    def __init__(self, message: str, state: ServiceState, lines: list[LogLine], *, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *(f"  {line.text}" for line in lines)]), hint=hint)
        self.state = state
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Started:
    """A service that runs."""

    state: ServiceState
    #: Whether this call started it; else it ran already, or another call was first.
    new: bool
    #: Whether what runs is not what was asked for: it takes a restart.
    differs: bool = False


class LocalServices:
    """The services of one project on this machine.

    Files are in `directory`/services and `directory`/logs; nothing else is remembered. All methods may be called by several
    processes at once.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()

    @property
    def ports_path(self) -> Path:
        """For `pulpo.services.ports.remembered`."""
        return self._directory / "services" / "ports.json"

    def log_path(self, name: str) -> Path:
        """The log of a service, whose files put aside are beside it."""
        return self._files(name).log

    def names(self) -> list[str]:
        """The services that were ever started here, sorted."""
        return sorted(p.name.removesuffix(".spec.json") for p in (self._directory / "services").glob("[!.]*.spec.json"))

    def state(self, name: str) -> ServiceState | None:
        """How a service is; None where it was never started."""
        return read_state(self._files(name))

    @contextlib.contextmanager
    def all_turns(self) -> Iterator[None]:
        """Within it nobody starts or stops one that was ever started here; waits for whoever does."""
        with contextlib.ExitStack() as held:
            for name in self.names():
                held.enter_context(turn(self._files(name)))
            yield

    def start(
        self,
        service: LocalService,
        *,
        on_start: Callable[[ServiceState], None] = lambda _: None,
        wait: bool = True,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> Started:
        """Start a service unless it runs, and wait until it is ready; it lives on when this process ends.

        An interrupt, or a service that is not ready, ends what this call started and nothing else.

        Args:
            service: What is to run.
            on_start: Told when its process has been made.
            wait: Whether it is waited for; else it counts as started when its process has been made.
            interrupted: Asked while it is waited for; True is an interrupt, as KeyboardInterrupt is in the main thread.

        Raises:
            PortTakenError: Somebody else listens where it would.
            ServiceError: It ended before it was ready, or is not ready in time.
        """
        files = self._files(service.name)
        with turn(files) as held:
            state = self._settled(files)
            new = state is None or state.status.over
            if new:
                self._sweep(files)
                _check_ports(service)
                self._launch(files, service, held)
                state = self._settled(files)
        assert state is not None  # noqa: S101 - a shim holds the lock, or held it
        try:
            if new:
                on_start(state)
            ready = self._until_ready(files, service, state, interrupted) if wait else state
        except (KeyboardInterrupt, ServiceError):
            now = read_state(files)
            if new and now and now.id == state.id and not now.status.over:
                self.stop(service.name)
            raise
        return Started(ready, new, differs=ready.digest != service.digest)

    def stop(self, name: str, *, start: str | None = None) -> ServiceState | None:
        """End a service and all that it left behind; returns how it was before, or None where it was never started.

        When it returns, no process of it lives, and where it listened is free. One that does not run is fine. With `start`, the
        id of a start, one that somebody has started anew since is left alone.

        Raises:
            ServiceError: A port of it is still taken.
        """
        files = self._files(name)
        if not files.spec.exists():
            return None
        with turn(files):
            before = self._settled(files)
            if before is None or start not in (None, before.id):
                return before
            service = LocalService.from_data(read_json(files.spec)["service"])
            if is_held(files.lock):
                _ask_to_end(files, before, service.grace)
            forced = self._sweep(files)
            after = read_state(files) or before
            if after.status is not Status.STOPPED:
                write_state(files, replace(after, status=Status.STOPPED, pid=None, forced=after.forced or forced))
            if not before.status.over:
                self._check_left(before, service)
        return before

    def running(self, state: ServiceState) -> LocalService | None:
        """What runs, with the environment that it was started in, all of it; None where that can't be known."""
        from pulpo.services import processes  # it takes its time, which what changes nothing does not need

        spec = read_json(self._files(state.name).spec)
        environment = processes.environment_of(state.shim_pid, state.id) if state.shim_pid is not None else None
        if environment is None or not isinstance(spec, dict) or spec["id"] != state.id or "said" not in spec:
            return None  # it has ended or was started anew meanwhile, or an older Pulpo started it
        return replace(LocalService.from_data(spec["service"]), environment=environment, said=spec["said"])

    def logs(self, name: str, *, tail: int | None = None, since: dt.datetime | None = None) -> list[LogLine]:
        """The lines of a service's log, oldest first; see `pulpo.services.logs.read`."""
        return logs.read(self.log_path(name), tail=tail, since=since)

    def follow(self, name: str, *, tail: int | None = None, since: dt.datetime | None = None) -> Iterator[LogLine]:
        """The lines of a service's log, and then each new one; never ends."""
        return logs.follow(self.log_path(name), tail=tail, since=since)

    def last_lines(self, state: ServiceState) -> list[LogLine]:
        """The last lines of a service's log since it was started; only the log's end is read, however long it is."""
        since = dt.datetime.fromtimestamp(state.started or 0, dt.UTC) - dt.timedelta(milliseconds=1)
        return [line for line in log_page(self.log_path(state.name), limit=_LAST_LINES).lines if line.time >= since]

    def _files(self, name: str) -> ServiceFiles:
        return ServiceFiles(self._directory / "services", self._directory / "logs", name)

    def _settled(self, files: ServiceFiles) -> ServiceState | None:
        """The state, when a shim that has just taken the lock has said something."""
        deadline = time.monotonic() + _SLACK
        while True:
            state = read_state(files)
            if state is None or state.shim_pid is not None or not is_held(files.lock) or time.monotonic() > deadline:
                return state
            time.sleep(_EVERY)

    def _launch(self, files: ServiceFiles, service: LocalService, held: IO[bytes]) -> None:
        """Start a shim, which has the turn as well until it has the lock: a killed command's is not met by the next one."""
        mark = secrets.token_hex(8)
        began = time.time()
        spec = {"id": mark, "digest": service.digest, "started": began, "service": service.data(), "said": dict(service.said)}
        write_json(files.spec, spec)
        environment = {**os.environ, **service.environment, MARK: mark}
        command = [sys.executable, "-P", "-m", "pulpo.services.shim", str(files.directory), str(files.log_directory), files.name]
        with open(os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:  # noqa: PTH123 - a descriptor
            done = subprocess.run(  # noqa: S603 - our own
                command, cwd=files.directory, env=environment, start_new_session=True, check=False,
                stdin=held, stdout=log, stderr=log,
            )  # fmt: skip
        if done.returncode not in (0, TAKEN):
            state = ServiceState(files.name, Status.FAILED, mark, started=began, exit_code=done.returncode)
            raise ServiceError(
                f"{files.name} can't be kept: its shim ended with {done.returncode}", state, self.last_lines(state)
            )

    def _until_ready(
        self, files: ServiceFiles, service: LocalService, state: ServiceState, interrupted: Callable[[], bool]
    ) -> ServiceState:
        asked = state.id
        deadline = time.monotonic() + service.ready_timeout + _SLACK
        while True:
            if interrupted():
                raise KeyboardInterrupt
            now = read_state(files)
            if now is None or now.id != asked:
                raise ServiceError(f"{files.name} was stopped while it started, and started again", state, [])
            if now.status is Status.RUNNING or (now.status is Status.EXITED and service.probe is None):
                return now
            if now.status is Status.UNREADY or time.monotonic() > deadline:
                raise ServiceError(f"{files.name} is not ready after {service.ready_timeout:g} s", now, self.last_lines(now))
            if now.status in (Status.STOPPED, Status.STOPPING):
                raise ServiceError(f"{files.name} was stopped while it started", now, [])
            if now.status.over:
                raise ServiceError(_ended(now), now, self.last_lines(now))
            time.sleep(_EVERY)

    def _sweep(self, files: ServiceFiles) -> bool:
        """End what a shim that was killed left behind; True if there was something."""
        from pulpo.services import processes  # it takes its time, which what changes nothing does not need

        spec = read_json(files.spec)
        return processes.end(spec["id"], grace=0) if isinstance(spec, dict) else False

    def _check_left(self, before: ServiceState, service: LocalService) -> None:
        for address in until_free(service.addresses, seconds=_SLACK):
            found = holder(address.port)
            who = f"by {found}" if found else "by nobody that can be seen"
            raise ServiceError(f"{service.name} was stopped, and port {address.port} is still taken: {who}", before, [])


def _check_ports(service: LocalService) -> None:
    for address in service.addresses:
        if not _is_free(address):
            raise PortTakenError(address, holder(address.port), hint="stop that, or have this listen on another port")


def _is_free(address: Address) -> bool:
    try:
        return is_free(address)
    except OSError as error:
        raise UsageError(f"nothing can listen on {address.host}, port {address.port}: {error.strerror}") from error


def _ask_to_end(files: ServiceFiles, state: ServiceState, grace: float) -> None:
    """Have the shim end its service, and kill it when it does not; whoever holds the lock is the one that the state names."""
    from pulpo.services import processes

    # Known before it is asked, as its number may be another's later. It lives on a moment without the lock.
    shim = processes.process_of(state.shim_pid) if state.shim_pid is not None else None
    if shim is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(shim.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace + _SLACK
    while is_held(files.lock) and time.monotonic() < deadline:
        time.sleep(_EVERY)
    if shim is not None:
        if is_held(files.lock):
            with contextlib.suppress(ProcessLookupError):
                os.kill(shim.pid, signal.SIGKILL)
        processes.until_ended([shim], _SLACK)


def _ended(state: ServiceState) -> str:
    if state.error:
        return f"{state.name} did not start: {state.error}"
    if state.exit_code is None:
        return f"{state.name} did not start: what keeps it was killed"
    return f"{state.name} ended before it was ready, {how_ended(state.exit_code)}"
