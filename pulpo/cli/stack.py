"""What is made from the lock, and the services that run by it, all of them or some, as methods of `CLI`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.cli.base import OfProject

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from pulpo.apply.services.manager import ServiceManager
    from pulpo.apply.services.mode import Mode
    from pulpo.apply.services.status import ServiceEvent, ServiceLine, ServiceStatus
    from pulpo.compile.artifacts import Changes
    from pulpo.compile.codegen import PrefectCodeGenerator
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document


class Stack(OfProject):
    """`pulpo up`, `down`, `restart`, `status`, `logs`, `compile`, `build` and `clean`."""

    def up(self, *services: str, wait: bool = True, on_event: Callable[[ServiceEvent], None] = lambda _: None) -> None:
        """Bring up services and those that they need, all where none is named; what runs as the lock says is left alone.

        With `wait` it returns when each is ready. `on_event` is told what happens, from several threads.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that its services refer to.
            UsageError: There is no such service, or something is missing that runs them.
            ServiceError: One failed, or was not ready in time.
        """
        self._manager().up(*services, wait=wait, on_event=on_event)

    def down(self, *services: str, volumes: bool = False, on_event: Callable[[ServiceEvent], None] = lambda _: None) -> None:
        """Take down services and those that need them, all where none is named; with `volumes` what they stored is lost.

        Where the lock has errors it is those that run, by what is known of them without it; `on_warning` is told that.

        Raises:
            PulpoError: There is no such service, nothing was ever started, or a port of one is still taken.
        """
        self._running().down(*services, volumes=volumes, on_event=on_event)

    def restart(self, *services: str, on_event: Callable[[ServiceEvent], None] = lambda _: None) -> None:
        """Stop services, each alone, and start them and those that they need; waits until each is ready.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that they refer to; nothing was stopped.
            UsageError: There is no such service, or something is missing that runs them.
            ServiceError: One failed, or was not ready in time.
        """
        manager = self._manager()
        manager.plan(*services)
        for name in services:
            manager.restart(name, on_event=on_event)

    def status(self, *services: str) -> tuple[ServiceStatus, ...]:
        """How services are, all where none is named: each after those that it needs, and last what the lock has no more.

        Where the lock has errors it is those that run, as in `down`.

        Raises:
            PulpoError: There is no such service, or nothing can be found out.
        """
        return self._running().status(*services)

    def logs(
        self, *services: str, tail: int | None = None, since: dt.datetime | None = None, follow: bool = False
    ) -> Iterator[ServiceLine]:
        """The lines of services, of all where none is named, merged by time: the last `tail` of those since a time.

        With `follow` each new one as well, for ever.

        Raises:
            PulpoError: As `status`.
        """
        return self.named_logs(*services, tail=tail, since=since, follow=follow)[1]

    def named_logs(
        self, *services: str, tail: int | None = None, since: dt.datetime | None = None, follow: bool = False
    ) -> tuple[tuple[str, ...], Iterator[ServiceLine]]:
        """What `logs` returns, after the longest names that the lines of each service may have."""
        manager = self._running()
        return manager.log_names(*services), manager.logs(*services, tail=tail, since=since, follow=follow)

    def compile(self, *, check: bool = False) -> Changes:
        """Make the flows of the lock and the files of its containers in `run_cache`, unless `check`; returns what differed.

        Raises:
            DiagnosticsError: The lock has problems.
            UsageError: A file that `compile` did not make is in the way, or nothing can be written.
        """
        from pulpo.compile.artifacts import artifacts, write

        _, _, generator = self._generator()
        return write(self.project.cache, artifacts(generator, environment=self.project.environment), check=check)

    def _generator(self) -> tuple[Manifest, Document, PrefectCodeGenerator]:
        """The lock, if it has no errors, and what makes Prefect code of it."""
        from pulpo.compile.codegen import PrefectCodeGenerator
        from pulpo.diagnostics import errors
        from pulpo.errors import DiagnosticsError
        from pulpo.lock.check import check_manifest

        manifest, document = self._lock()
        if found := errors(check_manifest(manifest)):
            raise DiagnosticsError([d.located(document.locate) for d in found])
        return manifest, document, PrefectCodeGenerator(manifest)

    def build(self, *, on_event: Callable[[ServiceEvent], None] = lambda _: None) -> str | None:
        """Make the files that `compile` makes, and the image that containers run from; its name, or None where none is needed.

        Raises:
            PulpoError: The lock has problems, or the image can't be made.
        """
        self.compile()
        return self._manager().build(on_event=on_event)

    def clean(self, *, data: bool = False) -> list[str]:
        """Remove what was generated in `run_cache`; with `data` the embedded store and what services stored there, too.

        Files that Pulpo did not make stay. Returns what was removed, relative to `run_cache`, sorted. Where the lock has errors
        it looks for services that run as `down` does.

        Raises:
            PulpoError: Services run, or something can't be removed.
        """
        from pulpo.cli.cleaning import clean

        manager = self._running(may_be_none=True) if self.project.lock_path.exists() else None
        return clean(self.project, manager, data=data)

    def _chosen_mode(self, manifest: Manifest) -> Mode:
        from pulpo.apply.services.mode import chosen_mode

        chosen = chosen_mode(manifest, self.mode, file=self.project.lock_shown)
        self.on_mode(chosen)
        return chosen.mode

    def _manager(self, name: str | None = None) -> ServiceManager:
        """The manager of the services of the lock, with the one of that name, which comes with Pulpo, where the lock lacks it."""
        from pulpo.cli.single import told_manager, with_service

        manifest, document = self._lock()
        if name is not None:
            manifest = with_service(manifest, name)
        return told_manager(self.project, manifest, document, self._chosen_mode(manifest))

    def _running(self, name: str | None = None, *, may_be_none: bool = False) -> ServiceManager:
        """The manager of the services as `_manager` has it; where the lock can't be used, of those that were found without it.

        Raises:
            PulpoError: The lock can't be used and nothing was ever started, unless there `may_be_none`.
        """
        from pulpo.cli.what_runs import what_runs

        found = what_runs(self.project, self._lock, self._chosen_mode, name)
        if found.problem is not None:
            if not (may_be_none or found.manager.topology.services):
                raise found.problem
            self.on_warning(found.warning)
        return found.manager
