"""Prefect as a target of a whole plan: work pools, variables and deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from pulpo.apply.change import Note, Plan
from pulpo.apply.part import Behind, Part, Standing, digest
from pulpo.apply.prefect.execute import execute
from pulpo.apply.prefect.observe import observe
from pulpo.apply.prefect.plan import plan
from pulpo.apply.prefect.state import Observed
from pulpo.apply.prefect.steps import Steps
from pulpo.apply.prefect.variables import address_of
from pulpo.apply.prefect.wire import is_ours
from pulpo.errors import ApplyError

if TYPE_CHECKING:
    from pulpo.apply.change import Change
    from pulpo.apply.ledger import Ledger
    from pulpo.apply.prefect.api import Api
    from pulpo.apply.prefect.scope import Scope
    from pulpo.compile.deployment import Deployment
    from pulpo.compile.variables import Variable


class PrefectTarget:
    """The deployments of a project in one environment, and the work pools that they need."""

    name = "prefect"

    def __init__(
        self,
        desired: Sequence[Deployment],
        scope: Scope,
        connect: Callable[[], AbstractAsyncContextManager[Api]],
        *,
        behind: Behind,
        variables: Sequence[Variable] = (),
        remove: bool = False,
    ) -> None:
        """What is desired in Prefect.

        Args:
            desired: All deployments of the manifest, with references resolved.
            scope: Whose they are.
            connect: Gives the API when its service runs.
            behind: The service that it lies behind.
            variables: All variables of the manifest.
            remove: Whether all deployments and variables go instead.
        """
        self._desired = () if remove else desired
        self._variables = () if remove else variables
        self._scope = replace(scope, may_empty=True)
        self._connect = connect
        self._behind = behind
        self._remove = remove
        self._steps = Steps()

    def plan(self, before: Sequence[Part] = ()) -> Part:
        """What is missing in Prefect or differs, and what left the manifest."""
        standing = self._behind.standing(before)
        wanted = bool(self._desired or self._variables) or self._remove
        if standing is Standing.LATER:
            note = Note(self.name, f"compared when {self._behind.service} runs as it should")
            prints = dict.fromkeys(self._addresses(), standing.value)
            return Part(self.name, Plan((), (note,)), fingerprints=prints, waits_for=self._behind.service, wanted=wanted)
        observed = Observed() if standing is Standing.EMPTY else asyncio.run(self._observe())
        steps = plan(self._desired, observed, self._scope, self._variables)
        if self._remove:
            steps = Steps(tuple(replace(one, change=replace(one.change, cause="of this project")) for one in steps.steps))
        self._steps = steps
        return Part(
            self.name,
            steps.plan,
            self._needs(steps),
            self._fingerprints(observed, steps),
            self._behind.service if standing is Standing.EMPTY else None,
            wanted,
        )

    def execute(self, changes: Sequence[Change], ledger: Ledger) -> None:
        """Make the requests: work pools first."""
        asyncio.run(self._execute(changes, ledger))

    def check(self, addresses: Collection[str]) -> list[str]:
        """What would still be changed of these addresses; nothing after they went, for the server may have gone as well."""
        if self._remove:
            return []
        left = plan(self._desired, asyncio.run(self._observe()), self._scope, self._variables).plan.changes
        return sorted(f"{one.address} is not as it should be: {one.cause}" for one in left if one.address in addresses)

    async def _observe(self) -> Observed:
        async with self._connect() as api:
            names = [variable.name for variable in self._variables]
            return await observe(api, self._desired, project=self._scope.project, variables=names)

    async def _execute(self, changes: Sequence[Change], ledger: Ledger) -> None:
        async with self._connect() as api:
            for layer in ledger.layers(changes):
                addresses = {change.address for change in layer}
                steps = Steps(tuple(step for step in self._steps.steps if step.change.address in addresses))
                refused: list[Change] = []

                def on_refused(change: Change, reason: str, refused: list[Change] = refused) -> None:
                    refused.append(change)
                    ledger.failed(change, reason)

                try:
                    await execute(api, steps, on_change=ledger.done, on_refused=on_refused, secrets=self._scope.secrets)
                except ApplyError:
                    if not refused:  # it can't be reached any more
                        raise

    def _needs(self, steps: Steps) -> dict[str, tuple[str, ...]]:
        service = (self._behind.service,) if self._behind.service else ()
        pools = {f"deployment:{d.full_name}": f"work_pool:{d.work_pool.name}" for d in self._desired}
        return {
            step.change.address: (
                *service,
                *((pools[step.change.address],) if step.change.address in pools else ()),
            )
            for step in steps.steps
        }

    def _fingerprints(self, observed: Observed, steps: Steps) -> dict[str, str]:
        """Without values, for those may be secrets: they are compared with the version that the manifest gave them."""
        live = {
            f"deployment:{d.full_name}": repr((d.id, d.fields.get("version"), d.paused))
            for d in observed.deployments
            if is_ours(d.tags, self._scope.project, self._scope.environment)
        }
        live |= {f"work_pool:{name}": kind for name, kind in observed.pools.items()}
        live |= {address_of(v.name): repr((v.id, v.tags, v.updated)) for v in observed.variables}
        planned = {step.change.address: step.change for step in steps.steps}
        known = sorted(self._addresses() | live.keys() | planned.keys())
        return {address: digest(live.get(address), repr(planned.get(address))) for address in known}

    def _addresses(self) -> set[str]:
        return {f"deployment:{d.full_name}" for d in self._desired} | {address_of(v.name) for v in self._variables}
