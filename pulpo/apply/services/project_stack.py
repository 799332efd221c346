"""The stack of a project: on which engine, under which name, from which files, with which ports."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

from pulpo.apply.services.engine import Engine
from pulpo.apply.services.stack import Stack
from pulpo.compile.compose import port_variable, stack_name
from pulpo.compile.dockerfile import build_arguments
from pulpo.errors import UsageError
from pulpo.manifest.addresses import remembered_as
from pulpo.manifest.references import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pulpo.apply.services.containers import Container
    from pulpo.compile.topology import ServiceDefinition, Topology
    from pulpo.manifest.addresses import Port
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

_SETTINGS: Final = ".env"
_MADE: Final = "Made by `pulpo"
_HEAD: Final = f"# {_MADE} up`, for plain `docker compose`: which stack the file beside it is here, and ports that were chosen.\n"
_NAME: Final = "COMPOSE_PROJECT_NAME"


def project_stack(project: Project, manifest: Manifest, document: Document, topology: Topology) -> Stack:
    """The stack of a project.

    Raises:
        DiagnosticsError: Variables are not set that say where it runs, or what its image is called.
    """
    docker = manifest.project.docker
    named = {"host": docker.host, "context": docker.context, "image": docker.image} if docker else {}
    said: dict[str, Any] = {key: value for key, value in named.items() if value}
    said = resolve({"project": {"docker": said}}, os.environ, document.locate).data["project"]["docker"]
    engine = Engine(said.get("host"), said.get("context"))
    ports = {variable: str(port) for variable, port in _remembered(project, topology).items()}
    image = _tagged(said["image"]) if "image" in said else None
    arguments = tuple(build_arguments(docker).get("args", ()))
    return Stack(engine, stack_name(topology), topology, project.cache, project.root, image, arguments, ports)


class StackFiles:
    """The files that a stack is made from, brought up to date."""

    def __init__(self, project: Project, manifest: Manifest, document: Document, stack: Stack) -> None:
        self._project = project
        self._manifest = manifest
        self._document = document
        self._stack = stack

    def write(self, there: Callable[[], Sequence[Container]], *, choose: bool) -> None:
        """Write what differs, and choose the ports that are not chosen yet.

        Args:
            there: The containers of the stack; only asked where a port that was chosen is taken.
            choose: Whether another one is chosen where somebody else took a port; looking alone changes none.

        Raises:
            DiagnosticsError: Variables are not set that services refer to.
            UsageError: A file that Pulpo did not make is in the way, or no port is free.
        """
        services = self._stack.topology.services
        data = {"services": {definition.name: _texts(definition) for definition in services}}
        resolve(data, os.environ, self._document.locate)  # Compose would take unset variables for empty
        write_files(self._project, self._manifest)
        self._choose_ports(there, choose=choose)
        _write_settings(self._stack)

    def _choose_ports(self, there: Callable[[], Sequence[Container]], *, choose: bool) -> None:
        from pulpo.services.ports import port_of, remembered

        path = _ports_path(self._project)
        for definition, place, port in _auto(self._stack.topology):
            key = remembered_as(definition.name, place)
            held = port_of(path, key)

            def holds(held: int | None = held) -> bool:  # whoever has it of the project, it is not given up
                return not choose or _publish(there(), held) or _listens(self._project, held)

            number = remembered(path, key, port.address, holds=holds)
            self._stack.ports[port_variable(definition.name, place)] = str(number)


def _texts(definition: ServiceDefinition) -> dict[str, Any]:
    said = {"image": definition.image, "command": list(definition.command or ()), "environment": dict(definition.environment)}
    return {key: value for key, value in said.items() if value}


def _tagged(image: str) -> str:
    return image if re.search(r"[:@][^/]+$", image) else f"{image}:latest"


def write_files(project: Project, manifest: Manifest) -> None:
    """Bring the files of containers up to date, as `pulpo compile` does; the others of it need not be there."""
    from pulpo.compile.containers import DOCKERIGNORE, container_files
    from pulpo.compile.dockerfile import dockerignore
    from pulpo.compile.topology import topology

    texts = container_files(manifest, topology(manifest, environment=project.environment, written=True))
    if DOCKERIGNORE in texts and (own := project.root / ".dockerignore").is_file():
        texts[DOCKERIGNORE] = dockerignore(own.read_text(encoding="utf-8", errors="replace"))
    project.cache.mkdir(exist_ok=True)
    for name, text in {".gitignore": "*\n", **texts}.items():
        path = project.cache / name
        there = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
        if there == text or (there is not None and name == ".gitignore"):
            continue
        if there is not None and _MADE not in there[:4096]:
            raise UsageError(
                f"a file that `pulpo compile` did not make is in the way: {path}", hint="nothing was written; move it elsewhere"
            )
        _replace(path, text)


def _write_settings(stack: Stack) -> None:
    """What plain `docker compose` has to know; a person's own file stays."""
    path = stack.cache / _SETTINGS
    text = _HEAD + "".join(f"{name}={value}\n" for name, value in sorted(stack.compose.environment.items()))
    there = path.read_text(encoding="utf-8", errors="replace") if path.exists() else _HEAD
    if there.startswith(_HEAD) and (there != text or not path.exists()):
        _replace(path, text)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _ports_path(project: Project) -> Path:
    return project.cache / "services" / "ports.json"


def _remembered(project: Project, topology: Topology) -> dict[str, int]:
    """The ports of this machine that were chosen for each `auto`, by their variables."""
    from pulpo.services.ports import port_of

    path = _ports_path(project)
    found = {port_variable(d.name, place): port_of(path, remembered_as(d.name, place)) for d, place, _ in _auto(topology)}
    return {variable: port for variable, port in found.items() if port is not None}


def _auto(topology: Topology) -> Iterator[tuple[ServiceDefinition, int, Port]]:
    for definition in topology.services:
        for place, port in enumerate(definition.ports):
            if port.outer is None:
                yield definition, place, port


def _publish(containers: Sequence[Container], port: int | None) -> bool:
    """Whether a port is taken by the stack itself."""
    return any(outer == port for one in containers for _, outer, _ in one.ports)


def _listens(project: Project, port: int | None) -> bool:
    """Whether a port is taken by a process that is a service of the project."""
    from pulpo.services.local import LocalServices

    services = LocalServices(project.cache)
    states = [state for name in services.names() if (state := services.state(name)) is not None and not state.status.over]
    return any(where.endswith(f":{port}") for state in states for where in state.addresses)
