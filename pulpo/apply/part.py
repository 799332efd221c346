"""What the targets of a whole plan have in common: what each plans of it, and what it asks of the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from pulpo.apply.change import Action, Change, Note, Plan

if TYPE_CHECKING:
    from pulpo.apply.ledger import Ledger

_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Part:
    """What one target has to do with the whole plan."""

    #: The target's name.
    target: str
    plan: Plan = field(default_factory=Plan)
    #: Of a change, the addresses of what has to be there before it, in any part.
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Of everything that is wanted or is the project's, what was found there and what is done about it, as a digest.
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    #: The service that has to run before the target can be looked at. The plan then is what there is to do if nothing is behind
    #: it, or nothing. None where it was looked at.
    waits_for: str | None = None
    #: Whether the manifest wants anything here at all.
    wanted: bool = True


class Target(Protocol):
    """A part of the world: services, the database, Prefect."""

    name: str

    def plan(self, before: Sequence[Part] = ()) -> Part:
        """Look at it and compare; nothing is changed. `before` is what will be done first, by the targets before this one.

        Raises:
            PulpoError: It can't be looked at, or what is wanted can't be.
        """
        ...

    def execute(self, changes: Sequence[Change], ledger: Ledger) -> None:
        """Make changes of its own plan, in an order that their needs allow, and say in the ledger what came of each.

        Raises:
            PulpoError: Nothing more can be done here; what was not told by then was not tried.
        """
        ...

    def check(self, addresses: Collection[str]) -> list[str]:
        """What is not as it was to be after the changes at these addresses were made, for people; sorted."""
        ...


class LeftAlone:
    """A target that nothing is done about, and why."""

    def __init__(self, name: str, why: str) -> None:
        """With what people are told of it."""
        self.name = name
        self._why = why

    def plan(self, before: Sequence[Part] = ()) -> Part:  # noqa: ARG002 - the protocol's
        """A note."""
        return Part(self.name, Plan((), (Note(self.name, self._why),)))

    def execute(self, changes: Sequence[Change], ledger: Ledger) -> None:
        """Nothing: it has no changes."""

    def check(self, addresses: Collection[str]) -> list[str]:  # noqa: ARG002 - the protocol's
        """Nothing."""
        return []


class Standing(Enum):
    """What can be known of what is behind a service."""

    #: It can be looked at.
    THERE = "there"
    #: The service was never made: nothing is behind it.
    EMPTY = "empty"
    #: It can be looked at when the service runs as it should.
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Behind:
    """The service that a target lies behind, where the project runs it."""

    #: Its address; None where somebody else runs it, or nothing runs.
    service: str | None = None
    #: Whether it stored something here.
    has_data: Callable[[], bool] = lambda: True
    #: Whether it answers by now; asked where nothing has to be done about it.
    is_ready: Callable[[], bool] = lambda: True

    def standing(self, before: Sequence[Part]) -> Standing:
        """What can be known while these parts are not done."""
        changes = [change for part in before for change in part.plan.changes if change.address == self.service]
        if not changes or changes[0].action is Action.DELETE:  # which comes last where all goes
            return Standing.THERE if self.is_ready() else Standing.LATER
        is_new = changes[0].action is Action.CREATE and not self.has_data()
        return Standing.EMPTY if is_new else Standing.LATER


def digest(*values: Any) -> str:
    """Values that JSON or `repr` can tell apart, as a short text that tells nothing about them."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
