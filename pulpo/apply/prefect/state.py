"""What is in Prefect, as a snapshot that a plan can be made from without asking again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class LiveSchedule:
    """A schedule of a deployment in Prefect."""

    id: str
    slug: str | None
    active: bool
    #: As Prefect has it: `cron`, `interval` or `rrule`, with `timezone` and the like.
    schedule: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    max_scheduled_runs: int | None = None


@dataclass(frozen=True, slots=True)
class LiveDeployment:
    """A deployment in Prefect, whoever made it."""

    id: str
    flow: str
    name: str
    #: By the names that Prefect has for them, as far as Pulpo sets them; None where it is Prefect's default.
    fields: Mapping[str, Any]
    tags: tuple[str, ...] = ()
    paused: bool = False
    schedules: tuple[LiveSchedule, ...] = ()

    @property
    def full_name(self) -> str:
        """As Prefect's command line says it: `scraping/jobs`."""
        return f"{self.flow}/{self.name}"


@dataclass(frozen=True, slots=True)
class LiveVariable:
    """A variable in Prefect, whoever made it."""

    id: str
    name: str
    value: Any
    tags: tuple[str, ...] = ()
    #: When it was last changed, as Prefect says it.
    updated: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """Deployments and variables with the project's tag or one of the names in question, and the work pools in question."""

    deployments: tuple[LiveDeployment, ...] = ()
    #: The type of each work pool, by its name.
    pools: Mapping[str, str] = field(default_factory=dict)
    #: The ids of flows, by name.
    flows: Mapping[str, str] = field(default_factory=dict)
    #: Sorted by name; none where nobody asked for them.
    variables: tuple[LiveVariable, ...] = ()
