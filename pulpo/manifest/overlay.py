"""Overlays: the manifest as one environment has it.

What an environment says is merged into the rest: mappings key by key, while any other value, a list as well, takes the place
of the one below. What only means something together with a value that the environment changes goes with that: a schedule's
`cron` with another kind of schedule, a work pool with another type, the options of a task runner with another runner, a probe
with another kind of probe, the `uri` of a service with an image, a command or an engine. What came from the overlay is known,
so that a problem of the merged manifest is shown where it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.manifest.flow import FlowSpec
from pulpo.manifest.model import ModelSpec, OperationSpec, ProjectSpec
from pulpo.manifest.service import ServiceSpec
from pulpo.manifest.yaml_read import Document
from pulpo.names import did_you_mean, flows_of

if TYPE_CHECKING:
    from pulpo.diagnostics import Path, Place
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.spec import Spec

_SECTIONS: dict[str, type[Spec]] = {
    "models": ModelSpec,
    "operations": OperationSpec,
    "flows": FlowSpec,
    "services": ServiceSpec,
}
#: Sections whose entries an overlay may change but not add: their structure is the code's.
_CLOSED = ("models", "operations")
#: A schedule says when by one of them: one that an overlay gives takes the place of another one below.
RECURRENCES = ("cron", "interval", "rrule")
#: Likewise a probe, and a Docker engine.
PROBES = ("http", "tcp", "command", "log")
_ENGINES = ("host", "context")
#: What says that Pulpo runs a service, which is not elsewhere then, whatever is said below.
_RUNS = ("engine", "image", "command")


@dataclass(frozen=True, slots=True)
class Overlaid:
    """A manifest's data as one environment has it, and what of it the environment said."""

    environment: str
    #: Plain data; entries of the overlay that the manifest does not have (`unknown_entries`) are left out.
    data: dict[str, Any] = field(repr=False)
    #: What the environment says.
    overlay: Mapping[str, Any] = field(repr=False)

    def says(self, path: Path) -> Path | None:
        """Where in the file the overlay says what the merged data has at a path; None where it says nothing about it."""
        said: Any = self.overlay if path and path[0] in ("project", *_SECTIONS) else {}
        for part in path:
            if isinstance(said, Mapping):
                if part not in said:
                    return None
                said = said[part]
        return ("environments", self.environment, *path) if path else None

    def manifest(self, base: Manifest) -> Manifest:
        """The merged manifest; `base` is the one without the overlay, from which everything else is taken."""
        update: dict[str, Any] = {}
        if "project" in self.overlay:
            update["project"] = ProjectSpec.model_validate(self.data["project"])
        for section, spec in _SECTIONS.items():
            merged = self.data.get(section, {})
            changed = {name: spec.model_validate(merged[name]) for name in self.overlay.get(section, {}) if name in merged}
            if changed:
                update[section] = {**getattr(base, section), **changed}
        return base.model_copy(update=update)


@dataclass(frozen=True)
class OverlaidDocument(Document):
    """A lock as one environment has it: what the overlay says is found there."""

    overlaid: Overlaid = field(kw_only=True)

    def locate(self, path: Path, *, key: bool = False) -> Place:
        """The place of a value of the merged manifest: in the overlay where that says it, else where it stands below."""
        return Document.locate(self, self.overlaid.says(path) or path, key=key)


def overlaid(data: Mapping[str, Any], environment: str) -> Overlaid:
    """What an environment makes of a valid manifest's data, which stays as it is.

    Raises:
        UsageError: The manifest has no such environment.
    """
    environments = data.get("environments", {})
    if environment not in environments:
        known = f"the lock has: {', '.join(sorted(environments))}" if environments else "the lock has no environments"
        near = did_you_mean(environment, environments)
        raise UsageError(f"there is no environment: {environment}", hint=f"{near} {known}" if near else known)
    overlay = environments[environment]
    merged = dict(data)
    for section in ("project", *_SECTIONS):
        said = overlay.get(section)
        if said and section in _CLOSED:
            said = {name: entry for name, entry in said.items() if name in data.get(section, {})}
        if said:
            merged[section] = _merged(data.get(section, {}), said, (section,))
    return Overlaid(environment, merged, overlay)


def in_environment(manifest: Manifest, document: Document, environment: str) -> tuple[Manifest, OverlaidDocument]:
    """A lock, read and validated, as an environment has it.

    Raises:
        UsageError: The lock has no such environment.
        DiagnosticsError: The overlay is about entries that the lock does not have.
    """
    merged = overlaid(document.data, environment)
    if problems := list(unknown_entries(manifest, environment)):
        raise DiagnosticsError([d.located(document.locate) for d in problems])
    found = OverlaidDocument(document.file, document.text, document.data, overlaid=merged)
    return merged.manifest(manifest), found


def unknown_entries(manifest: Manifest, environment: str) -> Iterator[Diagnostic]:
    """PLP201, PLP202 and PLP213 for each model, operation and flow of an overlay that is not there."""
    overlay = manifest.environments[environment]
    kinds = (
        ("PLP201", "models", "no model has the name", overlay.models, manifest.models),
        ("PLP202", "operations", "no operation has the name", overlay.operations, manifest.operations),
        ("PLP213", "flows", "there is no such flow", overlay.flows, flows_of(manifest.operations) if overlay.flows else ()),
    )
    for code, section, message, said, known in kinds:
        for name in said or ():
            if name not in known:
                hint = (
                    did_you_mean(name, known)
                    or f"an environment only changes what is there: take it out, or see `pulpo {section}`"
                )
                yield Diagnostic(code, f"{message}: {name}", ("environments", environment, section, name), hint=hint)


def _below(below: Mapping[str, Any], said: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What a part says below, less what means nothing with what the overlay says."""
    if path[0] == "flows" and path[1:]:
        return _still_meant(below, said, path[2:])
    instead: tuple[str, ...] = ()
    if path[0] == "services" and path[2:] == ("probe",) and not said.keys().isdisjoint(PROBES):
        instead = (*PROBES, "port")
    elif path[0] == "services" and len(path) == 2 and not said.keys().isdisjoint(_RUNS):  # noqa: PLR2004 - a service's own keys
        instead = ("uri",)
    elif path == ("project", "docker") and not said.keys().isdisjoint(_ENGINES):
        instead = _ENGINES
    return {key: value for key, value in below.items() if key not in instead}


def _still_meant(below: Mapping[str, Any], said: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What a part of a flow says below, less what means nothing with what the overlay says; `path` is from the flow."""
    if path == ("schedule",) and not said.keys().isdisjoint(RECURRENCES):
        return {key: value for key, value in below.items() if key not in RECURRENCES}
    pool = below.get("type", "process")
    if path == ("work_pool",) and said.get("type", pool) != pool:
        return {}
    runner = below.get("task_runner")
    if path == () and runner is not None and said.get("task_runner", runner) != runner:
        return {key: value for key, value in below.items() if key != "task_runner_options"}
    return dict(below)


def _merged(below: Any, said: Any, path: Path) -> Any:
    if not (isinstance(below, Mapping) and isinstance(said, Mapping)):
        return said
    merged = _below(below, said, path)
    for key, value in said.items():
        merged[key] = _merged(merged[key], value, (*path, key)) if key in merged else value
    return merged
