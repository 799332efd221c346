"""What a lock is as text: the characters it may hold, and the bounds of what is read and written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic, Place
from pulpo.errors import DiagnosticsError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How deep collections may lie in one another, below the root.
MAX_DEPTH = 60
#: Integers are smaller than this: a float, and every validator, can hold them.
MAX_INTEGER = 10**300

#: What YAML calls not printable, and what some parsers take for a line break and others not (U+0085, U+2028, U+2029).
UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_BYTE_ORDER_MARK = "\ufeff"
_CONFLICT = re.compile(r"^(?:<{7}|\|{7}|>{7})(?: [^\r\n]*)?\r?$|^={7}\r?$", re.MULTILINE)


def decode(raw: bytes, file: str) -> str:
    """The text of a file's bytes, line ends as they are.

    Raises:
        DiagnosticsError: The bytes are not UTF-8 (PLP002).
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
        place = Place(file, before.count(b"\n") + 1, column)
        message = f"the file is not UTF-8 text: byte 0x{raw[error.start]:02x}"
        hint = "it looks like UTF-16; save it as UTF-8" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "save it as UTF-8"
        raise DiagnosticsError([Diagnostic("PLP002", message, place=place, hint=hint)]) from None


def check_text(text: str, file: str) -> None:
    """Refuse what is no YAML text, before a parser stumbles over it with a less helpful message.

    Raises:
        DiagnosticsError: Git's conflict markers (PLP004), a byte order mark or an unreadable character (PLP002).
    """
    problems = list(_conflicts(text, file))
    if not problems and (bad := UNREADABLE.search(text)):
        problems = [_unreadable(text, bad.start(), file)]
    if problems:
        raise DiagnosticsError(problems)


def _unreadable(text: str, index: int, file: str) -> Diagnostic:
    place = _place(text, index, file)
    character = text[index]
    if character == _BYTE_ORDER_MARK and index == 0:
        return Diagnostic("PLP002", "the file begins with a byte order mark", place=place, hint="save it as UTF-8 without BOM")
    if character == "\0":
        return Diagnostic("PLP002", "a NUL byte: the file is damaged or not text", place=place)
    message = f"a character that can't stand in YAML: U+{ord(character):04X}"
    return Diagnostic("PLP002", message, place=place, hint=f'within double quotes it is written "\\u{ord(character):04x}"')


def _conflicts(text: str, file: str) -> Iterator[Diagnostic]:
    """One diagnostic for each conflict, at its first marker."""
    inside = False
    for marker in _CONFLICT.finditer(text):
        line = marker[0].rstrip()
        if not inside:
            hint = "settle the conflict (for what `pulpo lock` writes either side will do), then run `pulpo lock`"
            message = f"a conflict that Git could not merge: {line}"
            yield Diagnostic("PLP004", message, place=_place(text, marker.start(), file), hint=hint)
        inside = not line.startswith(">")


def _place(text: str, index: int, file: str) -> Place:
    return Place(file, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))
