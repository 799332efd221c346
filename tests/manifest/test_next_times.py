"""When a schedule starts runs next: as Prefect's scheduler has it, also where clocks change."""

from __future__ import annotations

import datetime as dt
import itertools
import time
import zoneinfo

import pytest
from dateutil.rrule import rrulestr

from pulpo.manifest.flow import ScheduleSpec
from pulpo.manifest.next_times import next_times

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{text}+00:00")


def told(after: dt.datetime, count: int = 3, **said: object) -> list[str]:
    return [f"{at:%m-%d %H:%M%z}" for at in next_times(ScheduleSpec.model_validate(said), after, count)]


def test_times_are_sorted_after_the_one_given_and_in_the_zone_of_the_schedule() -> None:
    assert told(utc("2026-01-31T06:00"), cron="0 6 * * *") == ["02-01 06:00+0000", "02-02 06:00+0000", "02-03 06:00+0000"]
    assert told(utc("2026-07-01T03:59:59"), cron="0 6 * * *", timezone="Europe/Berlin", count=1) == ["07-01 06:00+0200"]


def test_a_schedule_that_is_paused_or_counts_from_its_deployment_has_none() -> None:
    assert told(utc("2026-01-31T06:00"), cron="0 6 * * *", paused=True) == []
    assert told(utc("2026-01-31T06:00"), interval=3600) == []


def test_a_rule_that_is_over_has_no_next_time() -> None:
    assert told(utc("2026-01-31T06:00"), rrule="FREQ=DAILY;COUNT=3") == []
    assert told(utc("2026-01-31T06:00"), rrule="FREQ=DAILY;UNTIL=20260202T000000") == ["02-01 00:00+0000", "02-02 00:00+0000"]


def test_a_time_that_clocks_leave_out_comes_an_hour_earlier() -> None:
    before = dt.datetime(2026, 3, 28, 12, tzinfo=BERLIN)
    assert told(before, cron="30 2 * * *", timezone="Europe/Berlin") == [
        "03-29 01:30+0100",
        "03-30 02:30+0200",
        "03-31 02:30+0200",
    ]


def test_a_time_that_clocks_show_twice_counts_once() -> None:
    before = dt.datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    assert told(before, cron="30 2 * * *", timezone="Europe/Berlin") == [
        "10-25 02:30+0200",
        "10-26 02:30+0100",
        "10-27 02:30+0100",
    ]


@pytest.mark.parametrize("rule", ["FREQ=SECONDLY", "FREQ=MINUTELY;INTERVAL=13", "FREQ=HOURLY;BYMINUTE=5,35"])
def test_a_rule_of_every_second_is_not_gone_through_from_its_beginning(rule: str) -> None:
    begun = time.perf_counter()
    assert len(told(utc("2036-01-31T06:00"), count=5, rrule=rule)) == 5
    assert time.perf_counter() - begun < 2


LONG_LOOKED_FOR = (
    *(f"FREQ={often};BYMONTH=2;BYMONTHDAY=30" for often in ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")),
    "FREQ=DAILY;INTERVAL=7;BYDAY=MO", "FREQ=DAILY;UNTIL=20210101T000000", "FREQ=SECONDLY;COUNT=1000000000",
    "FREQ=MINUTELY;INTERVAL=120;BYHOUR=1", "FREQ=YEARLY;BYDAY=60MO", "RRULE:FREQ=SECONDLY\nEXRULE:FREQ=SECONDLY",
    "RRULE:FREQ=HOURLY\nEXRULE:FREQ=HOURLY",
)  # fmt: skip


@pytest.mark.parametrize("rule", LONG_LOOKED_FOR)
def test_a_rule_that_has_no_time_is_not_looked_at_for_long(rule: str) -> None:
    begun = time.process_time()
    assert told(utc("2026-11-23T01:00"), rrule=rule) == []
    assert time.process_time() - begun < 0.5  # 0.05 of a machine that does nothing else


FAR = (
    "DTSTART:19000101T060000\nRRULE:FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,FR", "DTSTART:19000131T060000\nRRULE:FREQ=MONTHLY",
    "DTSTART:19010228T060000\nRRULE:FREQ=MONTHLY;INTERVAL=5", "DTSTART:19030115T060000\nRRULE:FREQ=YEARLY;INTERVAL=7",
    "DTSTART:19000101T060000\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=WEEKLY;BYDAY=SA,SU;BYSETPOS=2;WKST=SU",
    "FREQ=YEARLY;BYDAY=20MO", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "FREQ=YEARLY;INTERVAL=3;BYMONTH=1,7;BYMONTHDAY=-1",
    "RRULE:FREQ=DAILY;BYHOUR=6\nEXDATE:20261124T060000", "RRULE:FREQ=DAILY\nRRULE:FREQ=HOURLY;INTERVAL=11\nEXRULE:FREQ=DAILY;INTERVAL=3",
    "DTSTART:20261122T000000\nRRULE:FREQ=SECONDLY;BYHOUR=3", "DTSTART:19040229T060000\nRRULE:FREQ=YEARLY",
    "FREQ=MINUTELY;INTERVAL=7;BYHOUR=9,10;BYDAY=MO",
)  # fmt: skip


@pytest.mark.parametrize("rule", FAR)
@pytest.mark.parametrize("after", ["2026-11-23T01:00", "2026-12-31T23:59:59"])
def test_times_are_those_that_counting_from_the_beginning_gives(rule: str, after: str) -> None:
    wall = utc(after).replace(tzinfo=None)
    whole = rrulestr(rule, dtstart=utc("2020-01-01").replace(tzinfo=None), ignoretz=True)
    said = next_times(ScheduleSpec.model_validate({"rrule": rule}), utc(after), 3)
    assert [at.replace(tzinfo=None) for at in said] == list(itertools.islice(whole.xafter(wall), 3))


def test_an_interval_counts_from_its_anchor() -> None:
    schedule = ScheduleSpec.model_validate({"interval": 5400, "timezone": "Europe/Berlin"})
    found = next_times(schedule, utc("2026-01-31T06:00"), 2, anchor=utc("2026-01-31T05:15:30"))
    assert [at.isoformat() for at in found] == ["2026-01-31T07:45:30+01:00", "2026-01-31T09:15:30+01:00"]
    assert next_times(schedule, utc("2026-01-31T06:00"), 1, anchor=utc("2026-02-01T00:00"))[0] > utc("2026-01-31T06:00")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("seconds", [1, 5400, 86_400, 100_000, 604_800, 3_153_600_000])
@pytest.mark.parametrize("after", ["2026-03-27T20:30", "2026-03-29T00:59:59", "2026-10-23T22:00:01", "2026-07-01T04:00"])
async def test_those_of_an_interval_are_those_of_prefects_scheduler(after: str, seconds: int, zone: str) -> None:
    from prefect.server.schemas.schedules import IntervalSchedule

    anchor = utc("2025-11-03T01:17:03")
    schedule = IntervalSchedule(interval=dt.timedelta(seconds=seconds), anchor_date=anchor, timezone=zone)
    theirs = [at.astimezone(dt.UTC) for at in await schedule.get_dates(6, utc(after)) if at > utc(after)][:5]
    ours = next_times(ScheduleSpec.model_validate({"interval": seconds, "timezone": zone}), utc(after), anchor=anchor)
    assert [at.astimezone(dt.UTC) for at in ours] == theirs


WHEN = (
    ("cron", "0 6 * * *"), ("cron", "*/30 2 * * *"), ("cron", "0 * * * *"), ("cron", "0 2,3 * * *"), ("cron", "@daily"),
    ("cron", "0 0 29 2 *"), ("rrule", "FREQ=DAILY;BYHOUR=2;BYMINUTE=30"), ("rrule", "FREQ=HOURLY;INTERVAL=7"),
    ("rrule", "FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=6"), ("rrule", "FREQ=MONTHLY;BYMONTHDAY=-1"), ("rrule", "FREQ=DAILY;COUNT=5"),
    ("rrule", "DTSTART:20200105T083000\nFREQ=WEEKLY;INTERVAL=2"),
)  # fmt: skip


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    "after", ["2026-03-28T20:30", "2026-03-29T00:59:59", "2026-10-24T22:00:01", "2026-10-25T01:10", "2026-07-01T04:00"]
)
async def test_they_are_those_of_prefects_scheduler(after: str, zone: str) -> None:
    from prefect.server.schemas.schedules import CronSchedule, RRuleSchedule

    made = {"cron": CronSchedule, "rrule": RRuleSchedule}
    for kind, text in WHEN:
        dates = await made[kind](**{kind: text, "timezone": zone}).get_dates(12, utc(after))
        ours = next_times(ScheduleSpec.model_validate({kind: text, "timezone": zone}), utc(after))
        theirs = [at.astimezone(dt.UTC) for at in dates]
        assert [at.astimezone(dt.UTC) for at in ours] == [at for at in theirs if at > utc(after)][:5], (kind, text)
