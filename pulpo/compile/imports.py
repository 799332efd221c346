"""Import statements, in the order and layout that `ruff` has with its default settings."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.compile.literals import items

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIGITS = re.compile(r"\d+|\D")
_CONSTANT, _CLASS, _VARIABLE = range(3)


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module takes from another."""

    module: str
    name: str
    #: What it is called here.
    local: str

    @property
    def is_renamed(self) -> bool:
        """Whether it has another name here."""
        return self.local != self.name


def statements(imports: Iterable[Import], indent: int = 0) -> tuple[str, ...]:
    """One statement for what keeps its name of a module, and one for each name that does not, sorted."""
    ordered = sorted(set(imports), key=_key)
    kept = itertools.groupby((i for i in ordered if not i.is_renamed), key=lambda i: i.module)
    groups = [*([*group] for _, group in kept), *([i] for i in ordered if i.is_renamed)]
    return tuple(_statement(group, indent) for group in sorted(groups, key=lambda group: _key(group[0])))


def _statement(group: list[Import], indent: int) -> str:
    pad, names = " " * indent, [f"{i.name} as {i.local}" if i.is_renamed else i.name for i in group]
    head = f"{pad}from {group[0].module} import "
    inner = items(names, len(head), 0, indent)
    return head + (f"({inner})" if "\n" in inner else inner)


def _key(one: Import) -> tuple[object, ...]:
    local = _natural(one.local) if one.is_renamed else ()
    return (
        *(_natural(one.module.lower()), _natural(one.module), _kind(one.name)),
        *(_natural(one.name.lower()), _natural(one.name), local),
    )


def _kind(name: str) -> int:
    """Constants stand before classes, and these before all else."""
    if len(name) > 1 and name.isupper():
        return _CONSTANT
    return _CLASS if name[:1].isupper() else _VARIABLE


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """`step2` before `step10`, as the crate natord compares: numbers by value, those that begin with 0 digit by digit."""
    return tuple(_part(part) for part in _DIGITS.findall(text))


def _part(part: str) -> tuple[int, int, str]:
    if not part.isdigit():
        return (ord(part), 0, "")
    return (ord("0"), 0, part) if part.startswith("0") else (ord("1"), len(part), part)
