"""Splitting groups that wait for each other into parts that can run in turn: greedy list scheduling."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

#: How many operations may be placed in all attempts together; the number of attempts follows from it.
_BUDGET = 100_000


def schedule(groups: Mapping[str, Sequence[str]], needs: Mapping[str, Collection[str]]) -> list[tuple[str, tuple[str, ...]]]:
    """Parts of groups in an order in which they can run one after the other, each needing only itself and earlier ones.

    The operations of a part are in an order in which they can run, too.
    Each part is all of its group that can run by then. The group that can be finished comes first, then the one that gives
    most operations, then the first by name. That looks one step ahead, so every group that can begin is tried as the first
    (as many as the budget allows), and the result with the fewest parts is kept.

    Args:
        groups: The operations of each group.
        needs: What each operation waits for; operations outside of the groups are taken as done.
    """
    attempt = _Attempt(groups, needs)
    beginners = sorted(name for name, part in attempt.ready.items() if part)
    tries = max(1, _BUDGET // max(1, sum(map(len, groups.values()))))
    best: list[tuple[str, tuple[str, ...]]] = []
    for first in [None, *beginners[:tries]]:
        parts = _Attempt(groups, needs).run(first)
        if not best or len(parts) < len(best):
            best = parts
    return best


class _Attempt:
    """One run of the scheduler: each edge is looked at once."""

    def __init__(self, groups: Mapping[str, Sequence[str]], needs: Mapping[str, Collection[str]]) -> None:
        self._group = {name: group for group, names in groups.items() for name in names}
        self._remaining = {group: len(names) for group, names in groups.items()}
        self._dependents: dict[str, list[str]] = {name: [] for name in self._group}
        #: For each operation how many it waits for that are neither done nor ready in its own group.
        self._waiting = dict.fromkeys(self._group, 0)
        for name in self._group:
            for need in needs[name]:
                if need in self._group:
                    self._dependents[need].append(name)
                    self._waiting[name] += 1
        #: For each group what of it can run now, in an order in which it can.
        self.ready: dict[str, list[str]] = {group: [] for group in groups}
        self._candidates: list[tuple[bool, int, str]] = []
        self._release([name for name, count in self._waiting.items() if count == 0])

    def run(self, first: str | None) -> list[tuple[str, tuple[str, ...]]]:
        """All parts in order, beginning with one of the group `first`, or where that is None with the best one."""
        parts = []
        group = first or self._best()
        while group is not None:
            part, self.ready[group] = self.ready[group], []
            self._remaining[group] -= len(part)
            parts.append((group, tuple(part)))
            self._release(self._freed(group, part))
            group = self._best()
        return parts

    def _best(self) -> str | None:
        """The group whose part comes next; a candidate that no longer says how the group stands is passed over."""
        while self._candidates:
            candidate = heapq.heappop(self._candidates)
            group = candidate[-1]
            if self.ready[group] and candidate == self._candidate(group):
                return group
        return None

    def _candidate(self, group: str) -> tuple[bool, int, str]:
        count = len(self.ready[group])
        return (count != self._remaining[group], -count, group)

    def _freed(self, group: str, part: Sequence[str]) -> list[str]:
        """The operations of other groups that waited for a part alone."""
        freed = []
        for name in part:
            for dependent in self._dependents[name]:
                if self._group[dependent] != group:
                    self._waiting[dependent] -= 1
                    if self._waiting[dependent] == 0:
                        freed.append(dependent)
        return freed

    def _release(self, names: Sequence[str]) -> None:
        """Makes operations ready, and with each those of its group that waited for it alone."""
        stack = list(names)
        changed = set()
        while stack:
            name = stack.pop()
            group = self._group[name]
            self.ready[group].append(name)
            changed.add(group)
            for dependent in self._dependents[name]:
                if self._group[dependent] == group:
                    self._waiting[dependent] -= 1
                    if self._waiting[dependent] == 0:
                        stack.append(dependent)
        for group in sorted(changed):
            heapq.heappush(self._candidates, self._candidate(group))
