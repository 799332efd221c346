"""JSON Schemas of the manifest as components of an OpenAPI document, their references led there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pulpo.api.bodies import BY_NAME, DATA

SCHEMAS: Final = "#/components/schemas/"


def definitions(name: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The components that the definitions of a schema called `name` become: `name.Definition`."""
    for inner, definition in schema.get("$defs", {}).items():
        yield f"{name}.{_part(inner)}", led(definition, name)


def led(schema: Any, name: str) -> Any:
    """A schema whose references to itself and its definitions lead to the components of `name`."""
    if isinstance(schema, list):
        return [led(item, name) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    result: dict[str, Any] = {}
    for word, inner in schema.items():
        if word in DATA:
            result[word] = inner
        elif word in BY_NAME and isinstance(inner, Mapping):
            result[word] = {key: led(item, name) for key, item in inner.items()}
        elif word == "$ref" and isinstance(inner, str):
            result[word] = _component(inner, name)
        else:
            result[word] = led(inner, name)
    return result


def _part(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _component(reference: str, name: str) -> str:
    if found := re.fullmatch(r"#/\$defs/([^/]+)(/.*)?", reference):
        return f"{SCHEMAS}{name}.{_part(found[1])}{found[2] or ''}"
    return f"{SCHEMAS}{name}{reference.removeprefix('#')}"
