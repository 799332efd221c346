"""The files that `pulpo compile` makes: what is in them, and writing them where they differ."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pulpo.compile.codegen import HEADER
from pulpo.compile.containers import CONTAINER_FILES, DOCKERIGNORE, container_files
from pulpo.compile.deployment import ORCHESTRATION, deployments
from pulpo.compile.dockerfile import dockerignore
from pulpo.compile.prefect_yaml import prefect_yaml
from pulpo.compile.topology import topology
from pulpo.errors import UsageError
from pulpo.graph.render import mermaid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pulpo.compile.codegen import PrefectCodeGenerator


#: The directory of the flows, in `run_cache`.
_FLOWS = PurePosixPath(ORCHESTRATION).name
#: What Prefect's own command line reads.
PREFECT_YAML = "prefect.yaml"
#: The beginning of HEADER, in all that this or an earlier `pulpo compile` made.
_MARK = "Made by `pulpo compile`"
#: Where in a file the mark is looked for.
_TOP = 4096
_IGNORE = ".gitignore"
#: In each directory, so that a type checker that is given the project finds each file under the one name that it is imported by.
_PACKAGE = "__init__.py"
_PACKAGE_TEXT = '"""What `pulpo compile` made."""\n'


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file to be made."""

    #: Its path, relative to `run_cache`.
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from what is there: paths of files relative to `run_cache`, sorted."""

    written: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.written or self.removed)


def artifacts(generator: PrefectCodeGenerator, *, environment: str | None = None) -> tuple[Artifact, ...]:
    """All files of a manifest, sorted by path: the flows, their deployments, the data flow as a Mermaid chart, and the services.

    Where there is no flow there is no file of deployments, and where Pulpo runs no service none of containers. `environment` is
    the one that is merged into the manifest, if one.

    Raises:
        DiagnosticsError: Services break a rule, or the addresses of their ports refer to variables that are not set.
    """
    flows = generator.generate_flows()
    if found := deployments(generator.manifest, generator, environment=environment):
        flows[PREFECT_YAML] = prefect_yaml(found)
    flows["graph.mmd"] = f"%% {HEADER}\n{mermaid(generator.compiler.dataflow)}"
    texts = {f"{_FLOWS}/{name}": text for name, text in flows.items()}
    texts |= container_files(generator.manifest, topology(generator.manifest, environment=environment, written=True))
    return tuple(Artifact(name, texts[name]) for name in sorted(texts))


def write(cache: Path, wanted: Sequence[Artifact], *, check: bool = False) -> Changes:
    """Make `cache` hold what is wanted, unless `check`; each file is replaced whole, and only if it differs.

    What an earlier call made and is not wanted any more is removed. Files without the mark are people's: they stay. What is left
    out of the image is joined with what the project's own `.dockerignore` leaves out.

    Returns:
        What differed, whether it was written or not.

    Raises:
        UsageError: A person's file is in the way (nothing is written), or the file system refuses.
    """
    try:
        files = [_with_own(cache, artifact) for artifact in wanted]
        changes = _changes(cache, files)
        if not check:
            (cache / _FLOWS).mkdir(parents=True, exist_ok=True)
            if not (cache / _IGNORE).exists():
                _replace(cache / _IGNORE, "*\n")
            for package in (cache, cache / _FLOWS):
                if not (package / _PACKAGE).exists():
                    _replace(package / _PACKAGE, _PACKAGE_TEXT)
            for artifact in files:
                if artifact.name in changes.written:
                    _replace(cache / artifact.name, artifact.text)
            for name in changes.removed:
                (cache / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"can't be written: {error.strerror}: {error.filename or cache}") from error
    return changes


def _with_own(cache: Path, artifact: Artifact) -> Artifact:
    if artifact.name != DOCKERIGNORE:
        return artifact
    own = _read(cache.parent / f".{DOCKERIGNORE.rpartition('.')[2]}") or b""
    return replace(artifact, text=dockerignore(own.decode("utf-8", "replace")))


def _changes(cache: Path, wanted: Sequence[Artifact]) -> Changes:
    written = []
    for artifact in wanted:
        path = cache / artifact.name
        there = _read(path)
        if there is not None and there != artifact.text.encode():
            _refuse_people(path, there)
        if there != artifact.text.encode():
            written.append(artifact.name)
    names = {artifact.name for artifact in wanted}
    return Changes(tuple(written), tuple(name for name in _made(cache) if name not in names))


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


def _made(cache: Path) -> Iterator[str]:
    """Files that an earlier call made, sorted by path."""
    candidates = [cache / name for name in CONTAINER_FILES]
    if (directory := cache / _FLOWS).is_dir():
        candidates += [path for path in directory.iterdir() if path.suffix in (".py", ".mmd") or path.name == PREFECT_YAML]
    for path in sorted(candidates):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                if _is_made(stream.read(_TOP)):
                    yield path.relative_to(cache).as_posix()


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(text.encode())
        new.replace(path)
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
