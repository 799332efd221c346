"""The JSON Schemas that a manifest holds, of models and parameters: what is wrong with one, and values checked against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_ELSEWHERE = "it refers to something outside of it"


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a schema, on one line, or None: it has to be JSON Schema 2020-12 and complete by itself."""
    try:
        value_check(schema)
    except ValueError as error:
        return str(error)
    return None


def value_check(schema: Mapping[str, Any]) -> Callable[[object], tuple[str, str] | None]:
    """A function that finds what a schema has against a JSON value first: where, as a dotted path, and what.

    Raises:
        ValueError: The schema is none, or refers to something outside of it.
    """
    import jsonschema_rs

    try:
        validator = jsonschema_rs.Draft202012Validator(dict(schema), retriever=_nowhere)
    except jsonschema_rs.ValidationError as error:
        where = ".".join(map(str, error.instance_path))
        message = error.message.partition(_ELSEWHERE)
        raise ValueError(f"{where}: {error.message}" if where else "".join(message[1:]) or message[0]) from None

    def check(value: object) -> tuple[str, str] | None:
        error = next(iter(validator.iter_errors(value)), None)
        return None if error is None else (".".join(map(str, error.instance_path)), error.message)

    return check


def _nowhere(uri: str) -> NoReturn:
    raise ValueError(f"{_ELSEWHERE}: {uri}")
