"""The project's image: Python, Pulpo, what the project needs, and the project itself, each in a layer that the later ones keep.

Pulpo is the version that compiles. From `run_cache/wheels` it comes where a wheel of it is there, else from the package index:
whoever builds the image puts the wheel there if the index has no such version, and takes it away if it has.
"""

from __future__ import annotations

import re
import shlex
from importlib.metadata import metadata
from typing import TYPE_CHECKING, Any, Final

from pulpo.compile.codegen import HEADER
from pulpo.compile.compose import PREFECT_DIRECTORY, STORE_DIRECTORY, project_targets
from pulpo.compile.topology import Role
from pulpo.manifest.references import Reference, parts, references

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pulpo.compile.topology import Topology
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.service import DockerSpec

#: The package that this is part of.
PACKAGE: Final = "pulpocore"
BASE_IMAGE: Final = "python:3.12-slim"
#: The user of the image, which owns the project and its data; no such number is a user of a usual machine.
USER_ID: Final = 10_001
_DOCKERFILE: Final = """\
# {header}
{arguments}FROM {base}
ENV PYTHONUNBUFFERED=1 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
{packages}RUN echo 'pulpo:x:{user}:{user}::/home/pulpo:/bin/sh' >> /etc/passwd \\
    && echo 'pulpo:x:{user}:' >> /etc/group \\
    && mkdir -p /home/pulpo /project/run_cache{directories} \\
    && chown {user}:{user} /home/pulpo /project /project/run_cache{directories}
WORKDIR /project

# Pulpo: from a wheel where there is one, else from the package index.
COPY run_cache/wheel[s]/{package}-*.whl /opt/pulpo/
RUN --mount=type=cache,target=/root/.cache/pip \\
    set -- /opt/pulpo/{package}-*.whl \\
    && mkdir -p /opt/pulpo \\
    && if [ -e "$1" ]; then from="@ file://$1"; else from="=={version}"; fi \\
    && echo "{package}{extras} $from" > /opt/pulpo/requirements.txt \\
    && pip install -r /opt/pulpo/requirements.txt

# What the project needs; only a change of these files installs it again.
COPY pyproject.tom[l] requirements*.tx[t] ./
RUN --mount=type=cache,target=/root/.cache/pip \\
    python -m pulpo.compile.requirements{own_extras} > /opt/pulpo/project.txt \\
    && pip install -r /opt/pulpo/requirements.txt -r /opt/pulpo/project.txt

# The project. One that says how it is built is installed where it is.
COPY --chown={user}:{user} . .
RUN --mount=type=cache,target=/root/.cache/pip \\
    if grep -qs '^\\[build-system\\]' pyproject.toml; then pip install --no-deps --editable .; fi
ENV HOME=/home/pulpo PREFECT_HOME={prefect} PULPO_STORE_PATH={store}/store.db{environment} \\
    DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false
USER {user}:{user}
RUN pulpo compile
CMD ["pulpo", "--help"]
"""
_PACKAGES: Final = """\
RUN apt-get update \\
    && apt-get install -y --no-install-recommends {names} \\
    && rm -rf /var/lib/apt/lists/*
"""
#: What is no part of the project as it runs, or may be secret.
_IGNORED: Final = (
    ".git", "**/.venv", "**/venv", "**/node_modules", "**/__pycache__", "**/*.py[co]", "**/*.egg-info", "**/.*_cache",
    "**/.hypothesis", "**/.tox", "**/.nox", "**/.DS_Store", "**/.env", "**/.env.*", "**/.netrc", "**/.pypirc",
    "docker-compose.override.yml",
)  # fmt: skip
#: What the build needs of `run_cache`; that nothing else of it may get in goes before what people say.
_CACHE: Final = ("run_cache/*", "!run_cache/.gitignore", "!run_cache/wheels")
_UNSAFE: Final = re.compile(r"[^a-z0-9._-]+")


def dockerfile(
    topology: Topology, docker: DockerSpec | None = None, *, extras: Sequence[str] = (), version: str | None = None
) -> str:
    """The Dockerfile of the project's image; its context is the project's directory, with the ignored files of `dockerignore`.

    Args:
        topology: The services that run from it.
        docker: What the manifest says about it.
        extras: Those of Pulpo that the project needs, beside the ones that the manifest names (see `needed_extras`).
        version: Pulpo's, where no wheel is there; the one that is installed where not given.
    """
    said = metadata(PACKAGE)
    named = set(docker.extras or ()) if docker else set()
    known = set(said.get_all("Provides-Extra") or ())
    base = (docker and docker.base_image) or BASE_IMAGE
    packages = sorted(set((docker and docker.packages) or ()))
    directories = sorted({STORE_DIRECTORY, PREFECT_DIRECTORY, *project_targets(topology)})
    pulpo = ",".join(sorted({*extras, *(named & known)}))
    return _DOCKERFILE.format(
        header=HEADER,
        arguments="".join(_arguments(base)),
        base=_from(base),
        packages=_PACKAGES.format(names=" ".join(map(shlex.quote, packages))) if packages else "",
        user=USER_ID,
        directories="".join(f" {shlex.quote(path)}" for path in directories),
        package=PACKAGE,
        version=version or said["Version"],
        extras=f"[{pulpo}]" if pulpo else "",
        own_extras="".join(f" {shlex.quote(extra)}" for extra in sorted(named)),
        prefect=PREFECT_DIRECTORY,
        store=STORE_DIRECTORY,
        environment=f" PULPO_ENV={shlex.quote(topology.environment)}" if topology.environment else "",
    )


def dockerignore(own: str = "") -> str:
    """What is left out of the image, as `Dockerfile.dockerignore`; `own` is the text of the project's `.dockerignore`.

    The engine reads this file in place of the project's own one, so that has to be in it.
    """
    lines = [f"# {HEADER}", *_IGNORED]
    if own.strip():
        lines += ["# From .dockerignore:", *own.strip().splitlines()]
    return "\n".join([*lines, "# Always:", *_CACHE]) + "\n"


def image_name(topology: Topology) -> str:
    """The project's image, where the manifest does not name it: `pulpo/PROJECT`, its tag the environment."""
    name = _UNSAFE.sub("-", topology.project.lower()).strip("._-") or "project"
    tag = _UNSAFE.sub("-", topology.environment.lower()).strip("._-") if topology.environment else ""
    return f"pulpo/{name}" + (f":{tag}" if tag else "")


def build_arguments(docker: DockerSpec | None) -> dict[str, Any]:
    """What Compose is told about the build in addition: the variables that the base image's name refers to."""
    names = sorted({reference.name for reference in references((docker and docker.base_image) or "")})
    return {"args": dict.fromkeys(names)} if names else {}


def needed_extras(manifest: Manifest, topology: Topology) -> tuple[str, ...]:
    """The extras of Pulpo that the services of a project need, sorted."""
    return tuple(sorted(set(_extras(manifest, topology))))


def _extras(manifest: Manifest, topology: Topology) -> Iterator[str]:
    for service in topology.services:
        if service.role in (Role.PREFECT, Role.WORKER):
            yield "prefect"
        if service.role is Role.API:
            yield "api"
        if service.role is Role.UI and service.kind == "process":
            yield "ui"
        if service.role is Role.DB and service.kind != "embedded":
            yield "mongo"
    yield from (flow.task_runner for flow in manifest.flows.values() if flow.task_runner in ("dask", "ray"))


def _arguments(base: str) -> Iterator[str]:
    """Variables that the name of the base image refers to; each once, with the default that is said first."""
    found: dict[str, str | None] = {}
    for part in parts(base):
        if isinstance(part, Reference):
            found[part.name] = found.get(part.name) or part.default
    yield from (f"ARG {name}\n" if default is None else f"ARG {name}={shlex.quote(default)}\n" for name, default in found.items())


def _from(base: str) -> str:
    return "".join(part if isinstance(part, str) else f"${{{part.name}}}" for part in parts(base))
