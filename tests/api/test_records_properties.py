"""Random models and values: what is stored over HTTP is what is read, and found by what it holds."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulpo.api.app import create_app
from pulpo.store.sqlite import SqliteStore
from tests.api.conftest import client_of, manifest_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
#: Schemas and their values.
KINDS = {
    "text": ({"type": "string"}, TEXTS),
    "integer": ({"type": "integer"}, st.integers(-(2**63), 2**63 - 1)),
    "number": ({"type": "number"}, st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)),
    "boolean": ({"type": "boolean"}, st.booleans()),
    "maybe": ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, st.none() | st.integers(-5, 5)),
    "choice": ({"enum": ["a", "b,c", "[", "null"]}, st.sampled_from(["a", "b,c", "[", "null"])),
    "date": ({"type": "string", "format": "date"}, st.dates().map(str)),
    "words": ({"type": "array", "items": {"type": "string"}}, st.lists(TEXTS, max_size=3)),
}
NAMES = st.sampled_from(["a", "limit", "sort", "q", "a__gt", "count", "x-y", "é", "cursor"])


@st.composite
def models(draw):
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(sorted(KINDS)), min_size=1, max_size=5))
    schema = {"type": "object", "properties": {n: KINDS[k][0] for n, k in kinds.items()}, "required": sorted(kinds)}
    records = draw(
        st.lists(st.fixed_dictionaries({name: KINDS[kind][1] for name, kind in kinds.items()}), min_size=1, max_size=4)
    )
    return kinds, schema, records


@contextlib.asynccontextmanager
async def _client(schema):
    with tempfile.TemporaryDirectory() as directory:
        manifest = manifest_of({"Row": {"origin": "manifest", "schema": schema}})
        async with client_of(create_app(manifest, SqliteStore(Path(directory) / "store.db"))) as client:
            yield client


def _own(record):
    return {name: value for name, value in record.items() if not name.startswith("_")}


def _plain(record):
    return json.dumps(_own(record), sort_keys=True)


def _text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(models())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
async def test_what_is_stored_is_read_and_found(model):
    kinds, schema, records = model
    async with _client(schema) as client:
        for record in records:
            made = await client.post("/models/Row/records", json=record)
            assert made.status_code == 201, made.text
            assert _own((await client.get(made.headers["location"])).json()) == _own(made.json()) == record
        listed = (await client.get("/models/Row/records")).json()["items"]
        assert sorted(map(_plain, listed)) == sorted(map(_plain, records))
        for name, kind in kinds.items():
            if kind == "words":
                continue
            value = records[0][name]
            asked = {f"{name}__isnull": "true"} if value is None else {f"{name}__eq": _text(value)}
            found = await client.get("/models/Row/records", params=asked)
            assert found.status_code == 200, found.text
            assert [_own(r)[name] for r in found.json()["items"]] == [value] * sum(r[name] == value for r in records)
