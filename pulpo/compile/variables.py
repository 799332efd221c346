"""Prefect's variables as the manifest wants them: data that flows, or templates of jobs, read by name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pulpo.compile.deployment import marks
from pulpo.manifest.references import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.diagnostics import Locate
    from pulpo.manifest.model import Manifest

_SERVICE: Final = "prefect"
_DIGITS: Final = 12
#: The end of the version of a value with references, which may be secret.
FILLED: Final = "-filled"


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of Prefect's."""

    name: str
    #: Any JSON value, references resolved.
    value: Any
    #: Changes when the manifest does, not with what references stand for; ends with `FILLED` where the value has some.
    version: str
    #: Those that say whose it is, sorted.
    tags: tuple[str, ...]


def variables(
    manifest: Manifest, environment: str | None, environ: Mapping[str, str], locate: Locate = lambda _: None
) -> tuple[tuple[Variable, ...], frozenset[str]]:
    """The variables, sorted by name, and the values of their references, which are shown nowhere.

    Raises:
        DiagnosticsError: Variables of the environment are not set that they refer to.
    """
    service = manifest.services.get(_SERVICE)
    written = (service.variables if service is not None and service.enabled is not False else None) or {}
    resolved = resolve({"services": {_SERVICE: {"variables": written}}}, environ, locate)
    values = resolved.data["services"][_SERVICE]["variables"]
    tags = marks(manifest.project.name, environment)
    found = (Variable(name, values[name], _version(written[name], values[name]), tags) for name in sorted(written))
    return tuple(found), resolved.secrets


def _version(written: Any, value: Any) -> str:
    digest = hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    return digest if written == value else f"{digest}{FILLED}"
