"""Locks of older versions of the manifest, brought to the present one with all that people wrote in them.

A migration goes one version on. Where it renames a key, the key's token changes and nothing else; where it changes data, the
text changes as it does for any other edit (`pulpo.manifest.splice`). Only `pulpo lock` migrates; other commands say that it
is needed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic
from pulpo.errors import DiagnosticsError
from pulpo.manifest.model import VERSION
from pulpo.manifest.yaml_read import Document, read

if TYPE_CHECKING:
    from pulpo.diagnostics import Path, Place

Data = dict[str, Any]
#: Stands for any key, or any item of a list, in a pattern.
ANY = "*"


def _as_it_is(data: Data) -> Data:
    return data


@dataclass(frozen=True, slots=True)
class Migration:
    """What became different from one version to the next: keys are renamed first, then the data changes."""

    #: The new names of keys, by their old paths, all of them in the older version: `("operations", ANY, "retry_wait")`.
    renames: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    #: Gives the data of the next version. It may change what it is given: renamed data of its own. `version` is seen to.
    change: Callable[[Data], Data] = _as_it_is


#: By the version that they lead away from. The manifest has had one version only.
MIGRATIONS: Mapping[int, Migration] = {}


@dataclass(frozen=True)
class MigratedDocument(Document):
    """A lock brought to the present version; places are those in the file as it is."""

    #: As the file has it.
    original: Document = field(kw_only=True)
    #: Of each migration in turn, the old paths of keys that it renamed, by their new ones.
    moved: tuple[Mapping[Path, Path], ...] = field(kw_only=True)

    def locate(self, path: Path, *, key: bool = False) -> Place:
        """The place of a value in the file; of what only the present version has, that of what it is in."""
        for moved in reversed(self.moved):
            path = next((moved[path[:n]] + path[n:] for n in range(len(path), 0, -1) if path[:n] in moved), path)
        return self.original.locate(path, key=key)


def check_version(document: Document) -> None:
    """Refuse a lock of another version than this Pulpo reads; what is no version at all is the schema's business.

    Raises:
        DiagnosticsError: A newer Pulpo wrote it (PLP005), or an older one did (PLP007).
    """
    found = _version(document)
    if found is not None and found > VERSION:
        message = f"the lock is of a newer version than this Pulpo reads, which is {VERSION}: {found}"
        raise _refused(document, "PLP005", message, "run `pip install -U pulpocore`")
    if found is not None and found != VERSION:
        raise _older(document, int(found), VERSION, MIGRATIONS)


def migrate(document: Document, migrations: Mapping[int, Migration] = MIGRATIONS, version: int = VERSION) -> Document:
    """A lock in the version given: the document itself where it has that, or none or a newer one.

    Raises:
        DiagnosticsError: There is no way from its version (PLP007), or a key stands there by its old name and its new (PLP101).
    """
    found = _version(document)
    if found is None or found >= version:
        return document
    if not all(step in migrations for step in range(int(found), version)):
        raise _older(document, int(found), version, migrations)
    moved: tuple[Mapping[Path, Path], ...] = ()
    migrated = document
    for step in range(int(found), version):
        migrated = _next(migrated, migrations[step], step + 1, moved)
        moved = migrated.moved
    return migrated


def _next(document: Document, migration: Migration, version: int, moved: tuple[Mapping[Path, Path], ...]) -> MigratedDocument:
    # The parser and the writer of YAML that it needs are not for the commands which only ask for the version.
    from pulpo.manifest.splice import splice

    original = document.original if isinstance(document, MigratedDocument) else document
    renamed = {
        path: name for pattern, name in migration.renames.items() for path in _matches(document.data, pattern) if path[-1] != name
    }
    if problems := list(_taken(document, renamed)):
        raise DiagnosticsError(problems)
    new_paths = {_new_path(path, renamed): path for path in renamed}
    wanted = migration.change(copy.deepcopy(_renamed(document.data, renamed)))
    text = splice(document, {**wanted, "version": version}, renamed)
    migrated = read(text, document.file)
    return MigratedDocument(migrated.file, migrated.text, migrated.data, original=original, moved=(*moved, new_paths))


def _version(document: Document) -> float | None:
    """The version of a lock if there was, or can be, one of that number."""
    version = document.data.get("version") if isinstance(document.data, dict) else None
    if isinstance(version, bool) or not isinstance(version, int | float) or version < 0:
        return None
    return version if version > VERSION or version == int(version) else None


def _older(document: Document, found: int, version: int, migrations: Mapping[int, Migration]) -> DiagnosticsError:
    message = f"the lock is of an older version than this Pulpo reads, which is {version}: {found}"
    if all(step in migrations for step in range(found, version)):
        return _refused(document, "PLP007", message, f"run `pulpo lock`: it writes version {version}, edits and comments stay")
    return _refused(document, "PLP007", message, "this Pulpo has no way from there: move the lock away, and run `pulpo lock`")


def _refused(document: Document, code: str, message: str, hint: str) -> DiagnosticsError:
    return DiagnosticsError([Diagnostic(code, message, ("version",), document.locate(("version",)), hint=hint)])


def _matches(data: Any, pattern: tuple[str, ...], path: Path = ()) -> Iterator[Path]:
    """The paths in the data that a pattern fits."""
    if not pattern:
        yield path
        return
    keys = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    for key in keys:
        if pattern[0] in (ANY, key):
            yield from _matches(data[key], pattern[1:], (*path, key))


def _taken(document: Document, renamed: Mapping[Path, str]) -> Iterator[Diagnostic]:
    """PLP101 for each key that stands beside one which is to have its name."""
    for path, name in renamed.items():
        siblings = document.data
        for part in path[:-1]:
            siblings = siblings[part]
        if name in siblings and (*path[:-1], name) not in renamed:
            message = f"it is called {name!r} now, and both are here: {path[-1]}"
            yield Diagnostic("PLP101", message, path, document.locate(path, key=True), hint="delete one of them")


def _renamed(data: Any, renamed: Mapping[Path, str], path: Path = ()) -> Any:
    if isinstance(data, dict):
        return {renamed.get((*path, key), key): _renamed(value, renamed, (*path, key)) for key, value in data.items()}
    if isinstance(data, list):
        return [_renamed(item, renamed, (*path, index)) for index, item in enumerate(data)]
    return data


def _new_path(path: Path, renamed: Mapping[Path, str]) -> Path:
    return tuple(renamed.get(path[: n + 1], part) for n, part in enumerate(path))
