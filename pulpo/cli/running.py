"""From the words of a command to a run, and back: texts become values, the project's store is opened, a signal is heard."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pulpo.errors import DiagnosticsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from pulpo.compile.flow import FlowDefinition
    from pulpo.manifest.model import Manifest
    from pulpo.run.events import Listener
    from pulpo.run.inputs import InputChoice
    from pulpo.run.logs import LoggedLine
    from pulpo.run.record import RunRecord
    from pulpo.run.start import Engine, Parameters, Part
    from pulpo.settings import Project
    from pulpo.store.base import Store

T = TypeVar("T")

INLINE = "inline"
PREFECT = "prefect"


def run_flow(
    project: Project,
    name: str | None,
    part: Part,
    parameters: Parameters,
    inputs: Mapping[str, str],
    resume: str | None = None,
    on_event: Listener | None = None,
    on_interrupt: Callable[[], None] | None = None,
    engine: str = INLINE,
    talk: Callable[[str], None] | None = None,
) -> RunRecord:
    """Run a flow of a project with its store, on the engine `inline` or `prefect`; see `pulpo.run.start.start`.

    `inputs` are texts: `@FILE`, `run:ID` or `latest`, by model. `on_interrupt` is called when an interrupted run has been
    recorded, before the loop waits for what it can't stop, such as threads of the user's. `talk` is told of waits.

    Raises:
        PulpoError: It can't start as asked.
        KeyboardInterrupt: It was interrupted, or asked to end; that is recorded.
    """
    from pulpo.declare.discover import add_to_path
    from pulpo.manifest.load import load
    from pulpo.run.signals import ended_like_interrupted
    from pulpo.run.start import start
    from pulpo.store.open import project_store

    manifest, document = load(project.lock_path, file=project.lock_shown, environment=project.environment)
    choices = {model: input_choice(text) for model, text in inputs.items()}
    add_to_path(project.root)
    execute = _engine(engine, manifest, project, talk)

    async def work(store: Store) -> RunRecord:
        with ended_like_interrupted():
            return await start(
                manifest, store, name, part,
                parameters=parameters, inputs=choices, resume=resume, on_event=on_event, engine=execute,
            )  # fmt: skip

    try:
        return with_store(project_store(project, manifest, locate=document.locate), work, on_interrupt)
    except DiagnosticsError as error:  # of the data flow, which knows paths but no places
        raise DiagnosticsError([d.located(document.locate) for d in error.diagnostics]) from error


def _engine(name: str, manifest: Manifest, project: Project, talk: Callable[[str], None] | None) -> Engine:
    if name == INLINE:
        from pulpo.run.inline import execute

        return execute
    if name != PREFECT:
        raise UsageError(f"there is no such engine: {name}", hint=f"the engines are {INLINE} and {PREFECT}")
    with importing_prefect():
        from pulpo.run.prefect.launch import PrefectEngine

    return PrefectEngine(manifest, project.cache, environment=project.environment, talk=talk or (lambda _: None)).execute


@contextlib.contextmanager
def importing_prefect() -> Iterator[None]:
    """Within it what needs Prefect is imported.

    Raises:
        UsageError: It, or something that it needs, is not installed, or its settings can't be read.
    """
    # What goes on is told by Pulpo; Prefect's own log goes to its server.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    try:
        # First: it keeps Prefect from reporting anything. Its settings are read when somebody asks for one.
        importlib.import_module("pulpo.run.prefect").has_server()
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"this needs Prefect, of which this is not installed: {error.name}", hint="pip install 'pulpocore[prefect]'"
        ) from error
    except ValueError as error:
        raise UsageError(f"Prefect's settings can't be read: {error}", hint="`prefect config view` shows them") from error


def list_runs(project: Project, limit: int) -> list[RunRecord]:
    """The latest runs, newest first; none where there is no store yet."""
    from pulpo.run.history import list_runs

    store = _store_with_runs(project)
    return with_store(store, lambda opened: list_runs(opened, limit=limit)) if store else []


def show_run(project: Project, run: str) -> RunRecord:
    """A run with its steps, by id, the beginning of one, or `latest`.

    Raises:
        UsageError: There is no such run.
    """
    from pulpo.run.history import NO_RUNS, find_run

    store = _store_with_runs(project)
    if store is None:
        raise UsageError("there are no runs yet", hint=NO_RUNS)
    return with_store(store, lambda opened: find_run(opened, run))


def show_logs(project: Project, run: str, operation: str | None = None, level: str | None = None) -> list[LoggedLine]:
    """What the operations of a run logged; see `CLI.runs_logs`.

    Raises:
        UsageError: There is no such run.
    """
    from pulpo.run.history import NO_RUNS, find_run
    from pulpo.run.logs import LINES, read_logs

    store = _store_with_runs(project)
    if store is None:
        raise UsageError("there are no runs yet", hint=NO_RUNS)

    async def read(opened: Store) -> list[LoggedLine]:
        found = await find_run(opened, run)
        return (await read_logs(opened, found.id, operation=operation, level=level, limit=LINES + 1)).lines

    return with_store(store, read)


def _store_with_runs(project: Project) -> Store | None:
    """The project's store; None where it is the embedded one and its file is not there yet: looking makes no file."""
    from pulpo.manifest.load import load
    from pulpo.store.open import project_store
    from pulpo.store.sqlite import SqliteStore

    if not project.lock_path.exists():  # and so nothing names another store
        store: Store = SqliteStore(project.store_path)
    else:
        manifest, document = load(project.lock_path, file=project.lock_shown, environment=project.environment)
        store = project_store(project, manifest, locate=document.locate)
    return None if isinstance(store, SqliteStore) and not store.path.exists() else store


def with_store(store: Store, work: Callable[[Store], Awaitable[T]], on_interrupt: Callable[[], None] | None = None) -> T:
    """What `work` returns, called with the store, which is open meanwhile, in an event loop of its own.

    `on_interrupt` is called when an interrupted `work` has ended, before the loop waits for what it can't stop.
    """

    async def main() -> T:
        try:
            async with store:
                return await work(store)
        except asyncio.CancelledError:
            if on_interrupt is not None:
                on_interrupt()
            raise

    return asyncio.run(main())


def inputs_from_text(texts: Iterable[str]) -> dict[str, str]:
    """`M=SOURCE` texts by model.

    Raises:
        UsageError: A text is no `M=SOURCE`, or a model is given twice.
    """
    return _pairs(texts, "--input", "M=@FILE, M=run:ID or M=latest")


def input_choice(text: str) -> InputChoice:
    """Where the records of a model come from: `@FILE` (JSON, or JSON lines), `run:ID` or `latest`.

    Raises:
        UsageError: It is none of them, or the file can't be read.
    """
    from pulpo.run.inputs import LATEST, InputChoice

    if text == LATEST.kind:
        return LATEST
    if text.startswith("run:"):
        return InputChoice("run", text.removeprefix("run:"))
    if text.startswith("@"):
        return InputChoice("file", text[1:], _read_records(Path(text[1:])))
    raise UsageError(f"records come from @FILE, run:ID or latest, not from: {text}")


def _read_records(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = _json_lines(text) if path.suffix == ".jsonl" else json.loads(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is not JSON: {error}"
        raise UsageError(f"{path} can't be read: {reason}") from error
    records = data if isinstance(data, list) else [data]
    if not all(isinstance(record, dict) for record in records):
        raise UsageError(f"records are JSON objects, which is not what all are in: {path}")
    return records


def _json_lines(text: str) -> list[Any]:
    records = []
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: a JSON string may hold U+2028
        if line.strip():
            try:
                records.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"line {number} of the file: {error}") from error
    return records


def parameters_from_text(texts: Iterable[str], flow: FlowDefinition) -> dict[str, object]:
    """`name=value` texts as values: as it stands where the parameter takes a string, else as JSON.

    Raises:
        UsageError: A text is no `name=value`, or a name is given twice.
    """
    schemas = {p.name: p.schema for p in flow.parameters}
    schemas |= {f"{s.operation}.{p.name}": p.schema for s in flow.steps() for p in s.parameters}
    values: dict[str, object] = {}
    for name, value in _pairs(texts, "--param", "name=value").items():
        schema = schemas.get(name) or next((s for n, s in schemas.items() if n.endswith(f".{name}")), {})
        values[name] = value if _takes_text(schema) else _json_or_text(value)
    return values


def _pairs(texts: Iterable[str], option: str, form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} takes {form}, not: {text}")
        if name in pairs:
            raise UsageError(f"{option} is given twice for: {name}")
        pairs[name] = value
    return pairs


def _takes_text(schema: Mapping[str, Any]) -> bool:
    options = schema.get("anyOf") or schema.get("oneOf") or [schema]
    types = [option.get("type") for option in options if isinstance(option, dict)]
    return any(kind == "string" or (isinstance(kind, list) and "string" in kind) for kind in types)


def _json_or_text(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value  # the parameter's type says what is wrong with it
