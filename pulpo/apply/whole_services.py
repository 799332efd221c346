"""Services as a target of a whole plan: brought up together, as `pulpo up` does, and told one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pulpo.apply.change import Action, Change, Plan
from pulpo.apply.part import Part, digest
from pulpo.apply.services.status import ServiceError, State
from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from pulpo.apply.ledger import Ledger
    from pulpo.apply.services.manager import ServiceManager
    from pulpo.apply.services.status import ServiceEvent, ServiceStatus

_KIND: Final = "service:"
_GOOD: Final = (State.RUNNING, State.EXITED, State.EMBEDDED, State.ELSEWHERE)
_DONE: Final = ("running", "started", "exited", "unchanged")
#: How one is that is on its way to one of them.
_UNDERWAY: Final = (State.STARTING, State.RESTARTING, State.STOPPING)
_FAILED: Final = ("failed", "unready")


class ServicesTarget:
    """The services of a project."""

    name = "services"

    def __init__(self, manager: ServiceManager, *, on_event: Callable[[ServiceEvent], None] = lambda _: None) -> None:
        """Those of a manager; `on_event` hears what happens to them, from several threads."""
        self._manager = manager
        self._on_event = on_event

    def plan(self, before: Sequence[Part] = ()) -> Part:  # noqa: ARG002 - nothing is done before
        """What `up` would change."""
        services = self._manager.topology.services
        plan = self._manager.plan()
        known = {f"{_KIND}{service.name}" for service in services} | {change.address for change in plan.changes}
        found = {change.address: change for change in plan.changes}
        plan = Plan(tuple(self._with_effect(change, plan) for change in plan.changes), plan.notes)
        needs = {address: self._needs(address) for address in found}
        prints = {a: digest(found[a].action, found[a].cause) if a in found else "as it should be" for a in known}
        return Part(self.name, plan, needs, prints, wanted=bool(services))

    def execute(self, changes: Sequence[Change], ledger: Ledger) -> None:
        """Stop what left, and bring up the others, each when those are ready that it needs."""
        for change in changes:
            if change.action is Action.DELETE:
                self._remove(change, ledger)
        if coming := [change for change in changes if change.action is not Action.DELETE]:
            self._bring_up(coming, ledger)

    def check(self, addresses: Collection[str]) -> list[str]:
        """Those that are not ready within their time, with the last lines of their logs."""
        names = sorted({_service(address) for address in addresses} & set(self._manager.names))
        if not names:
            return []
        found = self._manager.status(*names)
        if any(one.state in _UNDERWAY for one in found):
            with contextlib.suppress(PulpoError):  # how they are then is told below
                self._manager.up(*names, on_event=self._on_event)
            found = self._manager.status(*names)
        return [_told(one) for one in found if one.state not in _GOOD]

    def _remove(self, change: Change, ledger: Ledger) -> None:
        """Stop one by itself: where it does not go away, the others do."""
        try:
            self._manager.remove(_instance(change), on_event=self._on_event)
        except PulpoError as error:
            ledger.failed(change, error.message.partition("\n")[0])
        else:
            ledger.done(change)

    def _bring_up(self, changes: Sequence[Change], ledger: Ledger) -> None:
        by_instance = {_instance(change): change for change in changes}

        def listen(event: ServiceEvent) -> None:
            self._on_event(event)
            change = by_instance.get(event.service)
            if change is None:
                return
            if event.what in _DONE:
                ledger.done(change)
            elif event.what in _FAILED:
                ledger.failed(change, event.detail or event.what)
            elif event.what == "skipped":
                ledger.untried(change, event.detail or event.what)

        try:
            self._manager.up(*sorted({_service(change.address) for change in changes}), on_event=listen)
        except PulpoError as error:
            if not _blame(error, changes, ledger):
                raise
        else:
            for change in changes:
                ledger.done(change)

    def _needs(self, address: str) -> tuple[str, ...]:
        name = _service(address)
        found = next((service for service in self._manager.topology.services if service.name == name), None)
        return tuple(f"{_KIND}{need.service}" for need in found.needs) if found else ()

    def _with_effect(self, change: Change, plan: Plan) -> Change:
        along = [
            other.address
            for other in plan.changes
            if other.action is Action.REPLACE and change.address in self._needs(other.address)
        ]
        if change.action is not Action.REPLACE or not along:
            return change
        return replace(change, effect=f"started anew with it: {', '.join(sorted(along))}")


def _blame(error: PulpoError, changes: Sequence[Change], ledger: Ledger) -> bool:
    """Tell of each change that an error is about that it failed; whether any did."""
    blamed = error.services if isinstance(error, ServiceError) else ()
    reason = f"{error.message} ({error.hint})" if error.hint and not blamed else error.message.partition("\n")[0]
    for change in changes:
        if not blamed or _instance(change) in blamed or _service(change.address) in blamed:
            ledger.failed(change, reason)
    return any(ledger.outcome(change.address) == "failed" for change in changes)


def _instance(change: Change) -> str:
    return change.address.removeprefix(_KIND)


def _service(address: str) -> str:
    """The service that an address is of: of `service:worker.2` it is `worker`."""
    return address.removeprefix(_KIND).partition(".")[0]


def _told(found: ServiceStatus) -> str:
    said = f": {found.error}" if found.error else ""
    return "\n  ".join([f"{found.name} is {found.state.value}{said}", *found.lines])
