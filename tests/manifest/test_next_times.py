"""When a schedule starts runs next: as Prefect's scheduler has it, also where clocks change."""

from __future__ import annotations

import datetime as dt
import time
import zoneinfo

import pytest

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
