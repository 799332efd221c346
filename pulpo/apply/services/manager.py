"""The services of a project, in whichever way they run: what commands and programs talk to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from pulpo.apply.services.mode import Mode, chosen_mode
from pulpo.compile.topology import topology
from pulpo.errors import UsageError
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    import datetime as dt

    from pulpo.apply.change import Plan
    from pulpo.apply.services.driver import Driver
    from pulpo.apply.services.stack import Stack
    from pulpo.apply.services.status import ServiceEvent, ServiceLine, ServiceStatus, State
    from pulpo.compile.topology import Topology
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project


def _nobody(_: ServiceEvent) -> None:
    pass


class ServiceManager:
    """All services of a project, or those that are named; each method takes services by name, and none means all.

    All methods raise `UsageError` where there is no such service, and what a driver raises.
    """

    def __init__(self, project: Project, manifest: Manifest, document: Document, *, mode: Mode | None = None) -> None:
        """The services of the manifest; how they run is `mode`, else what PULPO_MODE or the manifest says, else local."""
        self._project = project
        self._manifest = manifest
        self._document = document
        self.mode: Mode = mode or chosen_mode(manifest).mode

    @cached_property
    def topology(self) -> Topology:
        """What the services are."""
        return topology(self._manifest, environment=self._project.environment)

    @cached_property
    def is_remote(self) -> bool:
        """Whether they run on another machine: their ports are that one's, and how it is reached from here is not known.

        Raises:
            NoEngineError: There is no `docker`, or no such context.
        """
        return self._stack is not None and self._stack.is_remote

    @property
    def names(self) -> tuple[str, ...]:
        """All services by name: those of the topology, and then those that only the user's override of the Compose file has."""
        known = [service.name for service in self.topology.services]
        more = self._stack.definitions if self._stack is not None else ()
        return (*known, *(name for name in more if name not in known))

    def plan(self, *names: str) -> Plan:
        """What `up` would change."""
        return self._driver.plan(self._meant(names))

    def up(self, *names: str, wait: bool = True, on_event: Callable[[ServiceEvent], None] = _nobody) -> None:
        """Bring up these and those that they need; with `wait` until each is ready. What runs as it should is left alone.

        `on_event` is called by several threads.
        """
        self._driver.up(self._meant(names), wait=wait, on_event=on_event)

    def down(self, *names: str, volumes: bool = False, on_event: Callable[[ServiceEvent], None] = _nobody) -> None:
        """Take down these and those that need them; their data stays unless `volumes` go as well."""
        self._driver.down(self._meant(names), volumes=volumes, on_event=on_event)

    def start(
        self,
        name: str,
        *,
        environment: Mapping[str, str] | None = None,
        wait: bool = True,
        on_event: Callable[[ServiceEvent], None] = _nobody,
    ) -> None:
        """Bring up one and those that it needs; `environment` is laid over its own, which only a process of this machine takes.

        Raises:
            UsageError: A container is given an environment.
        """
        from pulpo.apply.services.local import LocalDriver

        names, driver = self._named([name]), self._driver
        if isinstance(driver, LocalDriver):
            driver.up(names, wait=wait, on_event=on_event, environment={name: environment or {}})
        elif environment:
            raise UsageError(
                f"a container takes its settings from the lock: {name}", hint=f"write them into services.{name}.environment"
            )
        else:
            driver.up(names, wait=wait, on_event=on_event)

    def stop(self, name: str, *, on_event: Callable[[ServiceEvent], None] = _nobody) -> None:
        """Stop one alone."""
        self._driver.stop(*self._named([name]), on_event=on_event)

    def remove(self, *names: str, on_event: Callable[[ServiceEvent], None] = _nobody) -> None:
        """Take away services, or replicas of one, that the manifest has no more, by the names that `plan` has for them."""
        self._driver.remove(names, on_event=on_event)

    def has_data(self, name: str) -> bool:
        """Whether a service stored something where Pulpo keeps its data."""
        return self._driver.has_data(*self._named([name]))

    def restart(
        self,
        name: str,
        *,
        environment: Mapping[str, str] | None = None,
        wait: bool = True,
        on_event: Callable[[ServiceEvent], None] = _nobody,
    ) -> None:
        """Stop one alone, and start it as `start` does."""
        self.stop(name, on_event=on_event)
        self.start(name, environment=environment, wait=wait, on_event=on_event)

    def state(self, name: str) -> State:
        """How one is; asked more cheaply than `status`, which also compares it with what it should be."""
        return self._driver.state(*self._named([name]))

    def status(self, *names: str) -> tuple[ServiceStatus, ...]:
        """How they are, each after those that it needs; without names with those that the manifest has no more, last."""
        return self._driver.status(self._meant(names))

    def logs(
        self, *names: str, tail: int | None = None, since: dt.datetime | None = None, follow: bool = False
    ) -> Iterator[ServiceLine]:
        """Their lines, merged by time: of each the last `tail` of those since a time; with `follow` new ones, for ever."""
        return self._driver.logs(self._meant(names), tail=tail, since=since, follow=follow)

    def log_names(self, *names: str) -> tuple[str, ...]:
        """The longest names that the lines of `logs` have, one for each service: replicas that are processes have a number."""
        meant = self._meant(names)
        if self._stack is not None:
            return tuple(name for name in self._stack.named(meant) if name in self._stack.definitions)
        services = [s for s in self.topology.services if (meant is None or s.name in meant) and s.kind == "process"]
        return tuple(f"{s.name}.{s.replicas}" if s.replicas > 1 else s.name for s in services)

    def build(self, *, on_event: Callable[[ServiceEvent], None] = _nobody) -> str | None:
        """Make the image that containers of the project run from; its name, or None where there is none to be made."""
        return self._driver.build(on_event=on_event)

    @cached_property
    def _driver(self) -> Driver:
        if self.mode == "docker":
            from pulpo.apply.services.docker import DockerDriver

            return DockerDriver(self._project, self._manifest, self._document, self.topology)
        from pulpo.apply.services.local import LocalDriver

        return LocalDriver(self._project, self.topology, locate=self._document.locate)

    @property
    def _stack(self) -> Stack | None:
        """Of containers, the stack that they are."""
        if self.mode != "docker":
            return None
        from pulpo.apply.services.docker import DockerDriver

        return self._driver.stack if isinstance(self._driver, DockerDriver) else None

    def _meant(self, names: Iterable[str]) -> tuple[str, ...] | None:
        """These, checked; None, which is all, where there is none."""
        return self._named(names) or None

    def _named(self, names: Iterable[str]) -> tuple[str, ...]:
        """These, checked."""
        known = [service.name for service in self.topology.services]
        for name in names:
            if name not in known and name not in self.names:
                near = did_you_mean(name, self.names) or _known(self.names)
                raise UsageError(f"there is no such service: {name}", hint=near)
        return tuple(names)


def _known(names: tuple[str, ...]) -> str:
    return f"the services are {', '.join(names)}" if names else "the lock has none"
