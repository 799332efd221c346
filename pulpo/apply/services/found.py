"""What runs of a project whose lock has errors: looked at, taken down, and read, by what is known of it without the lock."""

from __future__ import annotations

import contextlib
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pulpo.apply.services.instances import service_of
from pulpo.apply.services.manager import ServiceManager
from pulpo.compile.topology import Role, ServiceDefinition, Topology
from pulpo.errors import PulpoError
from pulpo.manifest.yaml_read import Document
from pulpo.services.local import LocalServices

if TYPE_CHECKING:
    from pulpo.apply.services.driver import Driver
    from pulpo.manifest.model import Manifest
    from pulpo.settings import Project


class FoundServices(ServiceManager):
    """The services that were found: their names are those of the topology, and nothing else is known of them.

    For `status`, `down` and `logs`: what is to run can't be told.
    """

    @cached_property
    def topology(self) -> Topology:
        """What was started here, of processes by the files of their states, of containers by their labels; sorted by name."""
        if self.mode == "docker":
            return self._driver.stack.topology  # type: ignore[attr-defined, no-any-return]
        services = LocalServices(self._project.cache)
        found = Counter({service_of(name): 0 for name in services.names()})
        for name in services.names():
            state = services.state(name)
            found[service_of(name)] += state is not None and not state.status.over
        definitions = [ServiceDefinition(name, Role.OWN, replicas=max(found[name], 1)) for name in sorted(found)]
        return Topology(self._manifest.project.name, self._project.environment, tuple(definitions))

    @cached_property
    def _driver(self) -> Driver:
        if self.mode == "docker":
            from pulpo.apply.services.found_containers import found_containers

            return found_containers(self._project, self._manifest, self._document)
        from pulpo.apply.services.local import LocalDriver

        return LocalDriver(self._project, self.topology, compares=False)


def project_of(project: Project) -> tuple[Manifest, Document, bool]:
    """A manifest of what a lock with errors says of the project itself, and whether that can be read; else of its name alone."""
    from pydantic import ValidationError

    from pulpo.manifest.load import read_file
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.overlay import overlaid

    with contextlib.suppress(PulpoError, ValidationError, AttributeError, KeyError, TypeError):  # of data of any shape
        document = read_file(project.lock_path, project.lock_shown)
        data: dict[str, Any] = {"version": 1, "project": document.data["project"]}
        if (name := project.environment) is not None:
            said = document.data["environments"][name]
            data = overlaid({**data, "environments": {name: {"project": said.get("project", {})}}}, name).data
        return Manifest.model_validate({key: data[key] for key in ("version", "project")}), document, True
    name = project.name or project.root.name
    return Manifest.model_validate({"version": 1, "project": {"name": name}}), Document(project.lock_shown, "", {}), False
