"""Rules of services that no schema can say: PLP223 to PLP231. They hold for services that are part of the project (`enabled`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pulpo.diagnostics import Diagnostic, Related, Severity
from pulpo.manifest.addresses import BUILT_IN, Port, is_loopback, kind_of, ports_of
from pulpo.manifest.needs import circle, needs_of
from pulpo.manifest.overlay import PROBES
from pulpo.manifest.references import parts
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pulpo.diagnostics import Path
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.service import ProbeSpec, ServiceSpec

#: The codes of what is found here.
CODES: Final = ("PLP223", "PLP224", "PLP225", "PLP226", "PLP227", "PLP228", "PLP229", "PLP230", "PLP231")

#: Where one of these is set, the API asks for a token; and of the second, the UI, which holds none, knows that it does.
TOKENS: Final = ("PULPO_API_TOKEN", "PULPO_API_READ_TOKEN")
GUARDED: Final = "PULPO_UI_GUARDED"
#: Services that are nothing without another one, unless a variable of theirs says where that is.
_NOT_ALONE: Final = (("worker", "prefect", "PREFECT_API_URL"), ("ui", "api", "PULPO_API_URL"))
#: Services that ask nobody who they are, unless one of these variables of theirs is set, and what they give away.
_TRUSTING: Final = (
    ("db", ("MONGO_INITDB_ROOT_USERNAME",), "MongoDB", "read and change all records"),
    ("prefect", ("PREFECT_SERVER_API_AUTH_STRING",), "Prefect's server", "start runs"),
)
_MEMORY: Final = re.compile(r"[0-9]+(\.[0-9]+)?([kmg]b?|b)", re.IGNORECASE)
_VOLUME: Final = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_.-]*|[./][^:]*):/[^:]*(?::r[ow])?")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")


def service_problems(manifest: Manifest, environ: Mapping[str, str] | None = None) -> list[Diagnostic]:
    """What is wrong with the services, and with `project.docker`.

    Args:
        manifest: As an environment has it.
        environ: The environment variables that references in `ports` stand for; without them such ports are not looked at.

    Raises:
        DiagnosticsError: Variables are not set that `ports` refer to.
    """
    services = {name: spec for name, spec in manifest.services.items() if spec.enabled is not False}
    ports = _Ports(services, environ)
    found = [*_lonely(manifest, services)]
    for name, spec in services.items():
        found += [*_unknown_needs(manifest, name, spec), *_nothing_runs(name, spec), *_texts(name, spec)]
        if spec.probe is not None:
            found += _probe(spec.probe, ("services", name, "probe"), has_ports=bool(ports.of(name)) or "$" in str(spec.ports))
    found += [*_alone(manifest), *_circles(manifest), *ports.problems, *ports.taken_twice()]
    return [*found, *_open_api(services, ports), *_open_ui(services, ports), *_trusting(services, ports)]


def asks_for_token(api: ServiceSpec | None) -> bool:
    """Whether an entry of the API has a token that is not empty, whatever the variables are set to that it refers to."""
    said = (api and api.environment) or {}
    return any(_is_something(said[name]) for name in TOKENS if name in said)


def _is_something(text: str) -> bool:
    return any(part if isinstance(part, str) else part.default != "" for part in parts(text))


def _unknown_needs(manifest: Manifest, name: str, spec: ServiceSpec) -> Iterator[Diagnostic]:
    """PLP223 for each service that is waited for and is not there."""
    for index, other in enumerate(spec.depends_on or ()):
        path = ("services", name, "depends_on", index)
        if other not in manifest.services:
            known = sorted(manifest.services.keys() - {name})
            hint = did_you_mean(other, known) or (
                f"the lock has: {', '.join(known)}" if known else "the lock has no other service"
            )
            yield Diagnostic("PLP223", f"there is no such service: {other}", path, hint=hint)
        elif manifest.services[other].enabled is False:
            yield _disabled(other, path, "take it out, or the line `enabled: false` of the other one")


def _alone(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP223 for a worker whose server is disabled, and a UI whose API is, unless it is told of another one."""
    for name, needed, variable in _NOT_ALONE:
        spec, other = manifest.services.get(name), manifest.services.get(needed)
        if spec is None or spec.enabled is False or spec.uri is not None or variable in (spec.environment or {}):
            continue
        if other is not None and other.enabled is False:
            what = {"prefect": "Prefect", "api": "the API"}[needed]
            hint = f"write `enabled: false` here, too, or say where {what} is: services.{needed}.uri in place of `enabled`"
            yield _disabled(needed, ("services", name), hint)


def _disabled(other: str, path: Path, hint: str) -> Diagnostic:
    related = (Related("it is disabled here", ("services", other, "enabled")),)
    return Diagnostic("PLP223", f"it needs a service that is disabled: {other}", path, hint=hint, related=related)


def _circles(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP224 for each circle of services that need each other, at the first one of it that says so."""
    needs = needs_of(manifest)
    while found := circle(needs):
        shown = " → ".join([*found, found[0]])
        following = dict(zip(found, [*found[1:], found[0]], strict=True))
        said = [n for n in found if following[n] in (manifest.services[n].depends_on or ())]
        path = ("services", said[0], "depends_on")
        related = tuple(Related("and here", ("services", name, "depends_on")) for name in said[1:])
        message = f"no service of this circle can be the first to start: {shown}"
        yield Diagnostic("PLP224", message, path, hint="take one of them out of `depends_on`", related=related)
        needs = {n: {o: r for o, r in needed.items() if o not in found} for n, needed in needs.items() if n not in found}


def _nothing_runs(name: str, spec: ServiceSpec) -> Iterator[Diagnostic]:
    """PLP226 for a service of which nothing says what runs."""
    if name not in BUILT_IN and not (spec.command or spec.image or spec.uri):
        hint = did_you_mean(name, BUILT_IN) or "say what runs: `command` or `image`; or where it runs already: `uri`"
        yield Diagnostic("PLP226", f"nothing says what this service is: {name}", ("services", name), hint=hint)


def _lonely(manifest: Manifest, services: Mapping[str, ServiceSpec]) -> Iterator[Diagnostic]:
    """PLP227 for each setting that means nothing where it stands."""
    docker = manifest.project.docker
    if docker and docker.host is not None and docker.context is not None:
        message = "an engine is said by its host or by its context, not by both"
        yield Diagnostic("PLP227", message, ("project", "docker", "context"), hint="keep one of them")
    for name, spec in services.items():
        for key, owner in (("engine", "db"), ("driver", "db"), ("variables", "prefect")):
            if name != owner and (said := getattr(spec, key)) is not None:
                shown = ", ".join(said) if isinstance(said, dict) else said
                message, hint = f"only the service `{owner}` has this: {shown}", f"take it out, or move it to services.{owner}"
                yield Diagnostic("PLP227", message, ("services", name, key), hint=hint)
        if spec.replicas is not None and spec.replicas > 1 and (spec.ports or name in ("db", "prefect", "api", "ui")):
            message = f"a service that listens on a port runs once, not as replicas: {spec.replicas}"
            yield Diagnostic("PLP227", message, ("services", name, "replicas"), hint="take `replicas` out, or `ports`")


def _probe(probe: ProbeSpec, path: Path, *, has_ports: bool) -> Iterator[Diagnostic]:
    """PLP228 for a probe that can't be looked at."""
    given = [key for key in PROBES if getattr(probe, key) is not None]
    if len(given) != 1:
        message = f"a probe has one of {', '.join(PROBES[:-1])} and {PROBES[-1]}, this one: {', '.join(given) or 'none'}"
        yield Diagnostic(
            "PLP228", message, path, hint="keep one of them" if given else "say what to look at, such as http: /health"
        )
    if probe.port is not None and probe.http is None:
        yield Diagnostic(
            "PLP228", f"only `http` has a port: {probe.port}", (*path, "port"), hint="take it out, or write tcp: PORT"
        )
    if probe.http is not None and probe.port is None and not has_ports:
        hint = "write the port that it listens on: port: PORT, beside http"
        yield Diagnostic("PLP228", "the service has no ports, so nothing says where to ask", (*path, "http"), hint=hint)
    if probe.log is not None and "$" not in probe.log.removesuffix("$"):
        try:
            re.compile(probe.log)
        except re.error as error:
            message, hint = f"no regular expression: {error}", r"write a \ before a character that means itself"
            yield Diagnostic("PLP228", message, (*path, "log"), hint=hint)


def _texts(name: str, spec: ServiceSpec) -> Iterator[Diagnostic]:
    """PLP230 for a name, volumes and amounts of memory that are none."""
    if not _NAME.fullmatch(name):
        message = f"a service's name is a host name as well, letters, digits, - and _: {name}"
        yield Diagnostic("PLP230", message, ("services", name), hint="give it another name")
    for index, text in enumerate(spec.volumes or ()):
        if "$" not in text and not _VOLUME.fullmatch(text):
            message = (
                f"what is mounted is written `volume:/path` or `./directory:/path`, with `:ro` where it is only read: {text}"
            )
            hint = "the path is the service's, and begins with /; a directory of yours begins with ./ or /"
            yield Diagnostic("PLP230", message, ("services", name, "volumes", index), hint=hint)
    memory = spec.resources.memory if spec.resources else None
    if memory is not None and not _MEMORY.fullmatch(memory):
        message = f"memory is a number and one of b, k, m and g: {memory}"
        yield Diagnostic("PLP230", message, ("services", name, "resources", "memory"), hint="such as 512m or 2g")


class _Ports:
    """The ports of services that Pulpo runs, and what is wrong with them."""

    def __init__(self, services: Mapping[str, ServiceSpec], environ: Mapping[str, str] | None) -> None:
        self._services = {name: spec for name, spec in services.items() if kind_of(name, spec) == "process"}
        self.problems: list[Diagnostic] = []
        self._ports = {name: list(self._read(name, spec, environ)) for name, spec in sorted(self._services.items())}

    def of(self, name: str) -> list[tuple[Path, Port]]:
        """The ports of a service that can be read, with their paths."""
        return self._ports.get(name, [])

    def _read(self, name: str, spec: ServiceSpec, environ: Mapping[str, str] | None) -> Iterator[tuple[Path, Port]]:
        if not spec.ports:
            yield from ((("services", name), port) for port in ports_of(name, spec))
        for index, text in enumerate(spec.ports or ()):
            path = ("services", name, "ports", index)
            if "$" in text and environ is None:
                continue
            try:
                (port,) = ports_of(name, spec.model_copy(update={"ports": [text]}), environ)
            except ValueError as error:
                # What a variable holds is not shown: it may be anything.
                self.problems.append(Diagnostic("PLP225", f"{error}: {text}", path, hint="such as 8000, 8080:8000 or auto:8000"))
            else:
                yield path, port

    def taken_twice(self) -> Iterator[Diagnostic]:
        """PLP225 for each port of this machine that two services want."""
        taken: list[tuple[Path, Port]] = []
        for ports in self._ports.values():
            for path, port in ports:
                if port.outer is None:
                    continue
                first = next(
                    (at for at, held in taken if held.outer == port.outer and _overlap(held.address, port.address)), None
                )
                taken.append((path, port))
                if first is not None:
                    # What is written is nearer to a remedy than what is a default.
                    other, at = sorted((first, path), key=len)
                    message = f"the port is taken already, by the service {other[1]}: {port.outer}"
                    hint = "give one of them another port, or `auto` for a free one"
                    related = (Related(f"the service {other[1]} listens there, too", other),)
                    yield Diagnostic("PLP225", message, at, hint=hint, related=related)


def _overlap(one: str, other: str) -> bool:
    return one == other or "0.0.0.0" in (one, other) or "::" in (one, other)  # noqa: S104 - compared, not listened on


def _open_api(services: Mapping[str, ServiceSpec], ports: _Ports) -> Iterator[Diagnostic]:
    """PLP229 for an API that others than this machine reach, and that asks for no token."""
    for path, port in ports.of("api"):
        if not is_loopback(port.address) and not asks_for_token(services["api"]):
            message = f"the API would be open to everybody who reaches this machine: {port.address}"
            hint = "write a token into its environment: PULPO_API_TOKEN: ${PULPO_API_TOKEN}; or leave the address out"
            yield Diagnostic("PLP229", message, path, hint=hint)


def _open_ui(services: Mapping[str, ServiceSpec], ports: _Ports) -> Iterator[Diagnostic]:
    """PLP229 for a UI that others than this machine reach, over an API that asks for no token."""
    for path, port in ports.of("ui"):
        api, ui = services.get("api"), services["ui"]
        asks = asks_for_token(api) or GUARDED in (ui.environment or {})
        if not is_loopback(port.address) and not asks:
            message = f"the UI would be open to everybody who reaches this machine: {port.address}"
            hint = "let the API ask for a token, services.api.environment: {PULPO_API_TOKEN: ...}; or leave the address out"
            yield Diagnostic("PLP229", message, path, hint=hint)


def _trusting(services: Mapping[str, ServiceSpec], ports: _Ports) -> Iterator[Diagnostic]:
    """PLP231 for a database and a Prefect server that others than this machine reach, and that ask nobody for a password."""
    for name, variables, title, what in _TRUSTING:
        for path, port in ports.of(name):
            spec = services[name]
            asks = spec.command or any(_is_something((spec.environment or {}).get(variable, "")) for variable in variables)
            if not is_loopback(port.address) and not asks:
                message = f"everybody who reaches this machine can {what}, for {title} asks for no password: {port.address}"
                hint = "leave the address out: services reach each other without, and others over ssh or a proxy that asks them"
                yield Diagnostic("PLP231", message, path, severity=Severity.WARNING, hint=hint)
