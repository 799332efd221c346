"""What to write in the place of a value of the wrong type."""

from __future__ import annotations

import re

from pulpo.manifest.yaml_write import flow

_TRUE, _FALSE = ("y", "yes", "on", "true", "t", "1"), ("n", "no", "off", "false", "f", "0")
_DURATION = re.compile(
    r"(?:(\d+) *d(?:ays?)?)? *(?:(\d+) *h(?:ours?|rs?)?)? *(?:(\d+) *m(?:in(?:ute)?s?)?)? *(?:(\d+) *s(?:ecs?|econds?)?)?"
)
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})")
_IN_SECONDS = frozenset({"retry_delay", "timeout", "ttl", "interval"})
#: The key that a value without one was probably meant for, by part and type of value.
_SHORT_FORMS: dict[str, dict[type, str]] = {
    "InputSpec": {str: "model"},
    "OutputSpec": {str: "model"},
    "CacheSpec": {int: "ttl", float: "ttl"},
    "ScheduleSpec": {str: "cron", int: "interval", float: "interval"},
    "ServiceSpec": {str: "image"},
    "ProbeSpec": {str: "http", int: "tcp", list: "command"},
    "DockerSpec": {str: "image"},
    "WorkPoolSpec": {str: "name"},
    "ParameterSpec": {str: "default", int: "default", float: "default", bool: "default", list: "default"},
    "OperationSpec": {str: "entrypoint"},
    "ModelSpec": {str: "entrypoint"},
    "ProjectSpec": {str: "name"},
}
#: Longer values are not written out in hints.
_SHOWN = 60


def type_hint(wanted: str, value: object, *, part: str, key: str | int | None, written: str) -> str | None:
    """What to write where a value of one type stands and another is wanted, or None.

    Args:
        wanted: The type, as JSON Schema calls it.
        value: The value that stands there.
        part: The definition of the schema that refuses it, or that it is a value of.
        key: The key of the value, or its index in a list.
        written: The value as it stands in the file, if it is a scalar on one line.
    """
    if value is None:
        return _null_hint(wanted)
    if wanted not in ("object", "array") and isinstance(value, list) and len(value) == 1 and _is_a(wanted, value[0]):
        return f"it is one, not a list: {flow(value[0])}"
    if wanted == "boolean":
        return _boolean_hint(value)
    if wanted in ("integer", "number"):
        return _number_hint(wanted, value, key)
    if wanted == "string":
        return _string_hint(value, written)
    return _list_hint(value, part) if wanted == "array" else _mapping_hint(value, part)


def _null_hint(wanted: str) -> str:
    if wanted in ("object", "array"):
        empty = "{}" if wanted == "object" else "[]"
        return f"leave the key out, write {empty}, or indent below it what belongs to it"
    return "leave the key out to unset it"


def _boolean_hint(value: object) -> str | None:
    for words, meant in ((_TRUE, "true"), (_FALSE, "false")):
        if isinstance(value, str) and value.lower() == meant:
            return f"write {meant}, without quotes and in lower case"
        if str(value).lower() in words:
            return f"write {meant}: YAML 1.2 has only true and false"
    return None


def _number_hint(wanted: str, value: object, key: str | int | None) -> str | None:
    if isinstance(value, str):
        number = value.strip().replace("_", "")
        if re.fullmatch(r"-?\d+", number) or (wanted == "number" and re.fullmatch(r"-?\d*\.\d+", number)):
            return f"write {number}, without quotes" if number == value else f"write {number}"
        if key in _IN_SECONDS and (seconds := _seconds(value.strip().lower())) is not None:
            return f"it is a number of seconds: write {seconds}"
    if wanted == "integer" and isinstance(value, float):
        return f"write {round(value)} or {round(value) + 1}" if value % 1 == 0.5 else f"write {round(value)}"  # noqa: PLR2004
    return None


def _seconds(text: str) -> int | None:
    """The seconds in a duration such as `1h 30m`, `90 s` or `01:30:00`."""
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return hours * 3600 + minutes * 60 + seconds
    duration = _DURATION.fullmatch(text)
    if not text or duration is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in duration.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _string_hint(value: object, written: str) -> str | None:
    if isinstance(value, bool | int | float):
        return f'put it in quotes: "{written}"'
    return None


def _is_a(wanted: str, value: object) -> bool:
    return type(value) in {"string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,)}[wanted]


def _list_hint(value: object, part: str) -> str:
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else [value]
    meant = flow([_in_full(item, part) for item in items if item != ""])
    if len(meant) > _SHOWN:
        return "begin each item with - on a line of its own"
    return f"a list of one is written {meant}" if len(items) == 1 else f"a list is written {meant}"


def _mapping_hint(value: object, part: str) -> str | None:
    if isinstance(value, list):
        if value and all(isinstance(item, str) and "=" in item for item in value):  # the other way that Docker Compose has
            mapping = flow(dict(item.split("=", 1) for item in value))
            return f"write {mapping}" if len(mapping) <= _SHOWN else "write it as a mapping, NAME: VALUE"
        named = all(isinstance(item, dict) for item in value)
        return f"write it as a mapping, NAME: {'{…}' if named else 'VALUE'}, without the - at the front" if value else "write {}"
    if part == "CacheSpec" and isinstance(value, bool):
        return "write {} for a cache without an end, {ttl: SECONDS} for one with" if value else "leave the key out"
    meant = _in_full(value, part)
    return f"write {flow(meant)}" if meant is not value and len(flow(meant)) <= _SHOWN else None


def _in_full(value: object, part: str) -> object:
    key = _SHORT_FORMS.get(part, {}).get(type(value))
    return value if key is None else {key: value}
