"""`pulpo check`: is the lock valid, does its data flow hold, and does it say what the code says?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.compile.given import parameter_problems
from pulpo.diagnostics import Diagnostic, Related, errors
from pulpo.errors import DiagnosticsError
from pulpo.graph.dataflow import analyze
from pulpo.graph.resolve import resolve
from pulpo.graph.segments import segments
from pulpo.lock.changes import MISSING, Difference, shown, told
from pulpo.lock.merge import ORPHAN_HINTS
from pulpo.lock.overrides import overrides
from pulpo.manifest.load import load
from pulpo.manifest.rules import rule_problems

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulpo.declare.lower import Lowered
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project


def check(project: Project, *, code: bool = True, show_overrides: bool = False) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with the lock, sorted by place, each problem once.

    Args:
        project: The project.
        code: Compare with the code, too, which imports the project's modules.
        show_overrides: Tell every hand edit, too, as notes.

    Raises:
        UsageError: There is no such module, or not the environment that the project names.
    """
    try:
        manifest, document = load(project.lock_path, file=project.lock_shown)
    except DiagnosticsError as error:
        return error.diagnostics
    found = [d.located(document.locate) for d in _with_environments(manifest, document, project.environment)]
    if code:
        found += _drift(project, document, found)
        found += [d.located(document.locate) for d in _hand_written(project, manifest)]
    if show_overrides:
        found += [d.located(document.locate) for d in overrides(document.data)]
    return tuple(sorted(dict.fromkeys(found), key=lambda d: d.sort_key))


def _with_environments(manifest: Manifest, document: Document, environment: str | None) -> list[Diagnostic]:
    """What is wrong with the manifest and in its environments; with one that is named, in that alone."""
    found = check_manifest(manifest)
    if environment is None and not manifest.environments:
        return found
    from pulpo.lock.environments import in_all_environments, in_one_environment

    if environment is None:
        return in_all_environments(manifest, document.data, found)
    return in_one_environment(manifest, document.data, found, environment)


def check_manifest(manifest: Manifest) -> list[Diagnostic]:
    """What the lock alone shows: bad references, a data flow that does not hold, resolved answers that are stale."""
    manifest = manifest.in_order()
    resolution = resolve(manifest)
    found = [*rule_problems(manifest), *resolution.diagnostics]
    given = [*parameter_problems(manifest)]
    if errors(found):
        return [*found, *given]
    found += given
    found += resolution.stale(manifest)
    dataflow = analyze(manifest)
    found += dataflow.diagnostics
    if not errors(dataflow.diagnostics):
        split = segments(dataflow)
        found += [*split.diagnostics, *split.stale(manifest)]
    for section, entries in (("models", manifest.models), ("operations", manifest.operations)):
        found += [_orphan(section, name) for name, spec in entries.items() if spec.orphaned]
    return found


def _orphan(section: str, name: str) -> Diagnostic:
    return Diagnostic("PLP304", "it left the code, but has hand edits", (section, name), hint=ORPHAN_HINTS[section])


def _hand_written(project: Project, manifest: Manifest) -> list[Diagnostic]:
    """What is written by hand and that the code does not have."""
    from pulpo.declare.discover import add_to_path
    from pulpo.declare.entrypoint import hand_written_problems

    add_to_path(project.root)
    return hand_written_problems(manifest)


def _drift(project: Project, document: Document, found: list[Diagnostic]) -> list[Diagnostic]:
    """What the code says otherwise."""
    from pulpo.lock.update import derive

    try:
        derived = derive(project, document)
    except DiagnosticsError as error:
        return list(error.diagnostics)
    known = {d.path for d in found}
    conflicts = [d for d in derived.diagnostics if d.code == "PLP303"]
    if len(errors(derived.diagnostics)) > len(conflicts):
        return _of_the_code(derived.diagnostics, known)  # nothing could be resolved, so nothing can be compared
    changes = [d for d in derived.changes if d.path not in known]
    telling = [d for d in changes if d.path[0] != "declared"]
    if not telling and not conflicts:
        telling = told(changes)  # what the decorators said last time differs wherever they say something else now
    return [*(_stale(d, document, derived.code) for d in telling), *conflicts, *_of_the_code(derived.diagnostics, known)]


def _of_the_code(diagnostics: Iterable[Diagnostic], known: set[tuple[str | int, ...]]) -> list[Diagnostic]:
    """Findings about declarations, and errors of the data flow as the code has it."""
    return [d for d in diagnostics if d.code.startswith("PLP1") or (d.code.startswith("PLP2") and d.path not in known)]


def _stale(difference: Difference, document: Document, code: Lowered) -> Diagnostic:
    path = difference.path
    if path[-1] == "orphaned":
        return _orphan(str(path[0]), str(path[1])).located(document.locate)
    if difference.before is MISSING and path[0] == "services":
        message = f"it comes with Pulpo, the lock does not have it: {shown(difference.after)}"
    elif difference.before is MISSING:
        message = f"the code has it, the lock does not: {shown(difference.after)}"
    elif difference.after is MISSING:
        message = f"the lock has it, the code does not: {shown(difference.before)}"
    else:
        message = f"the code says {shown(difference.after)}, the lock says {shown(difference.before)}"
    place = code.locate(path)
    related = (Related("the code is here", path, place),) if place else ()
    return Diagnostic("PLP301", message, path, document.locate(path), hint="run `pulpo lock`", related=related)
