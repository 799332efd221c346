"""Services as processes of this machine that outlive the command which starts them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pulpo.apply.change import Action
from pulpo.apply.services.instances import Instance, Instances, service_of
from pulpo.apply.services.observed import most_urgent, observed, status_of
from pulpo.apply.services.plan import MANIFEST, Wanted, address, plan_services, told
from pulpo.apply.services.process import check_runnable, data_directory
from pulpo.apply.services.status import ServiceError, ServiceEvent, ServiceLine, ServiceStatus, State
from pulpo.apply.services.together import NeedsFailedError, Together
from pulpo.compile.topology import Role
from pulpo.errors import DiagnosticsError, PulpoError, UsageError
from pulpo.manifest.addresses import reached_at
from pulpo.services.local import LocalServices
from pulpo.services.logs import merged
from pulpo.services.state import Status

if TYPE_CHECKING:
    import datetime as dt

    from pulpo.apply.change import Plan
    from pulpo.apply.services.driver import OnEvent
    from pulpo.compile.topology import ServiceDefinition, Topology
    from pulpo.diagnostics import Locate
    from pulpo.services.state import ServiceState
    from pulpo.settings import Project

#: Of services that keep their data where Pulpo says.
_KEEPERS: Final = (Role.DB, Role.PREFECT)
#: Of the embedded store's files.
_STORE_SUFFIXES: Final = ("", "-wal", "-shm")


class LocalDriver:
    """The services of one project as processes of this machine; see `pulpo.apply.services.driver.Driver`."""

    def __init__(
        self, project: Project, topology: Topology, *, locate: Locate = lambda _: None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._project = project
        self._definitions = {definition.name: definition for definition in topology.services}
        self._services = LocalServices(project.cache)
        self._instances = Instances(project, self._definitions, self._services, environ, locate)

    def plan(self, names: Sequence[str]) -> Plan:
        """What `up` would change, addresses `service:NAME`."""
        return self._plan(names, self._instances.wanted(names, choose=False), self._states())

    def up(
        self,
        names: Sequence[str],
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
        wanted = self._instances.wanted(names, choose=True, environment=environment)
        states = self._states()
        plan = self._plan(names, wanted, states)
        if not plan and all(states[i.name].status is Status.RUNNING for i in wanted):
            for instance in wanted:
                on_event(ServiceEvent(instance.name, "unchanged"))
            return
        for instance in wanted:
            check_runnable(instance.definition)
        leaving = {change.address for change in plan.changes if change.action in (Action.REPLACE, Action.DELETE)}
        self._stop({name: state for name, state in states.items() if address(name) in leaving}, on_event)
        self._start(wanted, on_event, wait=wait)

    def down(self, names: Sequence[str], *, volumes: bool, on_event: OnEvent) -> None:
        """Take down these and those that need them, in reverse order; where names are all, orphans as well."""
        states, leaving = self._states(), self._instances.with_dependents(names)
        if not self._are_all(names):
            states = {name: state for name, state in states.items() if service_of(name) in leaving}
        self._stop(states, on_event)
        if volumes:
            self._remove_data(names)

    def stop(self, name: str, *, on_event: OnEvent) -> None:
        """Stop one alone, with its replicas."""
        self._stop({n: state for n, state in self._states().items() if service_of(n) == name}, on_event)

    def status(self, names: Sequence[str]) -> tuple[ServiceStatus, ...]:
        """How they are, in the topology's order; orphans last, where names are all."""
        states, wanted = self._states(), self._comparable(names)
        found = [self._status(d, states, wanted) for name, d in self._definitions.items() if name in names]
        if self._are_all(names):
            found += [replace(status_of(states[n], self._services), orphan=True) for n in self._orphans(states, wanted)]
        return tuple(found)

    def logs(self, names: Sequence[str], *, tail: int | None, since: dt.datetime | None, follow: bool) -> Iterator[ServiceLine]:
        """Their lines, merged by time, of each the last `tail`; with `follow` each new one as well, for ever."""
        known = sorted({n for n in self._services.names() if service_of(n) in names} | set(names))
        paths = {name: self._services.log_path(name) for name in known}
        for name, line in merged(paths, tail=tail, since=since, follow=follow):
            yield ServiceLine(name, line.time, line.text)

    def build(self, *, on_event: OnEvent) -> str | None:  # noqa: ARG002 - the protocol's
        """None: processes need no image."""
        return None

    def _states(self) -> dict[str, ServiceState]:
        """Of all that was ever started here, sorted by name."""
        return {name: state for name in self._services.names() if (state := self._services.state(name)) is not None}

    def _plan(self, names: Sequence[str], wanted: Sequence[Instance], states: Mapping[str, ServiceState]) -> Plan:
        found = {name: observed(state) for name, state in states.items()}
        orphans = self._orphans(states, wanted) if self._are_all(names) else _surplus(states, wanted)
        plan = plan_services(
            [Wanted(i.name, {MANIFEST: i.service.digest}, tuple(sorted(i.needs))) for i in wanted], found, orphans=orphans
        )
        asked = {i.name for i in wanted}
        others = [n for n, seen in found.items() if seen.runs and n not in asked and service_of(n) in self._definitions]
        return told(plan, {n: sorted(self._instances.needs(service_of(n))) for n in others})

    def _orphans(self, states: Mapping[str, ServiceState], wanted: Sequence[Instance]) -> list[str]:
        running = {d.name for d in self._definitions.values() if d.kind == "process"}
        gone = [name for name, state in states.items() if not state.status.over and service_of(name) not in running]
        return sorted({*gone, *_surplus(states, wanted)})

    def _are_all(self, names: Sequence[str]) -> bool:
        return self._definitions.keys() <= set(names)

    def _comparable(self, names: Sequence[str]) -> list[Instance]:
        """What is to run, as far as it can be known: without the services whose variables are not set here."""
        found: list[Instance] = []
        for name in names:
            try:
                found += [i for i in self._instances.wanted([name], choose=False) if i.definition.name == name]
            except DiagnosticsError:
                continue
        return found

    def _status(
        self, definition: ServiceDefinition, states: Mapping[str, ServiceState], wanted: Sequence[Instance]
    ) -> ServiceStatus:
        name = definition.name
        if definition.kind == "elsewhere":
            return ServiceStatus(name, State.ELSEWHERE, (definition.uri,) if definition.uri else ())
        if definition.kind == "embedded":
            return ServiceStatus(name, State.EMBEDDED, (os.path.relpath(self._project.store_path, self._project.root),))
        mine = {n: s for n, s in states.items() if service_of(n) == name}
        if not mine:
            return ServiceStatus(name, State.ABSENT, replicas=definition.replicas)
        shown = most_urgent([status_of(state, self._services) for state in mine.values()])
        digests = {i.name: i.service.digest for i in wanted if i.definition.name == name}
        differs = any(not s.status.over and digests.get(n, s.digest) != s.digest for n, s in mine.items())
        scheme = "http://" if definition.probe and definition.probe.kind == "http" else ""
        addresses = tuple(dict.fromkeys(scheme + _reached(where) for state in mine.values() for where in state.addresses))
        return replace(shown, name=name, addresses=addresses, differs=differs, replicas=definition.replicas)

    def _start(self, wanted: Sequence[Instance], on_event: OnEvent, *, wait: bool) -> None:
        by_name = {instance.name: instance for instance in wanted}
        waited_for = {n for i in wanted for n, ready in i.needs.items() if ready}
        work = Together({i.name: i.needs for i in wanted})

        def start(name: str) -> None:
            began = time.monotonic()

            def on_start(_: ServiceState) -> None:
                on_event(ServiceEvent(name, "starting"))
                work.begun(name)

            if by_name[name].definition.role in _KEEPERS:
                self._make_data(by_name[name].definition.name)
            try:
                started = self._services.start(
                    by_name[name].service, on_start=on_start, wait=wait or name in waited_for,
                    interrupted=lambda: work.given_up(name),
                )  # fmt: skip
            except PulpoError as error:
                on_event(ServiceEvent(name, "failed", time.monotonic() - began, error.message.partition("\n")[0]))
                raise
            work.begun(name)
            done = "unchanged" if not started.new else "running" if wait or name in waited_for else "started"
            on_event(ServiceEvent(name, done, time.monotonic() - began))

        work.run(start)
        _raise(work.failures, on_event)

    def _stop(self, states: Mapping[str, ServiceState], on_event: OnEvent) -> None:
        """Stop these starts of them, each when those have ended that need it."""
        waiting: dict[str, dict[str, bool]] = {name: {} for name in states}
        for name in states:
            for needed in self._instances.needs(service_of(name)) if service_of(name) in self._definitions else ():
                if needed in waiting:
                    waiting[needed][name] = True
        work = Together(waiting)

        def stop(name: str) -> None:
            began, over = time.monotonic(), states[name].status.over
            if not over:
                on_event(ServiceEvent(name, "stopping"))
            self._services.stop(name, start=states[name].id)
            if not over:
                on_event(ServiceEvent(name, "stopped", time.monotonic() - began))

        work.run(stop)
        _raise(work.failures, on_event)

    def _make_data(self, name: str) -> None:
        directory = data_directory(self._project, name)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (ignore := directory.parent / ".gitignore").exists():
            ignore.write_text("*\n", encoding="utf-8")

    def _remove_data(self, names: Sequence[str]) -> None:
        for name in names:
            shutil.rmtree(data_directory(self._project, name), ignore_errors=True)
            if self._definitions[name].kind == "embedded":
                store = self._project.store_path
                for suffix in _STORE_SUFFIXES:
                    store.with_name(store.name + suffix).unlink(missing_ok=True)


def _reached(address: str) -> str:
    """Where this machine reaches what listens on an address as states have it."""
    host, _, port = address.rpartition(":")
    found = reached_at(host)
    return f"[{found}]:{port}" if ":" in found else f"{found}:{port}"


def _surplus(states: Mapping[str, ServiceState], wanted: Sequence[Instance]) -> list[str]:
    """Replicas that run and are more than their service has."""
    services, names = {i.definition.name for i in wanted}, {i.name for i in wanted}
    return [n for n, state in states.items() if not state.status.over and service_of(n) in services and n not in names]


def _raise(failures: Mapping[str, BaseException], on_event: OnEvent) -> None:
    """Raise what went wrong, if something did: as it is where it is one thing, else as one error for all."""
    found = {name: error for name, error in failures.items() if not isinstance(error, NeedsFailedError)}
    for name, error in failures.items():
        if isinstance(error, NeedsFailedError):
            on_event(ServiceEvent(name, "skipped", detail=f"it needs {error}, which failed"))
    for error in found.values():
        if not isinstance(error, PulpoError) or (len(found) == 1 and isinstance(error, UsageError)):
            raise error
    if found:
        names = sorted(found)
        raise ServiceError("\n".join(str(found[name]) for name in names), names, hint=f"pulpo logs {' '.join(names)}")
