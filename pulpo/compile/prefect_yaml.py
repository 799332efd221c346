"""Deployments as the file `prefect.yaml`, which Prefect's own command line reads: `prefect deploy --all`.

Prefect puts values into what it reads: `{{ $NAME }}` is an environment variable, and any other `{{ name }}` is replaced, or taken
away where it knows no such name. So references become the former, and of braces that people wrote the first two are kept apart
by a placeholder that stands for nothing. Prefect knows no default for a variable: one that is not set is an empty text, with a
warning. To write the default into the file would be worse, as then nobody could set the variable; so the file says at its top
which variables have to be set, and to what where nothing else is meant.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pulpo.compile.codegen import HEADER
from pulpo.compile.deployment import ORCHESTRATION, SCHEDULE_SLUG
from pulpo.manifest.layout import Layout
from pulpo.manifest.references import Reference, parts
from pulpo.manifest.yaml_write import block, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pulpo.compile.deployment import Deployment, Schedule

_HOW = """\
#
# `pulpo prefect deploy` makes these deployments, and keeps them so. Prefect's own command line makes them, too, from the
# project's directory:
#
"""
_DEPLOY = f"#     prefect --no-prompt deploy --all --prefect-file {ORCHESTRATION}/prefect.yaml\n"
_VARIABLES = """\
#
# Prefect takes a variable that is not set for an empty text, also where the lock has a default. So set these:
#
"""
#: A placeholder that stands for nothing.
_NOTHING = "{{ - }}"
_STEP = "prefect.deployments.steps.set_working_directory"
_ENTRY = Layout(
    block=True,
    fields={
        "parameters": Layout(block=True),
        "work_pool": Layout(block=True, fields={"job_variables": Layout(block=True)}),
        "schedules": Layout(block=True),
        "pull": Layout(block=True),
    },
)
#: Needs no quotes in a shell.
_WORD = re.compile(r"[\w.-]+")
_INDENT = "    "
_ITEM = "  - "


def prefect_yaml(deployments: Sequence[Deployment]) -> str:
    """The text of the file, in the order of the deployments; no reference in it is resolved.

    Prefect reads the schema of parameters from the flow's function, and its working directory is where its command line runs.
    """
    lines = [f"# {HEADER}\n", _HOW, *_commands(deployments), *_variables(deployments), "\ndeployments:\n"]
    lines += [_ITEM + block(_entry(deployment), _ENTRY, _INDENT).removeprefix(_INDENT) for deployment in deployments]
    return "".join(lines)


def _commands(deployments: Sequence[Deployment]) -> Iterator[str]:
    for name, kind in sorted({(d.work_pool.name, d.work_pool.type) for d in deployments}):
        shown = "".join(f"${part.name}" if isinstance(part, Reference) else part for part in parts(name))
        word = shown if _WORD.fullmatch(shown) else quoted(shown)
        yield f"#     prefect work-pool create {word} --type {kind}  # if it is not there\n"
    yield _DEPLOY


def _variables(deployments: Sequence[Deployment]) -> Iterator[str]:
    found = {
        (reference.name, reference.default)
        for d in deployments
        for text in _texts([d.parameters, d.work_pool.name, d.work_queue, d.job_variables, d.directory])
        for reference in parts(text)
        if isinstance(reference, Reference)
    }
    if found:
        yield _VARIABLES
    for name, default in sorted(found, key=lambda one: (one[0], one[1] or "")):
        meant = "" if default is None else f"  # {quoted(default)} where the lock's default is meant"
        yield f"#     {name}{meant}\n"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _entry(deployment: Deployment) -> dict[str, Any]:
    """What the file says of a deployment; what is unset stands nowhere."""
    limit: Any = deployment.concurrency
    if deployment.collision_strategy:
        limit = {"limit": limit, "collision_strategy": deployment.collision_strategy.upper()}
    pool = {
        "name": _filled(deployment.work_pool.name),
        "work_queue_name": _filled(deployment.work_queue),
        "job_variables": _filled(deployment.job_variables),
    }
    directory = deployment.directory
    entry = {
        "name": _apart(deployment.name),
        "entrypoint": deployment.entrypoint,
        "version": deployment.version,
        "description": _apart(deployment.description),
        "tags": _apart(list(deployment.tags)),
        "parameters": _filled(deployment.parameters),
        "work_pool": {key: value for key, value in pool.items() if value},
        "schedules": [_schedule(deployment.schedule)] if deployment.schedule else None,
        "concurrency_limit": limit,
        # Not part of what Prefect takes braces out of: it reads this before.
        "pull": [{_STEP: {"directory": _filled(directory, braces=False)}}] if directory else None,
    }
    return {key: value for key, value in entry.items() if value not in (None, {}, [])}


def _schedule(schedule: Schedule) -> dict[str, Any]:
    said = {
        "cron": schedule.cron,
        "interval": schedule.interval,
        "rrule": schedule.rrule,
        "timezone": schedule.timezone,
        "slug": SCHEDULE_SLUG,
        "active": None if schedule.paused is None else not schedule.paused,
    }
    return {key: _apart(value) for key, value in said.items() if value is not None}


def _filled(value: Any, *, braces: bool = True) -> Any:
    """A value whose texts may hold references, as Prefect fills it with what they stand for; mappings are sorted."""
    if isinstance(value, str):
        return "".join(_part(part, braces) for part in parts(value))
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in sorted(value.items())}
    return [_filled(item) for item in value] if isinstance(value, list) else value


def _part(part: str | Reference, braces: bool) -> str:
    if isinstance(part, Reference):
        return f"{{{{ ${part.name} }}}}"
    return part.replace("{{", f"{{{_NOTHING}{{") if braces else part


def _apart(value: Any) -> Any:
    """A value whose texts Prefect gives back as they are."""
    if isinstance(value, str):
        return _part(value, True)
    return [_apart(item) for item in value] if isinstance(value, list) else value
