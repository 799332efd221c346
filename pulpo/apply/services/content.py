"""What goes into the project's image, as one digest: the image has it as a label, and so have the containers that run from it.

A digest is asked for by every `plan` and `up`, so a file of more than a megabyte is known by its size and the time of its last
change. All others are read.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulpo.compile.containers import DOCKERFILE, DOCKERIGNORE

if TYPE_CHECKING:
    from pulpo.apply.services.stack import Stack

_READ: Final = 1_000_000
#: What is in it of `run_cache` follows from the rest.
_CACHE: Final = "run_cache"
_NO_PART: Final = ("**/__pycache__",)
_PULPO: Final = Path(__file__).parents[2]
_GLOB: Final = re.compile(r"[*?\[\\]")


def content_digest(stack: Stack, *, environ: Mapping[str, str] = os.environ) -> str:
    """Of the Dockerfile and what it is given, of Pulpo itself, and of the project's files that are not left out: 16 digits.

    Pulpo's files are read as well: between two versions its number says nothing. No order of a file system is in it.
    """
    digest = hashlib.sha256()
    texts = {name: (stack.cache / name).read_text(encoding="utf-8") for name in (DOCKERFILE, DOCKERIGNORE)}
    said = [*texts.items(), *((name, environ.get(name)) for name in stack.arguments), ("pulpo", version("pulpocore"))]
    digest.update(repr(said).encode())
    for root, ignored in ((_PULPO, Ignored(_NO_PART)), (stack.root, Ignored.read(texts[DOCKERIGNORE]))):
        for file in _files(root, ignored):
            digest.update(repr(file).encode())
    return digest.hexdigest()[:16]


def _files(root: Path, ignored: Ignored) -> Iterator[tuple[str | int, ...]]:
    """Files, directories and links below a directory, by path: each with its permissions and what is in it."""
    waiting: list[tuple[str, Sequence[bool]]] = [("", ())]
    while waiting:
        directory, above = waiting.pop()
        found = sorted(_entries(root / directory), key=lambda entry: entry.name)
        for entry in found:
            path = posixpath.join(directory, entry.name)
            if path == _CACHE:
                continue
            matches = ignored.matches(path, above)
            is_directory, out = entry.is_dir(follow_symlinks=False), ignored.leaves_out(matches)
            if is_directory and not (out and ignored.leaves_out_all_of(path)):
                waiting.append((path, matches))
            if not out:
                yield (path, *_told(entry))


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:  # it was there a moment ago, or the build says that it can't be read
        return []


def _told(entry: os.DirEntry[str]) -> tuple[str | int, ...]:
    try:
        found = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISLNK(found.st_mode):
            return ("link", str(Path(entry.path).readlink()))
        if not stat.S_ISREG(found.st_mode):
            return (stat.S_IFMT(found.st_mode), mode)
        if found.st_size > _READ:
            return (mode, found.st_size, found.st_mtime_ns)
        return (mode, hashlib.sha256(Path(entry.path).read_bytes()).hexdigest())
    except OSError as error:
        return ("unreadable", error.errno or 0)


@dataclass(frozen=True, slots=True)
class Ignored:
    """What a `.dockerignore` leaves out of a build, by the rules of BuildKit (moby/patternmatcher)."""

    #: The last one that matches decides; a line that begins with `!` takes in again.
    patterns: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Ignored:
        """From the text of the file."""
        lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines() if not line.startswith("#"))
        return cls(tuple(pattern for line in lines if line and (pattern := _cleaned(line)) not in ("", "!")))

    def matches(self, path: str, above: Sequence[bool] = ()) -> tuple[bool, ...]:
        """Which lines mean a path: those that match it, or the directory that it is in, of which this was the answer."""
        above = above or (False,) * len(self.patterns)
        return tuple(up or _expression(p).fullmatch(path) is not None for p, up in zip(self.patterns, above, strict=True))

    def leaves_out(self, matches: Sequence[bool]) -> bool:
        """Whether a path that these lines mean is left out."""
        last = next((p for p, found in zip(reversed(self.patterns), reversed(matches), strict=True) if found), "!")
        return not last.startswith("!")

    def leaves_out_all_of(self, directory: str) -> bool:
        """Whether no line takes in again what may be below a directory."""
        taken = (re.split(_GLOB, p[1:])[0] for p in self.patterns if p.startswith("!"))
        return not any(begin.startswith(f"{directory}/") or f"{directory}/".startswith(begin) for begin in taken)


def _cleaned(line: str) -> str:
    sign = "!" if line.startswith("!") else ""
    path = posixpath.normpath(line.removeprefix("!").strip() or ".").lstrip("/")
    return sign + ("" if path == "." else path)


_KNOWN: Final[dict[str, re.Pattern[str]]] = {}
_WORDS: Final = re.compile(r"\*\*/?|\*|\?|\\.|\[\^?\]?[^\]]*\]|.", re.DOTALL)


def _expression(pattern: str) -> re.Pattern[str]:
    if pattern not in _KNOWN:
        words = _WORDS.findall(pattern.removeprefix("!"))
        _KNOWN[pattern] = re.compile("".join(map(_as_expression, words)), re.DOTALL)
    return _KNOWN[pattern]


def _as_expression(word: str) -> str:
    if word.startswith("["):
        return word if len(word) > 1 else r"\["
    fixed = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return fixed.get(word) or re.escape(word[-1])
