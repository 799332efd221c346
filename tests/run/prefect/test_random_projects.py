"""Random projects give the same answers inline, as generated flows that are called, and on the engine `prefect`."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, note, settings

from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.graph.dataflow import analyze
from pulpo.manifest.model import Manifest
from pulpo.run.codec import collection_of
from tests.properties.programs import SAMPLE, Program, locked, programs

ROOT = Path(__file__).parents[3]
#: More than the few that every run of the tests has time for: PULPO_EXAMPLES=200.
EXAMPLES = int(os.environ.get("PULPO_EXAMPLES", "0"))
MAX_SIZE = 14 if EXAMPLES else 8
RANDOM = {
    "deadline": None,
    "derandomize": not EXAMPLES,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
}


class Driver:
    """A process that runs flows; see `driver.py`. One that gave no answer is replaced."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._log = log
        self._environment = {**environment, "PYTHONPATH": str(ROOT), "PREFECT_LOGGING_LEVEL": "CRITICAL"}
        self._process: subprocess.Popen[str] | None = None

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).with_name("driver.py"))]
        pipe = subprocess.PIPE
        with self._log.open("w") as said:
            return subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdin=pipe, stdout=pipe, stderr=said, text=True, bufsize=1
            )

    def run(self, directory: Path, way: str, flow: str, parameters: dict[str, object]) -> dict[str, Any]:
        self._process = process = self._process or self._start()
        asked = {"directory": str(directory), "way": way, "flow": flow, "parameters": parameters}
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(asked) + "\n")
        ready, _, _ = select.select([process.stdout], [], [], 120)
        line = process.stdout.readline() if ready else ""
        if not line:
            self.close()
        assert line, f"{way} gave no answer:\n{self._log.read_text()[-5000:]}"
        return json.loads(line)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="module")
def driver(prefect, tmp_path_factory):
    driver = Driver(prefect, tmp_path_factory.mktemp("driver") / "log.txt")
    yield driver
    driver.close()


def stored(directory: Path, manifest: Manifest) -> dict[str, list[tuple[object, ...]]]:
    """The rows of each model without runs and times, and where a model has no key without ids, which tell the run."""
    found = {}
    with closing(sqlite3.connect(directory / "run_cache" / "store.db")) as db:
        there = {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")}
        for model, spec in manifest.models.items():
            table = collection_of(model, spec).name
            if table in there:
                cursor = db.execute(f'select * from "{table}"')
                columns = [column[0] for column in cursor.description]
                left_out = ("run", "created", "updated") if spec.key else ("run", "created", "updated", "id")
                kept = [i for i, column in enumerate(columns) if column not in left_out]
                found[model] = sorted((tuple(row[i] for i in kept) for row in cursor), key=str)
    return found


def answer(found: dict[str, Any]) -> dict[str, Any]:
    """What came of a run, without what is of this very run."""
    run = found["run"]
    if run is None:
        return {"error": found["error"]}
    kept = {k: run[k] for k in ("flow", "state", "parameters", "inputs", "operations", "selection", "error")}
    steps = [{k: v for k, v in step.items() if k not in ("started", "finished")} for step in run["steps"]]
    for step in steps:
        # Which of several that did not complete is named is a matter of luck.
        step["error"] = re.sub(r"^skipped: \S+ did not complete$", "skipped", step["error"] or "")
        step["cache_key"] = bool(step["cache_key"])  # it tells the ids of records, which without a key tell the run
    kept["steps"] = {step["operation"]: step for step in steps}
    text = json.dumps(kept, sort_keys=True).replace(run["id"], "RUN")
    return {"error": found["error"], **json.loads(text)}


def differences(found: Any, expected: Any, where: str = "") -> list[str]:
    """Where two answers differ, and how."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = sorted({*found, *expected}, key=str)
        return [d for k in keys for d in differences(found.get(k), expected.get(k), f"{where}.{k}")]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return [d for i, (a, b) in enumerate(zip(found, expected, strict=True)) for d in differences(a, b, f"{where}[{i}]")]
    return [] if found == expected else [f"{where}: {found!r} instead of {expected!r}"]


def problems_of_order(found: dict[str, Any], manifest: Manifest) -> list[str]:
    """Edges of the data flow whose consumer began before its producer had ended."""
    began: dict[str, int] = {}
    ended: dict[str, int] = {}
    for moment, (what, name) in enumerate(found["events"]):
        if what == "begin":
            began.setdefault(name, moment)
        else:
            ended[name] = moment
    return [
        f"{edge.producer} -> {edge.consumer}"
        for edge in analyze(manifest).edges
        if edge.producer in ended and edge.consumer in began and ended[edge.producer] > began[edge.consumer]
    ]


class Runs:
    """The runs of one random project, each from the same store."""

    def __init__(self, program: Program, driver: Driver, directory: Path) -> None:
        self.directory = program.write(directory)
        self.manifest = locked(directory)
        self.compiler = OrchestrationCompiler(self.manifest)
        self.flow = program.target(tuple(sorted(self.compiler.flow_names())))
        self.driver = driver
        self._values = program.values
        self._before = directory / "before.db"
        if program.again:
            self.run("inline", "pipeline")
            shutil.copy(directory / "run_cache" / "store.db", self._before)

    def run(self, way: str, flow: str | None = None) -> dict[str, Any]:
        flow = flow or self.flow
        self.restore()
        return self.driver.run(self.directory, way, flow, self._values(self.compiler.flow(flow)))

    def restore(self) -> None:
        """The store is as before."""
        for old in self.directory.glob("run_cache/store.db*"):
            old.unlink()
        if self._before.exists():
            shutil.copy(self._before, self.directory / "run_cache" / "store.db")

    def text(self) -> str:
        return "\n".join(path.read_text() for path in sorted((self.directory / "shop").glob("*.py")))


@settings(max_examples=EXAMPLES or 8, **RANDOM)
@given(program=programs(max_size=MAX_SIZE))
def test_a_project_gives_the_same_on_each_engine_and_respects_every_edge(driver, program):
    assume(len(program.entries) > 1)
    with tempfile.TemporaryDirectory() as directory:
        runs = Runs(program, driver, Path(directory))
        note(f"flow {runs.flow}\n{runs.text()}")
        inline = runs.run("inline")
        rows = stored(runs.directory, runs.manifest)
        event(f"inline: {inline['run']['state'] if inline['run'] else 'not begun'}")
        assert problems_of_order(inline, runs.manifest) == []
        for way in ("direct", "prefect"):
            found = runs.run(way)
            note(f"{way}: {found['error']}")
            assert problems_of_order(found, runs.manifest) == []
            assert differences(answer(found), answer(inline), way) == []
            assert differences(stored(runs.directory, runs.manifest), rows, way) == []
            assert sorted(map(str, found["events"])) == sorted(map(str, inline["events"])), way


def independent(manifest: Manifest, chance: int) -> list[str]:
    """Some operations of which none waits for another, at most four."""
    flow = analyze(manifest)
    above = {name: flow.upstream(name) for name in flow.operations}
    chosen: list[str] = []
    for name in sorted(flow.operations, key=lambda name: hash_of(name, chance)):
        if len(chosen) < 4 and all(name not in above[other] and other not in above[name] for other in chosen):
            chosen.append(name)
    return chosen


def hash_of(name: str, chance: int) -> int:
    return zlib.crc32(f"{name} {chance}".encode())


@settings(max_examples=EXAMPLES or 3, **RANDOM)
@given(program=programs(max_size=MAX_SIZE, faults=False, parts=False))
def test_independent_operations_overlap(driver, program):
    """They wait for each other, so that they can only end if they run at the same time."""
    with tempfile.TemporaryDirectory() as directory:
        runs = Runs(program, driver, Path(directory))
        note(runs.text())
        meeting = independent(runs.manifest, program.chance)
        assume(len(meeting) > 1)
        event(f"{len(meeting)} meet")
        (runs.directory / "meeting.json").write_text(json.dumps(meeting))
        for way in ("inline", "prefect"):
            found = runs.run(way)
            assert found["run"], found
            assert (found["run"]["state"], found["run"]["error"]) == ("completed", None), (way, meeting)


def test_a_sample_gives_the_same_when_its_file_is_run(driver, prefect, tmp_path):
    runs = Runs(SAMPLE, driver, tmp_path)
    inline = answer(runs.run("inline"))
    rows = stored(tmp_path, runs.manifest)
    assert rows
    for way in ("direct", "prefect"):
        assert differences(answer(runs.run(way)), inline, way) == []
    runs.restore()
    script = str(tmp_path / "run_cache" / "orchestration" / "pipeline_flow.py")
    subprocess.run([sys.executable, script], env=prefect, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert differences(stored(tmp_path, runs.manifest), rows) == []


#: What once was wrong: an order without data between root flows, and a step behind another flow, were taken for changes of the lock.
BETWEEN_ROOTS = Program({
    "a.x": {"inputs": {}, "outputs": [{"model": "Ma"}]},
    "b.y": {"inputs": {"p0": {"model": "Ma"}}, "outputs": [{"model": "Mb"}]},
    "a.z": {"inputs": {"p0": {"model": "Mb"}}, "outputs": [{"model": "Mc"}]},
    "u": {"inputs": {}, "outputs": []},
    "b.u": {"inputs": {}, "outputs": [], "after": ["u"]},
})  # fmt: skip


@pytest.mark.parametrize("flow", ["pipeline", "a", "b", "u"])
def test_flows_that_wait_for_other_root_flows_run(driver, tmp_path, flow):
    runs = Runs(dataclasses.replace(BETWEEN_ROOTS, again=True), driver, tmp_path)
    inline = runs.run("inline", flow)
    assert inline["run"]["state"] == "completed"
    for way in ("direct", "prefect"):
        found = runs.run(way, flow)
        assert problems_of_order(found, runs.manifest) == []
        assert differences(answer(found), answer(inline), way) == []
