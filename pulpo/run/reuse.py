"""Outputs of earlier runs that stand: of the run that is resumed, or of a cached operation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pulpo.compile.flow import Step
from pulpo.errors import RunError
from pulpo.run.batch import Made
from pulpo.run.codec import Codec, WrongRecordError
from pulpo.run.history import cached_run, get_run, load, output_ids
from pulpo.run.intake import Intake
from pulpo.run.record import RunRecord, State
from pulpo.store.base import Store
from pulpo.store.values import now, record_id


@dataclass(frozen=True, slots=True)
class Reused:
    """The outputs of a step as another run left them; `records` are empty where nothing in the run needs them."""

    run: str
    made: list[Made]
    #: Why it was skipped there, where that is all that there was to do.
    skipped: str | None = None


async def of_resumed(store: Store, earlier: RunRecord, steps: Sequence[Step], changed: Collection[str]) -> dict[str, Reused]:
    """The steps of a flow, given in order, that the earlier run has done; without their records.

    A step is one of them if it completed there (or was reused), has the same entrypoint and outputs, is not `changed`, and
    everything that it waits for is one of them too. So is one that was skipped because nothing came in.
    """
    done = {step.operation: step for step in earlier.steps if step.state in (State.COMPLETED, State.REUSED, State.SKIPPED)}
    outputs = await output_ids(store, earlier)
    reused: dict[str, Reused] = {}
    for step in steps:
        old = done.get(step.operation)
        if (
            old is not None
            and old.entrypoint == step.entrypoint
            and (old.state is State.SKIPPED or len(old.outputs) == len(step.outputs))
            and step.operation not in changed
            and all(name in reused for name in step.after)
        ):
            run = old.reused_from or earlier.id
            if old.state is State.SKIPPED:  # as all that it waits for was done: because nothing came in
                reused[step.operation] = Reused(run, [], skipped=old.error or "skipped")
            else:
                reused[step.operation] = Reused(run, _made(step, outputs[step.operation]))
    return reused


async def still_standing(
    store: Store, steps: Sequence[Step], reused: Mapping[str, Reused], codecs: Mapping[str, Codec]
) -> dict[str, Reused]:
    """Those of the reused steps, given those of the whole flow in order, that needn't be run again for the sake of an updater.

    The store has one version of a record. Where an updater will run and somebody, most likely that updater itself, has stored
    the records since that it takes, they are not what its producer made: the producer is run again, and all that comes after.
    """
    standing = dict(reused)
    while gone := await _moved_on(store, [step for step in steps if step.operation not in standing], standing, codecs):
        for step in steps:
            if step.operation in gone or not gone.isdisjoint(step.after):
                gone.add(step.operation)
                standing.pop(step.operation, None)
    return standing


async def _moved_on(store: Store, running: Sequence[Step], reused: Mapping[str, Reused], codecs: Mapping[str, Codec]) -> set[str]:
    """The reused steps from which an updater that will run takes records that are others by now."""
    taken = {
        (source, argument.model)
        for step in running
        for argument in step.arguments
        if any(output.model == argument.model for output in step.outputs)
        for source in argument.sources
        if source in reused
    }
    return {
        operation
        for operation, model in sorted(taken)
        for made in reused[operation].made
        if made.model == model and await _has_moved_on(store, made, codecs[model], operation)
    }


async def _has_moved_on(store: Store, made: Made, codec: Codec, by: str) -> bool:
    return any(row.operation != by for row in await load(store, codec.collection, made.ids))


def _made(step: Step, outputs: Sequence[list[str]]) -> list[Made]:
    return [Made(output.model, ids) for output, ids in zip(step.outputs, outputs, strict=True)]


async def load_needed(store: Store, steps: Sequence[Step], reused: Mapping[str, Reused], codecs: Mapping[str, Codec]) -> None:
    """Loads the records of those reused steps from which a step that will run takes some.

    Raises:
        RunError: A record is no longer what its model says.
    """
    if not reused:
        return
    running = [step for step in steps if step.operation not in reused]
    wanted = {(source, argument.model) for step in running for argument in step.arguments for source in argument.sources}
    for operation, outputs in reused.items():
        for made in outputs.made:
            if (operation, made.model) in wanted and not await load_made(store, made, codecs[made.model]):
                raise RunError(
                    f"records that {operation} made in run {outputs.run} are gone or no longer what {made.model} says",
                    hint="start a new run instead of resuming",
                )


async def load_made(store: Store, made: Made, codec: Codec, *, by: str | None = None) -> bool:
    """Loads the records of an output that only has ids; False where not all can be.

    With `by`, a record that another operation stored since does not count either.
    """
    rows = await load(store, codec.collection, made.ids)
    if len(rows) != len(made.ids) or (by is not None and any(row.operation != by for row in rows)):
        return False
    try:
        made.records = [codec.load(row.data) for row in rows]
    except WrongRecordError:
        return False
    return True


def cache_key(intake: Intake) -> str:
    """What a cached step's outputs depend on: operation, its function, version, parameters, ids and content of what comes in."""
    step = intake.step
    coming = {
        inlet.argument.name: [
            (maker, list(zip(batch.ids, map(inlet.codec.dump, batch.records), strict=True)))
            for maker, batch in (inlet.given or {}).items()
        ]
        for inlet in intake.inlets
    }
    return record_id(step.operation, step.entrypoint, step.settings.version, dict(intake.parameters), coming)


async def of_cache(store: Store, step: Step, key: str, codecs: Mapping[str, Codec]) -> Reused | None:
    """The outputs of the last completed step with this key that is not older than the cache allows, with their records.

    Records that are gone, or that another operation has changed since, make it None.
    """
    ttl = step.settings.cache_ttl
    since = None if ttl is None else now() - dt.timedelta(seconds=ttl)
    name = await cached_run(store, key, since)
    run = await get_run(store, name) if name else None
    outputs = (await output_ids(store, run, [step.operation])).get(step.operation, []) if run else []
    if run is None or len(outputs) != len(step.outputs):
        return None
    found = _made(step, outputs)
    for made in found:
        if not await load_made(store, made, codecs[made.model], by=step.operation):
            return None
    return Reused(run.id, found)
