"""Services as containers of one Docker engine, made by Docker Compose from the file that `pulpo compile` writes."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pulpo.apply.change import Action
from pulpo.apply.services import container_logs
from pulpo.apply.services.bringing import Bringing
from pulpo.apply.services.comparing import Comparison
from pulpo.apply.services.container_status import Observer, status_of
from pulpo.apply.services.containers import image_ids, made_from_file, named_like, without_others
from pulpo.apply.services.content import content_digest
from pulpo.apply.services.image import build_image, ensure_image
from pulpo.apply.services.project_stack import StackFiles, project_stack
from pulpo.apply.services.removing import has_volumes, heal, remove, remove_network, remove_volumes, stop
from pulpo.apply.services.status import ServiceEvent, ServiceLine, ServiceStatus, State
from pulpo.errors import PulpoError

if TYPE_CHECKING:
    from pulpo.apply.change import Plan
    from pulpo.apply.services.driver import OnEvent
    from pulpo.apply.services.made import Made
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
        self._files = StackFiles(project, manifest, document, self.stack)
        self._observer = Observer(self.stack)

    def plan(self, names: Sequence[str] | None) -> Plan:
        """What `up` would change."""
        compared = self._compared()
        return compared.plan(self.stack.with_needs(self.stack.named(names)), everything=names is None)

    def up(self, names: Sequence[str] | None, *, wait: bool, on_event: OnEvent) -> None:
        """Bring up these and those that they need.

        Raises:
            NoEngineError: There is no Docker to work with, or a Compose that is too old.
            DiagnosticsError: Variables are not set that they refer to.
            UsageError: Somebody else has the port of one.
            ServiceError: One failed or is not ready in time; those that don't need it are up.
        """
        compared = self._compared(choose=True)
        seen, order = compared.seen, self.stack.with_needs(self.stack.named(names))
        plan = compared.plan(order, everything=names is None)
        if not plan and not seen.leftovers and all(seen.state(name) is State.RUNNING for name in order):
            for name in order:
                on_event(ServiceEvent(name, "unchanged"))
            return
        self.stack.engine.check()
        if seen.leftovers:
            with self.stack.compose.turn():
                heal(self.stack)
        for name in sorted(seen.containers):
            if any(change.address == f"service:{name}" and change.action is Action.DELETE for change in plan.changes):
                remove(self.stack, name, seen, on_event)
        changed = {change.address.partition(":")[2] for change in plan.changes}
        ensure_image(self.stack, [name for name in order if name in changed], compared.content, on_event)
        Bringing(self.stack, self._observer, order, plan, seen, on_event).run(wait=wait)

    def down(self, names: Sequence[str] | None, *, volumes: bool, on_event: OnEvent) -> None:
        """Take down these and those that need them; with None orphans and the network as well.

        Raises:
            DockerError: Something is still in use by a container of somebody else.
        """
        self.stack.engine.check()
        everything = names is None
        with self.stack.compose.turn():
            seen = self._observer.see()
            leaving = self.stack.with_dependents(self.stack.named(names))
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
        if any(one.is_alive for one in self._observer.see().containers.get(name, ())):
            on_event(ServiceEvent(name, "stopping"))
            stop(self.stack, name)
            on_event(ServiceEvent(name, "stopped", time.monotonic() - began))

    def remove(self, names: Sequence[str], *, on_event: OnEvent) -> None:
        """Remove the containers of services that the manifest has no more."""
        self.stack.engine.check()
        with self.stack.compose.turn():
            seen = self._observer.see()
            if any(left.name in names for left in seen.leftovers):
                heal(self.stack)
            for name in names:
                remove(self.stack, name, seen, on_event)

    def has_data(self, name: str) -> bool:
        """Whether there is a volume of the service."""
        return has_volumes(self.stack, name)

    def state(self, name: str) -> State:
        """How one is, without comparing it with what it should be."""
        kind = next((service.kind for service in self.stack.topology.services if service.name == name), "process")
        if kind != "process":
            return State(kind)
        with self.stack.engine.explained():
            return self._observer.see().state(name)

    def status(self, names: Sequence[str] | None) -> tuple[ServiceStatus, ...]:
        """How they are, in the topology's order; orphans last, with None."""
        with self.stack.engine.explained():
            seen = self._observer.see()
        differs: set[str] = set()
        with contextlib.suppress(PulpoError):  # what the file would be can't be told: `up` says why
            if seen.containers:
                differs = self._compared().differing()
        asked = [d for d in self.stack.every if names is None or d.name in names]
        found = [status_of(self.stack, d, seen, d.name in differs) for d in asked]
        if names is None:
            found += [
                status_of(self.stack, name, seen) for name in sorted(seen.containers.keys() - self.stack.definitions.keys())
            ]
        return tuple(found)

    def logs(
        self, names: Sequence[str] | None, *, tail: int | None, since: dt.datetime | None, follow: bool
    ) -> Iterator[ServiceLine]:
        """Their lines, merged by time, the last `tail` of each; with `follow` each new one as well, until this is closed."""
        self.stack.engine.check()
        read = container_logs.followed if follow else container_logs.merged
        return read(self.stack, self.stack.named(names), tail=tail, since=since)

    def build(self, *, on_event: OnEvent) -> str | None:
        """Make the project's image; its name, or None where no service runs from it.

        Raises:
            NoEngineError: There is no Docker to work with.
            ServiceError: It could not be made; the message has the last lines of what was said.
        """
        self.stack.engine.check()
        self._files.write(self._observer.containers, choose=True)
        return build_image(self.stack, content_digest(self.stack), on_event) if self.stack.runs_project else None

    def _compared(self, *, choose: bool = False) -> Comparison:
        """What is there, beside what it should be. What waits for no other answer is asked at the same time.

        With `choose` ports are chosen anew that somebody else took.
        """
        with self.stack.engine.explained(), ThreadPoolExecutor(3) as others:
            _ = self.stack.name  # each of them needs it, and asks for it where it is not known
            observing = others.submit(named_like, self.stack.engine, self.stack.name)
            self._files.write(observing.result, choose=choose)
            hashing = others.submit(self.stack.compose.hashes)
            reading = others.submit(content_digest, self.stack) if self.stack.runs_project else None
            found = without_others(self.stack, observing.result())
            images = image_ids(self.stack.engine, [one.image_name for one in found])
            seen, hashes = self._observer.judge(found), hashing.result()
            if self.stack.definitions.keys() - hashes.keys():
                self.stack.engine.check()
            made = self._made() if any(hashes.get(one.service, one.config_hash) != one.config_hash for one in found) else {}
        return Comparison(self.stack.definitions, seen, hashes, images, reading.result() if reading else "", made)

    def _made(self) -> dict[str, Made]:
        """What Compose would make containers from now; asked only where one differs, to tell what of it."""
        found = {name: made_from_file(entry) for name, entry in self.stack.compose.configured().items()}
        return {name: made for name, made in found.items() if made is not None}
