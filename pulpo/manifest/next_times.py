"""When a schedule starts runs next, by the same rules as Prefect's scheduler.

A schedule means the clock on the wall of its time zone. A time that this clock leaves out in spring comes an hour earlier, and
one that it shows twice in autumn counts once, as the first of them.
"""

from __future__ import annotations

import datetime as dt
import itertools
import warnings
import zoneinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.manifest.flow import ScheduleSpec

#: What Prefect counts occurrences of a rule from that does not say it.
_ANCHOR = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - the schedule's time zone is put in later
#: Dates that are tried: where none of them is meant, there is no next time to tell.
_TRIED = 20_000
#: Seconds of dateutil's frequencies from DAILY on.
_SECONDS = {3: 86400, 4: 3600, 5: 60, 6: 1}
#: Beyond the times that are asked for: where clocks change, what comes first is not always what is found first.
_SPARE = 5


def next_times(schedule: ScheduleSpec, after: dt.datetime, count: int = 5) -> tuple[dt.datetime, ...]:
    """The next times after an aware one, sorted, in the schedule's time zone; at most `count`.

    None of a schedule that is paused, and none of one with an interval: it counts from when it was deployed, which Prefect alone
    knows. The schedule has to be one without problems (`pulpo.manifest.schedules`).
    """
    if schedule.paused or schedule.interval is not None:
        return ()
    zone = zoneinfo.ZoneInfo(schedule.timezone or "UTC")
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

    with warnings.catch_warnings(action="ignore"):
        rule = _near(rrulestr(text, dtstart=_ANCHOR, ignoretz=True), wall - dt.timedelta(hours=1))
        yield from itertools.islice(rule, _TRIED)


def _near(rule: Any, wall: dt.datetime) -> Any:
    """The same rule counted from shortly before a time: dateutil would go through years of seconds one by one.

    Rules of weeks, months and years, those that count their occurrences, and sets of rules stay as they are.
    """
    step = _SECONDS.get(getattr(rule, "_freq", -1), 0) * getattr(rule, "_interval", 0)
    if not step or rule._count is not None:  # noqa: SLF001 - dateutil says it nowhere else
        return rule
    steps = max(0, int((wall - rule._dtstart).total_seconds() // step))  # noqa: SLF001
    return rule.replace(dtstart=rule._dtstart + dt.timedelta(seconds=steps * step))  # noqa: SLF001
