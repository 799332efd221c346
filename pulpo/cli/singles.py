"""Prefect's server, a worker and the database of a project, as methods of `CLI`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.cli.stack import Stack

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from pulpo.apply.services.status import ServiceLine
    from pulpo.cli.single import StartedService


class PrefectAndDatabase(Stack):
    """`pulpo prefect` and `pulpo db`, as far as they are services."""

    def prefect_start(self, *, on_start: Callable[[], None] = lambda: None) -> StartedService:
        """Start Prefect's server in the background unless it runs, and wait until it is ready.

        Raises:
            PulpoError: The lock has problems, or it can't be started.
        """
        return self._start("prefect", on_start)

    def prefect_stop(self) -> bool:
        """Stop Prefect's server alone; False where it did not run."""
        return self._stop("prefect")

    def prefect_restart(self, *, on_start: Callable[[], None] = lambda: None) -> StartedService:
        """Stop Prefect's server if it runs, and start it."""
        return self._start("prefect", on_start, restart=True)

    def prefect_logs(
        self, *, tail: int | None = None, since: dt.datetime | None = None, follow: bool = False
    ) -> Iterator[ServiceLine]:
        """What Prefect's server said; as `logs`."""
        return self._logs("prefect", tail=tail, since=since, follow=follow)

    def prefect_worker(self, *, say: Callable[[str], None] = print) -> None:
        """Run a Prefect worker in this process, for the work pools that the flows of the lock name, until a signal ends it.

        `say` is told when it takes runs, or what it waits for.

        Raises:
            PulpoError: The lock has problems, Prefect is not installed, or no server is configured.
        """
        from pulpo.cli.deploying import serve_worker

        serve_worker(self.project, *self._lock(), say=say)

    def has_worker(self, work_pool: str) -> bool:
        """Whether the service `worker` is one that takes the runs of a work pool, on the server that this process talks to.

        Raises:
            PulpoError: The lock can't be read, or variables are not set that its work pools refer to.
        """
        from pulpo.compile.work_pools import has_worker

        manifest, document = self._lock()
        return has_worker(manifest, work_pool, locate=document.locate)

    def db_start(self, *, on_start: Callable[[], None] = lambda: None) -> StartedService:
        """Start the database in the background unless it runs; of one that is embedded or elsewhere only its state is told.

        Raises:
            PulpoError: The lock has problems, or it can't be started.
        """
        return self._start("db", on_start)

    def db_stop(self) -> bool:
        """Stop the database alone; False where it did not run, or is embedded or elsewhere."""
        return self._stop("db")

    def db_restart(self, *, on_start: Callable[[], None] = lambda: None) -> StartedService:
        """Stop the database if it runs, and start it."""
        return self._start("db", on_start, restart=True)

    def db_logs(
        self, *, tail: int | None = None, since: dt.datetime | None = None, follow: bool = False
    ) -> Iterator[ServiceLine]:
        """What the database said; as `logs`. Of one that is embedded or elsewhere there is nothing."""
        return self._logs("db", tail=tail, since=since, follow=follow)

    def _start(self, name: str, on_start: Callable[[], None], *, restart: bool = False) -> StartedService:
        from pulpo.cli.single import start

        return start(self._manager(name), name, on_start=on_start, restart=restart)

    def _stop(self, name: str) -> bool:
        from pulpo.cli.single import stop

        return stop(self._running(name), name)

    def _logs(self, name: str, *, tail: int | None, since: dt.datetime | None, follow: bool) -> Iterator[ServiceLine]:
        from pulpo.cli.single import logs

        return logs(self._running(name), name, tail=tail, since=since, follow=follow)
