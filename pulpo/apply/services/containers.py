"""What the engine has of a stack, and what that means: containers by label, their state in the words of all services."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pulpo.apply.services.engine import Engine
from pulpo.apply.services.made import Made
from pulpo.apply.services.refusals import taken_port
from pulpo.apply.services.status import State
from pulpo.compile.compose import CONTENT_LABEL, SAID_LABEL
from pulpo.errors import PulpoError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from pulpo.apply.services.stack import Stack
    from pulpo.compile.topology import ServiceDefinition

PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"
VOLUME: Final = "com.docker.compose.volume"
NETWORK: Final = "com.docker.compose.network"
#: Where the file is that Compose made a container from.
DIRECTORY: Final = "com.docker.compose.project.working_dir"
_NUMBER: Final = "com.docker.compose.container-number"
_HASH: Final = "com.docker.compose.config-hash"
_IMAGE: Final = "com.docker.compose.image"
#: What Compose calls a container that is being replaced, until it is.
_LEFTOVER: Final = re.compile(r"^[0-9a-f]{12}_")
#: Ends in a row after which something that never was ready has failed.
CRASHES: Final = 3
#: Codes of what was asked to end, or killed: TERM and KILL.
ASKED: Final = (143, 137)
#: Seconds after which something that was started has not ended in a row with what it did before; as the engine counts it.
_LASTED: Final = 10
#: Seconds after which something without a probe is ready.
_SETTLED: Final = 0.5
#: Seconds that an engine has to tell in which ports it has given away.
_PATIENCE: Final = 10.0
_ZERO: Final = "0001-01-01"


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the stack."""

    id: str
    name: str
    service: str
    number: int
    config_hash: str
    #: The image's id, and what it was asked for by.
    image: str
    image_name: str
    #: What went into its image; None where that is not known.
    content: str | None
    #: As Docker calls it: created, running, paused, restarting, removing, exited, dead.
    status: str
    #: starting, healthy, unhealthy; None where nothing looks.
    health: str | None
    exit_code: int
    restarts: int
    #: Why it did not start.
    error: str
    out_of_memory: bool
    started: dt.datetime | None
    #: When it ended last; what it said after that, it said since it was started, which is noted later than it happens.
    ended: dt.datetime | None
    #: Host address, host port, port in the container.
    ports: tuple[tuple[str, int, int], ...]
    restart: str
    labels: Mapping[str, str] = field(repr=False)
    #: None where its labels don't say it.
    made: Made | None = field(repr=False)

    @property
    def is_leftover(self) -> bool:
        """Whether a killed `up` left it in the middle of replacing it."""
        return _LEFTOVER.match(self.name) is not None

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or will by itself."""
        return self.status not in ("created", "exited", "dead")


def observe(stack: Stack) -> tuple[Container, ...]:
    """The containers of a stack, by service and number; those of `docker compose run` are left out, and those of others.

    Raises:
        DockerError: The engine refused.
    """
    return tuple(one for one in named_like(stack.engine, stack.name) if stack.is_own(one.labels))


def without_others(stack: Stack, found: Sequence[Container]) -> tuple[Container, ...]:
    """The same containers, which have the name of a stack.

    Raises:
        UsageError: Some are not of the stack: Compose would not tell them from it.
    """
    if others := sorted(one.name for one in found if not stack.is_own(one.labels)):
        raise UsageError(
            f"the containers of something else are called as those of this project would be, {stack.name}: {', '.join(others)}",
            hint="give the project another name in the lock (project.name), or take them away",
        )
    return tuple(found)


def named_like(engine: Engine, project: str) -> tuple[Container, ...]:
    """The containers of whatever Compose calls by a name; as `observe`.

    Raises:
        DockerError: The engine refused.
    """
    labels = [f"label={PROJECT}={project}", "label=com.docker.compose.oneoff=False"]
    filters = [word for label in labels for word in ("--filter", label)]
    ids = engine.run("ps", "--all", "--quiet", "--no-trunc", *filters).split()
    found = [_container(data) for data in engine.inspect("container", ids)]
    return tuple(sorted(found, key=lambda c: (c.service, c.is_leftover, c.number, c.name)))


def image_ids(engine: Engine, names: Sequence[str]) -> dict[str, str]:
    """The ids of the images that are there, by the names that were asked for."""
    wanted = sorted(set(names))
    found = engine.inspect("image", wanted)
    if len(found) == len(wanted):
        return {name: str(data["Id"]) for name, data in zip(wanted, found, strict=True)}
    return {name: str(data[0]["Id"]) for name in wanted if (data := engine.inspect("image", [name]))}


def state_of(
    container: Container, definition: ServiceDefinition | None, now: dt.datetime, logged: Callable[[Container, str], bool]
) -> State:
    """How a container is.

    Args:
        container: The container.
        definition: Its service, if the manifest has it.
        now: The time.
        logged: Whether a line that a container has written since it started matches a regular expression.
    """
    match container.status:
        case "running":
            return _running(container, definition, now, logged)
        case "restarting":
            return State.FAILED if container.restarts >= 2 * CRASHES else State.RESTARTING
        case "removing" | "dead":
            return State.STOPPING
        case "paused":
            return State.UNREADY
        case "created":
            return State.FAILED if container.error else State.STOPPED
    return _ended(container)


def _running(
    container: Container, definition: ServiceDefinition | None, now: dt.datetime, logged: Callable[[Container, str], bool]
) -> State:
    if container.health is not None:
        return {"healthy": State.RUNNING, "unhealthy": State.UNREADY}.get(container.health, State.STARTING)
    age = (now - container.started).total_seconds() if container.started else 0
    probe = definition.probe if definition else None
    if definition is None or probe is None or probe.kind != "log":
        return State.RUNNING if age > _SETTLED or container.started is None else State.STARTING
    if logged(container, probe.pattern):
        return State.RUNNING
    return State.UNREADY if age > definition.ready_timeout else State.STARTING


def _ended(container: Container) -> State:
    if container.error or container.out_of_memory or _ended_in_a_row(container):
        return State.FAILED
    if container.exit_code == 0:
        return State.STOPPED if container.restart in ("always", "unless-stopped") else State.EXITED
    return State.STOPPED if container.exit_code in ASKED else State.FAILED


def _ended_in_a_row(container: Container) -> bool:
    """Whether something ended again and again until it was stopped; where that met it while it ran, its code says nothing."""
    if container.restarts < CRASHES or container.started is None or container.ended is None:
        return False
    return (container.ended - container.started).total_seconds() < _LASTED


def why(container: Container, state: State) -> str | None:
    """What is wrong with a container, in a sentence; None where nothing is."""
    if state not in (State.FAILED, State.RESTARTING, State.UNREADY):
        return None
    if container.error:
        return f"it did not start: {taken_port(container.error) or container.error}"
    if container.out_of_memory:
        return "it had more memory than it may have, and was killed"
    if container.status == "paused":
        return "it is paused"
    if state is State.UNREADY:
        return "it runs, and is not ready"
    again = f", {container.restarts} times by now" if container.restarts else ""
    was_stopped = container.exit_code in (0, *ASKED) and _ended_in_a_row(container)
    return f"it ended{again}, {'and was stopped' if was_stopped else f'with exit code: {container.exit_code}'}"


def _container(data: Mapping[str, Any]) -> Container:
    state, config = data["State"], data["Config"]
    labels: Mapping[str, str] = config.get("Labels") or {}
    return Container(
        id=data["Id"],
        name=str(data["Name"]).lstrip("/"),
        service=labels.get(SERVICE, ""),
        number=int(labels.get(_NUMBER) or 1),
        config_hash=labels.get(_HASH, ""),
        image=labels.get(_IMAGE) or str(data["Image"]),
        image_name=config["Image"],
        content=labels.get(CONTENT_LABEL),
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status") or None,
        exit_code=int(state.get("ExitCode") or 0),
        restarts=int(data.get("RestartCount") or 0),
        error=str(state.get("Error") or ""),
        out_of_memory=bool(state.get("OOMKilled")) and state["Status"] == "exited",
        started=_moment_or_none(state.get("StartedAt")),
        ended=_moment_or_none(state.get("FinishedAt")),
        ports=tuple(sorted(_ports(data))),
        labels=labels,
        restart=str((data["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no"),
        made=made_from(labels, _environment(config.get("Env") or ()), _given(data)),
    )


def made_from(labels: Mapping[str, str], environment: Mapping[str, str], given: Mapping[str, Any]) -> Made | None:
    """What a container is, or would be, made from by its labels; None where somebody else's or an older Pulpo's say nothing."""
    try:
        said = json.loads(labels[SAID_LABEL])
    except (KeyError, ValueError):
        return None
    return Made(said, environment, given) if isinstance(said, dict) else None


def made_from_file(entry: Mapping[str, Any]) -> Made | None:
    """The same of a service as `docker compose config` has it."""
    environment = {name: value for name, value in (entry.get("environment") or {}).items() if value is not None}
    ports = [f"{port.get('host_ip', '')}:{port.get('published', '')}:{port['target']}" for port in entry.get("ports") or ()]
    given = {"command": entry.get("command"), "image": entry.get("image"), "ports": sorted(ports)}
    return made_from(entry.get("labels") or {}, environment, {name: value for name, value in given.items() if value is not None})


def _environment(said: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (text.partition("=") for text in said)}


def _given(data: Mapping[str, Any]) -> dict[str, Any]:
    bound: Mapping[str, Any] = data["HostConfig"].get("PortBindings") or {}
    ports = [
        f"{where.get('HostIp', '')}:{where.get('HostPort', '')}:{inner.partition('/')[0]}"
        for inner, several in bound.items()
        for where in several or ()
    ]
    return {"command": data["Config"].get("Cmd"), "image": data["Config"]["Image"], "ports": sorted(ports)}


def _ports(data: Mapping[str, Any]) -> set[tuple[str, int, int]]:
    bound: Mapping[str, Any] = (data.get("NetworkSettings") or {}).get("Ports") or {}
    return {
        (where["HostIp"], int(where["HostPort"]), int(inner.partition("/")[0]))
        for inner, all_of_it in bound.items()
        for where in all_of_it or ()
    }


def _moment_or_none(text: str | None) -> dt.datetime | None:
    return None if not text or text.startswith(_ZERO) else moment(text)


def moment(text: str) -> dt.datetime:
    """A time as Docker writes it, which is finer than Python's."""
    return dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def is_published(directory: Path, port: int) -> bool:
    """Whether a container of this machine has a port that was made from the Compose file of a directory; no engine has none."""
    filters = ("--filter", f"label={DIRECTORY}={directory}", "--filter", f"publish={port}")
    with contextlib.suppress(PulpoError):
        return bool(Engine().run("ps", "--quiet", *filters, seconds=_PATIENCE).strip())
    return False
