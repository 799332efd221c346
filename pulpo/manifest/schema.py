"""The JSON Schema (2020-12) of the manifest and of its parts, generated from the models of `pulpo.manifest.model`.

The files at the root of the repository are what is used, and what a wheel has; `pulpo schema` writes them, and the tests fail
where they are not as the models make them.

pydantic's own answer is about the models; the file is stricter and simpler, and that is put right here: an unset setting is
left out, never null; keys beginning with `x-` are free and all others known; names are checked as keys; and a pattern means
the same to every validator. No union is left in the schema, so that a validator's error always says what is wrong.

What an editor shows lies beside the rules, in `title`, `description` and `examples`. Keywords that only editors know are not
used: a strict validator, such as ajv by default, refuses a schema with words that it does not know.
"""

from __future__ import annotations

import functools
import json
import pathlib
from typing import Any

from pulpo.errors import UsageError
from pulpo.manifest.flow import FlowSpec
from pulpo.manifest.model import EnvironmentSpec, Manifest, ModelSpec, OperationSpec
from pulpo.manifest.service import ServiceSpec
from pulpo.manifest.spec import Spec, title
from pulpo.names import MODEL_PATTERN, OPERATION_PATTERN, REPOSITORY

BASE_URL = f"https://raw.githubusercontent.com/{REPOSITORY}/main/"
#: The file with the whole schema, at the root of the repository, and where an editor finds it.
BUNDLE = "pulpo.schema.json"
SCHEMA_URL = BASE_URL + BUNDLE

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PARTS: dict[str, type[Spec]] = {
    "environment": EnvironmentSpec,
    "flow": FlowSpec,
    "manifest": Manifest,
    "model": ModelSpec,
    "operation": OperationSpec,
    "service": ServiceSpec,
}
_NULL = {"type": "null"}
#: Keywords that hold one schema, and those that hold a mapping of them.
_ONE, _MANY = ("items", "additionalProperties", "propertyNames"), ("properties", "$defs")
#: What an editor offers as a key where the keys are names.
_NAMES = {
    OPERATION_PATTERN: {
        "title": "flow.step",
        "description": "The dotted name of an operation or a flow: lower case letters, digits and _, at most 8 segments.",
    },
    MODEL_PATTERN: {"title": "Name", "description": "A name: letters, digits and _, not beginning with a digit."},
}
_OWN_KEYS = {"title": "Your own", "description": "Keys that begin with x- are yours: they may hold anything."}


@functools.cache
def schema() -> dict[str, Any]:
    """The schema of the whole manifest, from its file: making it takes longer than all else that a small lock needs.

    It is the same object each time: not to be changed.
    """
    here = pathlib.Path(__file__)
    packaged, checkout = here.with_name(BUNDLE), here.parents[2] / BUNDLE
    found: dict[str, Any] = json.loads((packaged if packaged.exists() else checkout).read_bytes())
    return found


def schemas_by_name() -> dict[str, dict[str, Any]]:
    """The schemas of the manifest and of its parts, by name, each complete by itself."""
    return {name: _schema(spec, BASE_URL + _path(name)) for name, spec in _PARTS.items()}


def write_schemas(root: pathlib.Path) -> None:
    """Write `pulpo.schema.json` and `schemas/*.v1.json` into a directory, which is made where it is missing.

    Raises:
        UsageError: The file system refuses.
    """
    try:
        (root / "schemas").mkdir(parents=True, exist_ok=True)
        for path, text in _files().items():
            (root / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the schema can't be written: {error.strerror}: {error.filename}") from error


def stale_schemas(root: pathlib.Path) -> list[str]:
    """The schema files at `root` that `write_schemas` would change, sorted, as paths from there."""
    files = _files()
    extra = {f"schemas/{path.name}" for path in (root / "schemas").glob("*.json")} - files.keys()
    return sorted(extra | {path for path, text in files.items() if _text(root / path) != text})


def _text(path: pathlib.Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _files() -> dict[str, str]:
    schemas = {BUNDLE: _schema(Manifest, SCHEMA_URL)} | {_path(name): part for name, part in schemas_by_name().items()}
    return {path: json.dumps(part, indent=2, ensure_ascii=False) + "\n" for path, part in schemas.items()}


def _path(name: str) -> str:
    return f"schemas/{name}.v1.json"


def _schema(spec: type[Spec], url: str) -> dict[str, Any]:
    return {"$schema": _DIALECT, "$id": url} | _strict(spec.model_json_schema())


def _strict(node: dict[str, Any]) -> dict[str, Any]:
    """A schema as pydantic makes it, made to say what the file may hold."""
    node = _without_null(node)
    if "default" in node and node["default"] is None:
        del node["default"]
    if "pattern" in node:
        node["pattern"] = portable(node["pattern"])
    if "properties" in node:  # a Spec: nothing else has named properties
        node |= {"additionalProperties": False, "patternProperties": {"^x-": _OWN_KEYS}}
        # pydantic gives no title to what is described elsewhere ($ref).
        node["properties"] = {name: {"title": title(name)} | part for name, part in node["properties"].items()}
    elif "patternProperties" in node:
        ((pattern, value),) = node.pop("patternProperties").items()
        node |= {"propertyNames": {"pattern": pattern} | _NAMES.get(pattern, {}), "additionalProperties": value}
    for keyword in _ONE:
        if isinstance(node.get(keyword), dict):
            node[keyword] = _strict(node[keyword])
    for keyword in _MANY:
        if keyword in node:
            node[keyword] = {name: _strict(part) for name, part in node[keyword].items()}
    return node


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    if _NULL not in node.get("anyOf", ()):
        return dict(node)
    other: dict[str, Any]
    (other,) = (part for part in node["anyOf"] if part != _NULL)
    return {key: value for key, value in node.items() if key != "anyOf"} | other


def portable(pattern: str) -> str:
    r"""A pattern for every validator: Python's `$` also matches before a line end, that of JSON Schema (ECMA 262) does not."""
    return f"{pattern[:-1]}(?!\\n)$" if pattern.endswith("$") else pattern
