"""Running a flow and looking at runs: from the words of a command to the engine, and back."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pulpo.errors import UsageError
from pulpo.names import PIPELINE, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from pulpo.compile.flow import FlowDefinition
    from pulpo.compile.orchestration import OrchestrationCompiler
    from pulpo.manifest.model import Manifest
    from pulpo.run.events import Listener
    from pulpo.run.inputs import InputChoice
    from pulpo.run.record import RunRecord
    from pulpo.settings import Project
    from pulpo.store.base import Store

T = TypeVar("T")
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which part of a flow runs; everything where nothing is said."""

    select: tuple[str, ...] = ()
    from_: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    with_upstream: bool = False

    @property
    def is_part(self) -> bool:
        """Whether anything was chosen."""
        return bool(self.select or self.from_ or self.to or self.only)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to run: `flow` has just the chosen operations, `selection` names them where it is not the whole flow."""

    flow: FlowDefinition
    selection: tuple[str, ...] | None


def chosen(manifest: Manifest, name: str, choice: Choice) -> Request:
    """The flow, or the part of it, that is to run.

    Raises:
        UsageError: There is no such flow or operation, or the choice leaves nothing.
        DiagnosticsError: The data flow does not hold.
    """
    from pulpo.compile.orchestration import OrchestrationCompiler
    from pulpo.graph.select import select

    compiler = OrchestrationCompiler(manifest)
    operations = _operations(compiler, name)
    part = frozenset(operations)
    if choice.is_part:
        tags = {n: tuple(spec.tags or ()) for n, spec in manifest.operations.items()}
        part = select(
            compiler.dataflow, operations, tags, select=choice.select, from_=choice.from_, to=choice.to, only=choice.only
        )  # fmt: skip
    if choice.with_upstream:
        part = part.union(*(compiler.dataflow.upstream(operation) for operation in part))
    whole = part == frozenset(operations)
    return Request(compiler.part(name, part), None if whole else tuple(sorted(part)))


def _operations(compiler: OrchestrationCompiler, name: str) -> tuple[str, ...]:
    operations = compiler.operations_of(name)
    if not operations:
        if name == PIPELINE:
            raise UsageError("the pipeline has no operations", hint="declare some with @operation, then `pulpo lock`")
        known = sorted({*compiler.flow_names(), *compiler.manifest.operations})
        raise UsageError(
            f"there is no flow or operation {name}", hint=did_you_mean(name, known) or "`pulpo flows` lists the flows"
        )
    return operations


def run_flow(
    project: Project,
    name: str | None,
    choice: Choice,
    parameters: Mapping[str, object] | Callable[[FlowDefinition], Mapping[str, object]],
    inputs: Mapping[str, str],
    resume: str | None = None,
    on_event: Listener | None = None,
) -> RunRecord:
    """Run a flow with the inline engine, on the project's embedded store.

    Args:
        project: Whose lock says what runs.
        name: The flow or operation; may be None where a run is resumed.
        choice: The part of it.
        parameters: By name; or a function that makes them, which is given the flow (to read text by its schemas).
        inputs: By model: `@FILE`, `run:ID` or `latest`.
        resume: The run to go on with, by id, the beginning of one, or `latest`.
        on_event: Told of everything that happens.

    Returns:
        The run's record with its steps, whatever its state.

    Raises:
        PulpoError: It can't start as asked.
        KeyboardInterrupt: It was interrupted; that is recorded.
    """
    from pulpo.declare.discover import add_to_path
    from pulpo.manifest.load import load
    from pulpo.run.inline import execute

    manifest = load(project.lock_path, file=project.lock_shown)[0]
    choices = {model: input_choice(text) for model, text in inputs.items()}
    _check_models(choices, manifest)
    add_to_path(project.root)

    async def work(store: Store) -> RunRecord:
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # a supervisor's stop is recorded like Ctrl-C
        earlier = await _find(store, resume) if resume is not None else None
        request = _again(manifest, earlier, name) if earlier else chosen(manifest, name or PIPELINE, choice)
        given = parameters(request.flow) if callable(parameters) else parameters
        return await execute(
            request.flow,
            models=manifest.models,
            store=store,
            parameters=given,
            inputs=choices,
            selection=request.selection,
            resume=earlier.id if earlier else None,
            on_event=on_event,
        )

    return _with_store(project, work)


def _again(manifest: Manifest, earlier: RunRecord, name: str | None) -> Request:
    """What a run that is resumed was to run."""
    if name is not None and name != earlier.flow:
        raise UsageError(f"run {earlier.id} is one of {earlier.flow}, not of {name}")
    from pulpo.compile.orchestration import OrchestrationCompiler

    compiler = OrchestrationCompiler(manifest)
    gone = sorted(set(earlier.selection or ()) - set(manifest.operations))
    if gone:
        raise UsageError(f"run {earlier.id} can't be resumed, the lock no longer has: {', '.join(gone)}")
    operations = earlier.selection or _operations(compiler, earlier.flow)
    return Request(compiler.part(earlier.flow, operations), earlier.selection)


def _check_models(choices: Iterable[str], manifest: Manifest) -> None:
    for model in choices:
        if model not in manifest.models:
            raise UsageError(f"--input: there is no model {model}", hint=did_you_mean(model, manifest.models))


def input_choice(text: str) -> InputChoice:
    """Where the records of a model come from: `@FILE` (JSON, or JSON lines), `run:ID` or `latest`.

    Raises:
        UsageError: It is none of them, or the file can't be read.
    """
    from pulpo.run.inputs import InputChoice

    if text == LATEST:
        return InputChoice("latest")
    if text.startswith("run:"):
        return InputChoice("run", text.removeprefix("run:"))
    if text.startswith("@"):
        return InputChoice("file", text[1:], _read_records(Path(text[1:])))
    raise UsageError(f"--input takes M=@FILE, M=run:ID or M=latest, not: {text}")


def _read_records(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        data = [json.loads(line) for line in text.splitlines() if line.strip()] if path.suffix == ".jsonl" else json.loads(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is not JSON: {error}"
        raise UsageError(f"--input: {path} can't be read: {reason}") from error
    records = data if isinstance(data, list) else [data]
    if not all(isinstance(record, dict) for record in records):
        raise UsageError(f"--input: {path} has to hold an object or a list of objects")
    return records


def parameters_from_text(texts: Iterable[str], flow: FlowDefinition) -> dict[str, object]:
    """`name=value` texts as values: as it stands where the parameter takes a string, else as JSON.

    Raises:
        UsageError: A text is no `name=value`, or a name is given twice.
    """
    schemas = {p.name: p.schema for p in flow.parameters}
    schemas |= {f"{s.operation}.{p.name}": p.schema for s in flow.steps() for p in s.parameters}
    values: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--param takes name=value, not: {text}")
        if name in values:
            raise UsageError(f"--param {name} is given twice")
        schema = schemas.get(name) or next((s for n, s in schemas.items() if n.endswith(f".{name}")), {})
        values[name] = value if _takes_text(schema) else _json_or_text(value)
    return values


def _takes_text(schema: Mapping[str, Any]) -> bool:
    options = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return any(
        "string" in ([option["type"]] if isinstance(option.get("type"), str) else option.get("type", [])) for option in options
    )


def _json_or_text(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value  # the parameter's type says what is wrong with it


def list_runs(project: Project, limit: int) -> list[RunRecord]:
    """The latest runs, newest first; none where there is no store yet."""
    from pulpo.run.history import list_runs

    return _with_store(project, lambda store: list_runs(store, limit=limit)) if project.store_path.exists() else []


def show_run(project: Project, run: str) -> RunRecord:
    """A run with its steps, by id, the beginning of one, or `latest`."""
    if not project.store_path.exists():
        raise UsageError("there are no runs yet", hint="`pulpo run pipeline` makes one")
    return _with_store(project, lambda store: _find(store, run))


async def _find(store: Store, run: str) -> RunRecord:
    from pulpo.run.history import get_run, list_runs, require_run

    if run == LATEST:
        latest = await list_runs(store, limit=1)
        if not latest:
            raise UsageError("there are no runs yet", hint="`pulpo run pipeline` makes one")
        return await require_run(store, latest[0].id)
    if (found := await get_run(store, run)) is not None:
        return found
    begin_so = [r.id for r in await list_runs(store, limit=1_000) if r.id.startswith(run)]
    if len(begin_so) > 1:
        raise UsageError(f"several runs begin with {run}: {', '.join(begin_so[:5])}")
    return await require_run(store, begin_so[0] if begin_so else run)


def _with_store(project: Project, work: Callable[[Store], Awaitable[T]]) -> T:
    from pulpo.store.sqlite import SqliteStore

    async def main() -> T:
        async with SqliteStore(project.store_path) as store:
            return await work(store)

    return asyncio.run(main())
