"""What is known of a service: the files of its directory, and whether its shim lives, which is whether it holds its lock."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final

#: The environment variable that all processes of a service have, with the id of its start.
MARK: Final = "PULPO_SERVICE"
#: The exit code of a shim where another one has the service, as sendmail's EX_TEMPFAIL.
TAKEN: Final = 75


class Status(StrEnum):
    """Where a service is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    #: It runs, and was not ready in time.
    UNREADY = "unready"
    #: It ended, and is started again when its wait is over.
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    #: It ended by itself, with 0, and is not started again.
    EXITED = "exited"
    FAILED = "failed"
    #: Its shim was killed.
    DEAD = "dead"

    @property
    def over(self) -> bool:
        """Whether nothing runs, and nothing will by itself."""
        return self in (Status.STOPPED, Status.EXITED, Status.FAILED, Status.DEAD)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service as it is now, or as it last was."""

    name: str
    status: Status
    #: Of this start; every process of the service has it in its environment.
    id: str = ""
    #: Of what was started (`LocalService.digest`).
    digest: str = ""
    shim_pid: int | None = None
    #: Of the service's own process.
    pid: int | None = None
    #: When `start` was asked for, in seconds since 1970.
    started: float | None = None
    #: Seconds from the process's start until it was ready.
    ready_after: float | None = None
    restarts: int = 0
    #: Of the process that ended last; negative for a signal.
    exit_code: int | None = None
    #: Whether something of it had to be killed.
    forced: bool = False
    #: Why it failed, where its log does not say.
    error: str | None = None
    #: `HOST:PORT` where it listens.
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceFiles:
    """The files of one service."""

    directory: Path
    log_directory: Path
    name: str

    @property
    def lock(self) -> Path:
        """Held by the shim as long as it lives."""
        return self.directory / f"{self.name}.lock"

    @property
    def turn(self) -> Path:
        """Held by who starts or stops it."""
        return self.directory / f"{self.name}.turn"

    @property
    def spec(self) -> Path:
        """What the shim runs."""
        return self.directory / f"{self.name}.spec.json"

    @property
    def state(self) -> Path:
        """What the shim says."""
        return self.directory / f"{self.name}.state.json"

    @property
    def log(self) -> Path:
        """What the service says."""
        return self.log_directory / f"{self.name}.log"

    def make(self) -> None:
        """Make the directories, which only their owner can look into, and Git does not."""
        for directory in (self.directory, self.log_directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (ignore := directory / ".gitignore").exists():
                ignore.write_text("*\n", encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Replace a file whole, readable by its owner alone."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        json.dump(data, file)
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """What a file holds; None where it is not there or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_state(files: ServiceFiles, state: ServiceState) -> None:
    """Say how the service is."""
    write_json(files.state, asdict(state))


def read_state(files: ServiceFiles) -> ServiceState | None:
    """How the service is; None where it was never started.

    A new shim that has said nothing yet is `starting`; one that was killed is `dead`, whatever it said last.
    """
    lives = is_held(files.lock)
    spec = read_json(files.spec)
    data = read_json(files.state)
    if spec is None:
        return None
    known = {f.name for f in fields(ServiceState)}
    said = ServiceState(**{n: v for n, v in data.items() if n in known}) if isinstance(data, dict) else None
    if said is None or said.id != spec["id"]:
        begun = ServiceState(files.name, Status.STARTING, spec["id"], spec["digest"], started=spec["started"])
        return begun if lives else replace(begun, status=Status.DEAD)
    said = replace(said, status=Status(said.status), addresses=tuple(said.addresses))
    return said if lives or said.status.over else replace(said, status=Status.DEAD)


def how_ended(exit_code: int) -> str:
    """As in `with exit code: 3` and `by: SIGKILL`; below 0 it is a signal."""
    if exit_code >= 0:
        return f"with exit code: {exit_code}"
    try:
        return f"by: {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"by: signal {-exit_code}"


def is_held(path: Path) -> bool:
    """Whether a process holds the lock; looking keeps nobody from taking it for longer than an instant."""
    try:
        file = path.open("rb")
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def hold(path: Path, *, seconds: float) -> IO[bytes] | None:
    """Take a lock for as long as the file is open; None where another still has it after so many seconds."""
    file = path.open("ab")
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                file.close()
                return None
            time.sleep(0.02)
        else:
            return file


@contextlib.contextmanager
def turn(files: ServiceFiles) -> Iterator[IO[bytes]]:
    """Within it nobody else starts or stops the service; waits for whoever does. It lasts for as long as the file is open."""
    while True:
        files.make()
        with files.turn.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if is_at(file, files.turn):
                yield file
                return


def is_at(file: IO[Any], path: Path) -> bool:
    """Whether an open file is the one that others find: a lock on one that was removed meanwhile keeps nobody away."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
