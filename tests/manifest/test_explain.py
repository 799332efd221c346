"""What people are told of a manifest that its schema refuses; tests/corpus has each mistake with its message."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from pulpo.manifest.explain import explain
from pulpo.manifest.near_misses import CHOICES, PEERS, entrypoint_hint, key_hint, model_hint, operation_hint
from pulpo.manifest.schema import schema
from pulpo.manifest.value_hints import type_hint
from pulpo.manifest.yaml_read import read

PARTS = {**schema()["$defs"], "Manifest": schema()}


def keys_of(part: str) -> set[str]:
    return set(PARTS[part]["properties"])


def hints(text: str) -> list[str | None]:
    return [problem.hint for problem in explain(read(text, "lock"))]


@pytest.mark.parametrize("part", PEERS)
def test_words_of_other_tools_lead_to_keys_that_there_are(part: str) -> None:
    for word, told in PEERS[part].items():
        assert word not in keys_of(part), f"{word} is a key itself"
        assert word == word.lower()
        named = re.search(r"it is called '(\w+)' here", told)
        assert named is None or named[1] in keys_of(part), told
        assert key_hint(part, word, keys_of(part)) == told


@pytest.mark.parametrize("key", CHOICES)
def test_words_for_choices_lead_to_choices_that_there_are(key: str) -> None:
    nodes = [part["properties"][key] for part in PARTS.values() if key in part["properties"]]
    options = {option for node in nodes for option in node["enum"]}
    assert set(CHOICES[key].values()) <= options
    assert not options & CHOICES[key].keys()


@pytest.mark.parametrize(
    ("part", "key", "hint"),
    [
        ("OperationSpec", "retrys", "did you mean 'retries'?"),
        ("OperationSpec", "Max-Retries", "it is called 'retries' here"),
        ("OperationSpec", "dependsOn", "it is called 'after' here"),
        ("OperationSpec", "schedule", "schedule belongs to flows.NAME"),
        ("OperationSpec", "cron", "cron belongs to flows.NAME.schedule"),
        ("OperationSpec", "image", "image belongs to services.NAME"),
        ("FlowSpec", "retries", "retries belongs to operations.NAME"),
        ("FlowSpec", "modules", "modules belongs to project"),
        ("ModelSpec", "flows", "flows belongs to the top of the file"),
        ("Manifest", "retries", "retries belongs to operations.NAME"),
        ("Manifest", "environment", "did you mean 'environments'?"),
        ("Manifest", "X-mine", "a key of your own is written 'x-mine'"),
        ("Manifest", "x_mine", "a key of your own is written 'x-mine'"),
        ("CacheSpec", "zzz", "keys here are ttl; your own begin with x-"),
    ],
)
def test_an_unknown_key_is_told_what_was_meant(part: str, key: str, hint: str) -> None:
    assert key_hint(part, key, PARTS[part]["properties"]) == hint


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Parsing.Clean", "parsing.clean"),
        ("scraping/step-stone/fetch", "scraping.step_stone.fetch"),
        ("a..b", "a.b"),
        ("fetchAll", "fetch_all"),
        ("1.a", None),
        ("a.class", None),
    ],
)
def test_a_bad_name_of_an_operation_is_told_a_good_one(name: str, meant: str | None) -> None:
    assert operation_hint(name) == (meant and f"did you mean {meant!r}?")


@pytest.mark.parametrize(
    ("name", "meant"), [("raw-job", "raw_job"), ("jobs.models.RawJob", "RawJob"), ("2Raw", None), ("größe", "gr_e")]
)
def test_a_bad_name_of_a_model_is_told_a_good_one(name: str, meant: str | None) -> None:
    assert model_hint(name) == (meant and f"did you mean {meant!r}?")


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("jobs.operations.clean", "jobs.operations:clean"),
        ("jobs/operations.py:clean", "jobs.operations:clean"),
        ("./jobs/operations.py::clean", "jobs.operations:clean"),
        ("jobs:clean()", "jobs:clean"),
        ("clean", None),
        ("jobs-of:clean", None),
        ("", None),
        (":", None),
    ],
)
def test_a_bad_entrypoint_is_told_a_good_one(value: str, meant: str | None) -> None:
    assert entrypoint_hint(value) == (meant and f"did you mean {meant!r}?")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5s", 5),
        ("5 sec", 5),
        ("90 seconds", 90),
        ("5m", 300),
        ("2 mins", 120),
        ("1h30m", 5400),
        ("1 hour 30 minutes", 5400),
        ("1d", 86400),
        ("1:30", 90),
        ("00:01:30", 90),
        ("24:00:00", 86400),
        ("soon", None),
        ("", None),
        ("5 parsecs", None),
    ],
)
def test_a_duration_is_told_in_seconds(value: str, seconds: int | None) -> None:
    hint = type_hint("number", value, part="OperationSpec", key="timeout", written="")
    assert hint == (seconds and f"it is a number of seconds: write {seconds}")


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("version: 1.10", 'put it in quotes: "1.10"'),
        ("version: 0x1F", 'put it in quotes: "31"'),
        ("version: 1e3", 'put it in quotes: "1e3"'),
        ("version: True", 'put it in quotes: "True"'),
        ("version:\n      2", 'put it in quotes: "2"'),
        ("async: YES", "write true: YAML 1.2 has only true and false"),
        ("async: n", "write false: YAML 1.2 has only true and false"),
        ("async: 'False'", "write false, without quotes and in lower case"),
        ("async: maybe", None),
        ("retries: '3'", "write 3, without quotes"),
        ("retries: 1_000", "write 1000"),
        ("retries: 2.4", "write 2"),
        ("timeout: '1.5'", "write 1.5, without quotes"),
        ("timeout: ' 3 '", "write 3"),
        ("tags: a, b", "a list is written [a, b]"),
        ("tags: {a: 1}", "a list of one is written [{a: 1}]"),
        (f"tags: {'x' * 90}", "begin each item with - on a line of its own"),
        ("outputs: Raw, Clean", "a list is written [{model: Raw}, {model: Clean}]"),
        ("inputs: {raw: [Raw]}", "write it as a mapping, NAME: VALUE, without the - at the front"),
        ("parameters: {p: [1, 2]}", "write it as a mapping, NAME: VALUE, without the - at the front"),
        ("retries: [3]", "it is one, not a list: 3"),
        ("async: [true]", "it is one, not a list: true"),
        ("retries: [many]", None),
        ("inputs: [A=b, C=d=e]", "write {A: b, C: d=e}"),
        (f"inputs: [A={'x' * 90}]", "write it as a mapping, NAME: VALUE"),
        ("cache: false", "leave the key out"),
        ("cache: yes", None),
    ],
)
def test_a_value_of_the_wrong_type_is_told_what_to_write(written: str, hint: str | None) -> None:
    assert hints(f"version: 1\nproject: {{name: p}}\noperations:\n  a.b:\n    entrypoint: m:f\n    {written}\n") == [hint]


@pytest.mark.parametrize(
    ("names", "bad"),
    [
        (["+1"], "+1"),
        (["01"], "01"),
        (["1", "01", "+1"], "01"),
        (["1", "01", "+1"], "+1"),
        (["1", "01", ""], "1"),
        (["", "0"], ""),
    ],
)
def test_a_mistake_below_a_key_of_digits_is_told_at_its_line(names: list[str], bad: str) -> None:
    entries = "".join(f'  "{name}": {{image: x, command: {"[3]" if name == bad else "[x]"}}}\n' for name in names)
    (problem,) = explain(read(f"version: 1\nproject: {{name: p}}\nservices:\n{entries}", "lock"))
    assert problem.path == ("services", bad, "command", 0)
    assert problem.place is not None
    assert problem.place.line == 4 + names.index(bad)


def test_each_of_a_thousand_mistakes_is_told_at_its_line() -> None:
    rnd = random.Random(7)
    mistakes = ["retrys: 3", "async: yes", "timeout: 5m", "on_error: stop", "depends_on: [a]"]
    lines = ["version: 1", "project: {name: p}", "operations:"]
    expected: dict[int, str] = {}
    for number in range(3000):
        lines += [f"  a{number}.b:", "    entrypoint: m:f"]
        if number % 3 == 0:
            lines.append(f"    {rnd.choice(mistakes)}")
            expected[len(lines)] = f"a{number}.b"
    found = explain(read("\n".join(lines), "lock"))
    told: dict[int, Any] = {problem.place.line: problem.path[1] for problem in found if problem.place}
    assert told == expected
    assert all(problem.hint for problem in found)
