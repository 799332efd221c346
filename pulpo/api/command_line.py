"""Pulpo's own command line as the API calls it: for what takes seconds, or has to outlive the API itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pulpo.errors import PulpoError
from pulpo.manifest.references import references
from pulpo.services.state import MARK
from pulpo.settings import STORE_PATH_VARIABLE

if TYPE_CHECKING:
    from pulpo.api.context import Context
    from pulpo.apply.services.mode import Mode
    from pulpo.compile.topology import ServiceDefinition
    from pulpo.manifest.model import Manifest
    from pulpo.settings import Project

_API: Final = "api"
_HOST, _PORT = "PULPO_API_HOST", "PULPO_API_PORT"


def in_container(context: Context) -> bool:
    """Whether this process is a container of the project: it sees neither other containers nor what starts them."""
    return context.settings.open or STORE_PATH_VARIABLE in os.environ


def command(project: Project, mode: Mode, *arguments: str) -> list[str]:
    """The command line with the project, its environment and how services run, whatever the process's directory."""
    chosen = [] if project.environment is None else ["--env", project.environment]
    return [
        sys.executable, "-P", "-m", "pulpo", "--quiet", "--no-color", "--project", str(project.root), "--mode", mode, *chosen,
        *arguments,
    ]  # fmt: skip


def outer_environment(manifest: Manifest, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment variables with which somebody had this process started, as far as that can be told.

    A service is given more than that: where others are, and what its entry says. A command that was given them too would take
    them for a person's word, which goes before the manifest.

    Args:
        manifest: As it was when this process was started.
        environ: Those of this process.
    """
    definition = _definition(manifest)
    if MARK not in environ or definition is None:
        return dict(environ)
    given = {link.variable for link in definition.links if link.service != _API}
    given |= {name for name, text in definition.environment.items() if _is_own(text) and environ.get(name) == text}
    first = next(iter(definition.ports), None)
    if first is not None:
        given |= {_HOST} if environ.get(_HOST) == first.address else set()
        given |= {_PORT} if first.outer is None or environ.get(_PORT) == str(first.outer) else set()
    return {name: value for name, value in environ.items() if name not in given}


def _definition(manifest: Manifest) -> ServiceDefinition | None:
    from pulpo.compile.topology import topology

    try:
        return next((service for service in topology(manifest).services if service.name == _API), None)
    except PulpoError:
        return None


def _is_own(text: str) -> bool:
    """Whether a text of the manifest is what it says, whatever the variables."""
    return not list(references(text))
