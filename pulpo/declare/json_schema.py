"""JSON Schema of models and parameters, through pydantic, without what only repeats a name."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from pulpo.declare.plain_schema import plain_schema
from pulpo.manifest.rules import root_of

_PRIMITIVES: dict[object, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}
#: How pydantic writes a secret down.
_MASKED = "**********"
_NO_SECRETS = "it is a secret, and the manifest is no place for one"
_SCHEMA_MAPS = ("properties", "patternProperties", "$defs", "dependentSchemas")
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS = ("items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else")


def schema_of(annotation: object) -> dict[str, Any]:
    """The JSON Schema of a parameter's values.

    Raises:
        TypeError: pydantic knows no schema for it; the message says why.
    """
    try:
        if annotation in _PRIMITIVES:
            return dict(_PRIMITIVES[annotation])
    except TypeError:  # an annotation that can't be hashed is no primitive
        pass
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)  # type: ignore[arg-type]
        return tidy(adapter.json_schema())
    except PydanticUserError as error:
        raise TypeError(error.message.splitlines()[0]) from error
    except Exception as error:
        raise TypeError(f"{type(error).__name__}: {error}") from error  # of the user's own hooks for schemas


def undefined_name(cls: type) -> str | None:
    """The name in a pydantic model's annotations that is not defined; None where all are."""
    if getattr(cls, "__pydantic_complete__", True):
        return None
    from pydantic.errors import PydanticUndefinedAnnotation

    try:
        cls.model_rebuild(raise_errors=True)  # type: ignore[attr-defined]
    except PydanticUndefinedAnnotation as error:
        return error.name
    except Exception:  # noqa: BLE001 - whatever else is wrong is told by who asks for the schema
        return None
    return None


def model_schema(cls: type) -> dict[str, Any]:
    """The JSON Schema of a model's validated input: an object.

    Raises:
        TypeError: The class has none, or is no object; the message says why.
    """
    if (plain := plain_schema(cls)) is not None:
        return plain
    schema = schema_of(cls)
    kind = root_of(schema).get("type", "anything")
    if kind != "object":
        raise TypeError(f"its records are no objects but of type {kind}")
    if (secret := _secret_field(schema)) is not None:
        raise TypeError(f"its field {secret} is a secret, which would be stored as asterisks")
    schema.pop("description", None)
    schema.pop("title", None)
    return schema


def _secret_field(schema: object) -> str | None:
    """The name of a property that pydantic never gives away, at any depth."""
    if isinstance(schema, dict):
        for name, part in schema.items():
            if isinstance(part, dict) and part.get("writeOnly") and part.get("format") == "password":
                return str(name)
            if (found := _secret_field(part)) is not None:
                return found
    if isinstance(schema, list):
        return next((found for part in schema if (found := _secret_field(part)) is not None), None)
    return None


def fields_of(cls: type) -> dict[str, dict[str, Any]]:
    """Schema and default of each field of a pydantic model, in order.

    Raises:
        TypeError: A field has no schema.
        ValueError: A default can't be written down.
    """
    schema = model_schema(cls)
    definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    required = set(schema.get("required", []))
    result: dict[str, dict[str, Any]] = {}
    for name, field in cls.model_fields.items():  # type: ignore[attr-defined]
        key = field.validation_alias if isinstance(field.validation_alias, str) else field.alias or name
        spec: dict[str, Any] = {"schema": {**schema["properties"].get(key, {}), **definitions}}
        spec["schema"].pop("default", None)
        if key not in required:
            default = field.get_default(call_default_factory=True)
            if default_value(default) != default_value(field.get_default(call_default_factory=True)):
                raise ValueError(f"the default of {name} is another one each time")
            spec["default"] = default_value(default)
        result[name] = spec
    return result


def default_value(value: object) -> object:
    """A default as plain data.

    Raises:
        ValueError: It has no plain form, or is a secret.
    """
    if value is None or type(value) in (str, int, bool, float):
        return _finite(value)
    if hasattr(value, "get_secret_value"):
        raise ValueError(_NO_SECRETS)
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return _finite(to_jsonable_python(_in_order(value), inf_nan_mode="constants"))
    except PydanticSerializationError as error:
        raise ValueError(str(error)) from error


def _in_order(value: object) -> object:
    """Sets as sorted lists: their own order is another one in each process."""
    if isinstance(value, set | frozenset):
        return sorted(map(_in_order, value), key=repr)
    if isinstance(value, dict):
        return {key: _in_order(item) for key, item in value.items()}
    return [_in_order(item) for item in value] if type(value) in (list, tuple) else value  # type: ignore[attr-defined]


def _finite(value: object) -> object:
    """The value, if JSON has a form for it and it is no secret.

    Raises:
        ValueError: It has none, or is one.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no JSON form")
    if value == _MASKED:
        raise ValueError(_NO_SECRETS)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(item)
    return value


def tidy(schema: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    """The schema without titles that pydantic made of the names."""
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "title" and _made_up(value, name):
            continue
        if key in _SCHEMA_MAPS and isinstance(value, dict):
            result[key] = {n: tidy(s, n) if isinstance(s, dict) else s for n, s in value.items()}
        elif key in _SCHEMA_LISTS and isinstance(value, list):
            result[key] = [tidy(s) if isinstance(s, dict) else s for s in value]
        elif key in _SCHEMAS and isinstance(value, dict):
            result[key] = tidy(value)
        elif key == "default" and schema.get("uniqueItems") and isinstance(value, list):
            result[key] = sorted(value, key=repr)  # a set: its own order is another one in each process
        else:
            result[key] = value
    return result


def _made_up(title: object, name: str | None) -> bool:
    return name is None or title in (name, name.title().replace("_", " ").strip())


def required_init_vars(cls: type) -> list[str]:
    """Fields of a dataclass that only its constructor sees (`InitVar`) and that have no default."""
    fields = getattr(cls, "__dataclass_fields__", {})
    return sorted(
        name
        for name, field in fields.items()
        if field._field_type.name == "_FIELD_INITVAR" and field.default is dataclasses.MISSING  # noqa: SLF001 - the only way to ask
    )
