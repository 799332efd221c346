"""What a run shows while it goes on: bars on a terminal, lines elsewhere; always on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

    from pulpo.cli.output import Output
    from pulpo.run.events import Event

_STYLES = {"completed": "green", "reused": "green", "failed": "red", "skipped": "yellow", "cancelled": "yellow"}


class Progress:
    """Listens to a run: `with Progress(output) as progress: run(on_event=progress)`."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._began: dict[str, float] = {}
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._output.quiet:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(20),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
            )
            console = Console(stderr=True, no_color=not self._output.color(sys.stderr))
            self._bars = Progress(*columns, console=console, transient=True)
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        name = event.operation or ""
        match event.kind:
            case "run":
                if event.message == "running":
                    self._say(f"run {event.run}")
            case "outside":
                age = f", {seconds(event.age)} ago" if event.age is not None else ""
                self._say(f"  {name}: {event.message}{age}")
            case "started":
                self._began[name] = time.monotonic()
                if self._bars is not None:
                    self._tasks[name] = self._bars.add_task(name, total=None, count="")
            case "retried":
                self._say(f"  {name}: try {event.attempt}, after {event.message}", "yellow")
            case "progress":
                if self._bars is not None and name in self._tasks:
                    self._bars.update(
                        self._tasks[name], completed=event.done, total=event.total, count=f"{event.done:,}/{event.total:,}"
                    )
            case "finished":
                self._finished(name, event.message)

    def _finished(self, name: str, state: str) -> None:
        if self._bars is not None and name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))
        took = f" in {seconds(time.monotonic() - self._began[name])}" if name in self._began else ""
        self._say(f"  {state:9} {name}{took}", _STYLES.get(state, "dim"))

    def _say(self, text: str, *styles: str) -> None:
        styled = self._output.style(text, *styles)
        if self._bars is not None:
            from rich.text import Text

            with contextlib.suppress(OSError, ValueError):
                self._bars.console.print(Text.from_ansi(styled))
        else:
            self._output.talk(styled)


def seconds(value: float) -> str:
    """A duration for people: `12 ms`, `3.4 s`, `2 min 5 s`, `3.2 h`."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:  # noqa: PLR2004 - a minute
        return f"{value:.1f} s"
    if value < 3600:  # noqa: PLR2004 - an hour
        return f"{value // 60:.0f} min {value % 60:.0f} s"
    return f"{value / 3600:.1f} h"
