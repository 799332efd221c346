"""JSON Schema as forms see it: a tree of what each field is, without references and without the null in unions.

What no control of HTML is for is `json`, a text area that takes JSON: unions, maps, lists of objects, what takes anything, and
objects that hold themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["text", "number", "decimal", "checkbox", "select", "date", "datetime", "time", "lines", "json", "group"]

#: That there is no value, not even null.
ABSENT: Final = object()
#: So deep fieldsets lie in each other; what is deeper is JSON.
_DEPTH: Final = 4
#: References that lead to references: a chain that is longer leads nowhere.
_REFERENCES: Final = 16
_SIMPLE: Final[Mapping[str, Kind]] = {"boolean": "checkbox", "integer": "number", "number": "number"}
_FORMATS: Final[Mapping[str, Kind]] = {"date": "date", "date-time": "datetime", "time": "time"}


@dataclass(frozen=True, slots=True)
class Spec:
    """One field: where it is, and which control is for it; `item` is the schema of an item of `lines`."""

    path: tuple[str, ...]
    schema: Mapping[str, Any]
    kind: Kind
    required: bool = False
    nullable: bool = False
    children: tuple[Spec, ...] = ()
    #: A group that takes fields which it does not name.
    is_open: bool = False
    item: Mapping[str, Any] | None = None

    @property
    def default(self) -> Any:
        """What the schema says of a value that is not there; `ABSENT` where it says nothing."""
        return self.schema.get("default", ABSENT)

    @property
    def is_blank_none(self) -> bool:
        """Whether an empty control can only mean that there is no value: no text of a format is empty, nor any number."""
        return self.kind not in ("text", "lines", "checkbox") or (
            self.kind == "text" and self.nullable and "format" in self.schema
        )

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a `select`, null aside."""
        if self.schema.get("type") == "boolean" and not _choices(self.schema):
            return (True, False)
        return tuple(value for value in _choices(self.schema) if value is not None)


@dataclass(frozen=True, slots=True)
class _Plain:
    """A schema that is neither a reference nor a union with null; `seen` are the references that led to it or what it is in."""

    schema: Mapping[str, Any]
    nullable: bool
    seen: frozenset[str]
    #: A reference led back to something that it is in.
    recursive: bool = False


def root_spec(schema: Mapping[str, Any]) -> Spec:
    """The group that a record, or what a run is given, is."""
    return _group((), _plain(schema, schema, frozenset()), schema, required=True)


def _spec(path: tuple[str, ...], given: Any, root: Mapping[str, Any], seen: frozenset[str], *, required: bool) -> Spec:
    plain = _plain(given if isinstance(given, Mapping) else {}, root, seen)
    kind = _kind(plain, root)
    if kind == "group":
        return _group(path, plain, root, required=required)
    item = _plain(plain.schema["items"], root, seen).schema if kind == "lines" else None
    return Spec(path, plain.schema, kind, required, plain.nullable or None in _choices(plain.schema), item=item)


def _group(path: tuple[str, ...], plain: _Plain, root: Mapping[str, Any], *, required: bool) -> Spec:
    schema = plain.schema
    properties = schema.get("properties", {})
    needed = schema.get("required", ())
    children = tuple(
        _spec((*path, name), inner, root, plain.seen, required=name in needed)
        for name, inner in properties.items()
        # At the top the store keeps its own under such names.
        if path or not name.startswith("_")
    )
    others = schema.get("additionalProperties")
    is_open = not properties if others is None else others is not False
    if len(path) >= _DEPTH:
        return Spec(path, schema, "json", required, plain.nullable)
    return Spec(path, schema, "group", required, plain.nullable, children, is_open)


def _kind(plain: _Plain, root: Mapping[str, Any]) -> Kind:
    schema, kind = plain.schema, plain.schema.get("type")
    if plain.recursive:
        return "json"
    if _choices(schema) or (kind == "boolean" and plain.nullable):
        return "select"
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), "text")
    if kind == "object" and schema.get("properties"):
        return "group"
    if kind == "array":
        return "lines" if _is_lines(schema, root) else "json"
    return "decimal" if _is_decimal(schema) else _SIMPLE.get(str(kind), "json")


def _is_lines(schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    if "prefixItems" in schema or not isinstance(schema.get("items"), Mapping):
        return False
    item = _plain(schema["items"], root, frozenset())
    texts = all(isinstance(choice, str) for choice in _choices(item.schema))
    return not item.nullable and texts and item.schema.get("type") in ("string", "integer", "number")


def _is_decimal(schema: Mapping[str, Any]) -> bool:
    """Whether values are numbers or texts: what pydantic makes of `Decimal`."""
    return sorted(str(one.get("type")) for one in schema.get("anyOf", ()) if isinstance(one, Mapping)) == ["number", "string"]


def _choices(schema: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(schema.get("enum", [schema["const"]] if "const" in schema else ()))


def _plain(given: Mapping[str, Any], root: Mapping[str, Any], seen: frozenset[str]) -> _Plain:
    schema, nullable, recursive, before = dict(given), False, False, seen
    for _ in range(_REFERENCES):
        if isinstance(reference := schema.get("$ref"), str):
            recursive = recursive or reference in before
            seen |= {reference}
            del schema["$ref"]
            schema = {**_at(root, reference), **schema}
        elif len(parts := schema.get("allOf", ())) == 1 and isinstance(parts[0], Mapping):
            del schema["allOf"]
            schema = {**parts[0], **schema}
        elif (word := next((w for w in ("anyOf", "oneOf") if _null_in(schema.get(w))), None)) is not None:
            rest = [one for one in schema.pop(word) if not _is_null(one)]
            nullable = True
            schema = {**rest[0], **schema} if len(rest) == 1 and isinstance(rest[0], Mapping) else {**schema, word: rest}
        elif isinstance(types := schema.get("type"), list):
            rest = [one for one in types if one != "null"]
            nullable = nullable or "null" in types
            schema["type"] = rest[0] if len(rest) == 1 else tuple(rest)
        else:
            break
    return _Plain(schema, nullable, seen, recursive)


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _null_in(schemas: Any) -> bool:
    return isinstance(schemas, list) and any(_is_null(one) for one in schemas)


def _at(root: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.lstrip("#").split("/")[1:]:
        found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}
