"""How services are, and what happens to them while they are brought up and down."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pulpo.errors import ApplyError


class State(StrEnum):
    """Where a service is in its life; the same words for processes and containers."""

    #: Pulpo runs it, and never has here, or it was taken away.
    ABSENT = "absent"
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
    #: A file: nothing runs.
    EMBEDDED = "embedded"
    #: Somebody else runs it.
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service as it is now."""

    name: str
    state: State
    #: Where this machine reaches it, such as `http://127.0.0.1:8000` or `127.0.0.1:9000`; without passwords.
    addresses: tuple[str, ...] = ()
    #: When it was started.
    since: dt.datetime | None = None
    #: Of its process, as a process; the name of its container, as a container.
    pid: int | None = None
    container: str | None = None
    restarts: int = 0
    exit_code: int | None = None
    #: Whether what runs is not what the manifest says: it takes `up`.
    differs: bool = False
    #: Whether it is no service of the manifest any more.
    orphan: bool = False
    replicas: int = 1
    #: What is wrong, in a sentence.
    error: str | None = None
    #: The last lines of its log, where it failed or is not ready.
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """Something that happened to a service while it was brought up or down."""

    service: str
    #: Such as `starting`, `running`, `stopping`, `stopped`, `failed`, `building`, `pulling`, `unchanged`.
    what: str
    #: Since its own beginning.
    seconds: float = 0.0
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """A line of a service's log, without its end; the time in UTC."""

    service: str
    time: dt.datetime
    text: str


class ServiceError(ApplyError):
    """Services did not come up, or did not go away; the message has the last lines of their logs."""

    def __init__(self, message: str, services: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        #: Their names.
        self.services = tuple(services)
