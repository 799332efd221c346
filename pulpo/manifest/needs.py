"""Which services need which: what has to run before what, and where that goes round in a circle."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from pulpo.manifest.addresses import is_managed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.manifest.model import Manifest

#: What services that come with Pulpo need of each other: ready, or only started. A worker waits for its server by itself.
_BUILT_IN: Final[Mapping[str, Mapping[str, bool]]] = {
    "worker": {"db": True, "prefect": False},
    "api": {"db": True},
    "ui": {"api": True},
}


def needs_of(manifest: Manifest) -> dict[str, dict[str, bool]]:
    """For each service that Pulpo runs, sorted by name, those that it needs, sorted, and whether they have to be ready.

    Services that are a file, run elsewhere, disabled or unknown are left out: nobody waits for them.
    """
    managed = sorted(name for name in manifest.services if is_managed(manifest, name))
    found: dict[str, dict[str, bool]] = {}
    for name in managed:
        needed = {**_BUILT_IN.get(name, {}), **dict.fromkeys(manifest.services[name].depends_on or (), True)}
        found[name] = {other: ready for other, ready in sorted(needed.items()) if other in managed}
    return found


def in_order(needs: Mapping[str, Mapping[str, bool]]) -> list[str]:
    """The services, each after those that it needs, else by name; those of a circle, and what needs them, are left out.

    Kahn's algorithm, with the name as the tie-break, so that the order of the mappings means nothing.
    """
    waiting = {name: len(needed) for name, needed in needs.items()}
    dependents: dict[str, list[str]] = {name: [] for name in needs}
    for name, needed in needs.items():
        for other in needed:
            dependents[other].append(name)
    ready = [name for name, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        order.append(name := heapq.heappop(ready))
        for dependent in dependents[name]:
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                heapq.heappush(ready, dependent)
    return order


def circle(needs: Mapping[str, Mapping[str, bool]]) -> list[str]:
    """A circle of services, each of which needs the next and the last the first; the same whatever the order; else empty."""
    left = sorted(needs.keys() - set(in_order(needs)))
    if not left:
        return []
    path = [left[0]]
    while (following := min(other for other in needs[path[-1]] if other in left)) not in path:
        path.append(following)
    found = path[path.index(following) :]
    first = found.index(min(found))
    return found[first:] + found[:first]
