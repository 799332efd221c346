"""Deployments brought in line with the manifest through Prefect's API: observe, plan, execute.

Nothing is remembered but in Prefect, so what broke off is finished by the next call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.apply.prefect.scope import Scope
from pulpo.errors import UsageError
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pulpo.apply.change import Change, Plan
    from pulpo.apply.prefect.api import Api
    from pulpo.apply.prefect.steps import Steps
    from pulpo.compile.deployment import Deployment

__all__ = ["Scope", "prepare", "reconcile"]


async def reconcile(
    api: Api,
    desired: Sequence[Deployment],
    scope: Scope,
    *,
    check: bool = False,
    on_change: Callable[[Change], None] = lambda _: None,
) -> Plan:
    """Bring the project's deployments on a server in line with the desired ones.

    Args:
        api: The server's.
        desired: All deployments of the manifest, with references resolved.
        scope: Whose they are.
        check: Plan, and change nothing.
        on_change: Called after each change that was made.

    Returns:
        What was planned; all of it was done, unless only a check was asked for.

    Raises:
        UsageError: `scope.only` is no flow of the desired deployments.
        ApplyError: A name is taken by somebody else's, Prefect refused changes, or can't be reached.
    """
    steps = await prepare(api, desired, scope)
    if not check:
        from pulpo.apply.prefect.execute import execute

        await execute(api, steps, on_change=on_change, secrets=scope.secrets)
    return steps.plan


async def prepare(api: Api, desired: Sequence[Deployment], scope: Scope) -> Steps:
    """What `execute` would have to do, with its plan; nothing is changed.

    Raises:
        UsageError: As `reconcile`.
        ApplyError: As `reconcile`.
    """
    from pulpo.apply.prefect.observe import observe
    from pulpo.apply.prefect.plan import plan

    flows = [deployment.flow for deployment in desired]
    if scope.only is not None and scope.only not in flows:
        raise UsageError(f"the manifest has no flow of this name: {scope.only}", hint=did_you_mean(scope.only, flows))
    return plan(desired, await observe(api, desired, project=scope.project), scope)
