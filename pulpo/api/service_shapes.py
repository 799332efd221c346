"""What services, their logs and a plan look like over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import Field

from pulpo.api.shapes import Shape

ServiceState = Literal[
    "absent", "starting", "running", "unready", "restarting", "stopping", "stopped", "exited", "failed", "embedded", "elsewhere",
    "unreachable", "unknown",
]  # fmt: skip


class ServiceStatusInfo(Shape):
    """A service as it is now; as `pulpo status --format json` has it, and what became of a restart that was asked for here."""

    state: ServiceState = Field(
        description="`unready`: it runs, and was not ready in time; `restarting`: it ended, and is started again; `embedded`: a "
        "file, nothing runs; `elsewhere`: somebody else runs it. From inside a container: `running` where it answers over the "
        "network, else `unreachable`; `unknown` where it has no port."
    )
    addresses: list[str] = Field(description="Where this machine reaches it; without passwords.")
    since: dt.datetime | None = Field(description="When it was started.")
    pid: int | None
    container: str | None
    restarts: int
    exit_code: int | None
    differs: bool = Field(description="Whether what runs is not what the manifest says: it takes `pulpo up`.")
    orphan: bool = Field(description="Whether it is no service of the manifest any more.")
    replicas: int
    error: str | None = Field(description="What is wrong, in a sentence.")
    lines: list[str] = Field(description="The last lines of its log, where it failed or is not ready.")
    restart_error: str | None = Field(description="Why the last restart that was asked for here did not work.")


class ServiceInfo(Shape):
    """A service as the manifest has it, references as they are written, passwords never; and how it is."""

    name: str
    settings: dict[str, Any]
    variables: dict[str, Literal["yes", "default", "no"]] = Field(
        description="The environment variables that it refers to: `yes`, set; `default`, not set, and there is a default; `no`."
    )
    status: ServiceStatusInfo | None = Field(description="Null where it is not enabled, and where nobody can tell.")


Seen = Literal["local", "docker", "container"]

_MODE = Field(
    description="How the API sees services: `local`, processes of this machine; `docker`, containers; `container`: it is one "
    "itself, sees the others over the network alone, and has neither logs nor restarts; null where it has no checkout, and so no "
    "states."
)
_PROBLEM = Field(description="Why states can't be told, where they can't.")


class ServiceList(Shape):
    """The services, sorted by name; those that run and that the manifest has no more come last."""

    items: list[ServiceInfo]
    mode: Seen | None = _MODE
    problem: str | None = _PROBLEM


class ServiceDetail(ServiceInfo):
    """One service."""

    mode: Seen | None = _MODE
    problem: str | None = _PROBLEM


class ServiceLineInfo(Shape):
    """A line of a service's log."""

    service: str = Field(description="Its name; of further replicas `NAME.2`, `NAME.3` and so on.")
    time: dt.datetime
    text: str


class ServiceLog(Shape):
    """Lines of a service, by time."""

    items: list[ServiceLineInfo]
    next: str = Field(description="What `after` takes to go on from here; also where there is nothing new yet.")


class RestartInfo(Shape):
    """A restart that has begun."""

    name: str
    state: Literal["stopping"] = Field(description="`starting` follows, then `running`: see `GET /services/{service}`.")


class FieldDiffInfo(Shape):
    """A field before and after, secrets hidden; null is unset."""

    name: str
    before: Any
    after: Any


class ChangeInfo(Shape):
    """One thing that is not as the manifest says, and what `pulpo apply` would do about it."""

    target: str | None = Field(description="`services`, `database` or `prefect`.")
    address: str = Field(description="Kind and name: `deployment:scraping/jobs`.")
    action: Literal["create", "update", "replace", "delete"]
    cause: str
    fields: list[FieldDiffInfo]
    destructive: bool = Field(description="Whether it loses what can't be made again from the manifest.")
    drift: bool = Field(description="Whether the thing was changed behind the manifest's back.")
    effect: str | None = Field(description="What happens to others by it.")
    needs: list[str] = Field(description="The addresses of the changes that are made before it.")


class NoteInfo(Shape):
    """Something that people should know, and that changes nothing."""

    address: str
    message: str


class PlanInfo(Shape):
    """What `pulpo plan --format json` says."""

    version: int
    pending: bool
    changes: list[ChangeInfo] = Field(description="In the order in which they are made.")
    notes: list[NoteInfo]
    waiting: dict[str, str] = Field(description="Targets that are looked at when a service runs, and its address.")
    addresses: list[str]
    summary: dict[str, int]
