"""What runs of a topology as processes of this machine, beside what is to run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.instances import Instance, Instances, service_of
from pulpo.apply.services.made import UNTOLD
from pulpo.apply.services.observed import made_of, most_urgent, observed, status_of
from pulpo.apply.services.plan import Wanted, plan_services, told
from pulpo.apply.services.status import ServiceStatus, State
from pulpo.errors import DiagnosticsError
from pulpo.manifest.addresses import reached_at

if TYPE_CHECKING:
    from pulpo.apply.change import Plan
    from pulpo.compile.topology import ServiceDefinition
    from pulpo.services.local import LocalServices
    from pulpo.services.state import ServiceState

#: Where neither what the manifest says of a service nor a variable that it refers to changed.
_OTHERWISE: Final = "started otherwise: by an option, a variable of the shell, a port that was chosen, or another Python or Pulpo"


@dataclass(frozen=True, slots=True)
class LocalView:
    """Looks, and changes nothing."""

    instances: Instances
    #: Whether the definitions say what is to run; else nothing differs from them.
    compares: bool = True

    def states(self) -> dict[str, ServiceState]:
        """Of all that was ever started here, sorted by name."""
        services = self._services
        return {name: state for name in services.names() if (state := services.state(name)) is not None}

    def plan(self, wanted: Sequence[Instance], states: Mapping[str, ServiceState], *, everything: bool) -> Plan:
        """What changes so that the instances that are wanted run; where everything is meant, orphans end."""
        digests = {i.name: i.service.digest for i in wanted}
        found = {name: observed(state, self._services, digests.get(name)) for name, state in states.items()}
        orphans = self._orphans(states, wanted) if everything else _surplus(states, wanted)
        plan = plan_services(list(map(_wanted, wanted)), found, orphans=orphans)
        others = [
            n for n, seen in found.items() if seen.runs and n not in digests and service_of(n) in self.instances.definitions
        ]
        return told(plan, {n: sorted(self.instances.needs(service_of(n))) for n in others})

    def status(self, names: Sequence[str], *, everything: bool) -> tuple[ServiceStatus, ...]:
        """How they are, in the topology's order; orphans last, where everything is meant."""
        states, wanted = self.states(), self._comparable(names)
        found = [self._status(d, states, wanted) for name, d in self.instances.definitions.items() if name in names]
        if everything:
            found += [replace(status_of(states[n], self._services), orphan=True) for n in self._orphans(states, wanted)]
        return tuple(found)

    @property
    def _services(self) -> LocalServices:
        return self.instances.services

    def _orphans(self, states: Mapping[str, ServiceState], wanted: Sequence[Instance]) -> list[str]:
        running = {d.name for d in self.instances.definitions.values() if d.kind == "process"}
        gone = [name for name, state in states.items() if not state.status.over and service_of(name) not in running]
        return sorted({*gone, *_surplus(states, wanted)})

    def _comparable(self, names: Sequence[str]) -> list[Instance]:
        """What is to run, as far as it can be known: without the services whose variables are not set here."""
        found: list[Instance] = []
        for name in names if self.compares else ():
            try:
                found += [i for i in self.instances.wanted([name], choose=False) if i.definition.name == name]
            except DiagnosticsError:
                continue
        return found

    def _status(
        self, definition: ServiceDefinition, states: Mapping[str, ServiceState], wanted: Sequence[Instance]
    ) -> ServiceStatus:
        name, project = definition.name, self.instances.project
        if definition.kind == "elsewhere":
            return ServiceStatus(name, State.ELSEWHERE, (definition.uri,) if definition.uri else ())
        if definition.kind == "embedded":
            return ServiceStatus(name, State.EMBEDDED, (os.path.relpath(project.store_path, project.root),))
        mine = {n: s for n, s in states.items() if service_of(n) == name}
        if not mine:
            return ServiceStatus(name, State.ABSENT, replicas=definition.replicas)
        shown = most_urgent([status_of(state, self._services) for state in mine.values()])
        digests = {i.name: i.service.digest for i in wanted if i.definition.name == name}
        differs = any(not s.status.over and digests.get(n, s.digest) != s.digest for n, s in mine.items())
        scheme = "http://" if definition.probe and definition.probe.kind == "http" else ""
        addresses = tuple(dict.fromkeys(scheme + _reached(where) for state in mine.values() for where in state.addresses))
        return replace(shown, name=name, addresses=addresses, differs=differs, replicas=definition.replicas)


def _wanted(instance: Instance) -> Wanted:
    service = instance.service
    return Wanted(instance.name, {UNTOLD: service.digest}, tuple(sorted(instance.needs)), made_of(service), _OTHERWISE)


def _reached(address: str) -> str:
    """Where this machine reaches what listens on an address as states have it."""
    host, _, port = address.rpartition(":")
    found = reached_at(host)
    return f"[{found}]:{port}" if ":" in found else f"{found}:{port}"


def _surplus(states: Mapping[str, ServiceState], wanted: Sequence[Instance]) -> list[str]:
    """Replicas that run and are more than their service has."""
    services, names = {i.definition.name for i in wanted}, {i.name for i in wanted}
    return [n for n, state in states.items() if not state.status.over and service_of(n) in services and n not in names]
