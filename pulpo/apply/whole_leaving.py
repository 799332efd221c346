"""The services of a project that are taken away: the part of them in the plan of `destroy`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

from pulpo.apply.change import Action, Change, Note, Plan
from pulpo.apply.part import Part
from pulpo.apply.services.status import State
from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from pulpo.apply.ledger import Ledger
    from pulpo.apply.part import Target
    from pulpo.apply.services.manager import ServiceManager
    from pulpo.apply.services.status import ServiceEvent

_KIND: Final = "service:"
#: Nothing runs, and nothing has to be stopped. Where what keeps one was killed, which is failed, others of it may live.
_GONE: Final = (State.ABSENT, State.EMBEDDED, State.ELSEWHERE, State.STOPPED, State.EXITED)
_RUNS: Final = (State.RUNNING, State.UNREADY)


class ServicesLeaving:
    """The services of a project, which are to go; not first, but last."""

    name = "services to take down"

    def __init__(self, manager: ServiceManager, *, data: bool, on_event: Callable[[ServiceEvent], None] = lambda _: None) -> None:
        """Those of a manager; with `data` what they stored goes as well."""
        self._manager = manager
        self._data = data
        self._on_event = on_event

    def running(self) -> frozenset[str]:
        """The addresses of those that can be talked to."""
        return frozenset(f"{_KIND}{found.name}" for found in self._manager.status() if found.state in _RUNS)

    def plan(self, before: Sequence[Part] = ()) -> Part:  # noqa: ARG002 - nothing is done before
        """Those that run or, with data, that stored something."""
        changes = []
        for found in self._manager.status():
            stored = self._data and not found.orphan and self._manager.has_data(found.name)
            is_there = found.state not in _GONE or (found.container is not None and found.state is not State.ELSEWHERE)
            if is_there or stored:
                cause = "with all that it stored" if stored else "of this project"
                changes.append(Change(f"{_KIND}{found.name}", Action.DELETE, cause, destructive=stored))
        return Part(self.name, Plan(tuple(changes)))

    def execute(self, changes: Sequence[Change], ledger: Ledger) -> None:
        """Take them down, in reverse order."""
        self._manager.down(volumes=self._data, on_event=self._on_event)
        for change in changes:
            ledger.done(change)

    def check(self, addresses: Collection[str]) -> list[str]:
        """Those that still run."""
        left = [found for found in self._manager.status() if found.state not in _GONE]
        return [f"{found.name} is {found.state.value} still" for found in left if f"{_KIND}{found.name}" in addresses]


class IfSeen:
    """A target that is to go as far as it can be looked at; where it can't, that is noted, and the others go all the same."""

    def __init__(self, target: Target, otherwise: str) -> None:
        """Around a target; `otherwise` is what becomes of what could not be looked at."""
        self.name = target.name
        self._target = target
        self._otherwise = otherwise

    def plan(self, before: Sequence[Part] = ()) -> Part:
        """That of the target, or a note of why there is none."""
        try:
            found = self._target.plan(before)
        except PulpoError as error:
            return self._unseen(error.message)
        return found if found.waits_for is None else self._unseen(f"{found.waits_for} is not ready")

    def execute(self, changes: Sequence[Change], ledger: Ledger) -> None:
        """As the target does."""
        self._target.execute(changes, ledger)

    def check(self, addresses: Collection[str]) -> list[str]:
        """As the target does."""
        return self._target.check(addresses)

    def _unseen(self, why: str) -> Part:
        return Part(self.name, Plan((), (Note(self.name, f"could not be looked at: {why}; {self._otherwise}"),)))
