"""The files that containers are made from: the services for Compose and for a Swarm, and the project's image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pulpo.compile.codegen import HEADER
from pulpo.compile.compose import IMAGE_VARIABLE, compose_file, stack_file
from pulpo.compile.dockerfile import build_arguments, dockerfile, dockerignore, image_name, needed_extras
from pulpo.manifest.layout import Layout
from pulpo.manifest.yaml_write import block

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.compile.topology import Topology
    from pulpo.manifest.model import Manifest

#: Relative to `run_cache`.
COMPOSE: Final = "docker-compose.yml"
STACK: Final = "docker-stack.yml"
DOCKERFILE: Final = "Dockerfile"
#: What the engine reads beside a Dockerfile of that name.
DOCKERIGNORE: Final = "Dockerfile.dockerignore"
CONTAINER_FILES: Final = (COMPOSE, STACK, DOCKERFILE, DOCKERIGNORE)
_COMPOSE_HEAD: Final = f"""\
# {HEADER}
#
# `pulpo --mode docker up` brings these services up. So does Compose itself, from the project's directory:
#
#     docker compose -f run_cache/docker-compose.yml up --detach --wait
#
"""
_STACK_HEAD: Final = f"""\
# {HEADER}
#
# For a Swarm, whose machines pull the images from their registry:
#
#     docker stack deploy --compose-file run_cache/docker-stack.yml NAME
#
"""
_LINES: Final = Layout(block=True)
_SERVICE: Final = Layout(
    block=True, fields=dict.fromkeys(("environment", "ports", "volumes", "healthcheck", "depends_on", "deploy", "labels"), _LINES)
)
_FILE: Final = Layout(block=True, fields={"services": Layout(block=True, each=_SERVICE), "volumes": _LINES})


def container_files(manifest: Manifest, topology: Topology) -> dict[str, str]:
    """The texts of the files by their names, none where Pulpo runs no service."""
    if not any(service.kind == "process" for service in topology.services):
        return {}
    docker = manifest.project.docker
    image = (docker and docker.image) or f"${{{IMAGE_VARIABLE}:-{image_name(topology)}}}"
    return {
        COMPOSE: printed(compose_file(topology, image=image, build=build_arguments(docker)), _COMPOSE_HEAD),
        STACK: printed(stack_file(topology, image=image), _STACK_HEAD),
        DOCKERFILE: dockerfile(topology, docker, extras=needed_extras(manifest, topology)),
        DOCKERIGNORE: dockerignore(),
    }


def printed(file: Mapping[str, Any], head: str = "") -> str:
    """A file of services as YAML, in the order that it has."""
    return head + block(file, _FILE)
