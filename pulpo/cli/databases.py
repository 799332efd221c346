"""From the words of `pulpo db` to stores, and back."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pulpo.cli.running import with_store
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pulpo.manifest.model import Manifest, ModelSpec
    from pulpo.manifest.yaml_read import Document
    from pulpo.run.codec import Codec
    from pulpo.settings import Project
    from pulpo.store.base import Collection, Ensured, Record, Store, Written
    from pulpo.store.transfer import Copied

    #: Told of a collection or file, how many records are done, and of how many.
    Progress = Callable[[str, int, int | None], None]

#: A store in the words of `pulpo db copy`: what the manifest says, or the file in run_cache; anything else is a URI.
PROJECT, EMBEDDED = "project", "embedded"
#: Standard input or output, where a file could be.
STANDARD = "-"
_LINES = 1000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A collection of the store, and what `pulpo db init` made of it."""

    collection: Collection
    made: Ensured


@dataclass(slots=True)
class Imported:
    """What `pulpo db import` stored, by model, and the lines that it did not: `FILE:LINE: why`, in their order."""

    written: dict[str, Written] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Locked(NamedTuple):
    """A project with its lock, as its environment has it."""

    project: Project
    manifest: Manifest
    document: Document

    @property
    def store(self) -> Store:
        """The project's store, not opened."""
        from pulpo.store.open import project_store

        return project_store(self.project, self.manifest, locate=self.document.locate)

    @property
    def collections(self) -> list[Collection]:
        """Those of the models, by the models' names, and those of the history of runs."""
        from pulpo.run.codec import collection_of
        from pulpo.run.record import HISTORY

        return [collection_of(name, spec) for name, spec in sorted(self.manifest.models.items())] + list(HISTORY)

    def models(self, names: Sequence[str]) -> dict[str, ModelSpec]:
        """The models of these names, all where there are none, sorted.

        Raises:
            UsageError: There is no such model.
        """
        known = self.manifest.models
        for name in names:
            if name not in known:
                raise UsageError(f"there is no such model: {name}", hint=did_you_mean(name, known) or "`pulpo models` lists them")
        return {name: known[name] for name in sorted(names or known)}


def prepare_database(locked: Locked) -> tuple[Prepared, ...]:
    """Make the collections and indexes that the store lacks; see `CLI.db_init`."""

    async def work(store: Store) -> tuple[Prepared, ...]:
        return tuple([Prepared(collection, await store.ensure(collection)) for collection in locked.collections])

    return with_store(locked.store, work)


def copy_database(locked: Locked, source: str, target: str, on_progress: Progress) -> list[Copied]:
    """Copy all collections from one store to another; see `CLI.db_copy`."""
    from pulpo.run.record import CANCELS
    from pulpo.store.open import store_at
    from pulpo.store.transfer import copy

    meant = [_uri(locked, text) for text in (source, target)]
    if meant[0] == meant[1]:
        raise UsageError("there is nothing to copy: both are the same store")
    if meant[0] is None and not locked.project.store_path.exists():
        raise UsageError(f"there is no embedded store yet: {locked.project.store_path}")
    stores = [store_at(uri, locked.project, locked.manifest) for uri in meant]

    async def work(opened: Store) -> list[Copied]:
        copied = []
        async with stores[1] as other:
            for collection in locked.collections:
                if collection == CANCELS:  # asked of servers of this store
                    continue
                total = await opened.count(collection)

                def tell(done: int, name: str = collection.name, total: int = total) -> None:
                    on_progress(name, done, total)

                copied.append(await copy(opened, other, collection, tell))
        return copied

    return with_store(stores[0], work)


def export_records(locked: Locked, names: Sequence[str], output: str, on_progress: Progress) -> dict[str, int]:
    """Write records as lines of JSON; see `CLI.db_export`."""
    from pulpo.run.codec import collection_of
    from pulpo.store.transfer import every, line_of

    models = locked.models(names)

    async def work(store: Store) -> dict[str, int]:
        counts: dict[str, int] = {}
        for name, spec in models.items():
            collection = collection_of(name, spec)
            counts[name], total = 0, await store.count(collection)
            with _writing(output, name) as write:
                async for records in every(store, collection):
                    for record in records:
                        write(line_of(name, record, plain=spec.entrypoint is not None) + "\n")
                    counts[name] += len(records)
                    on_progress(name, counts[name], total)
        return counts

    return with_store(locked.store, work)


def import_records(locked: Locked, files: Sequence[str], model: str | None, on_progress: Progress) -> Imported:
    """Store the records of lines of JSON; see `CLI.db_import`."""
    from pulpo.declare.discover import add_to_path
    from pulpo.store.transfer import added

    if model is not None:
        locked.models([model])
    sources = _sources(files)
    add_to_path(locked.project.root)
    reader = _Reader(locked.manifest.models)

    async def work(store: Store) -> Imported:
        imported = Imported()
        for name in sources:
            done = 0
            with _reading(name) as stream:
                lines = enumerate(stream, 1)
                while some := list(islice(lines, _LINES)):
                    for found, records in (await reader.read(name, model, some, imported.problems)).items():
                        written = await store.upsert_many(reader.codecs[found].collection, records, as_stored=True)
                        imported.written[found] = added(imported.written.get(found, type(written)()), written)
                    done += len(some)
                    on_progress(_shown(name), done, None)
        return imported

    return with_store(locked.store, work)


class _Reader:
    """Lines of JSON as records that their models' classes have validated."""

    def __init__(self, models: dict[str, ModelSpec]) -> None:
        self._models = models
        self.codecs: dict[str, Codec] = {}

    async def read(
        self, name: str, model: str | None, lines: list[tuple[int, str]], problems: list[str]
    ) -> dict[str, list[Record]]:
        """The records of some lines, by model; what is wrong with others is added to `problems`."""
        from pulpo.errors import PulpoError
        from pulpo.store.transfer import read_line

        stem = Path(name).stem
        found: dict[str, list[Record]] = {}
        for number, text in lines:
            if not text.strip():
                continue
            try:
                line = read_line(text)
                named = line.model or model or (stem if stem in self._models else None)
                codec = await self._codec(named)
                found.setdefault(codec.name, []).append(_validated(codec, line.record))
            except UsageError:
                raise
            except PulpoError as error:
                problems.append(f"{_shown(name)}:{number}: {error.message}")
        return found

    async def _codec(self, model: str | None) -> Codec:
        from pulpo.run import beanie
        from pulpo.run.codec import Codec
        from pulpo.store.base import StoreError

        if model is None:
            raise StoreError("nothing says of which model the record is: give --model, or write _model into the line")
        if model not in self._models:
            raise StoreError(f"there is no such model: {model}")
        if model not in self.codecs:
            codec = Codec(model, self._models[model])
            await beanie.initialise({codec.cls: codec.collection.name})
            self.codecs[model] = codec
        return self.codecs[model]


def _validated(codec: Codec, given: Record) -> Record:
    """The record with its data as the class has it, and an id.

    Raises:
        PulpoError: It is none of the model.
    """
    import dataclasses

    from pulpo.run.codec import WrongRecordError

    # Of text, so that a strict class takes times too; a model without a class has them as the line says.
    value = given.data if codec.cls is dict else codec.load(given.data)
    _, data = codec.checked(value)
    unknown = next((name for name in given.data if name not in data), None)
    if unknown is not None:
        raise WrongRecordError(unknown, "the model has no such field")
    identity = codec.identity(data) or given.id
    if given.id not in ("", identity):
        raise WrongRecordError("_id", f"the key ({', '.join(codec.key)}) makes another, {identity}, not: {given.id}")
    if not identity:
        raise WrongRecordError("_id", "it is missing, and the model has no key to make one from")
    codec.collection.check_id(identity)
    return dataclasses.replace(given, id=identity, data=data)


def _uri(locked: Locked, text: str) -> str | None:
    """The URI of a store in the words of a command, its references resolved; None for the embedded one."""
    from pulpo.store.open import project_uri, resolved_uri

    if text == EMBEDDED:
        return None
    if text == PROJECT:
        return project_uri(locked.project, locked.manifest, locate=locked.document.locate)
    if "://" not in text and "${" not in text:
        near = did_you_mean(text, (PROJECT, EMBEDDED))
        hint = near or f"{PROJECT} is the one of the lock, {EMBEDDED} the file in run_cache; or give a URI"
        raise UsageError(f"there is no such store: {text}", hint=hint)
    try:
        return resolved_uri(text)
    except DiagnosticsError as error:  # of no place in the lock
        raise UsageError("\n".join(d.message for d in error.diagnostics)) from None


@contextlib.contextmanager
def _writing(output: str, model: str) -> Iterator[Callable[[str], object]]:
    """What takes the text of a model's lines: standard output, or a file in a directory, which is whole or not there.

    Raises:
        UsageError: The file can't be written.
    """
    if output == STANDARD:
        yield sys.stdout.write
        return
    path = Path(output) / f"{model}.jsonl"
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream.write
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):  # what is in the way was told
            part.unlink()


def _sources(files: Sequence[str]) -> list[str]:
    """The files, and those of lines of JSON in the directories, sorted, in the place of each.

    Raises:
        UsageError: One is not there, or a directory has none.
    """
    found: list[str] = []
    for name in files:
        path = Path(name)
        if name != STANDARD and not path.exists():
            raise UsageError(f"there is no such file: {name}")
        inside = sorted(map(str, path.glob("*.jsonl"))) if name != STANDARD and path.is_dir() else [name]
        if not inside:
            raise UsageError(f"no *.jsonl is in the directory: {name}")
        found += inside
    return found


@contextlib.contextmanager
def _reading(name: str) -> Iterator[Iterable[str]]:
    """The lines of a file.

    Raises:
        UsageError: It can't be read.
    """
    try:
        if name == STANDARD:
            yield sys.stdin
            return
        with Path(name).open(encoding="utf-8-sig", newline="\n") as stream:
            yield stream
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{_shown(name)} can't be read: {reason}") from error


def _shown(name: str) -> str:
    return "standard input" if name == STANDARD else name
