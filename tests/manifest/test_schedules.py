"""Schedules that Prefect would refuse are refused before: what we say of each text is what Prefect says of it."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import zoneinfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.manifest.flow import ScheduleSpec
from pulpo.manifest.model import Manifest
from pulpo.manifest.rules import rule_problems
from pulpo.manifest.schedules import cron_problem, rrule_problem, schedule_problems
from tests.strategies import HOSTILE

GOOD_CRONS = """\
* * * * *
0 6 * * *
*/5 * * * *
0/5 * * * *
1-10/2 * * * *
0,30 8-18 * * 1-5
0 0 1 1 *
0 0 29 2 *
0 0 31 1,3 *
0 0 L * *
0 0 l * *
0 0 * * L5
0 0 * * l5
0 0 * * 7
0 0 * * 0
0 0 * * MON
0 0 * * mon-fri
0 0 * jan-dec *
0 0 * JAN,feb *
0 0 * * 2#3
0 0 * * MON#2
0 0 13 * 5
22-2 * * * *
0 22-2 * * *
* * * nov-feb *
0 0 ? * *
0 0 * * ?
* * * * * *
0 6 * * * 30
* * * * * */15
0 6 * * * 0 2026-2099
@hourly
@daily
@midnight
@weekly
@monthly
@yearly
@annually
@DAILY
  0 6 * * *
0  6  *  *  *
0\t6 * * *
* * * * 1,3,5
00 06 * * *
59 23 31 12 *
0 0 * * sun-sat
*/59 * * * *
1-1 * * * *
""".splitlines()
BAD_CRONS = """\

*
* * * *
* * * * * * * *
60 * * * *
-1 * * * *
* 24 * * *
* * 0 * *
* * 32 * *
* * * 0 *
* * * 13 *
* * * * 8
*/0 * * * *
1- * * * *
1,,2 * * * *
1, * * * *
, * * * *
a * * * *
é * * * *
* * * MON *
* * * * JAN
* * * foo *
* * * * MO
0 0 15W * *
0 0 W15 * *
0 0 1,15w * *
0 0 * * 5#6
0 0 * * 0#0
0 0 LW * *
L * * * *
* L * * *
0 0 * L *
H * * * *
h * * * *
R * * * *
r * * * *
H H * * *
@reboot
@every 5m
@dayly
@
daily
6:00
every day at six
0 6 * * MON-
1.5 * * * *
+1 * * * *
*/5/2 * * * *
0 0 1-32 * *
70-80 * * * *
* * * * * 60
0 0 * * # comment
${CRON}
""".splitlines()
CRONS = [*GOOD_CRONS, *BAD_CRONS]

#: What a field of a cron expression may be, and what it may not.
ATOMS = (
    "* 0 1 5 7 12 13 23 24 31 32 59 60 */5 */0 */61 0/5 1-5 5-1 1-10/2 22-2 L l L5 5L MON mon-fri jan JAN-DEC ? 1,2,3 1,,2 # 2#3 "
    "MON#2 5#6 W 15W w1 H R h/5 -1 1- a é 1.5 *,5 1-5,10-20/3"
)
atoms = st.sampled_from(ATOMS.split())
expressions = st.lists(atoms, min_size=4, max_size=7).map(" ".join) | st.sampled_from([*HOSTILE, *CRONS])
expressions |= st.text("0159*/-,#LWwRhMONmon@? \t", max_size=14)


def prefect_takes_cron(text):
    from prefect._internal.schemas.validators import validate_cron_string

    try:
        validate_cron_string(text)
    except Exception:
        return False
    return True


def prefect_takes_rrule(text):
    from prefect._internal.schemas.validators import validate_rrule_string

    try:
        validate_rrule_string(text)
    except Exception:
        return False
    return True


def test_there_are_a_hundred_expressions():
    assert len(set(CRONS)) >= 95


@pytest.mark.parametrize("text", GOOD_CRONS)
def test_a_cron_expression_that_prefect_takes_is_taken(text):
    assert prefect_takes_cron(text)
    assert cron_problem(text) is None


@pytest.mark.parametrize("text", BAD_CRONS)
def test_a_cron_expression_that_prefect_refuses_is_refused(text):
    assert not prefect_takes_cron(text)
    assert cron_problem(text) is not None


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 1 1 * 0 2001"])
def test_a_date_that_never_comes_is_refused_though_prefect_takes_it_and_fails_later(text):
    from prefect._vendor.croniter import CroniterBadDateError, croniter

    assert prefect_takes_cron(text)
    with pytest.raises(CroniterBadDateError):
        croniter(text, dt.datetime(2030, 1, 1)).get_next()  # noqa: DTZ001 - as the server does
    assert cron_problem(text) == "no day is ever like this"


@settings(max_examples=200, deadline=None)
@given(expressions)
def test_any_cron_expression_is_judged_as_prefect_judges_it(text):
    problem = cron_problem(text)
    assert prefect_takes_cron(text) is (problem in (None, "no day is ever like this"))


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY",
        "freq=weekly;byday=mo,we",
        "RRULE:FREQ=DAILY",
        "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=6;BYMINUTE=0",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=DAILY;COUNT=2",
        "FREQ=DAILY;UNTIL=20991231",
        "FREQ=DAILY;UNTIL=20991231T120000",
        "FREQ=HOURLY;INTERVAL=2",
        "DTSTART:20250101T060000\nRRULE:FREQ=DAILY",
        "DTSTART:20250101T000000\nRRULE:FREQ=DAILY\nEXDATE:20250201T000000",
        "RDATE:20250101T000000",
    ],
)
def test_a_recurrence_rule_that_prefect_takes_is_taken(text):
    assert prefect_takes_rrule(text)
    assert rrule_problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "X",
        "0 6 * * *",
        "DAILY",
        "FREQ=DALY",
        "FREQ=",
        "FREQ=DAILY;",
        "FREQ=DAILY;BYHOUR=25",
        "FREQ=DAILY;BYDAY=XX",
        "FREQ=DAILY;COUNT=x",
        "FREQ=DAILY;COLOUR=red",
        "BYDAY=MO",
        "FREQ=DAILY;UNTIL=yesterday",
        "FREQ=DAILY;UNTIL=99999999999999999999",
        "RRULE:FREQ=DAILY;COUNT=" + "9" * 6500,
    ],
)
def test_a_recurrence_rule_that_prefect_refuses_is_refused(text):
    assert not prefect_takes_rrule(text)
    assert rrule_problem(text) is not None


def test_a_rule_that_never_goes_on_is_refused_though_prefect_takes_it_and_hangs():
    for text in ("FREQ=DAILY;INTERVAL=0", "freq=daily;interval=-1"):
        assert prefect_takes_rrule(text)
        assert rrule_problem(text) == "INTERVAL is at least 1 in a recurrence rule"


def test_an_end_in_utc_is_refused_though_prefect_takes_it_and_fails_later():
    text = "FREQ=DAILY;UNTIL=20991231T000000Z"
    assert prefect_takes_rrule(text)
    with pytest.raises(ValueError, match="UNTIL"):
        rrulestr(text, dtstart=dt.date(2020, 1, 1))  # as the server does
    assert "UNTIL" in rrule_problem(text)


RULE_PARTS = "FREQ=DAILY FREQ=YEARLY FREQ=X INTERVAL=2 COUNT=3 BYDAY=MO BYDAY=1MO BYDAY=9 BYHOUR=6 BYSETPOS=0 BYEASTER=1"
rules = st.lists(st.sampled_from([*RULE_PARTS.split(), *HOSTILE]), min_size=1, max_size=4).map(";".join)


@settings(max_examples=200, deadline=None)
@given(rules)
def test_any_recurrence_rule_is_judged_as_prefect_judges_it(text):
    assert prefect_takes_rrule(text) is (rrule_problem(text) is None)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "US/Pacific", "EST5EDT", "Etc/GMT+5", "America/Argentina/Ushuaia"])
def test_a_time_zone_that_exists_is_taken(zone):
    assert list(schedule_problems(ScheduleSpec(interval=60, timezone=zone), ())) == []


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("berlin", "did you mean 'Europe/Berlin'?"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("Europe/Berlln", "did you mean 'Europe/Berlin'?"),
        ("utc", "did you mean 'UTC'?"),
        ("New York", "did you mean 'America/New_York'?"),
        ("", "a name of the IANA database, such as Europe/Berlin"),
        ("localtime", "a name of the IANA database, such as Europe/Berlin"),
        ("../etc/passwd", "a name of the IANA database, such as Europe/Berlin"),
        ("\x00", "a name of the IANA database, such as Europe/Berlin"),
        ("+02:00", "a name of the IANA database, such as Europe/Berlin"),
    ],
)
def test_a_time_zone_that_does_not_exist_is_refused_with_the_one_that_is_meant(zone, hint):
    (problem,) = schedule_problems(ScheduleSpec(interval=60, timezone=zone), ("flows", "a", "schedule"))
    assert (problem.code, problem.path) == ("PLP219", ("flows", "a", "schedule", "timezone"))
    assert problem.hint == hint


def test_time_zones_are_known_where_the_system_has_none():
    script = (
        "import zoneinfo; zoneinfo.reset_tzpath([]); print(len(zoneinfo.available_timezones()), zoneinfo.ZoneInfo('Asia/Tokyo'))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.split()[1] == "Asia/Tokyo"
    assert abs(int(answer.stdout.split()[0]) - len(zoneinfo.available_timezones())) < 20


def problems_of(schedule):
    data = {
        "version": 1,
        "project": {"name": "p"},
        "operations": {"a.x": {"entrypoint": "m:x"}},
        "flows": {"a": {"schedule": schedule}},
    }
    return [(d.code, ".".join(map(str, d.path)), d.message) for d in rule_problems(Manifest.model_validate(data))]


def test_all_that_is_wrong_with_a_schedule_is_told():
    assert problems_of({"cron": "6 o'clock", "rrule": "FREQ=DALY", "timezone": "Berlin"}) == [
        ("PLP214", "flows.a.schedule", "a schedule has one of cron, interval and rrule, this one: cron, rrule"),
        ("PLP218", "flows.a.schedule.cron", "this is no cron expression: 6 o'clock"),
        ("PLP218", "flows.a.schedule.rrule", "this is no recurrence rule (invalid 'FREQ': DALY): FREQ=DALY"),
        ("PLP219", "flows.a.schedule.timezone", "there is no such time zone: Berlin"),
    ]


@pytest.mark.parametrize("seconds", [1, 1.5, 3_153_600_000])
def test_prefect_makes_dates_of_every_interval_that_the_schema_takes(seconds):
    from prefect.server.schemas.schedules import IntervalSchedule

    assert problems_of({"interval": seconds}) == []
    schedule = IntervalSchedule(interval=dt.timedelta(seconds=seconds))
    assert len(list(schedule._get_dates_generator(n=2))) == 2


def test_what_reads_schedules_is_imported_only_where_there_is_one(tmp_path):
    script = (
        "import sys; from pulpo.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print({'croniter', 'dateutil', 'pulpo.manifest.schedules'} & set(sys.modules))"
    )
    lock = tmp_path / "pulpo.lock.yaml"
    lock.write_text("version: 1\nproject: {name: p}\noperations: {a.x: {entrypoint: 'm:x'}}\nflows: {a: {tags: [x]}}\n")
    command = [sys.executable, "-c", script, "--project", str(tmp_path), "check", "--no-code"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "set()", answer.stdout + answer.stderr


NEVER = (
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31", "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;INTERVAL=7;BYDAY=MO", "FREQ=YEARLY;BYDAY=60MO", "FREQ=MONTHLY;BYMONTHDAY=1;BYSETPOS=5", "FREQ=DAILY;COUNT=0",
    "FREQ=DAILY;UNTIL=20190101T000000", "FREQ=MINUTELY;INTERVAL=120;BYHOUR=1",
    "DTSTART:20210101T000000\nRRULE:FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29",
    "RRULE:FREQ=DAILY;COUNT=1\nEXDATE:20200101T000000",
)  # fmt: skip


@pytest.mark.parametrize("text", NEVER)
def test_a_rule_whose_day_never_comes_is_refused(text):
    problem = problems_of({"rrule": text})[0]
    assert (problem[0], problem[2].partition(":")[0]) == ("PLP218", "no day is ever like this")


COMES = (
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=DAILY;INTERVAL=7;BYDAY=WE", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=TU", "FREQ=YEARLY;BYEASTER=34", "FREQ=YEARLY;BYDAY=53SU",
    "DTSTART:20200101T110000\nRRULE:FREQ=HOURLY;UNTIL=20200101T120000", "FREQ=SECONDLY;BYMONTH=12;BYMONTHDAY=31;BYHOUR=23",
    "RRULE:FREQ=DAILY\nEXRULE:FREQ=DAILY;INTERVAL=2",
)  # fmt: skip


@pytest.mark.parametrize("text", COMES)
def test_a_rule_whose_day_comes_rarely_is_fine(text):
    assert rrule_problem(text) is None


def test_a_rule_that_is_over_by_now_is_fine_whatever_the_day_is():
    assert rrule_problem("FREQ=DAILY;UNTIL=20200103T000000") is None
