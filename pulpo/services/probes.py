"""When a service is ready: one look each, of at most a second or so."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Ready when a GET is answered with a status below 400."""

    host: str
    port: int
    path: str = "/"


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Ready when a connection is taken."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class CommandProbe:
    """Ready when the command, run in the service's directory and environment, exits with 0."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogProbe:
    """Ready when a line that the service writes matches the regular expression somewhere."""

    pattern: str


Probe = HttpProbe | TcpProbe | CommandProbe | LogProbe


def is_ready(probe: Probe, directory: str, environment: Mapping[str, str], any_line: Callable[[re.Pattern[str]], bool]) -> bool:
    """Look once whether a service is ready.

    Args:
        probe: How.
        directory: The service's.
        environment: The service's.
        any_line: Whether a line that the service has written since it started matches.
    """
    match probe:
        case HttpProbe(host, port, path):
            return _answers(host, port, path)
        case TcpProbe(host, port):
            return _connects(host, port)
        case CommandProbe(command):
            return _succeeds(command, directory, environment)
        case LogProbe(pattern):
            return any_line(re.compile(pattern))


def _answers(host: str, port: int, path: str) -> bool:
    import http.client  # with TLS and mail: only who probes needs it

    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < HTTPStatus.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError:
        return False
    return True


def _succeeds(command: tuple[str, ...], directory: str, environment: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command
            command, cwd=directory, env=environment, timeout=_SECONDS, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
