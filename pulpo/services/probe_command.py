"""A look at whether a service of this container is ready: `python -m pulpo.services.probe_command http 8000 /health`.

Its exit code says it: 0 is ready, 1 is not. The engine runs it every few seconds, so it imports next to nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pulpo.services.probes import HttpProbe, TcpProbe, is_ready

_HOST = "127.0.0.1"


def main(arguments: Sequence[str]) -> int:
    """Look once: `http PORT [PATH]`, or `tcp PORT`; returns the exit code, 2 for anything else."""
    match arguments:
        case ["http", port, *path] if port.isdecimal() and len(path) <= 1:
            probe: HttpProbe | TcpProbe = HttpProbe(_HOST, int(port), *path)
        case ["tcp", port] if port.isdecimal():
            probe = TcpProbe(_HOST, int(port))
        case _:
            return 2
    return 0 if is_ready(probe, ".", {}, lambda _: False) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
