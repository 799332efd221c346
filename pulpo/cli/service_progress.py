"""What is shown while services are brought up or down: a line a service on a terminal, a line an event elsewhere; on stderr."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from pulpo.cli.progress import seconds

if TYPE_CHECKING:
    from types import TracebackType

    from rich.text import Text

    from pulpo.apply.services.status import ServiceEvent
    from pulpo.cli.output import Output

UNCHANGED: Final = "unchanged"
_STYLES: Final = {"running": "green", "built": "green", "failed": "red", "unready": "red", "skipped": "yellow"}
#: After one of these nothing more is waited for.
_ENDS: Final = ("running", "started", "stopped", "removed", "failed", "skipped", "unready", "exited", "built", UNCHANGED)
_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MARKS: Final = {"failed": "✗", "unready": "✗", "skipped": "-"}


class ServiceProgress:
    """Listens to a driver: `with ServiceProgress(output) as progress: cli.up(on_event=progress)`. Called from several threads."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._latest: dict[str, ServiceEvent] = {}
        #: When the latest event of each service came.
        self._came: dict[str, float] = {}
        self._live: Any = None

    @property
    def seen(self) -> list[str]:
        """The services of which something was told."""
        return list(self._latest)

    @property
    def changed(self) -> list[str]:
        """The services to which something happened, in the order in which it began."""
        return [name for name, event in self._latest.items() if event.what != UNCHANGED]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            live, self._live = self._live, None
        if live is not None:
            live.stop()

    def __call__(self, event: ServiceEvent) -> None:
        """Show an event; one that says no more than the last is not shown again."""
        with self._lock:
            before = self._latest.get(event.service)
            self._latest[event.service], self._came[event.service] = event, time.monotonic()
            if self._output.quiet or event.what == UNCHANGED:
                return
            if sys.stderr.isatty():
                self._show()
            elif before is None or (before.what, before.detail) != (event.what, event.detail):
                # Why it failed is in the error that follows.
                shown = replace(event, detail=None) if event.what == "failed" else event
                self._output.talk(f"  {event.service}: {_told(shown)}", *_style(event))

    def _show(self) -> None:
        """Begin to show lines, the first time: what changes nothing needs no Rich."""
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, no_color=not self._output.color(sys.stderr), highlight=False)
            self._live = Live(console=console, get_renderable=self._lines, refresh_per_second=8)
            self._live.start()

    def _lines(self) -> Text:
        from rich.text import Text

        latest = dict(self._latest)
        width = max(map(len, latest), default=0)
        lines = [self._line(event, width) for event in latest.values() if event.what != UNCHANGED]
        return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)

    def _line(self, event: ServiceEvent, width: int) -> Text:
        from rich.text import Text

        passed = time.monotonic() - self._came[event.service]
        if event.what in _ENDS:
            mark, told = _MARKS.get(event.what, "✓"), _told(event)
        else:
            mark, told = _FRAMES[int(passed * 8) % len(_FRAMES)], f"{_told(event)}  {seconds(event.seconds + passed)}"
        return Text(f"{mark} {event.service.ljust(width)}  {told}", style=" ".join(_style(event)))


def _told(event: ServiceEvent) -> str:
    took = f" in {seconds(event.seconds)}" if event.seconds and event.what in _ENDS else ""
    return f"{event.what}{took}{f', {event.detail}' if event.detail else ''}"


def _style(event: ServiceEvent) -> tuple[str, ...]:
    return (_STYLES[event.what],) if event.what in _STYLES else ()
