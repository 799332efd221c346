"""Random records, conditions, sort orders and pages against the same in plain Python."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulpo.store.base import Collection, Condition, Index, Record, Sort, Store

ALPHABET = "aAbBñÑßsS\u017f%_*\\'\". 0\U0001f419"
TEXTS = st.text(ALPHABET, max_size=4)
INTEGERS = st.one_of(st.integers(-3, 3), st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63)]))
FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 0.5, 1.0, 1e300, 1e-300, 1 / 3, 2.0**53]), st.floats(allow_nan=False, allow_infinity=False)
)
TIMES = st.integers(-5, 5).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=n * 500))
NUMBERS = st.one_of(INTEGERS, FLOATS)
#: Fields of one type, which can be sorted, and one of every type, which is only looked for.
TYPED = {"text": TEXTS, "number": NUMBERS, "time": TIMES, "flag": st.booleans(), "in.ner": TEXTS}
SCALARS = st.one_of(st.none(), *TYPED.values())
#: Lists are looked into by `has` alone; what is in their items is missing.
LISTS = st.lists(SCALARS, max_size=3)
ROWS = st.one_of(
    st.lists(st.fixed_dictionaries({"x": st.one_of(SCALARS, LISTS)}), max_size=2), st.fixed_dictionaries({"x": LISTS})
)
FIELDS = (*TYPED, "mixed", "list", "rows.x")

COLLECTION = Collection(
    "jobs", indexes=(Index(("text",)), Index(("number", "time")), Index(("in.ner",))), text=("text", "in.ner")
)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.just("missing"), values)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, values in (*TYPED.items(), ("mixed", SCALARS), ("list", LISTS), ("rows", ROWS)):
        value = draw(optional(values))
        if value != "missing":
            outer, _, inner = name.partition(".")
            data[outer] = {inner: value} if inner else value
    return data


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    field = draw(st.sampled_from([*FIELDS, "nowhere", "_rev", "_run", "_id"]))
    if field in ("list", "rows.x") and draw(st.booleans()):
        return Condition(field, "has", draw(SCALARS))
    operator = draw(st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "exists", "contains", "startswith"]))
    near = TYPED.get(field, SCALARS)
    ordered = st.one_of(TEXTS, NUMBERS, TIMES)
    values: dict[str, st.SearchStrategy[Any]] = {
        "in": st.lists(st.one_of(near, SCALARS), max_size=4),
        "nin": st.lists(st.one_of(near, SCALARS), max_size=4),
        "exists": st.booleans(),
        "contains": TEXTS,
        "startswith": TEXTS,
    }
    default = ordered if operator in ("gt", "gte", "lt", "lte") else st.one_of(near, SCALARS)
    return Condition(field, operator, draw(values.get(operator, default)))


SORTS = st.lists(st.builds(Sort, st.sampled_from([*TYPED, "_id", "_run", "nowhere"]), st.booleans()), max_size=3)


MISSING = object()


def value_of(record: Record, field: str) -> Any:
    if field.startswith("_"):
        return getattr(record, field[1:])
    value: Any = record.data
    for name in field.split("."):
        value = value.get(name, MISSING) if isinstance(value, dict) else MISSING
    return value


def kind(value: Any) -> str:
    if value is MISSING or value is None:
        return "null"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def equal(value: Any, other: Any) -> bool:
    return kind(value) == kind(other) and (kind(value) == "null" or bool(value == other))


def folded(text: str) -> str:
    return text.replace("Ñ", "ñ").replace("\u017f", "s").replace("ẞ", "ß").translate({c: c + 32 for c in range(65, 91)})


TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": equal,
    "ne": lambda value, other: not equal(value, other),
    "gt": lambda value, other: kind(value) == kind(other) and value > other,
    "gte": lambda value, other: kind(value) == kind(other) and value >= other,
    "lt": lambda value, other: kind(value) == kind(other) and value < other,
    "lte": lambda value, other: kind(value) == kind(other) and value <= other,
    "in": lambda value, others: any(equal(value, other) for other in others),
    "nin": lambda value, others: not any(equal(value, other) for other in others),
    "has": lambda value, other: isinstance(value, list) and any(equal(item, other) for item in value),
    "contains": lambda value, other: isinstance(value, str) and folded(other) in folded(value),
    "startswith": lambda value, other: isinstance(value, str) and value.startswith(other),
}


def matches(record: Record, condition: Condition) -> bool:
    value = value_of(record, condition.field)
    if condition.operator == "exists":
        there = value is not MISSING and not (condition.field.startswith("_") and value is None)
        return there == condition.value
    return TESTS[condition.operator](value, condition.value)


def searched(record: Record, text: str | None) -> bool:
    return not text or any(TESTS["contains"](value_of(record, field), text) for field in COLLECTION.text)


def in_order(records: Sequence[Record], sort: Sequence[Sort]) -> list[Record]:
    """Sorted by the last key first, each time keeping the order of equals; the id follows the direction of the last key."""
    ordered = sorted(records, key=lambda record: record.id, reverse=bool(sort) and sort[-1].descending)
    for key in reversed(sort):

        def rank(record: Record, field: str = key.field) -> tuple[bool, Any]:
            value = value_of(record, field)
            return (False, 0) if kind(value) == "null" else (True, value)

        ordered = [
            record
            for _, group in sorted(grouped(ordered, rank), key=lambda pair: pair[0], reverse=key.descending)
            for record in group
        ]
    return ordered


def grouped(records: Sequence[Record], rank: Callable[[Record], Any]) -> list[tuple[Any, list[Record]]]:
    groups: list[tuple[Any, list[Record]]] = []
    for record in records:
        for value, group in groups:
            if value == rank(record):
                group.append(record)
                break
        else:
            groups.append((rank(record), [record]))
    return groups


QUERIES = st.tuples(st.lists(conditions(), max_size=3), st.one_of(st.none(), TEXTS), SORTS, st.integers(1, 5), st.integers(0, 2))


ANY_QUERIES = given(st.lists(contents(), max_size=12), st.lists(QUERIES, min_size=6, max_size=10))


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@ANY_QUERIES
async def test_every_query_finds_what_plain_python_finds(store: Store, batch: list[dict[str, Any]], queries: list[Any]) -> None:
    await finds_what_plain_python_finds(store, batch, queries)


# As many in all: what a query means to MongoDB is one code, whichever the driver.
@pytest.mark.parametrize("store", ["motor", "pymongo"], indirect=True)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@ANY_QUERIES
async def test_every_query_of_a_mongodb_finds_it_as_well(store: Store, batch: list[dict[str, Any]], queries: list[Any]) -> None:
    await finds_what_plain_python_finds(store, batch, queries)


async def finds_what_plain_python_finds(store: Store, batch: list[dict[str, Any]], queries: list[Any]) -> None:
    await store.delete_where(COLLECTION, [])
    await store.upsert_many(
        COLLECTION,
        [Record(f"{n:x}", data, run=f"r{n % 3}" if n % 3 else None) for n, data in enumerate(batch)],
    )
    everything = (await store.find(COLLECTION)).items
    assert [record.data for record in everything] == batch
    for where, text, sort, limit, skip in queries:
        found = [r for r in everything if searched(r, text) and all(matches(r, condition) for condition in where)]
        expected = [record.id for record in in_order(found, sort)]
        assert await store.count(COLLECTION, where, text=text) == len(expected)
        got: list[str] = []
        after = None
        for number in count():
            page = await store.find(COLLECTION, where, text=text, sort=sort, limit=limit, after=after, skip=0 if number else skip)
            got += [record.id for record in page.items]
            after = page.next
            if after is None:
                break
        assert got == expected[skip:]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(contents(), max_size=10), st.lists(conditions(), max_size=2))
async def test_deleting_deletes_what_is_found_and_nothing_else(
    store: Store, batch: list[dict[str, Any]], where: list[Condition]
) -> None:
    await store.delete_where(COLLECTION, [])
    await store.upsert_many(COLLECTION, [Record(f"{n:x}", data) for n, data in enumerate(batch)])
    found = {record.id for record in (await store.find(COLLECTION, where)).items}
    assert await store.delete_where(COLLECTION, where) == len(found)
    assert {record.id for record in (await store.find(COLLECTION)).items} == {f"{n:x}" for n in range(len(batch))} - found


ANY_SORTS = st.lists(st.builds(Sort, st.sampled_from(["mixed", "list", "text", "in"]), st.booleans()), min_size=1, max_size=2)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(contents(), max_size=10), ANY_SORTS, st.integers(1, 4))
async def test_pages_lose_and_repeat_nothing_whatever_the_values_are(
    store: Store, batch: list[dict[str, Any]], sort: list[Sort], limit: int
) -> None:
    # Not sorted by two lists at once, which MongoDB does not do.
    sort = [key for n, key in enumerate(sort) if key.field not in {other.field for other in sort[:n]}]
    await store.delete_where(COLLECTION, [])
    await store.upsert_many(COLLECTION, [Record(f"{n:x}", data) for n, data in enumerate(batch)])
    whole = [record.id for record in (await store.find(COLLECTION, sort=sort)).items]
    got: list[str] = []
    page = await store.find(COLLECTION, sort=sort, limit=limit)
    got += [record.id for record in page.items]
    while page.next is not None:
        page = await store.find(COLLECTION, sort=sort, limit=limit, after=page.next)
        got += [record.id for record in page.items]
        assert len(got) <= len(batch)
    assert got == whole
