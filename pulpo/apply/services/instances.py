"""The processes of this machine that a topology's services are to be, with the ports of this machine that they have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.process import as_process, resolved
from pulpo.errors import DiagnosticsError
from pulpo.manifest.addresses import remembered_as
from pulpo.services.ports import port_of, remembered
from pulpo.services.spec import Address, LocalService

if TYPE_CHECKING:
    from pulpo.compile.topology import ServiceDefinition
    from pulpo.diagnostics import Diagnostic, Locate
    from pulpo.services.local import LocalServices
    from pulpo.settings import Project

#: The environment variable that tells a further replica its number, from 2 on.
_REPLICA: Final = "PULPO_REPLICA"


@dataclass(frozen=True, slots=True)
class Instance:
    """A process that is to run: a service, or one of its replicas."""

    definition: ServiceDefinition
    service: LocalService
    #: The instances that it needs, and whether they have to be ready.
    needs: Mapping[str, bool]

    @property
    def name(self) -> str:
        """`NAME`, and of further replicas `NAME.2`, `NAME.3` and so on."""
        return self.service.name


def service_of(instance: str) -> str:
    """The service that an instance is of, by name."""
    return instance.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Instances:
    """Finds the instances of a topology's services."""

    project: Project
    definitions: Mapping[str, ServiceDefinition]
    services: LocalServices
    environ: Mapping[str, str]
    locate: Locate

    def wanted(
        self, names: Iterable[str], *, choose: bool, environment: Mapping[str, Mapping[str, str]] | None = None
    ) -> list[Instance]:
        """The instances of these and of those that they need, each after those that it needs.

        Args:
            names: Of services; those that are embedded or elsewhere have none.
            choose: Whether ports are chosen that are `auto`; else one that was never chosen is 0.
            environment: By service, what is laid over its environment.

        Raises:
            DiagnosticsError: Variables are not set that they refer to; all of them.
            UsageError: No port is free.
        """
        wanted = self.with_needs(names)
        linked = {link.service for name in wanted for link in self.definitions[name].links} & self._processes()
        known = self._resolved([n for n in self.definitions if n in wanted or n in linked], wanted, environment or {})
        addresses = {name: self._addresses(definition, choose=choose) for name, definition in known.items()}
        return [
            self._instance(definition, number, addresses)
            for name, definition in known.items()
            if name in wanted
            for number in range(1, definition.replicas + 1)
        ]

    def with_needs(self, names: Iterable[str]) -> set[str]:
        """These and those that they need, as far as they are processes."""
        found: set[str] = set()
        waiting = [name for name in names if name in self._processes()]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [needed.service for needed in self.definitions[name].needs]
        return found

    def with_dependents(self, names: Collection[str]) -> set[str]:
        """These and those that need them."""
        found = set(names)
        for name, definition in self.definitions.items():  # each comes after those that it needs
            if any(needed.service in found for needed in definition.needs):
                found.add(name)
        return found

    def needs(self, name: str) -> dict[str, bool]:
        """The instances that a service needs, sorted as its needs are, and whether they have to be ready."""
        return {
            instance: needed.ready
            for needed in self.definitions[name].needs
            for instance in _names(needed.service, self.definitions[needed.service].replicas)
        }

    def _processes(self) -> set[str]:
        return {name for name, definition in self.definitions.items() if definition.kind == "process"}

    def _resolved(
        self, names: Iterable[str], wanted: Collection[str], environment: Mapping[str, Mapping[str, str]]
    ) -> dict[str, ServiceDefinition]:
        found: dict[str, ServiceDefinition] = {}
        problems: list[Diagnostic] = []
        for name in names:
            try:
                found[name] = resolved(self.definitions[name], self.environ, self.locate, environment.get(name, {}))
            except DiagnosticsError as error:
                if name not in wanted:  # only its address is of interest
                    found[name] = self.definitions[name]
                else:
                    problems += error.diagnostics
        if problems:
            raise DiagnosticsError(problems)
        return found

    def _addresses(self, definition: ServiceDefinition, *, choose: bool) -> tuple[Address, ...]:
        return tuple(
            Address(port.address, port.outer or self._auto(definition.name, index, port.address, choose=choose))
            for index, port in enumerate(definition.ports)
        )

    def _auto(self, name: str, index: int, host: str, *, choose: bool) -> int:
        key, path = remembered_as(name, index), self.services.ports_path
        known = port_of(path, key)
        return remembered(path, key, host, holds=lambda: self._holds(name, known)) if choose else known or 0

    def _holds(self, name: str, port: int | None) -> bool:
        """Whether a port that is taken is the project's own, whether as a process or as a container: it is not given up."""
        if self._runs(name):
            return True
        from pulpo.apply.services.containers import is_published  # what runs already does not need it

        return port is not None and is_published(self.project.cache, port)

    def _runs(self, name: str) -> bool:
        state = self.services.state(name)
        return state is not None and not state.status.over

    def _instance(self, definition: ServiceDefinition, number: int, addresses: Mapping[str, tuple[Address, ...]]) -> Instance:
        service = as_process(definition, self.project, addresses, self.environ)
        if number > 1:
            environment = {**service.environment, _REPLICA: str(number)}
            service = replace(service, name=f"{service.name}.{number}", environment=environment)
        return Instance(definition, service, self.needs(definition.name))


def _names(name: str, replicas: int) -> list[str]:
    return [name, *(f"{name}.{number}" for number in range(2, replicas + 1))]
