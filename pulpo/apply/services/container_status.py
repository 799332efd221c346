"""How services that are containers are: seen at one moment, and told."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.container_logs import last_lines
from pulpo.apply.services.containers import observe, state_of, why
from pulpo.apply.services.status import ServiceStatus, State
from pulpo.manifest.addresses import reached_at

if TYPE_CHECKING:
    from pulpo.apply.services.containers import Container
    from pulpo.apply.services.stack import Stack
    from pulpo.compile.topology import ServiceDefinition

_LINES: Final = 10
_WRONG: Final = (State.FAILED, State.UNREADY, State.RESTARTING)
#: Of several containers of one service, the state that is told.
_WORST: Final = (
    State.FAILED, State.UNREADY, State.RESTARTING, State.STARTING, State.STOPPING, State.STOPPED, State.EXITED, State.RUNNING,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """The containers of a stack at one moment; those that a killed `up` left are apart."""

    #: By service; those first that are in the state that is told of it.
    containers: Mapping[str, tuple[Container, ...]]
    states: Mapping[str, State]
    leftovers: tuple[Container, ...]

    def state(self, name: str) -> State:
        """How a service is."""
        return self.states.get(name, State.ABSENT)


class Observer:
    """Looks at a stack, again and again: a line of a log that was seen need not be looked for in the next look."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._matched: set[tuple[str, dt.datetime | None, str]] = set()

    def see(self) -> Seen:
        """Look at all containers of the stack.

        Raises:
            DockerError: The engine refused.
        """
        return self.judge(self.containers())

    def containers(self) -> tuple[Container, ...]:
        """The containers of the stack, as the engine has them; see `see`."""
        return observe(self._stack)

    def judge(self, found: Sequence[Container]) -> Seen:
        """What containers that were observed a moment ago mean; it may read their logs."""
        now = dt.datetime.now(dt.UTC)
        by_service: dict[str, list[tuple[int, Container]]] = {}
        for container in found:
            if not container.is_leftover:
                state = state_of(container, self._stack.definitions.get(container.service), now, self._logged)
                by_service.setdefault(container.service, []).append((_WORST.index(state), container))
        for several in by_service.values():
            several.sort(key=lambda one: one[0])
        return Seen(
            {name: tuple(container for _, container in several) for name, several in by_service.items()},
            {name: _WORST[several[0][0]] for name, several in by_service.items()},
            tuple(one for one in found if one.is_leftover),
        )

    def _logged(self, container: Container, pattern: str) -> bool:
        key = (container.id, container.started, pattern)
        if key not in self._matched:
            since = ["--since", container.ended.isoformat()] if container.ended else []
            expression = re.compile(pattern)
            with self._stack.engine.lines("logs", *since, container.id) as lines:
                if any(expression.search(line) for line in lines):
                    self._matched.add(key)
        return key in self._matched


def status_of(stack: Stack, service: ServiceDefinition | str, seen: Seen, differs: bool = False) -> ServiceStatus:
    """How a service is; one that is only a name is no service of the manifest any more."""
    definition = None if isinstance(service, str) else service
    name = service if isinstance(service, str) else service.name
    if definition is not None and definition.kind != "process":
        return ServiceStatus(name, State(definition.kind))
    several = seen.containers.get(name, ())
    if not several:
        return ServiceStatus(name, State.ABSENT, replicas=definition.replicas if definition else 1)
    state, one = seen.state(name), several[0]
    return ServiceStatus(
        name,
        state,
        addresses=_addresses(stack, several, definition),
        since=one.started,
        container=one.name,
        restarts=max(c.restarts for c in several),
        exit_code=one.exit_code if one.status in ("exited", "restarting", "dead") else None,
        differs=differs,
        orphan=definition is None,
        replicas=len(several),
        error=why(one, state),
        lines=tuple(last_lines(stack.engine, one, _LINES)) if state in _WRONG else (),
    )


def _addresses(stack: Stack, several: Sequence[Container], definition: ServiceDefinition | None) -> tuple[str, ...]:
    """Sorted by port; none on another machine, of whose ports it is not known how they are reached from here."""
    found: dict[int, str] = {}
    if stack.is_remote:
        return ()
    http = definition.probe.port if definition and definition.probe and definition.probe.kind == "http" else None
    for host, outer, inner in (port for c in several for port in c.ports):
        where = reached_at(host or "0.0.0.0")  # noqa: S104 - as Docker says it
        shown = f"[{where}]:{outer}" if ":" in where else f"{where}:{outer}"
        found[outer] = f"http://{shown}" if inner == http else shown
    return tuple(found[outer] for outer in sorted(found))
