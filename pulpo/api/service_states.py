"""How services are, as the API can see it: as `pulpo status` does, or, from inside a container, by asking them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from pulpo.api.command_line import in_container
from pulpo.apply.services.mode import Mode, chosen_mode
from pulpo.apply.services.status import ServiceStatus, State
from pulpo.codes.credentials import masked
from pulpo.errors import DiagnosticsError, PulpoError
from pulpo.manifest.addresses import reached_at
from pulpo.services.state import MARK

if TYPE_CHECKING:
    from pulpo.api.context import Context
    from pulpo.apply.services.driver import Driver
    from pulpo.compile.topology import ServiceDefinition, Topology
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

#: Seconds for which a look is good: pages ask every few seconds, each of them.
_FRESH: Final = 1.0
#: Seconds in which a service answers over the network of containers, or does not.
_PATIENCE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Told:
    """How services were at one moment."""

    mode: Literal["local", "docker", "container"] | None
    #: By name, as `pulpo status --format json` has them, without passwords; only of those that are enabled.
    statuses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Why they can't be told.
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class World:
    """The services of a project that this process reaches."""

    project: Project
    manifest: Manifest
    document: Document
    mode: Mode

    @classmethod
    def of(cls, context: Context) -> World:
        """That of a context with a checkout. A process that Pulpo started has others like it beside it, whatever the lock says.

        Raises:
            UsageError: PULPO_MODE is none.
        """
        assert context.project is not None  # noqa: S101 - see above
        assert context.document is not None  # noqa: S101
        mode: Mode = "local" if MARK in os.environ else chosen_mode(context.manifest).mode
        return cls(context.project, context.manifest, context.document, mode)

    def driver(self, environ: Mapping[str, str]) -> Driver:
        """What looks at them; processes are compared with what they would be with these environment variables.

        Raises:
            DiagnosticsError: The services break a rule.
        """
        if self.mode == "docker":
            from pulpo.apply.services.docker import DockerDriver

            return DockerDriver(self.project, self.manifest, self.document, self.topology())
        from pulpo.apply.services.local import LocalDriver

        return LocalDriver(self.project, self.topology(), locate=self.document.locate, environ=environ)

    def topology(self) -> Topology:
        """What they are.

        Raises:
            DiagnosticsError: They break a rule.
        """
        from pulpo.compile.topology import topology

        return topology(self.manifest, environment=self.project.environment)


class States:
    """Looks at services, once for all who ask within a second."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._busy = asyncio.Lock()
        self._last: tuple[float, Context, Told] | None = None
        self._driver: tuple[Manifest, Driver] | None = None

    async def now(self, context: Context) -> Told:
        """How they are, a second ago at the most. What keeps them from being told is told."""
        async with self._busy:
            if self._last is not None and self._last[1] is context and time.monotonic() - self._last[0] < _FRESH:
                return self._last[2]
            told = await self._look(context)
            self._last = (time.monotonic(), context, told)
            return told

    def forget(self) -> None:
        """Let the next one look anew."""
        self._last = None

    async def _look(self, context: Context) -> Told:
        if context.project is None or context.document is None:
            return Told(None)
        if in_container(context):
            return await _asked(context.manifest)
        try:
            world = World.of(context)
            return Told(world.mode, await asyncio.to_thread(self._seen, world))
        except DiagnosticsError as error:
            return Told(None, problem="; ".join(diagnostic.message for diagnostic in error.diagnostics))
        except PulpoError as error:
            return Told(None, problem=error.message)

    def _seen(self, world: World) -> dict[str, Mapping[str, Any]]:
        if self._driver is None or self._driver[0] is not world.manifest:
            self._driver = (world.manifest, world.driver(self._environ))
        return {status.name: _plain(status) for status in self._driver[1].status(None)}


def _plain(status: ServiceStatus) -> dict[str, Any]:
    data = {**asdict(status), "state": status.state.value, "addresses": list(status.addresses), "lines": list(status.lines)}
    return {key: masked(value) for key, value in data.items()}


async def _asked(manifest: Manifest) -> Told:
    """What services of the same network answer."""
    from pulpo.compile.topology import topology

    try:
        definitions = topology(manifest, written=True).services
    except PulpoError as error:
        return Told("container", problem=error.message)
    states = await asyncio.gather(*map(_answers, definitions))
    found = {d.name: {**_plain(_status(d)), "state": state} for d, state in zip(definitions, states, strict=True)}
    return Told("container", found)


def _status(definition: ServiceDefinition) -> ServiceStatus:
    if definition.kind != "process":
        where = (definition.uri,) if definition.uri else ()
        return ServiceStatus(definition.name, State(definition.kind), where)
    scheme = "http://" if definition.probe and definition.probe.kind == "http" else ""
    known = [port for port in definition.ports if port.outer is not None and not port.outer_text]
    addresses = tuple(f"{scheme}{_bracketed(reached_at(port.address))}:{port.outer}" for port in known)
    return ServiceStatus(definition.name, State.RUNNING, addresses, replicas=definition.replicas)


async def _answers(definition: ServiceDefinition) -> str:
    if definition.kind != "process":
        return definition.kind
    port = next((port.port for port in definition.ports if port.port > 0), None)
    if port is None:
        return "unknown"
    with contextlib.suppress(OSError):  # a time-out is one as well
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(definition.name, port)
            writer.close()
            return "running"
    return "unreachable"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
