"""What a lock is as text: the characters it may hold, and the bounds of what is read and written."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic, Place, Related
from pulpo.errors import DiagnosticsError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How deep collections may lie in one another, below the root.
MAX_DEPTH = 60
#: Integers are smaller than this: a float, and every validator, can hold them.
MAX_INTEGER = 10**300
#: How many values a lock may hold, keys among them; 10,000 operations are 700,000. Where a
#: lock that is refused has to be explained, each can take 1,200 bytes of memory.
MAX_NODES = 2_000_000
#: How many characters a key may have: every message about what lies below repeats it.
MAX_KEY = 2_000
#: Problems beyond these are left out: a file that has more of them is not one that a person mends line by line.
MAX_PROBLEMS = 1_000
#: Longer texts are cut in messages.
_SHOWN = 60

#: libyaml takes time with the square of their length, or number.
_LONG_TAG = re.compile(r"(?:^|(?<=[\s,\[{]))!\S{5000}")
_MANY_DIRECTIVES = 100
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)

#: What YAML calls not printable, and what some parsers take for a line break and others not (U+0085, U+2028, U+2029).
UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_BYTE_ORDER_MARK = "\ufeff"
_CONFLICT = re.compile(r"^(?:(?:<{7}|\|{7}|>{7})(?: [^\r\n]*)?|={7})\r?$", re.MULTILINE)
_MARKS = {"|": "their common base begins here", "=": "the other side begins here", ">": "it ends here"}
#: How files begin that are no text at all.
_BINARY = {
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a ZIP archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF-": "a PDF document",
    b"SQLite format 3\0": "a SQLite database",
    b"\x7fELF": "a program",
}
_WIDE = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def decode(raw: bytes, file: str) -> str:
    """The text of a file's bytes, line ends as they are.

    Raises:
        DiagnosticsError: The bytes are not UTF-8 (PLP002).
    """
    kind = next((kind for begin, kind in _BINARY.items() if raw.startswith(begin)), None)
    if kind:
        raise _no_text(f"the file is {kind}, not YAML", Place(file, 1), "restore the lock, or delete it and run `pulpo lock`")
    wide = _wide_encoding(raw)
    if wide:
        raise _no_text(f"the file is {wide} text, not UTF-8", Place(file, 1), "save it as UTF-8")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        place = place_at(raw[: error.start].decode(errors="replace"), None, file)
        cut = error.reason == "unexpected end of data"
        message = "the file ends within a character" if cut else "the file is not UTF-8 text"
        raise _no_text(f"{message}: byte 0x{raw[error.start]:02x}", place, "save it as UTF-8") from None


def _wide_encoding(raw: bytes) -> str | None:
    """The encoding of two or four bytes a character that the file's mark tells, or its NUL bytes where it has none."""
    for mark, encoding in _WIDE.items():
        if raw.startswith(mark):
            return encoding
    start = raw[:400]
    zeros = [start[offset::4].count(0) > len(start[offset::4]) * 0.9 for offset in range(4)]
    return {3: "UTF-32", 2: "UTF-16"}.get(sum(zeros))


def _no_text(message: str, place: Place, hint: str) -> DiagnosticsError:
    return DiagnosticsError([Diagnostic("PLP002", message, place=place, hint=hint)])


def check_text(text: str, file: str) -> None:
    """Refuse what is no YAML text, before a parser stumbles over it with a less helpful message.

    Raises:
        DiagnosticsError: Git's conflict markers (PLP004), a byte order mark or an unreadable character (PLP002).
    """
    problems = list(itertools.islice(_conflicts(text, file), MAX_PROBLEMS))
    if not problems and (bad := UNREADABLE.search(text)):
        problems = [_unreadable(text, bad.start(), file)]
    if not problems and (tag := _LONG_TAG.search(text)):
        problems = [
            Diagnostic("PLP002", "tags are not read", place=place_at(text, tag.start(), file), hint="put the text in quotes")
        ]
    directives = list(itertools.islice(_DIRECTIVE.finditer(text), _MANY_DIRECTIVES + 1))
    if not problems and len(directives) > _MANY_DIRECTIVES:
        problems = [
            Diagnostic("PLP002", "too many directives", place=place_at(text, directives[-1].start(), file), hint="remove them")
        ]
    if problems:
        raise DiagnosticsError(problems)


def _unreadable(text: str, index: int, file: str) -> Diagnostic:
    place = place_at(text, index, file)
    character = text[index]
    if character == _BYTE_ORDER_MARK and index == 0:
        return Diagnostic("PLP002", "the file begins with a byte order mark", place=place, hint="save it as UTF-8 without BOM")
    if character == "\0":
        hint = "restore the lock, or delete it and run `pulpo lock`"
        return Diagnostic("PLP002", "a NUL byte: the file is damaged or not text", place=place, hint=hint)
    message = f"a character that can't stand in YAML: U+{ord(character):04X}"
    return Diagnostic("PLP002", message, place=place, hint=f'within double quotes it is written "\\u{ord(character):04x}"')


def _conflicts(text: str, file: str) -> Iterator[Diagnostic]:
    """One diagnostic for each conflict, at its first marker; markers that others were removed around are one as well."""
    group: list[tuple[str, Place]] = []
    for marker in _markers(text, file):
        if group and marker[0][0] == "<":
            yield _conflict(group)
            group = []
        group.append(marker)
        if marker[0][0] == ">":
            yield _conflict(group)
            group = []
    if group:
        yield _conflict(group)


def _markers(text: str, file: str) -> Iterator[tuple[str, Place]]:
    line, counted = 1, 0
    for marker in _CONFLICT.finditer(text):
        line += text.count("\n", counted, marker.start())
        counted = marker.start()
        found = marker[0].rstrip()
        yield found, Place(file, line, 1, line, len(found) + 1)


def _conflict(group: list[tuple[str, Place]]) -> Diagnostic:
    (first, place), *others = group
    related = tuple(Related(_MARKS[line[0]], place=where) for line, where in others)
    kinds = "".join(line[0] for line, _ in group)
    if kinds not in ("<=>", "<|=>"):
        message = f"a conflict marker of Git is left: {shortened(first)}"
        return Diagnostic(
            "PLP004", message, place=place, hint="keep the lines of one side, and remove the marker", related=related
        )
    sides = " and ".join(shortened(line[8:]) or name for line, name in ((first, "ours"), (group[-1][0], "theirs")))
    hint = "settle the conflict (for what `pulpo lock` writes either side will do), then run `pulpo lock`"
    message = f"a conflict that Git could not merge: {sides}"
    return Diagnostic("PLP004", message, place=place, hint=hint, related=related)


def place_at(text: str, index: int | None, file: str) -> Place:
    """The place of a character, or of the end; a line ends with LF, CR LF or CR, as in YAML."""
    before = text if index is None else text[:index]
    line = before.count("\n") + before.count("\r") - before.count("\r\n") + 1
    return Place(file, line, len(before) - max(before.rfind("\n"), before.rfind("\r")))


def shortened(text: str) -> str:
    """A text as messages show it: cut where it is long."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
