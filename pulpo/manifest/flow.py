"""What the manifest says about flows: their settings, and when they run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pulpo.manifest.spec import LOCK, REFERENCES, YOURS, OperationName, PositiveCount, Seconds, Spec

PoolType = Literal["process", "docker", "kubernetes"]
#: What Prefect lets a work pool or queue be called.
PREFECT_NAME_PATTERN = r"^[^/%&><]+$"
#: An absolute path, or one that a reference begins.
DIRECTORY_PATTERN = r"^(/|\$\{)"
#: A hundred years: Prefect's scheduler stumbles over dates that no calendar has.
LONGEST_INTERVAL = 3_153_600_000


class ScheduleSpec(Spec):
    """When a deployed flow runs: exactly one of cron, interval and rrule says it."""

    cron: str | None = Field(
        default=None,
        description="Five fields as in crontab, in quotes: minute, hour, day of the month, month, day of the week; or a word "
        "such as `@daily`.",
        examples=["0 6 * * *"],
    )
    interval: Seconds | None = Field(
        default=None,
        ge=1,
        le=LONGEST_INTERVAL,
        description="Seconds between the starts of two runs, from 1 to 3153600000, which is a hundred years.",
        examples=[3600],
    )
    rrule: str | None = Field(
        default=None,
        title="Recurrence rule",
        description="A recurrence rule of RFC 5545.",
        examples=["FREQ=WEEKLY;BYDAY=MO,WE"],
    )
    timezone: str | None = Field(
        default=None,
        description="The time zone that the schedule means, by its IANA name; UTC where unset.",
        examples=["Europe/Berlin"],
    )
    paused: bool | None = Field(
        default=None,
        description="Whether the schedule is kept but starts no runs. Where unset it starts runs, and a pause by hand in Prefect "
        "stays.",
    )


class WorkPoolSpec(Spec):
    """The work pool whose workers run a deployed flow, and what they are told about it."""

    name: str | None = Field(
        default=None,
        pattern=PREFECT_NAME_PATTERN,
        description="The pool's name in Prefect; the project's name and the type, such as `jobs-process`, where unset."
        + REFERENCES,
        examples=["jobs-docker"],
    )
    type: PoolType = Field(
        default="process",
        description="How its workers run a flow: `process`, the default, as a process beside the worker; `docker`, in a "
        "container; `kubernetes`, as a job of the cluster. An environment that says another type has another pool: nothing of "
        "the one below holds there.",
    )
    queue: str | None = Field(
        default=None,
        pattern=PREFECT_NAME_PATTERN,
        description="The work queue of the pool; its default queue where unset." + REFERENCES,
        examples=["nightly"],
    )
    job_variables: dict[str, Any] | None = Field(
        default=None,
        description="Values for the variables of the pool's base job template, such as `image` and `env`." + REFERENCES,
        examples=[{"image": "ghcr.io/example/jobs:1", "env": {"LOG_LEVEL": "info"}}],
    )
    directory: str | None = Field(
        default=None,
        pattern=DIRECTORY_PATTERN,
        description="Where the project is on the worker's machine or in its container, an absolute path. Where unset: "
        "`/opt/prefect` if the job variables say an image, else where it is when it is deployed." + REFERENCES,
        examples=["/opt/jobs"],
    )


class FlowSettings(Spec):
    """What people say about a flow."""

    description: str | None = Field(default=None, description="What the flow is for, in a sentence." + YOURS)
    schedule: ScheduleSpec | None = Field(
        default=None,
        description="When the flow runs by itself once it is deployed." + YOURS,
    )
    tags: list[str] | None = Field(
        default=None, description="Words to select by, on each of its runs." + YOURS, examples=[["nightly"]]
    )
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="Values for the parameters of the deployed flow, by name, where a run is not given others."
        + REFERENCES
        + YOURS,
        examples=[{"keywords": "python"}],
    )
    concurrency: PositiveCount | None = Field(
        default=None,
        description="How many runs of the deployed flow may be going on at the same time; without limit where unset." + YOURS,
        examples=[1],
    )
    collision_strategy: Literal["enqueue", "cancel_new"] | None = Field(
        default=None,
        description="What happens to a run beyond `concurrency`: `enqueue`, the default, lets it wait; `cancel_new` cancels it."
        + YOURS,
    )
    work_pool: WorkPoolSpec | None = Field(
        default=None,
        description="Where the deployed flow runs. It holds for the flows below, too, that do not say another, and what "
        "`pipeline` says for all; a pool for processes where nothing is said." + YOURS,
        examples=[{"type": "docker", "job_variables": {"image": "ghcr.io/example/jobs:1"}}],
    )
    task_runner: Literal["dask", "ray"] | None = Field(
        default=None,
        description="What runs the flow's operations under Prefect: `dask` or `ray`, on a cluster; in the flow's own process "
        "where unset. It holds for the flows below, too, that do not say another, and what `pipeline` says for all." + YOURS,
    )
    task_runner_options: dict[str, Any] | None = Field(
        default=None,
        description="Keyword arguments of Prefect's `DaskTaskRunner` or `RayTaskRunner`. Without a `task_runner` beside them "
        "they are for the one that holds from above, in place of its own options." + REFERENCES + YOURS,
        examples=[{"address": "${DASK_ADDRESS}"}, {"cluster_kwargs": {"n_workers": 4, "threads_per_worker": 1}}],
    )


class FlowSpec(FlowSettings):
    """A flow: a node of the dotted hierarchy."""

    segments: list[list[OperationName]] | None = Field(
        default=None,
        description="The parts of the flow, run in turn, where grouping by flow would make a cycle." + LOCK,
    )
