"""Timing whole processes: several commands in turn, so that a machine whose speed drifts treats all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


#: Byte code is kept, as it is wherever a command runs twice.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass
class Timing:
    """Seconds of the runs of one command."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def median_wall(self) -> float:
        return statistics.median(self.wall)

    @property
    def median_cpu(self) -> float:
        return statistics.median(self.cpu)


@dataclass(frozen=True)
class Command:
    """A command and where it runs."""

    argv: Sequence[str]
    cwd: Path | None = None
    #: Called before each run, not timed.
    prepare: Callable[[], None] | None = None


def interleaved(commands: Mapping[str, Command], rounds: int = 7) -> dict[str, Timing]:
    """Run all commands once to warm up, then `rounds` times in turn.

    Raises:
        RuntimeError: A command failed; the message has its output.
    """
    timings = {name: Timing() for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            wall, cpu = _once(command)
            if number:
                timings[name].wall.append(wall)
                timings[name].cpu.append(cpu)
    return timings


def _once(command: Command) -> tuple[float, float]:
    if command.prepare is not None:
        command.prepare()
    before = os.times()
    started = time.perf_counter()
    done = subprocess.run(command.argv, cwd=command.cwd, capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    wall = time.perf_counter() - started
    after = os.times()
    if done.returncode:
        raise RuntimeError(f"{' '.join(command.argv)} failed:\n{done.stdout}{done.stderr}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


def table(timings: Mapping[str, Timing], relative_to: str | None = None) -> str:
    """A line a command: median wall and CPU seconds, and the ratio of the wall time to that of one of them."""
    width = max(map(len, timings))
    lines = [f"{'':{width}}  wall s   cpu s" + ("   ratio" if relative_to else "")]
    for name, timing in timings.items():
        line = f"{name:{width}}  {timing.median_wall:6.3f}  {timing.median_cpu:6.3f}"
        if relative_to:
            line += f"  {timing.median_wall / timings[relative_to].median_wall:5.2f}x"
        lines.append(line)
    return "\n".join(lines)
