"""The world and the manifest as one plan: `pulpo plan`, `apply` and `destroy`, as methods of `CLI`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulpo.cli.pages import Pages
from pulpo.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pulpo.apply.part import Behind, Target
    from pulpo.apply.saved import Origin, Saved
    from pulpo.apply.services.manager import ServiceManager
    from pulpo.apply.services.status import ServiceEvent
    from pulpo.apply.whole import Applied, Listener, WholePlan
    from pulpo.compile.codegen import PrefectCodeGenerator
    from pulpo.compile.deployment import Deployment
    from pulpo.compile.variables import Variable
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

_PREFECT_VARIABLE: Final = "PREFECT_API_URL"


class Applying(Pages):
    """`pulpo plan`, `apply` and `destroy`."""

    def plan(self, *, only: Sequence[str] = (), destroy_data: bool = False, output: str | Path | None = None) -> WholePlan:
        """What `apply` would change, and why: services, the database and Prefect together. Nothing is changed.

        Args:
            only: Patterns of addresses, such as `deployment:scraping*`: these, and what they need.
            destroy_data: Whether collections that left the manifest go with their records.
            output: A file that the plan is written into, for `apply`.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that it refers to.
            PulpoError: Something can't be looked at, what is wanted can't be, or nothing has such an address.
        """
        from pulpo.apply.saved import saved, write_plan
        from pulpo.apply.whole import make_plan

        world = self._world()
        found = make_plan(world.targets(destroy_data=destroy_data), only or None)
        if output is not None:
            write_plan(Path(output), saved(found, world.origin(tuple(only) or None, destroy_data=destroy_data)))
        return found

    def apply(
        self,
        file: str | Path | None = None,
        *,
        only: Sequence[str] = (),
        destroy_data: bool = False,
        prune_all: bool = False,
        confirm: Callable[[WholePlan], bool] = lambda _: True,
        listener: Listener | None = None,
        on_event: Callable[[ServiceEvent], None] = lambda _: None,
    ) -> Applied:
        """Bring services, the database and Prefect in line with the manifest, and look whether they are.

        Args:
            file: A plan that `plan` wrote; it is refused where the manifest or the world has moved since.
            only: As `plan`.
            destroy_data: As `plan`.
            prune_all: Whether it is meant where the manifest wants nothing of a kind, and all that there is would be deleted.
            confirm: Asked before anything is changed; nothing is where it says no.
            listener: Told how things go, and asked about what can be planned only on the way.
            on_event: Told what happens to services, from several threads.

        Returns:
            What came of each change; some may have failed.

        Raises:
            DiagnosticsError: As `plan`.
            UsageError: Another one goes on, the file's plan does not hold any more, or `prune_all` is not said.
        """
        from pulpo.apply.apply_lock import only_one
        from pulpo.apply.saved import read_plan
        from pulpo.apply.whole import carry_out, make_plan

        before = None if file is None else read_plan(Path(file))
        if before is not None:
            only, destroy_data = before.origin.only or (), before.origin.destroy_data
        with only_one(self.project.cache, "pulpo apply"):
            world = self._world(on_event)
            targets = world.targets(destroy_data=destroy_data)
            found = make_plan(targets, only or None)
            if before is not None:
                _refuse_moved(before, found, world.origin(tuple(only) or None, destroy_data=destroy_data))
            if found.emptying and not prune_all:
                _refuse_emptying(found)
            if found and not confirm(found):
                return _declined(found)
            world.write_flows()
            return carry_out(targets, found, listener, may_empty=prune_all)

    def destroy(
        self,
        *,
        data: bool = False,
        confirm: Callable[[WholePlan], bool] = lambda _: True,
        listener: Listener | None = None,
        on_event: Callable[[ServiceEvent], None] = lambda _: None,
    ) -> Applied:
        """Take away what this project made: its deployments and services, with `data` all that it stored as well.

        What carries no mark of this project is left alone, and so are work pools: others' deployments may use them.

        Raises:
            PulpoError: As `apply`.
        """
        from pulpo.apply.apply_lock import only_one
        from pulpo.apply.whole import carry_out, make_plan

        with only_one(self.project.cache, "pulpo destroy"):
            targets = self._world(on_event).leaving(data=data)
            found = make_plan(targets)
            if found and not confirm(found):
                return _declined(found)
            return carry_out(targets, found, listener)

    def _world(self, on_event: Callable[[ServiceEvent], None] = lambda _: None) -> World:
        from pulpo.cli.single import told_manager

        manifest, document, generator = self._generator()  # read once: all of it is of one lock
        manager = told_manager(self.project, manifest, document, self._chosen_mode(manifest))
        return World(self.project, manifest, document, generator, manager, on_event)


@dataclass(frozen=True)
class World:
    """A project, and all that its manifest can want."""

    project: Project
    manifest: Manifest
    document: Document
    generator: PrefectCodeGenerator
    manager: ServiceManager
    on_event: Callable[[ServiceEvent], None]

    def targets(self, *, destroy_data: bool = False) -> list[Target]:
        """What is brought in line, in order."""
        from pulpo.apply.whole_services import ServicesTarget

        services = ServicesTarget(self.manager, on_event=self.on_event)
        return [services, self._database(destroy_data=destroy_data), self._prefect()]

    def leaving(self, *, data: bool) -> list[Target]:
        """What is taken away, in the order in which it came."""
        from pulpo.apply.part import LeftAlone
        from pulpo.apply.whole_leaving import IfSeen, ServicesLeaving

        services = ServicesLeaving(self.manager, data=data, on_event=self.on_event)
        up = services.running()
        found: list[Target] = [services]
        behind = {"database": self._behind("db", "PULPO_DB_URI"), "prefect": self._behind("prefect", _PREFECT_VARIABLE)}
        for name, one in behind.items():
            stays = "stays there" if one.service is None else "goes with its data" if data else "stays in its data"
            otherwise = f"what is in it {stays}"
            if one.service is not None and one.service not in up:
                found.append(LeftAlone(name, f"{one.service} does not run: {otherwise}"))
            elif name == "prefect":
                found.append(IfSeen(self._prefect(remove=True), otherwise))
            elif data and one.service is None:
                found.append(IfSeen(self._database(remove=True), otherwise))
            else:
                found.append(LeftAlone(name, "goes with its service" if data else "stays: --data takes it away as well"))
        return found

    def origin(self, only: tuple[str, ...] | None, *, destroy_data: bool) -> Origin:
        """What a plan is for."""
        from pulpo.apply.part import digest
        from pulpo.apply.saved import Origin

        said = digest(self.manifest.model_dump(mode="json"))
        return Origin(self.manifest.project.name, self.project.environment, self.manager.mode, said, only, destroy_data)

    def write_flows(self) -> None:
        """Make the files that deployments and containers run from, as `pulpo compile` does."""
        from pulpo.compile.artifacts import artifacts, write

        write(self.project.cache, artifacts(self.generator, environment=self.project.environment))

    def _database(self, *, destroy_data: bool = False, remove: bool = False) -> Target:
        from pulpo.apply.part import LeftAlone
        from pulpo.apply.whole_database import DatabaseTarget
        from pulpo.cli.databases import Locked
        from pulpo.run.codec import collection_of
        from pulpo.store.open import VARIABLE, project_uri

        if (away := self._away("database", "db", VARIABLE)) is not None:
            return away
        locked = Locked(self.project, self.manifest, self.document)
        behind = self._behind("db", VARIABLE)
        is_file = behind.service is None and project_uri(self.project, self.manifest, locate=self.document.locate) is None
        if is_file and self.manager.mode == "docker":
            return LeftAlone("database", "lies in a volume of the containers, which make their collections themselves")
        return DatabaseTarget(
            [collection_of(name, spec) for name, spec in sorted(self.manifest.models.items())],
            lambda: locked.store,
            project=self.manifest.project.name,
            behind=behind,
            is_new=lambda: is_file and not self.project.store_path.exists(),
            destroy_data=destroy_data,
            remove=remove,
        )

    def _prefect(self, *, remove: bool = False) -> Target:
        from pulpo.apply.part import LeftAlone
        from pulpo.apply.prefect.scope import Scope
        from pulpo.apply.whole_prefect import PrefectTarget
        from pulpo.cli.deploying import CONTAINER_ROOT, connected, desired_deployments
        from pulpo.compile.variables import variables

        if (away := self._away("prefect", "prefect", _PREFECT_VARIABLE)) is not None:
            return away
        behind = self._behind("prefect", _PREFECT_VARIABLE)
        if behind.service is None and not self._has_server():
            return LeftAlone("prefect", "no server is configured: deployments are left alone")
        desired: Sequence[Deployment] = ()
        secrets: frozenset[str] = frozenset()
        found: Sequence[Variable] = ()
        if not remove:  # which needs no environment variables
            environment, locate = self.project.environment, self.document.locate
            desired, secrets = desired_deployments(self.manifest, self.document, self.generator, None, environment)
            found, more = variables(self.manifest, environment, os.environ, locate)
            secrets |= more
        root = CONTAINER_ROOT if self.manager.mode == "docker" else self.project.root
        scope = Scope(self.manifest.project.name, self.project.environment, root, secrets=secrets)
        connect = partial(connected, self.project, self.manifest, self.document)
        return PrefectTarget(desired, scope, connect, behind=behind, variables=found, remove=remove)

    def _away(self, target: str, service: str, variable: str) -> Target | None:
        """What stands for a target that lies behind a service of another machine; None where it can be talked to."""
        from pulpo.apply.part import LeftAlone
        from pulpo.cli.reaching import out_of_reach

        problem = out_of_reach(self.manager, self.manifest, service, variable)
        return None if problem is None else LeftAlone(target, f"is left alone: {problem.message}; {problem.hint}")

    def _behind(self, service: str, variable: str) -> Behind:
        """The service that a target lies behind, unless an environment variable says where that is instead."""
        from pulpo.apply.part import Behind
        from pulpo.apply.services.status import State
        from pulpo.manifest.addresses import is_managed

        if os.environ.get(variable) or not is_managed(self.manifest, service):
            return Behind()

        def is_ready() -> bool:
            return self.manager.state(service) is State.RUNNING

        return Behind(f"service:{service}", lambda: self.manager.has_data(service), is_ready)

    def _has_server(self) -> bool:
        from pulpo.cli.running import importing_prefect

        if os.environ.get(_PREFECT_VARIABLE):
            return True
        spec = self.manifest.services.get("prefect")
        if spec is not None and spec.enabled is not False and spec.uri is not None:
            return True
        with contextlib.suppress(UsageError), importing_prefect():
            from pulpo.run.prefect import server

            return server.configured() is not None
        return False


def _refuse_moved(before: Saved, found: WholePlan, origin: Origin) -> None:
    from pulpo.apply.saved import moved, saved

    if differences := moved(before, saved(found, origin)):
        listed = "".join(f"\n  {one}" for one in differences)
        raise UsageError(f"the saved plan does not hold any more:{listed}", hint="make a new one: pulpo plan -o FILE")


def _refuse_emptying(found: WholePlan) -> None:
    listed = "".join(f"\n  {change.address}" for change in found.emptying)
    raise UsageError(
        f"the manifest wants nothing of this kind any more, and all that the project has there would be deleted:{listed}",
        hint="--prune-all says that it is meant",
    )


def _declined(found: WholePlan) -> Applied:
    from pulpo.apply.ledger import Settled
    from pulpo.apply.whole import Applied

    return Applied(found, tuple(Settled(change, "untried", "it was not wanted") for change in found.changes))
