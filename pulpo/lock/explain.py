"""`pulpo lock --explain PATH`: who owns a value of the lock, and why it is what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Place, dotted
from pulpo.errors import UsageError
from pulpo.lock.changes import MISSING
from pulpo.lock.declared import base_of
from pulpo.lock.merge import LOST, SETTINGS, Row, row_of
from pulpo.lock.own_keys import is_own
from pulpo.lock.update import Derived, derive
from pulpo.manifest.layout import MANIFEST
from pulpo.manifest.load import load
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pulpo.diagnostics import Path
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

Data = dict[str, Any]

_REASONS = {
    Row.AGREED: ("code", "the decorator says it, and the lock agrees"),
    Row.CODE: ("code", "only the code changed it since the last lock: `pulpo lock` takes the code's"),
    Row.FILE: ("lock", "a hand edit: it overrides the decorator"),
    Row.CONFLICT: ("both", "a conflict, both changed it since the last lock: `pulpo lock --prefer code|manifest` settles it"),
}
_NOBODY = ("nobody", "neither the decorator nor the lock sets it")
_RESOLVED = ("pulpo lock", "resolved from the types and names of the code: a hand edit is drift, `pulpo lock` restores it")
_STRUCTURE = ("code", "structure: a hand edit is drift, `pulpo lock` restores it")
_DECLARED = ("pulpo lock", "what the decorators said at the last lock: leave it alone")
_PROJECT = ("code", "from [tool.pulpo] of pyproject.toml, else from what was found: `pulpo lock` restores it")
_BY_HAND = ("lock", "written by hand, with no declaration in the code behind it")
_TAKEN = ("both", "a conflict: written by hand, and the code declares it, too: `pulpo lock --prefer code` lets the code own it")
_NEW = ("code", "the lock has no such entry yet: `pulpo lock` adds it")
_GONE = ("code", "it left the code: `pulpo lock` drops it")
_ORPHANED = ("lock", "it is not in the code, but perhaps written by hand: it stays until `pulpo lock --prune` drops it")
_OF_THE_FILE = ("lock", "the lock's alone: `pulpo lock` leaves it as it is")


@dataclass(frozen=True, slots=True)
class Said:
    """What one of those who have a say says, and where; MISSING where it says nothing."""

    who: str
    value: Any
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who owns a value of the lock, and why it is what it is."""

    path: Path
    #: `code`, `lock`, `both` (a conflict), `nobody`, or `pulpo lock`, which derives it.
    owner: str
    why: str
    #: The lock, the code, what is declared, and the environments' overlays, as far as they have a say.
    said: tuple[Said, ...]


def ownership(project: Project, path: str) -> list[Ownership]:
    """Who owns what stands at a dotted path; at the path of an entry, one for each of its fields in the lock's order.

    Args:
        project: The project; its modules are imported. Where it has an environment, only that one's overlay is told, else all.
        path: Such as `operations.parsing.clean.retries`.

    Raises:
        DiagnosticsError: The lock or the code can't be read.
        UsageError: There is nothing at the path.
    """
    document = load(project.lock_path, file=project.lock_shown)[1]
    explainer = _Explainer(document, derive(project, document), project.environment)
    found = explainer.find(path)
    return [explainer.ownership(each) for each in explainer.fields(found)]


@dataclass(frozen=True, slots=True)
class _Explainer:
    document: Document
    derived: Derived
    environment: str | None

    @property
    def _code(self) -> Data:
        return {"models": self.derived.code.models, "operations": self.derived.code.operations}

    def find(self, text: str) -> Path:
        """The path that a text means, for names have dots, too."""
        trees = [self.document.data, self._code, self.derived.manifest.data()]
        path, keys = _walk(text, trees)
        if path:
            return path
        for section in MANIFEST.order:
            if _walk(f"{section}.{text}", trees)[0] is not None:
                raise UsageError(f"there is nothing at: {text}", hint=f"did you mean {f'{section}.{text}'!r}?")
        raise UsageError(
            f"there is nothing at: {text}", hint=did_you_mean(text, keys) or "paths are as in `pulpo check`'s output"
        )

    def fields(self, path: Path) -> list[Path]:
        """The path, or those of an entry's fields; an entry without any stands for itself."""
        if len(path) != 2 or path[0] not in (*SETTINGS, "flows", "services"):  # noqa: PLR2004 - a section and a name
            return [path]
        fields = {key: None for tree in (self.document.data, self._code) for key in _at(tree, path, default={})}
        return [(*path, key) for key, _ in MANIFEST.of(str(path[0])).of(str(path[1])).ordered(fields)] or [path]

    def ownership(self, path: Path) -> Ownership:
        owner, why = self._owner(path)
        said = [Said("lock", value := _at(self.document.data, path), self._place(path, value))]
        if owner not in ("lock", "pulpo lock") or why == _REASONS[Row.FILE][1]:
            said += self._of_the_code(path)
        elif path[-1] in ("mode", "from"):
            said.append(Said("code", _at(self.derived.manifest.data(), path), self.derived.code.locate(path)))
        return Ownership(path, owner, why, (*said, *self._overlays(path)))

    def _of_the_code(self, path: Path) -> Iterator[Said]:
        if path[0] not in SETTINGS:
            return
        named = (path[0], self._present_name(path), *path[2:])
        yield Said("code", _at(self._code, named), self.derived.code.locate(named))
        if path[2:3] and path[2] in SETTINGS[str(path[0])]:
            declared = ("declared", *path)
            yield Said("declared", value := _at(self.document.data, declared), self._place(declared, value))

    def _present_name(self, path: Path) -> str:
        """What the code calls an entry of the lock."""
        return self.derived.renamed.get(path[:2], str(path[1])) if path[1:] else ""

    def _overlays(self, path: Path) -> Iterator[Said]:
        for name in self.document.data.get("environments", {}):
            overlaid = ("environments", name, *path)
            value = _at(self.document.data, overlaid)
            if value is not MISSING and self.environment in (None, name):
                yield Said(name, value, self.document.locate(overlaid))

    def _place(self, path: Path, value: object) -> Place | None:
        return None if value is MISSING else self.document.locate(path)

    def _owner(self, path: Path) -> tuple[str, str]:
        section, own = path[0], is_own(path)
        if section == "declared":
            return _DECLARED
        if section in ("version", "project") and path[1:] != ("mode",) and not own:
            return _PROJECT
        if path[-1] == "segments" or (path[2:3] == ("inputs",) and path[-1] in ("mode", "from")):
            return _RESOLVED
        if section not in SETTINGS or own:
            return _OF_THE_FILE
        return self._of_an_entry(path)

    def _of_an_entry(self, path: Path) -> tuple[str, str]:
        if len(path) < 3:  # noqa: PLR2004 - a whole section
            return _STRUCTURE
        section, name, key = str(path[0]), str(path[1]), path[2]
        entry = _at(self.document.data, path[:2])
        code = self._code[section].get(self._present_name(path))
        if entry is MISSING:
            return _NEW
        if entry.get("origin") == "manifest":
            return _BY_HAND if code is None else _TAKEN
        if code is None:
            return _ORPHANED if name in self.derived.data[section] else _GONE
        if key not in SETTINGS[section]:
            return _STRUCTURE
        base = base_of(self.document.data, section, name)
        values = (LOST if base is None else base.get(key, MISSING), code.get(key, MISSING), entry.get(key, MISSING))
        return _NOBODY if values[1] is values[2] is MISSING else _REASONS[row_of(*values)]


def _at(tree: Any, path: Sequence[str | int], default: Any = MISSING) -> Any:
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return default
    return tree


def _walk(text: str, trees: list[Any]) -> tuple[Path | None, list[str]]:
    """The path that a dotted text is in one of the trees; else None, and the texts that there are where it goes astray."""
    path: tuple[str | int, ...] = ()
    while (done := dotted(path)) != text:
        keys = _keys(path, trees)
        starts = {dotted((*path, key)): key for key in keys}
        fitting = [start for start in starts if text == start or text.startswith((f"{start}.", f"{start}["))]
        if not fitting:
            return None, list(starts)
        path = (*path, starts[max(fitting, key=len)])
        if len(dotted(path)) <= len(done):
            return None, list(starts)
    return path, []


def _keys(path: Path, trees: list[Any]) -> list[str | int]:
    keys: dict[str | int, None] = {}
    for tree in trees:
        node = _at(tree, path)
        if isinstance(node, dict | list):
            keys |= dict.fromkeys(node if isinstance(node, dict) else range(len(node)))
    if len(path) == 2 and path[0] in SETTINGS and keys:  # noqa: PLR2004 - an entry; its settings are there, if unset
        keys |= dict.fromkeys(SETTINGS[str(path[0])])
    return list(keys)
