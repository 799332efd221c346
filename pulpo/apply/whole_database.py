"""The database as a target of a whole plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from pulpo.apply.change import Action, Note, Plan
from pulpo.apply.database import ObservedDatabase, Steps, execute_database, observe, plan_database, plan_removal
from pulpo.apply.part import Behind, Part, Standing, digest
from pulpo.errors import ApplyError

if TYPE_CHECKING:
    from pulpo.apply.change import Change
    from pulpo.apply.ledger import Ledger
    from pulpo.errors import PulpoError
    from pulpo.store.base import Collection as StoreCollection
    from pulpo.store.base import Store


class DatabaseTarget:
    """The collections and indexes of a project."""

    name = "database"

    def __init__(
        self,
        desired: Sequence[StoreCollection],
        store: Callable[[], Store],
        *,
        project: str,
        behind: Behind,
        is_new: Callable[[], bool] = lambda: False,
        destroy_data: bool = False,
        remove: bool = False,
    ) -> None:
        """What is desired of a store.

        Args:
            desired: The collections of the models.
            store: Gives the store, not open, when its service runs.
            project: Whose things in it are the project's.
            behind: The service that it lies behind.
            is_new: Whether the store's file was never made, so that looking at it would make it.
            destroy_data: Whether collections that left the manifest go with their records.
            remove: Whether all that is the project's goes instead, its runs as well.
        """
        self._desired = desired
        self._store = store
        self._project = project
        self._behind = behind
        self._is_new = is_new
        self._destroy_data = destroy_data
        self._remove = remove
        self._steps = Steps()

    def plan(self, before: Sequence[Part] = ()) -> Part:
        """What is missing in the store, and what left the manifest."""
        standing = self._behind.standing(before)
        if standing is Standing.LATER:
            note = Note(self.name, f"compared when {self._behind.service} runs as it should")
            prints = {f"collection:{c.name}": standing.value for c in self._desired}
            return Part(self.name, Plan((), (note,)), fingerprints=prints, waits_for=self._behind.service, wanted=self._wanted)
        observed = ObservedDatabase() if standing is Standing.EMPTY else self._observed()
        self._steps = steps = self._planned(observed)
        needs = {step.change.address: self._needs(step.change) for step in steps.steps}
        return Part(
            self.name,
            steps.plan,
            needs,
            self._fingerprints(observed, steps),
            self._behind.service if standing is Standing.EMPTY else None,
            self._wanted,
        )

    def execute(self, changes: Sequence[Change], ledger: Ledger) -> None:
        """Make and drop, one after the other."""
        asyncio.run(self._execute(changes, ledger))

    def check(self, addresses: Collection[str]) -> list[str]:
        """What would still be changed of these addresses."""
        left = self._planned(self._observed()).plan.changes
        return sorted(f"{one.address} is not as it should be: {one.cause}" for one in left if one.address in addresses)

    @property
    def _wanted(self) -> bool:
        return bool(self._desired) or self._remove

    def _planned(self, observed: ObservedDatabase) -> Steps:
        if self._remove:
            return plan_removal(observed, project=self._project)
        return plan_database(self._desired, observed, project=self._project, destroy_data=self._destroy_data)

    def _observed(self) -> ObservedDatabase:
        return ObservedDatabase() if self._is_new() else asyncio.run(self._observe())

    async def _observe(self) -> ObservedDatabase:
        async with self._store() as store:
            return await observe(store)

    async def _execute(self, changes: Sequence[Change], ledger: Ledger) -> None:
        async with self._store() as store:
            for layer in ledger.layers(changes):
                addresses = {change.address for change in layer}
                refused: list[Change] = []

                def on_failure(change: Change, error: PulpoError, refused: list[Change] = refused) -> None:
                    refused.append(change)
                    ledger.failed(change, f"{error.message} ({error.hint})" if error.hint else error.message)

                try:
                    meant = self._steps.chosen(lambda change, addresses=addresses: change.address in addresses)  # type: ignore[misc]
                    await execute_database(store, meant, ledger.done, on_failure)
                except ApplyError:
                    if not refused:  # it can't be reached any more
                        raise

    def _needs(self, change: Change) -> tuple[str, ...]:
        kind, _, rest = change.address.partition(":")
        collection = (f"collection:{rest.partition('/')[0]}",) if kind == "index" and change.action is not Action.DELETE else ()
        return (*collection, *((self._behind.service,) if self._behind.service else ()))

    def _fingerprints(self, observed: ObservedDatabase, steps: Steps) -> dict[str, str]:
        prints = {f"collection:{c.name}": "not there" for c in self._desired}
        prints |= {
            f"collection:{name}": digest(repr(found.indexes), bool(found.records))
            for name, found in observed.collections.items()
            if found.is_of(self._project) or f"collection:{name}" in prints
        }
        planned = {step.change.address: step for step in steps.steps}
        return {a: digest(prints.get(a), repr(planned.get(a))) for a in sorted(prints.keys() | planned.keys())}
