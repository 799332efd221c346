"""What Docker says when it refuses to start something, in a sentence that says what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.engine import DockerError

if TYPE_CHECKING:
    from pulpo.apply.services.stack import Stack

#: What is over after a moment: the engine is finishing what somebody else asked for.
_PASSES: Final = re.compile(
    r"already in use by container|removal of container .* is already in progress|no such container|is marked for removal"
    r"|is not running|container .* is restarting|endpoint with name .* already exists|cannot (start|restart) container .* running"
    r"|network .* not found|a prune operation is already running|can ?not .* that is being removed|dead or marked for removal",
    re.IGNORECASE,
)
_NO_IMAGE: Final = re.compile(
    r"pull access denied|manifest( for .*)? (unknown|not found)|no such image|repository .* not found|failed to resolve reference"
    r"|unauthorized|registry|dial tcp: lookup|no basic auth|https?://\S+/v2/|not found: manifest",
    re.IGNORECASE,
)
_PORT: Final = re.compile(
    r"(?P<address>[0-9.]+|\[?[0-9a-fA-F:]+\]?):(?P<port>\d+)[^0-9]*(?:port is already allocated|address already in use)"
)


def passes(error: DockerError) -> bool:
    """Whether asking again in a moment may be answered otherwise."""
    return any(_PASSES.search(line) for line in error.lines[-3:])


def refusal(stack: Stack, name: str, error: DockerError, found: str | None) -> str:
    """Why a service could not be started, and what to do about it.

    Args:
        stack: Where it is.
        name: The service.
        error: What Docker said last.
        found: What its container says for itself.
    """
    said = " ".join([*error.lines[-3:], found or ""])
    if port := _PORT.search(said):
        return f"{name} can't listen: port {port['port']} of {port['address']} is taken{_by(stack, int(port['port']))}"
    if _NO_IMAGE.search(said):
        return f"{name} has no image: {_image(stack, name)} is not here and can't be pulled: {error.reason}"
    return f"{name}: {found or error.reason}"


def _image(stack: Stack, name: str) -> str:
    return stack.definitions[name].image or stack.image or "the project's"


def _by(stack: Stack, port: int) -> str:
    """Who has a port: a container, or a process of this machine that this user may see."""
    format_ = '{{.Names}}{{if .Label "com.docker.compose.project"}} of {{.Label "com.docker.compose.project"}}{{end}}'
    try:
        others = stack.engine.run("ps", "--filter", f"publish={port}", "--format", format_).splitlines()
    except DockerError:
        others = []
    if others:
        return f" by the container {others[0]}"
    if stack.engine.is_remote:
        return ""
    from pulpo.services.ports import holder

    found = holder(port)
    return f" by {found}" if found else ""
