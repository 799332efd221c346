"""The containers of a project as one stack: what it is called, its services and its files, and how Compose is called for it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pulpo.apply.services.containers import DIRECTORY, NETWORK, SERVICE, VOLUME
from pulpo.apply.services.engine import DockerError
from pulpo.compile.compose import CONTENT_VARIABLE, ENVIRONMENT_LABEL, IMAGE_VARIABLE, PROJECT_LABEL
from pulpo.compile.containers import COMPOSE
from pulpo.compile.dockerfile import image_name
from pulpo.compile.topology import Role, ServiceDefinition

if TYPE_CHECKING:
    from pulpo.apply.services.engine import Engine
    from pulpo.compile.topology import Topology

#: A user's own, beside the lock; Compose lays it over what was compiled.
OVERRIDE: Final = "docker-compose.override.yml"
#: The sections of a Compose file, and the labels in which Compose says the entry of one that something was made from.
_KINDS: Final = {"services": SERVICE, "volumes": VOLUME, "networks": NETWORK}


@dataclass(frozen=True, slots=True)
class Compose:
    """Docker Compose as it is called for one stack."""

    engine: Engine
    #: What it calls the stack: containers, networks and volumes have this in their labels.
    project: str
    files: tuple[Path, ...]
    #: `run_cache`, where the first of the files is.
    directory: Path
    #: The ports of this machine that were chosen, by the variables that the file has for them.
    ports: Mapping[str, str]
    #: The image that the project's own services run from.
    image: str

    @property
    def environment(self) -> dict[str, str]:
        """What the files need to know that is different on each machine."""
        return {"COMPOSE_PROJECT_NAME": self.project, IMAGE_VARIABLE: self.image, **self.ports}

    def run(self, *arguments: str) -> str:
        """What it prints.

        Raises:
            DockerError: It failed.
        """
        return self.engine.run(*self._command, *arguments, environment=self.environment, directory=self.directory)

    def lines(self, *arguments: str, content: str = "") -> contextlib.AbstractContextManager[Iterator[str]]:
        """The lines that it prints, as they come; see `Engine.lines`. An image that it makes is labelled with `content`."""
        environment = {**self.environment, CONTENT_VARIABLE: content}
        return self.engine.lines(*self._command, *arguments, environment=environment, directory=self.directory)

    def hashes(self) -> dict[str, str]:
        """What it makes of each service of the files, and labels containers with; one that is too old prints nothing."""
        words = (line.split() for line in self.run("config", "--hash", "*").splitlines())
        return {pair[0]: pair[1] for pair in words if len(pair) == 2}  # noqa: PLR2004 - a name and a hash

    def configured(self) -> dict[str, Any]:
        """The services of the files as it makes them, with the values of variables: not for people."""
        text = self.run("config", "--format", "json").replace("$$", "$")  # it prints what it could read again
        services: dict[str, Any] = json.loads(text)["services"]
        return services

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Within it no other command of this project makes or removes containers; waits for the one that does."""
        directory = self.directory / "services"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (directory / "docker.turn").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def _command(self) -> tuple[str, ...]:
        options = [word for file in self.files for word in ("--file", str(file))]
        return ("compose", "--project-name", self.project, *options, "--ansi", "never")


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
    #: The image that the project's own services run from, with its tag, where the manifest names it.
    named_image: str | None = None
    #: The variables that the name of its base image refers to, sorted.
    arguments: tuple[str, ...] = ()
    #: See `Compose`; filled when they are chosen.
    ports: dict[str, str] = field(default_factory=dict)

    @cached_property
    def is_remote(self) -> bool:
        """Whether it is another machine's; see `Engine.is_remote`."""
        return self.engine.is_remote

    @cached_property
    def name(self) -> str:
        """What Compose calls it.

        Raises:
            NoEngineError: There is no `docker`, or no such context.
        """
        return self.title + self._checkout

    @cached_property
    def image(self) -> str:
        """The image that the project's own services run from, with its tag.

        Raises:
            NoEngineError: There is no `docker`, or no such context.
        """
        name, _, tag = image_name(self.topology).partition(":")
        return self.named_image or f"{name}{self._checkout}:{tag or 'latest'}"

    @cached_property
    def runs_project(self) -> bool:
        """Whether some of its services run from the project's image."""
        return any(definition.image is None for definition in self.definitions.values())

    @cached_property
    def compose(self) -> Compose:
        """How Compose is called for it."""
        override = self.root / OVERRIDE
        files = (self.cache / COMPOSE, *([override] if override.exists() else []))
        return Compose(self.engine, self.name, files, self.cache, self.ports, self.image)

    @cached_property
    def definitions(self) -> dict[str, ServiceDefinition]:
        """The services that run as containers, in the topology's order, and then those that only the user's override has."""
        found = {d.name: d for d in self.topology.services if d.kind == "process"}
        return found | {name: ServiceDefinition(name, Role.OWN, image="") for name in self._of_override if name not in found}

    @property
    def every(self) -> list[ServiceDefinition]:
        """All services: those that are no containers as well."""
        return [*self.topology.services, *(d for name, d in self.definitions.items() if name in self._of_override)]

    def named(self, names: Sequence[str] | None) -> Sequence[str]:
        """These; all, those of the user's override as well, where that is meant."""
        return list(self.definitions) if names is None else names

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

    @cached_property
    def _checkout(self) -> str:
        """Of this machine's own engine, from which checkout it is, so that two of them don't get in each other's way."""
        return "" if self.is_remote else f"-{hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:6]}"

    def is_own(self, labels: Mapping[str, str]) -> bool:
        """Whether what has these labels of Pulpo's and Compose's was made for this project in its environment.

        The name of a stack alone does not say it: somebody else's may be called the same. What only the user's override has
        carries no label of Pulpo's: it is told by the file that it was made from, or by being in the override now.
        """
        if labels.get(PROJECT_LABEL):
            whose = (labels[PROJECT_LABEL], labels.get(ENVIRONMENT_LABEL) or None)
            return whose == (self.topology.project, self.topology.environment or None)
        if labels.get(DIRECTORY) == str(self.cache):
            return True
        entries = [self._merged.get(kind, {}).get(labels.get(label, "")) for kind, label in _KINDS.items()]
        return any(entry is not None and PROJECT_LABEL not in (entry.get("labels") or ()) for entry in entries)

    @cached_property
    def _of_override(self) -> list[str]:
        return sorted(self._merged.get("services", {}).keys() - {service.name for service in self.topology.services})

    @cached_property
    def _merged(self) -> dict[str, dict[str, Any]]:
        """What Compose makes of the compiled file with the user's override of it; empty where there is no override."""
        if not (self.root / OVERRIDE).exists() or not (self.cache / COMPOSE).exists():
            return {}
        with contextlib.suppress(DockerError):  # `up` says what is wrong with the file
            found: dict[str, dict[str, Any]] = json.loads(self.compose.run("config", "--format", "json"))
            return found
        return {}
