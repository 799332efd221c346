"""Starting and stopping processes of this machine: at once as far as they don't need each other."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.apply.services.instances import Instance, Instances, service_of
from pulpo.apply.services.local_data import make_room
from pulpo.apply.services.status import ServiceError, ServiceEvent
from pulpo.apply.services.together import NeedsFailedError, Together
from pulpo.errors import PulpoError, UsageError

if TYPE_CHECKING:
    from pulpo.apply.services.driver import OnEvent
    from pulpo.services.state import ServiceState


@dataclass(frozen=True, slots=True)
class LocalWork:
    """Starts and stops instances; `on_event` is called by several threads, one at a time for each."""

    instances: Instances
    on_event: OnEvent

    def start(self, wanted: Sequence[Instance], *, wait: bool) -> None:
        """Start these, each when those have begun, or are ready, that it needs; with `wait` until each is ready.

        Raises:
            UsageError: Something is missing that runs one, or somebody else has its port.
            ServiceError: One failed or is not ready in time; those that don't need it are up.
        """
        by_name = {instance.name: instance for instance in wanted}
        waited_for = {n for i in wanted for n, ready in i.needs.items() if ready}
        work = Together({i.name: i.needs for i in wanted})
        work.run(lambda name: self._start_one(by_name[name], work, wait=wait or name in waited_for))
        self._raise(work.failures)

    def stop(self, states: Mapping[str, ServiceState]) -> None:
        """Stop these starts of them, each when those have ended that need it.

        Raises:
            ServiceError: A port of one is still taken.
        """
        waiting: dict[str, dict[str, bool]] = {name: {} for name in states}
        for name in states:
            for needed in self.instances.needs(service_of(name)) if service_of(name) in self.instances.definitions else ():
                if needed in waiting:
                    waiting[needed][name] = True
        work = Together(waiting)
        work.run(lambda name: self._stop_one(name, states[name]))
        self._raise(work.failures)

    def _start_one(self, instance: Instance, work: Together, *, wait: bool) -> None:
        name, began = instance.name, time.monotonic()

        def on_start(_: ServiceState) -> None:
            self.on_event(ServiceEvent(name, "starting"))
            work.begun(name)

        make_room(self.instances.project, instance.definition)
        try:
            started = self.instances.services.start(
                instance.service, on_start=on_start, wait=wait, interrupted=lambda: work.given_up(name)
            )
        except PulpoError as error:
            self.on_event(ServiceEvent(name, "failed", time.monotonic() - began, error.message.partition("\n")[0]))
            raise
        work.begun(name)
        done = "unchanged" if not started.new else "running" if wait else "started"
        self.on_event(ServiceEvent(name, done, time.monotonic() - began))

    def _stop_one(self, name: str, state: ServiceState) -> None:
        began, over = time.monotonic(), state.status.over
        if not over:
            self.on_event(ServiceEvent(name, "stopping"))
        self.instances.services.stop(name, start=state.id)
        if not over:
            self.on_event(ServiceEvent(name, "stopped", time.monotonic() - began))

    def _raise(self, failures: Mapping[str, BaseException]) -> None:
        """Raise what went wrong, if something did: as it is where it is one thing, else as one error for all."""
        found = {name: error for name, error in failures.items() if not isinstance(error, NeedsFailedError)}
        for name, error in failures.items():
            if isinstance(error, NeedsFailedError):
                self.on_event(ServiceEvent(name, "skipped", detail=f"it needs {error}, which failed"))
        for error in found.values():
            if not isinstance(error, PulpoError) or (len(found) == 1 and isinstance(error, UsageError)):
                raise error
        if found:
            names = sorted(found)
            raise ServiceError("\n".join(str(found[name]) for name in names), names, hint=f"pulpo logs {' '.join(names)}")
