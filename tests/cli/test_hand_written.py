"""Operations and models without a decorator: written into the lock by hand, and as good as any other in every command."""

from __future__ import annotations

import json

import pytest

CODE = """
from dataclasses import dataclass


@dataclass
class Order:
    id: int


def fetch(limit: int = 2) -> list[Order]:
    return [Order(i) for i in range(limit)]


def note(orders):
    return [{"text": f"order {order.id}"} for order in orders]


async def tell(notes):
    print([note["text"] for note in notes])


number = 3
"""

LOCK = """\
# All of this is written by hand.
version: 1
project: {name: shop, modules: [shop]}
models:
  Note:
    origin: manifest    # no class: records are dicts
    schema: {type: object, properties: {text: {type: string}}, required: [text]}
  Order:
    origin: manifest
    entrypoint: shop:Order
    key: [id]
    schema: {type: object, properties: {id: {type: integer}}, required: [id]}
operations:
  orders.fetch:
    origin: manifest
    entrypoint: shop:fetch
    parameters: {limit: {schema: {type: integer}, default: 2}}
    outputs: [{model: Order, many: true}]
    retries: 1
  orders.note:
    origin: manifest
    entrypoint: shop:note
    inputs: {orders: {model: Order, mode: all, from: [orders.fetch]}}
    outputs: [{model: Note, many: true}]
  tell:
    origin: manifest
    entrypoint: shop:tell
    async: true
    inputs: {notes: {model: Note, mode: all, from: [orders.note]}}
services: {api: {enabled: false}, db: {engine: embedded}, prefect: {enabled: false}, ui: {enabled: false}, worker: {enabled: false}}
declared: {models: {}, operations: {}}
"""


@pytest.fixture
def shop(shell):
    (shell.directory / "shop.py").write_text(CODE)
    (shell.directory / "pulpo.lock.yaml").write_text(LOCK)
    return shell


def changed(shop, *pairs):
    text = LOCK
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (shop.directory / "pulpo.lock.yaml").write_text(text)


def test_lock_leaves_them_alone_and_check_has_nothing_against_them(shop):
    shop("lock")
    shop("lock", "--check")
    assert (shop.directory / "pulpo.lock.yaml").read_text() == LOCK
    for arguments in ((), ("--no-code",), ("--strict",)):
        assert shop("check", *arguments).out == ""


def test_they_run(shop):
    done = shop("run", "pipeline", "--param", "limit=3")
    assert "['order 0', 'order 1', 'order 2']" in done.out
    run = json.loads(shop("run", "pipeline", "--format", "json").out)
    made = {step["operation"]: {model: c["made"] for model, c in step["counts"].items() if c["made"]} for step in run["steps"]}
    assert made["orders.fetch"] == {"Order": 2}
    assert made["orders.note"] == {"Note": 2}
    assert json.loads(shop("run", "tell", "--input", "Note=latest", "--format", "json").out)["state"] == "completed"


def test_they_are_shown_with_their_origin(shop):
    for command in ("operations", "models"):
        assert all("manifest" in row for row in shop(command).out.splitlines()[1:])
        assert {entry["origin"] for entry in json.loads(shop(command, "--format", "json").out)} == {"manifest"}
    assert "origin: manifest" in shop("operations", "tell").out
    assert json.loads(shop("models", "Note", "--format", "json").out)["origin"] == "manifest"
    assert [row.split()[:2] for row in shop("flows").out.splitlines()[1:]] == [["orders", "2"], ["pipeline", "3"], ["tell", "1"]]
    assert "op-orders-note -->|Note| op-tell" in shop("graph").out


def test_what_the_code_has_is_told_apart(jobs):
    assert {entry["origin"] for entry in json.loads(jobs("operations", "--format", "json").out)} == {"code"}


def test_entrypoints_that_lead_nowhere_are_told_at_their_lines_by_check_and_run(shop):
    changed(
        shop, ("shop:fetch", "shop:fetsh"), ("shop:note", "shopp:note"), ("shop:tell", "shop:number"), ("shop:Order", "shop:Ordr")
    )
    expected = [
        "pulpo.lock.yaml:10:17: error PLP116: models.Order.entrypoint: shop:Ordr can't be imported: shop has no Ordr",
        "pulpo.lock.yaml:16:17: error PLP116: operations.orders.fetch.entrypoint: shop:fetsh can't be imported: shop has no fetsh",
        (
            "pulpo.lock.yaml:22:17: error PLP116: operations.orders.note.entrypoint: shopp:note can't be imported: "
            "ModuleNotFoundError: No module named 'shopp'"
        ),
        "pulpo.lock.yaml:27:17: error PLP116: operations.tell.entrypoint: shop:number is no function, but int",
    ]
    found = shop("check", code=1).out
    assert [row for row in found.splitlines() if "PLP" in row] == expected
    assert "did you mean 'Order'?" in found
    assert "did you mean 'fetch'?" in found
    assert shop("check", "--no-code").out == ""
    assert expected[0] in shop("run", "pipeline", code=1).err
    changed(shop, ("shop:fetch", "shop:fetsh"), ("shop:note", "shopp:note"), ("shop:tell", "shop:number"))
    assert [row for row in shop("run", "pipeline", code=1).err.splitlines() if "PLP" in row] == expected[1:]


def test_records_of_a_model_without_a_class_follow_its_schema(shop):
    changed(shop, ("text: {type: string}", "text: {type: integer}"))
    done = shop("run", "pipeline", code=1)
    assert "a Note whose field text is wrong" in done.out
    assert "record 1 of 2" in done.out


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{type: 5}", "type: 5 is not valid"),
        ("{properties: 5}", 'properties: 5 is not of type "object"'),
        ('{$ref: "#/$defs/X"}', "Pointer '/$defs/X' does not exist"),
        ('{$defs: 5, $ref: "#/$defs/X"}', "$defs: 5 is not"),
        ('{$ref: "http://127.0.0.1:9/x.json"}', "it refers to something outside of it: http://127.0.0.1:9/x.json"),
    ],
)
def test_a_schema_that_is_none_is_told_by_check_and_run(shop, schema, message):
    changed(
        shop,
        ("schema: {type: object, properties: {text: {type: string}}, required: [text]}", f"schema: {schema}\n    key: [text]"),
    )
    for arguments in (("check", "--no-code"), ("run", "pipeline")):
        done = shop(*arguments, code=1)
        assert f"pulpo.lock.yaml:7:13: error PLP114: models.Note.schema: no JSON Schema: {message}" in done.out + done.err


def test_a_parameters_schema_that_is_none_is_told_by_check(shop):
    changed(shop, ("limit: {schema: {type: integer}", "limit: {schema: {type: 5}"))
    assert "operations.orders.fetch.parameters.limit.schema: no JSON Schema" in shop("check", "--no-code", code=1).out
    shop("run", "orders", "--param", "limit=3")
