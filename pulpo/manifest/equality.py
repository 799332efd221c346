"""When two values of a manifest are the same: written alike, in whatever order where the order means nothing."""

from __future__ import annotations

import marshal
from typing import Any

#: Mappings whose order means something: that of the function's signature, or of the model's fields.
ORDERED = frozenset({"parameters", "inputs", "properties"})


def same(before: Any, after: Any, *, ordered: bool = False) -> bool:
    """Whether two values are written alike: in Python `True == 1`; `ordered`: the order of the keys counts.

    The order of the keys always counts in the mappings that are named in `ORDERED`.
    """
    if before is after:
        return True
    if not isinstance(before, (dict, list)):
        return _same(before, after, ordered=ordered)
    # Two comparisons in C settle nearly all large values; equal bytes are equal types, in the same order.
    return bool(before == after) and (_bytes(before) == _bytes(after) or _same(before, after, ordered=ordered))


def _bytes(value: Any) -> bytes:
    # The first version: later ones also write which strings are one object.
    return marshal.dumps(value, 0)


def _same(before: Any, after: Any, *, ordered: bool = False) -> bool:
    if isinstance(before, dict) and isinstance(after, dict):
        if len(before) != len(after) or (ordered and list(before) != list(after)):
            return False
        return all(key in after and _same(value, after[key], ordered=key in ORDERED) for key, value in before.items())
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_same, before, after))
    return bool(before == after) and isinstance(before, bool) is isinstance(after, bool)
