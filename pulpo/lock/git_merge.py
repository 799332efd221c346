"""`pulpo merge`: what Git asks when two branches changed a lock, and telling Git to ask.

Git's own merge comes first: where it is clean and a lock that can be read, it is the answer. Else the two versions are merged
by what they say (`pulpo.lock.branches`), and where one can't be read, Git's own conflicts stand. No user code is imported.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pulpo.errors import DiagnosticsError, UsageError
from pulpo.manifest.yaml_read import collector_paused, read
from pulpo.manifest.yaml_text import decode
from pulpo.settings import LOCK_NAME

if TYPE_CHECKING:
    from pulpo.diagnostics import Path as DataPath
    from pulpo.manifest.yaml_read import Document

_ATTRIBUTES = f"{LOCK_NAME} merge=pulpo"
#: Where Pulpo is not there to ask, or fails, Git merges as if nobody had said anything: else it would keep our version alone.
_DRIVER = "pulpo merge %O %A %B --path %P; case $? in 0) ;; 1) exit 1 ;; *) git merge-file %A %O %B ;; esac"
_SETTINGS = {"merge.pulpo.name": f"merge {LOCK_NAME} by what it says", "merge.pulpo.driver": _DRIVER}
#: `git merge-file` exits with the number of conflicts, at most this, or with more where it can't merge at all.
_MOST_CONFLICTS = 127


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge of two versions gave."""

    text: bytes
    #: Whether there are conflicts, between markers in the text.
    conflict: bool
    #: The paths of the conflicts; empty where Git's own stand.
    paths: tuple[DataPath, ...] = ()
    #: Comments that one branch added and that are not in the text, as where the other deleted what they were about.
    lost: tuple[str, ...] = ()


def merge_files(base: Path, ours: Path, theirs: Path) -> Merge:
    """Merge two versions of a lock, and write the result into `ours`, as Git wants it.

    Args:
        base: The last common version; an empty file where there is none.
        ours: The version of the branch that is merged into.
        theirs: The version of the branch that is merged.

    Raises:
        UsageError: A file can't be read or written, or Git is not there.
    """
    try:
        merge = merge_texts(*(path.read_bytes() for path in (base, ours, theirs)))
        ours.write_bytes(merge.text)
    except OSError as error:
        raise UsageError(f"can't merge: {error.strerror}: {error.filename}") from error
    return merge


def merge_texts(base: bytes, ours: bytes, theirs: bytes) -> Merge:
    """Merge two versions of a lock, given their last common one; it has our line ends, unless only theirs are new."""
    crlf = _has_crlf(theirs if _has_crlf(ours) == _has_crlf(base) else ours)
    sides = [_with_lf(side) for side in (base, ours, theirs)]
    with collector_paused():
        merge = _merged(*sides)
    return Merge(merge.text.replace(b"\n", b"\r\n"), merge.conflict, merge.paths, merge.lost) if crlf else merge


def _has_crlf(text: bytes) -> bool:
    return b"\r\n" in text


def _with_lf(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n")


def _merged(base: bytes, ours: bytes, theirs: bytes) -> Merge:
    text, clean = _git_merge(base, ours, theirs)
    if clean and _readable(text) is not None:
        return Merge(text, conflict=False)
    documents = [_readable(side, keep_nodes=True) for side in (_without_conflicts(base), ours, theirs)]
    mine, other = documents[1:]
    if mine is None or other is None or not _of_this_version(mine, other):
        return Merge(text, conflict=True)
    from pulpo.lock.branches import merge_branches

    mixed = merge_branches(documents[0], mine, other)
    if mixed is None:
        return Merge(text, conflict=True)
    return Merge(mixed.text.encode(), bool(mixed.clashes), mixed.clashes, mixed.lost)


def _readable(text: bytes, *, keep_nodes: bool = False) -> Document | None:
    try:
        document = read(decode(text, LOCK_NAME), LOCK_NAME, keep_nodes=keep_nodes)
    except DiagnosticsError:
        return None
    return document if isinstance(document.data, dict) else None


def _of_this_version(*documents: Document) -> bool:
    from pulpo.manifest.model import VERSION

    return all(document.data.get("version") == VERSION for document in documents)


def _without_conflicts(base: bytes) -> bytes:
    """A version without what stands between conflict markers: where Git has merged several bases into one, they can have some."""
    lines, depth = [], 0
    for line in base.splitlines(keepends=True):
        depth += line.startswith(b"<<<<<<<")
        if not depth:
            lines.append(line)
        depth -= line.startswith(b">>>>>>>") and depth > 0
    return b"".join(lines)


def _git_merge(base: bytes, ours: bytes, theirs: bytes) -> tuple[bytes, bool]:
    """What Git makes of three texts, and whether without conflicts; ours where it makes nothing of them."""
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / name for name in ("ours", "base", "theirs")]
        for path, text in zip(paths, (ours, base, theirs), strict=True):
            path.write_bytes(text)
        labels = [part for path in paths for part in ("-L", path.name)]
        done = _git("merge-file", "-p", *labels, *map(str, paths))
    return (done.stdout, done.returncode == 0) if done.returncode <= _MOST_CONFLICTS else (ours, False)


def install(directory: Path) -> list[str]:
    """Have Git ask Pulpo in the repository that a directory is in; returns what was changed, which may be nothing.

    Raises:
        UsageError: The directory is in no repository's work tree, `.gitattributes` can't be written, or Git is not there.
    """
    root = Path(_output("rev-parse", "--show-toplevel", at=directory.resolve()))
    changed = []
    for name, value in _SETTINGS.items():
        if _output("config", "--local", "--default", "", "--get", name, at=root) != value:
            _output("config", "--local", name, value, at=root)
            changed.append(f"git config {name}: {value}")
    if _output("check-attr", "merge", "--", LOCK_NAME, at=root).rpartition(": ")[2] != "pulpo":
        try:
            _append(root / ".gitattributes", _ATTRIBUTES)
        except OSError as error:
            raise UsageError(f"can't be written: {error.strerror}: {error.filename}") from error
        changed.append(f".gitattributes: {_ATTRIBUTES}")
    return changed


def _append(path: Path, line: str) -> None:
    before = path.read_bytes() if path.exists() else b""
    end = b"\r\n" if _has_crlf(before) else b"\n"
    path.write_bytes(before + (end if before and not before.endswith(b"\n") else b"") + line.encode() + end)


def _output(*arguments: str, at: Path) -> str:
    done = _git(*arguments, at=at)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise UsageError(f"Git refuses: {message}: {at}")
    return done.stdout.decode().rstrip("\n")


def _git(*arguments: str, at: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], cwd=at, capture_output=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise UsageError("Git is not there", hint="install it, and see that it is on the PATH") from None
