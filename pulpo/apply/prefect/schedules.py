"""The schedules of one deployment: at most one is wanted, and it keeps its id whatever changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pulpo.apply.prefect.steps import CreateSchedule, DeleteSchedule, ScheduleStep, UpdateSchedule
from pulpo.apply.prefect.wire import differing, live_view, schedule_body, schedule_data, schedule_view
from pulpo.compile.deployment import SCHEDULE_SLUG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulpo.apply.prefect.state import LiveSchedule
    from pulpo.compile.deployment import Schedule

Leaf = tuple[str, Any, Any]
_START = re.compile(r"\ADTSTART:\d{8}T\d{6}\n")


def plan_schedules(
    wanted: Schedule | None, live: Sequence[LiveSchedule]
) -> tuple[tuple[ScheduleStep, ...], list[Leaf], list[str]]:
    """The steps, the fields that differ, and what has to be told.

    Which one of several is kept: the one with Pulpo's slug, else one that means the same, else the first by id.
    """
    kept = _kept(wanted, live)
    surplus = sorted((s for s in live if s is not kept), key=lambda s: (s.slug or "", s.id))
    steps: list[ScheduleStep] = [DeleteSchedule(s.id) for s in surplus]
    leaves: list[Leaf] = [(f"schedules.{s.slug or s.id}", live_view(s), None) for s in surplus]
    told: list[str] = []
    if wanted is None:
        return tuple(steps), leaves, told
    before = {} if kept is None else live_view(kept)
    if wanted.rrule is not None and "rrule" in before and "DTSTART" not in wanted.rrule.upper():
        # Prefect says from when on a rule counts that does not say it itself.
        before["rrule"] = _START.sub("", before["rrule"])
    stays = kept is not None and wanted.paused is None
    active = kept.active if kept is not None and stays else not wanted.paused
    after = {**schedule_view(schedule_data(wanted)), "active": active}
    if stays and not active:
        told.append("its schedule is paused in Prefect, and stays so")
    own = list(differing(before, after, "schedule"))
    if own:
        steps += _steps(wanted, kept, active=active)
    return tuple(steps), leaves + own, told


def _kept(wanted: Schedule | None, live: Sequence[LiveSchedule]) -> LiveSchedule | None:
    if wanted is None or not live:
        return None
    meant = schedule_view(schedule_data(wanted))
    return min(live, key=lambda s: (s.slug != SCHEDULE_SLUG, schedule_view(s.schedule) != meant, s.id))


def _steps(wanted: Schedule, kept: LiveSchedule | None, *, active: bool) -> list[ScheduleStep]:
    body = schedule_body(wanted, active=active)
    if kept is None:
        return [CreateSchedule(body)]
    if kept.max_scheduled_runs is not None:
        # Prefect takes no null for it.
        return [DeleteSchedule(kept.id), CreateSchedule(body)]
    anchor = kept.schedule.get("anchor_date")
    if wanted.interval is not None and anchor is not None:
        # What it counts from stays, so that an update moves no runs.
        body["schedule"] = {**schedule_data(wanted), "anchor_date": anchor}
    return [UpdateSchedule(kept.id, {**body, "parameters": {}})]
