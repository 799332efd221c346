"""A world in memory for whole plans: services, a database and Prefect behind them, each refusing what the real one refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

from pulpo.apply.part import Behind, Target
from pulpo.apply.prefect import Scope
from pulpo.apply.prefect.api import RefusedError
from pulpo.apply.services.made import MANIFEST
from pulpo.apply.services.plan import Observed, Wanted, plan_services
from pulpo.apply.services.status import ServiceError, ServiceEvent, State
from pulpo.apply.whole_database import DatabaseTarget
from pulpo.apply.whole_prefect import PrefectTarget
from pulpo.apply.whole_services import ServicesTarget
from pulpo.compile.deployment import Deployment
from pulpo.errors import ApplyError
from pulpo.store.base import Collection, StoreError
from tests.apply.database.worlds import PROJECT, InMemory, Killed
from tests.apply.fake_prefect import FakePrefect
from tests.apply.wanted import ROOT


@dataclass
class Manifest:
    """What is wanted: of services the digests and what they need, in an order in which each comes after those."""

    services: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    collections: list[Collection] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)


class World:
    """What there is. `failing` are addresses at which nothing can be done; after `fuse` more writes the process ends."""

    def __init__(self, *, managed: bool = True) -> None:
        self.managed = managed
        self.running: dict[str, str] = {}
        #: Of those that run, which are not ready; they are when somebody has waited for them.
        self.starting: set[str] = set()
        self.stopped: set[str] = set()
        self.data: set[str] = set()
        self.database = Database(self)
        self.prefect = Prefect(self)
        self.failing: frozenset[str] = frozenset()
        self.fuse: int | None = None
        self.writes = 0

    def write(self, address: str) -> None:
        """Every change goes through here before it is made."""
        if self.fuse is not None and self.writes >= self.fuse:
            raise Killed
        assert address.partition(":")[2], address
        self.writes += 1

    def need(self, service: str) -> None:
        if self.managed and service not in self.running.keys() - self.starting:
            raise ApplyError(f"{service} does not answer")

    def targets(self, manifest: Manifest, *, on_event: Callable[[ServiceEvent], None] = lambda _: None) -> list[Target]:
        manager = Manager(self, manifest.services)

        def behind(name: str) -> Behind:
            if not self.managed:
                return Behind()
            return Behind(f"service:{name}", lambda: manager.has_data(name), lambda: name not in self.starting)

        @asynccontextmanager
        async def connect() -> AsyncIterator[Prefect]:
            self.need("prefect")
            yield self.prefect

        services = ServicesTarget(manager, on_event=on_event)  # type: ignore[arg-type]
        database = DatabaseTarget(manifest.collections, lambda: self.database, project=PROJECT, behind=behind("db"))
        scope = Scope(PROJECT, None, ROOT)
        return [services, database, PrefectTarget(manifest.deployments, scope, connect, behind=behind("prefect"))]


@dataclass
class Manager:
    """As `ServiceManager`."""

    world: World
    wanted: dict[str, tuple[str, tuple[str, ...]]]

    @property
    def topology(self) -> Any:
        def needs(names: tuple[str, ...]) -> tuple[Any, ...]:
            return tuple(SimpleNamespace(service=name) for name in names)

        return SimpleNamespace(services=[SimpleNamespace(name=n, needs=needs(others)) for n, (_, others) in self.wanted.items()])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.wanted)

    def plan(self) -> Any:
        found = {name: Observed(State.RUNNING, {MANIFEST: digest}) for name, digest in self.world.running.items()}
        found |= {name: Observed(State.STOPPED) for name in self.world.stopped}
        orphans = sorted(self.world.running.keys() - self.wanted.keys())
        return plan_services([Wanted(n, {MANIFEST: d}, needs) for n, (d, needs) in self.wanted.items()], found, orphans=orphans)

    def up(self, *names: str, on_event: Callable[[ServiceEvent], None]) -> None:
        anew = {c.address.partition(":")[2] for c in self.plan().changes if c.action == "replace"}
        failed: list[str] = []
        meant = self._with_needs(names)
        for name in [name for name in self.wanted if name in meant & anew]:
            self.world.write(f"service:{name}")
            self.world.stopped.add(name)
            self.world.starting.discard(name)
            del self.world.running[name]
        for name in [name for name in self.wanted if name in meant]:
            digest, needs = self.wanted[name]
            if lacking := [need for need in needs if need not in self.world.running]:
                on_event(ServiceEvent(name, "skipped", detail=f"it needs {lacking[0]}, which failed"))
            elif f"service:{name}" in self.world.failing:
                failed.append(name)
                on_event(ServiceEvent(name, "failed", detail="no luck today"))
            elif name in self.world.running:
                self.world.starting.discard(name)
                on_event(ServiceEvent(name, "unchanged"))
            else:
                self.world.write(f"service:{name}")
                self.world.stopped.discard(name)
                self.world.running[name] = digest
                self.world.data.add(name)
                on_event(ServiceEvent(name, "running"))
        if failed:
            raise ServiceError("they failed", failed)

    def remove(self, *names: str, on_event: Callable[[ServiceEvent], None]) -> None:
        for name in names:
            assert name not in self.wanted
            if f"service:{name}" in self.world.failing:
                raise ApplyError(f"{name} does not go away\n  it holds on")
            self.world.write(f"service:{name}")
            self.world.starting.discard(name)
            del self.world.running[name]
            on_event(ServiceEvent(name, "stopped"))

    def has_data(self, name: str) -> bool:
        return name in self.world.data

    def status(self, *names: str) -> list[Any]:
        def state(name: str) -> State:
            if name in self.world.starting:
                return State.STARTING
            return State.RUNNING if name in self.world.running else State.STOPPED

        known = names or tuple(self.wanted)
        return [SimpleNamespace(name=n, state=state(n), error=None, lines=(), orphan=False) for n in known]

    def _with_needs(self, names: tuple[str, ...]) -> set[str]:
        found = set(names)
        for name in reversed(self.wanted):
            if name in found:
                found.update(self.wanted[name][1])
        return found


class Database(InMemory):
    """That refuses where its service does not run, or a collection is not there for an index."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def __aenter__(self) -> Self:
        self._world.need("db")
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def ensure(self, collection: Collection) -> Any:
        for address in self._addresses(collection):
            if address in self._world.failing:
                raise StoreError("it does not want to")
        if collection.indexes and collection.name not in self.found:
            raise StoreError(f"there is no such collection: {collection.name}")
        self._world.write(f"collection:{collection.name}")
        return await super().ensure(collection)

    async def drop_index(self, collection: str, name: str) -> bool:
        meant = next(one.index for one in self.found[collection].indexes if one.name == name)
        self._refuse(f"index:{collection}/{'+'.join(meant.fields)}")
        return await super().drop_index(collection, name)

    async def drop_collection(self, name: str, *, with_records: bool = False) -> bool:
        self._refuse(f"collection:{name}")
        return await super().drop_collection(name, with_records=with_records)

    def _refuse(self, address: str) -> None:
        if address in self._world.failing:
            raise StoreError("it does not want to")
        self._world.write(address)

    @staticmethod
    def _addresses(collection: Collection) -> Iterator[str]:
        if not collection.indexes:
            yield f"collection:{collection.name}"
        for index in collection.indexes:
            yield f"index:{collection.name}/{'+'.join(index.fields)}"


class Prefect(FakePrefect):
    """That refuses where its service does not run."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        self._world.need("prefect")
        if method != "GET" and not path.endswith(("/paginate", "/filter")) and path != "/flows/":
            address = self._address(path.strip("/").split("/"), body)
            if address in self._world.failing:
                raise RefusedError(403, "no luck today")
            self._world.write(address)
        return await super().request(method, path, body)

    def _address(self, parts: list[str], body: Mapping[str, Any] | None) -> str:
        names = {flow_id: name for name, flow_id in self.flows.items()}
        if parts == ["work_pools"]:
            return f"work_pool:{body['name']}"
        found = body if parts == ["deployments"] else self.deployments.get(parts[1], {"flow_id": "", "name": "gone"})
        return f"deployment:{names.get(found['flow_id'], 'gone')}/{found['name']}"
