"""Ports for the servers of tests."""

from __future__ import annotations

import itertools
import os
import random

from pulpo.services.ports import is_free
from pulpo.services.spec import Address

# Below those that Pulpo takes by itself, and those that systems give to outgoing connections: nobody gets the port of a server that
# is stopped for a moment. Each worker of xdist has a thousand, and begins anywhere in them.
_FIRST = 10_000 + 1000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10)
_START = random.SystemRandom().randrange(1000)
_PORTS = (_FIRST + (_START + n) % 1000 for n in itertools.count())


def free_port() -> int:
    """A port of 127.0.0.1 that is free; another one each time."""
    return next(port for port in _PORTS if is_free(Address("127.0.0.1", port)))
