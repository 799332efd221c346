"""The UI of a project, as methods of `CLI`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.cli.servers import ApiAndStore

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from pulpo.apply.services.status import ServiceLine
    from pulpo.cli.single import StartedService


class Pages(ApiAndStore):
    """`pulpo ui`."""

    def ui_start(
        self,
        *,
        host: str | None = None,
        port: str | int | None = None,
        api: str | None = None,
        on_start: Callable[[], None] = lambda: None,
    ) -> StartedService:
        """Start the UI in the background unless it runs, and the API that it shows; it lives on when this process ends.

        `api` is where an API is that somebody else runs, to be shown in place of the project's. `on_start` is told when the UI is
        started, and so is waited for.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that its services refer to.
            UsageError: Its packages are not installed, its settings make no sense, or a port is taken.
            ServiceError: It ended, or was not ready in time.
        """
        return self._start_ui(host, port, api, on_start)

    def ui_stop(self) -> bool:
        """Stop the UI alone; what it listened on is free then. False where it did not run."""
        return self._stop("ui")

    def ui_restart(
        self,
        *,
        host: str | None = None,
        port: str | int | None = None,
        api: str | None = None,
        on_start: Callable[[], None] = lambda: None,
    ) -> StartedService:
        """Stop the UI if it runs, and start it, as `ui_start` does; one that can't start as asked is not stopped."""
        return self._start_ui(host, port, api, on_start, restart=True)

    def ui_serve(
        self,
        *,
        host: str | None = None,
        port: str | int | None = None,
        api: str | None = None,
        on_listen: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Serve the UI in this process until a signal ends it; `on_listen` is told where it is.

        Where neither `api` nor the variable PULPO_API_URL says which API is shown, it is the one of the lock. With `api` it needs
        no project.

        Raises:
            PulpoError: The lock has problems where it is read; the packages of the UI are not installed, its settings make no
                sense, or its port is taken.
        """
        from pulpo.cli.serving_ui import serve_ui
        from pulpo.settings import NoProjectError, Project

        try:
            project = self.project
        except NoProjectError:
            if api is None:
                raise
            project = Project(self._directory.resolve())
        serve_ui(project, self._lock, api=api, host=host, port=port, on_listen=on_listen)

    def ui_logs(
        self, *, tail: int | None = None, since: dt.datetime | None = None, follow: bool = False
    ) -> Iterator[ServiceLine]:
        """The lines of the UI's log; as `api_logs`."""
        return self._logs("ui", tail=tail, since=since, follow=follow)

    def _start_ui(
        self, host: str | None, port: str | int | None, api: str | None, on_start: Callable[[], None], *, restart: bool = False
    ) -> StartedService:
        from pulpo.cli.serving_ui import start_ui

        manifest, document = self._lock()
        mode = self._chosen_mode(manifest)
        return start_ui(
            self.project, manifest, document, mode=mode, api=api, host=host, port=port, on_start=on_start, restart=restart
        )
