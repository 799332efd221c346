"""How services that are containers are, as it is told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.containers import why
from pulpo.apply.services.status import ServiceStatus, State
from pulpo.manifest.addresses import reached_at

if TYPE_CHECKING:
    from pulpo.apply.services.containers import Container
    from pulpo.apply.services.stack import Seen, Stack
    from pulpo.compile.topology import ServiceDefinition

_LINES: Final = 10
_WRONG: Final = (State.FAILED, State.UNREADY, State.RESTARTING)


def status_of(stack: Stack, service: ServiceDefinition | str, seen: Seen, differs: bool = False) -> ServiceStatus:
    """How a service is; one that is only a name is no service of the manifest any more."""
    definition = None if isinstance(service, str) else service
    name = service if isinstance(service, str) else service.name
    if definition is not None and definition.kind != "process":
        return ServiceStatus(name, State(definition.kind))
    several = seen.containers.get(name, ())
    if not several:
        return ServiceStatus(name, State.ABSENT, replicas=definition.replicas if definition else 1)
    state = seen.state(name)
    now = dt.datetime.now(dt.UTC)
    one = next((c for c in several if stack.state(c, now) is state), several[0])
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
        lines=tuple(stack.last_lines(one, _LINES)) if state in _WRONG else (),
    )


def _addresses(stack: Stack, several: Sequence[Container], definition: ServiceDefinition | None) -> tuple[str, ...]:
    """Sorted by port; none on another machine, of whose ports it is not known how they are reached from here."""
    found: dict[int, str] = {}
    if stack.engine.is_remote:
        return ()
    http = definition.probe.port if definition and definition.probe and definition.probe.kind == "http" else None
    for host, outer, inner in (port for c in several for port in c.ports):
        where = reached_at(host or "0.0.0.0")  # noqa: S104 - as Docker says it
        shown = f"[{where}]:{outer}" if ":" in where else f"{where}:{outer}"
        found[outer] = f"http://{shown}" if inner == http else shown
    return tuple(found[outer] for outer in sorted(found))
