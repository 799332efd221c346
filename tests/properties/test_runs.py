"""What must hold for a run of any pipeline: every edge is respected, and every operation gets exactly what it should."""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import types
from collections import defaultdict
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from pydantic import BaseModel

from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.diagnostics import errors
from pulpo.graph.dataflow import analyze
from pulpo.graph.resolve import resolve
from pulpo.graph.segments import segments
from pulpo.manifest.model import Manifest, Mode
from pulpo.run.inline import execute
from pulpo.store.sqlite import SqliteStore
from tests.graph.strategies import MODELS, layered


class Made(BaseModel):
    by: str
    call: int
    place: int


CLASSES = {name: type(name, (Made,), {"__module__": "random_pipeline"}) for name in MODELS}


class Pipeline:
    """Functions for the operations of a manifest, and what was seen when they ran."""

    def __init__(self, manifest: Manifest) -> None:
        self.clock = itertools.count()
        self.began: dict[str, list[int]] = defaultdict(list)
        self.ended: dict[str, list[int]] = defaultdict(list)
        self.calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.module = types.ModuleType("random_pipeline")
        vars(self.module).update(CLASSES)
        for number, (name, spec) in enumerate(manifest.operations.items()):
            setattr(self.module, f"f{number}", self.function(name, spec))

    def function(self, name: str, spec: Any) -> Any:
        def work(given: dict[str, Any]) -> Any:
            self.began[name].append(next(self.clock))
            number = len(self.calls[name])
            self.calls[name].append(given)
            places = itertools.count()
            made = [
                [CLASSES[o.model](by=name, call=number, place=next(places)) for _ in range(2 if o.many else 1)]
                for o in spec.outputs
            ]
            values = [records if output.many else records[0] for output, records in zip(spec.outputs, made, strict=True)]
            self.ended[name].append(next(self.clock))
            return None if not values else values[0] if len(values) == 1 else tuple(values)

        async def on_the_loop(**given: Any) -> Any:
            await asyncio.sleep(0)
            return work(given)

        def in_a_thread(**given: Any) -> Any:
            return work(given)

        return on_the_loop if spec.is_async else in_a_thread


def locked(manifest: Manifest) -> Manifest:
    """With functions, alternately sync and async, and nothing required that nobody makes."""
    manifest = manifest.in_order()
    data = resolve(manifest).apply(manifest.data())
    for number, entry in enumerate(data["operations"].values()):
        entry |= {"entrypoint": f"random_pipeline:f{number}", "async": number % 2 == 0, "concurrency": 1}
        for given_ in entry["inputs"].values():
            if not given_.get("from"):
                given_["optional"] = True
    data["models"] = {name: {"entrypoint": f"random_pipeline:{name}"} for name in MODELS}
    manifest = Manifest.model_validate(data)
    assume(not errors([*resolve(manifest).diagnostics, *analyze(manifest).diagnostics]))
    return Manifest.model_validate(segments(analyze(manifest)).apply(manifest.data()))


def run(manifest: Manifest, pipeline: Pipeline) -> Any:
    async def main() -> Any:
        with tempfile.TemporaryDirectory() as directory:
            async with SqliteStore(Path(directory) / "store.db") as store:
                flow = OrchestrationCompiler(manifest).flow("pipeline")
                return await execute(flow, models=manifest.models, store=store)

    sys.modules["random_pipeline"] = pipeline.module
    try:
        return asyncio.run(main())
    finally:
        del sys.modules["random_pipeline"]


def outputs(pipeline: Pipeline, manifest: Manifest, name: str, model: str) -> list[tuple[str, int, int]]:
    """What an operation put out of a model, in order: by output, then by call."""
    found = []
    place = 0
    for output in manifest.operations[name].outputs:
        count = 2 if output.many else 1
        if output.model == model:
            found += [(name, call, place + i) for call in range(len(pipeline.calls[name])) for i in range(count)]
        place += count
    return found


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value if value is None else (value.by, value.call, value.place)


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(layered(max_size=9))
def test_a_run_respects_every_edge_and_gives_every_operation_what_the_lock_says(manifest):
    manifest = locked(manifest)
    pipeline = Pipeline(manifest)
    record = run(manifest, pipeline)
    assert record.state == "completed", record.error
    assert len(record.operations) == len(manifest.operations)
    for edge in analyze(manifest).edges:
        if pipeline.began[edge.consumer] and pipeline.ended[edge.producer]:
            assert max(pipeline.ended[edge.producer]) < min(pipeline.began[edge.consumer]), edge
    for name, spec in manifest.operations.items():
        if not pipeline.calls[name]:
            continue
        for parameter, given_ in spec.inputs.items():
            got = [call[parameter] for call in pipeline.calls[name]]
            by_source = {s: outputs(pipeline, manifest, s, given_.model) for s in given_.sources or ()}
            everything = [record for source in sorted(by_source) for record in by_source[source]]
            match given_.mode:
                case Mode.EACH:
                    assert [plain(value) for value in got] == everything
                case Mode.ALL if by_source:
                    assert all(plain(value) == everything for value in got)
                case Mode.KEYED if by_source:
                    expected = {s: records if given_.many else records[0] for s, records in by_source.items()}
                    assert all({s: plain(v) for s, v in value.items()} == expected for value in got)
                case Mode.ONE if by_source:
                    assert [plain(value) for value in got] == [everything[0]] * len(got)
                case _:
                    assert all(value in (None, [], {}) for value in got)
