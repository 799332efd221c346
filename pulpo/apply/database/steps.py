"""What a plan for a database has to be done: one kind a change, each with all that the store needs to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.apply.change import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pulpo.apply.change import Change, Note
    from pulpo.store.base import Collection


@dataclass(frozen=True, slots=True)
class Ensure:
    """A collection that is made, or one index in it, after indexes in its place are dropped."""

    change: Change
    #: With no index, or with the one that is meant.
    collection: Collection
    #: The names of indexes that go before.
    drop: tuple[str, ...] = ()
    #: The names of indexes that go once the new one is there.
    drop_after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DropIndexes:
    """Indexes over the same fields that left the manifest."""

    change: Change
    collection: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DropCollection:
    """A collection that left the manifest."""

    change: Change
    name: str
    #: Whether its records go, too; else it was empty, and has to be so still.
    with_records: bool = False


Step = Ensure | DropIndexes | DropCollection


@dataclass(frozen=True, slots=True)
class Steps:
    """All that has to be done: collections and then their indexes are made, then what left is dropped; each part by address."""

    steps: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def plan(self) -> Plan:
        """The changes, in this order, for people."""
        return Plan(tuple(step.change for step in self.steps), self.notes)

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """By the address of each index that is made in a collection that is not there yet, that collection's."""
        made = [step for step in self.steps if isinstance(step, Ensure)]
        new = {step.collection.name: step.change.address for step in made if not step.collection.indexes}
        return {
            step.change.address: (new[step.collection.name],)
            for step in made
            if step.collection.indexes and step.collection.name in new
        }

    def chosen(self, is_chosen: Callable[[Change], bool]) -> Steps:
        """Only the steps of these changes, in the same order, and all notes."""
        return Steps(tuple(step for step in self.steps if is_chosen(step.change)), self.notes)
