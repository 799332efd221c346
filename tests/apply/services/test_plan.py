"""What a plan of services says: pure comparisons, their text is the test."""

from __future__ import annotations

from pulpo.apply.services.plan import MANIFEST, Observed, Wanted, plan_services, told
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


def test_orphans_go_first_and_a_service_that_is_not_asked_for_is_told_of():
    plan = plan_services([wanted("db", "2")], {"db": seen(), "api": seen()}, orphans=["old"])
    assert str(told(plan, {"api": ["db"], "web": ["api"]})).splitlines() == [
        "- service:old  not in the manifest any more",
        "± service:db  changed in the manifest",
        "  service:api  needs db, which is made anew, and is left as it is",
        "Plan: 0 to create, 0 to update, 1 to replace, 1 to delete",
    ]
