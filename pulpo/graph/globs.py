"""Globs over dotted names: `*` stays within a segment, as the last segment it takes all below, `**` takes anything."""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STARS = re.compile(r"(\*\*|\*)")


def absolute(pattern: str, operation: str) -> str:
    """The pattern with a leading `.` replaced by the flow of the operation: `.x` is `a.b.x` for `a.b.c`."""
    if not pattern.startswith("."):
        return pattern
    flow, _, _ = operation.rpartition(".")
    return flow + pattern if flow else pattern[1:]


def matching(pattern: str, names: Sequence[str]) -> Sequence[str]:
    """The names that an absolute pattern matches, in their order; `names` has to be sorted."""
    prefix, star, _ = pattern.partition("*")
    start = bisect_left(names, prefix)
    if not star:
        return names[start : start + 1] if start < len(names) and names[start] == pattern else ()
    # Names hold ASCII letters, digits, `_` and `.` only, so all that begin with the prefix sort before prefix + "\x7f".
    stop = bisect_left(names, prefix + "\x7f")
    if pattern == prefix + "*" and (not prefix or prefix.endswith(".")):
        return names[start:stop]
    regex = _regex(pattern)
    return [name for name in names[start:stop] if regex.fullmatch(name)]


def matching_any(patterns: Iterable[str], names: Sequence[str]) -> list[str]:
    """The names that at least one of the absolute patterns matches, sorted; `names` has to be sorted."""
    return sorted({name for pattern in patterns for name in matching(pattern, names)})


@functools.lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    body, last = (pattern[:-1], r".+") if pattern.endswith(".*") else (pattern, "")
    stars = {"*": r"[^.]*", "**": r".*"}
    return re.compile("".join(stars.get(part) or re.escape(part) for part in _STARS.split(body)) + last)
