"""What has to happen so that services run as the manifest says: a pure comparison, for processes and for containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pulpo.apply.change import Action, Change, FieldDiff, Note, Plan
from pulpo.apply.services.status import State

#: The cause that goes with the digest of what the manifest says.
MANIFEST: Final = "changed in the manifest"

_RUNS: Final = frozenset({State.STARTING, State.RUNNING, State.UNREADY, State.RESTARTING})
_STOPPED: Final = {
    State.STOPPING: "is being stopped",
    State.STOPPED: "is stopped",
    State.EXITED: "has ended",
    State.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A service that is to run."""

    name: str
    #: What it is made of, each part under the cause that is told where it differs: `{MANIFEST: digest}`.
    marks: Mapping[str, str]
    #: The services that it needs, sorted. One that is made anew takes those with it that need it.
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """A service as it was found."""

    state: State
    #: Of what runs, or ran last; what is not in it is not compared.
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether there is something that runs, ready or not."""
        return self.state in _RUNS


def address(name: str) -> str:
    """How changes name a service."""
    return f"service:{name}"


def plan_services(wanted: Sequence[Wanted], observed: Mapping[str, Observed], *, orphans: Sequence[str] = ()) -> Plan:
    """What changes so that the services run as wanted.

    Args:
        wanted: In an order in which each comes after those that it needs.
        observed: What was found, by name, also of services that are not wanted now.
        orphans: Services that run and are in the manifest no more, sorted.
    """
    changes = [Change(address(name), Action.DELETE, "not in the manifest any more") for name in orphans]
    anew: set[str] = set()
    for service in wanted:
        change = _change(service, observed.get(service.name, Observed(State.ABSENT)), anew)
        if change is not None:
            changes.append(change)
            if change.action is Action.REPLACE:
                anew.add(service.name)
    return Plan(tuple(changes))


def _change(wanted: Wanted, found: Observed, anew: set[str]) -> Change | None:
    where = address(wanted.name)
    if found.state is State.ABSENT:
        return Change(where, Action.CREATE, "is not there")
    if not found.runs:
        return Change(where, Action.UPDATE, _STOPPED[found.state], (FieldDiff("state", found.state.value, State.RUNNING.value),))
    for cause, mark in wanted.marks.items():
        if found.marks.get(cause, mark) != mark:
            return Change(where, Action.REPLACE, cause)
    if first := next((name for name in wanted.needs if name in anew), None):
        return Change(where, Action.REPLACE, f"needs {first}, which is made anew")
    return None


def told(plan: Plan, needs: Mapping[str, Sequence[str]]) -> Plan:
    """The plan with a note for each service that is left alone and needs one that is made anew.

    Args:
        plan: Of some of the services.
        needs: Of each service that runs and is not among those, what it needs.
    """
    anew = {change.address for change in plan.changes if change.action is Action.REPLACE}
    notes = [
        Note(address(name), f"needs {needed}, which is made anew, and is left as it is")
        for name, found in sorted(needs.items())
        for needed in found
        if address(needed) in anew
    ]
    return Plan(plan.changes, (*plan.notes, *notes))
