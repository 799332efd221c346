"""Where the services of a manifest listen: its `ports`, and the ports of this machine that were chosen for `auto`."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.manifest.model import Manifest
    from pulpo.manifest.service import ServiceSpec

#: Where the built-in services listen if the manifest does not say it.
DEFAULT_PORTS: Final = {"db": 27017, "prefect": 4200, "api": 8000, "ui": 3000}
#: The services that Pulpo knows by their names; all others are the user's own.
BUILT_IN: Final = ("db", "prefect", "worker", "api", "ui")
LOOPBACK: Final = "127.0.0.1"
AUTO: Final = "auto"

_LAST_PORT: Final = 65_535
_FORMS: Final = "`port`, `host_port:port` or `address:host_port:port`"


@dataclass(frozen=True, slots=True)
class Port:
    """A port open to the outside. The manifest writes `port`, `outer:port` or `address:outer:port`; outer may be `auto`."""

    #: The port that the service listens on in a container of its own; negative where only a variable says it (`written_ports`).
    port: int
    #: The port of this machine; as a process the service listens on it itself. None is a free one, remembered (`auto`).
    outer: int | None
    address: str = LOOPBACK
    #: Both as the manifest has them where they refer to variables; only in what `written_ports` returns.
    port_text: str = ""
    outer_text: str = ""


def parse_port(text: str, default: int | None = None) -> Port:
    """A port as `ports` writes it, references resolved; `auto` by itself is a free one for the port `default`.

    Raises:
        ValueError: It is none; the message says why, without the text.
    """
    before, _, inner = text.rpartition(":")
    address, colon, outer = before.rpartition(":")
    if inner == AUTO and not before:
        if default is None:
            raise ValueError("`auto` by itself is only for services that come with Pulpo: write `auto:port`")
        return Port(default, None)
    if ":" in text and not outer:
        raise ValueError(f"a port is {_FORMS}")
    port = _number(inner)
    return Port(port, _outer(outer or inner), _address(address) if colon else LOOPBACK)


def _outer(text: str) -> int | None:
    return None if text == AUTO else _number(text)


def _number(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(_LAST_PORT)) else 0
    if not 0 < number <= _LAST_PORT:
        raise ValueError(f"a port is {_FORMS}, with numbers from 1 to {_LAST_PORT} or `auto` for a free host_port")
    return number


def _address(text: str) -> str:
    """An IP address without brackets; `localhost` is one, too."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if bare == "localhost":
        return LOOPBACK
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        raise ValueError("the address before a port is an IP address, such as 127.0.0.1, 0.0.0.0 or [::1]") from None


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address of `Port`."""
    return ipaddress.ip_address(address).is_loopback


def kind_of(name: str, spec: ServiceSpec) -> Literal["process", "embedded", "elsewhere"]:
    """What a service is: a process that Pulpo runs, a file, or run by somebody else at its `uri`, which goes before all else."""
    if spec.uri is not None:
        return "elsewhere"
    if name != "db" or (spec.engine or ("mongodb" if spec.image or spec.command else "embedded")) == "mongodb":
        return "process"
    return "embedded"


def is_managed(manifest: Manifest, name: str) -> bool:
    """Whether the manifest has a service that Pulpo runs, and has not disabled it."""
    spec = manifest.services.get(name)
    return spec is not None and spec.enabled is not False and kind_of(name, spec) == "process"


def ports_of(name: str, spec: ServiceSpec, environ: Mapping[str, str] | None = None) -> tuple[Port, ...]:
    """The ports of a service, in the order of the manifest; the default one of a built-in service where it has none.

    Args:
        name: The service's name.
        spec: Its entry.
        environ: The environment variables that its references stand for; by default those of this process.

    Raises:
        DiagnosticsError: A variable is not set (PLP217), or a reference is malformed (PLP216).
        ValueError: A port is malformed (see `parse_port`).
    """
    default = DEFAULT_PORTS.get(name)
    texts = spec.ports or ([str(default)] if default else [])
    if any("$" in text for text in texts):
        from pulpo.manifest.references import resolve

        data = {"services": {name: {"ports": texts}}}
        texts = resolve(data, os.environ if environ is None else environ).data["services"][name]["ports"]
    return tuple(parse_port(text, default) for text in texts)


def written_ports(name: str, spec: ServiceSpec, environ: Mapping[str, str] | None = None) -> tuple[Port, ...]:
    """The same with references left as they are, for files that are filled in where they are used.

    Of an `address` the value is needed, for it says who reaches the service; and a variable that holds more than a number, such
    as `auto`, is resolved.

    Raises:
        DiagnosticsError: As `ports_of`, of an address.
        ValueError: As `ports_of`.
    """
    if not any("$" in text for text in spec.ports or ()):
        return ports_of(name, spec, environ)
    found: list[Port] = []
    for index, text in enumerate(spec.ports or ()):
        port = _written(text, -1 - index, DEFAULT_PORTS.get(name), os.environ if environ is None else environ)
        found += [port] if port else ports_of(name, spec.model_copy(update={"ports": [text]}), environ)
    return tuple(found)


def _written(text: str, number: int, default: int | None, environ: Mapping[str, str]) -> Port | None:
    """A port with references; None where it has to be resolved."""
    from pulpo.manifest.references import references

    *before, inner = re.split(r":(?![^{}]*\})", text)  # not at the one of a default
    outer = before[-1] if before else inner
    address = before[0] if len(before) > 1 else ""
    values = [value for one in references(text) if (value := environ.get(one.name) or one.default)]
    if "$" in address or len(before) > 2 or not all(map(str.isdecimal, values)):  # noqa: PLR2004 - of an address and a port
        return None
    as_numbers = re.sub(r"\$\{[^{}]*\}", "1", text)
    port = parse_port(as_numbers, default)
    return Port(
        number if "$" in inner else port.port,
        None if outer == AUTO else port.outer,
        port.address,
        port_text=inner if "$" in inner else "",
        outer_text=outer if "$" in outer else "",
    )


def remembered_as(name: str, index: int = 0) -> str:
    """The name under which the port of this machine is remembered that was chosen for the `auto` at a place of `ports`."""
    return f"{name}.{index}" if index else name


def host_address(manifest: Manifest, name: str, remembered: Mapping[str, int]) -> tuple[str, int] | None:
    """Where this machine reaches the first port of a service that Pulpo runs.

    Args:
        manifest: As the environment has it that is worked in.
        name: The service's name.
        remembered: The ports that were chosen for `auto`, by `remembered_as`.

    Returns:
        Host and port; None where Pulpo does not run the service, it has no port, or none was chosen for its `auto` yet.

    Raises:
        DiagnosticsError: As `ports_of`.
        ValueError: As `ports_of`.
    """
    if not is_managed(manifest, name):
        return None
    port = next(iter(ports_of(name, manifest.services[name])), None)
    outer = port and (port.outer or remembered.get(remembered_as(name)))
    return (reached_at(port.address), outer) if port and outer else None


def reached_at(address: str) -> str:
    """Where this machine reaches what listens on an address of `Port`: one that means all of them is reached on its loopback."""
    host = ipaddress.ip_address(address)
    return ("::1" if host.version == 6 else LOOPBACK) if host.is_unspecified else address  # noqa: PLR2004 - IPv6
