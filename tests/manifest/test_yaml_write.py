"""Writing: the canonical form, and that every parser reads back what was written."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import pytest
import ruamel.yaml
from hypothesis import given
from hypothesis import strategies as st

from pulpo.errors import DiagnosticsError
from pulpo.manifest.model import Manifest, OperationSpec
from pulpo.manifest.yaml_read import read
from pulpo.manifest.yaml_write import HEADER, dump_entry, dumps
from tests.strategies import HOSTILE, json_objects, json_values, manifests, numbers, texts

CANONICAL = textwrap.dedent("""\
    version: 1
    project: {name: jobs, modules: [jobs]}
    models:
      RawJob:
        entrypoint: jobs.models:RawJob
        description: A job, as found
        collection: raw_jobs
        key: [url]
        indexes: [[company], [posted_at]]
        schema:
          type: object
          properties:
            url: {type: string, title: Url}
            "n": {anyOf: [{type: integer}, {type: "null"}], default: null}
            place: {$ref: "#/$defs/Place"}
          required: [url]
          $defs:
            Place: {type: string, pattern: "^[a-z]+$"}
    operations:
      parsing.clean:
        entrypoint: jobs.operations:clean
        async: false
        parameters: {}
        inputs:
          raw: {model: RawJob, mode: each, from: [scraping.linkedin.fetch, scraping.stepstone.fetch]}
          known: {model: CleanJob, mode: previous, many: true}
        outputs: [{model: CleanJob}]
        description: "Parse it: once per record"
        tags: ["on", nightly]
        cache: {ttl: 1.0e+16}
        x-owner: data
      scraping.stepstone.fetch:
        entrypoint: jobs.operations:fetch_stepstone
        async: true
        parameters:
          keywords: {schema: {type: string}, default: python}
          limit: {schema: {type: integer}, default: 10}
        inputs: {}
        outputs: [{model: RawJob, many: true}]
        retries: 5
    flows:
      parsing:
        tags: [nightly]
        segments:
          - [parsing.clean]
          - [parsing.merge, parsing.rank]
      scraping: {schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}, tags: [nightly]}
    services:
      db:
        image: mongo:7
        environment: {TZ: "12:30", VERBOSE: "yes"}
        ports: ["27017:27017"]
    environments:
      prod:
        project: {mode: docker}
        services:
          db: {image: "mongo:8", uri: "${MONGO_URL}"}
    declared:
      models:
        CleanJob:
          {}
      operations:
        scraping.stepstone.fetch:
          retries: 3
    x-note: [yours]
""")


def _shuffled(value: Any) -> Any:
    """The same data with the keys of all mappings turned round, where their order is not a signature's or a schema's."""
    if not isinstance(value, dict):
        return [_shuffled(item) for item in value] if isinstance(value, list) else value
    kept = ("schema", "parameters", "inputs", "environment")
    return {key: item if key in kept else _shuffled(item) for key, item in reversed(value.items())}


def test_a_manifest_is_written_in_its_one_form_from_any_order() -> None:
    data = read(CANONICAL, "lock").data
    assert dumps(data) == HEADER + CANONICAL
    assert dumps(_shuffled(data)) == HEADER + CANONICAL


def test_the_canonical_form_is_a_valid_manifest() -> None:
    data = read(CANONICAL, "lock").data
    assert dumps(Manifest.model_validate(data).data()) == HEADER + CANONICAL


def test_the_header_is_two_comments_and_says_where_the_schema_is() -> None:
    first, second = HEADER.splitlines()
    assert first.startswith("# yaml-language-server: $schema=https://")
    assert first.endswith("/pulpo.schema.json")
    assert second.startswith("# Made by `pulpo lock`")


def test_parameters_and_inputs_keep_the_order_of_the_signature() -> None:
    given = {"inputs": {"zebra": {"model": "A"}, "ant": {"model": "B"}}, "parameters": {"y": {}, "x": {}}}
    operation = read(dumps({"operations": {"a.b": given}}), "lock").data["operations"]["a.b"]
    assert {key: list(value) for key, value in operation.items()} == {"inputs": ["zebra", "ant"], "parameters": ["y", "x"]}


def test_one_entry_is_shown_as_in_the_lock() -> None:
    operation = OperationSpec.model_validate({"entrypoint": "m:f", "inputs": {"raw": {"model": "Raw"}}, "retries": 2})
    assert dump_entry("a.b", operation.data()) == ("a.b:\n  entrypoint: m:f\n  inputs:\n    raw: {model: Raw}\n  retries: 2\n")
    assert dump_entry("M", {"schema": {"properties": {"a": {"type": "string"}}}}, "models") == (
        "M:\n  schema:\n    properties:\n      a: {type: string}\n"
    )


@given(manifests())
def test_a_manifest_is_read_back_as_it_was(data: dict[str, Any]) -> None:
    text = dumps(data)
    assert read(text, "lock").data == data
    assert dumps(read(text, "lock").data) == text


@given(json_objects | st.dictionaries(st.sampled_from(["models", "operations", "flows", "project", "declared"]), json_values))
def test_any_json_is_read_back_as_it_was(data: dict[str, Any]) -> None:
    assert read(dumps(data), "lock").data == data


@given(numbers)
def test_numbers_keep_value_and_type(number: float) -> None:
    value = read(dumps({"x": number, "flow": [number]}), "lock").data
    assert value == {"x": number, "flow": [number]}
    assert type(value["x"]) is type(number)
    assert math.copysign(1, value["x"]) == math.copysign(1, number)


def _parsers() -> list[ruamel.yaml.YAML]:
    """ruamel's own parser for YAML 1.2 and for 1.1, and libyaml, which is 1.1."""
    parsers = [ruamel.yaml.YAML(typ="safe", pure=True) for _ in range(2)] + [ruamel.yaml.YAML(typ="safe")]
    parsers[1].version = (1, 1)
    return parsers


def _as_others_read(text: str) -> list[Any]:
    return [parser.load(text) for parser in _parsers()]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_other_parsers_read_hostile_strings_as_they_were(text: str) -> None:
    data = {"x-block": text, "x-list": [text, [text]], "x-map": {"a": text, text: "v"}, "models": {text or "m": {"key": text}}}
    assert _as_others_read(dumps(data)) == [data] * 3


@given(st.dictionaries(texts, st.lists(texts, max_size=3) | texts, max_size=4))
def test_other_parsers_read_strings_as_they_were(data: dict[str, Any]) -> None:
    assert _as_others_read(dumps(data)) == [data] * 3


@given(numbers)
def test_other_parsers_read_numbers_as_they_were(number: float) -> None:
    for value in _as_others_read(dumps({"x": [number]})):
        assert value == {"x": [number]}
        assert isinstance(value["x"][0], type(number))


@pytest.mark.parametrize(
    "text", ["python", "A job, as found", "jobs.models:RawJob", "Europe/Berlin", "it's (so) 3", "$ref", "é ß"]
)
def test_ordinary_text_is_written_without_quotes(text: str) -> None:
    assert dumps({"description": text}) == f"{HEADER}description: {text}\n"


def test_nothing_is_wrapped() -> None:
    names = [f"scraping.source{i}.fetch" for i in range(200)]
    text = dumps({"operations": {"a.b": {"inputs": {"raw": {"model": "Raw", "from": names}}, "description": "word " * 200}}})
    assert len(text.splitlines()) == 7


def test_an_empty_manifest_is_an_empty_mapping() -> None:
    assert read(dumps({}), "lock").data == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("inf"), "JSON has no such number: inf"),
        (float("nan"), "JSON has no such number: nan"),
        (10**300, "the number is too large"),
        ([10**5000], "the number is too large"),
        ("a\ud800", r"half of a surrogate pair is no character: 'a\ud800'"),
        ({"\udfff": 1}, r"half of a surrogate pair is no character: '\udfff'"),
        ({1: 2}, "a key has to be a string: 1"),
        ({1, 2}, "a set has no form in YAML"),
        ((1, 2), "a tuple has no form in YAML"),
        (b"x", "a bytes has no form in YAML"),
    ],
)
def test_what_can_not_be_written_is_told_with_its_path(value: object, message: str) -> None:
    with pytest.raises(DiagnosticsError) as caught:
        dumps({"operations": {"a.b": {"parameters": {"p": {"default": value}}}}})
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.message) == ("PLP006", message)
    assert problem.path[:5] == ("operations", "a.b", "parameters", "p", "default")


def test_what_is_too_deep_or_within_itself_can_not_be_written() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(DiagnosticsError, match="nested deeper than 60 levels"):
        dumps({"x": ring})


def test_as_deep_as_is_read_can_be_written() -> None:
    deep: list[Any] = []
    for _ in range(59):
        deep = [deep]
    assert read(dumps({"x": deep}), "lock").data == {"x": deep}
