"""Changing a manifest's text without writing the rest of it anew.

The nodes of the text tell where each entry stands, and what is between them: comments, blank lines, commas. Only the spans that
a change means are written, in the style that stands there, the rest is copied byte for byte. What came out is read again, and
has to be what was wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic, Place
from pulpo.errors import DiagnosticsError
from pulpo.manifest.equality import same
from pulpo.manifest.splice_anchors import joined
from pulpo.manifest.splice_edits import Editor
from pulpo.manifest.splice_excerpts import Excerpts
from pulpo.manifest.splice_parts import Source
from pulpo.manifest.yaml_read import Document, collector_paused, read
from pulpo.manifest.yaml_write import check_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.diagnostics import Path

#: Each round settles what the one before it brought about: a value that was inherited from an anchor that changed, or the last
#: line of a text without a line end.
_ROUNDS = 8
_NOTHING_RENAMED: Mapping[Path, str] = {}


def splice(document: Document, wanted: Mapping[str, Any], renamed: Mapping[Path, str] = _NOTHING_RENAMED) -> str:
    """The document's text with only that changed in which its data differs from `wanted`.

    Args:
        document: What was read from the text.
        wanted: The data that the text is to have.
        renamed: The new keys of entries of the document's mappings, by path: the entry stays, with its comments, under it.

    Raises:
        DiagnosticsError: The text can't be changed so that it has this data (PLP305), or no text can have it (PLP006).
    """
    if same(document.data, wanted):
        return document.text
    with collector_paused():
        now = document
        for number in range(_ROUNDS):
            text, excerpts = _edited(now, wanted, renamed if number == 0 else {}, one_line=number > 0)
            if excerpts.read_as(wanted):
                return text
            now = _read_again(text, document, wanted)
            if same(now.data, wanted):
                return text
    check_values(wanted)
    raise _error(document)


def _edited(
    document: Document, wanted: Mapping[str, Any], renamed: Mapping[Path, str], *, one_line: bool
) -> tuple[str, Excerpts]:
    """The new text, not read again; `one_line`: block scalars that change are not written as block scalars."""
    source = Source(document)
    editor = Editor(source, wanted, renamed, one_line=one_line)
    text = joined(source, editor.pieces())
    if not source.text.endswith(("\n", "\r")):
        text = text.removesuffix("\n").removesuffix("\r")
    return text, editor.excerpts


def _read_again(text: str, document: Document, wanted: Mapping[str, Any]) -> Document:
    try:
        return read(text, document.file)
    except DiagnosticsError as error:
        check_values(wanted)
        raise _error(document) from error


def _error(document: Document) -> DiagnosticsError:
    message = "the lock can't be changed in place: what was written does not read as what was meant"
    hint = "nothing was written; write aliases that are keys out by hand, run it again, and please report the file as it was"
    return DiagnosticsError([Diagnostic("PLP305", message, place=Place(document.file, 1), hint=hint)])
