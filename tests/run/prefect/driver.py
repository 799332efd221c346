"""A process that runs flows of projects, one after the other: it is told of each on a line of JSON, and answers on one."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from pulpo.compile.artifacts import artifacts, write
from pulpo.compile.codegen import PrefectCodeGenerator
from pulpo.compile.identifiers import parameter_names
from pulpo.declare.discover import add_to_path
from pulpo.errors import PulpoError
from pulpo.manifest.load import load
from pulpo.run.history import find_run
from pulpo.run.inline import execute
from pulpo.run.start import Part, start
from pulpo.settings import find_project
from pulpo.store.sqlite import SqliteStore
from tests.properties.programs import own_modules


async def run(directory: Path, way: str, flow: str, parameters: dict[str, object]) -> dict[str, Any]:
    """Runs a flow of the project: `inline`, on `prefect`, or by calling its function (`direct`)."""
    project = find_project(directory)
    project.cache.mkdir(exist_ok=True)
    (directory / "events.txt").write_text("")
    add_to_path(directory)
    error = None
    async with SqliteStore(project.store_path) as store:
        try:
            before = (await find_run(store, "latest")).id
        except PulpoError:
            before = ""
        try:
            if way == "direct":
                await _call(project, flow, parameters)
            else:
                manifest, _ = load(project.lock_path)
                engine = execute
                if way == "prefect":
                    from pulpo.run.prefect.launch import PrefectEngine

                    engine = PrefectEngine(manifest, project.cache).execute
                await start(manifest, store, flow, Part(), parameters=parameters, inputs={}, engine=engine)
        except PulpoError as problem:
            error = f"{type(problem).__name__}: {problem}"
        try:
            record = await find_run(store, "latest")
        except PulpoError:
            record = None
        found = None if record is None or record.id == before else dataclasses.asdict(record)
    events = [line.split() for line in (directory / "events.txt").read_text().splitlines()]
    return {"error": error, "run": found, "events": events}


async def _call(project: Any, flow: str, parameters: dict[str, object]) -> None:
    manifest, _ = load(project.lock_path)
    generator = PrefectCodeGenerator(manifest)
    write(project.cache, artifacts(generator))
    names = parameter_names(generator.compiler.flow(flow))
    file, _, function = generator.entrypoint(flow).partition(":")
    module = importlib.import_module(f"run_cache.orchestration.{file.removesuffix('.py')}")
    state = await getattr(module, function)(return_state=True, **{names[n]: value for n, value in parameters.items()})
    if isinstance(await state.result(raise_on_failure=False), PulpoError):
        await state.result()  # raises what kept it from starting


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints, answers stay apart
    for line in sys.stdin:
        asked = json.loads(line)
        os.chdir(asked["directory"])
        with own_modules():
            found = asyncio.run(run(Path(asked["directory"]), asked["way"], asked["flow"], asked["parameters"]))
        answers.write(json.dumps(found, default=str) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
