"""The services of a topology as containers, for Docker Compose, and for a Swarm, which reads an older dialect of the same file.

No reference to an environment variable is resolved: Compose fills it in where the file is used, so that no secret is in it. Nor
is anything in it that differs between machines. The port of this machine for an `auto` is the variable of `port_variable`, and
where it is not set the engine takes a free one. The name of the stack is `stack_name`, unless COMPOSE_PROJECT_NAME says another.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from pulpo.compile.said import ENVIRONMENT
from pulpo.compile.topology import Link, Mount, Needs, Probe, Role, ServiceDefinition, Topology, default_command
from pulpo.manifest.addresses import is_loopback, reached_at
from pulpo.manifest.references import Reference, parts, references
from pulpo.services.prefect_data import data_in
from pulpo.settings import STORE_PATH_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pulpo.manifest.addresses import Port

#: Of a container, a volume and a network, and in a Swarm of a service as well: whose it is, and in which environment; and of
#: those that run, what they were made from.
PROJECT_LABEL: Final = "pulpo.project"
ENVIRONMENT_LABEL: Final = "pulpo.environment"
DIGEST_LABEL: Final = "pulpo.digest"
#: Of a container, what it was made from, as JSON; see `pulpo.compile.said`.
SAID_LABEL: Final = "pulpo.service"
#: Of the project's image, and so of containers that run from it: what went into it, where `pulpo` had it made.
CONTENT_LABEL: Final = "pulpo.content"
CONTENT_VARIABLE: Final = "PULPO_CONTENT"
#: Names the project's image where the manifest doesn't.
IMAGE_VARIABLE: Final = "PULPO_IMAGE"
#: Relative to `run_cache`, where the file is; the Dockerfile relative to the project.
CONTEXT: Final = ".."
DOCKERFILE: Final = "run_cache/Dockerfile"
#: Where the project's image keeps the embedded store, and what Prefect keeps.
STORE_DIRECTORY: Final = "/data/store"
PREFECT_DIRECTORY: Final = "/data/prefect"
#: Compose's words for what happens when a container ends. One that the user stopped stays so, also when the engine starts; one
#: that crashes again and again is left alone in the end.
_RESTART: Final = {"always": "unless-stopped", "on-failure": "on-failure:5", "no": "no"}
_SWARM_RESTART: Final = {"always": "any", "on-failure": "on-failure", "no": "none"}
#: Where Prefect's server may put its pages: the user of the image can't write where the package is.
_PAGES: Final = "/home/pulpo/prefect-ui"
_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - of a container, whose ports are published where the manifest says it
#: A dollar sign of the text itself, or a reference with a default.
_DOLLARS: Final = re.compile(r"\$\$|\$\{\w+:-(?P<default>[^{}]*)\}")
_STORE: Final = Mount("store", STORE_DIRECTORY)
#: What is kept of services beside what their entries mount.
_KEPT: Final = {
    # The image declares this one as a volume: without a name each new container would leave one behind.
    Role.DB: Mount("db_config", "/data/configdb"),
    Role.PREFECT: Mount("prefect_data", PREFECT_DIRECTORY),
    Role.WORKER: Mount("worker_data", PREFECT_DIRECTORY),
}
#: Seconds between two looks at whether a service is ready. Those that need it wait for the next one.
_INTERVAL: Final = "2s"
_LOOK_TIMEOUT: Final = "5s"
_LOOKS: Final = 5
#: For images without Python: bash opens connections by itself. Its arguments are the port and the path.
_GET: Final = (
    "exec 3<>/dev/tcp/127.0.0.1/$$1 && printf 'GET %s HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' \"$$2\" >&3"
    " && read -r _ status _ <&3 && [[ $$status == [123]* ]]"
)
_CONNECT: Final = "exec 3<>/dev/tcp/127.0.0.1/$$1"


def compose_file(topology: Topology, *, image: str, build: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The services of a topology that Pulpo runs, as the Compose specification has them.

    Paths are relative to `run_cache`.

    Args:
        topology: The services.
        image: The name of the project's image, with references.
        build: What else Compose is told about building it, beside where its Dockerfile is.
    """
    texts = {service.name: _common(service, topology, image) for service in _run(topology)}
    for service in _run(topology):
        entry = texts[service.name]
        if service.image is None:
            labels = {CONTENT_LABEL: f"${{{CONTENT_VARIABLE}:-}}"}
            entry["build"] = {"context": CONTEXT, "dockerfile": DOCKERFILE, **(build or {}), "labels": labels}
        entry["ports"] = [_published(service.name, place, port) for place, port in enumerate(service.ports)]
        entry["depends_on"] = {need.service: {"condition": _condition(topology, need)} for need in service.needs}
        entry["restart"] = _RESTART[service.restart]
        entry["deploy"] = _limits(service) | ({"replicas": service.replicas} if service.replicas > 1 else {})
    services = {name: _finished(entry, topology) for name, entry in texts.items()}
    for service in _run(topology):
        services[service.name]["labels"][SAID_LABEL] = _said(service)
    networks = {"networks": {"default": {"labels": _whose(topology)}}} if services else {}
    return {"name": stack_name(topology), "services": services, **_volumes(services, topology), **networks}


def stack_file(topology: Topology, *, image: str) -> dict[str, Any]:
    """The same for `docker stack deploy`, in version 3 of the file's format.

    Swarm publishes ports on all addresses of all its machines. So those that the manifest has for the loopback address are not
    published at all: services reach each other all the same.
    """
    texts = {service.name: _common(service, topology, image) for service in _run(topology)}
    for service in _run(topology):
        entry = texts[service.name]
        entry["ports"] = [_ingress(port) for port in service.ports if not is_loopback(port.address)]
        entry["depends_on"] = [need.service for need in service.needs]
        restart = {"condition": _SWARM_RESTART[service.restart], "delay": "5s"}
        entry["deploy"] = {"replicas": service.replicas, **_limits(service), "restart_policy": restart}
    services = {name: _finished(entry, topology) for name, entry in texts.items()}
    for entry in services.values():
        entry["deploy"]["labels"] = entry["labels"]
    file: dict[str, Any] = _as_swarm_reads({"version": "3.9", "services": services, **_volumes(services, topology)})
    return file


def stack_name(topology: Topology) -> str:
    """What Compose calls the services together: letters in lower case, digits, `-` and `_`."""
    words = (re.sub(r"[^a-z0-9_-]+", "-", part.lower()).strip("-_") for part in (topology.project, topology.environment or ""))
    return "-".join(filter(None, words)) or "project"


def port_variable(service: str, place: int = 0) -> str:
    """The variable that gives a service its port of this machine, for the `auto` at a place of its `ports`."""
    name = re.sub(r"\W", "_", service.upper(), flags=re.ASCII)
    return f"PULPO_PORT_{name}" + (f"__{place}" if place else "")


def project_targets(topology: Topology) -> tuple[str, ...]:
    """Where volumes are mounted in containers of the project's image; sorted."""
    own = (mount for service in _run(topology) if service.image is None for mount in _mounts(service, topology))
    return tuple(sorted({mount.target for mount in own if not _is_path(mount.source)}))


def _run(topology: Topology) -> Iterator[ServiceDefinition]:
    return (service for service in topology.services if service.kind == "process")


def _common(service: ServiceDefinition, topology: Topology, image: str) -> dict[str, Any]:
    """What both dialects say in the same way."""
    return {
        "image": filled(service.image or image),
        "command": [filled(word) for word in service.command] if service.command else None,
        # A signal reaches the service, and what it leaves behind is cleaned up.
        "init": True if service.image is None else None,
        "environment": _environment(service, topology),
        "volumes": [_volume(mount) for mount in _mounts(service, topology)],
        "healthcheck": _healthcheck(service),
        "stop_grace_period": f"{service.grace:.10g}s",
    }


def _finished(entry: Mapping[str, Any], topology: Topology) -> dict[str, Any]:
    said = {key: value for key, value in entry.items() if value not in (None, [], {})}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
    return {**said, "labels": {**_whose(topology), DIGEST_LABEL: digest}}


def _whose(topology: Topology) -> dict[str, str]:
    said = {PROJECT_LABEL: topology.project, ENVIRONMENT_LABEL: topology.environment}
    return {label: _escaped(text) for label, text in said.items() if text}


def _said(service: ServiceDefinition) -> str:
    passed = {f"{ENVIRONMENT}{name}": f"${{{name}}}" for name in _passed(service)}
    return _escaped(json.dumps({**passed, **service.said}, sort_keys=True, separators=(",", ":")))


def _environment(service: ServiceDefinition, topology: Topology) -> dict[str, str | None]:
    """Sorted; a variable of None is passed on if it is set where the file is used."""
    named = {service.name: service for service in topology.services}
    found: dict[str, str | None] = dict.fromkeys(_passed(service))
    found |= {link.variable: _address(link, service, named[link.service]) for link in service.links}
    found |= _defaults(service, topology)
    found |= {name: filled(text) for name, text in service.environment.items()}
    return dict(sorted(found.items()))


def _passed(service: ServiceDefinition) -> Iterator[str]:
    yield from service.passed
    if service.role is Role.API:  # it reads its own entry of the manifest as well
        yield from (reference.name for text in service.environment.values() for reference in references(text))


def _address(link: Link, service: ServiceDefinition, other: ServiceDefinition) -> str:
    host = _EVERYWHERE if link.service == service.name else other.name
    return filled(link.text.replace("{host}", host).replace("{port}", _inner(other.ports[0]) if other.ports else ""))


def _defaults(service: ServiceDefinition, topology: Topology) -> Iterable[tuple[str, str]]:
    """What containers have to be told beside where others are; the manifest goes before."""
    if service.role in (Role.PREFECT, Role.WORKER):
        yield "PREFECT_HOME", PREFECT_DIRECTORY
    if service.role is Role.PREFECT and service.image is None and service.command == default_command(service.name):
        yield from data_in(PREFECT_DIRECTORY, (*_passed(service), *service.environment)).items()
    if service.role is Role.PREFECT and service.image is None:
        yield "PREFECT_UI_STATIC_DIRECTORY", _PAGES
    if service.role is Role.PREFECT and service.ports:
        port = service.ports[0]
        outer = _outer(port) or f"${{{port_variable(service.name)}:-{port.port}}}"
        yield "PREFECT_UI_API_URL", f"http://{_bracketed(reached_at(port.address))}:{outer}/api"
    if service.role is Role.API and all(is_loopback(port.address) for port in service.ports):
        yield "PULPO_API_OPEN", "true"
    if service.role is Role.UI and all(is_loopback(port.address) for port in service.ports):
        yield "PULPO_UI_OPEN", "true"
    if _uses_store(service, topology):
        yield STORE_PATH_VARIABLE, f"{STORE_DIRECTORY}/store.db"


def _uses_store(service: ServiceDefinition, topology: Topology) -> bool:
    embedded = any(other.kind == "embedded" for other in topology.services)
    return embedded and service.image is None and service.role not in (Role.PREFECT, Role.UI)


def _mounts(service: ServiceDefinition, topology: Topology) -> Iterator[Mount]:
    yield from service.mounts
    targets = {mount.target for mount in service.mounts}
    if (kept := _KEPT.get(service.role)) and kept.target not in targets:
        yield kept
    if _uses_store(service, topology) and _STORE.target not in targets:
        yield _STORE


def _volume(mount: Mount) -> dict[str, Any] | str:
    target, end = filled(mount.target), {"read_only": True} if mount.read_only else {}
    if mount.source.startswith("$"):  # Compose knows what it is when the reference is filled in
        return f"{filled(mount.source)}:{target}" + (":ro" if mount.read_only else "")
    if _is_path(mount.source):
        return {"type": "bind", "source": _from_cache(filled(mount.source)), "target": target, **end}
    return {"type": "volume", "source": filled(mount.source), "target": target, **end}


def _is_path(source: str) -> bool:
    return source.startswith((".", "/", "~", "$"))


def _from_cache(path: str) -> str:
    """A path of the project, as seen from `run_cache`."""
    return path if path.startswith(("/", "~")) else f"../{path.removeprefix('./')}".removesuffix("/.").removesuffix("/")


def _volumes(services: Mapping[str, Mapping[str, Any]], topology: Topology) -> dict[str, Any]:
    mounted = (volume for entry in services.values() for volume in entry.get("volumes", ()))
    names = sorted({volume["source"] for volume in mounted if isinstance(volume, dict) and volume["type"] == "volume"})
    return {"volumes": {name: {"labels": _whose(topology)} for name in names}} if names else {}


def _published(service: str, place: int, port: Port) -> str:
    outer = _outer(port) or f"${{{port_variable(service, place)}:-}}"
    return f"{_bracketed(port.address)}:{outer}:{filled(_inner(port))}"


def _ingress(port: Port) -> dict[str, Any]:
    published = {"published": _outer(port) if port.outer_text else port.outer} if port.outer else {}
    target = filled(port.port_text) if port.port_text else port.port
    return {"target": target, **published, "protocol": "tcp", "mode": "ingress"}


def _inner(port: Port) -> str:
    """The port of the service, as the manifest has it."""
    return port.port_text or str(port.port)


def _outer(port: Port) -> str:
    """The port of this machine, filled in by Compose; empty where it is to be chosen."""
    return filled(port.outer_text or str(port.outer or ""))


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _condition(topology: Topology, need: Needs) -> str:
    """What Compose waits for: it knows readiness by a health check alone."""
    other = next(service for service in topology.services if service.name == need.service)
    return "service_healthy" if need.ready and _healthcheck(other) else "service_started"


def _limits(service: ServiceDefinition) -> dict[str, Any]:
    said = {"cpus": f"{service.cpus:.10g}" if service.cpus else None, "memory": service.memory}
    limits = {key: value for key, value in said.items() if value}
    return {"resources": {"limits": limits}} if limits else {}


def _healthcheck(service: ServiceDefinition) -> dict[str, Any] | None:
    """None where the service has no probe, or one that looks at its log: whoever brings it up watches that."""
    test = _test(service.probe, service) if service.probe else None
    if test is None:
        return None
    period = f"{service.ready_timeout:.10g}s"
    return {"test": test, "interval": _INTERVAL, "timeout": _LOOK_TIMEOUT, "retries": _LOOKS, "start_period": period}


def _test(probe: Probe, service: ServiceDefinition) -> list[str] | None:
    if probe.kind == "command":
        return ["CMD", *map(filled, probe.command)]
    port = probe.port or (service.ports[0].port if service.ports else None)
    if probe.kind == "log" or port is None:
        return None
    path = [filled(probe.path)] if probe.kind == "http" else []
    number = filled(next((_inner(one) for one in service.ports if one.port == port), str(port)))
    if service.image is None:
        return ["CMD", "python", "-m", "pulpo.services.probe_command", probe.kind, number, *path]
    return ["CMD", "bash", "-c", _GET if path else _CONNECT, "probe", number, *path]


def filled(text: str) -> str:
    """A text of the manifest as Compose has to read it: all dollar signs that begin no reference are doubled."""
    return "".join(_part(part) for part in parts(text))


def _part(part: str | Reference) -> str:
    if isinstance(part, str):
        return _escaped(part)
    return f"${{{part.name}}}" if part.default is None else f"${{{part.name}:-{_escaped(part.default)}}}"


def _as_swarm_reads(value: Any) -> Any:
    """The same in Swarm's dialect, where the default of a reference is no place for a doubled dollar sign: it would stay so."""
    if isinstance(value, str):
        return _DOLLARS.sub(lambda found: found[0] if found["default"] is None else found[0].replace("$$", "$"), value)
    if isinstance(value, dict):
        return {key: _as_swarm_reads(item) for key, item in value.items()}
    return [_as_swarm_reads(item) for item in value] if isinstance(value, list) else value


def _escaped(text: str) -> str:
    return text.replace("$", "$$")
