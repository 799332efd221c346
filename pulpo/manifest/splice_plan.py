"""What becomes of the entries of a collection whose data change: which stay, change, go, come, and in which order."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulpo.manifest.equality import ORDERED, same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from pulpo.manifest.layout import Layout
    from pulpo.manifest.splice_parts import Part


@dataclass(slots=True)
class Plan:
    """The new entries of a collection; old ones are known by their number."""

    #: In their order: old ones, and the keys, or places in the list, of new ones.
    sequence: list[int | tuple[str | int]]
    #: The new values of old entries whose value changes.
    values: dict[int, Any] = field(default_factory=dict)
    #: The new keys of old entries whose key changes.
    names: dict[int, str] = field(default_factory=dict)
    #: Old entries that go to another place for their new key.
    moved: AbstractSet[int] = frozenset()


def of_mapping(
    parts: Sequence[Part],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    layout: Layout,
    names: Mapping[int, str],
    *,
    ordered: bool,
) -> Plan:
    """The plan for a mapping; `names` are the new keys of entries that are renamed, `ordered` if the order of its keys counts."""
    keys = {number: names.get(number, part.name) for number, part in enumerate(parts) if part.name is not None}
    own = {key: number for number, key in keys.items() if key in new}
    values = {n: new[key] for key, n in own.items() if not same(old[parts[n].name or ""], new[key], ordered=key in ORDERED)}
    written = {part.name for part in parts}
    inherited = {key: value for key, value in old.items() if key not in written}
    resolves = not _can_inherit(inherited, new, ordered=ordered)
    kept = [n for n, part in enumerate(parts) if (not resolves if part.merges else keys[n] in own)]
    absent = {
        key
        for key in new
        if key not in own and (resolves or key not in inherited or not same(inherited[key], new[key], ordered=key in ORDERED))
    }
    moved: set[int] = set()
    if ordered:
        sequence = _in_order(parts, kept, [key for key in new if key in own or key in absent], own)
    else:
        moved = {n for n in kept if n in names and _is_sorted(parts, layout)}
        sequence = _in_place(
            [n for n in kept if n not in moved],
            keys,
            [key for key, _ in layout.ordered(new)],
            absent,
            {keys[n]: n for n in moved},
        )
    return Plan(sequence, values, {n: key for n, key in names.items() if n in own.values()}, moved)


def _can_inherit(inherited: Mapping[str, Any], new: Mapping[str, Any], *, ordered: bool) -> bool:
    """Whether `<<` can stay: what it gives is wanted, or has an own key that comes before."""
    if inherited.keys() - new.keys():
        return False
    if not ordered or not inherited:
        return True
    given = [key for key in inherited if same(inherited[key], new[key], ordered=key in ORDERED)]
    return list(new) == [key for key in new if key not in given] + given


def _is_sorted(parts: Sequence[Part], layout: Layout) -> bool:
    names = [part.name for part in parts if part.name is not None]
    return layout.by_name and names == sorted(names)


def _in_order(
    parts: Sequence[Part], kept: Sequence[int], keys: Sequence[str], own: Mapping[str, int]
) -> list[int | tuple[str | int]]:
    """Exactly in the order of the keys; merge keys stay behind the entry that they follow."""
    sequence: list[int | tuple[str | int]] = [own.get(key, (key,)) for key in keys]
    for number in kept:
        if parts[number].merges:
            above = [n for n in kept if n < number]
            sequence.insert(sequence.index(above[-1]) + 1 if above else 0, number)
    return sequence


def _in_place(
    stays: Sequence[int], keys: Mapping[int, str], canonical: Sequence[str], absent: set[str], moved: Mapping[str, int]
) -> list[int | tuple[str | int]]:
    """In the order of the text; each that comes follows the one that is before it in canonical order and is there."""
    present = {keys[n] for n in stays if n in keys}
    followers: dict[str | None, list[int | tuple[str | int]]] = {}
    before: str | None = None
    for key in canonical:
        if key in present:
            before = key
        elif key in absent or key in moved:
            followers.setdefault(before, []).append(moved.get(key, (key,)))
    sequence: list[int | tuple[str | int]] = []
    first = followers.pop(None, [])
    for number in stays:
        if number in keys:
            sequence += first
            first = []
        sequence += [number, *followers.get(keys.get(number, ""), [])] if number in keys else [number]
    return sequence + first


def of_list(old: Sequence[Any], new: Sequence[Any]) -> Plan:
    """The plan for a list: items that are on both sides stay what they are, with their comments, wherever they move."""
    before, after = ([json.dumps(item, sort_keys=True) for item in items] for items in (old, new))
    places: list[int | None] = [None] * len(new)
    changed: list[tuple[list[int], range]] = []
    for kind, i, i_end, j, j_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            places[j:j_end] = range(i, i_end)
        else:
            changed.append((list(range(i, i_end)), range(j, j_end)))
    _reuse(changed, before, after, places)
    values = {n: new[j] for j, n in enumerate(places) if n is not None and not same(old[n], new[j])}
    return Plan([(j,) if n is None else n for j, n in enumerate(places)], values)


def _reuse(
    changed: Sequence[tuple[list[int], range]], before: Sequence[str], after: Sequence[str], places: list[int | None]
) -> None:
    """Put items that went into the places of those that came: where they are equal, then where they stood."""
    gone: dict[str, list[int]] = {}
    for numbers, _ in changed:
        for number in numbers:
            gone.setdefault(before[number], []).append(number)
    for _, free in changed:
        for j in free:
            if gone.get(after[j]):
                places[j] = gone[after[j]].pop(0)
    left = {number for numbers in gone.values() for number in numbers}
    for numbers, free in changed:
        for number, j in zip([n for n in numbers if n in left], [j for j in free if places[j] is None], strict=False):
            places[j] = number
