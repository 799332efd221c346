"""What the manifest says about flows: their settings, and when they run."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pulpo.manifest.spec import LOCK, YOURS, OperationName, Seconds, Spec


class ScheduleSpec(Spec):
    """When a deployed flow runs: exactly one of cron, interval and rrule says it."""

    cron: str | None = Field(
        default=None,
        description="Five fields as in crontab, in quotes: minute, hour, day of the month, month, day of the week.",
        examples=["0 6 * * *"],
    )
    interval: Seconds | None = Field(default=None, gt=0, description="Seconds between the starts of two runs.", examples=[3600])
    rrule: str | None = Field(
        default=None,
        title="Recurrence rule",
        description="A recurrence rule of RFC 5545.",
        examples=["FREQ=WEEKLY;BYDAY=MO,WE"],
    )
    timezone: str | None = Field(
        default=None, description="The time zone that the schedule means, by its IANA name.", examples=["Europe/Berlin"]
    )
    paused: bool | None = Field(default=None, description="Whether the schedule is kept but starts no runs; false where unset.")


class FlowSettings(Spec):
    """What people say about a flow."""

    description: str | None = Field(default=None, description="What the flow is for, in a sentence." + YOURS)
    schedule: ScheduleSpec | None = Field(
        default=None,
        description="When the flow runs by itself once it is deployed." + YOURS,
    )
    tags: list[str] | None = Field(
        default=None, description="Words to select by, on each of its runs." + YOURS, examples=[["nightly"]]
    )
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="Values for the flow's parameters when it runs by schedule." + YOURS,
        examples=[{"keywords": "python"}],
    )


class FlowSpec(FlowSettings):
    """A flow: a node of the dotted hierarchy."""

    segments: list[list[OperationName]] | None = Field(
        default=None,
        description="The parts of the flow, run in turn, where grouping by flow would make a cycle." + LOCK,
    )
