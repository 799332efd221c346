"""What every store does, whatever is behind it."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pulpo.store.base import (
    Collection,
    Condition,
    Conflict,
    Ensured,
    Index,
    NotFound,
    ObservedCollection,
    Operator,
    Page,
    Record,
    Sort,
    Stale,
    Store,
    StoreError,
    Written,
)

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def record(number: int, **data: Any) -> Record:
    return Record(f"{number:024x}", data, run="r1", operation="fetch")


async def put(store: Store, jobs: Collection, *contents: dict[str, Any]) -> list[Record]:
    records = [record(number, **data) for number, data in enumerate(contents)]
    await store.upsert_many(jobs, records)
    return records


async def numbers(store: Store, jobs: Collection, field: str, operator: Operator, value: Any) -> list[int]:
    """The numbers of the records that meet a condition; `find` and `count` agree."""
    where = [Condition(field, operator, value)]
    page = await store.find(jobs, where)
    assert await store.count(jobs, where) == len(page.items)
    return [int(found.id, 16) for found in page.items]


async def pages(store: Store, jobs: Collection, *, limit: int, sort: Sequence[Sort] = (), **query: Any) -> list[list[Record]]:
    found: list[list[Record]] = []
    page: Page = await store.find(jobs, sort=sort, limit=limit, **query)
    found.append(page.items)
    while page.next is not None:
        page = await store.find(jobs, sort=sort, limit=limit, after=page.next, **query)
        found.append(page.items)
    return found


def ids(records: Iterable[Record]) -> list[int]:
    return [int(found.id, 16) for found in records]


# Collections


def own_indexes(found: ObservedCollection) -> dict[Index, str]:
    """The names of the indexes that a project made."""
    return {one.index: one.name for one in found.indexes if one.project is not None}


async def test_the_structure_is_what_was_ensured(store: Store, jobs: Collection) -> None:
    assert await store.structure() == {}
    unique = Index(("email", "name"), unique=True)
    await store.ensure(Collection("People", indexes=(unique,)))
    await put(store, jobs, {"title": "a"}, {"title": "b"})
    found = await store.structure()
    assert {name: (one.records, set(own_indexes(one))) for name, one in found.items()} == {
        "People": (0, {unique}),
        "jobs": (2, set(jobs.indexes)),
    }
    assert list(found) == ["People", "jobs"]
    assert {one.is_of("shop") for one in found.values()} == {True}
    assert not any(index.altered for one in found.values() for index in one.indexes)


async def test_an_index_is_dropped_by_its_name_and_can_be_made_again(store: Store, jobs: Collection) -> None:
    await store.ensure(jobs)
    name = own_indexes((await store.structure())["jobs"])[Index(("company",))]
    assert [await store.drop_index("jobs", name), await store.drop_index("jobs", name)] == [True, False]
    assert not await store.drop_index("nothing", name)
    assert set(own_indexes((await store.structure())["jobs"])) == {Index(("posted", "salary"))}
    assert await store.ensure(jobs) == Ensured(created=False, indexes=(Index(("company",)),))


async def test_a_unique_index_that_was_dropped_forbids_nothing(store: Store) -> None:
    people = Collection("people", indexes=(Index(("email",), unique=True),))
    await store.create(people, record(1, email="a"))
    await store.drop_index("people", own_indexes((await store.structure())["people"])[people.indexes[0]])
    await store.create(Collection("people"), record(2, email="a"))
    with pytest.raises(Conflict, match="unique: email"):
        await store.ensure(people)


async def test_a_collection_with_records_is_dropped_only_when_that_is_said(store: Store, jobs: Collection) -> None:
    await put(store, jobs, {"title": "a"})
    await store.ensure(Collection("people"))
    with pytest.raises(Conflict, match="the collection is not empty: jobs"):
        await store.drop_collection("jobs")
    assert await store.count(jobs) == 1
    assert [await store.drop_collection("people"), await store.drop_collection("people")] == [True, False]
    assert await store.drop_collection("jobs", with_records=True)
    assert await store.structure() == {}
    assert await store.count(jobs) == 0


async def test_a_dropped_collection_is_made_anew_by_whoever_knew_it(store: Store, jobs: Collection) -> None:
    unique = Collection("people", indexes=(Index(("email",), unique=True),))
    await store.create(unique, record(1, email="a"))
    assert await store.drop_collection("people", with_records=True)
    await store.create(unique, record(1, email="a"))
    with pytest.raises(Conflict):
        await store.create(unique, record(2, email="a"))
    assert (await store.structure())["people"].is_of("shop")


async def test_another_that_knew_a_dropped_collection_still_writes_to_it(store: Store, jobs: Collection) -> None:
    async with store.another() as other:
        await other.create(jobs, record(1))
        assert (await store.structure())["jobs"].is_of("shop")
        await store.drop_collection("jobs", with_records=True)
        await other.create(jobs, record(2))
        await other.upsert_many(jobs, [record(3)])
    assert await store.count(jobs) == 2


async def test_the_version_of_a_dropped_collection_moves_on(store: Store, jobs: Collection) -> None:
    async with store.another() as other:  # what it has to tell is told when it is closed
        await other.create(jobs, record(1))
    before = (await store.versions())["jobs"]
    await store.drop_collection("jobs", with_records=True)
    dropped = (await store.versions())["jobs"]
    await store.ensure(jobs)
    assert before < dropped <= (await store.versions())["jobs"]


async def test_a_collection_that_nobody_ensured_reads_as_empty(store: Store, jobs: Collection) -> None:
    assert await store.get(jobs, "a") is None
    assert await store.get_many(jobs, ["a"]) == []
    assert await store.find(jobs) == Page()
    assert await store.count(jobs) == 0


async def test_writing_ensures_the_collection_with_its_indexes(store: Store) -> None:
    unique = Collection("people", indexes=(Index(("email",), unique=True),))
    await store.create(unique, record(1, email="a@b"))
    with pytest.raises(Conflict):
        await store.create(unique, record(2, email="a@b"))
    assert await store.delete(Collection("nobody"), "a") is False
    assert await store.delete_where(Collection("nothing"), []) == 0


async def test_ensuring_again_changes_nothing_and_adds_what_is_new(store: Store, jobs: Collection) -> None:
    await store.create(jobs, record(1, company="x"))
    await store.ensure(jobs)
    await store.ensure(Collection("jobs", indexes=(Index(("title",)),)))
    assert await store.count(jobs) == 1


async def test_a_unique_index_over_records_that_break_it_is_a_conflict(store: Store, jobs: Collection) -> None:
    await put(store, jobs, {"url": "x"}, {"url": "x"})
    with pytest.raises(Conflict, match=r"two records of jobs would agree in what has to be unique: url"):
        await store.ensure(Collection("jobs", indexes=(Index(("url",), unique=True),)))
    assert await store.count(jobs) == 2


@pytest.mark.parametrize("name", ["", "1st", "a b", 'a"b', "a;b", "x" * 121, "pulpo_collections", "system.users"])
def test_names_that_no_collection_can_have(name: str) -> None:
    with pytest.raises(StoreError, match="name"):
        Collection(name)


async def test_collections_whose_names_differ_in_case_only_are_two(store: Store) -> None:
    names = ["jobs", "Jobs", "JOBS", "sqlite_jobs", "a.b-c", "select"]
    for number, name in enumerate(names):
        await store.create(Collection(name, indexes=(Index(("n",)),)), record(number, n=number))
    for number, name in enumerate(names):
        assert ids((await store.find(Collection(name))).items) == [number]


# Writing one


async def test_a_created_record_is_read_as_it_was_returned(store: Store, jobs: Collection) -> None:
    made = await store.create(jobs, record(1, title="a", tags=["x"], company={"name": "ñ", "size": None}))
    assert await store.get(jobs, made.id) == made
    assert made == Record(
        made.id,
        {"title": "a", "tags": ["x"], "company": {"name": "ñ", "size": None}},
        rev=1,
        run="r1",
        operation="fetch",
        created=made.created,
        updated=made.created,
    )
    assert made.created is not None
    assert abs(datetime.now(UTC) - made.created) < timedelta(seconds=5)
    assert made.created.microsecond % 1000 == 0


async def test_an_id_that_is_taken_is_a_conflict(store: Store, jobs: Collection) -> None:
    await store.create(jobs, record(1, title="a"))
    with pytest.raises(Conflict, match=r"there is a record with this id already: jobs/0+1$"):
        await store.create(jobs, record(1, title="b"))
    assert (await store.find(jobs)).items[0].data == {"title": "a"}


async def test_an_empty_id_is_refused(store: Store, jobs: Collection) -> None:
    with pytest.raises(StoreError, match="the id of a record can't be empty, in collection: jobs"):
        await store.create(jobs, Record("", {}))


async def test_replacing_moves_the_revision_and_keeps_who_created_it(store: Store, jobs: Collection) -> None:
    old = await store.create(jobs, record(1, title="a", extra=1))
    new = await store.replace(jobs, Record(old.id, {"title": "b"}))
    assert (new.data, new.rev, new.run, new.operation, new.created) == ({"title": "b"}, 2, "r1", "fetch", old.created)
    assert new == await store.get(jobs, old.id)
    again = await store.replace(jobs, Record(old.id, {"title": "b"}, run="r2"))
    assert (again.rev, again.updated, again.run) == (2, new.updated, "r2")


async def test_patching_changes_top_level_fields_only(store: Store, jobs: Collection) -> None:
    old = await store.create(jobs, record(1, title="a", company={"name": "x", "size": 1}, unknown=[1]))
    new = await store.patch(jobs, old.id, {"company": {"name": "y"}, "title": None})
    assert (new.data, new.rev) == ({"title": None, "company": {"name": "y"}, "unknown": [1]}, 2)
    assert (await store.patch(jobs, old.id, {"title": None})).rev == 2


async def test_what_is_not_there_can_neither_be_replaced_nor_patched(store: Store, jobs: Collection) -> None:
    with pytest.raises(NotFound, match="there is no such record: jobs/x"):
        await store.replace(jobs, Record("x", {}))
    with pytest.raises(NotFound, match="there is no such record: jobs/x"):
        await store.patch(jobs, "x", {})
    assert await store.delete(jobs, "x", if_rev=1) is False


async def test_a_revision_that_moved_on_is_stale(store: Store, jobs: Collection) -> None:
    made = await store.create(jobs, record(1, n=0))
    await store.patch(jobs, made.id, {"n": 1}, if_rev=1)
    for write in (
        store.patch(jobs, made.id, {"n": 2}, if_rev=1),
        store.replace(jobs, record(1, n=2), if_rev=1),
        store.delete(jobs, made.id, if_rev=1),
    ):
        with pytest.raises(Stale, match="is not at revision 1 any more, but at: 2"):
            await write
    assert await store.delete(jobs, made.id, if_rev=2) is True
    assert await store.get(jobs, made.id) is None


async def test_of_ten_writers_that_compare_and_swap_one_wins(store: Store, jobs: Collection) -> None:
    made = await store.create(jobs, record(1, n=0))
    done = await asyncio.gather(*(store.patch(jobs, made.id, {"n": n}, if_rev=1) for n in range(1, 11)), return_exceptions=True)
    won = [result for result in done if isinstance(result, Record)]
    assert len(won) == 1
    assert sum(isinstance(result, Stale) for result in done) == 9
    assert await store.get(jobs, made.id) == won[0]


async def test_patches_without_a_revision_all_land(store: Store, jobs: Collection) -> None:
    made = await store.create(jobs, record(1))
    await asyncio.gather(*(store.patch(jobs, made.id, {f"f{n}": n}) for n in range(20)))
    found = await store.get(jobs, made.id)
    assert found is not None
    assert (found.rev, found.data) == (21, {f"f{n}": n for n in range(20)})


# Batches


async def test_an_upsert_counts_what_is_new_changed_and_equal(store: Store, jobs: Collection) -> None:
    batch = [record(n, n=n) for n in range(25)]
    assert await store.upsert_many(jobs, batch) == Written(inserted=25)
    assert await store.upsert_many(jobs, batch) == Written(unchanged=25)
    changed = [*batch[:20], *(record(n, n=-n) for n in range(20, 27))]
    assert await store.upsert_many(jobs, changed) == Written(inserted=2, updated=5, unchanged=20)
    assert {found.rev for found in (await store.find(jobs)).items} == {1, 2}
    assert await store.upsert_many(jobs, []) == Written()


async def test_an_equal_record_gets_the_new_run_without_a_new_revision(store: Store, jobs: Collection) -> None:
    old = await store.create(jobs, record(1, n=1))
    await store.upsert_many(jobs, [Record(old.id, {"n": 1}, run="r2", operation="clean")])
    new = await store.get(jobs, old.id)
    assert new == Record(old.id, {"n": 1}, 1, "r2", "clean", old.created, old.updated)
    await store.upsert_many(jobs, [Record(old.id, {"n": 2})])
    kept = await store.get(jobs, old.id)
    assert kept is not None
    assert (kept.rev, kept.run, kept.operation, kept.created) == (2, "r2", "clean", old.created)


async def test_of_several_records_with_one_id_the_last_counts(store: Store, jobs: Collection) -> None:
    batch = [record(1, n=1), record(2, n=2), record(1, n=3)]
    assert await store.upsert_many(jobs, batch) == Written(inserted=2)
    assert [found.data["n"] for found in (await store.find(jobs)).items] == [3, 2]
    assert await store.upsert_many(jobs, batch) == Written(unchanged=2)


async def test_a_batch_with_a_taken_unique_value_is_a_conflict_and_can_be_given_again(store: Store) -> None:
    people = Collection("people", indexes=(Index(("email",), unique=True),))
    await store.create(people, record(1, email="a"))
    with pytest.raises(Conflict, match="two records of people would agree in what has to be unique: email") as caught:
        await store.upsert_many(people, [record(2, email="b"), record(3, email="a")])
    assert caught.value.hint
    await store.upsert_many(people, [record(2, email="b"), record(3, email="c")])
    assert await store.count(people) == 3


async def test_unique_values_are_kept_by_every_way_to_write(store: Store) -> None:
    people = Collection("people", indexes=(Index(("site", "email"), unique=True),))
    await store.upsert_many(people, [record(1, site=1, email="a"), record(2, site=2, email="a")])
    with pytest.raises(Conflict, match="unique: site, email"):
        await store.patch(people, record(2).id, {"site": 1})
    with pytest.raises(Conflict, match="unique: site, email"):
        await store.replace(people, record(2, site=1, email="a"))
    assert ids((await store.find(people, [Condition("site", "eq", 2)])).items) == [2]


async def test_records_without_the_unique_value_do_not_collide(store: Store) -> None:
    people = Collection("people", indexes=(Index(("email",), unique=True),))
    await store.upsert_many(people, [record(1), record(2, email=None), record(3)])
    assert await store.count(people) == 3


async def test_records_come_back_in_the_order_of_the_ids_asked_for(store: Store, jobs: Collection) -> None:
    records = await put(store, jobs, *({"n": n} for n in range(1200)))
    wanted = [found.id for found in reversed(records)]
    found = await store.get_many(jobs, ["nobody", *wanted, wanted[0]])
    assert [one.id for one in found] == [*wanted, wanted[0]]
    assert found[-1].data == {"n": 1199}
    assert await store.get_many(jobs, []) == []


async def test_deleting_what_the_last_run_no_longer_made(store: Store, jobs: Collection) -> None:
    await store.upsert_many(jobs, [record(n, n=n) for n in range(4)])
    await store.upsert_many(jobs, [Record(record(n).id, {"n": n}, run="r2", operation="fetch") for n in range(2)])
    await store.upsert_many(jobs, [Record("f" * 24, {"n": 9}, run="r1", operation="other")])
    swept = await store.delete_where(jobs, [Condition("_operation", "eq", "fetch"), Condition("_run", "ne", "r2")])
    assert swept == 2
    assert [found.data["n"] for found in (await store.find(jobs)).items] == [0, 1, 9]
    assert await store.delete_where(jobs, []) == 3


# Values


async def test_times_come_back_as_times_in_utc_to_the_millisecond(store: Store, jobs: Collection) -> None:
    naive = datetime(988, 2, 3)  # noqa: DTZ001
    made = await store.create(jobs, record(1, posted=datetime(2026, 1, 1, 12, 0, 0, 123999, tzinfo=UTC), early=naive))
    assert made.data == {
        "posted": datetime(2026, 1, 1, 12, 0, 0, 123000, tzinfo=UTC),
        "early": datetime(988, 2, 3, tzinfo=UTC),
    }
    assert await numbers(store, jobs, "early", "lt", datetime(1999, 1, 1, tzinfo=UTC)) == [1]


async def test_numbers_keep_their_kind_and_size(store: Store, jobs: Collection) -> None:
    data = {"big": 2**63 - 1, "small": -(2**63), "float": 1.0, "tiny": 5e-324, "third": 1 / 3, "yes": True}
    await store.create(jobs, record(1, **data))
    found = await store.get(jobs, record(1).id)
    assert found is not None
    assert found.data == data
    assert {name: type(value) for name, value in found.data.items()} == {name: type(value) for name, value in data.items()}
    for name, value in data.items():
        assert await numbers(store, jobs, name, "eq", value) == [1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a.b": 1}, r"jobs/x: a value can't be stored: a field's name can't hold '\.': 'a\.b'"),
        ({"_rev": 1}, r"a field's name can't begin with _: '_rev'"),
        ({"a": {"$d": 1}}, r"a value can't be stored: at a: a field's name can't begin with \$: '\$d'"),
        ({"a": [{"b": 2**63}]}, r"at a\.0\.b: an integer of more than 64 bits: it has 64"),
        ({"a": object()}, r"at a: it is of type builtins\.object"),
        ({"a": "x" * 17_000_000}, r"a record is at most 16777216 bytes, this one has: 17000008"),
    ],
)
async def test_what_can_not_be_stored_is_refused_by_every_write(
    store: Store, jobs: Collection, data: dict[str, Any], message: str
) -> None:
    for write in (store.create(jobs, Record("x", data)), store.upsert_many(jobs, [Record("w", {}), Record("x", data)])):
        with pytest.raises(StoreError, match=message):
            await write
    await store.upsert_many(jobs, [Record("x", {})])
    for write in (store.replace(jobs, Record("x", data)), store.patch(jobs, "x", data)):
        with pytest.raises(StoreError, match=message):
            await write
    assert await store.count(jobs) == 1


async def test_a_field_called_id_is_the_models_own(store: Store, jobs: Collection) -> None:
    await put(store, jobs, {"id": 7}, {"id": "x"})
    assert await numbers(store, jobs, "id", "eq", 7) == [0]
    assert await numbers(store, jobs, "_id", "eq", record(1).id) == [1]


# Conditions


MIXED: tuple[dict[str, Any], ...] = (
    {"v": 1},
    {"v": True},
    {"v": "1"},
    {"v": None},
    {},
    {"v": 1.5},
    {"v": False},
    {"v": NEW_YEAR},
    {"v": {"a": 1}},
    {"v": 0},
)


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("eq", 1, [0]),
        ("eq", True, [1]),
        ("eq", "1", [2]),
        ("eq", None, [3, 4]),
        ("eq", NEW_YEAR, [7]),
        ("ne", 1, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("ne", None, [0, 1, 2, 5, 6, 7, 8, 9]),
        ("gt", 0, [0, 5]),
        ("gte", 0, [0, 5, 9]),
        ("lt", 1.5, [0, 9]),
        ("lte", 1.5, [0, 5, 9]),
        ("gte", "", [2]),
        ("gt", datetime(1990, 1, 1, tzinfo=UTC), [7]),
        ("lte", NEW_YEAR, [7]),
        ("lt", NEW_YEAR, []),
        ("in", [1, "1", None], [0, 2, 3, 4]),
        ("in", [True, NEW_YEAR, 1.5], [1, 5, 7]),
        ("in", [], []),
        ("nin", [1, None], [1, 2, 5, 6, 7, 8, 9]),
        ("nin", [], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("exists", True, [0, 1, 2, 3, 5, 6, 7, 8, 9]),
        ("exists", False, [4]),
        ("contains", "1", [2]),
        ("contains", "", [2]),
        ("startswith", "1", [2]),
        ("startswith", "{", []),
    ],
)
async def test_conditions_match_by_type(
    store: Store, jobs: Collection, operator: Operator, value: Any, expected: list[int]
) -> None:
    await put(store, jobs, *MIXED)
    assert await numbers(store, jobs, "v", operator, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", [0]), (1, [1, 5]), (True, [2]), (None, [3]), (NEW_YEAR, [4]), (1.0, [1, 5]), ("A", [])],
)
async def test_has_looks_at_the_items_of_a_list(store: Store, jobs: Collection, value: Any, expected: list[int]) -> None:
    lists = (["a", "b"], [1, 2], [True], [None], [NEW_YEAR], [0, 1.0], [["a"]], [])
    await put(store, jobs, *({"tags": items} for items in lists), {"other": 1})
    assert await numbers(store, jobs, "tags", "has", value) == expected


async def test_text_is_found_in_any_case_and_literally(store: Store, jobs: Collection) -> None:
    await put(store, jobs, {"title": "Año 100%"}, {"title": "AÑO 1000"}, {"title": "a_b"}, {"title": r"a\b*"}, {"title": 5})
    assert await numbers(store, jobs, "title", "contains", "ñO") == [0, 1]
    assert await numbers(store, jobs, "title", "contains", "0%") == [0]
    assert await numbers(store, jobs, "title", "contains", "_") == [2]
    assert await numbers(store, jobs, "title", "contains", "\\B*") == [3]
    assert await numbers(store, jobs, "title", "startswith", "A") == [0, 1]
    assert await numbers(store, jobs, "title", "startswith", "a_") == [2]


@pytest.mark.parametrize("prefix", ["a", "a\ud7ff", "\U0010ffff", "a\U0010ffff", ""])
async def test_a_prefix_may_end_at_the_edge_of_unicode(store: Store, jobs: Collection, prefix: str) -> None:
    titles = ["a", "b", "a\ud7ff", "a\ud7ffz", "a\ue000", "a\U0010ffff\U0010ffff", "\U0010ffff", "\U0010ffffx", "", "{"]
    await put(store, jobs, *({"title": title} for title in titles))
    expected = [number for number, title in enumerate(titles) if title.startswith(prefix)]
    assert await numbers(store, jobs, "title", "startswith", prefix) == expected


async def test_the_text_search_looks_in_the_text_fields_only(store: Store, jobs: Collection) -> None:
    await put(store, jobs, {"title": "Data"}, {"company": {"name": "DATA AG"}}, {"other": "data"}, {"title": None})
    assert ids((await store.find(jobs, text="dat")).items) == [0, 1]
    assert await store.count(jobs, [Condition("title", "exists", True)], text="dat") == 1
    assert await store.count(jobs, text="") == 4
    assert await store.count(Collection("jobs"), text="dat") == 0


async def test_conditions_hold_together(store: Store, jobs: Collection) -> None:
    await put(store, jobs, {"a": 1, "b": {"c": "x"}}, {"a": 1, "b": {"c": "y"}}, {"a": 2, "b": {"c": "x"}})
    both = [Condition("a", "eq", 1), Condition("b.c", "eq", "x")]
    assert ids((await store.find(jobs, both)).items) == [0]


async def test_what_the_store_keeps_itself_can_be_asked_for(store: Store, jobs: Collection) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await put(store, jobs, {"n": 0}, {"n": 1})
    await store.create(jobs, Record("f" * 24, {"n": 2}))
    await store.patch(jobs, record(1).id, {"n": 5})
    assert await numbers(store, jobs, "_rev", "gte", 2) == [1]
    assert await numbers(store, jobs, "_rev", "eq", "2") == []
    assert await numbers(store, jobs, "_run", "in", ["r1", "r9"]) == [0, 1]
    assert await numbers(store, jobs, "_run", "eq", None) == [int("f" * 24, 16)]
    assert await numbers(store, jobs, "_run", "exists", False) == [int("f" * 24, 16)]
    assert await numbers(store, jobs, "_operation", "startswith", "fe") == [0, 1]
    assert await numbers(store, jobs, "_operation", "contains", "ETC") == [0, 1]
    assert len(await numbers(store, jobs, "_created", "gt", before)) == 3
    assert await numbers(store, jobs, "_created", "lt", before) == []
    assert await numbers(store, jobs, "_created", "gt", "2000-01-01") == []
    assert await numbers(store, jobs, "_id", "has", "x") == []


async def test_a_string_that_looks_like_a_stored_time_is_none(store: Store, jobs: Collection) -> None:
    await put(store, jobs, {"v": '{"$d":"2026-01-01T00:00:00.000Z"}'}, {"v": NEW_YEAR})
    assert await numbers(store, jobs, "v", "eq", NEW_YEAR) == [1]
    assert await numbers(store, jobs, "v", "in", [NEW_YEAR]) == [1]
    assert await numbers(store, jobs, "v", "gte", NEW_YEAR) == [1]


async def test_a_long_list_is_no_problem(store: Store, jobs: Collection) -> None:
    await put(store, jobs, {"n": 1, "s": "a"}, {"n": -1, "s": "b"})
    assert await numbers(store, jobs, "n", "in", list(range(50_000))) == [0]
    assert await numbers(store, jobs, "s", "nin", [str(n) for n in range(50_000)] + ["b"]) == [0]


async def test_names_that_are_sql_are_only_names(store: Store, jobs: Collection) -> None:
    names = ["select", "a b", "x'y", "x--", "doc", "ü", "a\\b", "a\nb", "0", "a;drop table jobs"]
    table = Collection("odd", indexes=tuple(Index((name,)) for name in names))
    await put(store, table, *({name: number} for number, name in enumerate(names)))
    for number, name in enumerate(names):
        assert await numbers(store, table, name, "eq", number) == [number]
        first = await store.find(table, sort=[Sort(name, descending=True)], limit=1)
        assert ids(first.items) == [number]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Condition("a", "like", 1), "there is no such operator: like"),  # type: ignore[arg-type]
        (Condition("a", "gt", True), "gt on a needs a number, string or time, not: True"),
        (Condition("a", "lte", None), "lte on a needs a number, string or time, not: None"),
        (Condition("a", "in", "x"), "in on a needs a list of plain values, not: 'x'"),
        (Condition("a", "nin", [[1]]), r"nin on a needs a list of plain values, not: \[\[1\]\]"),
        (Condition("a", "contains", 1), "contains on a needs a string, not: 1"),
        (Condition("a", "exists", 1), "exists on a needs true or false, not: 1"),
        (Condition("a", "eq", [1]), r"eq on a needs a plain value, not a list or an object, not: \[1\]"),
        (Condition("_runs", "eq", 1), "there is no such field: _runs"),
        (Condition("a..b", "eq", 1), r"a query can't name this field: 'a\.\.b'"),
        (Condition('a"b', "eq", 1), "a query can't name this field"),
        (Condition("", "eq", 1), "a query can't name this field"),
    ],
)
async def test_conditions_that_make_no_sense_are_refused(
    store: Store, jobs: Collection, condition: Condition, message: str
) -> None:
    for query in (store.find(jobs, [condition]), store.count(jobs, [condition]), store.delete_where(jobs, [condition])):
        with pytest.raises(StoreError, match=message):
            await query


async def test_a_near_miss_is_suggested(store: Store, jobs: Collection) -> None:
    with pytest.raises(StoreError) as caught:
        await store.find(jobs, sort=[Sort("_creatd")])
    assert caught.value.hint == "did you mean '_created'?"


# Order and paging


async def test_missing_and_null_come_first_and_last_when_descending(store: Store, jobs: Collection) -> None:
    await put(store, jobs, {"n": 2}, {}, {"n": 1}, {"n": None}, {"n": 2})
    assert ids((await store.find(jobs, sort=[Sort("n")])).items) == [1, 3, 2, 0, 4]
    assert ids((await store.find(jobs, sort=[Sort("n", descending=True)])).items) == [4, 0, 2, 3, 1]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_together_are_everything_once(store: Store, jobs: Collection, descending: bool, limit: int) -> None:
    await put(store, jobs, *({"n": value} if value != "no" else {} for value in (3, None, 1, "no", 3, 2, None, 1)))
    sort = [Sort("n", descending), Sort("m")]
    whole = (await store.find(jobs, sort=sort)).items
    found = await pages(store, jobs, limit=limit, sort=sort)
    assert [one for page in found for one in page] == whole
    assert all(len(page) == limit for page in found[:-1])
    assert found[-1]


@pytest.mark.parametrize("field", ["n", "text", "when", "yes", "items", "inner", "_created", "_run", "_rev", "_id"])
async def test_a_cursor_can_hold_any_value(store: Store, jobs: Collection, field: str) -> None:
    await put(
        store,
        jobs,
        *(
            {"n": n / 3, "text": f"ñ\"'{n % 3}", "when": NEW_YEAR + timedelta(milliseconds=n), "yes": n % 2 == 0, "items": [n]}
            | {"inner": {"a": n}}
            for n in range(7)
        ),
    )
    for descending in (False, True):
        sort = [Sort(field, descending)]
        found = await pages(store, jobs, limit=2, sort=sort)
        assert [one for page in found for one in page] == (await store.find(jobs, sort=sort)).items


@pytest.mark.parametrize("descending", [False, True])
async def test_missing_and_null_are_the_same_to_pages_along_an_index(store: Store, descending: bool) -> None:
    collection = Collection("jobs", indexes=(Index(("n", "m")),))
    await put(store, collection, {"n": None, "m": None}, {"n": None, "m": None}, {"m": 1}, {"n": None, "m": 1}, {"n": 1}, {})
    sort = [Sort("n", descending), Sort("m", descending)]
    everything = (await store.find(collection, sort=sort)).items
    for limit in (1, 2, 3):
        found = await pages(store, collection, limit=limit, sort=sort)
        assert [one for page in found for one in page] == everything
    first = await store.find(collection, sort=sort, limit=1)
    assert (await store.find(collection, sort=sort, limit=2, skip=2, after=first.next)).items == everything[3:5]


async def test_a_page_is_not_disturbed_by_what_comes_and_goes(store: Store, jobs: Collection) -> None:
    await put(store, jobs, *({"n": n} for n in range(6)))
    first = await store.find(jobs, sort=[Sort("n")], limit=3)
    await store.delete(jobs, record(0).id)
    await store.delete(jobs, record(2).id)
    await store.upsert_many(jobs, [record(9, n=-1)])
    second = await store.find(jobs, sort=[Sort("n")], limit=3, after=first.next)
    assert [found.data["n"] for found in second.items] == [3, 4, 5]
    assert second.next is None


async def test_records_can_be_skipped(store: Store, jobs: Collection) -> None:
    await put(store, jobs, *({"n": n} for n in range(6)))
    page = await store.find(jobs, sort=[Sort("n")], skip=2, limit=2)
    assert [found.data["n"] for found in page.items] == [2, 3]
    assert page.next is not None
    assert (await store.find(jobs, skip=9)).items == []


async def test_cursors_that_are_none_of_this_query_are_refused(store: Store, jobs: Collection) -> None:
    await put(store, jobs, {"n": 1}, {"n": 2})
    cursor = (await store.find(jobs, sort=[Sort("n")], limit=1)).next
    assert cursor is not None
    for sort in ([], [Sort("n", descending=True)], [Sort("n"), Sort("m")]):
        with pytest.raises(StoreError, match="the cursor is of another sort order"):
            await store.find(jobs, sort=sort, after=cursor)
    for broken in ("", "x", "ñ", cursor[:-3], "W10", "e30", cursor.replace("e", "f", 1)):
        with pytest.raises(StoreError, match="cursor"):
            await store.find(jobs, sort=[Sort("n")], after=broken)


@pytest.mark.parametrize(("limit", "skip"), [(0, 0), (-1, 0), (1, -1)])
async def test_pages_that_make_no_sense_are_refused(store: Store, jobs: Collection, limit: int, skip: int) -> None:
    with pytest.raises(StoreError, match=r"limit|skip"):
        await store.find(jobs, limit=limit, skip=skip)


# Watching


async def test_watching_says_which_collections_changed(store: Store, jobs: Collection) -> None:
    other = Collection("others")
    await store.ensure(jobs)
    changes = store.watch(every=0.01)
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    while not waiting.done():  # the first look may come before or after the first write
        await store.upsert_many(jobs, [Record(f"{asyncio.get_running_loop().time()}", {})])
        await asyncio.sleep(0.01)
    assert waiting.result().collection == "jobs"
    await store.create(other, record(1))
    async for change in changes:
        if change.collection == "others":
            assert change.version > 0
            break
    await changes.aclose()  # type: ignore[attr-defined]


# Opening and closing


async def test_a_store_that_is_not_open_says_so(store: Store, jobs: Collection) -> None:
    await store.create(jobs, record(1, n=1))
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="the store is not open"):
        await store.get(jobs, "x")
    await store.open()
    await store.open()
    assert await store.count(jobs) == 1


async def test_a_cancelled_call_leaves_the_store_in_order(store: Store, jobs: Collection) -> None:
    batch = [record(n, n=n) for n in range(3000)]
    tasks = [asyncio.ensure_future(store.upsert_many(jobs, batch)) for _ in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    written = await store.upsert_many(jobs, batch)
    assert written.inserted + written.unchanged == 3000
    assert written.updated == 0
    assert await store.count(jobs) == 3000


async def test_replacing_a_known_record_writes_over_just_that_revision(store, jobs):
    known = await store.create(jobs, Record("a" * 24, {"title": "x", "salary": 1, "gone": True}, run="r1", operation="fetch"))
    made = await store.replace(jobs, Record(known.id, {"title": "x", "salary": 2.0}), if_rev=1, known=known)
    assert (made.rev, made.run, made.created, made.data) == (2, "r1", known.created, {"title": "x", "salary": 2.0})
    assert await store.get(jobs, known.id) == made
    with pytest.raises(Stale):
        await store.replace(jobs, Record(known.id, {"title": "y"}), if_rev=1, known=known)
    assert await store.replace(jobs, Record(known.id, dict(made.data)), if_rev=2, known=made) == made
