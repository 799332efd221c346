"""The parameters of a flow as Prefect has them: one JSON Schema for its form and for its checks.

It is what Prefect makes of the generated function's signature, so that a deployment is the same by whichever way it came to be.
Where the Python type of a parameter does not say all that the manifest does, the generated text adds the rest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pulpo.compile.identifiers import Names, parameter_names
from pulpo.compile.literals import SCALARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pulpo.compile.flow import FlowDefinition, FlowParameter

#: Where schemas that others refer to stand, in the way of Prefect.
_DEFINITIONS = "#/definitions/"
#: What Prefect says itself of each parameter.
_PREFECTS = frozenset(("title", "default", "position"))
#: Keys whose values are plain data, in which `$ref` is no reference.
_DATA = frozenset(("const", "default", "enum", "examples"))
#: Keys whose values are schemas by name, where `$ref` is a name like others.
_BY_NAME = frozenset(("dependentSchemas", "patternProperties", "properties"))


@dataclass(frozen=True, slots=True)
class ParameterText:
    """What a parameter's values have to be, with its references led to definitions."""

    schema: Mapping[str, Any]
    #: All that the schema refers to, and what that refers to, by name, sorted.
    definitions: Mapping[str, Any]
    #: Whether the Python type alone gives Prefect the same.
    is_plain: bool


def parameter_schema(flow: FlowDefinition) -> dict[str, Any]:
    """The JSON Schema of the generated function's parameters; what would be empty is left out, as Prefect does."""
    names, texts = parameter_names(flow), parameter_texts(flow)
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for position, parameter in enumerate(in_order(flow)):
        text = texts[parameter.name]
        default = {} if parameter.required else {"default": parameter.default}
        properties[names[parameter.name]] = {**text.schema, "title": names[parameter.name], "position": position, **default}
        definitions |= text.definitions
    required = [names[p.name] for p in in_order(flow) if p.required]
    return {
        "title": "Parameters",
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        **({"definitions": dict(sorted(definitions.items()))} if definitions else {}),
    }


def in_order(flow: FlowDefinition) -> list[FlowParameter]:
    """The parameters as the generated function takes them: those without a default first."""
    return sorted(flow.parameters, key=lambda p: not p.required)


def parameter_texts(flow: FlowDefinition) -> dict[str, ParameterText]:
    """For each parameter of a flow, by name, what its schema says; definitions have names of their own in the whole flow."""
    definitions = _Definitions()
    moved = {p.name: definitions.lead(p.name, _said(p)) for p in flow.parameters}
    return {
        p.name: ParameterText(moved[p.name], definitions.used_by(moved[p.name]), _is_plain(moved[p.name], p.default))
        for p in flow.parameters
    }


def _said(parameter: FlowParameter) -> dict[str, Any]:
    schema = {key: value for key, value in parameter.schema.items() if key not in _PREFECTS}
    return schema if parameter.description is None else {**schema, "description": parameter.description}


def _is_plain(schema: Mapping[str, Any], default: object) -> bool:
    if default is None and schema and schema != {"type": "null"} and {"type": "null"} not in schema.get("anyOf", ()):
        return False
    return _is_type(schema)


def _is_type(schema: Mapping[str, Any]) -> bool:
    """Whether a Python type says just this."""
    match schema:
        case {"type": "array", "items": dict() as item, **rest} if not rest:
            return _is_type(item)
        case {"type": "object", "additionalProperties": dict() as item, **rest} if not rest and item:
            return _is_type(item)
        case {"anyOf": [_, _, *_] as choices, **rest} if not rest:
            distinct = len({json.dumps(choice, sort_keys=True) for choice in choices}) == len(choices)
            null_is_last = {"type": "null"} not in choices[:-1]
            return distinct and null_is_last and all(choice and "anyOf" not in choice and _is_type(choice) for choice in choices)
        case {"type": str() as name, **rest}:
            return name in SCALARS and not rest
    return not schema


@dataclass(frozen=True, slots=True)
class _Root:
    """What `#` means in the schema of a parameter."""

    parameter: str
    schema: Mapping[str, Any]

    def at(self, reference: str) -> Any:
        """What a reference leads to; None where it leads nowhere in here."""
        found: Any = self.schema
        if not reference.startswith("#"):
            return None
        for step in unquote(reference[1:]).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                found = found.get(key) if isinstance(found, dict) else None
        return found

    def closure(self, reference: str) -> str:
        """All that a reference leads to, also through others: equal where references mean the same."""
        found: dict[str, Any] = {}
        queue = [reference]
        while queue:
            if (key := queue.pop()) not in found:
                found[key] = _without_defs(self.at(key))
                queue += _references(found[key])
        return json.dumps(found, sort_keys=True)


class _Definitions:
    """The definitions of all parameters of a flow: what means the same is one, and each has a name of its own."""

    def __init__(self) -> None:
        self._names = Names()
        self._by_meaning: dict[tuple[str, str], str] = {}
        self._found: dict[str, Any] = {}

    def lead(self, parameter: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The schema with its references led to definitions, and without `$defs`."""
        root = _Root(parameter, schema)
        led: dict[str, Any] = _led(_without_defs(schema), lambda reference: self._target(root, reference))
        return led

    def _target(self, root: _Root, reference: str) -> str | None:
        """Where a reference leads now; None for one that Prefect could not follow, which then asks nothing of a value."""
        found = root.at(reference)
        if not isinstance(found, (dict, bool)):
            return None
        meaning = (reference, root.closure(reference))
        if meaning not in self._by_meaning:
            last = reference.rpartition("/")[2].strip("#") or root.parameter
            name = self._by_meaning[meaning] = self._names.add(re.sub(r"\W", "_", last, flags=re.ASCII))
            self._found[name] = _led(_without_defs(found), lambda inner: self._target(root, inner))
        return _DEFINITIONS + self._by_meaning[meaning]

    def used_by(self, schema: object) -> dict[str, Any]:
        """The definitions that a schema needs, sorted by name."""
        used: set[str] = set()
        queue = [*_references(schema)]
        while queue:
            name = queue.pop().removeprefix(_DEFINITIONS)
            if name not in used:
                used.add(name)
                queue += _references(self._found[name])
        return {name: self._found[name] for name in sorted(used)}


def _without_defs(schema: Any) -> Any:
    return {k: v for k, v in schema.items() if k not in ("$defs", "definitions")} if isinstance(schema, dict) else schema


def _led(schema: Any, target: Callable[[str], str | None]) -> Any:
    """A schema with each of its references changed, or left out where there is no target."""
    if isinstance(schema, list):
        return [_led(item, target) for item in schema]
    if not isinstance(schema, dict):
        return schema
    led: dict[str, Any] = {}
    for key, value in sorted(schema.items()):
        if key == "$ref" and isinstance(value, str):
            if (leads_to := target(value)) is not None:
                led[key] = leads_to
        elif key in _BY_NAME and isinstance(value, dict):
            led[key] = {name: _led(item, target) for name, item in sorted(value.items())}
        else:
            led[key] = value if key in _DATA else _led(value, target)
    return led


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _references(item)
    elif isinstance(schema, dict):
        for key, value in sorted(schema.items()):
            if key == "$ref" and isinstance(value, str):
                yield value
            elif key in _BY_NAME and isinstance(value, dict):
                for item in value.values():
                    yield from _references(item)
            elif key not in _DATA:
                yield from _references(value)
