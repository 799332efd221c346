"""What `pulpo doctor` looks at for services: Docker, MongoDB, and the ports of the project."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pulpo.apply.services.extras import EXTRAS
from pulpo.cli.finding import Finding, Status
from pulpo.errors import DiagnosticsError, PulpoError

if TYPE_CHECKING:
    from pulpo.apply.services.engine import Engine
    from pulpo.apply.services.status import ServiceStatus
    from pulpo.manifest.addresses import Port
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

#: Seconds that Docker and mongod have to answer in.
_PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Situation:
    """The project that is looked at, as far as there is one and its lock can be read."""

    project: Project | None = None
    manifest: Manifest | None = None
    document: Document | None = None
    mode: Literal["local", "docker"] = "local"

    @property
    def needs(self) -> dict[str, str]:
        """Why the project needs an extra, in words, by extra."""
        if self.manifest is None:
            return {}
        from pulpo.manifest.addresses import is_managed

        found = {"docker": "the project runs as containers"} if self.mode == "docker" else {}
        for service, extra in EXTRAS.items():
            if self.mode == "local" and is_managed(self.manifest, service):
                found.setdefault(extra.name, f"the service {service} needs it")
        runners = {spec.task_runner for spec in self.manifest.flows.values() if spec.task_runner}
        for runner in sorted(str(getattr(one, "type", one)) for one in runners):
            found[runner] = f"a flow has it as task_runner: {runner}"
        database = self.manifest.services.get("db")
        if is_managed(self.manifest, "db") or (database is not None and database.uri is not None):
            found["mongo"] = "the project's database is MongoDB"
        return found


def docker(situation: Situation) -> list[Finding]:
    """Whether there is a Docker that containers can run on; it matters where the project runs so."""
    if situation.mode != "docker" and shutil.which("docker") is None:
        return [Finding("docker", Status.OK, "not here; only containers need it (--mode docker)")]
    bad = Status.FAIL if situation.mode == "docker" else Status.WARN
    from pulpo.apply.services.engine import DockerError

    engine = _engine(situation)
    try:
        server = engine.run("version", "--format", "{{.Server.Version}}", seconds=_PATIENCE).strip()
        compose = engine.run("compose", "version", "--short", seconds=_PATIENCE).strip()
    except DockerError as error:
        return [_refused(engine, error, bad)]
    except PulpoError as error:
        return [Finding.of_error("docker", error, bad)]
    try:
        engine.check()
    except PulpoError as error:
        return [Finding.of_error("docker", error, bad)]
    return [Finding("docker", Status.OK, f"Docker {server} at {engine.endpoint}, Compose {compose}")]


def _engine(situation: Situation) -> Engine:
    from pulpo.apply.services.engine import Engine

    spec = situation.manifest.project.docker if situation.manifest else None
    return Engine(host=spec.host, context=spec.context) if spec else Engine()


def _refused(engine: Engine, error: PulpoError, bad: Status) -> Finding:
    """Why Docker can't be used, in the words that a command would have for it; one that hangs is not asked again."""
    if "no answer in" in error.message:
        return Finding("docker", bad, f"the Docker daemon gave {error.message.rpartition(': ')[2]}", "docker info")
    try:
        engine.check()
    except PulpoError as found:
        return Finding.of_error("docker", found, bad)
    return Finding.of_error("docker", error, bad)


def mongod(situation: Situation) -> list[Finding]:
    """Whether there is a mongod; it matters where the project's database is one, as a process."""
    from pulpo.manifest.addresses import is_managed

    needed = situation.mode == "local" and situation.manifest is not None and is_managed(situation.manifest, "db")
    if needed and situation.manifest and situation.manifest.services["db"].command:
        return [Finding("mongod", Status.OK, "the database has a command of its own")]
    path = shutil.which("mongod")
    if path is None:
        if not needed:
            return [Finding("mongod", Status.OK, "not on PATH; only a MongoDB as a process needs it")]
        todo = "install MongoDB, or write services.db.uri, or run containers: --mode docker"
        return [Finding("mongod", Status.FAIL, "services.db is MongoDB, and there is no mongod on PATH", todo)]
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=_PATIENCE)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return [Finding("mongod", Status.FAIL if needed else Status.WARN, f"{path} can't be run: {error}", "install another one")]
    return [Finding("mongod", Status.OK, f"{(done.stdout.splitlines() or [''])[0]} ({path})")]


def ports(situation: Situation) -> list[Finding]:
    """Whether the ports of the project's services are free, or their own."""
    if situation.project is None or situation.manifest is None or situation.document is None:
        return []
    from pulpo.apply.services.manager import ServiceManager

    manager = ServiceManager(situation.project, situation.manifest, situation.document, mode=situation.mode)
    try:
        states = {status.name: status for status in manager.status()}
        services = manager.topology.services
    except DiagnosticsError as error:
        return [Finding("ports", Status.FAIL, error.diagnostics[0].message, error.diagnostics[0].hint)]
    except PulpoError as error:
        return [Finding.of_error("ports", error, Status.WARN)]
    return [
        _port(service.name, port, states.get(service.name))
        for service in services
        if service.kind == "process"
        for port in service.ports
    ]


def _port(service: str, port: Port, status: ServiceStatus | None) -> Finding:
    from pulpo.apply.services.status import State
    from pulpo.services.ports import holder, is_free
    from pulpo.services.spec import Address

    name = f"port {service}"
    if status is not None and status.state in (State.RUNNING, State.STARTING, State.UNREADY, State.RESTARTING):
        return Finding(name, Status.OK, f"the service is {status.state}: {', '.join(status.addresses) or port.outer}")
    if port.outer is None:
        return Finding(name, Status.OK, "a free one is chosen when it starts (auto)")
    try:
        free = is_free(Address(port.address, port.outer))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Finding(
            name, Status.FAIL, f"{port.address}:{port.outer} can't be used: {reason}", f"another port: services.{service}.ports"
        )
    if free:
        return Finding(name, Status.OK, f"{port.outer} is free")
    by = holder(port.outer) or "a process of another user, or a container"
    todo = f"stop that, or write another port, or auto, into services.{service}.ports"
    return Finding(name, Status.FAIL, f"{port.outer} is taken: by {by}", todo)
