"""Values as the texts that controls of HTML hold, and such texts as values."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pulpo.ui.form_schema import ABSENT, Kind, Spec

_INTEGER: Final = re.compile(r"[+-]?\d{1,400}")
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_CLOCK: Final = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,3})?)?")
_NEWLINE: Final = re.compile(r"\r\n|\r|\n")
_INFINITE: Final = (float("inf"), float("-inf"))


class Unread(str):
    """What was typed where it can't be read, for the control to show again."""

    __slots__ = ()


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1, 1.0 and true are three."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def plain(value: Any) -> str:
    """A value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def said(value: Any) -> str:
    """A value as people read it."""
    return value if isinstance(value, str) else plain(value)


def lines(text: str) -> str:
    """A text with the newlines that browsers make of all."""
    return _NEWLINE.sub("\n", text)


# ------------------------------------------------------------------------------------------------------ texts of values


def text_of(spec: Spec, value: Any) -> tuple[str, bool]:
    """What the control of a field holds for a value or for `ABSENT`, and whether it takes JSON, as its own can't say it."""
    if isinstance(value, Unread):
        return str(value), spec.kind in ("json", "group", "lines")
    if value is ABSENT or (value is None and spec.nullable):
        return "", spec.kind == "json"
    shown = _SHOWN.get(spec.kind, _none)(value)
    if shown is None:
        return json.dumps(value, indent=2, ensure_ascii=False), True
    # No document has a NUL.
    return lines(shown).replace("\0", "\ufffd"), False


def fits(kind: Kind, text: str) -> bool:
    """Whether the input that is made for a kind can hold a text: browsers empty those of dates and times of what is none."""
    try:
        match kind:
            case "date":
                return bool(dt.date.fromisoformat(text)) and len(text) == len("2026-01-31")
            case "time":
                return dt.time.fromisoformat(text) is not None and bool(_CLOCK.fullmatch(text))
            case "datetime":
                return bool(dt.datetime.fromisoformat(text)) and text[10] == "T" and bool(_CLOCK.fullmatch(text[11:]))
    except (ValueError, IndexError):
        return False
    return True


def alike(kind: Kind, one: str, other: str) -> bool:
    """Whether two texts say the same: browsers shorten and lengthen times."""
    return one == other or (kind in ("time", "datetime") and _moment(kind, one) == _moment(kind, other))


def _moment(kind: Kind, text: str) -> object:
    try:
        return dt.datetime.fromisoformat(text) if kind == "datetime" else dt.time.fromisoformat(text)
    except ValueError:
        return text


def _none(_: Any) -> str | None:
    return None


def _shown_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _shown_number(value: Any) -> str | None:
    return json.dumps(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _shown_decimal(value: Any) -> str | None:
    return value if isinstance(value, str) else _shown_number(value)


def _shown_box(value: Any) -> str | None:
    return ("true" if value else "") if isinstance(value, bool) else None


def _shown_time(value: Any) -> str | None:
    """A date with its time, in UTC, as HTML writes it: to the millisecond, no longer than it has to be."""
    try:
        found = dt.datetime.fromisoformat(value)
        found = found.astimezone(dt.UTC) if found.tzinfo else found
    except (ValueError, TypeError, OverflowError):
        return value if isinstance(value, str) else None
    precision = "milliseconds" if found.microsecond else "seconds" if found.second else "minutes"
    return found.replace(tzinfo=None).isoformat(timespec=precision)


def _shown_lines(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(item, str | int | float) for item in value):
        return None
    texts = [said(item) for item in value]
    return None if any(not text.strip() or _NEWLINE.search(text) or "\0" in text for text in texts) else "\n".join(texts)


_SHOWN: Final[Mapping[str, Callable[[Any], str | None]]] = {
    "text": _shown_text,
    "date": _shown_text,
    "time": _shown_text,
    "number": _shown_number,
    "decimal": _shown_decimal,
    "checkbox": _shown_box,
    "select": plain,
    "datetime": _shown_time,
    "lines": _shown_lines,
}


# ------------------------------------------------------------------------------------------------------ values of texts


def value_of(spec: Spec, raw: str, *, is_json: bool = False, was: str | None = None) -> Any:
    """The value that the text in a field's control means; `ABSENT` for none. `was` is the JSON that the control was made from.

    Raises:
        ValueError: It can't be read; says what it has to be.
    """
    kind: Kind = "json" if is_json else spec.kind
    if (is_json or spec.is_blank_none) and not raw.strip():
        return None if spec.nullable else ABSENT
    value: Any = raw.strip()
    match kind:
        case "text":
            value = raw
        case "checkbox":
            value = bool(raw)
        case "lines":
            value = _read_lines(spec.item or {}, raw)
        case "number":
            value = _read_number(value, whole=spec.schema.get("type") == "integer")
        case "datetime":
            value = _read_time(value, was)
        case "decimal":
            value = _read_decimal(value, was)
        case "json" | "group" | "select":
            value = read_json(raw)
    return value


def read_json(raw: str) -> Any:
    """The value that a text is in JSON.

    Raises:
        ValueError: It is none; says why and where.
    """
    try:
        return json.loads(raw, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _no_number(word: str) -> Any:
    raise ValueError(f"is not JSON: {word} is no number of it")


def _read_number(raw: str, *, whole: bool) -> int | float:
    if _INTEGER.fullmatch(raw):
        return int(raw)
    if not _NUMBER.fullmatch(raw) or float(raw) in _INFINITE:
        raise ValueError(f"must be {'a whole number' if whole else 'a number'}")
    return float(raw)


def _read_decimal(raw: str, was: str | None) -> Any:
    """A number where it was one, else a text, whose digits are all kept."""
    was_number = was is not None and _shown_number(json.loads(was or "null")) is not None
    return _read_number(raw, whole=False) if was_number and _NUMBER.fullmatch(raw) else raw


def _read_time(raw: str, was: str | None) -> str:
    """A time in UTC, without saying so where the one before did not say it either."""
    try:
        found = dt.datetime.fromisoformat(raw)
        before = dt.datetime.fromisoformat(json.loads(was)) if was else None
    except (ValueError, TypeError):
        raise ValueError("must be a time, such as 2026-01-31T12:00") from None
    if found.tzinfo or (before and not before.tzinfo):
        return raw
    return f"{raw}{':00' if raw.count(':') == 1 else ''}Z"


def _read_lines(item: Mapping[str, Any], raw: str) -> list[Any]:
    found = [line for line in raw.split("\n") if line.strip()]
    if item.get("type") == "string":
        return found
    return [_read_number(line.strip(), whole=item.get("type") == "integer") for line in found]
