"""Garbage collection while a run goes on: less often, because a run makes many objects that stay and hardly any garbage.

With Python's default of a pass every 700 new objects, a run of a thousand steps spends a quarter of its time on passes that
find nothing, among them one or two over every object of the process.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

#: New objects between two passes while a run goes on.
THRESHOLD = 20_000

#: The thresholds as each of the runs that are going on found them; the first is what they were before all.
_before: list[tuple[int, int, int]] = []


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Raises the collector's threshold until the last of the runs that are going on is over; one that is off stays off."""
    threshold = gc.get_threshold()
    _before.append(threshold)
    if 0 < threshold[0] < THRESHOLD:
        gc.set_threshold(THRESHOLD, *threshold[1:])
    try:
        yield
    finally:
        found = _before.pop()
        if not _before:
            gc.set_threshold(*found)
