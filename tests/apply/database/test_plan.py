"""What is planned for what is wanted and what is there: printed plans, without any database."""

from __future__ import annotations

import textwrap

import pytest

from pulpo.apply.change import Action
from pulpo.apply.database import ObservedDatabase, Steps, plan_database, plan_removal
from pulpo.run.record import HISTORY
from pulpo.store.base import ANY_PROJECT, Collection, Index, ObservedCollection, ObservedIndex

COMPANY, PAIR, URL = Index(("company",)), Index(("posted", "salary")), Index(("url",), unique=True)
JOBS, PEOPLE = Collection("jobs", indexes=(COMPANY, PAIR)), Collection("people")
NOTHING = "Plan: 0 to create, 0 to update, 0 to delete"


def there(*indexes: Index, records: int = 0, project: str | None = "shop", theirs: tuple[Index, ...] = ()) -> ObservedCollection:
    found = [ObservedIndex(f"pulpo.shop:{index.label}", index, "shop") for index in indexes]
    return ObservedCollection((*found, *(ObservedIndex("by_hand", index) for index in theirs)), records, project)


def planned(wanted: list[Collection], world: dict[str, ObservedCollection], *, destroy_data: bool = False) -> Steps:
    return plan_database(wanted, ObservedDatabase(world), project="shop", destroy_data=destroy_data)


TABLE = {
    "nothing wanted, nothing there": ([], {}, NOTHING),
    "nothing there": (
        [PEOPLE, JOBS],
        {},
        """\
        + collection:jobs  not in the database
        + collection:people  not in the database
        + index:jobs/company  not in the database
        + index:jobs/posted+salary  not in the database
        Plan: 4 to create, 0 to update, 0 to delete""",
    ),
    "all there": ([JOBS, PEOPLE], {"jobs": there(COMPANY, PAIR, records=3), "people": there()}, NOTHING),
    "a new index": (
        [JOBS],
        {"jobs": there(COMPANY)},
        """\
        + index:jobs/posted+salary  not in the database
        Plan: 1 to create, 0 to update, 0 to delete""",
    ),
    "an index left, another came": (
        [Collection("jobs", indexes=(PAIR,))],
        {"jobs": there(COMPANY, records=2)},
        """\
        + index:jobs/posted+salary  not in the database
        - index:jobs/company  left the manifest
        Plan: 1 to create, 0 to update, 1 to delete""",
    ),
    "an index became unique": (
        [Collection("jobs", indexes=(URL,))],
        {"jobs": there(Index(("url",)))},
        """\
        ± index:jobs/url  changed in the manifest
            unique: false → true
        Plan: 0 to create, 0 to update, 1 to replace, 0 to delete""",
    ),
    "an index became unique, and the apply was killed before it dropped the old one": (
        [Collection("jobs", indexes=(URL,))],
        {"jobs": there(URL, Index(("url",)))},
        """\
        ± index:jobs/url  changed in the manifest
            unique: false → true
        Plan: 0 to create, 0 to update, 1 to replace, 0 to delete""",
    ),
    "an index was altered by hand": (
        [Collection("jobs", indexes=(COMPANY,))],
        {"jobs": ObservedCollection((ObservedIndex("pulpo.shop:company", COMPANY, "shop", altered=True),), 0, "shop")},
        """\
        ± index:jobs/company  changed in the database
        Plan: 0 to create, 0 to update, 1 to replace, 0 to delete""",
    ),
    "somebody's index does the same": ([Collection("jobs", indexes=(COMPANY,))], {"jobs": there(theirs=(COMPANY,))}, NOTHING),
    "somebody's index is over other fields": ([PEOPLE], {"people": there(theirs=(COMPANY,))}, NOTHING),
    "another project's index is not wanted here": (
        [PEOPLE],
        {"people": ObservedCollection((ObservedIndex("pulpo.other:company", COMPANY, "other"),), 0, "shop")},
        NOTHING,
    ),
    "an empty collection left": (
        [],
        {"jobs": there(COMPANY, PAIR)},
        """\
        - collection:jobs  left the manifest, is empty
        Plan: 0 to create, 0 to update, 1 to delete""",
    ),
    "a collection with records left": (
        [PEOPLE],
        {"people": there(), "jobs": there(COMPANY, records=3)},
        """\
          collection:jobs  left the manifest, holds 3 records: --destroy-data drops it
        Plan: 0 to create, 0 to update, 0 to delete""",
    ),
    "somebody's collections": ([], {"theirs": there(project=None, theirs=(URL,)), "others": there(project="other")}, NOTHING),
    "somebody's collection, in which there are indexes of ours": (
        [],
        {"theirs": there(COMPANY, PAIR, records=1, project=None, theirs=(URL,))},
        """\
        - index:theirs/company  left the manifest
        - index:theirs/posted+salary  left the manifest
        Plan: 0 to create, 0 to update, 2 to delete""",
    ),
    "somebody's collection is used": (
        [JOBS],
        {"jobs": there(COMPANY, project=None, records=9)},
        """\
        + index:jobs/posted+salary  not in the database
        Plan: 1 to create, 0 to update, 0 to delete""",
    ),
    "another project's collection is used": (
        [PEOPLE],
        {"people": there(project="other")},
        """\
          collection:people  was made by the project other, which has its records in it, too
        Plan: 0 to create, 0 to update, 0 to delete""",
    ),
    "a file of one project": (
        [],
        {"old": ObservedCollection((), 0, ANY_PROJECT)},
        """\
        - collection:old  left the manifest, is empty
        Plan: 0 to create, 0 to update, 1 to delete""",
    ),
    "the history of runs": (list(HISTORY), {"pulpo_runs": there(), "pulpo_logs": there(COMPANY, records=2)}, NOTHING),
}


@pytest.mark.parametrize(("wanted", "world", "expected"), TABLE.values(), ids=TABLE.keys())
def test_the_plan(wanted, world, expected):
    assert str(planned(wanted, world).plan) == textwrap.dedent(expected)
    shuffled = ObservedDatabase(dict(reversed(world.items())))
    assert plan_database(list(reversed(wanted)), shuffled, project="shop") == planned(wanted, world)


def test_records_go_only_when_that_is_said_and_are_marked():
    steps = planned([], {"jobs": there(COMPANY, records=1), "people": there()}, destroy_data=True)
    assert str(steps.plan) == textwrap.dedent("""\
        - collection:jobs  left the manifest, holds 1 record
        - collection:people  left the manifest, is empty
        Plan: 0 to create, 0 to update, 2 to delete""")
    assert [change.destructive for change in steps.plan.changes] == [True, False]


def test_what_was_changed_in_the_database_is_drift():
    altered = ObservedIndex("pulpo.shop:company", COMPANY, "shop", altered=True)
    (change,) = planned(
        [Collection("jobs", indexes=(COMPANY,))], {"jobs": ObservedCollection((altered,), 0, "shop")}
    ).plan.changes
    assert (change.action, change.drift) == (Action.REPLACE, True)


def test_indexes_need_their_collection_while_it_is_not_there():
    steps = planned([JOBS, Collection("people", indexes=(URL,))], {"people": there()})
    assert steps.needs == {
        "index:jobs/company": ("collection:jobs",),
        "index:jobs/posted+salary": ("collection:jobs",),
    }


def test_no_two_changes_have_one_address():
    world = {"jobs": there(URL, Index(("url",)), COMPANY), "old": there(URL, Index(("url",)), project=None)}
    addresses = [change.address for change in planned([JOBS], world).plan.changes]
    assert addresses == ["index:jobs/posted+salary", "index:jobs/url", "index:old/url"]


def test_removal_takes_what_is_ours_and_the_history_of_runs():
    world = {
        "jobs": there(COMPANY, records=3),
        "pulpo_runs": there(records=1),
        "theirs": there(COMPANY, project=None, records=1, theirs=(URL,)),
    }
    steps = plan_removal(ObservedDatabase(world), project="shop")
    assert str(steps.plan) == textwrap.dedent("""\
        - index:theirs/company  of this project
        - collection:jobs  of this project, holds 3 records
        - collection:pulpo_runs  of this project, holds 1 record
        Plan: 0 to create, 0 to update, 3 to delete""")
    assert [change.destructive for change in steps.plan.changes] == [False, True, True]


def test_removal_leaves_the_history_that_another_project_shares():
    world = {"jobs": there(), "orders": there(project="other"), "pulpo_runs": there(records=1)}
    steps = plan_removal(ObservedDatabase(world), project="shop")
    assert str(steps.plan) == textwrap.dedent("""\
        - collection:jobs  of this project, is empty
          collection:pulpo_runs  stays: the project other has its runs in it, too
        Plan: 0 to create, 0 to update, 1 to delete""")


def test_the_facts_tell_all_that_a_plan_looks_at_but_numbers_of_records():
    def facts(*indexes: Index, records: int = 0) -> object:
        return ObservedDatabase({"jobs": there(*indexes, records=records)}).facts

    assert facts(COMPANY, records=1) == facts(COMPANY, records=2)
    assert len({str(one) for one in (facts(), facts(COMPANY), facts(URL), facts(Index(("url",))), facts(records=1))}) == 5
    assert list(facts(PAIR, COMPANY)) == ["collection:jobs", "index:jobs/company", "index:jobs/posted+salary"]
