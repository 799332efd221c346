"""Ports: which are free, who holds one, and the ones that were chosen once and are taken again."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import shlex
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulpo.errors import UsageError
from pulpo.services.spec import Address
from pulpo.services.state import read_json, write_json

if TYPE_CHECKING:
    import psutil

_FIRST: Final = 20_000
_LAST: Final = 32_000  # below what systems give to outgoing connections
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that listens."""

    pid: int
    command: str
    directory: str | None

    def __str__(self) -> str:
        """As in `python -m http.server 8000 (process 123, in /home/me/site)`."""
        where = f", in {self.directory}" if self.directory else ""
        return f"{self.command} (process {self.pid}{where})"


class PortTakenError(UsageError):
    """A port that a service needs is somebody else's."""

    def __init__(self, address: Address, held_by: Holder | None, *, hint: str) -> None:
        self.address = address
        self.holder = held_by
        who = str(held_by) if held_by else "a process of another user, or of a container"
        super().__init__(f"port {address.port} of {address.host} is taken: by {who}", hint=hint)


def bind(address: Address) -> socket.socket:
    """A socket that is bound to an address as servers do it: one whose connections are only closing is free.

    Raises:
        OSError: It is taken, needs a privilege, or is not one of this machine's.
    """
    family, kind, protocol, _, where = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
    except OSError:
        bound.close()
        raise
    return bound


def is_free(address: Address) -> bool:
    """Whether nobody listens there.

    Raises:
        OSError: It is not the port that is the matter: a privilege, or the host.
    """
    try:
        bind(address).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True


def until_free(addresses: Iterable[Address], *, seconds: float) -> list[Address]:
    """Wait until the addresses are free; returns those that are not by then."""
    deadline = time.monotonic() + seconds
    waiting = list(addresses)
    while (waiting := [a for a in waiting if not is_free(a)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return waiting


def holder(port: int) -> Holder | None:
    """The process that listens on a port; None where there is none, or none that this user may see.

    Where a process and its children have the same socket, it is the parent, which is the one to stop.
    """
    import psutil  # it takes its time, which a port that is free does not need

    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            if _listens_on(connection) == port and connection.pid:
                return _holder(_eldest(psutil.Process(connection.pid), port))
    return None


def _eldest(process: psutil.Process, port: int) -> psutil.Process:
    import psutil

    with contextlib.suppress(psutil.Error):
        while (parent := process.parent()) and any(_listens_on(one) == port for one in parent.net_connections(kind="tcp")):
            process = parent
    return process


def _listens_on(connection: psutil._ntuples.sconn | psutil._ntuples.pconn) -> int | None:
    return connection.laddr.port if connection.status == "LISTEN" and connection.laddr else None


def _holder(process: psutil.Process) -> Holder:
    import psutil

    command, directory = "", None
    with contextlib.suppress(psutil.Error):
        command = shlex.join(process.cmdline()) or process.name()
    with contextlib.suppress(psutil.Error):
        directory = process.cwd()
    return Holder(process.pid, command if len(command) <= _SHOWN else f"{command[: _SHOWN - 1]}…", directory)


def remembered(path: Path, service: str, host: str, *, holds: Callable[[], bool] = lambda: False) -> int:
    """A free port for a service: the one that the file has for it, if it is free, else another one, which it has from then on.

    Several may ask at once, also for services of one file: none gets another's. Which one is tried first follows from the file's
    path, so that two projects don't ask for the same. `holds` tells whether the service runs, and so has its port itself.

    Raises:
        UsageError: There is none.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ports = _read(path)
        known = ports.get(service)
        # Looked at twice: what held it may have ended just before `holds` was asked.
        if known is not None and (is_free(Address(host, known)) or holds() or is_free(Address(host, known))):
            return known
        for port in _candidates(str(path.resolve())):
            if port not in ports.values() and is_free(Address(host, port)):
                write_json(path, {**ports, service: port})
                return port
    raise UsageError(f"no port is free from {_FIRST} to {_LAST}, on: {host}")


def port_of(path: Path, service: str) -> int | None:
    """The port that the file has for a service."""
    return _read(path).get(service)


def _read(path: Path) -> dict[str, int]:
    data = read_json(path)
    return {n: p for n, p in data.items() if isinstance(p, int)} if isinstance(data, dict) else {}


def _candidates(seed: str) -> Iterable[int]:
    size = _LAST - _FIRST
    first = sum(ord(c) * 31**i for i, c in enumerate(seed)) % size
    return (_FIRST + (first + i) % size for i in range(size))
