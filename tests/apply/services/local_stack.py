"""Stacks of small services as processes, in a project of the test's own; also a program that brings one up.

`python local_stack.py DIRECTORY COMMAND [SERVICE…]`
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from pulpo.apply.services.manager import ServiceManager
from pulpo.apply.services.status import ServiceEvent, ServiceStatus
from pulpo.cli.app import CLI
from pulpo.services.local import LocalServices

PROGRAM = Path(__file__).parents[2] / "services" / "service.py"


def command(*words: str, port: str = "0") -> str:
    """A service of `tests/services/service.py` in YAML; the port is a shell's word, such as `$PORT`."""
    return f'[sh, -c, "exec {sys.executable} {PROGRAM} {" ".join(words)} {port.replace("$", "$$")}"]'


@dataclasses.dataclass
class Stack:
    """A project with services."""

    directory: Path
    events: list[ServiceEvent] = dataclasses.field(default_factory=list)

    def write(self, services: str) -> None:
        self.directory.mkdir(exist_ok=True)
        text = f"version: 1\nproject: {{name: toys, modules: [toys]}}\nservices:\n{services}\n"
        (self.directory / "pulpo.lock.yaml").write_text(text)

    @property
    def manager(self) -> ServiceManager:
        cli = CLI(self.directory)
        return ServiceManager(cli.project, *cli._lock(), mode="local")

    def up(self, *names: str, wait: bool = True) -> list[str]:
        """What happened, as in `web running`."""
        events: list[ServiceEvent] = []
        self.manager.up(*names, wait=wait, on_event=events.append)
        return [f"{event.service} {event.what}" for event in events]

    def down(self, *names: str, volumes: bool = False) -> list[str]:
        events: list[ServiceEvent] = []
        self.manager.down(*names, volumes=volumes, on_event=events.append)
        return [f"{event.service} {event.what}" for event in events]

    def status(self, name: str) -> ServiceStatus:
        return self.manager.status(name)[0]

    def states(self) -> dict[str, str]:
        return {status.name: status.state.value for status in self.manager.status()}

    def port(self, name: str) -> int:
        return int(self.status(name).addresses[0].rpartition(":")[2])

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Bring up, or down, in a process of its own."""
        return subprocess.Popen([sys.executable, "-m", "tests.apply.services.local_stack", str(self.directory), *words])

    def end(self) -> None:
        services = LocalServices(self.directory / "run_cache")
        for name in services.names():
            with contextlib.suppress(Exception):
                services.stop(name)
            state = services.state(name)
            if state and state.shim_pid and psutil.pid_exists(state.shim_pid):
                os.kill(state.shim_pid, signal.SIGKILL)

    def processes(self) -> list[psutil.Process]:
        """All that run in the project's directory or were started for it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                said = " ".join(process.cmdline())
                if process.status() != psutil.STATUS_ZOMBIE and (
                    process.cwd().startswith(str(self.directory)) or (str(self.directory) in said and "shim" in said)
                ):
                    found.append(process)
        return found


def has_ended(pid: int) -> bool:
    """Whether no thread of the process runs any more; the first may end before others, which still hold its files."""
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.Error:
        return True


def until(condition, seconds: float = 30):
    """What the condition gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
    return found


if __name__ == "__main__":
    directory, word, *names = sys.argv[1:]
    getattr(Stack(Path(directory)), word)(*names)
