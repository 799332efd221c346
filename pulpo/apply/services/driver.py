"""What a driver of services does; one for processes of this machine, one for containers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from pulpo.apply.change import Plan
from pulpo.apply.services.status import ServiceEvent, ServiceLine, ServiceStatus, State

OnEvent = Callable[[ServiceEvent], None]


class Driver(Protocol):
    """Services of one project.

    `names` are services of its topology; where a call says so it takes those as well that they need. None is all that there is,
    also what the topology has no more: that all services were named is no reason to touch it.

    All methods may be called by several processes at once, and an interrupted one is finished by the next call.
    """

    def plan(self, names: Sequence[str] | None) -> Plan:
        """What `up` would change, addresses `service:NAME`: a pure comparison of what is wanted with what was observed."""

    def up(self, names: Sequence[str] | None, *, wait: bool, on_event: OnEvent) -> None:
        """Bring up these and those that they need, in order, independent ones at once; what runs as it should is left alone.

        What runs otherwise than the manifest says is started anew. With `wait` it returns when each is ready.

        Raises:
            ServiceError: One failed or is not ready in time; those that don't need it are up.
        """

    def down(self, names: Sequence[str] | None, *, volumes: bool, on_event: OnEvent) -> None:
        """Take down these and those that need them, in reverse order; with None orphans as well."""

    def stop(self, name: str, *, on_event: OnEvent) -> None:
        """Stop one alone."""

    def remove(self, names: Sequence[str], *, on_event: OnEvent) -> None:
        """Take away what the manifest has no more, by the names that `plan` has for it."""

    def has_data(self, name: str) -> bool:
        """Whether one stored something where Pulpo keeps its data."""

    def state(self, name: str) -> State:
        """How one is, without comparing it with what it should be."""

    def status(self, names: Sequence[str] | None) -> tuple[ServiceStatus, ...]:
        """How they are, in the topology's order; orphans last, with None."""

    def logs(
        self, names: Sequence[str] | None, *, tail: int | None, since: dt.datetime | None, follow: bool
    ) -> Iterator[ServiceLine]:
        """Their lines, merged by time; with `follow` each new one as well, for ever. Closing it ends what it started."""

    def build(self, *, on_event: OnEvent) -> str | None:
        """Make the image that containers of the project run from; its name, or None where there is none to be made."""
