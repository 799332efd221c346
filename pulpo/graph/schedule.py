"""Splitting groups that wait for each other into parts that can run in turn: greedy list scheduling."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

#: How many operations may be placed in all attempts together; the number of attempts follows from it.
_BUDGET = 200_000


def schedule(groups: Mapping[str, Sequence[str]], needs: Mapping[str, Collection[str]]) -> list[tuple[str, tuple[str, ...]]]:
    """Parts of groups in an order in which they can run one after the other, each needing only itself and earlier ones.

    Each part is all of its group that can run by then. The group that can be finished comes first, then the one that gives
    most operations, then the first by name. That looks one step ahead, so every group that can begin is tried as the first
    (as many as the budget allows), and the result with the fewest parts is kept.

    Args:
        groups: The operations of each group, in an order in which they can run.
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
    """One run of the scheduler."""

    def __init__(self, groups: Mapping[str, Sequence[str]], needs: Mapping[str, Collection[str]]) -> None:
        self._group = {name: group for group, names in groups.items() for name in names}
        self._needs = {name: [need for need in needs[name] if need in self._group] for name in self._group}
        self._remaining = {group: list(names) for group, names in groups.items()}
        self._waiting_groups: dict[str, set[str]] = {group: set() for group in groups}
        for name, group in self._group.items():
            for need in self._needs[name]:
                self._waiting_groups[self._group[need]].add(group)
        self._done: set[str] = set()
        #: For each group what of it can run now, in order.
        self.ready = {group: self._closure(group) for group in groups}

    def run(self, first: str | None) -> list[tuple[str, tuple[str, ...]]]:
        """All parts in order, beginning with one of the group `first`, or where that is None with the best one."""
        parts = []
        following = first
        while self.ready:
            group = following or min(self.ready, key=self._rank)
            following = None
            parts.append((group, tuple(self.ready[group])))
            self._finish(group)
        return parts

    def _rank(self, group: str) -> tuple[bool, int, str]:
        count = len(self.ready[group])
        return (count != len(self._remaining[group]), -count, group)

    def _finish(self, group: str) -> None:
        done = set(self.ready[group])
        self._done |= done
        self._remaining[group] = [name for name in self._remaining[group] if name not in done]
        for other in self._waiting_groups[group] | {group}:
            if not self._remaining[other]:
                self.ready.pop(other, None)
            else:
                self.ready[other] = self._closure(other)

    def _closure(self, group: str) -> list[str]:
        there: set[str] = set()
        for name in self._remaining[group]:
            if all(need in self._done or need in there for need in self._needs[name]):
                there.add(name)
        return [name for name in self._remaining[group] if name in there]
