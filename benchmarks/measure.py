"""Timing whole processes: several commands in turn, so that a machine whose speed drifts treats all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
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
    """Seconds of the runs of one command, and the most memory of the largest of its processes; empty if it was given up."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

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
    #: Beside what this process has.
    environment: Mapping[str, str] = field(default_factory=dict)
    limit_s: float | None = None


def interleaved(commands: Mapping[str, Command], rounds: int = 7, *, warm_up: bool = True) -> dict[str, Timing]:
    """Run all commands once to warm up, then `rounds` times in turn; one that takes longer than its limit is not run again.

    Raises:
        RuntimeError: A command failed; the message has its output.
    """
    timings = {name: Timing() for name in commands}
    given_up = set()
    for number in range(1 - warm_up, rounds + 1):
        for name, command in commands.items():
            if name in given_up:
                continue
            try:
                wall, cpu, peak_mb = _once(command)
            except TimeoutError:
                given_up.add(name)
                timings[name] = Timing()
                continue
            if number:
                timings[name].wall.append(wall)
                timings[name].cpu.append(cpu)
                timings[name].peak_mb = max(peak_mb, timings[name].peak_mb)
    return timings


def _once(command: Command) -> tuple[float, float, float]:
    """Seconds, processor seconds, and the megabytes of the largest process."""
    if command.prepare is not None:
        command.prepare()
    environment = {**_ENVIRONMENT, **command.environment}
    with tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        process = subprocess.Popen(command.argv, cwd=command.cwd, stdout=said, stderr=said, env=environment)
        timer = threading.Timer(command.limit_s, process.kill) if command.limit_s else None
        if timer:
            timer.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if timer:
            timer.cancel()
        if command.limit_s and wall >= command.limit_s:
            raise TimeoutError
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(map(str, command.argv))} failed:\n{said.read()}")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


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
