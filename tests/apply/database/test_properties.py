"""What holds of every database and every manifest, over one in memory that others share and over the embedded store."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.apply.change import Change
from pulpo.apply.database import ObservedDatabase, Steps, execute_database, observe, plan_database, plan_removal
from pulpo.errors import ApplyError
from pulpo.store.base import Collection, Conflict, Index, ObservedCollection, ObservedIndex, Record
from pulpo.store.sqlite import SqliteStore
from tests.apply.database.worlds import PROJECT, Breaking, InMemory, Killed

NAMES = ("jobs", "Jobs", "old.jobs", "people")
FIELDS = (("x",), ("y",), ("x", "y"))

Wanted = Mapping[str, Collection]

indexes = st.lists(st.builds(Index, st.sampled_from(FIELDS), st.booleans()), unique_by=lambda index: index.fields).map(tuple)
manifests = st.dictionaries(st.sampled_from(NAMES), indexes).map(
    lambda found: {name: Collection(name, indexes=made) for name, made in found.items()}
)
some_records = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.fixed_dictionaries({"x": st.integers(0, 2), "y": st.integers(0, 2)}), max_size=3)
)
_projects = st.sampled_from([PROJECT, "other", None])


def _observed_index(index: Index, project: str | None, altered: bool, number: int) -> ObservedIndex:
    name = f"by_hand_{number}" if project is None else f"pulpo.{project}:{index.label}"
    return ObservedIndex(name, index, project, altered=altered and project is not None)


@st.composite
def shared(draw: st.DrawFn) -> InMemory:
    """A database in which others have things, and somebody altered what is ours."""
    world = InMemory()
    for name, project in draw(st.dictionaries(st.sampled_from(NAMES), _projects)).items():
        made = draw(st.lists(st.tuples(st.builds(Index, st.sampled_from(FIELDS)), _projects, st.booleans()), unique=True))
        found = {one.name: one for number, said in enumerate(made) for one in [_observed_index(*said, number)]}
        world.found[name] = ObservedCollection(tuple(found.values()), 0, project)
        world.records[name] = {str(n): {} for n in range(draw(st.integers(0, 1)))}
    return world


@asynccontextmanager
async def embedded():
    with tempfile.TemporaryDirectory(prefix="pulpo-database-") as directory:
        async with SqliteStore(Path(directory) / "store.db") as store:
            yield store


@asynccontextmanager
async def in_memory():
    yield InMemory()


BOTH = pytest.mark.parametrize("database", [in_memory, embedded])


async def put(store: Any, contents: Mapping[str, list[dict[str, int]]]) -> None:
    for name, data in contents.items():
        if data:
            await store.upsert_many(Collection(name), [Record(f"{name}-{n}", one) for n, one in enumerate(data)])


async def planned(store: Any, wanted: Wanted, *, destroy_data: bool = False) -> Steps:
    return plan_database(list(wanted.values()), await observe(store), project=PROJECT, destroy_data=destroy_data)


async def applied(store: Any, wanted: Wanted, *, order: Random | None = None, destroy_data: bool = False) -> dict[str, str]:
    """Plan and execute, in another order that the plan allows where one is given; the changes that failed, with the reason."""
    steps = await planned(store, wanted, destroy_data=destroy_data)
    failures: dict[str, str] = {}

    def failed(change: Change, error: Exception) -> None:
        failures[change.address] = str(error)

    try:
        await execute_database(store, shuffled(steps, order) if order else steps, on_failure=failed)
    except ApplyError:
        assert failures
    else:
        assert not failures
    return failures


def shuffled(steps: Steps, order: Random) -> Steps:
    """The steps in any order in which each comes after what it needs."""
    waiting, placed = list(steps.steps), []
    while waiting:
        addresses = {step.change.address for step in waiting}
        free = [step for step in waiting if not addresses.intersection(steps.needs.get(step.change.address, ()))]
        placed.append(order.choice(free))
        waiting.remove(placed[-1])
    return Steps(tuple(placed), steps.notes)


async def check_reached(store: Any, wanted: Wanted, failures: Mapping[str, str] = {}) -> None:
    """The database is as the manifest says, but for what failed, and the next plan has nothing else to do."""
    left = await planned(store, wanted)
    assert {change.address for change in left.plan.changes} == set(failures)
    found = await store.structure()
    assert found.keys() >= wanted.keys() - {address.partition(":")[2] for address in failures}
    for name, one in found.items():
        assert name in wanted or one.records or not one.is_of(PROJECT)
        does = {index.index for index in one.indexes if not index.altered}
        if name in wanted and not failures:
            assert does >= set(wanted[name].indexes)
            assert {index.index for index in one.indexes if index.is_of(PROJECT)} <= set(wanted[name].indexes)


def others(found: Mapping[str, ObservedCollection]) -> dict[str, tuple[Any, ...]]:
    """What is not the project's: whole collections with their records, and indexes."""
    return {
        name: (
            one.project,
            one.records if not one.is_of(PROJECT) else None,
            tuple(i for i in one.indexes if not i.is_of(PROJECT)),
        )
        for name, one in found.items()
        if not one.is_of(PROJECT) or any(not i.is_of(PROJECT) for i in one.indexes)
    }


@BOTH
@given(states=st.lists(st.tuples(some_records, manifests), min_size=1, max_size=3), order=st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_any_order_that_the_plan_allows_reaches_what_is_wanted(database, states, order):
    async def check() -> None:
        async with database() as store:
            for contents, wanted in states:
                with suppress(Conflict):  # an index of the last manifest is unique
                    await put(store, contents)
                held = {name: one.records for name, one in (await store.structure()).items()}
                failures = await applied(store, wanted, order=order)
                assert all("unique" in reason for reason in failures.values())
                await check_reached(store, wanted, failures)
                after = {name: one.records for name, one in (await store.structure()).items()}
                assert {name: count for name, count in after.items() if count} == {n: c for n, c in held.items() if c}

    asyncio.run(check())


@given(world=shared(), wanted=manifests, order=st.randoms(use_true_random=False), destroy_data=st.booleans())
@settings(deadline=None, max_examples=100)
def test_what_is_others_stays(world, wanted, order, destroy_data):
    async def check() -> None:
        before = others(await world.structure())
        ours = {name for name, one in world.found.items() if one.is_of(PROJECT)}
        assert await applied(world, wanted, order=order, destroy_data=destroy_data) == {}
        await check_reached(world, wanted)
        after = others(await world.structure())
        assert {name: found for name, found in after.items() if name not in ours} == {
            name: found for name, found in before.items() if name not in ours
        }
        await execute_database(world, plan_removal(await observe(world), project=PROJECT))
        last = await world.structure()
        assert not any(one.is_of(PROJECT) or any(i.is_of(PROJECT) for i in one.indexes) for one in last.values())

    asyncio.run(check())


@BOTH
@given(first=manifests, contents=some_records, wanted=manifests, killed_at=st.integers(1, 8), is_after=st.booleans())
@settings(deadline=None, max_examples=25)
def test_what_was_killed_anywhere_is_finished_by_the_next(database, first, contents, wanted, killed_at, is_after):
    async def check() -> None:
        async with database() as store:
            await put(store, contents)
            await applied(store, first)
            with suppress(Killed):
                await applied(Breaking(store, killed_at, is_after), wanted)
            failures = await applied(store, wanted)
            assert all("unique" in reason for reason in failures.values())
            await check_reached(store, wanted, failures)

    asyncio.run(check())


@BOTH
@given(wanted=manifests, failing=st.sets(st.sampled_from(NAMES)), fields=st.sets(st.sampled_from(FIELDS)))
@settings(deadline=None, max_examples=25)
def test_what_fails_keeps_back_only_what_needs_it(database, wanted, failing, fields):
    def fails(name: str, made: tuple[Index, ...]) -> bool:
        return name in failing if not made else made[0].fields in fields

    async def check() -> None:
        async with database() as store:
            failures = await applied(Breaking(store, fails=fails), wanted)
            made = {name: one for name, one in wanted.items() if name not in failing}
            assert failures.keys() == {f"collection:{name}" for name in wanted.keys() & failing} | {
                f"index:{name}/{'+'.join(index.fields)}"
                for name, one in made.items()
                for index in one.indexes
                if index.fields in fields
            }
            assert (await store.structure()).keys() == made.keys()
            assert await applied(store, wanted) == {}
            await check_reached(store, wanted)

    asyncio.run(check())


@BOTH
@given(contents=some_records, wanted=manifests)
@settings(deadline=None, max_examples=15)
def test_what_came_in_after_the_plan_is_not_dropped(database, contents, wanted):
    async def check() -> None:
        async with database() as store:
            await applied(store, {name: Collection(name) for name in NAMES})
            steps = await planned(store, wanted)
            await put(store, contents)
            held = {name: one.records for name, one in (await store.structure()).items() if one.records}
            with suppress(ApplyError):
                await execute_database(store, steps)
            after = await store.structure()
            assert {name: one.records for name, one in after.items() if one.records} == held

    asyncio.run(check())


async def test_two_at_once_reach_the_same_in_the_embedded_store():
    async with embedded() as store, store.another() as other:
        for number in range(20):
            wanted = {f"c{n}": Collection(f"c{n}", indexes=(Index(("x",)),)) for n in range(4) if number % 2 == 0}
            plans = [(one, await planned(one, wanted)) for one in (store, other)]
            looks = [observe(one) for one in (store, other) for _ in range(5)]
            await asyncio.gather(*(execute_database(one, steps) for one, steps in plans), *looks)
            await check_reached(store, wanted)
            await check_reached(other, wanted)


def test_nothing_at_all_is_an_empty_database():
    assert plan_database([], ObservedDatabase(), project=PROJECT) == Steps()
