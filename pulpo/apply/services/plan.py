"""What has to happen so that services run as the manifest says: a pure comparison, for processes and for containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pulpo.apply.change import Action, Change, FieldDiff, Note, Plan
from pulpo.apply.services.made import UNTOLD, Made, difference
from pulpo.apply.services.status import State

#: How the cause ends of what is made anew for what it needs, and not for itself.
ALONG: Final = ", which is made anew"

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
    #: What it is made of, each part under the cause that is told where it differs: `{UNTOLD: digest}`.
    #: That of `UNTOLD` is of the manifest with its variables: what of it changed is told where both of `made` are known.
    marks: Mapping[str, str]
    #: The services that it needs, sorted. One that is made anew takes those with it that need it.
    needs: tuple[str, ...] = ()
    made: Made | None = None
    #: The cause where it is neither the manifest nor a variable.
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """A service as it was found."""

    state: State
    #: Of what runs, or ran last; what is not in it is not compared.
    marks: Mapping[str, str] = field(default_factory=dict)
    made: Made | None = None

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
    if differing := [cause for cause, mark in wanted.marks.items() if found.marks.get(cause, mark) != mark]:
        return _replace(wanted, found, differing)
    if first := next((name for name in wanted.needs if name in anew), None):
        return Change(where, Action.REPLACE, f"needs {first}{ALONG}")
    return None


def _replace(wanted: Wanted, found: Observed, causes: Sequence[str]) -> Change:
    fields: tuple[FieldDiff, ...] = ()
    if UNTOLD in causes and found.made is not None and wanted.made is not None:
        cause, fields = difference(found.made, wanted.made, wanted.otherwise)
        causes = [cause if one == UNTOLD else one for one in causes]
    return Change(address(wanted.name), Action.REPLACE, "; ".join(causes), fields)


def is_along(change: Change) -> bool:
    """Whether something is made anew for what it needs, and not for itself."""
    return change.action is Action.REPLACE and change.cause.endswith(ALONG)


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
