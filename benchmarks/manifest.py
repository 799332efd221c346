"""CPU seconds of each stage from a lock's text to the manifest and back: `python -m benchmarks.manifest [OPERATIONS]`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import jsonschema_rs

from pulpo.manifest.load import validate
from pulpo.manifest.model import Manifest
from pulpo.manifest.schema import schema
from pulpo.manifest.yaml_read import collector_paused, read
from pulpo.manifest.yaml_write import dumps

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
LOAD = "import pathlib, sys; from pulpo.manifest.load import load; load(pathlib.Path(sys.argv[1]))"


def manifest(operations: int) -> dict[str, Any]:
    """A manifest with that many operations in flows of ten, and a model for every ten of them."""
    return {
        "version": 1,
        "project": {"name": "shop", "modules": ["shop"]},
        "models": {f"Item{i}": _model(i) for i in range(operations // 10)},
        "operations": {_name(i): _operation(i, operations // 10) for i in range(operations)},
        "flows": {f"shop{i}": {"schedule": {"cron": "0 6 * * *"}, "tags": ["nightly"]} for i in range(operations // 10)},
        "declared": {"operations": {_name(i): {"retries": 3, "tags": ["nightly"]} for i in range(operations)}},
    }


def _name(i: int) -> str:
    return f"shop{i // 10}.step{i}"


def _model(i: int) -> dict[str, Any]:
    properties = {name: {"title": name.capitalize(), "type": "string"} for name in ("url", "name", "seller")}
    properties["price"] = {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None}
    return {
        "entrypoint": f"shop.models:Item{i}",
        "collection": f"item{i}",
        "key": ["url"],
        "schema": {"type": "object", "title": f"Item{i}", "properties": properties, "required": ["url", "name"]},
    }


def _operation(i: int, models: int) -> dict[str, Any]:
    source = {"model": f"Item{i % models}", "mode": "each", "from": [_name(max(0, i - 1)), _name(max(0, i - 2))]}
    return {
        "entrypoint": f"shop.operations:step{i}",
        "async": i % 2 == 0,
        "parameters": {"limit": {"schema": {"type": "integer"}, "default": 100}, "query": {"schema": {"type": "string"}}},
        "inputs": {"item": source} if i else {},
        "outputs": [{"model": f"Item{(i + 1) % models}", "many": True}],
        "description": f"Step {i}: take what there is, and pass it on",
        "tags": ["nightly"],
        "retries": 3,
    }


def _measured(stage: str, work: Callable[[], T]) -> T:
    start = time.process_time()
    result = work()
    print(f"{stage:32}{time.process_time() - start:7.2f}")
    return result


def main(operations: int) -> None:
    """Print a line for each stage."""
    data = manifest(operations)
    text = _measured("write", lambda: dumps(data))
    print(f"{operations} operations, {text.count(chr(10))} lines, {len(text) / 1e6:.1f} MB")
    validator = jsonschema_rs.Draft202012Validator(schema())
    with collector_paused():
        document = _measured("read", lambda: read(text, "lock"))
        _measured("find a place", lambda: document.locate(("operations", _name(operations - 1), "retries")))
        _measured("validate: JSON Schema", lambda: validator.is_valid(document.data))
        _measured("validate: pydantic", lambda: Manifest.model_validate(document.data))
        _measured("validate: both", lambda: validate(document))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "pulpo.lock.yaml"
        path.write_text(text, encoding="utf-8")
        before = os.times()
        subprocess.run([sys.executable, "-c", LOAD, path], check=True)
        after = os.times()
        whole = after.children_user + after.children_system - before.children_user - before.children_system
        print(f"{'a whole process that loads it':32}{whole:7.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
