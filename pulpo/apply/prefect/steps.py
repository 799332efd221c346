"""What a plan for Prefect has to be done: one kind a change, each with all that its requests need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulpo.apply.change import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.apply.change import Change, Note
    from pulpo.compile.deployment import WorkPool


@dataclass(frozen=True, slots=True)
class CreateSchedule:
    """A schedule for a deployment that is there."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UpdateSchedule:
    """A schedule that keeps its id."""

    id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteSchedule:
    """A schedule too many."""

    id: str


ScheduleStep = CreateSchedule | UpdateSchedule | DeleteSchedule


@dataclass(frozen=True, slots=True)
class CreatePool:
    """A work pool that deployments need."""

    change: Change
    pool: WorkPool


@dataclass(frozen=True, slots=True)
class CreateDeployment:
    """A deployment whose full name is free, and its schedule."""

    change: Change
    flow: str
    #: The flow's id; None where Prefect does not know it yet.
    flow_id: str | None
    body: Mapping[str, Any]
    schedule: CreateSchedule | None


@dataclass(frozen=True, slots=True)
class UpdateDeployment:
    """The fields of a deployment that differ, and its schedules."""

    change: Change
    id: str
    body: Mapping[str, Any]
    schedules: tuple[ScheduleStep, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteDeployment:
    """A deployment whose flow left the manifest."""

    change: Change
    id: str


@dataclass(frozen=True, slots=True)
class CreateVariable:
    """A variable whose name is free."""

    change: Change
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UpdateVariable:
    """A variable's value and tags."""

    change: Change
    id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteVariable:
    """A variable that left the manifest."""

    change: Change
    id: str


Step = CreatePool | CreateVariable | CreateDeployment | UpdateDeployment | UpdateVariable | DeleteDeployment | DeleteVariable


@dataclass(frozen=True, slots=True)
class Steps:
    """All that has to be done, work pools and variables first, and by address; and what has to be told."""

    steps: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def plan(self) -> Plan:
        """The changes, in this order, for people."""
        return Plan(tuple(step.change for step in self.steps), self.notes)
