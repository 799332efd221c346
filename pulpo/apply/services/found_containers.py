"""The containers of a project whose lock has errors, by the labels that they were given when it had none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pulpo.apply.services.containers import DIRECTORY, observe
from pulpo.apply.services.docker import DockerDriver
from pulpo.apply.services.project_stack import project_stack
from pulpo.compile.compose import ENVIRONMENT_LABEL, PROJECT_LABEL
from pulpo.compile.topology import Role, ServiceDefinition, Topology
from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.apply.services.comparing import Comparison
    from pulpo.apply.services.engine import Engine
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project


class _FoundContainers(DockerDriver):
    """Compares nothing, and so writes no files of what should be."""

    def _compared(self, *, choose: bool = False) -> Comparison:  # noqa: ARG002 - the driver's
        raise UsageError("what is to run can't be told: the lock has errors")


def found_containers(project: Project, manifest: Manifest, document: Document) -> DockerDriver:
    """A driver of the services that a project has containers of, sorted by name; of the manifest it needs the project alone.

    Raises:
        DiagnosticsError: Variables are not set that say where they run.
        DockerError: The engine refused.
    """
    topology = Topology(manifest.project.name, project.environment, ())
    stack = project_stack(project, manifest, document, topology)
    with stack.engine.explained():
        name = _labelled_name(stack.engine, project)
        if name is not None:  # what it was called when it was brought up
            topology = replace(topology, project=name)
            stack = project_stack(project, manifest, document, topology)
        names = sorted({one.service for one in observe(stack)})
    topology = replace(topology, services=tuple(ServiceDefinition(name, Role.OWN, image="") for name in names))
    return _FoundContainers(project, manifest, document, topology)


def _labelled_name(engine: Engine, project: Project) -> str | None:
    """The project's name by the containers that were made from this checkout's file, in the environment that is worked in."""
    labels = f'{{{{.Label "{ENVIRONMENT_LABEL}"}}}}\t{{{{.Label "{PROJECT_LABEL}"}}}}'
    printed = engine.run("ps", "--all", "--filter", f"label={DIRECTORY}={project.cache}", "--format", labels)
    pairs = (line.split("\t") for line in printed.splitlines())
    return next((name for environment, name in pairs if name and environment == (project.environment or "")), None)
