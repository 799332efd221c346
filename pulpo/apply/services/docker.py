"""Services as containers of one Docker engine, made by Docker Compose from the file that `pulpo compile` writes."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pulpo.apply.change import Action
from pulpo.apply.services import container_logs
from pulpo.apply.services.bringing import Bringing, stop
from pulpo.apply.services.container_status import status_of
from pulpo.apply.services.engine import DockerError
from pulpo.apply.services.image import build_image
from pulpo.apply.services.project_stack import project_stack
from pulpo.apply.services.removing import remove, remove_network, remove_volumes
from pulpo.apply.services.status import ServiceEvent, ServiceLine, ServiceStatus, State
from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from pulpo.apply.change import Plan
    from pulpo.apply.services.driver import OnEvent
    from pulpo.compile.topology import Topology
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project


class DockerDriver:
    """The services of one project as containers; see `pulpo.apply.services.driver.Driver`.

    Nothing is remembered: what is there is known by the labels that Compose gives it, and how it should be by Compose's own hash
    of the file. So what plain `docker compose` does to the same stack is seen, and the other way round. Services that only the
    user's override of the file has are part of the stack as well, where all services are meant.
    """

    def __init__(self, project: Project, manifest: Manifest, document: Document, topology: Topology) -> None:
        """The containers of a project.

        Raises:
            DiagnosticsError: Variables are not set that say where they run, or what their image is called.
        """
        self.stack = project_stack(project, manifest, document, topology)

    def plan(self, names: Sequence[str]) -> Plan:
        """What `up` would change."""
        with self._explained():
            self.stack.write()
            return self.stack.plan(self._named(names), self.stack.see())

    def up(self, names: Sequence[str], *, wait: bool, on_event: OnEvent) -> None:
        """Bring up these and those that they need.

        Raises:
            NoEngineError: There is no Docker to work with, or a Compose that is too old.
            DiagnosticsError: Variables are not set that they refer to.
            ServiceError: One failed or is not ready in time; those that don't need it are up.
        """
        with self._explained():
            self.stack.write()
            order = self.stack.with_needs(self._named(names))
            seen = self.stack.see()
            plan = self.stack.plan(order, seen)
        if not plan and not seen.leftovers and all(seen.state(name) is State.RUNNING for name in order):
            for name in order:
                on_event(ServiceEvent(name, "unchanged"))
            return
        self.stack.engine.check()
        for name in sorted(seen.containers):
            if any(change.address == f"service:{name}" and change.action is Action.DELETE for change in plan.changes):
                remove(self.stack, name, seen, on_event)
        self._with_image(order, plan, on_event)
        Bringing(self.stack, order, plan, seen, on_event).run(wait=wait)

    def down(self, names: Sequence[str], *, volumes: bool, on_event: OnEvent) -> None:
        """Take down these and those that need them; where names are all, orphans and the network as well.

        Raises:
            DockerError: Something is still in use by a container of somebody else.
        """
        self.stack.engine.check()
        everything = self._is_all(names)
        with self.stack.turn():
            seen = self.stack.see()
            leaving = self.stack.with_dependents(self._named(names))
            orphans = sorted(seen.containers.keys() - self.stack.definitions.keys()) if everything else []
            for name in [*orphans, *leaving]:
                remove(self.stack, name, seen, on_event, volumes=volumes)
            if everything:
                remove_network(self.stack, seen)
            if volumes:
                remove_volumes(self.stack, None if everything else leaving)

    def stop(self, name: str, *, on_event: OnEvent) -> None:
        """Stop one alone; its containers stay."""
        self.stack.engine.check()
        began = time.monotonic()
        if any(one.is_alive for one in self.stack.see().containers.get(name, ())):
            on_event(ServiceEvent(name, "stopping"))
            stop(self.stack, name)
            on_event(ServiceEvent(name, "stopped", time.monotonic() - began))

    def status(self, names: Sequence[str]) -> tuple[ServiceStatus, ...]:
        """How they are, in the topology's order; orphans last, where names are all."""
        with self._explained():
            seen = self.stack.see()
        differs: set[str] = set()
        with contextlib.suppress(PulpoError):  # what the file would be can't be told: `up` says why
            if seen.containers:
                self.stack.write()
                differs = self.stack.differs(seen)
        asked = {*names, *self._named(names)}
        found = [status_of(self.stack, d, seen, d.name in differs) for d in self.stack.every if d.name in asked]
        if self._is_all(names):
            found += [
                status_of(self.stack, name, seen) for name in sorted(seen.containers.keys() - self.stack.definitions.keys())
            ]
        return tuple(found)

    def logs(self, names: Sequence[str], *, tail: int | None, since: dt.datetime | None, follow: bool) -> Iterator[ServiceLine]:
        """Their lines, merged by time, the last `tail` of each; with `follow` each new one as well, until this is closed."""
        self.stack.engine.check()
        read = container_logs.followed if follow else container_logs.merged
        return read(self.stack, self._named(names), tail=tail, since=since)

    def build(self, *, on_event: OnEvent, push: bool = False) -> str | None:
        """Make the project's image, and with `push` send it to its registry; its name, or None where no service runs from it.

        Raises:
            NoEngineError: There is no Docker to work with.
            ServiceError: It could not be made; the message has the last lines of what was said.
        """
        self.stack.engine.check()
        self.stack.write()
        return build_image(self.stack, on_event, push=push)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Look for what is missing only after something failed: each look takes as long as what an `up` asks anyway."""
        try:
            yield
        except DockerError:
            self.stack.engine.check()
            raise

    def _is_all(self, names: Sequence[str]) -> bool:
        return {service.name for service in self.stack.topology.services} <= set(names)

    def _named(self, names: Sequence[str]) -> Sequence[str]:
        return list(self.stack.definitions) if self._is_all(names) else names

    def _with_image(self, order: Sequence[str], plan: Plan, on_event: OnEvent) -> None:
        """Build the project's image where what will be started needs it and it is not there."""
        changed = {change.address.partition(":")[2] for change in plan.changes}
        needed = any(self.stack.definitions[name].image is None for name in order if name in changed)
        if needed and not self.stack.engine.inspect("image", [self.stack.image]):
            build_image(self.stack, on_event)
