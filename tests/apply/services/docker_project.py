"""A project of tests whose services are containers of one small image."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pulpo.apply.services.manager import ServiceManager
from pulpo.apply.services.status import ServiceEvent
from pulpo.manifest.load import load
from pulpo.settings import find_project
from tests.docker_engine import PYTHON_IMAGE, docker

#: A program for another process: `up` of the project in its argument.
UP = """
import sys
from pathlib import Path
from tests.apply.services.docker_project import DockerProject
DockerProject(Path(sys.argv[1])).manager().up()
"""


def python(code: str, **fields: Any) -> dict[str, Any]:
    """A service that runs a line of Python."""
    return {"image": PYTHON_IMAGE, "command": ["python", "-u", "-c", code], "grace": 0, **fields}


def talker(word: str = "ready", **fields: Any) -> dict[str, Any]:
    """A service that is ready by what it says, and lives on."""
    return python(f"import time; print('{word}'); time.sleep(1000)", probe={"log": word}, **fields)


def server(**fields: Any) -> dict[str, Any]:
    """A service that serves its directory."""
    command = ["python", "-u", "-m", "http.server", "9000"]
    return {"image": PYTHON_IMAGE, "command": command, "probe": {"http": "/"}, "ports": ["auto:9000"], "grace": 0, **fields}


@dataclass
class DockerProject:
    """A directory with a lock, and what happened in it."""

    root: Path
    events: list[ServiceEvent] = field(default_factory=list)

    def write(self, services: dict[str, Any], **project: Any) -> None:
        """Write the lock; the services that come with Pulpo are left out where they are not said."""
        left_out = {name: {"enabled": False} for name in ("db", "prefect", "worker", "api")}
        data = {"version": 1, "project": {"name": "toy", "mode": "docker", **project}, "services": {**left_out, **services}}
        self.root.mkdir(exist_ok=True)
        (self.root / "pulpo.lock.yaml").write_text(yaml.safe_dump(data, sort_keys=False))

    def manager(self) -> ServiceManager:
        """As a new command has it."""
        project = find_project(self.root)
        manifest, document = load(project.lock_path)
        return ServiceManager(project, manifest, document, mode="docker")

    @property
    def name(self) -> str:
        """What Compose calls the stack."""
        name: str = self.manager()._driver.stack.name  # type: ignore[attr-defined]
        return name

    def up(self, *names: str, wait: bool = True) -> list[tuple[str, str]]:
        """Bring up; what happened, as service and word."""
        events: list[ServiceEvent] = []
        self.manager().up(*names, wait=wait, on_event=events.append)
        self.events += events
        return [(event.service, event.what) for event in events]

    def down(self, *names: str, volumes: bool = False) -> None:
        """Take down."""
        self.manager().down(*names, volumes=volumes)

    def states(self) -> dict[str, str]:
        """Each service's state."""
        return {status.name: str(status.state) for status in self.manager().status() if status.name not in _LEFT_OUT}

    def ids(self) -> dict[str, str]:
        """Each service's container: another id is another container."""
        lines = self.listed('{{.Label "com.docker.compose.service"}} {{.ID}}')
        return dict(line.split() for line in lines)

    def listed(self, form: str = "{{.Names}}") -> list[str]:
        """The containers of the stack, also those that don't run."""
        return docker("ps", "--all", "--filter", f"label=com.docker.compose.project={self.name}", "--format", form).splitlines()

    def left(self) -> list[str]:
        """Containers, networks and volumes that the stack has."""
        label = f"label=com.docker.compose.project={self.name}"
        kinds = (docker(kind, "ls", "--quiet", "--filter", label).split() for kind in ("network", "volume"))
        return [*self.listed(), *(name for names in kinds for name in names)]


_LEFT_OUT = ("db", "prefect", "worker", "api")
COMMAND = [sys.executable, "-c", UP]
