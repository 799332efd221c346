"""Whole plans as they are printed, narrowed down, kept and refused; on a world in memory."""

from __future__ import annotations

import dataclasses
import fcntl
import json

import pytest

from pulpo.apply.apply_lock import NAME, only_one
from pulpo.apply.change import NOTHING, Action, Change, FieldDiff, Plan
from pulpo.apply.ledger import Ledger
from pulpo.apply.part import Part
from pulpo.apply.saved import Origin, moved, read_plan, saved, write_plan
from pulpo.apply.whole import Listener, WholePlan, carry_out, make_plan
from pulpo.apply.whole_leaving import IfSeen
from pulpo.errors import UsageError
from pulpo.store.base import Collection, Index
from tests.apply.database.worlds import PROJECT
from tests.apply.wanted import deployment
from tests.apply.whole_world import Manifest, World

SERVICES = {"db": ("1", ()), "prefect": ("1", ()), "worker": ("1", ("prefect",)), "api": ("1", ("db", "prefect"))}
ORIGIN = Origin("shop", None, "local", "m1")


def manifest(**fields) -> Manifest:
    wanted = {
        "services": dict(SERVICES),
        "collections": [Collection("users", (Index(("email",), unique=True),))],
        "deployments": [deployment("scraping", project=PROJECT)],
    }
    return Manifest(**{**wanted, **fields})


def plan(world: World, wanted: Manifest, *only: str) -> WholePlan:
    return make_plan(world.targets(wanted), only or None)


def applied(wanted: Manifest | None = None) -> World:
    """A world in which a manifest was applied."""
    world = World()
    targets = world.targets(wanted or manifest())
    assert carry_out(targets, make_plan(targets)).ok
    return world


def test_from_nothing_everything_is_made():
    assert str(plan(World(), manifest())) == (
        "services\n"
        "  + service:db  is not there\n"
        "  + service:prefect  is not there\n"
        "  + service:worker  is not there\n"
        "  + service:api  is not there\n"
        "database\n"
        "  + collection:users  not in the database\n"
        "  + index:users/email  not in the database\n"
        "prefect\n"
        "  + work_pool:shop-process  not in Prefect\n"
        "  + deployment:scraping/shop  not in Prefect\n"
        "Plan: 8 to create, 0 to update, 0 to delete"
    )


def test_what_is_as_it_should_be_needs_nothing():
    found = plan(applied(), manifest())
    assert (str(found), bool(found)) == (NOTHING, False)


EDITS = {
    "a service": (
        {"services": {**SERVICES, "api": ("2", ("db", "prefect"))}},
        "services\n  ± service:api  changed in the manifest\nPlan: 0 to create, 0 to update, 1 to replace, 0 to delete",
    ),
    "a service that is needed": (
        {"services": {**SERVICES, "db": ("2", ())}},
        (
            "services\n"
            "  ± service:db  changed in the manifest\n"
            "      started anew with it: service:api\n"
            "  ± service:api  needs db, which is made anew\n"
            "  database  compared when service:db runs as it should\n"
            "Plan: 0 to create, 0 to update, 2 to replace, 0 to delete"
        ),
    ),
    "a service removed": (
        {"services": {name: one for name, one in SERVICES.items() if name != "api"}},
        "services\n  - service:api  not in the manifest any more\nPlan: 0 to create, 0 to update, 1 to delete",
    ),
    "an index": (
        {"collections": [Collection("users", (Index(("age",)),))]},
        (
            "database\n"
            "  + index:users/age  not in the database\n"
            "  - index:users/email  left the manifest\n"
            "Plan: 1 to create, 0 to update, 1 to delete"
        ),
    ),
    "a parameter": (
        {"deployments": [deployment("scraping", project=PROJECT, parameters={"pages": 3})]},
        (
            "prefect\n"
            "  ~ deployment:scraping/shop  changed in the manifest\n"
            "      parameters.pages: unset → 3\n"
            "Plan: 0 to create, 1 to update, 0 to delete"
        ),
    ),
    "a flow renamed": (
        {"deployments": [deployment("fetching", project=PROJECT)]},
        (
            "prefect\n"
            "  + deployment:fetching/shop  not in Prefect\n"
            "  - deployment:scraping/shop  left the manifest\n"
            "Plan: 1 to create, 0 to update, 1 to delete"
        ),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_planned_where_it_belongs(name):
    fields, printed = EDITS[name]
    assert str(plan(applied(), manifest(**fields))) == printed


def test_drift_stands_apart_from_what_was_changed_in_the_manifest():
    world = applied()
    (live,) = world.prefect.deployments.values()
    live["description"] = "by hand"
    found = plan(world, manifest(services={**SERVICES, "worker": ("2", ("prefect",))}))
    assert str(found) == (
        "services\n"
        "  ± service:worker  changed in the manifest\n"
        "changed behind the manifest's back\n"
        "  ~ deployment:scraping/shop  changed in Prefect\n"
        '      description: "by hand" → unset\n'
        "Plan: 0 to create, 1 to update, 1 to replace, 0 to delete"
    )


def test_what_is_destructive_is_marked():
    change = Change("collection:users", Action.DELETE, "left the manifest", (FieldDiff("a", 1, 2),), destructive=True)
    assert str(WholePlan((Part("database", Plan((change,))),))).startswith(
        "database\n  - collection:users  left the manifest  (destructive)\n      a: 1 → 2\n"
    )


def test_what_lies_behind_a_stopped_service_is_compared_when_it_runs():
    world = applied()
    del world.running["prefect"]
    world.stopped.add("prefect")
    found = plan(world, manifest(deployments=[deployment("fetching", project=PROJECT)]))
    assert str(found) == (
        "services\n"
        "  ~ service:prefect  is stopped\n"
        '      state: "stopped" → "running"\n'
        "  prefect  compared when service:prefect runs as it should\n"
        "Plan: 0 to create, 1 to update, 0 to delete"
    )
    shown: list[str] = []
    targets = world.targets(manifest(deployments=[deployment("fetching", project=PROJECT)]))
    end = carry_out(targets, make_plan(targets), Listener(on_part=lambda part: shown.append(str(part))))
    assert end.ok
    assert shown == [
        (
            "prefect\n"
            "  + deployment:fetching/shop  not in Prefect\n"
            "  - deployment:scraping/shop  left the manifest\n"
            "Plan: 1 to create, 0 to update, 1 to delete"
        )
    ]


def test_what_lies_behind_a_service_that_is_starting_is_compared_when_it_is_ready():
    world = applied()
    world.starting.add("prefect")
    edited = manifest(deployments=[deployment("scraping", project=PROJECT, parameters={"pages": 3})])
    found = plan(world, edited)
    assert (str(found).splitlines()[0], bool(found)) == ("  prefect  compared when service:prefect runs as it should", True)
    targets = world.targets(edited)
    assert carry_out(targets, make_plan(targets)).ok
    assert not plan(world, edited)


@pytest.mark.parametrize("may_empty", [True, False])
def test_what_would_be_emptied_on_the_way_is_only_where_that_was_said(may_empty):
    world = applied()
    del world.running["prefect"]
    world.stopped.add("prefect")
    targets = world.targets(manifest(deployments=[]))
    end = carry_out(targets, make_plan(targets), may_empty=may_empty)
    assert end.ok is may_empty
    assert len(world.prefect.deployments) == (0 if may_empty else 1)


def test_what_would_be_emptied_on_the_way_is_asked_for():
    world = applied()
    del world.running["prefect"]
    world.stopped.add("prefect")
    targets = world.targets(manifest(deployments=[]))
    end = carry_out(targets, make_plan(targets), Listener(confirm=lambda _: False))
    assert [(one.change.address, one.outcome) for one in end.settled][-1] == ("deployment:scraping/shop", "untried")
    assert len(world.prefect.deployments) == 1


def test_what_a_new_service_shows_as_planned_is_not_shown_again():
    shown: list[WholePlan] = []
    targets = World().targets(manifest())
    assert carry_out(targets, make_plan(targets), Listener(on_part=shown.append)).ok
    assert shown == []


def test_only_takes_along_what_is_needed_and_says_so():
    assert str(plan(World(), manifest(), "deployment:scraping/*")) == (
        "services\n"
        "  + service:prefect  is not there\n"
        "prefect\n"
        "  + work_pool:shop-process  not in Prefect\n"
        "  + deployment:scraping/shop  not in Prefect\n"
        "  service:prefect  is needed, and goes along\n"
        "  work_pool:shop-process  is needed, and goes along\n"
        "Plan: 3 to create, 0 to update, 0 to delete"
    )


def test_only_does_nothing_else():
    world = World()
    targets = world.targets(manifest())
    assert carry_out(targets, make_plan(targets, ["index:*"])).ok
    assert (world.running.keys(), list(world.database.found), world.prefect.pools) == ({"db"}, ["users"], {})


def test_only_of_what_is_there_is_nothing_to_do_and_of_what_is_nowhere_an_error():
    world = applied()
    assert not plan(world, manifest(), "service:api")
    with pytest.raises(UsageError, match="nothing has this address: service:apu") as error:
        plan(world, manifest(), "service:apu")
    assert "service:api" in error.value.hint


def test_all_going_where_nothing_is_wanted_is_told_apart():
    world = applied()
    assert not plan(world, manifest(deployments=[deployment("x", project=PROJECT)])).emptying
    found = plan(world, manifest(deployments=[]))
    assert [change.address for change in found.emptying] == ["deployment:scraping/shop"]


def test_what_goes_and_is_not_ready_is_noted_and_not_waited_for():
    world = applied()
    world.starting.add("prefect")
    part = IfSeen(world.targets(manifest())[2], "what is in it stays").plan()
    note = "prefect  could not be looked at: service:prefect is not ready; what is in it stays"
    assert (part.plan.changes, part.waits_for, [str(one) for one in part.plan.notes]) == ((), None, [note])


def test_what_failed_is_told_with_the_reason_and_what_needs_it_is_not_tried():
    world = World()
    world.failing = frozenset({"service:prefect", "index:users/email"})
    targets = world.targets(manifest())
    end = carry_out(targets, make_plan(targets))
    told = {one.change.address: (one.outcome, one.reason) for one in end.settled}
    assert told == {
        "service:db": ("done", None),
        "service:prefect": ("failed", "no luck today"),
        "service:worker": ("untried", "it needs prefect, which failed"),
        "service:api": ("untried", "it needs prefect, which failed"),
        "collection:users": ("done", None),
        "index:users/email": ("failed", "it does not want to"),
        "work_pool:shop-process": ("untried", "it needs service:prefect"),
        "deployment:scraping/shop": ("untried", "it needs service:prefect"),
    }
    assert not end.ok
    assert "services: prefect is stopped" in end.problems


def test_a_service_that_does_not_go_away_keeps_nothing_else_back():
    world = applied()
    world.running |= {"a": "1", "b": "1", "c": "1"}
    world.stopped.add("api")
    del world.running["api"]
    world.failing = frozenset({"service:b"})
    targets = world.targets(manifest())
    end = carry_out(targets, make_plan(targets))
    assert {one.change.address: (one.outcome, one.reason) for one in end.settled} == {
        "service:a": ("done", None),
        "service:b": ("failed", "b does not go away"),
        "service:c": ("done", None),
        "service:api": ("done", None),
    }
    assert ("b" in world.running, end.ok) == (True, False)


def test_a_service_that_failed_by_itself_is_told_although_nothing_was_to_be_done():
    world = applied()
    targets = world.targets(manifest())
    found = make_plan(targets)
    del world.running["api"]
    assert carry_out(targets, found).problems == ("services: api is stopped",)


def test_a_kept_plan_is_refused_when_the_manifest_or_the_world_moved(tmp_path):
    world, file = applied(), tmp_path / "plan.json"
    edited = manifest(services={**SERVICES, "worker": ("2", ("prefect",))})
    write_plan(file, saved(plan(world, edited), ORIGIN))
    assert file.stat().st_mode & 0o777 == 0o600
    before = read_plan(file)
    assert [change["address"] for change in before.changes] == ["service:worker"]
    assert moved(before, saved(plan(world, edited), ORIGIN)) == []
    other = dataclasses.replace(ORIGIN, manifest="m2", environment="prod")
    assert moved(before, saved(plan(world, edited), other)) == [
        "it is for the environment of no name, not prod",
        "the manifest was changed",
    ]
    (live,) = world.prefect.deployments.values()
    live["description"] = "by hand"
    assert moved(before, saved(plan(world, edited), ORIGIN)) == [
        "deployment:scraping/shop is not as it was",
        "other changes would be made",
    ]


@pytest.mark.parametrize("make", [lambda wanted: World(), applied])
def test_of_values_which_may_be_secrets_a_kept_plan_has_nothing_not_even_a_digest(make):
    def kept(value: str) -> object:
        wanted = manifest(deployments=[deployment("scraping", project=PROJECT, parameters={"token": value}, version="v1")])
        return saved(plan(make(wanted), wanted), ORIGIN)

    assert kept("red") == kept("blue")


@pytest.mark.parametrize("text", [None, "{", "[]", json.dumps({"version": 2}), json.dumps({"version": 1})])
def test_a_file_that_is_no_plan_says_so(tmp_path, text):
    file = tmp_path / "plan.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError):
        read_plan(file)


def test_the_second_of_two_is_told_who_the_first_is(tmp_path):
    told = pytest.raises(UsageError, match=r"pulpo apply, process \d+, since \d\d:")
    with only_one(tmp_path, "pulpo apply"), told, only_one(tmp_path, "pulpo destroy"):
        raise AssertionError
    with only_one(tmp_path, "pulpo destroy"):
        pass


def test_a_lock_that_was_removed_while_it_was_taken_is_taken_anew(tmp_path, monkeypatch):
    real, removed = fcntl.flock, []

    def flock(file, how):
        if not removed:
            removed.append((tmp_path / NAME).unlink())
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    told = pytest.raises(UsageError, match="pulpo apply, process")
    with only_one(tmp_path, "pulpo apply"), told, only_one(tmp_path, "pulpo destroy"):
        raise AssertionError


def test_changes_that_need_each_other_are_a_bug_that_is_told():
    a, b = (Change(name, Action.CREATE, "x") for name in "ab")
    with pytest.raises(AssertionError, match="a, b"):
        list(Ledger({"a": ("b",), "b": ("a",)}).layers([a, b]))
