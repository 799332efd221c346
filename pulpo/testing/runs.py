"""Running a flow in a test: on the inline engine, with a store in memory."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pulpo.compile.flow import FlowDefinition
from pulpo.declare.discover import add_to_path
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.manifest.load import load
from pulpo.manifest.model import Manifest, ModelSpec
from pulpo.run.board import Live
from pulpo.run.codec import Codec
from pulpo.run.history import load as load_records
from pulpo.run.history import stored_in
from pulpo.run.inline import carry_out
from pulpo.run.inputs import InputChoice
from pulpo.run.logs import read_logs
from pulpo.run.parameters import assign
from pulpo.run.perform import Result as StepResult
from pulpo.run.plan import Asked, prepare
from pulpo.run.record import RunRecord
from pulpo.run.start import Part, start
from pulpo.run.steps import Steps
from pulpo.settings import NoProjectError, Project, find_project
from pulpo.store.base import Store
from pulpo.store.memory import MemoryStore
from pulpo.testing.fakes import Fake, check_fakes, fake_of, for_tests
from pulpo.testing.naming import model_named, operation_named
from pulpo.testing.previous import store_previous
from pulpo.testing.records import as_data
from pulpo.testing.result import Result

#: Records by model, by its name or class; a record is an instance of the class, or its data.
Records = Mapping[str | type, Sequence[object]]
#: What stands for functions, by operation: a function, an exception to raise, or what is returned.
Fakes = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Request:
    flow: str | Callable[..., Any]
    inputs: Records
    previous: Records
    parameters: Mapping[str, object]
    fakes: Fakes
    part: Part
    project: Project


def run(
    flow: str | Callable[..., Any] = "pipeline",
    *,
    inputs: Records | None = None,
    parameters: Mapping[str, object] | None = None,
    fakes: Fakes | None = None,
    previous: Records | None = None,
    select: Sequence[str] = (),
    with_upstream: bool = False,
    check: bool = True,
    project: str | Path | None = None,
    environment: str | None = None,
) -> Result:
    """Run a flow or an operation as its lock says, with nothing but what the test gives: no server, no file, no earlier runs.

    Works with and without a running event loop; one that runs is blocked meanwhile, which `run_async` does not do. Retries are
    made at once.

    Args:
        flow: The name of a flow or operation, or an operation's function.
        inputs: The records of models that come from outside the flow, by model.
        parameters: Values of the flow's parameters, as for `CLI.run`.
        fakes: What stands for operations: a function, called with those of the operation's arguments that it has; an exception,
            which is raised; or a value, which is returned. By name, or the end of it: `fetch` for `scraping.fetch`.
        previous: What the last successful run is to have stored, for `Previous[M]`.
        select: Only these operations, as for `pulpo run --select`.
        with_upstream: Run what the flow needs from other flows, too.
        check: Raise what an operation raised that failed the run; else see `Result.errors`.
        project: The project's directory; else the nearest above the file that calls, or the current directory.
        environment: The environment whose overlay is merged in.

    Returns:
        How the run went, and what it made.

    Raises:
        UsageError: The run can't start as asked: unknown names, missing parameters or records.
        DiagnosticsError: The lock has problems.
        Exception: What the first operation that failed raised, unless `check` is False.
    """
    found = _project(project, sys._getframe(1).f_code.co_filename, environment)  # noqa: SLF001 - as pulpo.declare.registry does
    part = Part(tuple(select), with_upstream=with_upstream)
    request = _Request(flow, inputs or {}, previous or {}, parameters or {}, fakes or {}, part, found)
    return _without_loop(partial(_run, request, check=check))


def run_async(
    flow: str | Callable[..., Any] = "pipeline",
    *,
    inputs: Records | None = None,
    parameters: Mapping[str, object] | None = None,
    fakes: Fakes | None = None,
    previous: Records | None = None,
    select: Sequence[str] = (),
    with_upstream: bool = False,
    check: bool = True,
    project: str | Path | None = None,
    environment: str | None = None,
) -> Coroutine[Any, Any, Result]:
    """Run a flow as `run` does, on the event loop of the test, to be awaited."""
    found = _project(project, sys._getframe(1).f_code.co_filename, environment)  # noqa: SLF001 - as in `run`
    part = Part(tuple(select), with_upstream=with_upstream)
    return _run(_Request(flow, inputs or {}, previous or {}, parameters or {}, fakes or {}, part, found), check=check)


def _project(directory: str | Path | None, file: str, environment: str | None) -> Project:
    if directory is not None:
        found = find_project(Path(directory))
    else:
        try:
            found = find_project(Path(file).parent, upwards=True) if Path(file).exists() else find_project()
        except NoProjectError:
            found = find_project()
    return dataclasses.replace(found, environment=environment)


def _without_loop(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """What `work` gives in an event loop of its own, in another thread where this one has a loop that runs."""

    def here() -> Result:
        # With a factory the runner leaves the thread's current event loop alone, which is the test framework's business.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            return runner.run(work())

    return _in_thread(here) if _has_loop() else here()


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_thread(work: Callable[[], Result]) -> Result:
    results: list[Result] = []
    errors: list[BaseException] = []
    context = contextvars.copy_context()

    def there() -> None:
        try:
            results.append(context.run(work))
        except BaseException as error:  # noqa: BLE001 - raised again where it belongs
            errors.append(error)

    thread = threading.Thread(target=there, name="pulpo-testing", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


async def _run(request: _Request, *, check: bool) -> Result:
    project = request.project
    manifest, document = load(project.lock_path, file=project.lock_shown, environment=project.environment)
    add_to_path(project.root)
    try:
        async with MemoryStore() as store:
            result = await _carried_out(manifest, store, request)
    except DiagnosticsError as error:  # of the data flow, which knows paths but no places
        raise DiagnosticsError([d.located(document.locate) for d in error.diagnostics]) from error
    if check:
        result.check()
    return result


async def _carried_out(manifest: Manifest, store: Store, request: _Request) -> Result:
    fakes = {(name := operation_named(manifest, given)): fake_of(name, fake) for given, fake in request.fakes.items()}
    inputs = _by_name(manifest, request.inputs)
    await store_previous(store, manifest, _by_name(manifest, request.previous))
    errors: dict[str, BaseException] = {}
    record = await start(
        manifest, store, _flow_name(manifest, request.flow), request.part,
        parameters=request.parameters, inputs={model: InputChoice("file", "the test", rows) for model, rows in inputs.items()},
        engine=partial(_execute, fakes=fakes, errors=errors),
    )  # fmt: skip
    logs = (await read_logs(store, record.id, limit=_LINES)).lines
    in_order = {name: errors[name] for name in record.operations if name in errors}
    return Result(record, in_order, tuple(logs), manifest, await _made(manifest, store, record))


#: More than a run logs.
_LINES = 1_000_000


def _flow_name(manifest: Manifest, flow: str | Callable[..., Any]) -> str:
    """Raises UsageError, which gives what is known, where a model or something else is meant."""
    return flow if isinstance(flow, str) else operation_named(manifest, flow)


def _by_name(manifest: Manifest, records: Records) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for given, rows in records.items():
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Sequence):
            raise UsageError(f"records come as a list, for {given}: {rows!r}")
        model = model_named(manifest, given)
        found[model] = [as_data(model, row) for row in rows]
    return found


async def _execute(
    flow: FlowDefinition,
    *,
    models: Mapping[str, ModelSpec],
    store: Store,
    parameters: Mapping[str, object],
    inputs: Mapping[str, InputChoice],
    selection: tuple[str, ...] | None,
    resume: str | None,
    on_event: None,
    fakes: Mapping[str, Fake],
    errors: dict[str, BaseException],
) -> RunRecord:
    """An engine, as `pulpo.run.inline.execute` is one."""
    del resume
    check_fakes(flow, fakes)
    asked, part = Asked(parameters, inputs), for_tests(flow, fakes, assign(flow, parameters))
    plan = await prepare(part, asked, models=models, store=store, selection=selection, on_event=on_event)
    ready = {name: fakes[name].put_into(step) if name in fakes else step for name, step in plan.ready.items()}
    # Without the files: they are kept for a run that goes on with this one.
    return await carry_out(dataclasses.replace(plan, ready=ready, files={}), store, on_event, partial(_WatchedSteps, errors))


class _WatchedSteps(Steps):
    """Steps of which what they raised is kept."""

    def __init__(self, errors: dict[str, BaseException], *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._errors = errors

    def _conclude(self, live: Live, result: StepResult) -> None:
        if result.error is not None:
            self._errors[live.step.operation] = result.error
        super()._conclude(live, result)


async def _made(manifest: Manifest, store: Store, record: RunRecord) -> dict[tuple[str, str], list[tuple[str, object]]]:
    """Ids and records that each operation of a run put out, by (operation, model)."""
    made: dict[tuple[str, str], list[tuple[str, object]]] = {}
    models = {output.model for name in record.operations for output in manifest.operations[name].outputs}
    for model in sorted(models):
        found = await stored_in(store, record, model)
        codec = Codec(model, manifest.models[model])
        for operation, ids in found.ids.items() if found else ():
            rows = await load_records(store, codec.collection, ids)
            made[operation, model] = [(row.id, codec.load(row.data)) for row in rows]
    return made
