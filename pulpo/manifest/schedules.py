"""What a schedule says, held to what Prefect takes: cron expressions, recurrence rules, time zones.

Prefect reads cron expressions with a croniter of its own, of version 6.0, and recurrence rules with dateutil. It takes some that
its scheduler fails on later, because it can't make dates of them; these are refused here, too.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import warnings
import zoneinfo
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic
from pulpo.manifest.recurrence import never_comes
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.diagnostics import Path
    from pulpo.manifest.flow import ScheduleSpec

#: What Prefect counts occurrences of a rule from that does not say it; also where the search for a cron's next date begins.
_ANCHOR = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - as Prefect has it: the schedule's time zone is put in later
_LONGEST_RULE = 6500
#: Values of croniter that Prefect refuses: random and hashed ones, and the weekday nearest to a day, which is newer than 6.0.
_RANDOM, _NEAREST_WEEKDAY = ("r", "h"), re.compile(r"(?:^|,)(?:w\d+|\d+w)(?:,|$)")
_INTERVAL = re.compile(r"INTERVAL=\s*([-+]?\d+)", re.IGNORECASE)
#: Names that zoneinfo knows and that are no place's: what they mean differs from machine to machine.
_NO_ZONES = frozenset(("localtime", "Factory"))
_NEVER = "no day is ever like this"
_COUNTED_HINT = "it counts from DTSTART, which is 2020-01-01 where the rule says none: a Wednesday"
_CRON_HINT = 'it has five fields, minute, hour, day of the month, month, day of the week: "0 6 * * *" is each day at six'


def schedule_problems(schedule: ScheduleSpec, path: Path) -> Iterator[Diagnostic]:
    """PLP218 for a cron expression or a recurrence rule that Prefect can't use, PLP219 for a time zone that there is not."""
    if schedule.cron is not None and (problem := cron_problem(schedule.cron)):
        yield Diagnostic("PLP218", f"{problem}: {_shown(schedule.cron)}", (*path, "cron"), hint=_CRON_HINT)
    if schedule.rrule is not None and (problem := rrule_problem(schedule.rrule)):
        hint = _COUNTED_HINT if problem == _NEVER else "such as FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=6, see RFC 5545"
        yield Diagnostic("PLP218", f"{problem}: {_shown(schedule.rrule)}", (*path, "rrule"), hint=hint)
    if schedule.timezone is not None and schedule.timezone not in _zones():
        message = f"there is no such time zone: {_shown(schedule.timezone)}"
        yield Diagnostic("PLP219", message, (*path, "timezone"), hint=_zone_hint(schedule.timezone))


def cron_problem(text: str) -> str | None:
    """What is wrong with a cron expression, or None: Prefect has to take it, and a date has to come that it means."""
    from croniter import CroniterBadDateError, CroniterError, croniter

    fields = text.lower().split()
    if any(field in _RANDOM for field in fields) or any(map(_NEAREST_WEEKDAY.search, fields[2:3])):
        return "Prefect does not know this in a cron expression"
    try:
        croniter(text, _ANCHOR).get_next()
    except CroniterBadDateError:
        return _NEVER
    except (CroniterError, ValueError, OverflowError):
        return "this is no cron expression"
    return None


def rrule_problem(text: str) -> str | None:
    """What is wrong with a recurrence rule, or None: Prefect has to take it, and a date has to come that it means.

    One that is over by now is not wrong: what is, does not depend on the day.
    """
    from dateutil.rrule import rrulestr

    if len(text) > _LONGEST_RULE:
        return f"Prefect takes recurrence rules of at most {_LONGEST_RULE} characters, this one has {len(text)}"
    if any(int(interval) < 1 for interval in _INTERVAL.findall(text)):
        return "INTERVAL is at least 1 in a recurrence rule"
    try:
        with warnings.catch_warnings(action="ignore"):
            rule = rrulestr(text, dtstart=_ANCHOR)
            if never_comes(rule):
                return _NEVER
    except (ValueError, TypeError, OverflowError, AttributeError, LookupError) as error:
        reason = str(error) if type(error) is ValueError and "unpack" not in str(error) else ""
        return f"this is no recurrence rule ({reason})" if reason else "this is no recurrence rule"
    return None


@functools.cache
def _zones() -> frozenset[str]:
    """The names of all time zones; looking for them takes as long as all else here."""
    return frozenset(zoneinfo.available_timezones()) - _NO_ZONES


def _zone_hint(name: str) -> str:
    """A zone whose name, or whose city, is this one but for case and spaces; else one with a name that is near."""
    zones = sorted(_zones())
    meant = name.strip().lower().replace(" ", "_")
    cities = {zone.rpartition("/")[2].lower(): zone for zone in reversed(zones)}
    zone = {zone.lower(): zone for zone in zones}.get(meant) or cities.get(meant)
    if zone is not None:
        return f"did you mean {zone!r}?"
    return did_you_mean(name, zones) or "a name of the IANA database, such as Europe/Berlin"


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 - as long as is good to read
