"""When a schedule starts runs next, by the same rules as Prefect's scheduler.

A schedule means the clock on the wall of its time zone. A time that this clock leaves out in spring comes an hour earlier, and
one that it shows twice in autumn counts once, as the first of them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import warnings
import zoneinfo
from typing import TYPE_CHECKING

from pulpo.manifest.recurrence import TooFarError, dates, from_near

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.manifest.flow import ScheduleSpec

#: What Prefect counts occurrences of a rule from that does not say it.
_ANCHOR = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - the schedule's time zone is put in later
#: Dates that are tried: where none of them is meant, there is no next time to tell.
_TRIED = 20_000
#: Beyond the times that are asked for: where clocks change, what comes first is not always what is found first.
_SPARE = 5


def next_times(
    schedule: ScheduleSpec, after: dt.datetime, count: int = 5, *, anchor: dt.datetime | None = None
) -> tuple[dt.datetime, ...]:
    """The next times after an aware one, sorted, in the schedule's time zone; at most `count`.

    None of a schedule that is paused, and none of one with an interval unless there is an `anchor`, the aware time that it counts
    from: it is when the schedule was deployed, which Prefect alone knows. The schedule has to be one without problems
    (`pulpo.manifest.schedules`).
    """
    if schedule.paused:
        return ()
    zone = zoneinfo.ZoneInfo(schedule.timezone or "UTC")
    if schedule.interval is not None:
        return () if anchor is None else tuple(_of_interval(schedule.interval, anchor, after.astimezone(zone), count))
    wall = after.astimezone(zone).replace(tzinfo=None)
    dates = _of_cron(schedule.cron, wall) if schedule.cron is not None else _of_rule(schedule.rrule or "", wall)
    found: dict[dt.datetime, None] = {}
    for date in dates:
        time = _on_the_wall(date, zone)
        if time > after:
            found[time] = None
        if len(found) == count + _SPARE:
            break
    return tuple(time.astimezone(zone) for time in sorted(found)[:count])


def _on_the_wall(date: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    time = date.replace(tzinfo=zone).astimezone(dt.UTC)
    is_left_out = time.astimezone(zone).replace(tzinfo=None) != date
    return date.replace(tzinfo=zone, fold=1).astimezone(dt.UTC) if is_left_out else time


def _of_interval(seconds: float, anchor: dt.datetime, after: dt.datetime, count: int) -> Iterator[dt.datetime]:
    """The times of an interval as Prefect has it: its whole days are days of the calendar, the rest is hours that pass."""
    zone, interval = after.tzinfo, dt.timedelta(seconds=seconds)
    steps = int((after - anchor) / interval)
    # Near it first: where clocks have changed since the anchor, the days are not where the hours are.
    time = (anchor + interval * steps).astimezone(zone)
    found = 0
    while found < count:
        if time > after:
            found += 1
            yield time
        try:
            time = _later(time, interval)
        except OverflowError:  # of no calendar
            return


def _later(time: dt.datetime, interval: dt.timedelta) -> dt.datetime:
    if not interval.days:
        return (time.astimezone(dt.UTC) + interval).astimezone(time.tzinfo)
    wall = time.replace(tzinfo=None) + interval
    before = wall.replace(tzinfo=time.tzinfo, fold=0)
    is_left_out = before.astimezone(dt.UTC).astimezone(time.tzinfo).replace(tzinfo=None) != wall
    # What clocks leave out comes when they have changed, and so does what they show twice.
    return (before if is_left_out else wall.replace(tzinfo=time.tzinfo, fold=1)).astimezone(dt.UTC).astimezone(time.tzinfo)


def _of_cron(text: str, wall: dt.datetime) -> Iterator[dt.datetime]:
    from croniter import CroniterBadDateError, croniter

    # An hour that clocks skip or show twice is in the past or to come.
    dates = croniter(text, wall - dt.timedelta(hours=1))
    try:
        for _ in range(_TRIED):
            yield dates.get_next(dt.datetime)
    except CroniterBadDateError:  # there is none any more
        return


def _of_rule(text: str, wall: dt.datetime) -> Iterator[dt.datetime]:
    from dateutil.rrule import rrulestr

    begin = wall - dt.timedelta(hours=1)
    with warnings.catch_warnings(action="ignore"):
        rule = from_near(rrulestr(text, dtstart=_ANCHOR, ignoretz=True), begin)
        with contextlib.suppress(TooFarError):
            yield from itertools.dropwhile(begin.__gt__, itertools.islice(dates(rule), _TRIED))
