"""Forms from JSON Schemas, and what was submitted back as JSON.

`fields` makes the controls that `templates/form.html` draws, `parse` the value that a form stands for. A control that nobody
touched stands for the value that it was made from, also where HTML can't say it: a text with a carriage return, a time with
microseconds, a value that is not there. Such a control has its value beside it, in a hidden input `NAME~was` (empty: there was
none); `NAME~null` says that there is no value, `NAME~json` that a control takes JSON because the value was of another kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pulpo.ui.api_client import Fault
from pulpo.ui.form_schema import ABSENT, Kind, Spec, root_spec
from pulpo.ui.form_values import Unread, alike, fits, lines, plain, read_json, said, same, text_of, value_of

#: A text that is longer has a text area.
_LONG: Final = 80
#: The last part of the path of what a group has beside the fields that its schema names.
_MORE: Final = "~more"
_LIMITS: Final = (
    ("minimum", "at least {}"), ("exclusiveMinimum", "more than {}"), ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"), ("multipleOf", "a multiple of {}"), ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"), ("minItems", "at least {} of them"), ("maxItems", "at most {} of them"),
    ("pattern", "like {}"),
)  # fmt: skip
_NOTES: Final[Mapping[str, str]] = {"json": "as JSON", "lines": "one per line", "datetime": "in UTC"}
_INPUTS: Final[Mapping[str, Mapping[str, str]]] = {
    "text": {"type": "text"},
    "number": {"type": "text", "inputmode": "decimal", "autocomplete": "off"},
    "decimal": {"type": "text", "inputmode": "decimal", "autocomplete": "off"},
    "date": {"type": "date"},
    "time": {"type": "time", "step": "1"},
    "datetime": {"type": "datetime-local", "step": "1"},
}


class FormError(Exception):
    """What was typed can't be read; `faults` say where, `value` is all of it, to make the same form from again."""

    def __init__(self, faults: Sequence[Fault], value: dict[str, Any]) -> None:
        super().__init__(faults[0].message)
        self.faults = tuple(faults)
        self.value = value


@dataclass(frozen=True, slots=True)
class Field:
    """A control, or for the kind `group` a fieldset."""

    name: str
    path: tuple[str, ...]
    label: str
    kind: Kind
    required: bool = False
    help: str = ""
    #: What the control holds.
    text: str = ""
    #: Whether the box for "no value" is ticked; None where there is no such box.
    is_null: bool | None = None
    #: Of a select: what is sent, and what is shown.
    choices: tuple[tuple[str, str], ...] = ()
    #: The HTML attributes of an input; none where it is a text area.
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: The value that it was made from, in JSON, empty for none; None where the control says it itself.
    was: str | None = None
    #: Takes JSON though the schema has another control for it.
    is_json: bool = False
    children: tuple[Field, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Of its HTML element."""
        return "f-" + re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}_", self.name)

    @property
    def rows(self) -> int:
        """The height of its text area."""
        return min(max(3, self.text.count("\n") + 2, len(self.text) // _LONG + 1), 20)


def fields(schema: Mapping[str, Any], value: Mapping[str, Any] | None = None, faults: Sequence[Fault] = ()) -> tuple[Field, ...]:
    """The controls for a value of a schema, or for a new one, with what is wrong at each of them."""
    return _with_faults(_draw_group(root_spec(schema), value or {}, value or {}).children, faults)


def parse(schema: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """The value that a submitted form is.

    Raises:
        FormError: Something that was typed can't be read. Whether a value is right only the API knows.
    """
    faults: list[Fault] = []
    value: dict[str, Any] = _read_group(root_spec(schema), {key: str(text) for key, text in form.items()}, faults)
    if faults:
        raise FormError(faults, value)
    return value


def split_faults(faults: Sequence[Fault], drawn: Sequence[Field]) -> tuple[tuple[Fault, ...], tuple[Fault, ...]]:
    """The faults that are at one of the fields or inside it, and the others."""
    at = [fault for fault in faults if _at(drawn, fault.place) is not None]
    return tuple(at), tuple(fault for fault in faults if fault not in at)


def wrong(drawn: Sequence[Field]) -> tuple[Field, ...]:
    """The fields with errors, in the order of the form."""
    return tuple(one for each in drawn for one in ((each,) if each.errors else ()) + wrong(each.children))


# ------------------------------------------------------------------------------------------------------------ to controls


def _draw(spec: Spec, value: Any) -> Field:
    shown = spec.default if value is ABSENT else value
    if spec.kind == "group" and (isinstance(shown, Mapping) or shown is ABSENT or (shown is None and spec.nullable)):
        return _draw_group(spec, value, shown)
    text, is_json = text_of(spec, shown)
    drawn = Field(
        name=_name(spec.path), path=spec.path, label=_label(spec), kind="json" if is_json else spec.kind, required=spec.required,
        help=_help(spec, "json" if is_json else spec.kind), text=text, choices=() if is_json else _choices(spec, shown),
        is_null=shown is None if spec.nullable and not is_json and not spec.is_blank_none else None,
        attributes={} if is_json else _attributes(spec, text), is_json=is_json and spec.kind != "json",
    )  # fmt: skip
    if value is ABSENT:
        # Of a field that has to be there, an empty box and an empty list are values: nothing else could stand for them.
        return replace(drawn, was=None if spec.required and spec.kind in ("checkbox", "lines") else "")
    return drawn if isinstance(value, Unread) or _says(spec, drawn, value) else replace(drawn, was=plain(value))


def _draw_group(spec: Spec, value: Any, shown: Any) -> Field:
    inner = shown if isinstance(shown, Mapping) else {}
    children = [_draw(child, inner.get(child.path[-1], ABSENT)) for child in spec.children]
    named = {child.path[-1] for child in spec.children}
    others = {key: item for key, item in inner.items() if key not in named}
    if spec.is_open or others:
        children.append(_draw_others(spec, others))
    return Field(
        name=_name(spec.path), path=spec.path, label=_label(spec), kind="group", required=spec.required,
        help=_help(spec, "group"), is_null=shown is None if spec.nullable else None, children=tuple(children),
        was="" if value is ABSENT and not spec.required else None,
    )  # fmt: skip


def _draw_others(spec: Spec, others: Mapping[str, Any]) -> Field:
    text = json.dumps(others, indent=2, ensure_ascii=False) if others else ""
    if isinstance(unread := others.get(""), Unread):
        text = str(unread)
    return Field(
        name=_name(spec.path) + _MORE, path=(*spec.path, _MORE), kind="json", text=text,
        label="Other fields" if spec.children else "Fields", help="As JSON: an object, the values by the names of the fields.",
    )  # fmt: skip


def _choices(spec: Spec, value: Any) -> tuple[tuple[str, str], ...]:
    if spec.kind != "select":
        return ()
    found = {plain(one): ("yes" if one else "no") if isinstance(one, bool) else said(one) for one in spec.choices}
    if value is not ABSENT and not (value is None and spec.nullable):
        found.setdefault(plain(value), f"{said(value)} (not one of them)")
    without = spec.nullable or not spec.required or value is ABSENT
    return (*([("", "no value" if spec.nullable else "choose")] if without else []), *found.items())


def _attributes(spec: Spec, text: str) -> dict[str, str]:
    if spec.kind not in _INPUTS or "\n" in text or len(text) > _LONG:
        return {}
    if text and not fits(spec.kind, text):
        return {"type": "text"}
    attributes = dict(_INPUTS[spec.kind])
    if spec.kind == "text" and spec.schema.get("format") == "password":
        attributes |= {"type": "password", "autocomplete": "off"}
    if spec.schema.get("type") == "integer":
        attributes["inputmode"] = "numeric"
    if isinstance(examples := spec.schema.get("examples"), list) and examples:
        attributes["placeholder"] = said(examples[0])
    return attributes


def _label(spec: Spec) -> str:
    return str(spec.schema.get("title") or (spec.path[-1] if spec.path else ""))


def _help(spec: Spec, kind: Kind) -> str:
    """What the schema says in words, and what it asks for."""
    notes = [note for note in (_NOTES.get(kind),) if note]
    if kind == "lines" and (choices := (spec.item or {}).get("enum")):
        notes.append(f"of {', '.join(map(said, choices))}")
    if kind not in ("decimal", "select"):
        notes += [text.format(said(spec.schema[word])) for word, text in _LIMITS if word in spec.schema]
    text = ", ".join(notes)
    description = str(spec.schema.get("description", "")).strip()
    return " ".join(part for part in (description, f"{text[0].upper()}{text[1:]}." if text else "") if part)


def _says(spec: Spec, drawn: Field, value: Any) -> bool:
    """Whether a control stands for a value by itself."""
    if drawn.is_null:
        return value is None
    try:
        return same(value_of(spec, drawn.text, is_json=drawn.is_json), value)
    except ValueError:
        return False


# ---------------------------------------------------------------------------------------------------------- from controls


def _read_group(spec: Spec, form: Mapping[str, str], faults: list[Fault]) -> Any:
    """The object that a group is; None, or `ABSENT`, where that is what it says."""
    name = _name(spec.path)
    null = form.get(f"{name}~null") if spec.nullable else None
    untouched = form.get(f"{name}~was") == ""
    if null is not None:
        return ABSENT if untouched and null == "was" else None
    value: dict[str, Any] = {}
    for child in spec.children:
        is_group = child.kind == "group" and f"{_name(child.path)}~json" not in form
        found = _read_group(child, form, faults) if is_group else _read(child, form, faults)
        if found is not ABSENT:
            value[child.path[-1]] = found
    value |= _read_others(spec, form.get(name + _MORE, ""), faults)
    as_made = not value if spec.default in (ABSENT, None) else same(value, spec.default)
    return ABSENT if untouched and as_made else value


def _read_others(spec: Spec, raw: str, faults: list[Fault]) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        others = read_json(raw)
        if isinstance(others, dict):
            return others
        problem = "must be an object"
    except ValueError as error:
        problem = str(error)
    faults.append(Fault((*spec.path, _MORE), problem))
    return {"": Unread(raw)}


def _read(spec: Spec, form: Mapping[str, str], faults: list[Fault]) -> Any:
    name = _name(spec.path)
    raw = lines(form.get(name, ""))
    null, was, is_json = form.get(f"{name}~null"), form.get(f"{name}~was"), f"{name}~json" in form
    if was is not None and _is_untouched(spec, was, raw, null):
        return json.loads(was) if was else ABSENT
    # A text that was typed counts more than a box that was ticked before.
    if null is not None and spec.nullable and (null != "was" or not raw):
        return None
    if name not in form and (is_json or spec.kind != "checkbox"):
        return ABSENT
    try:
        return value_of(spec, raw, is_json=is_json, was=was)
    except ValueError as error:
        faults.append(Fault(spec.path, str(error)))
        return Unread(raw)


def _is_untouched(spec: Spec, was: str, raw: str, null: str | None) -> bool:
    """Whether a control is as it was made."""
    try:
        drawn = _draw(spec, json.loads(was) if was else ABSENT)
    except (ValueError, RecursionError):
        return False
    return alike(spec.kind, drawn.text, raw) and null == ("was" if drawn.is_null else None)


# ------------------------------------------------------------------------------------------------------ names and faults


def _name(path: Sequence[str]) -> str:
    return ".".join(part.replace("~", "~0").replace(".", "~1") for part in path)


def _at(drawn: Sequence[Field], place: Sequence[str | int]) -> Field | None:
    """The innermost field that a place is in."""
    for one in drawn:
        if tuple(place[: len(one.path)]) == one.path:
            return _at(one.children, place) or one
    return next((one for one in drawn if one.path[-1] == _MORE and len(place) >= len(one.path)), None)


def _with_faults(drawn: Sequence[Field], faults: Sequence[Fault]) -> tuple[Field, ...]:
    errors: dict[tuple[str, ...], list[str]] = {}
    for fault in faults:
        if (found := _at(drawn, fault.place)) is not None:
            inner = "" if found.path[-1] == _MORE else ".".join(map(str, fault.place[len(found.path) :]))
            text = f"{fault.message} ({fault.hint})" if fault.hint else fault.message
            errors.setdefault(found.path, []).append(f"{inner}: {text}" if inner else text)

    def told(several: Sequence[Field]) -> tuple[Field, ...]:
        return tuple(replace(one, errors=tuple(errors.get(one.path, ())), children=told(one.children)) for one in several)

    return told(drawn)
