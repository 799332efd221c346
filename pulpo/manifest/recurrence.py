"""The dates of recurrence rules as dateutil makes them, in a time that has a bound.

For a day that never comes, such as the 30th of February, dateutil looks until the year 9999, which takes seconds, and minutes
where it goes by the hour; it says nothing on the way, and has nothing to stop it by. So the values that it compares days and
times with are put into containers which count how often they are asked.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Dateutil's frequencies, of those that are written with words here.
_YEARLY, _MONTHLY, _WEEKLY, _DAILY = range(4)
#: How many of a frequency go by until the calendar repeats itself, which it does after 400 years, and the days of one.
_CYCLES: Final = {_YEARLY: (400, 366), _MONTHLY: (4800, 31), _WEEKLY: (20_871, 7), _DAILY: (146_097, 1)}
_SECONDS: Final = {_WEEKLY: 604_800, _DAILY: 86_400, 4: 3600, 5: 60, 6: 1}
#: What a look at a day takes, where one at a time takes 1; of the frequencies that are not here each day has a turn of its own.
_DAY_COSTS: Final = {_YEARLY: 2, _MONTHLY: 2, _WEEKLY: 4}
_OTHER_DAY_COST: Final = 12
#: What is spent at the most on the next dates of a rule, or where it is not known when it has been seen whole: some hundredths of
#: a second. It is enough for 18 years of days, and for 100 of months and years.
MANY: Final = 80_000
#: What dateutil raises where a rule has no dates, or none before the calendar ends.
_ENDS: Final = (ValueError, TypeError, OverflowError, LookupError)


class TooFarError(Exception):
    """So many days and times were looked at that the dates which were found have to be enough."""


def dates(rule: Any, limit: int = MANY) -> Iterator[dt.datetime]:
    """The dates of a rule, or of a set of rules, that dateutil has parsed, sorted; the rule is of no use for anything else then.

    Raises:
        TooFarError: To look at days and times has taken more than the limit.
    """
    left = limit

    def spend(spent: int) -> None:
        nonlocal left
        left -= spent
        if left < 0:
            raise TooFarError

    for one in (*rule._rrule, *rule._exrule) if hasattr(rule, "_rrule") else (rule,):  # noqa: SLF001
        _count(one, spend)
    try:
        yield from rule
    except _ENDS:
        return


def never_comes(rule: Any) -> bool:
    """Whether there is no date that a rule means, on whatever day it is asked. False where that can't be told in a short time."""
    cycle = None
    if getattr(rule, "_freq", _YEARLY - 1) > _DAILY:
        # Where no day is meant, no time of one is.
        midnight = rule._dtstart.replace(hour=0, minute=0, second=0)  # noqa: SLF001 - dateutil says it nowhere else
        days = {"freq": _DAILY, "interval": 1, "byhour": 0, "byminute": 0, "bysecond": 0, "bysetpos": None}
        if never_comes(rule.replace(dtstart=midnight, until=None, count=None, **days)):
            return True
    elif not hasattr(rule, "_rrule") and not rule._byeaster:  # noqa: SLF001
        periods, days_of_one = _CYCLES[rule._freq]  # noqa: SLF001
        # One more than differ: the first may have begun when the rule does.
        cycle = (periods // math.gcd(periods, rule._interval) + 1) * days_of_one * _day_cost(rule)  # noqa: SLF001
    try:
        return next(dates(rule, cycle or MANY), None) is None
    except TooFarError:
        return cycle is not None


def from_near(rule: Any, wall: dt.datetime) -> Any:
    """The same rule, or set of rules, counted from shortly before a time: dateutil would go through all years before it.

    Rules that count their occurrences stay as they are; so do those that choose from a week of which they have only a part.
    """
    if hasattr(rule, "_rrule"):
        for several in (rule._rrule, rule._exrule):  # noqa: SLF001
            several[:] = [from_near(one, wall) for one in several]
        return rule
    if rule._count is not None or rule._dtstart >= wall:  # noqa: SLF001
        return rule
    begin, interval = rule._dtstart, rule._interval  # noqa: SLF001
    if rule._freq > _MONTHLY:  # noqa: SLF001
        if rule._freq == _WEEKLY and rule._bysetpos:  # noqa: SLF001
            return rule
        step = dt.timedelta(seconds=_SECONDS[rule._freq] * interval)  # noqa: SLF001
        return rule.replace(dtstart=begin + (wall - begin) // step * step)
    step_months = interval * (12 if rule._freq == _YEARLY else 1)  # noqa: SLF001
    steps = max(0, (wall.year - begin.year) * 12 + wall.month - begin.month - 1) // step_months
    months = begin.year * 12 + begin.month - 1
    for number in range(steps, 0, -1):
        year, month = divmod(months + number * step_months, 12)
        with contextlib.suppress(ValueError):  # not each month has its day
            return rule.replace(dtstart=begin.replace(year=year, month=month + 1))
    return rule


class _Counted:
    """Values that tell how often they are asked; as far as dateutil uses them."""

    def __init__(self, values: tuple[Any, ...], *, asked: Callable[[], None], gone_through: Callable[[], None]) -> None:
        self._values = values
        self._asked = asked
        self._gone_through = gone_through

    def __contains__(self, value: object) -> bool:
        self._asked()
        return value in self._values

    def __iter__(self) -> Iterator[Any]:
        self._gone_through()
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _count(rule: Any, spend: Callable[[int], None]) -> None:
    """Have a rule spend something for each day that it compares with its months, and for each time with its hours and minutes."""
    cost = _day_cost(rule)
    months = rule._bymonth  # noqa: SLF001
    nth_days = rule._bynweekday  # noqa: SLF001
    if months is None and rule._freq == _YEARLY and nth_days:  # noqa: SLF001
        # It means the first Monday of the year: with months it would be that of each.
        rule._bynweekday = _Counted(nth_days, asked=lambda: None, gone_through=lambda: spend(366 * cost))  # noqa: SLF001
        return
    each = tuple(range(1, 13)) if months is None else months
    rule._bymonth = _Counted(each, asked=lambda: spend(cost), gone_through=lambda: None)  # noqa: SLF001
    for name in ("_byhour", "_byminute", "_bysecond"):
        if (values := getattr(rule, name)) is not None:
            setattr(rule, name, _Counted(tuple(values), asked=lambda: spend(1), gone_through=lambda: None))


def _day_cost(rule: Any) -> int:
    return _DAY_COSTS.get(rule._freq, _OTHER_DAY_COST)  # noqa: SLF001
