"""`pulpo lock`: what the lock should say, and writing it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pulpo.declare.discover import add_to_path, import_modules
from pulpo.declare.lower import lower
from pulpo.declare.registry import REGISTRY
from pulpo.diagnostics import Diagnostic, errors
from pulpo.errors import DiagnosticsError
from pulpo.graph.dataflow import analyze
from pulpo.graph.resolve import resolve
from pulpo.graph.segments import segments
from pulpo.lock.changes import Difference, differences
from pulpo.lock.merge import Side, merge
from pulpo.manifest.load import load, save
from pulpo.manifest.model import Manifest
from pulpo.manifest.rules import rule_problems
from pulpo.manifest.yaml_read import hand_written
from pulpo.manifest.yaml_write import dumps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulpo.declare.lower import Lowered
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
    written: bool = False

    @property
    def stale(self) -> bool:
        """Whether the file has to be written."""
        return bool(self.changes)


def lock(
    project: Project, *, check: bool = False, force: bool = False, prefer: Side | None = None, prune: bool = False
) -> LockResult:
    """Derive the lock from the code, merge it with the file, and write it unless nothing changed.

    Args:
        project: The project; its modules are imported.
        check: Write nothing.
        force: Comments and formatting of the file may be lost, and the code wins conflicts unless `prefer` says otherwise.
        prefer: The side that wins conflicts.
        prune: Drop entries that left the code although they have hand edits.

    Returns:
        What should stand in the file, and what changed.

    Raises:
        DiagnosticsError: A module can't be imported, declarations or data flow have errors, both sides changed a setting, the
            file can't be read, or writing would lose what a person wrote (PLP305). The file is as it was.
        UsageError: There is no such module, or the file can't be written.
    """
    document = load(project.lock_path, file=project.lock_shown)[1] if project.lock_path.exists() else None
    result = derive(project, document, prefer=prefer or ("code" if force else None), prune=prune)
    if found := errors(result.diagnostics):
        raise DiagnosticsError(found)
    if check or not result.stale:
        return result
    if document is not None and not force:
        _refuse_loss(document)
    text = dumps(result.manifest.data())
    return replace(result, written=save(project.lock_path, text, instead_of=document.text if document else None))


def derive(project: Project, document: Document | None, *, prefer: Side | None = None, prune: bool = False) -> LockResult:
    """What the lock should say, given the one there is; errors are among the diagnostics, and nothing is written.

    Raises:
        DiagnosticsError: A module can't be imported, or declarations have errors.
        UsageError: There is no such module.
    """
    file: dict[str, Any] = document.data if document else {}
    code = read_code(project, file)
    if found := errors(code.diagnostics):
        raise DiagnosticsError(_located(found, code, None))
    merged = merge(code, file, project=_project(project, file), prefer=prefer, prune=prune)
    manifest, more = _resolved(_validated(merged.data, code))
    return LockResult(
        manifest,
        tuple(differences(file, manifest.data())) if document else (Difference((), None, "a new file"),),
        tuple(sorted(_located([*code.diagnostics, *merged.diagnostics, *more], code, document), key=lambda d: d.sort_key)),
    )


def read_code(project: Project, file: dict[str, Any]) -> Lowered:
    """The declarations of the project's code: what is imported already, and the modules that project or lock name."""
    add_to_path(project.root)
    import_modules(_modules(project, file, imported=False), project.root)
    return lower(REGISTRY, project.shown_from)


def _project(project: Project, file: dict[str, Any]) -> dict[str, Any]:
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
            Diagnostic("PLP114", d["msg"].removeprefix("Value error, "), tuple(part for part in d["loc"] if part != "[key]"))
            for d in error.errors()
        ]
        raise DiagnosticsError(_located(found, code, None)) from None


def _resolved(manifest: Manifest) -> tuple[Manifest, list[Diagnostic]]:
    """The manifest with every inference resolved, and what was found on the way."""
    resolution = resolve(manifest)
    found = [*rule_problems(manifest), *resolution.diagnostics]
    if errors(found):
        return manifest, found
    manifest = Manifest.model_validate(resolution.apply(manifest.data()))
    dataflow = analyze(manifest)
    found += dataflow.diagnostics
    if errors(found):
        return manifest, found
    split = segments(dataflow)
    if split.flows or any(flow.segments for flow in manifest.flows.values()):
        manifest = Manifest.model_validate(split.apply(manifest.data()))
    return manifest, [*found, *split.diagnostics]


def _located(found: Iterable[Diagnostic], code: Lowered, document: Document | None) -> list[Diagnostic]:
    """With places: of the declaration where there is one, else of the lock; of the lock, too, where both have a say."""

    def place(d: Diagnostic) -> Diagnostic:
        if document is not None and d.code in ("PLP303", "PLP304"):
            d = d.located(document.locate)
        d = d.located(code.locate)
        return d.located(document.locate) if document is not None and d.place is None else d

    return [place(d) for d in found]


def _refuse_loss(document: Document) -> None:
    """Raise PLP305 where the file has comments, anchors or aliases that the canonical text would not have."""
    text = dumps(document.data)
    if text == document.text:
        return
    kept = set(text.splitlines())
    lines = document.text.splitlines()
    lost = [lines[number] for number in hand_written(document.text) if lines[number] not in kept]
    if lost:
        listed = "".join(f"\n    {line.strip()}" for line in lost[:20])
        raise DiagnosticsError(
            [
                Diagnostic(
                    "PLP305",
                    f"writing the lock would lose {len(lost)} lines that a person wrote:{listed}",
                    hint="`pulpo lock --force` writes it all the same; settings that were edited are kept either way",
                )
            ]
        )
