"""What is wrong with a manifest that its schema refuses, in words, each with its place and what to write instead."""

from __future__ import annotations

import functools
import itertools
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic
from pulpo.manifest.flow import DIRECTORY_PATTERN, PREFECT_NAME_PATTERN
from pulpo.manifest.model import VERSION
from pulpo.manifest.near_misses import choice_hint, entrypoint_hint, key_hint, model_hint, operation_hint
from pulpo.manifest.schema import portable, schema
from pulpo.manifest.service import PAGE_PATTERN, VARIABLE_PATTERN
from pulpo.manifest.spec import COLLECTION_PATTERN
from pulpo.manifest.value_hints import type_hint
from pulpo.manifest.yaml_write import flow
from pulpo.names import ENTRYPOINT_PATTERN, MODEL_PATTERN, OPERATION_PATTERN, operation_name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jsonschema_rs import ValidationError

    from pulpo.diagnostics import Path, Place
    from pulpo.manifest.yaml_read import Document

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_BOUNDS = {"minimum": "must be at least", "exclusiveMinimum": "must be greater than", "maximum": "must be at most"}
_REQUIRED = {
    "version": f"write version: {VERSION} at the top",
    "entrypoint": "say where the function is: entrypoint: package.module:function",
    "model": "say which model: model: NAME",
    "project": "write project: {name: NAME}",
    "name": "write name: NAME",
}
_OFF = {
    "retries": "leave it out for none",
    "timeout": "leave it out for calls without an end",
    "concurrency": "leave it out for as many as there are",
    "ttl": "leave cache out to turn it off",
    "interval": "leave the schedule out to run by hand",
    "replicas": "write enabled: false for none",
}
#: The numbers with an upper bound that are no seconds.
_PORTS = ("tcp", "port")
#: What a text has to be that a pattern is for, and a hint.
_PATTERNS = {
    portable(COLLECTION_PATTERN): ("a collection is letters, digits, _, - and ., and begins with a letter or _", None),
    portable(PREFECT_NAME_PATTERN): ("a name in Prefect is not empty and has none of / % & < > in it", None),
    portable(DIRECTORY_PATTERN): ("must be an absolute path, beginning with /", "say where it is on the worker's machine"),
    portable(VARIABLE_PATTERN): ("Prefect names a variable in lower case letters, digits, _ and -", None),
    portable(PAGE_PATTERN): ("must be the path of a page, beginning with /", "such as /health: the host is the service itself"),
}
_BEGIN = "it begins with version: 1 and project: {name: NAME}; `pulpo lock` makes one from the code"
#: What jsonschema-rs takes for a number in a path.
_NUMBER = re.compile(r"\+?[0-9]+")
#: A number or a boolean as it is written.
_NUMBER_OR_WORD = re.compile(r"(?:[-+.\d][\w.+-]*|true|false)(?![^\s,\]}])", re.IGNORECASE)
#: Longer values are cut in messages.
_SHOWN = 60


def explain(document: Document) -> list[Diagnostic]:
    """All that the schema has against a document, sorted by place (PLP101); empty if it has nothing."""
    import jsonschema_rs

    explainer = _Explainer(document)
    validator = jsonschema_rs.Draft202012Validator(schema())
    found = {problem for error in validator.iter_errors(document.data) for problem in explainer.problems(error)}
    return sorted(found, key=lambda problem: problem.sort_key)


class _Explainer:
    """Puts what a validator says about a document into words."""

    def __init__(self, document: Document) -> None:
        self._document = document
        #: The keys of a mapping that jsonschema-rs takes for each number, by the mapping's id.
        self._numbered: dict[int, dict[int, list[str]]] = {}

    def problems(self, error: ValidationError) -> Iterator[Diagnostic]:
        """What an error says: several problems where several keys are unknown, none where another error says more."""
        # `kind: Any`: a class of its own for each rule, told apart by their names, which are those of the rules.
        kind: Any = error.kind
        path = self._path(error)
        node = _at(schema(), error.schema_path[:-1])
        part = _part(error.schema_path)
        if kind.name == "additionalProperties":
            for key in kind.unexpected:
                yield self._at_key((*path, key), f"unknown key: {key}", key_hint(part, key, node["properties"]))
        elif kind.name == "required":
            yield self._at_key(path, f"a required key is missing: {kind.property}", _REQUIRED.get(kind.property))
        elif kind.name == "propertyNames":
            name = kind.error.instance
            yield self._at_key((*path, name), *name_problem(kind.error.kind.pattern, name))
        elif kind.name == "type" and node.keys().isdisjoint({"enum", "const"}):
            # What is described within a part is no part: a short form of the part is not meant.
            yield self._wrong_type(path, node, "" if "properties" in error.schema_path[2:] else part)
        elif kind.name != "type":
            message, hint = _value_problem(kind, _at(self._document.data, path), path)
            yield Diagnostic("PLP101", message, path, self._document.locate(path), hint=hint)

    def _path(self, error: ValidationError) -> Path:
        """The path of an error's value; of several that can be meant the first that leads to it."""
        paths = self._paths(self._document.data, error.instance_path)
        first, second = next(paths), next(paths, None)
        if second is None:
            return first
        return next((p for p in (first, second, *paths) if _at(self._document.data, p) == error.instance), first)

    def _paths(self, data: Any, parts: list[str | int]) -> Iterator[Path]:
        """What an instance path can mean: jsonschema-rs leaves out keys that are empty, and gives `01` and `+1` as 1."""
        if not parts:
            yield ()
        elif isinstance(data, dict):
            for key in self._keys(data, parts[0]):
                yield from ((key, *rest) for rest in self._paths(data[key], parts[1:]))
        elif isinstance(data, list) and isinstance(parts[0], int) and parts[0] < len(data):
            yield from ((parts[0], *rest) for rest in self._paths(data[parts[0]], parts[1:]))
        if isinstance(data, dict) and "" in data:
            yield from (("", *rest) for rest in self._paths(data[""], parts))

    def _keys(self, data: dict[str, Any], part: str | int) -> list[str]:
        if isinstance(part, str):
            return [part] if part in data else []
        if id(data) not in self._numbered:
            numbered = self._numbered[id(data)] = defaultdict(list)
            for key in filter(_NUMBER.fullmatch, data):
                numbered[int(key)].append(key)
        return self._numbered[id(data)].get(part, [])

    def _at_key(self, path: Path, message: str, hint: str | None) -> Diagnostic:
        return Diagnostic("PLP101", message, path, self._document.locate(path, key=True), hint=hint)

    def _wrong_type(self, path: Path, node: dict[str, Any], part: str) -> Diagnostic:
        wanted, place = node["type"], self._document.locate(path)
        value = _at(self._document.data, path)
        if wanted == "array":
            part = _part(node["items"].get("$ref", "").split("/")[1:])
        if not path:
            return Diagnostic("PLP101", f"a manifest is a mapping: {_shown(value)}", path, place, hint=_BEGIN)
        written = self._written(value, place)
        hint = type_hint(wanted, value, part=part, key=path[-1], written=written)
        return Diagnostic("PLP101", f"must be {_TYPES[wanted]}: {_cut(written) or _shown(value)}", path, place, hint=hint)

    def _written(self, value: object, place: Place) -> str:
        """A number or boolean as it stands in the file: 1.10 is not 1.1 to somebody who wants it in quotes."""
        if not isinstance(value, (bool, int, float)):
            return ""
        # Of a migrated document the place is in the file, not in the text: what stands there may be another value.
        line = "".join(self._lines[place.line - 1 : place.line])
        scalar = _NUMBER_OR_WORD.match(line, place.column - 1)
        return scalar[0] if scalar and _means(scalar[0], value) else flow(value)

    @functools.cached_property
    def _lines(self) -> list[str]:
        return self._document.text.splitlines()


def _means(scalar: str, value: float) -> bool:
    try:
        return float(scalar) == value
    except ValueError:  # true and false, and the forms of numbers that Python does not know
        return scalar.lower() == flow(value)


def _part(schema_path: list[str | int]) -> str:
    """The definition that a place in the schema lies in."""
    return str(schema_path[1]) if schema_path[:1] == ["$defs"] else "Manifest"


def _at(value: Any, path: Iterable[str | int]) -> Any:
    for key in path:
        value = value[key]
    return value


def _value_problem(kind: Any, value: Any, path: Path) -> tuple[str, str | None]:
    """A message and a hint."""
    key = path[-1]
    if kind.name in ("enum", "const"):
        if path == ("version",):
            return f"must be {VERSION}: {_shown(value)}", f"write {VERSION}, a number and not in quotes"
        options = list(map(str, kind.options if kind.name == "enum" else [kind.expected_value]))
        return f"must be {_either(options)}: {_shown(value)}", choice_hint(key, value, options)
    if kind.name == "pattern":
        return name_problem(kind.pattern, value)
    if kind.name in _BOUNDS:
        hint = (
            ("it is a port" if key in _PORTS else "it is a number of seconds") if kind.name == "maximum" else _OFF.get(str(key))
        )
        return f"{_BOUNDS[kind.name]} {kind.limit}: {_shown(value)}", hint
    return "must not be empty", None  # minItems and minLength, which are 1 everywhere


def name_problem(pattern: str, value: str) -> tuple[str, str | None]:
    """What is wrong with a name that does not match its pattern, as the schema has it, and a hint."""
    if pattern == portable(OPERATION_PATTERN):
        return operation_name_problem(value) or f"must match {pattern}: {_shown(value)}", operation_hint(value)
    if pattern == portable(ENTRYPOINT_PATTERN):
        return f"an entrypoint is written package.module:name: {_shown(value)}", entrypoint_hint(value)
    if pattern == portable(MODEL_PATTERN):
        message = f"a name here is letters, digits and _, and does not begin with a digit: {_shown(value)}"
        return message, model_hint(value)
    message, hint = _PATTERNS.get(pattern, (f"must match {pattern}", None))
    return f"{message}: {_shown(value)}", hint


def _either(options: list[str]) -> str:
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"


def _shown(value: Any) -> str:
    return _cut(flow(_beginning(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _beginning(value: Any) -> Any:
    """As much of a value as is shown: a whole lock can stand where a word should."""
    if isinstance(value, str):
        return value[: _SHOWN + 1]
    if isinstance(value, list):
        return [_beginning(item) for item in value[:_SHOWN]]
    if isinstance(value, dict):
        return {key: _beginning(value[key]) for key in itertools.islice(value, _SHOWN)}
    return value
