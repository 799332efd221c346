"""What is wrong with a manifest that its schema refuses, in words, each with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic
from pulpo.manifest.schema import portable, schema
from pulpo.manifest.yaml_write import flow
from pulpo.names import ENTRYPOINT_PATTERN, MODEL_PATTERN, OPERATION_PATTERN, did_you_mean, operation_name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pulpo.diagnostics import Path
    from pulpo.manifest.yaml_read import Document

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_BOUNDS = {"minimum": "must be at least", "exclusiveMinimum": "must be greater than"}
# `error: Any`: jsonschema's type stubs make every attribute of its errors perhaps unset, which none is once it is yielded.

#: Longer values are cut in messages.
_SHOWN = 60


def explain(document: Document) -> list[Diagnostic]:
    """All that the schema has against a document, sorted by place (PLP101); empty if it has nothing."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(schema())
    found = {problem for error in validator.iter_errors(document.data) for problem in _problems(error, document)}
    return sorted(found, key=lambda problem: problem.sort_key)


def _problems(error: Any, document: Document) -> Iterator[Diagnostic]:
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known: Iterable[str] = error.schema["properties"]
        for key in error.instance:
            if key not in known and not key.startswith("x-"):
                hint = did_you_mean(key, known) or f"keys here are {', '.join(known)}; your own begin with x-"
                yield _at_key(document, (*path, key), f"unknown key: {key}", hint)
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield _at_key(document, path, f"a required key is missing: {key}")
    elif error.validator == "type" and error.schema.keys() & {"enum", "const"}:
        return  # the other rule says more
    elif "propertyNames" in error.schema_path:
        yield _at_key(document, (*path, error.instance), _name_problem(error.validator_value, error.instance))
    else:
        message, advice = _value_problem(error)
        yield Diagnostic("PLP101", message, path, document.locate(path), hint=advice)


def _at_key(document: Document, path: Path, message: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic("PLP101", message, path, document.locate(path, key=True), hint=hint)


def _value_problem(error: Any) -> tuple[str, str | None]:
    """A message and a hint."""
    rule, wanted, value = str(error.validator), error.validator_value, error.instance
    if rule == "type":
        return f"must be {_TYPES[wanted]}: {_shown(value)}", _type_hint(wanted, value)
    if rule in ("enum", "const"):
        options = [str(option) for option in (wanted if rule == "enum" else [wanted])]
        return f"must be {_either(options)}: {_shown(value)}", did_you_mean(str(value), options)
    if rule == "pattern":
        return _name_problem(wanted, value), None
    if rule in _BOUNDS:
        return f"{_BOUNDS[rule]} {wanted}: {_shown(value)}", None
    return "must not be empty", None  # minItems and minLength, which are 1 everywhere


def _type_hint(wanted: str, value: object) -> str | None:
    if value is None:
        return "leave the key out to unset it"
    if wanted == "string" and isinstance(value, (bool, int, float)):
        return f'put it in quotes: "{flow(value)}"'
    if wanted == "array" and isinstance(value, str):
        return f"a list of one is written [{flow(value, within=True)}]"
    return None


def _name_problem(pattern: str, value: str) -> str:
    if pattern == portable(OPERATION_PATTERN):
        return operation_name_problem(value) or _unlike(pattern, value)
    if pattern == portable(ENTRYPOINT_PATTERN):
        return f"an entrypoint is written package.module:name: {_shown(value)}"
    if pattern == portable(MODEL_PATTERN):
        return f"a name here is letters, digits and _, and does not begin with a digit: {_shown(value)}"
    return _unlike(pattern, value)


def _unlike(pattern: str, value: str) -> str:
    return f"must match {pattern}: {_shown(value)}"


def _either(options: list[str]) -> str:
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"


def _shown(value: Any) -> str:
    text = flow(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
