"""Loading a lock, from the file to the manifest, and saving one whole or not at all."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.manifest.explain import explain
from pulpo.manifest.model import VERSION, Manifest
from pulpo.manifest.schema import schema
from pulpo.manifest.yaml_read import Document, collector_paused, read
from pulpo.manifest.yaml_text import decode

if TYPE_CHECKING:
    import pathlib

    from pydantic_core import ErrorDetails

_MAX_BYTES = 100_000_000


def load(path: pathlib.Path, file: str | None = None) -> tuple[Manifest, Document]:
    """Read and validate a lock; `file` is what places call it, the path as given where it is not said.

    Raises:
        DiagnosticsError: The file can't be read, is not valid YAML or not a valid manifest; all of its problems.
    """
    with collector_paused():
        document = read_file(path, file)
        return validate(document), document


def read_file(path: pathlib.Path, file: str | None = None) -> Document:
    """Read a lock without validating it; `file` is what places call it.

    Raises:
        DiagnosticsError: The file is not there or can't be read (PLP001), or is not valid YAML.
    """
    file = file or str(path)
    try:
        if path.is_file():
            if path.stat().st_size > _MAX_BYTES:
                raise _unreadable(f"the lock is larger than {_MAX_BYTES // 1_000_000} MB: {file}")
            return read(decode(path.read_bytes(), file), file)
        if path.exists():
            raise _unreadable(f"the lock is not a file: {file}")
    except OSError as error:
        raise _unreadable(f"the lock can't be read: {error.strerror}: {file}") from None
    raise _unreadable(f"there is no lock: {file}", hint="run `pulpo lock` to make it from the code")


def validate(document: Document) -> Manifest:
    """The manifest that a document is.

    Raises:
        DiagnosticsError: A newer Pulpo wrote it (PLP005), or it does not follow the schema (PLP101, all problems).
    """
    import jsonschema_rs
    from pydantic import ValidationError

    _check_version(document)
    with collector_paused():
        if not jsonschema_rs.validator_for(schema()).is_valid(document.data):
            problems = explain(document)
            if problems:
                raise DiagnosticsError(problems)
        try:
            return Manifest.model_validate(document.data)
        except ValidationError as error:
            raise DiagnosticsError([_diagnostic(detail, document) for detail in error.errors()]) from None


def _check_version(document: Document) -> None:
    version = document.data.get("version") if isinstance(document.data, dict) else None
    if isinstance(version, int | float) and version > VERSION:
        message = f"the lock is of a newer version than this Pulpo reads, which is {VERSION}: {version}"
        place = document.locate(("version",))
        raise DiagnosticsError([Diagnostic("PLP005", message, ("version",), place, hint="run `pip install -U pulpocore`")])


def _diagnostic(detail: ErrorDetails, document: Document) -> Diagnostic:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    return Diagnostic("PLP101", detail["msg"], path, document.locate(path))


def _unreadable(message: str, *, hint: str | None = None) -> DiagnosticsError:
    return DiagnosticsError([Diagnostic("PLP001", message, hint=hint)])


def save(path: pathlib.Path, text: str, *, instead_of: str | None = None) -> bool:
    """Write a lock whole or not at all, and only if it differs; whether it did.

    A new file beside it is made durable and takes its place, with its mode; a symbolic link stays one. Writers wait for each
    other at `run_cache/lock.lock` beside the lock, which a killed one lets go of.

    Args:
        path: The lock.
        text: What it is to hold.
        instead_of: What it held when it was read, if that is to be as it was.

    Raises:
        UsageError: The file is another one by now, or the file system refuses.
    """
    raw = text.encode()
    target = path.resolve()
    try:
        if target.is_file() and target.read_bytes() == raw:
            return False
        lock_file = path.parent / "run_cache" / "lock.lock"
        lock_file.parent.mkdir(exist_ok=True)
        with lock_file.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if instead_of is not None and _is_another(target, instead_of):
                raise UsageError(f"somebody changed the lock meanwhile: {path}", hint="nothing was written; run it again")
            _replace(target, raw)
    except OSError as error:
        raise UsageError(f"the lock can't be written: {error.strerror}: {path}") from error
    return True


def _is_another(target: pathlib.Path, expected: str) -> bool:
    """Whether a file is not what it was; a line end is a line end, however it is written."""
    return not target.exists() or target.read_bytes().decode(errors="replace").splitlines() != expected.splitlines()


def _replace(target: pathlib.Path, raw: bytes) -> None:
    # One writer at a time, so one name will do, and what a killed writer left is written over.
    new = target.with_name(f".{target.name}.new")
    try:
        with new.open("wb") as stream:
            if target.exists():
                os.fchmod(stream.fileno(), target.stat().st_mode & 0o7777)
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
