"""Deployments in the words of Prefect's API, so that what is wanted and what is there can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulpo.compile.deployment import SCHEDULE_SLUG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pulpo.apply.prefect.state import LiveSchedule
    from pulpo.compile.deployment import Deployment, Schedule

_PULL = "prefect.deployments.steps.set_working_directory"
#: What Prefect calls the default queue of a new work pool.
_DEFAULT_QUEUE = "default"
_NO_PARAMETERS = {"type": "object", "properties": {}}
#: All fields that are compared, but for schedules and pauses.
FIELDS = (
    *("version", "description", "tags", "parameters", "parameter_openapi_schema", "enforce_parameter_schema", "entrypoint"),
    *("path", "pull_steps", "work_pool_name", "work_queue_name", "job_variables", "concurrency_limit", "concurrency_options"),
)


def project_tag(project: str) -> str:
    """The tag that all of a project's deployments carry."""
    return f"pulpo.project={project}"


def environment_tags(environment: str | None) -> frozenset[str]:
    """The tags that say the environment: one, or none."""
    return frozenset() if environment is None else frozenset({f"pulpo.environment={environment}"})


def is_ours(tags: tuple[str, ...], project: str, environment: str | None) -> bool:
    """Whether a deployment with these tags is that of the project, in exactly this environment."""
    said = {tag for tag in tags if tag.startswith("pulpo.environment=")}
    return project_tag(project) in tags and said == environment_tags(environment)


def directory_of(pull_steps: Any) -> str | None:
    """The directory that pull steps go to, if they are those that Pulpo writes; else None."""
    first = pull_steps[0] if isinstance(pull_steps, list) and pull_steps else None
    said = first.get(_PULL) if isinstance(first, dict) else None
    directory: str | None = said.get("directory") if isinstance(said, dict) else None
    return directory if pull_steps == _pull_steps(directory) else None


def _pull_steps(directory: str | None) -> list[dict[str, Any]]:
    return [{_PULL: {"directory": directory}}]


def wanted_fields(deployment: Deployment, root: Path) -> dict[str, Any]:
    """A deployment's fields as Prefect is to have them, all of `FIELDS`; None where it has its default."""
    strategy = deployment.collision_strategy
    return {
        "version": deployment.version,
        "description": _description(deployment.description),
        "tags": sorted(deployment.tags),
        "parameters": dict(deployment.parameters),
        "parameter_openapi_schema": dict(deployment.parameter_schema) or _NO_PARAMETERS,
        "enforce_parameter_schema": True,
        "entrypoint": deployment.entrypoint,
        "path": None,
        "pull_steps": _pull_steps(deployment.directory or str(root)),
        "work_pool_name": deployment.work_pool.name,
        "work_queue_name": None if deployment.work_queue == _DEFAULT_QUEUE else deployment.work_queue,
        "job_variables": dict(deployment.job_variables),
        "concurrency_limit": deployment.concurrency,
        "concurrency_options": {"collision_strategy": strategy.upper()} if strategy else None,
    }


def live_fields(data: Mapping[str, Any], default_queues: frozenset[str]) -> dict[str, Any]:
    """The same of a deployment as Prefect answers.

    Args:
        data: Prefect's answer.
        default_queues: The ids of the default queues of work pools, which may have other names by now.
    """
    limit = data.get("global_concurrency_limit")
    queue = data.get("work_queue_name")
    is_default = queue == _DEFAULT_QUEUE or data.get("work_queue_id") in default_queues
    options = {key: value for key, value in (data.get("concurrency_options") or {}).items() if value is not None}
    return {
        "version": data.get("version"),
        "description": _description(data.get("description")),
        "tags": sorted(data.get("tags") or ()),
        "parameters": data.get("parameters") or {},
        "parameter_openapi_schema": data.get("parameter_openapi_schema") or _NO_PARAMETERS,
        "enforce_parameter_schema": bool(data.get("enforce_parameter_schema")),
        "entrypoint": data.get("entrypoint"),
        "path": data.get("path"),
        "pull_steps": data.get("pull_steps"),
        "work_pool_name": data.get("work_pool_name"),
        "work_queue_name": None if is_default else queue,
        "job_variables": data.get("job_variables") or {},
        "concurrency_limit": limit["limit"] if limit else None,
        "concurrency_options": options or None,
    }


def _description(text: str | None) -> str | None:
    """None where there is none, which `prefect deploy` writes as the text `None` when it makes a deployment."""
    return None if text == "None" else text or None


def schedule_data(schedule: Schedule) -> dict[str, Any]:
    """A schedule as Prefect takes it."""
    if schedule.cron is not None:
        return {"cron": schedule.cron, "timezone": schedule.timezone, "day_or": True}
    if schedule.interval is not None:
        return {"interval": schedule.interval, "timezone": schedule.timezone}
    return {"rrule": schedule.rrule, "timezone": schedule.timezone}


def schedule_body(schedule: Schedule, *, active: bool) -> dict[str, Any]:
    """A deployment's schedule as Prefect takes it."""
    return {"schedule": schedule_data(schedule), "active": active, "slug": SCHEDULE_SLUG}


def schedule_view(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a schedule means, without what Prefect adds: the date that an interval counts from, and defaults."""
    kept = {key: value for key, value in data.items() if key != "anchor_date" and value is not None}
    if kept.get("day_or") is True:
        del kept["day_or"]
    return {"timezone": "UTC", **kept}


def live_view(schedule: LiveSchedule) -> dict[str, Any]:
    """What a schedule in Prefect means, with all that may be set beside it."""
    view = {**schedule_view(schedule.schedule), "active": schedule.active}
    if schedule.max_scheduled_runs is not None:
        view["max_scheduled_runs"] = schedule.max_scheduled_runs
    return {**view, **{f"parameters.{name}": value for name, value in schedule.parameters.items()}}


def differing(before: Any, after: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """The leaves in which two JSON values differ, sorted, as dotted names with both values; None is none.

    Objects are compared key by key, whatever their order; lists as wholes. `True` is not `1`, and `1` is `1.0`.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            if key not in before or key not in after or before[key] is None or after[key] is None:
                if not same_json(_present(before, key), _present(after, key)):
                    yield f"{name}.{key}", _present(before, key), _present(after, key)
            else:
                yield from differing(before[key], after[key], f"{name}.{key}")
    elif not same_json(before, after):
        yield name, before, after


def same_json(before: Any, after: Any) -> bool:
    """Whether two values are the same as JSON."""
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(same_json(value, after[key]) for key, value in before.items())
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(same_json, before, after))
    return bool(before == after) and isinstance(before, bool) is isinstance(after, bool)


def _present(data: Mapping[str, Any], key: str) -> Any:
    value = data.get(key)
    # None would say that there is nothing.
    return "null" if key in data and value is None else value
