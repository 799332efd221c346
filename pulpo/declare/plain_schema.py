"""The JSON Schema of models whose fields are all plain, without pydantic's generator, which is most of the time of a lock.

What pydantic would say of a model is told from its core schema. Whatever is not exactly one of the shapes known here, down to
the last key, is left to pydantic: an alias, a title, a constraint, a hook, a setting of the model.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MODEL_KEYS = {"type", "cls", "schema", "config", "ref", "metadata", "root_model", "custom_init"}
_FIELDS_KEYS = {"type", "fields", "model_name", "computed_fields"}
_FIELD_KEYS = {"type", "schema", "metadata"}
_DEFAULT_KEYS = {"type", "schema", "default"}
#: Core schemas without parts: what they become, and the type of their defaults.
_LEAVES: tuple[tuple[dict[str, Any], dict[str, Any], type | None], ...] = (
    ({"type": "str"}, {"type": "string"}, str),
    ({"type": "int"}, {"type": "integer"}, int),
    ({"type": "float"}, {"type": "number"}, float),
    ({"type": "bool"}, {"type": "boolean"}, bool),
    ({"type": "date"}, {"format": "date", "type": "string"}, None),
    ({"type": "datetime", "microseconds_precision": "truncate"}, {"format": "date-time", "type": "string"}, None),
)
_BY_TYPE = {core["type"]: (core, made, kind) for core, made, kind in _LEAVES}


class _NotPlain(Exception):  # noqa: N818 - no error: pydantic is asked
    """A shape that is not known here."""


def plain_schema(cls: type) -> dict[str, Any] | None:
    """The schema of a model of plain fields, without title and description; None for any other."""
    core = cls.__dict__.get("__pydantic_core_schema__")
    if not isinstance(core, dict) or cls.model_config or not _is_plain_model(core):  # type: ignore[attr-defined]
        return None
    properties, required = {}, []
    try:
        for name, field in core["schema"]["fields"].items():
            _require(field.keys() == _FIELD_KEYS and field["type"] == "model-field" and not field["metadata"])
            properties[name] = _property(field["schema"])
            if field["schema"]["type"] != "default":
                required.append(name)
    except _NotPlain:
        return None
    return {"properties": properties, **({"required": required} if required else {}), "type": "object"}


def _is_plain_model(core: dict[str, Any]) -> bool:
    if core.keys() != _MODEL_KEYS or core["type"] != "model" or core["root_model"] or core["custom_init"]:
        return False
    fields, hooks = core["schema"], core["metadata"].get("pydantic_js_functions", [])
    return (
        core["config"].keys() == {"title"}
        and core["metadata"].keys() == {"pydantic_js_functions"}
        and [getattr(hook, "__func__", None) for hook in hooks] == [_own_hook()]
        and fields.keys() == _FIELDS_KEYS
        and fields["type"] == "model-fields"
        and not fields["computed_fields"]
    )


def _own_hook() -> Callable[..., Any]:
    """The hook that every model has."""
    from pydantic import BaseModel

    hook: Callable[..., Any] = BaseModel.__get_pydantic_json_schema__.__func__  # type: ignore[attr-defined]
    return hook


def _property(core: dict[str, Any]) -> dict[str, Any]:
    if core["type"] != "default":
        return _value(core)
    _require(core.keys() == _DEFAULT_KEYS)
    inner, default = core["schema"], core["default"]
    kind = inner["schema"]["type"] if inner["type"] == "nullable" else inner["type"]
    of_type = kind in _BY_TYPE and type(default) is _BY_TYPE[kind][2]
    _require((default is None and inner["type"] == "nullable") or of_type)
    _require(not isinstance(default, float) or math.isfinite(default))
    return dict(sorted({**_value(inner), "default": default}.items()))


def _value(core: dict[str, Any]) -> dict[str, Any]:
    kind = core["type"]
    if kind in _BY_TYPE:
        _require(core == _BY_TYPE[kind][0])
        return dict(_BY_TYPE[kind][1])
    if kind == "nullable":
        _require(core.keys() == {"type", "schema"} and core["schema"]["type"] != "nullable")
        return {"anyOf": [_value(core["schema"]), {"type": "null"}]}
    _require(kind == "list" and core.keys() == {"type", "items_schema"})
    return {"items": _value(core["items_schema"]), "type": "array"}


def _require(condition: bool) -> None:
    if not condition:
        raise _NotPlain
