"""The plan from what is desired and what was observed, without asking Prefect or anybody anything."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pulpo.apply.change import Action, Change, Note
from pulpo.apply.prefect.diff import field_diffs, holds_secret
from pulpo.apply.prefect.schedules import Leaf, plan_schedules
from pulpo.apply.prefect.steps import (
    CreateDeployment,
    CreatePool,
    CreateSchedule,
    DeleteDeployment,
    DeleteVariable,
    Step,
    Steps,
    UpdateDeployment,
)
from pulpo.apply.prefect.variables import plan_variables
from pulpo.apply.prefect.wire import FIELDS, differing, directory_of, is_ours, project_tag, schedule_body, wanted_fields
from pulpo.errors import ApplyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pulpo.apply.prefect.scope import Scope
    from pulpo.apply.prefect.state import LiveDeployment, Observed
    from pulpo.compile.deployment import Deployment, WorkPool
    from pulpo.compile.variables import Variable

#: The first five Prefect refuses in names; the others end the path of a request to its API.
_NOT_IN_NAMES = "/%&<>#?"


def plan(desired: Sequence[Deployment], observed: Observed, scope: Scope, variables: Sequence[Variable] | None = None) -> Steps:
    """What has to be done so that Prefect has the desired deployments, and no others of the project in this environment.

    Args:
        desired: All deployments of the manifest.
        observed: What is in Prefect.
        scope: Whose deployments they are.
        variables: All variables of the manifest; None leaves those in Prefect alone.

    Raises:
        ApplyError: Prefect can't have a name, a name is taken by somebody else's, a work pool of that name has
            another type, or the plan would delete all deployments because none is desired.
    """
    wanted = sorted((d for d in desired if scope.only in (None, d.flow)), key=lambda d: d.full_name)
    live = {d.full_name: d for d in observed.deployments}
    ours = {name: d for name, d in live.items() if is_ours(d.tags, scope.project, scope.environment)}
    _refuse(wanted, live, ours, observed, scope)
    of_variables = [] if variables is None else list(plan_variables(variables, observed.variables, scope))
    leaving = [step for step in of_variables if isinstance(step, DeleteVariable)]
    steps: list[Step] = [*_pools(wanted, observed), *(step for step in of_variables if step not in leaving)]
    notes: list[Note] = []
    for deployment in wanted:
        if deployment.full_name not in ours:
            steps.append(_create(deployment, observed.flows.get(deployment.flow), scope.root))
        else:
            found, told = _update(deployment, ours[deployment.full_name], scope)
            steps += found
            notes += told
    if scope.only is None:
        steps += _prune({d.full_name for d in wanted}, ours)
    steps += leaving
    return Steps(tuple(steps), tuple(notes))


def _refuse(
    wanted: Sequence[Deployment],
    live: dict[str, LiveDeployment],
    ours: dict[str, LiveDeployment],
    observed: Observed,
    scope: Scope,
) -> None:
    odd = sorted({name for d in wanted for name in (d.name, d.work_pool.name) if _is_odd(name)})
    if odd:
        raise ApplyError(
            f"Prefect's API has no place for deployments and work pools of these names: {', '.join(odd)}",
            hint=f"give the project, the environment or the work pool a name without {' '.join(_NOT_IN_NAMES)}",
        )
    taken = [d.full_name for d in wanted if d.full_name in live and d.full_name not in ours]
    if taken:
        whose = project_tag(scope.project) + (f" and pulpo.environment={scope.environment}" if scope.environment else " alone")
        raise ApplyError(
            f"Prefect has deployments of these names that are not this project's: {', '.join(taken)}",
            hint=f"delete or rename them there, or rename the project; its own are tagged {whose}",
        )
    pools = sorted({d.work_pool for d in wanted}, key=lambda pool: (pool.name, pool.type))
    wrong = [pool for pool in pools if observed.pools.get(pool.name, pool.type) != pool.type]
    # Two of one name that is not there yet: the manifest wants both.
    wrong += [b for a, b in pairwise(pools) if a.name == b.name and a.name not in observed.pools]
    if wrong:
        said = ", ".join(f"{pool.name} is {observed.pools.get(pool.name, 'of two types')}, not {pool.type}" for pool in wrong)
        raise ApplyError(f"work pools have another type: {said}", hint="name another work pool in the manifest")
    if not wanted and ours and not scope.may_empty:
        raise ApplyError(
            f"the manifest has no flows, and Prefect has deployments of the project, which would all be deleted: {len(ours)}",
            hint="delete them with `prefect deployment delete`, if that is meant",
        )


def _is_odd(name: str) -> bool:
    """Whether Prefect refuses the name, or takes it and can't find it again."""
    return name in {".", ".."} or not set(_NOT_IN_NAMES).isdisjoint(name)


def _pools(wanted: Sequence[Deployment], observed: Observed) -> Iterator[CreatePool]:
    pools: dict[str, WorkPool] = {d.work_pool.name: d.work_pool for d in wanted}
    for name, pool in sorted(pools.items()):
        if name not in observed.pools:
            yield CreatePool(Change(f"work_pool:{name}", Action.CREATE, "not in Prefect"), pool)


def _create(deployment: Deployment, flow_id: str | None, root: Path) -> CreateDeployment:
    fields = wanted_fields(deployment, root)
    # Prefect has a default of its own for what is not said.
    body: dict[str, Any] = {"name": deployment.name, **{key: value for key, value in fields.items() if value is not None}}
    schedule = deployment.schedule
    return CreateDeployment(
        Change(_address(deployment), Action.CREATE, "not in Prefect"),
        deployment.flow,
        flow_id,
        body,
        CreateSchedule(schedule_body(schedule, active=not schedule.paused)) if schedule else None,
    )


def _update(deployment: Deployment, live: LiveDeployment, scope: Scope) -> tuple[list[UpdateDeployment], list[Note]]:
    wanted = wanted_fields(deployment, scope.root)
    different = {name: list(differing(live.fields.get(name), wanted[name], name)) for name in FIELDS}
    body = {name: wanted[name] for name in FIELDS if different[name]}
    schedules, changed, told = plan_schedules(deployment.schedule, live.schedules)
    leaves = [_place(leaf) for name in FIELDS for leaf in different[name]] + changed
    if live.paused and deployment.schedule is not None and deployment.schedule.paused is not None:
        leaves.append(("paused", True, False))
        body["paused"] = False
    elif live.paused:
        told = [*told, "is paused in Prefect, and stays so"]
    notes = [Note(_address(deployment), text) for text in told]
    if not leaves:
        return [], notes
    if not body.keys().isdisjoint({"work_pool_name", "work_queue_name", "job_variables"}):
        # Prefect judges the three together, and takes those that are not said for empty.
        body |= {name: wanted[name] for name in ("work_pool_name", "work_queue_name", "job_variables")}
    cause, drift = _cause(deployment, live, leaves, scope.secrets)
    diffs = field_diffs(leaves, drift=drift, secrets=scope.secrets)
    change = Change(_address(deployment), Action.UPDATE, cause, diffs, drift=drift)
    return [UpdateDeployment(change, live.id, body, schedules)], notes


def _cause(deployment: Deployment, live: LiveDeployment, leaves: list[Leaf], secrets: frozenset[str]) -> tuple[str, bool]:
    """Why a deployment is updated, and whether that is drift."""
    if live.fields.get("version") != deployment.version:
        return "changed in the manifest", False
    # The manifest says neither where the project lies nor what its references stand for.
    is_place_said = deployment.directory is not None
    if all((name == "directory" and not is_place_said) or holds_secret(after, secrets) for name, _, after in leaves):
        return "deployed from another place, or with other variables", False
    return "changed in Prefect", True


def _place(leaf: Leaf) -> Leaf:
    """A leaf; that of the steps before a run with nothing but the directory, where that is all that differs."""
    before, after = directory_of(leaf[1]), directory_of(leaf[2])
    return leaf if before is None or after is None else ("directory", before, after)


def _prune(wanted: set[str], ours: dict[str, LiveDeployment]) -> Iterator[DeleteDeployment]:
    for name, live in sorted(ours.items()):
        if name not in wanted:
            yield DeleteDeployment(Change(f"deployment:{name}", Action.DELETE, "left the manifest"), live.id)


def _address(deployment: Deployment) -> str:
    return f"deployment:{deployment.full_name}"
