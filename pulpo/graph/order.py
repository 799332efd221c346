"""Topological order: the one algorithm that every command needs, kept free of heavy imports."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed import SupportsRichComparison

T = TypeVar("T", bound="SupportsRichComparison")


def topological_order(dependencies: Mapping[T, Iterable[T]]) -> tuple[list[T], list[T]]:
    """Kahn's algorithm: an order in which every key follows all that it depends on, the smallest first where there is a choice.

    Returns:
        The order, and, sorted, the keys that could not be ordered: those on a cycle and all that depend on them.
    """
    waiting: dict[T, int] = {}
    dependents: dict[T, list[T]] = {key: [] for key in dependencies}
    for key, needs in dependencies.items():
        count = 0
        for need in needs:
            dependents[need].append(key)
            count += 1
        waiting[key] = count
    ready = [key for key, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order: list[T] = []
    while ready:
        key = heapq.heappop(ready)
        order.append(key)
        for dependent in dependents[key]:
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                heapq.heappush(ready, dependent)
    return order, sorted(key for key, count in waiting.items() if count)
