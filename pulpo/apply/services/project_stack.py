"""The stack of a project: on which engine, under which name, from which files, with which ports."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pulpo.apply.services.containers import observe
from pulpo.apply.services.engine import Engine
from pulpo.apply.services.stack import Stack
from pulpo.compile.compose import port_variable, stack_name
from pulpo.errors import UsageError
from pulpo.manifest.addresses import remembered_as
from pulpo.manifest.references import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    said: dict[str, Any] = {
        "host": docker and docker.host,
        "context": docker and docker.context,
        "image": _image(topology, manifest),
    }
    said = {key: value for key, value in said.items() if value}
    said = resolve({"project": {"docker": said}}, os.environ, document.locate).data["project"]["docker"]
    engine = Engine(said.get("host"), said.get("context"))
    stack = Stack(engine, stack_name(topology), topology, project.cache, project.root, _tagged(said["image"]))

    def write() -> None:
        data = {"services": {definition.name: _texts(definition) for definition in topology.services}}
        resolve(data, os.environ, document.locate)  # Compose would take unset variables for empty
        write_files(project, manifest, topology)
        stack.ports.update(_ports(stack, choose=True))
        _write_settings(stack)

    stack.ports.update(_ports(stack, choose=False))
    return replace(stack, write=write)


def _texts(definition: ServiceDefinition) -> dict[str, Any]:
    said = {"image": definition.image, "command": list(definition.command or ()), "environment": dict(definition.environment)}
    return {key: value for key, value in said.items() if value}


def _image(topology: Topology, manifest: Manifest) -> str:
    from pulpo.compile.dockerfile import image_name

    return image_name(topology, manifest.project.docker)


def _tagged(image: str) -> str:
    return image if re.search(r"[:@][^/]+$", image) else f"{image}:latest"


def write_files(project: Project, manifest: Manifest, topology: Topology) -> None:
    """Bring the files of containers up to date, as `pulpo compile` does; the others of it need not be there."""
    from pulpo.compile.containers import DOCKERIGNORE, container_files
    from pulpo.compile.dockerfile import dockerignore

    texts = container_files(manifest, topology)
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
    text = _HEAD + "".join(f"{name}={value}\n" for name, value in sorted(stack.environment.items()))
    there = path.read_text(encoding="utf-8", errors="replace") if path.exists() else _HEAD
    if there.startswith(_HEAD) and (there != text or not path.exists()):
        _replace(path, text)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _ports(stack: Stack, *, choose: bool) -> dict[str, str]:
    """The ports of this machine for each `auto`, by their variables: the remembered ones, with `choose` new ones as well."""
    from pulpo.services.ports import port_of, remembered

    path = stack.cache / "services" / "ports.json"
    found = {}
    for definition, place, port in _auto(stack):
        key = remembered_as(definition.name, place)
        if choose:
            held = port_of(path, key)
            number: int | None = remembered(path, key, port.address, holds=lambda held=held: _publishes(stack, held))  # type: ignore[misc]
        else:
            number = port_of(path, key)
        if number is not None:
            found[port_variable(definition.name, place)] = str(number)
    return found


def _auto(stack: Stack) -> Iterator[tuple[ServiceDefinition, int, Port]]:
    for definition in stack.topology.services:
        for place, port in enumerate(definition.ports):
            if port.outer is None:
                yield definition, place, port


def _publishes(stack: Stack, port: int | None) -> bool:
    """Whether a port is taken by the stack itself."""
    return any(outer == port for one in observe(stack.engine, stack.name) for _, outer, _ in one.ports)
