"""Doing what a plan says: calls of the store, and no decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from pulpo.apply.database.steps import DropCollection, DropIndexes, Ensure
from pulpo.errors import ApplyError
from pulpo.store.base import Lost, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pulpo.apply.change import Change
    from pulpo.apply.database.steps import Step, Steps
    from pulpo.store.base import Store


async def execute_database(
    store: Store,
    planned: Steps,
    on_change: Callable[[Change], None] = lambda _: None,
    on_failure: Callable[[Change, StoreError], None] = lambda *_: None,
) -> None:
    """Make all changes, one after the other; one that fails keeps back only the indexes of a collection that was not made.

    Each can be made again, by others at the same time, too. A collection that was empty and is not any more is not dropped.

    Args:
        store: The database, open.
        planned: What to do, in order; leave steps out that are not meant.
        on_change: Hears of each change that was made.
        on_failure: Hears of each change that the store refused.

    Raises:
        ApplyError: The store refused changes (all others were made), or can't be reached (the rest was not tried).
    """
    done, missing = 0, set[str]()
    refusals: list[str] = []
    hints: list[str] = []
    for step in planned.steps:
        if isinstance(step, Ensure) and step.collection.name in missing:
            refusals.append(f"\n  {step.change.address}: not tried, as its collection is not there")
            continue
        try:
            await execute_step(store, step)
        except Lost as error:
            count = f"{done} of {len(planned.steps)} changes were made"
            raise ApplyError(f"{error.message} ({count})", hint="run it again to go on") from error
        except StoreError as error:
            refusals.append(f"\n  {step.change.address}: {error.message}")
            hints += [error.hint] if error.hint else []
            if isinstance(step, Ensure) and not step.collection.indexes:
                missing.add(step.collection.name)
            on_failure(step.change, error)
        else:
            done += 1
            on_change(step.change)
    if refusals:
        others = "; the others were made" if done else ""
        message = f"the database refused {len(refusals)} of {len(planned.steps)} changes{others}:{''.join(refusals)}"
        raise ApplyError(message, hint="\n".join(dict.fromkeys(hints)) or None)


async def execute_step(store: Store, step: Step) -> None:
    """Make one change, which another one may have made already.

    Raises:
        StoreError: The store refused; a `Lost` one can't be reached, and will not do other steps either.
    """
    match step:
        case Ensure():
            for name in step.drop:
                await store.drop_index(step.collection.name, name)
            await store.ensure(step.collection)
            for name in step.drop_after:
                await store.drop_index(step.collection.name, name)
        case DropIndexes():
            for name in step.names:
                await store.drop_index(step.collection, name)
        case DropCollection():
            await store.drop_collection(step.name, with_records=step.with_records)
        case _:
            assert_never(step)
