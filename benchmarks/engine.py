"""What the inline engine costs: 1,000 trivial async operations, each making one keyed record, against a bare asyncio loop.

Every figure is the median of whole processes, the variants interleaved round by round: microseconds an operation, and what
the engine adds to the bare loop. `python benchmarks/engine.py [ROUNDS]`
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel

from pulpo.compile.flow import Argument, FlowDefinition, Output, Step
from pulpo.manifest.model import Mode, ModelSpec

OPERATIONS = 1_000
SHAPES = ("independent", "chain")
VARIANTS = ("asyncio", "engine, nothing stored", "engine, embedded store")


class Item(BaseModel):
    number: int
    name: str


NUMBERS = iter(range(10**9))


async def make() -> Item:
    number = next(NUMBERS)
    return Item(number=number, name=f"item {number}")


async def follow(item: Item) -> Item:
    return Item(number=item.number + 1, name=item.name)


MODELS = {"Item": ModelSpec.model_validate({"entrypoint": "__main__:Item", "key": ["number"], "collection": "items"})}


def flow(shape: str) -> FlowDefinition:
    names = [f"bench.step_{i:04}" for i in range(OPERATIONS)]
    steps = []
    for i, name in enumerate(names):
        before = (names[i - 1],) if shape == "chain" and i else ()
        arguments = (Argument("item", "Item", Mode.ONE, before, before),) if before else ()
        entrypoint = "__main__:follow" if before else "__main__:make"
        steps.append(Step(name, entrypoint, is_async=True, arguments=arguments, outputs=(Output("Item"),), after=before))
    return FlowDefinition("bench", tuple(steps), operations=tuple(names), dependencies={s.operation: s.after for s in steps})


async def bare(shape: str) -> float:
    began = time.perf_counter()
    if shape == "chain":
        item = await make()
        for _ in range(OPERATIONS - 1):
            item = await follow(item)
    else:
        await asyncio.gather(*(make() for _ in range(OPERATIONS)))
    return time.perf_counter() - began


class Nowhere:
    """A store that keeps nothing."""

    async def upsert_many(self, _: object, records: list[object]) -> object:
        from pulpo.store.base import Written

        return Written(inserted=len(records))


async def engine(shape: str, *, stored: bool) -> float:
    from pulpo.run.inline import execute
    from pulpo.store.sqlite import SqliteStore

    definition = flow(shape)
    with tempfile.TemporaryDirectory() as folder:
        if not stored:
            began = time.perf_counter()
            run = await execute(definition, models=MODELS, store=Nowhere())  # type: ignore[arg-type]
            assert run.ok, run.error
            return time.perf_counter() - began
        async with SqliteStore(Path(folder) / "store.db") as store:
            began = time.perf_counter()
            run = await execute(definition, models=MODELS, store=store)
            assert run.ok, run.error
            return time.perf_counter() - began


def once(shape: str, variant: str) -> float:
    if variant == "asyncio":
        return asyncio.run(bare(shape))
    return asyncio.run(engine(shape, stored=variant.endswith("embedded store")))


def main(rounds: int) -> None:
    print(f"{OPERATIONS} async operations, µs an operation, median of {rounds} processes each (what is added to asyncio)")
    for shape in SHAPES:
        seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for _ in range(rounds):
            for variant in VARIANTS:
                output = subprocess.run([sys.executable, __file__, shape, variant], check=True, capture_output=True, text=True)
                seconds[variant].append(json.loads(output.stdout))
        base = statistics.median(seconds["asyncio"])
        for variant in VARIANTS:
            median = statistics.median(seconds[variant])
            added = (median - base) / OPERATIONS * 1e6
            print(f"{shape:12} {variant:24} {median / OPERATIONS * 1e6:8.1f}   +{added:.1f}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(once(sys.argv[1], sys.argv[2])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) == 2 else 7)
