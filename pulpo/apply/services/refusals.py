"""What Docker says when it refuses to start something, in a sentence that says what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.engine import DockerError
from pulpo.apply.services.status import ServiceError
from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.apply.services.stack import Stack
    from pulpo.errors import PulpoError

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


def taken_port(said: str) -> str | None:
    """Which port is taken, as in `port 80 of 127.0.0.1 is taken`, where that is what Docker says."""
    port = _PORT.search(said)
    return f"port {port['port']} of {port['address']} is taken" if port else None


def refusal(stack: Stack, name: str, error: DockerError, found: str | None) -> PulpoError:
    """Why a service could not be started, and what to do about it; a `UsageError` where its port is somebody else's.

    Args:
        stack: Where it is.
        name: The service.
        error: What Docker said last.
        found: What its container says for itself.
    """
    said = " ".join([*error.lines[-3:], found or ""])
    if port := _PORT.search(said):
        return UsageError(
            f"{name} can't listen: {taken_port(said)}{_by(stack, int(port['port']))}",
            hint=f"stop that, or write another port, or auto, into services.{name}.ports",
        )
    if no_image(said):
        own = stack.definitions[name].image
        missing = f"{name} has no image: {own or stack.image} is not here and can't be pulled: {error.reason}"
        todo = f"is services.{name}.image right? else pull or load it by hand" if own else "`pulpo build` makes it"
        return ServiceError(f"{missing}\n  {todo}", [name])
    return ServiceError(f"{name}: {found or error.reason}", [name])


def no_image(said: str) -> bool:
    """Whether what Docker says is that an image is not here and can't be pulled."""
    return _NO_IMAGE.search(said) is not None


def _by(stack: Stack, port: int) -> str:
    """Who has a port: a container, or a process of this machine that this user may see."""
    format_ = '{{.Names}}{{if .Label "com.docker.compose.project"}} of {{.Label "com.docker.compose.project"}}{{end}}'
    try:
        others = stack.engine.run("ps", "--filter", f"publish={port}", "--format", format_).splitlines()
    except DockerError:
        others = []
    if others:
        return f" by the container {others[0]}"
    if stack.is_remote:
        return ""
    from pulpo.services.ports import holder

    found = holder(port)
    return f" by {found}" if found else ""
