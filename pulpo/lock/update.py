"""`pulpo lock`: what the lock should say, and writing it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pulpo.declare.discover import add_to_path, import_modules
from pulpo.declare.lower import lower
from pulpo.declare.registry import REGISTRY
from pulpo.diagnostics import Diagnostic, dotted, errors, plainly
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.graph.dataflow import analyze
from pulpo.graph.resolve import resolve
from pulpo.graph.segments import segments
from pulpo.lock.changes import Difference, differences
from pulpo.lock.former_names import former_path
from pulpo.lock.merge import Preference, merge
from pulpo.manifest.load import check_schema, read_file, writing
from pulpo.manifest.migrate import MIGRATIONS, migrate
from pulpo.manifest.model import Manifest
from pulpo.manifest.rules import rule_problems
from pulpo.manifest.splice import splice
from pulpo.manifest.yaml_write import dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pulpo.declare.lower import Lowered
    from pulpo.diagnostics import Locate, Path, Place
    from pulpo.lock.merge import Data, Side
    from pulpo.manifest.migrate import Migration
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project


@dataclass(frozen=True, slots=True)
class LockResult:
    """What `pulpo lock` found, and did."""

    manifest: Manifest
    #: What differs from the file as it is.
    changes: tuple[Difference, ...]
    #: Sorted by place; only warnings and notes where `lock` gave the result.
    diagnostics: tuple[Diagnostic, ...]
    #: The file as it was, empty where there was none, and as it should be.
    before: str = field(default="", repr=False)
    after: str = field(default="", repr=False)
    written: bool = False

    @property
    def stale(self) -> bool:
        """Whether the file has to be written."""
        return bool(self.changes)


@dataclass(frozen=True, slots=True)
class Derived:
    """What the lock should say."""

    manifest: Manifest
    #: The same as plain data.
    data: Data
    changes: tuple[Difference, ...]
    diagnostics: tuple[Diagnostic, ...]
    #: What the decorators say.
    code: Lowered
    #: Entries of the file that go on under another name.
    renamed: dict[Path, str]
    #: Conflicts that the preference settled.
    settled: tuple[Path, ...]


def lock(
    project: Project,
    *,
    check: bool = False,
    prefer: Side | None = None,
    paths: Sequence[str] = (),
    prune: bool = False,
    migrations: Mapping[int, Migration] = MIGRATIONS,
    on_wait: Callable[[], None] | None = None,
) -> LockResult:
    """Derive the lock from the code, merge it with the file, and write it unless nothing changed.

    Only what changed is written: comments, order, quoting and layout of everything else stay to the byte.

    Args:
        project: The project; its modules are imported.
        check: Write nothing.
        prefer: The side that wins conflicts.
        paths: Dotted paths at and below which it wins; everywhere where there are none.
        prune: Drop entries that left the code although they have hand edits.
        migrations: The ways from older versions of the manifest to the present one.
        on_wait: Called when another `pulpo lock` keeps this one waiting for longer than a second.

    Returns:
        What should stand in the file, and what changed.

    Raises:
        DiagnosticsError: A module can't be imported, declarations or data flow have errors, both sides changed a setting, or
            the file can't be read. The file is as it was.
        UsageError: There is no such module, no conflict at one of the paths, or the file can't be written.
    """
    preference = Preference(prefer, tuple(paths)) if prefer else None
    if check:
        return _locked(project, preference, migrations, prune=prune)
    with writing(project.lock_path, on_wait=on_wait) as save:
        result = _locked(project, preference, migrations, prune=prune)
        if not result.stale:
            return result
        return replace(result, written=save(result.after, instead_of=result.before or None))


def _locked(project: Project, preference: Preference | None, migrations: Mapping[int, Migration], *, prune: bool) -> LockResult:
    file = read_file(project.lock_path, project.lock_shown, keep_nodes=True) if project.lock_path.exists() else None
    document = None if file is None else migrate(file, migrations)
    if document is not None:
        check_schema(document)
    derived = derive(project, document, prefer=preference, prune=prune)
    if preference and (unused := preference.unused([*derived.settled, *_conflicts(derived)])):
        others = ", ".join(dotted(path) for path in _conflicts(derived))
        raise UsageError(f"there is no conflict at: {unused[0]}", hint=f"there are at: {others}" if others else None)
    if found := errors(derived.diagnostics):
        raise DiagnosticsError(found)
    before, after = (d.text if d else "" for d in (file, document))
    if derived.changes:
        after = _written(document, derived)
    changes = (*_migrated(file, document), *derived.changes)
    return LockResult(derived.manifest, changes, derived.diagnostics, before, after)


def _written(document: Document | None, derived: Derived) -> str:
    try:
        return splice(document, derived.data, derived.renamed) if document else dumps(derived.data)
    except DiagnosticsError as error:
        # What the decorators said stands twice in the lock.
        found = [d for d in error.diagnostics if d.path[:1] != ("declared",)] or error.diagnostics
        raise DiagnosticsError(_located(found, derived.code)) from None


def _migrated(file: Document | None, document: Document | None) -> tuple[Difference, ...]:
    """The new version, for all that a migration changed: that is no edit of anybody's."""
    if file is None or document is None or document is file:
        return ()
    return (Difference(("version",), file.data["version"], document.data["version"]),)


def _conflicts(derived: Derived) -> list[Path]:
    return [d.path for d in derived.diagnostics if d.code == "PLP303"]


def derive(project: Project, document: Document | None, *, prefer: Preference | None = None, prune: bool = False) -> Derived:
    """What the lock should say, given the one there is; errors are among the diagnostics, and nothing is written.

    Raises:
        DiagnosticsError: A module can't be imported, or declarations have errors.
        UsageError: There is no such module.
    """
    file: dict[str, Any] = document.data if document else {}
    code = read_code(project, file)
    if found := errors(code.diagnostics):
        raise DiagnosticsError(_located(found, code))
    merged = merge(code, file, project=project_of(project, file), prefer=prefer, prune=prune)
    manifest, data, more = _resolved(_validated(merged.data, code), merged.data)

    def in_file(path: Path) -> Place | None:
        return document.locate(former_path(path, merged.renamed)) if document else None

    return Derived(
        manifest,
        data,
        tuple(differences(file, data)) if document else (Difference((), None, "a new file"),),
        tuple(sorted(_located([*code.diagnostics, *merged.diagnostics, *more], code, in_file), key=lambda d: d.sort_key)),
        code,
        merged.renamed,
        tuple(merged.settled),
    )


def read_code(project: Project, file: dict[str, Any]) -> Lowered:
    """The declarations of the project's code: what is imported already, and the modules that project or lock name."""
    add_to_path(project.root)
    import_modules(_modules(project, file, imported=False), project.root)
    return lower(REGISTRY, project.shown_from)


def project_of(project: Project, file: dict[str, Any]) -> dict[str, Any]:
    """Name and modules of the project, as its settings say, else the lock, else the code."""
    name = project.name or file.get("project", {}).get("name") or project.root.name
    return {"name": name, "modules": _modules(project, file)}


def _modules(project: Project, file: dict[str, Any], *, imported: bool = True) -> list[str]:
    """Modules to import and to write down: the project's settings, else the lock's, else those that made declarations."""
    named = list(project.modules) or list(file.get("project", {}).get("modules", []))
    if named or not imported:
        return named
    return sorted({d.module for d in REGISTRY.models} | {d.module for d in REGISTRY.operations})


def _validated(data: dict[str, Any], code: Lowered) -> Manifest:
    """The manifest, or what of the declarations it can't hold."""
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        found = [
            Diagnostic("PLP114", plainly(d["msg"]), tuple(part for part in d["loc"] if part != "[key]")) for d in error.errors()
        ]
        raise DiagnosticsError(_located(found, code)) from None


def _resolved(manifest: Manifest, data: Data) -> tuple[Manifest, Data, list[Diagnostic]]:
    """The manifest with every inference resolved, the same as data, and what was found on the way."""
    resolution = resolve(manifest)
    found = [*rule_problems(manifest), *resolution.diagnostics]
    if errors(found):
        return manifest, data, found
    data = resolution.apply(data)
    manifest = Manifest.model_validate(data)
    dataflow = analyze(manifest)
    found += dataflow.diagnostics
    if errors(found):
        return manifest, data, found
    split = segments(dataflow)
    if split.flows or any(flow.segments for flow in manifest.flows.values()):
        data = split.apply(data)
        manifest = Manifest.model_validate(data)
    return manifest, data, [*found, *split.diagnostics]


def _located(found: Iterable[Diagnostic], code: Lowered, in_file: Locate = lambda _: None) -> list[Diagnostic]:
    """With places: of the declaration where there is one, else of the lock; of the lock, and of both, where both have a say."""

    def place(d: Diagnostic) -> Diagnostic:
        if d.code in ("PLP303", "PLP304"):
            d = replace(d, place=in_file(d.path))
        d = d.located(code.locate)
        return d.located(in_file) if d.place is None else d

    return [place(d) for d in found]
