"""What must hold for the generated flows of any project, from its source text on."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pulpo.compile.artifacts import artifacts, write
from pulpo.compile.codegen import PrefectCodeGenerator
from pulpo.lock.check import check
from pulpo.settings import find_project
from tests.compile.test_codegen import ruff, tasks
from tests.properties.programs import SAMPLE, locked, own_modules, programs, resolved

ROOT = Path(__file__).parents[2]
#: More than the few that every run of the tests has time for: PULPO_EXAMPLES=200.
EXAMPLES = int(os.environ.get("PULPO_EXAMPLES", "0"))
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def source(directory: Path) -> str:
    return "\n".join(path.read_text() for path in sorted((directory / "shop").glob("*.py")))


@settings(max_examples=EXAMPLES or 25, deadline=None, suppress_health_check=SLOW)
@given(programs(max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_declarations_changes_neither_the_lock_nor_the_flows(program, order):
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        manifest = locked(program.write(Path(first)))
        note(source(Path(first)))
        locked(program.write(Path(second), order))
        locks = [(Path(directory) / "pulpo.lock.yaml").read_bytes() for directory in (first, second)]
        assert locks[0] == locks[1]
        generators = [PrefectCodeGenerator(one) for one in (manifest, locked(Path(second)))]
        assert artifacts(generators[0]) == artifacts(generators[1])
        cache = Path(first) / "run_cache"
        assert write(cache, artifacts(generators[0])).written
        assert not write(cache, artifacts(PrefectCodeGenerator(manifest)))


@settings(max_examples=EXAMPLES or 25, deadline=None, suppress_health_check=SLOW)
@given(programs(max_size=12))
def test_code_is_locked_as_its_manifest_is_resolved_and_the_lock_is_clean(program):
    with tempfile.TemporaryDirectory() as directory:
        manifest = locked(program.write(Path(directory)))
        note(source(Path(directory)))
        for name, spec in resolved(program).operations.items():
            expected = {p: (given_.mode, given_.sources) for p, given_ in spec.inputs.items()}
            assert {p: (i.mode, i.sources) for p, i in manifest.operations[name].inputs.items()} == expected
        with own_modules():
            found = check(find_project(Path(directory)))
        assert [d for d in found if d.severity.value == "error"] == []


@settings(max_examples=EXAMPLES or 12, deadline=None, derandomize=not EXAMPLES, suppress_health_check=SLOW)
@given(programs(max_size=12))
def test_every_operation_is_in_exactly_one_file_and_every_file_is_clean(program):
    with tempfile.TemporaryDirectory() as directory:
        manifest = locked(program.write(Path(directory)))
        generator = PrefectCodeGenerator(manifest)
        texts = generator.generate_flows()
        assert sorted(name for text in texts.values() for name in tasks(text)) == sorted(manifest.operations)
        for text in texts.values():
            ast.parse(text)
        alone = Path(directory) / "generated"
        write(alone / "run_cache", artifacts(generator))
        assert ruff(alone) == ""


def test_the_flows_of_a_sample_have_strict_types(tmp_path):
    write(tmp_path / "run_cache", artifacts(PrefectCodeGenerator(locked(SAMPLE.write(tmp_path)))))
    command = (sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", "--namespace-packages", "--no-incremental")
    command += ("--follow-imports", "silent", "--cache-dir", str(tmp_path / ".mypy"), "run_cache")
    environment = {**os.environ, "MYPYPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
