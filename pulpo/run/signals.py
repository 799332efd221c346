"""SIGTERM as an end that is recorded, like Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """A SIGTERM within it is taken as Ctrl-C is."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = signal.getsignal(signal.SIGTERM)
    listen()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def listen() -> None:
    """SIGTERM does what SIGINT does. Each flow run that begins or ends sets Prefect's own handler, so this is said again then.

    Prefect's raises in the middle of the event loop, wherever that is, and steps would be left as running.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
