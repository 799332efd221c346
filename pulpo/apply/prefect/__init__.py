"""Deployments brought in line with the manifest through Prefect's API: observe, plan, execute.

Nothing is remembered but in Prefect, so what broke off is finished by the next call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.apply.change import Change, Plan
from pulpo.errors import UsageError
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pulpo.apply.prefect.api import Api
    from pulpo.compile.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Applied:
    """What was planned, and what of it was done, in that order: nothing where only a check was asked for, else all."""

    plan: Plan
    done: tuple[Change, ...] = ()


async def deploy(
    desired: Sequence[Deployment],
    *,
    project: str,
    environment: str | None,
    root: Path,
    only: str | None = None,
    check: bool = False,
    on_change: Callable[[Change], None] = lambda _: None,
    secrets: frozenset[str] = frozenset(),
) -> Applied:
    """Bring the project's deployments on the server that Prefect's settings name in line with the desired ones.

    Args:
        desired: All deployments of the manifest, with references resolved.
        project: The project's name.
        environment: The environment's name; deployments of other environments, and of none, are others'.
        root: Where the project lies, for workers that are told no other place.
        only: The flow whose deployment alone is looked at; nothing is deleted then.
        check: Plan, and change nothing.
        on_change: Called after each change that was made.
        secrets: The values of references, which are shown nowhere.

    Raises:
        UsageError: `only` is no flow of the desired deployments.
        ApplyError: A name is taken by somebody else's, Prefect refused changes, or can't be reached.
    """
    from pulpo.apply.prefect.api import connect

    async with connect() as api:
        return await reconcile(
            api,
            desired,
            project=project,
            environment=environment,
            root=root,
            only=only,
            check=check,
            on_change=on_change,
            secrets=secrets,
        )


async def reconcile(
    api: Api,
    desired: Sequence[Deployment],
    *,
    project: str,
    environment: str | None,
    root: Path,
    only: str | None = None,
    check: bool = False,
    on_change: Callable[[Change], None] = lambda _: None,
    secrets: frozenset[str] = frozenset(),
) -> Applied:
    """What `deploy` does, on an API that is connected already."""
    from pulpo.apply.prefect.execute import execute
    from pulpo.apply.prefect.observe import observe
    from pulpo.apply.prefect.plan import plan

    flows = [deployment.flow for deployment in desired]
    if only is not None and only not in flows:
        raise UsageError(f"the manifest has no flow of this name: {only}", hint=did_you_mean(only, flows))
    observed = await observe(api, desired, project=project)
    planned = plan(desired, observed, project=project, environment=environment, root=root, only=only, secrets=secrets)
    if not check:
        await execute(api, planned.steps, observed.flows, on_change=on_change, secrets=secrets)
    changes = tuple(step.change for step in planned.steps)
    return Applied(Plan(changes, planned.notes), () if check else changes)
