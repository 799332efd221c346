"""The files that `pulpo compile` makes: what is in them, and writing them where they differ."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.compile.codegen import HEADER
from pulpo.compile.deployment import deployments
from pulpo.compile.prefect_yaml import prefect_yaml
from pulpo.errors import UsageError
from pulpo.graph.render import mermaid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pulpo.compile.codegen import PrefectCodeGenerator


#: In the project's `run_cache`.
ORCHESTRATION = "orchestration"
#: What Prefect's own command line reads.
PREFECT_YAML = "prefect.yaml"
#: The beginning of HEADER, in all that this or an earlier `pulpo compile` made.
_MARK = "Made by `pulpo compile`"
#: Where in a file the mark is looked for.
_TOP = 4096
_IGNORE = ".gitignore"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file to be made."""

    #: Its name in `run_cache/orchestration`.
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from what is there: names of files, sorted."""

    written: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.written or self.removed)


def artifacts(generator: PrefectCodeGenerator, *, environment: str | None = None) -> tuple[Artifact, ...]:
    """All files of a manifest, sorted by name: the flows, their deployments, and the data flow as a Mermaid chart.

    Where there is no flow there is no file of deployments. `environment` is the one that is merged into the manifest, if one.
    """
    texts = generator.generate_flows()
    if found := deployments(generator.manifest, generator, environment=environment):
        texts[PREFECT_YAML] = prefect_yaml(found)
    texts["graph.mmd"] = f"%% {HEADER}\n{mermaid(generator.compiler.dataflow)}"
    return tuple(Artifact(name, texts[name]) for name in sorted(texts))


def write(cache: Path, wanted: Sequence[Artifact], *, check: bool = False) -> Changes:
    """Make `cache/orchestration` hold what is wanted, unless `check`; each file is replaced whole, and only if it differs.

    What an earlier call made and is not wanted any more is removed. Files without the mark are people's: they stay.

    Returns:
        What differed, whether it was written or not.

    Raises:
        UsageError: A person's file is in the way (nothing is written), or the file system refuses.
    """
    directory = cache / ORCHESTRATION
    try:
        changes = _changes(directory, wanted)
        if not check:
            directory.mkdir(parents=True, exist_ok=True)
            if not (cache / _IGNORE).exists():
                _replace(cache / _IGNORE, "*\n")
            for artifact in wanted:
                if artifact.name in changes.written:
                    _replace(directory / artifact.name, artifact.text)
            for name in changes.removed:
                (directory / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"can't be written: {error.strerror}: {error.filename or directory}") from error
    return changes


def _changes(directory: Path, wanted: Sequence[Artifact]) -> Changes:
    written = []
    for artifact in wanted:
        path = directory / artifact.name
        there = _read(path)
        if there is not None and there != artifact.text.encode():
            _refuse_people(path, there)
        if there != artifact.text.encode():
            written.append(artifact.name)
    names = {artifact.name for artifact in wanted}
    return Changes(tuple(written), tuple(name for name in _made(directory) if name not in names))


def _read(path: Path) -> bytes | None:
    """What is in a file; None where nothing is, and nothing is in what is no file."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return b""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _is_made(raw: bytes) -> bool:
    return _MARK.encode() in raw[:_TOP]


def _refuse_people(path: Path, there: bytes) -> None:
    if not _is_made(there):
        raise UsageError(
            f"a file that `pulpo compile` did not make is in the way: {path}", hint="nothing was written; move it elsewhere"
        )


def _made(directory: Path) -> Iterator[str]:
    """Files that an earlier call made, sorted."""
    if not directory.is_dir():
        return
    for path in sorted(directory.iterdir()):
        if (path.suffix in (".py", ".mmd") or path.name == PREFECT_YAML) and path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                if _is_made(stream.read(_TOP)):
                    yield path.name


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(text.encode())
        new.replace(path)
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
