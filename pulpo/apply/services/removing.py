"""Taking away what a stack has on its engine, known by the labels that Compose gave it, and nothing else.

Compose could do it as well, but it wants its file for that, and whoever wants to be rid of something may have changed or lost it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.containers import NETWORK, PROJECT, VOLUME, observe
from pulpo.apply.services.engine import DockerError
from pulpo.apply.services.refusals import passes
from pulpo.apply.services.status import ServiceEvent
from pulpo.compile.compose import ENVIRONMENT_LABEL, PROJECT_LABEL

if TYPE_CHECKING:
    from pulpo.apply.services.container_status import Seen
    from pulpo.apply.services.driver import OnEvent
    from pulpo.apply.services.stack import Stack

#: What tells whose a volume or a network is.
_TELLING: Final = (VOLUME, NETWORK, PROJECT_LABEL, ENVIRONMENT_LABEL)


def remove(stack: Stack, name: str, seen: Seen, on_event: OnEvent, *, volumes: bool = False) -> None:
    """Stop and remove the containers of a service, each with its own grace; with `volumes` those without a name as well."""
    ids = [one.id for one in seen.containers.get(name, ())]
    if not ids:
        return
    began = time.monotonic()
    on_event(ServiceEvent(name, "stopping"))
    with stack.engine.client() as client:
        client.container.stop(ids)
        client.container.remove(ids, force=True, volumes=volumes)
    on_event(ServiceEvent(name, "stopped", time.monotonic() - began))


def stop(stack: Stack, name: str) -> None:
    """Stop the containers of a service, each with its own grace; they stay."""
    ids = [one.id for one in observe(stack) if one.service == name and not one.is_leftover and one.is_alive]
    if ids:
        stack.engine.run("container", "stop", *ids)  # at once: what ends again and again is to be met between two runs


def heal(stack: Stack) -> None:
    """Put away what a killed `up` left in the middle of replacing a container.

    Where the one that it was to replace is gone, it takes that one's name: what is in its volumes is not lost.
    """
    found = observe(stack)
    names = {one.name for one in found if not one.is_leftover}
    for left in (one for one in found if one.is_leftover):
        name = left.name.partition("_")[2]
        try:
            if name in names:
                stack.engine.run("container", "rm", "--force", left.id)
            else:
                stack.engine.run("container", "rename", left.id, name)
                names.add(name)
        except DockerError as error:
            if not passes(error):
                raise


def remove_network(stack: Stack, seen: Seen) -> None:
    """Remove the networks of a stack that has no services any more, and what a killed `up` left of it.

    Raises:
        DockerError: A container of somebody else is in one.
    """
    networks = _labelled(stack, "network")
    with stack.engine.client() as client:
        if seen.leftovers:
            client.container.remove([one.id for one in seen.leftovers], force=True)
        if networks:
            client.network.remove([*networks])


def remove_volumes(stack: Stack, names: Sequence[str] | None) -> None:
    """Remove the volumes of these services that no other service has; None is all of the stack.

    Raises:
        DockerError: A container of somebody else has one.
    """
    found = _labelled(stack, "volume") if names is None else _volumes_of(stack, names)
    if found:
        with stack.engine.client() as client:
            client.volume.remove([*found])


def has_volumes(stack: Stack, name: str) -> bool:
    """Whether there is a volume that a service, and no other one, has."""
    return bool(_volumes_of(stack, [name])) if name in stack.definitions else False


def _volumes_of(stack: Stack, names: Sequence[str]) -> list[str]:
    kept = {mount.source for name, d in stack.definitions.items() if name not in names for mount in d.mounts}
    mine = {mount.source for name in names for mount in stack.definitions[name].mounts} - kept
    return sorted({volume for source in mine for volume in _labelled(stack, "volume", f"{VOLUME}={source}")})


def _labelled(stack: Stack, kind: str, *labels: str) -> list[str]:
    filters = [word for label in (f"{PROJECT}={stack.name}", *labels) for word in ("--filter", f"label={label}")]
    form = "\t".join(["{{.Name}}", *(f'{{{{.Label "{label}"}}}}' for label in _TELLING)])
    lines = stack.engine.run(kind, "ls", *filters, "--format", form).splitlines()
    named = {name: dict(zip(_TELLING, said, strict=True)) for name, *said in (line.split("\t") for line in lines)}
    return [name for name, said in named.items() if stack.is_own(said)]
