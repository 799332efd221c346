"""The containers of a project as one stack: its Compose file, what it is called, what is wanted of it and what was found."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulpo.apply.change import Action
from pulpo.apply.services import containers as c
from pulpo.apply.services.engine import DockerError
from pulpo.apply.services.plan import MANIFEST, Observed, Wanted, plan_services, told
from pulpo.apply.services.status import State
from pulpo.compile.containers import COMPOSE
from pulpo.compile.topology import Role, ServiceDefinition

if TYPE_CHECKING:
    from pulpo.apply.change import Plan
    from pulpo.apply.services.containers import Container
    from pulpo.apply.services.engine import Engine
    from pulpo.compile.topology import Topology

#: A user's own, beside the lock; Compose lays it over what was compiled.
OVERRIDE: Final = "docker-compose.override.yml"
REBUILT: Final = "its image was made anew"
SCALED: Final = "another number of it runs"
#: Of several containers of one service, the state that is told.
_WORST: Final = (
    State.FAILED, State.UNREADY, State.RESTARTING, State.STARTING, State.STOPPING, State.STOPPED, State.EXITED, State.RUNNING,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """The containers of a stack at one moment; those that a killed `up` left are apart."""

    containers: Mapping[str, tuple[Container, ...]]
    states: Mapping[str, State]
    leftovers: tuple[Container, ...]

    def state(self, name: str) -> State:
        """How a service is."""
        return self.states.get(name, State.ABSENT)


@dataclass(frozen=True)
class Stack:
    """The stack of one project on one engine."""

    engine: Engine
    #: What it is called on an engine that is for it alone.
    title: str
    topology: Topology
    #: `run_cache`, where the Compose file is, and the project's directory, where the user's override of it may be.
    cache: Path
    root: Path
    #: The image that the project's own services run from, with its tag.
    image: str
    #: The ports of this machine that were chosen, by the variables that the file has for them.
    ports: dict[str, str] = field(default_factory=dict)
    #: Brings the file up to date, and chooses ports.
    write: Callable[[], None] = lambda: None

    @cached_property
    def name(self) -> str:
        """What Compose calls it: its containers, networks and volumes have this in their labels.

        On this machine's own engine it tells from which checkout it is, so that two of them don't get in each other's way.

        Raises:
            NoEngineError: There is no `docker`, or no such context.
        """
        if self.engine.is_remote:
            return self.title
        return f"{self.title}-{hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:6]}"

    @property
    def environment(self) -> dict[str, str]:
        """What the file needs to know that is different on each machine."""
        return {"COMPOSE_PROJECT_NAME": self.name, **self.ports}

    @cached_property
    def definitions(self) -> dict[str, ServiceDefinition]:
        """The services that run as containers, in the topology's order, and then those that only the user's override has."""
        found = {d.name: d for d in self.topology.services if d.kind == "process"}
        return found | {name: ServiceDefinition(name, Role.OWN, image="") for name in self._of_override if name not in found}

    @property
    def every(self) -> list[ServiceDefinition]:
        """All services: those that are no containers as well."""
        return [*self.topology.services, *(d for name, d in self.definitions.items() if name in self._of_override)]

    @cached_property
    def _of_override(self) -> list[str]:
        known = {service.name for service in self.topology.services}
        if not (self.root / OVERRIDE).exists() or not (self.cache / COMPOSE).exists():
            return []
        with contextlib.suppress(DockerError):  # `up` says what is wrong with the file
            return sorted(set(self.run_compose("config", "--services").split()) - known)
        return []

    @cached_property
    def _matched(self) -> set[tuple[str, dt.datetime | None, str]]:
        return set()

    @property
    def compose(self) -> tuple[str, ...]:
        """How a call of Compose begins."""
        override = self.root / OVERRIDE
        files = [self.cache / COMPOSE, *([override] if override.exists() else [])]
        options = [word for file in files for word in ("--file", str(file))]
        return ("compose", "--project-name", self.name, *options, "--ansi", "never")

    def run_compose(self, *arguments: str) -> str:
        """What Compose prints.

        Raises:
            DockerError: It failed.
        """
        return self.engine.run(*self.compose, *arguments, environment=self.environment, directory=self.cache)

    def lines(self, *arguments: str) -> contextlib.AbstractContextManager[Iterator[str]]:
        """The lines that Compose prints, as they come; see `Engine.lines`."""
        return self.engine.lines(*self.compose, *arguments, environment=self.environment, directory=self.cache)

    def hashes(self) -> dict[str, str]:
        """What Compose makes of each service of the file; it labels containers with it."""
        words = (line.split() for line in self.run_compose("config", "--hash", "*").splitlines())
        found = {pair[0]: pair[1] for pair in words if len(pair) == 2}  # noqa: PLR2004 - a name and a hash
        if self.definitions.keys() - found.keys():
            self.engine.check()  # one that is too old prints nothing
        return found

    def see(self) -> Seen:
        """Look at all containers of the stack."""
        found = c.observe(self.engine, self.name)
        by_service: dict[str, list[Container]] = {}
        for container in found:
            if not container.is_leftover:
                by_service.setdefault(container.service, []).append(container)
        now = dt.datetime.now(dt.UTC)
        states = {name: min((self.state(one, now) for one in several), key=_WORST.index) for name, several in by_service.items()}
        leftovers = tuple(one for one in found if one.is_leftover)
        return Seen({name: tuple(several) for name, several in by_service.items()}, states, leftovers)

    def state(self, container: Container, now: dt.datetime) -> State:
        """How a container is."""
        return c.state_of(container, self.definitions.get(container.service), now, self._logged)

    def plan(self, names: Sequence[str], seen: Seen) -> Plan:
        """What `up` of the services would change; see `pulpo.apply.services.driver`."""
        names = self.with_needs(names)
        hashes, images = self.hashes(), self._images(seen)
        wanted = [self._wanted(name, hashes, images) for name in names]
        observed = {name: Observed(seen.state(name), self._marks(seen, name, images)) for name in seen.containers}
        orphans = sorted(seen.containers.keys() - self.definitions.keys()) if len(names) == len(self.definitions) else []
        others = [d for n, d in self.definitions.items() if n not in names and observed.get(n, Observed(State.ABSENT)).runs]
        plan = plan_services(wanted, observed, orphans=orphans)
        return told(plan, {d.name: [need.service for need in d.needs] for d in others})

    def differs(self, seen: Seen) -> set[str]:
        """The services whose containers are not what the manifest says."""
        hashes, images = self.hashes(), self._images(seen)
        return {
            name
            for name in self.definitions.keys() & seen.containers.keys()
            if any(self._marks(seen, name, images).get(k, v) != v for k, v in self._wanted(name, hashes, images).marks.items())
        }

    def with_needs(self, names: Iterable[str]) -> list[str]:
        """These and all that they need, in the topology's order."""
        found: set[str] = set()
        waiting = [name for name in names if name in self.definitions]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [need.service for need in self.definitions[name].needs if need.service in self.definitions]
        return [name for name in self.definitions if name in found]

    def with_dependents(self, names: Iterable[str]) -> list[str]:
        """These and all that need them, those first that others need last."""
        found = set(names)
        for name, definition in self.definitions.items():
            if any(need.service in found for need in definition.needs):
                found.add(name)
        return [name for name in reversed(self.definitions) if name in found]

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Within it no other command of this project calls Compose; waits for the one that does."""
        directory = self.cache / "services"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (directory / "docker.turn").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def last_lines(self, container: Container, count: int) -> list[str]:
        """The last lines of a container's log."""
        try:
            with self.engine.lines("logs", "--tail", str(count), container.id) as lines:
                return list(lines)[-count:]
        except DockerError:
            return []

    def _wanted(self, name: str, hashes: Mapping[str, str], images: Mapping[str, str]) -> Wanted:
        definition = self.definitions[name]
        marks = {MANIFEST: hashes.get(name, ""), REBUILT: images.get(name, ""), SCALED: str(definition.replicas)}
        return Wanted(name, {k: v for k, v in marks.items() if v}, tuple(sorted(need.service for need in definition.needs)))

    def _images(self, seen: Seen) -> dict[str, str]:
        """The id that the image of each service has now, where it is there."""
        asked = {name: several[0].image_name for name, several in seen.containers.items()}
        found = c.image_ids(self.engine, list(asked.values()))
        return {name: found[image] for name, image in asked.items() if image in found}

    def _marks(self, seen: Seen, name: str, images: Mapping[str, str]) -> dict[str, str]:
        """Of several containers, the mark of one that is not as wanted is told."""
        several = seen.containers[name]
        hashes = {one.config_hash for one in several}
        ids = {one.image for one in several}
        wanted = images.get(name)
        return {
            MANIFEST: next(iter(hashes)) if len(hashes) == 1 else "several",
            REBUILT: next(iter(ids - {wanted}), wanted or ""),
            SCALED: str(len(several)),
        }

    def _logged(self, container: Container, pattern: str) -> bool:
        key = (container.id, container.started, pattern)
        if key not in self._matched:
            since = ["--since", container.ended.isoformat()] if container.ended else []
            expression = re.compile(pattern)
            with self.engine.lines("logs", *since, container.id) as lines:
                if any(expression.search(line) for line in lines):
                    self._matched.add(key)
        return key in self._matched


def replaced(plan: Plan) -> set[str]:
    """The names of the services that are made anew for what they need, and not for themselves: Compose has to be told."""
    own = {MANIFEST, REBUILT, SCALED}
    return {
        change.address.partition(":")[2] for change in plan.changes if change.action is Action.REPLACE and change.cause not in own
    }
