"""The JSON Schema: what it says, that its files are fresh, and that all who judge by it agree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from pulpo.manifest.model import Manifest
from pulpo.manifest.schema import BUNDLE, SCHEMA_URL, schema, schemas_by_name, stale_schemas, write_schemas
from tests.strategies import damaged_manifests, manifests

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MINIMAL = {"version": 1, "project": {"name": "p"}}
ANNOTATIONS = {"$schema", "$id", "$defs", "$ref", "title", "description", "default", "examples"}
#: What only editors read.
RULES = {
    "type",
    "enum",
    "const",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "minLength",
    "minItems",
    "items",
    "required",
}
MAPPINGS = {"properties", "additionalProperties", "patternProperties", "propertyNames"}
OPERATION = {"entrypoint": "m:f"}


def verdicts(data: Any) -> tuple[bool, bool, bool]:
    """What jsonschema, jsonschema-rs and pydantic say."""
    try:
        Manifest.model_validate(data)
        accepted = True
    except ValidationError:
        accepted = False
    by_schema = jsonschema.Draft202012Validator(schema()).is_valid(data)
    return by_schema, jsonschema_rs.Draft202012Validator(schema()).is_valid(data), accepted


@settings(deadline=None)
@given(manifests())
def test_all_validators_accept_valid_manifests(data: dict[str, Any]) -> None:
    assert verdicts(data) == (True, True, True)


@settings(deadline=None)
@given(damaged_manifests())
def test_all_validators_agree_on_damaged_manifests(data: dict[str, Any]) -> None:
    assert len(set(verdicts(data))) == 1


@pytest.mark.parametrize(
    ("section", "accepted"),
    [
        ({"operations": {"a.b": {**OPERATION, "retries": 3.0}}}, True),
        ({"operations": {"a.b": {**OPERATION, "retries": 3.5}}}, False),
        ({"operations": {"a.b": {**OPERATION, "retries": True}}}, False),
        ({"operations": {"a.b": {**OPERATION, "retries": "3"}}}, False),
        ({"operations": {"a.b": {**OPERATION, "retries": 0}}}, True),
        ({"operations": {"a.b": {**OPERATION, "retries": -1}}}, False),
        ({"operations": {"a.b": {**OPERATION, "concurrency": 0}}}, False),
        ({"operations": {"a.b": {**OPERATION, "concurrency": 1.0}}}, True),
        ({"operations": {"a.b": {**OPERATION, "retry_delay": 0}}}, True),
        ({"operations": {"a.b": {**OPERATION, "timeout": 0}}}, False),
        ({"operations": {"a.b": {**OPERATION, "timeout": 10**299}}}, True),
        ({"operations": {"a.b": {**OPERATION, "description": None}}}, False),
        ({"operations": {"a.b": {**OPERATION, "x-owner": None}}}, True),
        ({"operations": {"a.b": {**OPERATION, "parameters": {"p": {"default": None}}}}}, True),
        ({"operations": {"a.b\n": OPERATION}}, False),
        ({"operations": {"A.b": OPERATION}}, False),
        ({"operations": {"a.b.c.d.e.f.g.h": OPERATION}}, True),
        ({"operations": {"a.b.c.d.e.f.g.h.i": OPERATION}}, False),
        ({"operations": {"a.b": {"entrypoint": "m:f\n"}}}, False),
        ({"models": {"M": {"json_schema": {}}}}, False),
        ({"models": {"M": {"collection": "jobs\n"}}}, False),
        ({"version": 1.0}, True),
        ({"version": True}, False),
        ({"version": 2}, False),
        ({"operation": {}}, False),
        ({"services": {"any name": {"image": "x"}}}, True),
        ({"environments": {"prod": {"services": {"db": {"uri": "${URI}"}}}}}, True),
        ({"environments": {"prod": {"services": {"db": {"anything": None}}}}}, False),
    ],
)
def test_the_validators_agree_where_they_could_differ(section: dict[str, Any], accepted: bool) -> None:
    assert verdicts(MINIMAL | section) == (accepted,) * 3


@pytest.mark.parametrize("name", [None, *schemas_by_name()])
def test_a_schema_is_a_valid_schema_and_complete_by_itself(name: str | None) -> None:
    document = schema() if name is None else schemas_by_name()[name]
    jsonschema.Draft202012Validator.check_schema(document)
    references = {node["$ref"] for node in _schemas(document) if "$ref" in node}
    assert references <= {f"#/$defs/{definition}" for definition in document.get("$defs", {})}
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name", [None, *schemas_by_name()])
def test_a_schema_is_closed_and_has_plain_keywords_only_and_no_nulls(name: str | None) -> None:
    for node in _schemas(schema() if name is None else schemas_by_name()[name]):
        assert node.keys() <= ANNOTATIONS | RULES | MAPPINGS
        assert node.get("type") != "null"
        assert node.get("default", 0) is not None
        if "properties" in node:
            assert node["additionalProperties"] is False
            assert node["patternProperties"].keys() == {"^x-"}
            assert node["patternProperties"]["^x-"].keys() <= ANNOTATIONS


@pytest.mark.parametrize("name", [None, *schemas_by_name()])
def test_every_part_and_key_has_a_title_and_whole_sentences_about_it(name: str | None) -> None:
    document = schema() if name is None else schemas_by_name()[name]
    parts = {"": document} | {f"#/$defs/{key}": part for key, part in document.get("$defs", {}).items()}
    explained = {f"{where}.{key}": node for where, part in parts.items() for key, node in part["properties"].items()} | parts
    for where, node in explained.items():
        assert re.fullmatch(r"[A-Z].*", node.get("title", "")), where
        assert re.fullmatch(r"[A-Z`].*[.]", node.get("description", ""), re.DOTALL), where


def test_every_choice_has_its_meaning() -> None:
    choices = [node for node in _schemas(schema()) if "enum" in node]
    assert len(choices) >= 3
    for node in choices:
        assert all(f"`{choice}`" in node["description"] for choice in node["enum"])


def test_examples_are_valid_where_they_stand() -> None:
    document = schema()
    shown = 0
    for node in _schemas(document):
        validator = jsonschema_rs.Draft202012Validator({**node, "$defs": document["$defs"]})
        for example in node.get("examples", ()):
            shown += 1
            assert validator.is_valid(example), (node["title"], example)
    assert shown > 20


def test_a_field_says_what_it_is_its_unit_its_default_and_whose_it_is() -> None:
    operation = schema()["$defs"]["OperationSpec"]["properties"]
    assert operation["retry_delay"] == {
        "title": "Retry delay",
        "description": "Seconds before the first retry, doubled before each one after it; 1 where unset. "
        "The decorator gives the default; a value here overrides it.",
        "examples": [10],
        "minimum": 0,
        "type": "number",
    }
    assert operation["entrypoint"]["description"].endswith("The code owns it: `pulpo lock` restores it after an edit.")
    assert schema()["properties"]["flows"]["description"].endswith("It is yours: `pulpo lock` does not touch it.")


def test_a_part_can_be_used_alone() -> None:
    validator = jsonschema_rs.Draft202012Validator(schemas_by_name()["operation"])
    assert validator.is_valid({"entrypoint": "m:f", "inputs": {"raw": {"model": "Raw"}}})
    assert not validator.is_valid({"entrypoint": "m:f", "inputs": {"raw": {"modle": "Raw"}}})


def test_the_schemas_in_the_repository_are_fresh() -> None:
    assert stale_schemas(ROOT) == [], "run `pulpo schema`"


def test_the_bundle_is_where_the_locks_look_for_it() -> None:
    assert json.loads((ROOT / BUNDLE).read_text(encoding="utf-8"))["$id"] == SCHEMA_URL


def test_missing_changed_and_forgotten_schema_files_are_stale(tmp_path: Path) -> None:
    assert len(stale_schemas(tmp_path)) == 7
    write_schemas(tmp_path)
    assert stale_schemas(tmp_path) == []
    (tmp_path / "schemas" / "model.v1.json").write_text("{}", encoding="utf-8")
    (tmp_path / "schemas" / "old.v0.json").write_text("{}", encoding="utf-8")
    (tmp_path / BUNDLE).unlink()
    assert stale_schemas(tmp_path) == [BUNDLE, "schemas/model.v1.json", "schemas/old.v0.json"]


def _schemas(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all that lie in it."""
    yield node
    for keyword in ("items", "additionalProperties", "propertyNames"):
        if isinstance(node.get(keyword), dict):
            yield from _schemas(node[keyword])
    for keyword in ("properties", "patternProperties", "$defs"):
        for part in node.get(keyword, {}).values():
            yield from _schemas(part)
