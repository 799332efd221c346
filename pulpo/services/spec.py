"""What a local service is: what runs, when it is ready, and what happens when it ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from pulpo.services.probes import CommandProbe, HttpProbe, LogProbe, Probe, TcpProbe

Restart = Literal["always", "on-failure", "no"]

_PROBES: Final[dict[str, Callable[..., Probe]]] = {
    probe.__name__: probe for probe in (HttpProbe, TcpProbe, CommandProbe, LogProbe)
}
#: Fields that `LocalService.data` has not, or in another form.
_APART: Final = ("environment", "probe", "addresses", "said")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens; a host without brackets."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class LocalService:
    """A service that runs as a process of this machine."""

    name: str
    command: tuple[str, ...]
    #: Where it runs.
    directory: str
    #: What its environment has beside that of whoever starts it. Never written to disk.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: None: it is ready when it has lived for a moment.
    probe: Probe | None = None
    #: Where it listens: free before it starts, and again when it has stopped.
    addresses: tuple[Address, ...] = ()
    #: What happens when it ends by itself after it was ready. One that never was ready has failed.
    restart: Restart = "on-failure"
    #: Restarts in a row, each of less than a minute, after which it has failed.
    max_restarts: int = 5
    #: Seconds in which it has to be ready; a start ends one that is not, a restart leaves it running.
    ready_timeout: float = 30
    #: Seconds between being asked to end and being killed.
    grace: float = 10
    #: Bytes of its log, and of each of the three before it.
    log_bytes: int = 5_000_000
    #: What it was made from, for people: kept beside what runs, and no part of that.
    said: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def digest(self) -> str:
        """Equal for services that run the same way, their environment included, of which it tells nothing."""
        data = json.dumps([self.data(), sorted(self.environment.items())], sort_keys=True)
        return hashlib.sha256(data.encode()).hexdigest()[:16]

    def data(self) -> dict[str, Any]:
        """As JSON has it, without the environment."""
        data = {name: getattr(self, name) for name in self.__slots__ if name not in _APART}
        probe = None if self.probe is None else {"kind": type(self.probe).__name__, **asdict(self.probe)}
        return {**data, "command": list(self.command), "probe": probe, "addresses": [asdict(a) for a in self.addresses]}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> LocalService:
        """The service that `data` tells; its environment is empty."""
        probe: Probe | None = None
        if given := data["probe"]:
            kind = _PROBES[given["kind"]]
            probe = kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in given.items() if n != "kind"})
        addresses = tuple(Address(**address) for address in data["addresses"])
        return cls(**{**data, "command": tuple(data["command"]), "probe": probe, "addresses": addresses})
