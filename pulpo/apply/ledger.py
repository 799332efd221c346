"""What has come of the changes of a plan while it is carried out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pulpo.apply.change import Change

Outcome = Literal["done", "failed", "untried"]


@dataclass(frozen=True, slots=True)
class Settled:
    """A change, and what came of it."""

    change: Change
    outcome: Outcome
    #: Why, where it was not done.
    reason: str | None = None


class Ledger:
    """Told by targets, from any thread; says what may be tried: one that failed keeps back those that need it, and no others."""

    def __init__(self, needs: Mapping[str, Sequence[str]], on_settled: Callable[[Settled], None] = lambda _: None) -> None:
        """`needs` are addresses by address, of all changes that there are; `on_settled` hears of each change once."""
        self._needs = needs
        self._on_settled = on_settled
        self._settled: dict[str, Settled] = {}
        self._lock = threading.Lock()

    @property
    def settled(self) -> tuple[Settled, ...]:
        """What came of the changes so far, in the order in which it did."""
        return tuple(self._settled.values())

    def done(self, change: Change) -> None:
        """It was made."""
        self._settle(Settled(change, "done"))

    def failed(self, change: Change, reason: str) -> None:
        """It was tried, and is not as it should be."""
        self._settle(Settled(change, "failed", reason))

    def untried(self, change: Change, reason: str) -> None:
        """It was not tried."""
        self._settle(Settled(change, "untried", reason))

    def close(self, changes: Sequence[Change], reason: str) -> None:
        """Those of the changes of which nothing was told were not tried."""
        for change in changes:
            if change.address not in self._settled:
                self.untried(change, reason)

    def outcome(self, address: str) -> Outcome | None:
        """What came of the change at an address; None where nothing did yet, or there is none."""
        found = self._settled.get(address)
        return found.outcome if found else None

    def layers(self, changes: Sequence[Change]) -> Iterator[list[Change]]:
        """The changes, in lists: those whose needs are met, then those whose needs were met by them, and so on.

        Whoever iterates tells of each before the next list. Changes that need what was not done are told as not tried here.
        """
        waiting = list(changes)
        while waiting:
            addresses = {change.address for change in waiting}
            ready, later = [], []
            for change in waiting:
                if blocker := self._blocker(change):
                    self.untried(change, f"it needs {blocker}")
                elif any(need in addresses for need in self._needs.get(change.address, ())):
                    later.append(change)
                else:
                    ready.append(change)
            if ready:
                yield ready
                self.close(ready, "it was not reached")
            elif len(later) == len(waiting):
                raise AssertionError(f"changes need each other: {', '.join(sorted(addresses))}")
            waiting = later

    def _blocker(self, change: Change) -> str | None:
        for need in self._needs.get(change.address, ()):
            if self.outcome(need) in ("failed", "untried"):
                return need
        return None

    def _settle(self, settled: Settled) -> None:
        with self._lock:
            if settled.change.address in self._settled:
                return
            self._settled[settled.change.address] = settled
            self._on_settled(settled)
