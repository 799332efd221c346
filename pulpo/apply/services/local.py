"""Services as processes of this machine that outlive the command which starts them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pulpo.apply.change import Action, Note
from pulpo.apply.services.instances import Instances, service_of
from pulpo.apply.services.local_data import has_data, remove_data
from pulpo.apply.services.local_view import LocalView
from pulpo.apply.services.local_work import LocalWork
from pulpo.apply.services.plan import address
from pulpo.apply.services.process import check_runnable
from pulpo.apply.services.status import ServiceEvent, ServiceLine, ServiceStatus, State
from pulpo.errors import UsageError
from pulpo.services.local import LocalServices
from pulpo.services.logs import merged
from pulpo.services.state import Status

if TYPE_CHECKING:
    import datetime as dt

    from pulpo.apply.change import Plan
    from pulpo.apply.services.driver import OnEvent
    from pulpo.compile.topology import ServiceDefinition, Topology
    from pulpo.diagnostics import Locate
    from pulpo.settings import Project


class LocalDriver:
    """The services of one project as processes of this machine; see `pulpo.apply.services.driver.Driver`."""

    def __init__(
        self,
        project: Project,
        topology: Topology,
        *,
        locate: Locate = lambda _: None,
        environ: Mapping[str, str] = os.environ,
        compares: bool = True,
    ) -> None:
        """The processes of a project; without `compares` the topology tells only their names, and nothing differs from it."""
        self._project = project
        self._definitions = {definition.name: definition for definition in topology.services}
        self._services = LocalServices(project.cache)
        self._instances = Instances(project, self._definitions, self._services, environ, locate)
        self._view = LocalView(self._instances, compares)

    def plan(self, names: Sequence[str] | None) -> Plan:
        """What `up` would change, addresses `service:NAME`; noted is what this machine lacks for it."""
        wanted = self._instances.wanted(self._all(names), choose=False)
        plan = self._view.plan(wanted, self._view.states(), everything=names is None)
        coming = {change.address for change in plan.changes}
        made = {i.definition.name: i.definition for i in wanted if address(i.name) in coming}
        notes = (*plan.notes, *_lacking(made.values()))
        return replace(plan, notes=tuple(sorted(notes, key=lambda note: note.address)))

    def up(
        self,
        names: Sequence[str] | None,
        *,
        wait: bool,
        on_event: OnEvent,
        environment: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Bring up these and those that they need; `environment` is laid over that of services, by name.

        `on_event` is called by several threads, one at a time for each service.

        Raises:
            DiagnosticsError: Variables are not set that they refer to.
            UsageError: Something is missing that runs one, or somebody else has its port.
            ServiceError: One failed or is not ready in time; those that don't need it are up.
        """
        wanted = self._instances.wanted(self._all(names), choose=True, environment=environment)
        states = self._view.states()
        plan = self._view.plan(wanted, states, everything=names is None)
        if not plan and all(states[i.name].status is Status.RUNNING for i in wanted):
            for instance in wanted:
                on_event(ServiceEvent(instance.name, "unchanged"))
            return
        check_runnable([instance.definition for instance in wanted])
        leaving = {change.address for change in plan.changes if change.action in (Action.REPLACE, Action.DELETE)}
        work = LocalWork(self._instances, on_event)
        work.stop({name: state for name, state in states.items() if address(name) in leaving})
        work.start(wanted, wait=wait)

    def down(self, names: Sequence[str] | None, *, volumes: bool, on_event: OnEvent) -> None:
        """Take down these and those that need them, in reverse order; with None orphans as well."""
        states = self._view.states()
        if names is not None:
            leaving = self._instances.with_dependents(names)
            states = {name: state for name, state in states.items() if service_of(name) in leaving}
        LocalWork(self._instances, on_event).stop(states)
        for name in self._all(names) if volumes else ():
            remove_data(self._project, self._definitions[name])

    def stop(self, name: str, *, on_event: OnEvent) -> None:
        """Stop one alone, with its replicas."""
        states = self._view.states()
        LocalWork(self._instances, on_event).stop({n: state for n, state in states.items() if service_of(n) == name})

    def remove(self, names: Sequence[str], *, on_event: OnEvent) -> None:
        """Stop services, or replicas of one, that the manifest has no more."""
        states = self._view.states()
        LocalWork(self._instances, on_event).stop({name: state for name, state in states.items() if name in names})

    def has_data(self, name: str) -> bool:
        """Whether something lies where a service of this machine keeps its data; the embedded store's file is one's as well."""
        return has_data(self._project, self._definitions[name])

    def state(self, name: str) -> State:
        """How one is."""
        return self._view.status([name], everything=False)[0].state

    def status(self, names: Sequence[str] | None) -> tuple[ServiceStatus, ...]:
        """How they are, in the topology's order; orphans last, with None."""
        return self._view.status(self._all(names), everything=names is None)

    def logs(
        self, names: Sequence[str] | None, *, tail: int | None, since: dt.datetime | None, follow: bool
    ) -> Iterator[ServiceLine]:
        """Their lines, merged by time, of each the last `tail`; with `follow` each new one as well, for ever."""
        asked = self._all(names)
        known = sorted({n for n in self._services.names() if service_of(n) in asked} | set(asked))
        paths = {name: self._services.log_path(name) for name in known}
        for name, line in merged(paths, tail=tail, since=since, follow=follow):
            yield ServiceLine(name, line.time, line.text)

    def build(self, *, on_event: OnEvent) -> str | None:  # noqa: ARG002 - the protocol's
        """None: processes need no image."""
        return None

    def _all(self, names: Sequence[str] | None) -> Sequence[str]:
        """These; all of the topology where that is meant."""
        return list(self._definitions) if names is None else names


def _lacking(definitions: Iterable[ServiceDefinition]) -> Iterator[Note]:
    """Why services can't run on this machine, as `up` would refuse them."""
    for definition in definitions:
        try:
            check_runnable([definition])
        except UsageError as error:
            yield Note(address(definition.name), f"can't be brought up here: {error.message} ({error.hint})")
