"""The API and the store of a project, as methods of `CLI`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.cli.singles import PrefectAndDatabase

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pulpo.apply.services.status import ServiceLine
    from pulpo.cli.databases import Imported, Locked, Prepared, Progress
    from pulpo.cli.single import StartedService
    from pulpo.store.transfer import Copied


class ApiAndStore(PrefectAndDatabase):
    """`pulpo api` and `pulpo db`."""

    def api_start(
        self, *, host: str | None = None, port: str | int | None = None, on_start: Callable[[], None] = lambda: None
    ) -> StartedService:
        """Start the API in the background unless it runs, and wait until it is ready; it lives on when this process ends.

        `on_start` is told when it is started, and so is waited for.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that its services `api` and `db` refer to.
            UsageError: Its packages are not installed, its settings make no sense, or its port is taken.
            ServiceError: It ended, or was not ready in time.
        """
        return self._start_api(host, port, on_start)

    def api_stop(self) -> bool:
        """Stop the API; what it listened on is free then. False where it did not run."""
        return self._stop("api")

    def api_restart(
        self, *, host: str | None = None, port: str | int | None = None, on_start: Callable[[], None] = lambda: None
    ) -> StartedService:
        """Stop the API if it runs, and start it, as `api_start` does; one that can't start as asked is not stopped."""
        return self._start_api(host, port, on_start, restart=True)

    def api_serve(
        self, *, host: str | None = None, port: str | int | None = None, on_listen: Callable[[str], None] = lambda _: None
    ) -> None:
        """Serve the API in this process until a signal ends it; `on_listen` is told where it is.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that its services `api` and `db` refer to.
            PulpoError: As `api_start`; or the store can't be opened.
        """
        from pulpo.cli.serving import serve_api

        serve_api(self.project, *self._lock(), host=host, port=port, on_listen=on_listen)

    def api_logs(
        self, *, tail: int | None = None, since: dt.datetime | None = None, follow: bool = False
    ) -> Iterator[ServiceLine]:
        """The lines of the API's log, oldest first: the last `tail` of those since a time; with `follow` new ones, for ever."""
        return self._logs("api", tail=tail, since=since, follow=follow)

    def _start_api(
        self, host: str | None, port: str | int | None, on_start: Callable[[], None], *, restart: bool = False
    ) -> StartedService:
        from pulpo.cli.serving import start_api

        manifest, document = self._lock()
        mode = self._chosen_mode(manifest)
        return start_api(self.project, manifest, document, mode=mode, host=host, port=port, on_start=on_start, restart=restart)

    def db_init(self) -> tuple[Prepared, ...]:
        """Make the collections and indexes of the lock that the store lacks; says of each collection what was made.

        Raises:
            PulpoError: The store can't be used, or an index can't be made of what is there.
        """
        from pulpo.cli.databases import prepare_database

        self._check_reach("db", "PULPO_DB_URI")
        return prepare_database(self._locked())

    def db_copy(self, source: str, target: str, *, on_progress: Progress = lambda *_: None) -> list[Copied]:
        """Copy records and runs from one store to another: `project`, `embedded` or URIs; how each collection was copied.

        What the target has already is compared, and written only where it differs. `on_progress` is told of a collection, how
        many of its records are done, and of how many.

        Raises:
            PulpoError: A store can't be used, both are the same, or the target refuses a record.
        """
        from pulpo.cli.databases import copy_database

        return copy_database(self._locked(), source, target, on_progress)

    def db_export(self, *models: str, output: str | Path, on_progress: Progress = lambda *_: None) -> dict[str, int]:
        """Write the records of models, of all where none is named, as JSON lines into a directory, or to `-`; how many, by model.

        Raises:
            PulpoError: There is no such model, the store can't be used, or nothing can be written.
        """
        from pulpo.cli.databases import export_records

        self._check_reach("db", "PULPO_DB_URI")
        self._tell_of_containers()
        return export_records(self._locked(), models, str(output), on_progress)

    def db_import(self, *files: str | Path, model: str | None = None, on_progress: Progress = lambda *_: None) -> Imported:
        """Store the records of JSON lines, from files, directories of them or `-`; lines that are no records are in the result.

        `model` is that of lines which do not say it themselves; without it the file's name is.

        Raises:
            PulpoError: There is no such model or file, a class can't be imported, or the store can't be used.
        """
        from pulpo.cli.databases import import_records

        self._check_reach("db", "PULPO_DB_URI")
        return import_records(self._locked(), [str(file) for file in files], model, on_progress)

    def _locked(self) -> Locked:
        from pulpo.cli.databases import Locked

        return Locked(self.project, *self._lock())
