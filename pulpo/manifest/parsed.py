"""The data of a lock, kept for those who read the same text again and again: parsing its YAML takes twenty times as long."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from pulpo.manifest.yaml_read import Document, read

if TYPE_CHECKING:
    import pathlib

#: Part of each digest: another number where the same text is to give other data.
_READING = b"1\n"


def parse(text: str, file: str, kept: pathlib.Path) -> Document:
    """What `read` returns and raises: out of the file `kept` where that was made of the same text; else it is made.

    Where it can't be made, nothing is said.
    """
    digest = hashlib.sha256(_READING + text.encode()).hexdigest()
    found = _load(kept, digest)
    if found is not None:
        return Document(file, text, found)
    document = read(text, file)
    _save(kept, {"digest": digest, "data": document.data})
    return document


def _load(kept: pathlib.Path, digest: str) -> Any:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        said = json.loads(kept.read_bytes())
        if isinstance(said, dict) and said.get("digest") == digest:
            return said.get("data")
    return None


def _save(kept: pathlib.Path, said: object) -> None:
    new = kept.with_name(f".{kept.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        new.write_text(json.dumps(said), encoding="ascii")
        new.replace(kept)
