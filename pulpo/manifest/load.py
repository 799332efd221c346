"""Loading a lock, from the file to the manifest, and saving one whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
from typing import TYPE_CHECKING, Protocol

from pulpo.diagnostics import Diagnostic
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.manifest.explain import explain
from pulpo.manifest.migrate import check_version
from pulpo.manifest.model import Manifest
from pulpo.manifest.overlay import in_environment
from pulpo.manifest.parsed import parse
from pulpo.manifest.schema import schema
from pulpo.manifest.yaml_read import Document, collector_paused, read
from pulpo.manifest.yaml_text import decode

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator

    from pydantic_core import ErrorDetails

#: Larger files are not read. 10,000 operations are 4.5 MB.
_MAX_BYTES = 32_000_000
#: More problems than an entry each of a large lock has are not told.
_MAX_PROBLEMS = 20_000
#: What a lock can be by mistake, other than a file.
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
#: After so many seconds of waiting for another writer the caller is told, asking every so many.
_PATIENCE, _PAUSE = 1.0, 0.05


def load(
    path: pathlib.Path, file: str | None = None, environment: str | None = None, *, kept: pathlib.Path | None = None
) -> tuple[Manifest, Document]:
    """Read and validate a lock; `file` is what places call it, the path as given where it is not said.

    `kept` is a file that keeps what parsing a text gave, as in `pulpo.manifest.parsed.parse`.

    With an environment its overlay is merged in: the manifest is the merged one, and the document finds the place of a value
    where the overlay says it; its text and data are those of the file.

    Raises:
        DiagnosticsError: The file can't be read, is not valid YAML or not a valid manifest; all of its problems. Or the
            environment is about entries that are not there.
        UsageError: There is no such environment.
    """
    with collector_paused():
        document = read_file(path, file, kept=kept)
        manifest = validate(document)
        return in_environment(manifest, document, environment) if environment is not None else (manifest, document)


def read_file(
    path: pathlib.Path, file: str | None = None, *, keep_nodes: bool = False, kept: pathlib.Path | None = None
) -> Document:
    """Read a lock without validating it; `file` is what places call it, `keep_nodes` as in `pulpo.manifest.yaml_read.read`.

    `kept` is as in `load`.

    Raises:
        DiagnosticsError: The file is not there or can't be read (PLP001), or is not valid YAML.
    """
    file = file or str(path)
    try:
        raw = _bytes(path, file)
    except FileNotFoundError:
        if path.is_symlink():
            raise _unreadable(f"the lock is a symbolic link to nothing: {file}", hint="remove it, or run `pulpo lock`") from None
        raise _unreadable(f"there is no lock: {file}", hint="run `pulpo lock` to make it from the code") from None
    except OSError as error:
        raise _unreadable(f"the lock can't be read: {error.strerror}: {file}") from None
    text = decode(raw, file)
    return read(text, file, keep_nodes=keep_nodes) if kept is None else parse(text, file, kept)


def _bytes(path: pathlib.Path, file: str) -> bytes:
    kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    if kind:
        raise _unreadable(f"the lock is {kind}, not a file: {file}", hint="move it away, and run `pulpo lock`")
    # What has taken its place since then must not make us wait, and what grows must not be read forever.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:  # noqa: PTH123 - of a descriptor
        raw = stream.read(_MAX_BYTES + 1) if os.fstat(stream.fileno()).st_size <= _MAX_BYTES else None
    if raw is None or len(raw) > _MAX_BYTES:
        raise _unreadable(f"the lock is larger than {_MAX_BYTES // 1_000_000} MB: {file}", hint="split the project")
    return raw


def check_schema(document: Document) -> None:
    """Make sure that a document is a manifest of this version that follows the schema.

    Raises:
        DiagnosticsError: A newer Pulpo wrote it (PLP005), an older one did (PLP007), or it does not follow the schema (PLP101,
            all problems).
    """
    import jsonschema_rs

    check_version(document)
    with collector_paused():
        if jsonschema_rs.validator_for(schema()).is_valid(document.data):
            return
        problems = explain(document)
    if len(problems) > _MAX_PROBLEMS:
        more = f"{len(problems) - _MAX_PROBLEMS:,} more problems are not shown"
        problems = [*problems[:_MAX_PROBLEMS], Diagnostic("PLP101", more)]
    raise DiagnosticsError(problems)


def validate(document: Document) -> Manifest:
    """The manifest that a document is.

    Raises:
        DiagnosticsError: As `check_schema`.
    """
    from pydantic import ValidationError

    check_schema(document)
    with collector_paused():
        try:
            return Manifest.model_validate(document.data)
        except ValidationError as error:
            raise DiagnosticsError([_diagnostic(detail, document) for detail in error.errors()]) from None


def _diagnostic(detail: ErrorDetails, document: Document) -> Diagnostic:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    return Diagnostic("PLP101", detail["msg"], path, document.locate(path))


def _unreadable(message: str, *, hint: str | None = None) -> DiagnosticsError:
    return DiagnosticsError([Diagnostic("PLP001", message, hint=hint)])


class Writer(Protocol):
    """Saves a lock; see `writing`."""

    def __call__(self, text: str, *, instead_of: str | None = None) -> bool:
        """Write the lock whole or not at all, and only if it differs; whether it did."""


@contextlib.contextmanager
def writing(path: pathlib.Path, *, on_wait: Callable[[], None] | None = None) -> Iterator[Writer]:
    """Be the only writer of a lock, from before it is read until it is saved; others wait for the end.

    Writers meet at `run_cache/lock.lock` beside the lock, which a killed one lets go of. Where that file can't be made, saving
    fails, if there is anything to save.

    Args:
        path: The lock.
        on_wait: Called once when another writer keeps us waiting for longer than a second.

    Returns:
        `save(text, instead_of=...)`: a new file beside the lock is made durable and takes its place, with its mode, owner and
        extended attributes; a symbolic link stays one, and other hard links keep the old text. `instead_of` is what the file
        held when it was read, to the byte; None if it was not there. `save` raises UsageError when the file is another one by
        now, is read-only, or the file system refuses: the old file is as it was then.
    """
    with contextlib.ExitStack() as stack:
        refused: UsageError | None = None
        was_there = False
        meeting = path.parent / "run_cache" / "lock.lock"
        try:
            stack.enter_context(_alone(meeting, on_wait))
            _beside(path.resolve()).unlink(missing_ok=True)  # what a killed writer left
            was_there = path.exists()
        except OSError as error:
            refused = _unwritable(error, error.filename or meeting)
        except RuntimeError:  # of `resolve`
            refused = UsageError(f"the lock can't be written: Too many levels of symbolic links: {path}")

        def save_now(text: str, *, instead_of: str | None = None) -> bool:
            raw = text.encode()
            try:
                if path.is_file() and path.read_bytes() == raw:
                    return False
                if refused is not None:
                    raise refused
                _replace(path, raw, None if instead_of is None and was_there else (instead_of or "").encode())
            except OSError as error:
                raise _unwritable(error, path) from error
            return True

        yield save_now


def save(path: pathlib.Path, text: str, *, instead_of: str | None = None) -> bool:
    """Write a lock whole or not at all, and only if it differs; whether it did. See `writing`.

    Raises:
        UsageError: The file is another one by now, is read-only, or the file system refuses.
    """
    with writing(path) as save_now:
        return save_now(text, instead_of=instead_of)


@contextlib.contextmanager
def _alone(meeting: pathlib.Path, on_wait: Callable[[], None] | None) -> Iterator[None]:
    meeting.parent.mkdir(exist_ok=True)
    while True:
        with meeting.open("w") as stream:
            _wait_for(stream.fileno(), on_wait)
            if _is_still(meeting, stream.fileno()):
                yield
                return


def _wait_for(descriptor: int, on_wait: Callable[[], None] | None) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_PAUSE)
    if on_wait is not None:
        on_wait()
    return fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_still(path: pathlib.Path, descriptor: int) -> bool:
    """Whether an open file is the one of its name: while we waited, `run_cache` may have been removed."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def _beside(target: pathlib.Path) -> pathlib.Path:
    # One writer at a time, so one name will do, and what a killed writer left is written over.
    return target.with_name(f".{target.name}.new")


def _replace(path: pathlib.Path, raw: bytes, expected: bytes | None) -> None:
    """Put a file in the place of another, if that holds what is expected (nothing: is not there), or anything if None."""
    target = path.resolve()
    _refuse_unwritable(target, path)
    new = _beside(target)
    try:
        with new.open("wb") as stream:
            if target.exists():
                _copy_rights(target, new)
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        # As late as can be: an editor does not wait for us.
        if expected is not None and (target.read_bytes() if target.exists() else b"") != expected:
            raise UsageError(f"somebody changed the lock meanwhile: {path}", hint="nothing was written; run it again")
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _refuse_unwritable(target: pathlib.Path, path: pathlib.Path) -> None:
    """Renaming would replace what may not be written, or is no file."""
    if target.exists() and not target.is_file():
        raise UsageError(f"the lock is not a file: {path}", hint="move it away")
    if target.exists() and not (target.stat().st_mode & 0o222 and os.access(target, os.W_OK)):
        raise UsageError(f"the lock is read-only: {path}", hint="nothing was written; make it writable with `chmod u+w`")


def _copy_rights(source: pathlib.Path, new: pathlib.Path) -> None:
    """Owner and group as far as we may, mode and extended attributes, access lists among them."""
    status = source.stat()
    for owner in (status.st_uid, -1):
        with contextlib.suppress(PermissionError):
            os.chown(new, owner, status.st_gid)
            break
    shutil.copystat(source, new)


def _unwritable(error: OSError, path: object) -> UsageError:
    return UsageError(f"the lock can't be written: {error.strerror}: {path}")
