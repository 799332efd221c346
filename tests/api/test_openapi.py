"""The OpenAPI document: each model's own paths and schemas, each operation's own run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pulpo.api.app import create_app
from pulpo.api.openapi import openapi
from pulpo.manifest.load import load
from pulpo.manifest.model import Manifest
from pulpo.store.sqlite import SqliteStore
from tests.api.conftest import EXAMPLES, client_of, manifest_of
from tests.api.shop import MODELS


def document(manifest: Manifest) -> dict:
    return openapi(create_app(manifest, SqliteStore(Path("never-opened.db"))))


def references(node):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


@pytest.mark.parametrize("name", ["jobs", "flights"])
def test_every_reference_leads_somewhere_and_ids_are_unique(name):
    found = document(load(EXAMPLES / name / "pulpo.lock.yaml")[0])
    assert found["openapi"] == "3.1.0"
    for reference in set(references(found)):
        node = found
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    operations = [operation for item in found["paths"].values() for operation in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    assert all("default" in operation["responses"] for operation in operations)
    json.dumps(found)


def test_a_model_has_its_own_paths_with_its_own_schema():
    found = document(manifest_of(MODELS))
    assert {"/models/Job/records", "/models/Job/records/{id}", "/models/Note/records"} <= found["paths"].keys()
    schemas = found["components"]["schemas"]
    assert schemas["Job"]["additionalProperties"] is False
    assert schemas["Job"]["properties"]["company"]["anyOf"][0] == {"$ref": "#/components/schemas/Job.Company"}
    assert schemas["Job.Company"]["additionalProperties"] is False
    assert schemas["Job.record"]["required"] == ["_id", "_rev", "_run", "_operation", "_created", "_updated"]
    assert "_id" in schemas["Note"]["properties"]
    assert "_id" not in schemas["Job"]["properties"]
    names = {p["name"]: p["schema"] for p in found["paths"]["/models/Note/records"]["get"]["parameters"]}
    assert names["limit"]["maximum"] == 1000
    assert names["limit__eq"]["type"] == "integer"
    assert "text__contains" in names


def test_an_operation_has_its_own_run_with_its_own_parameters():
    found = document(load(EXAMPLES / "jobs" / "pulpo.lock.yaml")[0])
    assert "/operations/{operation}/run" not in found["paths"]
    path = found["paths"]["/operations/scraping.linkedin.fetch/run"]["post"]
    body = path["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    parameters = found["components"]["schemas"][body]["properties"]["parameters"]
    assert parameters["properties"]["keywords"]["default"] == "python"
    assert parameters["additionalProperties"] is False


def test_a_model_that_refers_to_itself_is_led_to_its_component():
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}, "required": []}
    schemas = document(manifest_of({"Node": {"origin": "manifest", "schema": {"$defs": {"Node": node}, "$ref": "#/$defs/Node"}}}))
    schemas = schemas["components"]["schemas"]
    assert schemas["Node.Node"]["properties"]["next"]["anyOf"][0] == {"$ref": "#/components/schemas/Node.Node"}
    assert schemas["Node"]["properties"]["next"]["anyOf"][0] == {"$ref": "#/components/schemas/Node.Node"}


async def test_the_document_follows_the_manifest(tmp_path):
    app = create_app(manifest_of({"Job": MODELS["Job"]}), SqliteStore(tmp_path / "store.db"))
    async with client_of(app) as client:
        assert "/models/Note/records" not in (await client.get("/openapi.json")).json()["paths"]
        app.state.context = app.state.context.with_manifest(manifest_of(MODELS), None)
        assert "/models/Note/records" in (await client.get("/openapi.json")).json()["paths"]
        assert (await client.get("/models/Note/records")).status_code == 200


async def test_what_nobody_foresaw_says_nothing_of_its_cause(tmp_path, caplog):
    app = create_app(manifest_of(MODELS), SqliteStore(tmp_path / "store.db"))

    def fail() -> None:
        raise RuntimeError("the password is swordfish")

    app.add_api_route("/fails", fail)
    async with client_of(app) as client:
        answer = await client.get("/fails")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "swordfish" not in answer.text
    assert "swordfish" in caplog.text
