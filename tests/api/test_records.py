"""Records over HTTP: made, read, replaced, changed and deleted, and everything that is refused."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from urllib.parse import quote

import pytest

from pulpo.api.app import create_app
from pulpo.run.codec import collection_of
from pulpo.store.base import Index, Record
from pulpo.store.sqlite import SqliteStore
from pulpo.store.values import record_id
from tests.api.conftest import client_of, manifest_of
from tests.api.shop import MODELS

JOB = {"url": "a", "title": "Engineer", "tags": ["x"], "seen": "2026-01-01T12:00:00+01:00"}
PLACE = f"/models/Job/records/{record_id('a')}"


@pytest.fixture
async def client(serve):
    async with serve(MODELS) as client:
        yield client


async def test_a_record_is_made_read_and_deleted(client):
    made = await client.post("/models/Job/records", json=JOB)
    assert (made.status_code, made.headers["location"]) == (201, PLACE)
    record = made.json()
    assert (record["_id"], record["_rev"], record["_run"], record["_operation"]) == (record_id("a"), 1, None, None)
    assert (record["seen"], record["salary"], record["tags"]) == ("2026-01-01T11:00:00Z", None, ["x"])
    read = await client.get(PLACE)
    assert (read.json(), read.headers["etag"]) == (record, made.headers["etag"])
    assert (await client.delete(PLACE)).status_code == 204
    assert (await client.delete(PLACE)).status_code == 404
    assert (await client.get(PLACE)).json()["detail"] == f"there is no such Job: {record_id('a')}"


@pytest.mark.parametrize("key", ["a/b", "a//b", "\u00fc \u00ef", "a?b#c", "100%"])
async def test_an_id_that_a_run_gave_can_have_any_characters(tmp_path, key):
    store, manifest = SqliteStore(tmp_path / "store.db"), manifest_of(MODELS)
    place = f"/models/Note/records/{quote(key, safe='')}"
    async with client_of(create_app(manifest, store)) as client:
        data = {"text": "x", "limit": 0, "sort": None, "anything": None, "stars": 1}
        await store.create(collection_of("Note", manifest.models["Note"]), Record(key, data))
        assert (await client.get(place)).json()["_id"] == key
        changed = await client.patch(place, json={"text": "y"}, headers={"Content-Type": "application/merge-patch+json"})
        assert (changed.status_code, changed.json()["text"]) == (200, "y")
        assert (await client.delete(place)).status_code == 204
        assert (await client.get(place)).status_code == 404


async def test_an_id_that_is_taken_is_a_conflict(client):
    await client.post("/models/Job/records", json=JOB)
    assert (await client.post("/models/Job/records", json=JOB)).status_code == 409
    await client.post("/models/Note/records", json={"text": "x", "_id": "mine"})
    assert (await client.post("/models/Note/records", json={"text": "y", "_id": "mine"})).status_code == 409


async def test_a_model_without_a_key_takes_an_id_or_makes_one(client):
    made = await client.post("/models/Note/records", json={"text": "x"})
    assert len(made.json()["_id"]) == 24
    assert (await client.get(made.headers["location"])).json()["text"] == "x"
    refused = await client.post("/models/Note/records", json={"text": "x", "_id": "a/b"})
    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, ["body", "_id"])
    put = await client.put("/models/Note/records/mine", json={"text": "x"})
    assert (put.status_code, put.json()["_id"]) == (201, "mine")


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"urll": "a"}, {"url": "is required", "urll": "there is no such field"}),
        ({"url": 5, "salary": "x"}, {"url": "", "salary": ""}),
        ({"url": "a", "company": {"name": "x", "street": "y"}}, {"company": ""}),
        ({"url": "a", "title": "SHOUTING"}, {"title": "don't shout"}),
        ({"url": "a", "posted": "tomorrow"}, {"posted": ""}),
        ({"url": "a", "counts": {"views": 2**63}}, {"counts": "9223372036854775807"}),
        ({"url": "a", "counts": {"a.b": 1}}, {"": "can't hold '.'"}),
        ({"url": "a", "_rev": 3}, {"_rev": "is kept by the store"}),
        ({"url": "a", "_id": "other"}, {"_id": "the key (url) makes the id"}),
        ([], {"": "must be an object"}),
        ("text", {"": "must be an object"}),
    ],
)
async def test_what_is_wrong_with_a_body_is_told_by_field(client, body, faults):
    answer = await client.post("/models/Job/records", json=body)
    assert answer.status_code == 422
    told = {".".join(map(str, fault["loc"][1:2])): fault["message"] for fault in answer.json()["errors"]}
    assert told.keys() == faults.keys()
    assert all(text in told[field] for field, text in faults.items())


@pytest.mark.parametrize("text", ["", "{", '{"url": NaN}', '{"url": "\\ud800"}', "[" * 100_000, "\xff"])
async def test_a_body_that_is_no_json_is_told(client, text):
    answer = await client.post(
        "/models/Job/records", content=text.encode("latin-1"), headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"company": {"name": "x", "street": "y"}}, {"company.street": "there is no such field"}),
        ({"company": {"city": 5}}, {"company.name": "is required", "company.city": "must be string or null"}),
        ({"salary": "x", "level": "boss"}, {"salary": "must be integer or null", "level": '"boss" is not one of'}),
    ],
)
async def test_what_is_wrong_inside_a_field_that_may_be_null_is_told_at_its_place(client, body, faults):
    answer = await client.post("/models/Job/records", json={"url": "a", **body})
    told = {".".join(fault["loc"][1:]): fault["message"] for fault in answer.json()["errors"]}
    assert told.keys() == faults.keys()
    assert all(told[place].startswith(text) for place, text in faults.items())


async def test_an_id_that_no_record_can_have_is_told_with_what_it_has_to_be(client):
    answer = await client.put("/models/Note/records/-x", json={"text": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["path", "id"])
    assert "up to 128 letters" in answer.json()["errors"][0]["hint"]


async def test_media_types_are_negotiated(client):
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await client.post("/models/Job/records", content=b"{}", headers=form)).status_code == 415
    latin = {"content-type": "application/json; charset=latin-1"}
    assert (await client.post("/models/Job/records", content=b"{}", headers=latin)).status_code == 415
    zipped = {"content-type": "application/json", "content-encoding": "gzip"}
    assert (await client.post("/models/Job/records", content=b"{}", headers=zipped)).status_code == 415
    for accept, status in (
        ("text/html", 406),
        ("application/json;q=0, */*", 406),
        ("text/html, */*;q=0.1", 200),
        ("application/*", 200),
    ):
        assert (await client.get("/models/Job/records", headers={"accept": accept})).status_code == status


async def test_a_model_that_is_not_there_is_told_with_the_nearest(client):
    answer = await client.get("/models/Jop/records")
    assert (answer.status_code, answer.json()["hint"]) == (404, "did you mean 'Job'?")


async def test_methods_are_told(client):
    await client.post("/models/Job/records", json=JOB)
    head = await client.head(PLACE)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", (await client.get(PLACE)).headers["etag"])
    for answer in (await client.options(PLACE), await client.request("TRACE", PLACE)):
        assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    assert (await client.delete("/models/Job/records")).status_code == 405
    assert (await client.get("/nowhere")).json()["status"] == 404


async def test_a_get_is_answered_304_where_the_client_has_it(client):
    tag = (await client.post("/models/Job/records", json=JOB)).headers["etag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = await client.get(PLACE, headers={"if-none-match": known})
        assert (answer.status_code, answer.content) == (304, b"")
    await client.delete(PLACE)
    await client.post("/models/Job/records", json={**JOB, "title": "Another"})
    again = await client.get(PLACE, headers={"if-none-match": tag})
    assert (again.status_code, again.json()["_rev"]) == (200, 1)


async def test_of_two_clients_the_second_learns_that_the_record_moved(client):
    tag = (await client.post("/models/Job/records", json=JOB)).headers["etag"]
    first = await client.patch(PLACE, json={"salary": 5}, headers={"if-match": tag})
    assert (first.status_code, first.json()["_rev"]) == (200, 2)
    for change in (
        client.patch(PLACE, json={"salary": 6}, headers={"if-match": tag}),
        client.put(PLACE, json=JOB, headers={"if-match": tag}),
        client.put(PLACE, json=JOB, headers={"if-match": '"1"'}),
        client.delete(PLACE, headers={"if-match": tag}),
    ):
        answer = await change
        assert (answer.status_code, answer.headers["etag"]) == (412, first.headers["etag"])
    assert (await client.put(PLACE, json=JOB, headers={"if-match": '"2"'})).status_code == 200
    assert (await client.put(PLACE, json=JOB, headers={"if-none-match": "*"})).status_code == 412
    assert (await client.delete(PLACE, headers={"if-match": "*"})).status_code == 204
    assert (await client.put(PLACE, json=JOB, headers={"if-match": "*"})).status_code == 412
    assert (await client.put(PLACE, json=JOB, headers={"if-none-match": "*"})).status_code == 201


async def test_one_of_many_who_know_a_revision_wins(client):
    tag = (await client.post("/models/Job/records", json=JOB)).headers["etag"]
    changes = [client.patch(PLACE, json={"salary": n}, headers={"if-match": tag}) for n in range(10)]
    assert sorted(answer.status_code for answer in await asyncio.gather(*changes)) == [200] + [412] * 9


async def test_changes_that_name_no_revision_all_land(client):
    await client.post("/models/Job/records", json=JOB)
    changes = [
        client.patch(PLACE, json={field: value}) for field, value in (("salary", 1), ("remote", True), ("score", 2), ("tags", []))
    ]
    assert {answer.status_code for answer in await asyncio.gather(*changes)} == {200}
    job = (await client.get(PLACE)).json()
    assert (job["salary"], job["remote"], job["score"], job["tags"], job["_rev"]) == (1, True, 2, [], 5)


async def test_a_patch_changes_what_it_names(client):
    await client.post("/models/Job/records", json={**JOB, "salary": 5, "company": {"name": "A", "city": "B"}})
    job = (await client.patch(PLACE, json={"title": None, "salary": None, "company": {"name": "C"}})).json()
    assert (job["title"], job["salary"], job["company"], job["tags"]) == ("untitled", None, {"name": "C", "city": None}, ["x"])
    merge = {"content-type": "application/merge-patch+json"}
    assert (await client.patch(PLACE, content=b'{"salary": 7}', headers=merge)).json()["salary"] == 7
    assert (await client.patch(PLACE, json={})).json()["_rev"] == 3
    for body, field in (
        ({"urll": 1}, "urll"),
        ({"salary": "x"}, "salary"),
        ({"title": "SHOUTING"}, "title"),
        ({"url": None}, "url"),
    ):
        answer = await client.patch(PLACE, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", field])


@pytest.mark.parametrize("name", ["_rev", "_created", "_other"])
async def test_a_patch_of_what_the_store_keeps_says_how_a_revision_is_given(client, name):
    await client.post("/models/Job/records", json=JOB)
    answer = await client.patch(PLACE, json={"title": "Chef", name: 1})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["loc"] == ["body", name]
    assert "If-Match" in fault["hint"]


@pytest.mark.parametrize(("method", "header"), [("POST", "If-Match"), ("PUT", "If-Match"), ("PUT", "If-None-Match")])
async def test_a_condition_that_is_about_no_one_record_is_refused(client, method, header):
    body = {"url": "u"} if method == "POST" else [{"url": "u"}]
    answer = await client.request(method, "/models/Job/records", json=body, headers={header: '"1"'})
    assert answer.status_code == 400
    assert header in answer.json()["detail"]
    assert (await client.get("/models/Job/records")).json()["items"] == []


async def test_a_record_keeps_its_key(client):
    await client.post("/models/Job/records", json=JOB)
    for answer in (await client.put(PLACE, json={**JOB, "url": "b"}), await client.patch(PLACE, json={"url": "b"})):
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["loc"] == ["body", "url"]


async def test_many_records_are_stored_or_none(client):
    report = await client.put("/models/Job/records", json=[JOB, {**JOB, "url": "b"}])
    assert report.json() == {"inserted": 2, "updated": 0, "unchanged": 0}
    lines = "\n".join(json.dumps(job) for job in (JOB, {**JOB, "url": "b", "salary": 1}, {**JOB, "url": "c"})) + "\n\n"
    report = await client.put("/models/Job/records", content=lines.encode(), headers={"content-type": "application/x-ndjson"})
    assert report.json() == {"inserted": 1, "updated": 1, "unchanged": 1}
    answer = await client.put("/models/Job/records", json=[{**JOB, "url": "d"}, {"url": 5}, 7])
    assert answer.status_code == 422
    assert answer.json()["detail"] == "2 of 3 records are wrong, none was stored"
    assert [fault["loc"][:2] for fault in answer.json()["errors"]] == [["body", 1], ["body", 2]]
    assert (await client.get("/models/Job/records?count=exact")).json()["count"] == 3
    assert (await client.put("/models/Job/records", json={})).status_code == 422
    broken = await client.put("/models/Job/records", content=b"{}\n{", headers={"content-type": "application/x-ndjson"})
    assert (broken.status_code, "line 2" in broken.json()["detail"]) == (400, True)


async def test_many_records_of_which_one_takes_a_unique_value_say_what_became_of_the_others(either):
    manifest = manifest_of({"Note": MODELS["Note"]})
    notes = [{"_id": f"n{n}", "text": text} for n, text in enumerate(("a", "b", "taken", "c"))]
    async with client_of(create_app(manifest, either)) as client:
        collection = collection_of("Note", manifest.models["Note"])
        await either.ensure(dataclasses.replace(collection, indexes=(Index(("text",), unique=True),)))
        await client.post("/models/Note/records", json={"_id": "mine", "text": "taken"})
        refused = await client.put("/models/Note/records", json=notes)
        assert refused.status_code == 409
        assert refused.json()["detail"].endswith("; the records before that one may be stored")
        assert refused.json()["hint"].endswith("; then send all of them again")
        there = [note["text"] for note in (await client.get("/models/Note/records")).json()["items"]]
        assert there == (["taken"] if isinstance(either, SqliteStore) else ["taken", "a", "b"])
        again = await client.put(
            "/models/Note/records", json=[{**note, "text": note["text"].replace("taken", "d")} for note in notes]
        )
        assert again.json() == {"inserted": 5 - len(there), "updated": 0, "unchanged": len(there) - 1}


async def test_of_however_many_records_none_is_stored_where_no_store_could_keep_one(either):
    async with client_of(create_app(manifest_of({"Note": {**MODELS["Note"], "object_ids": True}}), either)) as client:
        notes = [*({"text": "x"} for _ in range(10_000)), {"text": "y", "_id": "no-object-id"}]
        refused = await client.put("/models/Note/records", json=notes, timeout=60)
        assert (refused.status_code, refused.json()["errors"][0]["loc"][:2]) == (422, ["body", 10_000])
        assert (await client.get("/models/Note/records?count=exact")).json()["count"] == 0


async def test_ten_thousand_records_are_stored_while_others_are_answered(client):
    jobs = [{**JOB, "url": f"u{n}"} for n in range(10_000)]
    storing = asyncio.create_task(client.put("/models/Job/records", json=jobs, timeout=60))
    answered = 0
    while not storing.done():
        assert (await client.get("/models/Job/records?limit=1")).status_code == 200
        answered += 1
    assert (await storing).json() == {"inserted": 10_000, "updated": 0, "unchanged": 0}
    assert answered > 3


async def test_a_record_that_no_longer_validates_is_shown_as_it_is(tmp_path):
    manifest, store = manifest_of(MODELS), SqliteStore(tmp_path / "store.db")
    async with client_of(create_app(manifest, store)) as client:
        await client.post("/models/Job/records", json=JOB)
        old = Record("old", {"url": "x", "salary": "much", "gone": 1}, run="r1", operation="fetch")
        await store.create(collection_of("Job", manifest.models["Job"]), old)
        good, bad = (await client.get("/models/Job/records?sort=url")).json()["items"]
        assert "_errors" not in good
        assert (bad["salary"], bad["_run"], [error["loc"] for error in bad["_errors"]]) == ("much", "r1", [["salary"]])
        assert (await client.get("/models/Job/records/old")).json()["_errors"]


async def test_an_edit_keeps_the_run_and_the_fields_that_the_model_does_not_know(tmp_path):
    manifest, store = manifest_of(MODELS), SqliteStore(tmp_path / "store.db")
    async with client_of(create_app(manifest, store)) as client:
        collection = collection_of("Job", manifest.models["Job"])
        await store.create(collection, Record(record_id("a"), {"url": "a", "gone": 1}, run="r1", operation="fetch"))
        job = (await client.patch(PLACE, json={"salary": 5})).json()
        assert (job["_run"], job["_operation"], job["gone"], job["salary"]) == ("r1", "fetch", 1, 5)
        assert "gone" not in (await client.put(PLACE, json=JOB)).json()


async def test_a_class_that_cannot_be_imported_is_named_and_reading_goes_on(tmp_path):
    models = {"Job": {**MODELS["Job"], "entrypoint": "tests.api.nowhere:Job"}}
    manifest, store = manifest_of(models), SqliteStore(tmp_path / "store.db")
    async with client_of(create_app(manifest, store)) as client:
        await store.create(collection_of("Job", manifest.models["Job"]), Record("x", {"url": "x"}))
        assert (await client.get("/models/Job/records?url=x")).json()["items"][0]["url"] == "x"
        for answer in (await client.post("/models/Job/records", json=JOB), await client.patch("/models/Job/records/x", json={})):
            assert answer.status_code == 503
            assert "tests.api.nowhere:Job can't be imported: ModuleNotFoundError" in answer.json()["detail"]


async def test_a_model_without_a_class_is_checked_by_its_schema(serve):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}},
        "required": ["n"],
    }
    async with serve({"Row": {"origin": "manifest", "schema": schema, "key": ["n"]}}) as client:
        assert (await client.post("/models/Row/records", json={"n": 1, "at": "2026-01-01T00:00:00Z"})).status_code == 201
        assert (await client.post("/models/Row/records", json={"n": "1"})).status_code == 422
        assert (await client.post("/models/Row/records", json={"n": 2, "m": 1})).status_code == 422
        assert len((await client.get("/models/Row/records?at=2026-01-01T00:00:00Z")).json()["items"]) == 1


async def test_a_field_with_an_alias_has_one_name_whichever_way_it_goes(client):
    record = {"name": "a", "part": {"size": 3}}
    made = await client.post("/models/Aliased/records", json=record)
    assert (made.status_code, made.json()["name"], made.json()["part"]) == (201, "a", {"size": 3})
    assert len((await client.get("/models/Aliased/records?part.size=3&name=a")).json()["items"]) == 1
    assert (await client.get("/models/Aliased/records?theName=a")).status_code == 422
    changed = await client.patch(made.headers["location"], json={"part": {"size": 4}})
    assert changed.json()["part"] == {"size": 4}
    assert list((await client.get("/models/Aliased")).json()["body"]["properties"]) == ["name", "part"]
    assert "name" in (await client.get("/openapi.json")).json()["components"]["schemas"]["Aliased"]["properties"]
