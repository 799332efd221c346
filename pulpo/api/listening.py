"""What everything that serves HTTP here begins with: a port that is held, and a log of JSON lines. It needs no framework."""

from __future__ import annotations

import datetime as dt
import errno
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from pulpo.errors import UsageError
from pulpo.services.ports import PortTakenError, bind, holder
from pulpo.services.spec import Address

if TYPE_CHECKING:
    import socket


class JsonLines(logging.Formatter):
    """A log record as one line of JSON: time, level, logger, message, its `fields`, and the error with its frames."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        when = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        data: dict[str, Any] = {"time": when, "level": record.levelname.lower(), "logger": record.name}
        data |= {"message": record.getMessage(), **getattr(record, "fields", {})}
        if record.exc_info:
            data["error"] = self.formatException(record.exc_info)
        return json.dumps(data, ensure_ascii=False, default=str)


def log_to_stdout() -> None:
    """Log what Pulpo says, and of uvicorn what is amiss."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    logging.getLogger("pulpo").setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def another_port(default: int) -> str:
    """What to do about a port that is taken, of a service that listens on this one by default."""
    return f"stop that, or choose another port: --port {default + 1}, or `--port auto` for one that is free"


def listen(host: str, port: int, *, hint: str) -> socket.socket:
    """A socket on this address; `hint` says what to do about a port that is taken.

    Raises:
        UsageError: The address is taken, or can't be used.
    """
    address = Address(host, port)
    try:
        return bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(address, holder(port), hint=hint) from error
        reason = error.strerror or str(error)
        raise UsageError(f"nothing can listen on {host}, port {port}: {reason}") from error
