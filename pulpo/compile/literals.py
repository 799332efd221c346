"""Values and types as Python text, laid out as `ruff format` would."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The length of a line, as users of `ruff format` may set it in their project; generated text is stable at this one.
LINE = 130
#: The Python types of JSON Schema's plain ones.
SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
#: Keys of a JSON Schema that say nothing about the Python type.
_NEUTRAL = frozenset(("title", "description", "default", "examples", "pattern"))
#: And those that begin so: bounds of numbers, texts and lists.
_BOUNDS = ("min", "max", "exclusive", "multiple")


def py(value: object) -> str:
    """A plain value as a Python expression on one line; strings have the quotes that need fewer escapes."""
    match value:
        case str():
            return _string(value)
        case float():
            return repr(value).replace("e+", "e") if math.isfinite(value) else f'float("{value}")'
        case list() | tuple():
            return f"[{', '.join(map(py, value))}]"
        case dict():
            return f"{{{', '.join(f'{py(k)}: {py(v)}' for k, v in value.items())}}}"
    return repr(value)


def laid_out(value: object, indent: int, before: int) -> str:
    """A plain value as `py` gives it where that fits on its line, else with each of its parts on a line of its own.

    Args:
        value: The value.
        indent: The columns that its line is indented by.
        before: The columns of what stands before the value on its line; a comma stands behind it.
    """
    line = py(value)
    if not isinstance(value, (dict, list, tuple)) or not value or indent + before + len(line) + 1 <= LINE:
        return line
    inner = indent + 4
    if isinstance(value, dict):
        keys = {key: f"{py(key)}: " for key in value}
        return f"{{{one_a_line([keys[k] + laid_out(v, inner, len(keys[k])) for k, v in value.items()], indent)}}}"
    return f"[{one_a_line([laid_out(item, inner, 0) for item in value], indent)}]"


def _string(text: str) -> str:
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + "".join(_character(c, quote) for c in text) + quote


def _character(character: str, quote: str) -> str:
    if character in ("\\", quote):
        return f"\\{character}"
    return character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()


def seconds(value: float) -> str:
    """A number of seconds as people write it: `30`, not `30.0`."""
    return py(int(value) if float(value).is_integer() and abs(value) < 1e15 else float(value))  # noqa: PLR2004 - then exponents


def items(texts: Sequence[str], before: int, after: int, indent: int) -> str:
    """What stands between brackets: on their line where that fits, else one a line with a trailing comma.

    Args:
        texts: The items.
        before: The columns on the line up to and with the opening bracket.
        after: The columns from the closing bracket on.
        indent: The columns that the line is indented by.
    """
    line = ", ".join(texts)
    if not texts or ("\n" not in line and before + len(line) + after <= LINE):
        return line
    return one_a_line(texts, indent)


def one_a_line(texts: Sequence[str], indent: int) -> str:
    """Items one a line with a trailing comma; where there is none, nothing."""
    if not texts:
        return ""
    pad = " " * (indent + 4)
    return "\n" + "".join(f"{pad}{text},\n" for text in texts) + " " * indent


def annotation(schema: Mapping[str, Any], default: object) -> str:
    """The Python type of the values that a JSON Schema describes, `Any` where that is not plain; with None if the default is."""
    found = _type(schema)
    if default is None and found != "Any" and "None" not in found.split(" | "):
        return f"{found} | None"
    return found


def taken(schema: Mapping[str, Any], default: object) -> str:
    """The Python type that a function takes of the values that a JSON Schema describes.

    As `annotation`, but `Any` where functions that take different types have the same schema: what is an array may be wanted
    as a tuple, and what is a number or a text as a Decimal.
    """
    found = annotation(schema, default)
    return "Any" if "[" in found or {"float", "str"} <= {*found.split(" | ")} else found


def _type(schema: Mapping[str, Any]) -> str:
    said = {key: value for key, value in schema.items() if key not in _NEUTRAL and not key.startswith(_BOUNDS)}
    match said:
        case {"type": str() as name, **rest} if not rest and name in SCALARS:
            return SCALARS[name]
        case {"type": "array", "items": dict() as item, **rest} if not rest:
            return f"list[{_type(item)}]"
        case {"type": "object", "additionalProperties": dict() as item, **rest} if not rest:
            return f"dict[str, {_type(item)}]"
        case {"type": list() as names, **rest} if names and not rest and all(name in SCALARS for name in names):
            return _union([SCALARS[name] for name in names])
        case {"anyOf": list() as choices, **rest} if choices and not rest and all(isinstance(c, dict) for c in choices):
            return _union([_type(choice) for choice in choices])
    return "Any"


def _union(types: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(types))
    if "Any" in distinct:
        return "Any"
    return " | ".join(sorted(distinct, key="None".__eq__))
