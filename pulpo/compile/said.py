"""What a service is made from, field by field, as the manifest says it: kept with what runs, so that a plan tells what changed.

References stay as they are, so that no value of a variable is in it. Of the environment nothing is in it but which variables it
refers to: what is written there itself may be as secret. Nor is a digest of that, for a short secret is found by trying.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pulpo.manifest.addresses import AUTO
from pulpo.manifest.references import Reference, parts

if TYPE_CHECKING:
    from pulpo.compile.topology import Link

#: What the names of fields begin with that are environment variables: `environment.TOKEN`.
ENVIRONMENT: Final = "environment."
#: In the place of what is written itself.
LITERAL: Final = "***"
_OWN_KEY: Final = "x-"


def said_of(
    entry: Mapping[str, Any], environment: Mapping[str, str], others: Iterable[Link], ports: Mapping[str, str]
) -> dict[str, Any]:
    """The fields, dotted: `{"command": ["python", "a.py"], "probe.http": "/", "environment.TOKEN": "${TOKEN}"}`.

    Args:
        entry: The service's entry in the manifest.
        environment: What it is given, as the manifest says it or Pulpo.
        others: Where it is told that other services are; a port that is chosen is not the manifest's.
        ports: By service, the first of its ports as the manifest has it, if it says one.
    """
    written = {link.variable: (link.text, ports.get(link.service, "")) for link in others}
    told = {name: text.replace("{port}", port) for name, (text, port) in written.items() if not port.startswith(AUTO)}
    fields = {name: value for name, value in _leaves(entry) if not name.startswith((ENVIRONMENT, _OWN_KEY))}
    return fields | {f"{ENVIRONMENT}{name}": _variables(text) for name, text in sorted({**told, **environment}.items())}


def _leaves(data: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _variables(text: str) -> str:
    """The text with its references alone: of `http://${HOST}/a` it is `***${HOST}***`."""
    return "".join(LITERAL if isinstance(part, str) else _reference(part) for part in parts(text) if part)


def _reference(found: Reference) -> str:
    return f"${{{found.name}}}" if found.default is None else f"${{{found.name}:-{LITERAL}}}"
