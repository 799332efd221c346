"""The services that come with Pulpo, as `pulpo lock` writes them out where a manifest does not have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulpo.manifest.addresses import AUTO, DEFAULT_PORTS, parse_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def with_built_in(services: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest's services, and those that come with Pulpo and are not among them; what is there stays as it is.

    A port that another service has already is `auto`; a worker whose server is disabled is so, too, and a UI whose API is.
    """
    taken = set(_outer_ports(services))
    built_in: dict[str, Any] = {
        "api": {"ports": [_free("api", taken)]},
        "db": {"engine": "embedded"},
        "prefect": {"ports": [_free("prefect", taken)]},
        "ui": _of(services, "api") or {"ports": [_free("ui", taken)]},
        "worker": _of(services, "prefect"),
    }
    return {**built_in, **services}


def _of(services: Mapping[str, Any], other: str) -> dict[str, Any]:
    """What a service says that is nothing without another one."""
    return {"enabled": False} if services.get(other, {}).get("enabled") is False else {}


def _free(name: str, taken: set[int | None]) -> str:
    port = DEFAULT_PORTS[name]
    return AUTO if port in taken else str(port)


def _outer_ports(services: Mapping[str, Any]) -> Iterator[int | None]:
    for entry in services.values():
        for text in entry.get("ports", ()):
            try:
                yield parse_port(text).outer
            except ValueError:  # a reference, or a mistake that is told elsewhere
                continue
