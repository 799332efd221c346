"""From what somebody asked for to a run: which flow, which part of it, and the run that is gone on with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pulpo.compile.flow import FlowDefinition
from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.errors import UsageError
from pulpo.graph.select import select
from pulpo.manifest.model import Manifest
from pulpo.names import PIPELINE, did_you_mean
from pulpo.run.events import Listener
from pulpo.run.history import find_run
from pulpo.run.inline import execute
from pulpo.run.inputs import InputChoice
from pulpo.run.record import RunRecord
from pulpo.store.base import Store

#: Values by name, or a function that makes them, which is given the flow (to read text by its schemas).
Parameters = Mapping[str, object] | Callable[[FlowDefinition], Mapping[str, object]]

#: What runs a flow.
Engine = Callable[..., Awaitable[RunRecord]]


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a flow runs; all of it where nothing is said. Expressions are those of `pulpo.graph.select`."""

    select: tuple[str, ...] = ()
    from_: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    #: Everything that the part needs, too, from whatever flow.
    with_upstream: bool = False

    def __bool__(self) -> bool:
        return bool(self.select or self.from_ or self.to or self.only or self.with_upstream)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to run: `flow` has just the chosen operations, `selection` names them where it is not the whole flow."""

    flow: FlowDefinition
    selection: tuple[str, ...] | None = None


async def start(
    manifest: Manifest,
    store: Store,
    name: str | None,
    part: Part,
    *,
    parameters: Parameters,
    inputs: Mapping[str, InputChoice],
    resume: str | None = None,
    on_event: Listener | None = None,
    engine: Engine = execute,
) -> RunRecord:
    """Run a flow, an operation or a part of a flow; its modules have to be importable.

    Args:
        manifest: Says what there is to run.
        store: Open.
        name: The flow or operation; None for that of the run that is resumed, else the pipeline.
        part: The part of it; of no effect on a run that is resumed.
        parameters: Values of parameters.
        inputs: Where records of models come from.
        resume: The run to go on with, by id, the beginning of one, or `latest`.
        on_event: Told of everything that happens.
        engine: What runs it, called as `pulpo.run.inline.execute` is; that is the default.

    Returns:
        The run's record with its steps, whatever its state.

    Raises:
        UsageError: It can't start as asked.
        DiagnosticsError: The data flow does not hold.
        StoreError: The store can't be used.
        asyncio.CancelledError: The task was cancelled; that is recorded.
    """
    for model in inputs:
        if model not in manifest.models:
            raise UsageError(f"there is no such model: {model}", hint=did_you_mean(model, manifest.models))
    earlier = None if resume is None else await find_run(store, resume)
    request = request_again(manifest, earlier, name) if earlier else request_of(manifest, name or PIPELINE, part)
    return await engine(
        request.flow,
        models=manifest.models,
        store=store,
        parameters=parameters(request.flow) if callable(parameters) else parameters,
        inputs=inputs,
        selection=request.selection,
        resume=earlier.id if earlier else None,
        on_event=on_event,
    )


def request_of(manifest: Manifest, name: str, part: Part) -> Request:
    """The flow, or the part of it, that is to run.

    Raises:
        UsageError: There is no such flow or operation, or the part is empty.
        DiagnosticsError: The data flow does not hold.
    """
    compiler = OrchestrationCompiler(manifest)
    operations = _operations(compiler, name)
    tags = {operation: tuple(spec.tags or ()) for operation, spec in manifest.operations.items()}
    chosen = select(compiler.dataflow, operations, tags, select=part.select, from_=part.from_, to=part.to, only=part.only)
    if part.with_upstream:
        chosen = chosen.union(*(compiler.dataflow.upstream(operation) for operation in chosen))
    whole = chosen == frozenset(operations)
    return Request(compiler.part(name, chosen), None if whole else tuple(sorted(chosen)))


def request_again(manifest: Manifest, earlier: RunRecord, name: str | None = None) -> Request:
    """What a run that is resumed was to run; whether it is one of the flow `name` is the engine's to say.

    Raises:
        UsageError: Operations that it had selected are gone.
        DiagnosticsError: The data flow does not hold.
    """
    compiler = OrchestrationCompiler(manifest)
    gone = sorted(set(earlier.selection or ()) - set(manifest.operations))
    if gone:
        raise UsageError(f"run {earlier.id} can't be resumed, the lock no longer has: {', '.join(gone)}")
    flow = name or earlier.flow
    return Request(compiler.part(flow, earlier.selection or _operations(compiler, flow)), earlier.selection)


def _operations(compiler: OrchestrationCompiler, name: str) -> tuple[str, ...]:
    operations = compiler.operations_of(name)
    if operations:
        return operations
    if name == PIPELINE:
        raise UsageError("the pipeline has no operations", hint="declare some with @operation, then `pulpo lock`")
    known = sorted({*compiler.flow_names(), *compiler.manifest.operations})
    raise UsageError(
        f"there is no such flow or operation: {name}", hint=did_you_mean(name, known) or "`pulpo flows` lists the flows"
    )
