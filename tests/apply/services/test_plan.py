"""What a plan of services says: pure comparisons, their text is the test."""

from __future__ import annotations

from typing import Any

import pytest

from pulpo.apply.services.made import MANIFEST, UNTOLD, Made
from pulpo.apply.services.plan import Observed, Wanted, is_along, plan_services, told
from pulpo.apply.services.status import State

IMAGE = "its image was made anew"


def wanted(name: str, digest: str = "1", *needs: str, **marks: str) -> Wanted:
    return Wanted(name, {MANIFEST: digest, **marks}, needs)


def seen(state: State = State.RUNNING, digest: str = "1", **marks: str) -> Observed:
    return Observed(state, {MANIFEST: digest, **marks})


def test_what_runs_as_wanted_is_left_alone():
    for state in (State.RUNNING, State.STARTING, State.UNREADY, State.RESTARTING):
        assert not plan_services([wanted("api")], {"api": seen(state)})


def test_what_does_not_run_is_made_or_started():
    found = {"b": seen(State.STOPPED), "c": seen(State.FAILED), "d": seen(State.EXITED), "e": seen(State.STOPPING)}
    assert str(plan_services([wanted(name) for name in "abcde"], found)).splitlines() == [
        "+ service:a  is not there",
        "~ service:b  is stopped",
        '    state: "stopped" → "running"',
        "~ service:c  failed",
        '    state: "failed" → "running"',
        "~ service:d  has ended",
        '    state: "exited" → "running"',
        "~ service:e  is being stopped",
        '    state: "stopping" → "running"',
        "Plan: 1 to create, 4 to update, 0 to delete",
    ]


def test_what_differs_is_made_anew_with_what_needs_it():
    services = [wanted("db", "2"), wanted("api", "1", "db"), wanted("web", "1", "api"), wanted("other"), wanted("off", "1", "db")]
    found = {"db": seen(), "api": seen(), "web": seen(), "other": seen(), "off": seen(State.STOPPED)}
    assert str(plan_services(services, found)).splitlines() == [
        "± service:db  changed in the manifest",
        "± service:api  needs db, which is made anew",
        "± service:web  needs api, which is made anew",
        "~ service:off  is stopped",
        '    state: "stopped" → "running"',
        "Plan: 0 to create, 1 to update, 3 to replace, 0 to delete",
    ]


def test_a_cause_is_told_for_each_part_and_what_is_not_known_is_not_compared():
    services = [Wanted("api", {MANIFEST: "1", IMAGE: "new"})]
    assert [
        c.cause for c in plan_services(services, {"api": Observed(State.RUNNING, {MANIFEST: "1", IMAGE: "old"})}).changes
    ] == [IMAGE]
    assert not plan_services(services, {"api": seen()})


OTHERWISE = "made otherwise"
#: What is said of a service, with the values of its environment.
SAID = {
    "command": ["python", "a.py"],
    "environment.TOKEN": "${TOKEN}",
    "environment.URI": "***${HOST}",
    "environment.WORD": "***",
}
VALUES = {"TOKEN": "s3cret", "URI": "http://here", "WORD": "s3cret too"}
GIVEN = {"command": ["/bin/python", "a.py"]}


def told_of(before: Made | None, after: Made | None) -> list[str]:
    """The lines of a plan of one service, whose whole is another one."""
    services = [Wanted("shop", {UNTOLD: "2"}, (), after, OTHERWISE)]
    plan = plan_services(services, {"shop": Observed(State.RUNNING, {UNTOLD: "1"}, before)})
    assert "s3cret" not in repr((services, plan))
    return str(plan).splitlines()[:-1]


@pytest.mark.parametrize(
    ("said", "values", "given", "lines"),
    [
        (
            {"command": ["python", "b.py"], "ports": ["8001"]}, {}, {"command": ["/bin/python", "b.py"]},
            [MANIFEST, 'command: ["python", "a.py"] → ["python", "b.py"]', 'ports: unset → ["8001"]'],
        ),
        ({"environment.NEW": "***"}, {"NEW": "s3cret"}, {}, [MANIFEST, "environment.NEW: unset → ***"]),
        ({"environment.TOKEN": None}, {"TOKEN": None}, {}, [MANIFEST, "environment.TOKEN: *** → unset"]),
        ({"environment.TOKEN": "${OTHER}"}, {"TOKEN": "s3cret 2"}, {}, [MANIFEST, "environment.TOKEN: changed"]),
        ({}, {"WORD": "s3cret 2"}, {}, [MANIFEST, "environment.WORD: changed"]),
        ({}, {"TOKEN": "s3cret 2"}, {}, ["a variable's value changed: TOKEN", "environment.TOKEN: changed"]),
        ({}, {"URI": "http://there"}, {}, ["changed in the manifest, or a variable's value: HOST", "environment.URI: changed"]),
        ({}, {"EXTRA": "s3cret"}, {}, [OTHERWISE, "environment.EXTRA: changed"]),
        ({}, {}, {"command": ["/usr/bin/python", "a.py"]}, [OTHERWISE, "command: changed"]),
        ({}, {}, {}, [OTHERWISE]),
        (
            {"grace": 3}, {"TOKEN": "s3cret 2"}, {},
            ["a variable's value changed: TOKEN; changed in the manifest", "environment.TOKEN: changed", "grace: unset → 3"],
        ),
    ],
)  # fmt: skip
def test_what_changed_is_told_field_by_field_with_its_cause_and_without_values(
    said: dict[str, Any], values: dict[str, str | None], given: dict[str, Any], lines: list[str]
):
    after = Made(
        {name: value for name, value in {**SAID, **said}.items() if value is not None},
        {name: value for name, value in {**VALUES, **values}.items() if value is not None},
        {**GIVEN, **given},
    )
    first, *fields = lines
    assert told_of(Made(SAID, VALUES, GIVEN), after) == [f"± service:shop  {first}", *(f"    {field}" for field in fields)]


def test_a_variable_in_a_command_is_told_by_its_name():
    said = {"command": ["serve", "${PASSWORD}"], "probe.http": "/${PAGE}"}
    before = Made(said, {}, {"command": ["serve", "s3cret"], "probe": {"path": "/a"}})
    after = Made(said, {}, {"command": ["serve", "s3cret 2"], "probe": {"path": "/b"}})
    assert told_of(before, after) == [
        "± service:shop  a variable's value changed: PAGE, PASSWORD",
        "    command: changed",
        "    probe: changed",
    ]


def test_of_what_kept_nothing_it_is_told_that_it_differs():
    assert told_of(None, Made(SAID)) == ["± service:shop  is not as the manifest and its variables say"]


def test_all_causes_are_told_and_what_goes_along_has_none_of_its_own():
    services = [wanted("db", "2", image="new"), wanted("api", "1", "db")]
    plan = plan_services(services, {"db": seen(image="old"), "api": seen()})
    assert [(change.cause, is_along(change)) for change in plan.changes] == [
        ("changed in the manifest; image", False), ("needs db, which is made anew", True),
    ]  # fmt: skip


def test_orphans_go_first_and_a_service_that_is_not_asked_for_is_told_of():
    plan = plan_services([wanted("db", "2")], {"db": seen(), "api": seen()}, orphans=["old"])
    assert str(told(plan, {"api": ["db"], "web": ["api"]})).splitlines() == [
        "- service:old  not in the manifest any more",
        "± service:db  changed in the manifest",
        "  service:api  needs db, which is made anew, and is left as it is",
        "Plan: 0 to create, 0 to update, 1 to replace, 1 to delete",
    ]
