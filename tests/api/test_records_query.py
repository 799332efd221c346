"""The query dialect: what each parameter finds, and what is refused by name."""

from __future__ import annotations

import asyncio

import pytest

from pulpo.api.app import create_app
from pulpo.store.mongo import MongoStore
from tests.api.conftest import client_of, manifest_of
from tests.api.shop import MODELS

JOBS = [
    {
        "url": "a", "title": "Data engineer", "company": {"name": "Acme", "city": "Berlin"}, "salary": 50, "score": 1.5,
        "remote": True, "level": "junior", "tags": ["python", "sql"], "posted": "2026-01-01", "seen": "2026-01-01T12:00:00Z",
        "token": "12345678-1234-5678-1234-567812345678", "counts": {"views": 3},
    },
    {
        "url": "b", "title": "Ñandú keeper", "company": {"name": "Zoo"}, "salary": 70, "score": -2, "level": "senior",
        "tags": ["birds"], "posted": "2026-02-01", "seen": "2026-02-01T12:00:00+02:00", "counts": {"views": 9},
    },
    {"url": "c,d", "title": "null"},
]  # fmt: skip


@pytest.fixture
async def client(serve):
    async with serve(MODELS) as client:
        assert (await client.put("/models/Job/records", json=JOBS)).json() == {"inserted": 3, "updated": 0, "unchanged": 0}
        yield client


FINDS = [
    ("", "a b c,d"),
    ("salary=50", "a"),
    ("salary__eq=50", "a"),
    ("salary__ne=50", "b c,d"),
    ("salary__gte=50&salary__lt=70", "a"),
    ("salary__in=50,70", "a b"),
    ("salary__nin=50,70", "c,d"),
    ("salary__isnull=true", "c,d"),
    ("salary__isnull=false", "a b"),
    ("salary__exists=true", "a b c,d"),
    ("score__lt=0", "b"),
    ("score=1.5", "a"),
    ("score=-2", "b"),
    ("remote=true", "a"),
    ("remote=false", "b c,d"),
    ("level=senior", "b"),
    ("level__in=junior,senior", "a b"),
    ("company.name=Acme", "a"),
    ("company.city__isnull=true", "b c,d"),
    ("company__isnull=true", "c,d"),
    ("counts.views__gt=3", "b"),
    ("tags=python", "a"),
    ("tags=python&tags=sql", "a"),
    ("tags=python&tags=birds", ""),
    ("tags__has=birds", "b"),
    ("posted__lt=2026-02-01", "a"),
    ("posted=2026-02-01", "b"),
    ("seen=2026-02-01T10:00:00Z", "b"),
    ("seen__gte=2026-02-01T12:00:00%2B02:00", "b"),
    ("seen__gte=2026-02-01T12:00:00+02:00", "b"),
    ("seen__gte=2026-01-15", "b"),
    ("token=12345678123456781234567812345678", "a"),
    ("title=null", "c,d"),
    ("title__contains=ñandú", "b"),
    ("title__startswith=Data", "a"),
    ("url__in=a,b", "a b"),
    ('url__in=["c,d","a"]', "a c,d"),
    ("_operation__isnull=true", "a b c,d"),
    ("_rev=1&_created__gt=2020-01-01", "a b c,d"),
    ("q=KEEPER", "b"),
    ("q=nothing", ""),
]


@pytest.mark.parametrize(("query", "found"), FINDS)
async def test_a_filter_finds(client, query, found):
    answer = await client.get(f"/models/Job/records?sort=url&{query}")
    assert answer.status_code == 200, answer.text
    assert " ".join(job["url"] for job in answer.json()["items"]) == found


async def test_the_filters_find_the_same_in_mongodb(mongo_url, database):
    app = create_app(manifest_of(MODELS), MongoStore(mongo_url, database=database, driver="motor"))
    async with client_of(app) as client:
        await client.put("/models/Job/records", json=JOBS)
        for query, found in FINDS:
            page = (await client.get(f"/models/Job/records?sort=url&{query}")).json()
            assert " ".join(job["url"] for job in page["items"]) == found, query
        assert (await client.get("/models/Job/records?cursor=x")).status_code == 400
        first = (await client.get("/models/Job/records?sort=-posted,url&limit=2")).json()
        rest = (await client.get("/models/Job/records", params={"sort": "-posted,url", "cursor": first["next"]})).json()
        assert ([job["url"] for job in first["items"]], [job["url"] for job in rest["items"]]) == (["b", "a"], ["c,d"])


@pytest.mark.parametrize(
    ("query", "where", "says"),
    [
        ("salry=5", "salry", "did you mean 'salary'?"),
        ("salary__gt3=5", "salary__gt3", "there is no such operator: 'gt3'"),
        ("salary=many", "salary", "must be an integer of 64 bits, not 'many'"),
        ("salary=5.0", "salary", "must be an integer"),
        ("salary=1_0", "salary", "must be an integer"),
        ("salary=9223372036854775808", "salary", "must be an integer of 64 bits"),
        ("salary=", "salary", "must be an integer"),
        ("salary=null", "salary", "must be an integer"),
        ("salary__in=5,x", "salary__in", "not 'x'"),
        ("salary__isnull=1", "salary__isnull", "must be true or false"),
        ("salary__contains=5", "salary__contains", "salary does not take contains"),
        ("salary__has=5", "salary__has", "salary does not take has"),
        ("score=1e999", "score", "must be a number"),
        ("score=NaN", "score", "must be a number"),
        ("remote=yes", "remote", "must be true or false"),
        ("remote__gt=true", "remote__gt", "its values have no order"),
        ("level=seniro", "level", "did you mean 'senior'?"),
        ("posted=2026-02-30", "posted", "must be a date"),
        ("posted=20260201", "posted", "must be a date"),
        ("seen=yesterday", "seen", "must be a time"),
        ("price__gt=1", "price__gt", "its values have no order"),
        ("token=1", "token", "must be a UUID"),
        ("company=Acme", "company", "company is an object"),
        ("company.nme=Acme", "company.nme", "did you mean 'company.name'?"),
        ("tags__ne=python", "tags__ne", "tags does not take ne"),
        ("tags.x=1", "tags.x", "there is no such field"),
        ("_revision=1", "_revision", "there is no such field"),
        ("sort=salry", "sort", "did you mean 'salary'?"),
        ("sort=tags", "sort", "can't be sorted by a list"),
        ("sort=", "sort", "there is no such field"),
        ("limit=0", "limit", "from 1 to 1000"),
        ("limit=1001", "limit", "from 1 to 1000"),
        ("limit=ten", "limit", "from 1 to 1000"),
        ("limit=5&limit=6", "limit", "is given twice"),
        ("count=yes", "count", "must be exact"),
    ],
)
async def test_what_has_no_meaning_is_refused_by_name(client, query, where, says):
    answer = await client.get(f"/models/Job/records?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    [fault] = answer.json()["errors"]
    assert fault["loc"] == ["query", where]
    assert says in f"{fault['message']} {fault.get('hint')}"


async def test_all_faults_are_told_at_once(client):
    answer = await client.get("/models/Job/records?salry=5&limit=0&sort=x&remote=1")
    assert {fault["loc"][1] for fault in answer.json()["errors"]} == {"salry", "limit", "sort", "remote"}


async def test_a_field_called_as_a_parameter_is_reached_by_an_operator(client):
    for text, limit in (("one", 1), ("two", 2)):
        await client.post("/models/Note/records", json={"text": text, "limit": limit, "sort": "x"})
    answer = await client.get("/models/Note/records?limit__eq=2&sort__eq=x&limit=5")
    assert [note["text"] for note in answer.json()["items"]] == ["two"]


async def test_a_field_of_any_kind_is_compared_with_each_kind_that_a_text_can_be(client):
    for value in (5, "5", True, "true", None):
        await client.post("/models/Note/records", json={"text": "x", "anything": value})
    five = (await client.get("/models/Note/records?anything=5")).json()["items"]
    assert sorted(str(type(note["anything"])) for note in five) == ["<class 'int'>", "<class 'str'>"]
    assert len((await client.get("/models/Note/records?anything=true")).json()["items"]) == 2
    assert len((await client.get("/models/Note/records?anything__isnull=true")).json()["items"]) == 1


async def test_what_is_in_a_field_of_any_kind_is_reached_by_its_name(client):
    for value in ({"a": {"b": 1}}, {"a": 1}, 1):
        await client.post("/models/Note/records", json={"text": "x", "anything": value})
    found = (await client.get("/models/Note/records?anything.a.b=1")).json()["items"]
    assert [record["anything"] for record in found] == [{"a": {"b": 1}}]


async def test_pages_go_on_where_the_last_one_ended(client):
    await client.put("/models/Note/records", json=[{"text": f"{n:03}", "stars": n % 5 + 1} for n in range(120)])
    seen, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {"count": "exact"}
        page = (await client.get("/models/Note/records", params={"sort": "-stars,text", "limit": 50, **more})).json()
        assert ("count" in page) is (cursor is None)
        seen += [(-note["stars"], note["text"]) for note in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == 120
    assert seen == sorted(seen)


@pytest.mark.parametrize("sort", [None, "-stars,text"])
async def test_of_ten_thousand_records_each_that_nobody_touches_comes_once_while_others_come_and_go(either, sort):
    path, doomed, changed = "/models/Note/records", range(0, 10_000, 10), range(5, 10_000, 10)

    async with client_of(create_app(manifest_of({"Note": MODELS["Note"]}), either)) as client:
        notes = [{"_id": f"n{n:05}", "text": f"{n * 7919 % 10_000:05}", "stars": n % 5 + 1} for n in range(10_000)]
        assert (await client.put(path, json=notes, timeout=60)).json()["inserted"] == 10_000
        order = {"limit": 400} | ({"sort": sort} if sort else {})

        async def changes(turn):
            """What others do beside one page: before it, after it, and in its midst."""
            for n in range(turn, 1000, 60):
                made = {"_id": f"n{n * 10:05}-new", "text": f"{n * 10:05}-new", "stars": n % 5 + 1}
                yield await client.post(path, json=made)
                yield await client.patch(f"{path}/n{changed[n]:05}", json={"stars": (n + turn) % 5 + 1, "text": f"{n:05}"})
                yield await client.delete(f"{path}/n{doomed[n]:05}")

        async def at_work(turn):
            return [answer.status_code async for answer in changes(turn)]

        seen, cursor, turn = [], None, 0
        while turn == 0 or cursor:
            page, done = await asyncio.gather(
                client.get(path, params=order | ({"cursor": cursor} if cursor else {})), at_work(turn)
            )
            assert (page.status_code, done) == (200, [201, 200, 204] * (len(done) // 3))
            seen += [note["_id"] for note in page.json()["items"]]
            cursor, turn = page.json()["next"], turn + 1
        assert 20 <= turn < 60
        untouched = {note["_id"] for note in notes} - {f"n{n:05}" for n in (*doomed, *changed)}
        assert sorted(set(seen) & untouched) == sorted(one for one in seen if one in untouched) == sorted(untouched)


@pytest.mark.parametrize("cursor", ["x", "", "e30", "ÿ"])
async def test_a_bad_cursor_is_told(client, cursor):
    answer = await client.get("/models/Job/records", params={"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["loc"] == ["query", "cursor"]


async def test_a_cursor_of_another_order_is_told(client):
    cursor = (await client.get("/models/Job/records?limit=1&sort=url")).json()["next"]
    answer = await client.get("/models/Job/records", params={"cursor": cursor, "sort": "-url"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "cursor: the cursor is of another sort order")
