"""Flows printed as Prefect code: what a reader, a linter, a formatter and Python make of them."""

from __future__ import annotations

import ast
import itertools
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from pulpo.compile.artifacts import artifacts, write
from pulpo.compile.codegen import PrefectCodeGenerator, order_only
from pulpo.compile.identifiers import parameter_names
from pulpo.compile.imports import Import, statements
from pulpo.compile.literals import annotation, py
from pulpo.compile.sync_async import SyncAsyncDetector
from pulpo.errors import UsageError
from pulpo.graph.dataflow import analyze
from pulpo.graph.resolve import resolve
from pulpo.graph.segments import segments
from pulpo.lock.check import check_manifest
from pulpo.manifest.load import load
from pulpo.manifest.model import Manifest
from tests.graph.strategies import layered, manifest, operation

ROOT = Path(__file__).parents[2]
RUFF = shutil.which("ruff") or str(Path(sys.executable).with_name("ruff"))
#: What `ruff check --select ALL` says that generated text can't answer, each with the reason.
IGNORED = {
    "A002": "parameters are called as the function has them: `list`, `print`",
    "ANN401": "a parameter whose JSON Schema is not plain is of any type",
    "ARG001": "a subflow whose operations agree takes one value, also where the flow around it has one for each of them",
    "B006": "a default is written as the lock has it; nothing changes it",
    "CPY001": "the licence of a project's code is not ours to say",
    "D103": "what a task does stands in its description, where Prefect shows it",
    "D203": "the other of a pair that can't both hold",
    "D213": "the other of a pair that can't both hold",
    "E501": "a description is one string, and a name one word, however long",
    "E741": "parameters are called as the function has them: `l`",
    "FBT001": "flags are parameters like others; everything is given by name",
    "FBT002": "flags are parameters like others; everything is given by name",
    "INP001": "run_cache is no package",
    "N": "names are the project's own",
    "PLR0913": "an operation has as many parameters as it has",
    "PLR0917": "an operation has as many parameters as it has",
    "RUF001": "descriptions are people's texts",
    "S": "defaults are written as the lock has them, paths and words like `password` too",
}
SETTINGS = ("--isolated", "--line-length", "130", "--no-cache")


def ruff(directory: Path) -> str:
    """What the linter and the formatter find, from the project's own directory as users run them."""
    check = (RUFF, "check", *SETTINGS, "--select", "ALL", "--ignore", ",".join(IGNORED), "--output-format", "concise", ".")
    found = ""
    for command in (check, (RUFF, "format", *SETTINGS, "--diff", ".")):
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=60)
        found += done.stdout + done.stderr if done.returncode else ""
    return found


def written(directory: Path, texts: dict[str, str]) -> Path:
    target = directory / "run_cache" / "orchestration"
    target.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (target / name).write_text(text, encoding="utf-8")
    return directory


def locked(operations: dict, models: dict | None = None, **sections) -> Manifest:
    """A manifest as `pulpo lock` leaves it."""
    data = manifest(operations, **sections).data()
    data["models"] |= models or {}
    return relocked(Manifest.model_validate(data))


def relocked(unresolved: Manifest) -> Manifest:
    resolved = Manifest.model_validate(resolve(unresolved).apply(unresolved.data()))
    return Manifest.model_validate(segments(analyze(resolved)).apply(resolved.data()))


def texts(*arguments, **keywords) -> dict[str, str]:
    return PrefectCodeGenerator(locked(*arguments, **keywords)).generate_flows()


def string(default=None, **more):
    return {"schema": {"type": "string"}, **({} if default is None else {"default": default}), **more}


def tasks(text: str) -> list[str]:
    """The names of the operations that a text defines tasks of."""
    decorators = [d for node in ast.walk(ast.parse(text)) for d in getattr(node, "decorator_list", ())]
    calls = [d for d in decorators if isinstance(d, ast.Call) and d.func.id == "task"]
    return [ast.literal_eval(k.value) for call in calls for k in call.keywords if k.arg == "name"]


@pytest.mark.golden
@pytest.mark.parametrize("name", ["flights", "jobs"])
def test_examples(golden, name):
    found = artifacts(PrefectCodeGenerator(load(ROOT / "examples" / name / "pulpo.lock.yaml")[0]))
    for artifact in found:
        golden(f"{name}/{artifact.name}", artifact.text)
    there = {f"orchestration/{p.name}" for p in (ROOT / "tests" / "golden" / name / "orchestration").iterdir() if p.is_file()}
    assert there == {artifact.name for artifact in found if artifact.name.startswith("orchestration/")}


@pytest.mark.parametrize("name", ["flights", "jobs"])
def test_the_examples_flows_are_clean(name, tmp_path):
    generator = PrefectCodeGenerator(load(ROOT / "examples" / name / "pulpo.lock.yaml")[0])
    assert ruff(written(tmp_path, generator.generate_flows())) == ""


def test_the_flows_of_the_jobs_example_have_strict_types(tmp_path):
    shutil.copytree(ROOT / "examples" / "jobs", tmp_path, ignore=shutil.ignore_patterns("run_cache"), dirs_exist_ok=True)
    write(tmp_path / "run_cache", artifacts(PrefectCodeGenerator(load(tmp_path / "pulpo.lock.yaml")[0])))
    command = (sys.executable, "-m", "mypy", "--strict", "--no-incremental")
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    command += ("--follow-imports", "silent", "--cache-dir", str(tmp_path / ".mypy"), ".")  # as people call it in a project
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


NASTY = [
    "plain",
    'it\'s "quoted"',
    'only "double"',
    "a back\\slash, a {{ brace }} and {% tag %}",
    "two\nlines\r\n\ttab",
    '"""',
    "nul \0 bell \a del \x7f",
    "ümläut — \u2019quote\u2019 \u202e right to left \u00a0 \u2028 \ud800",
    "",
    "long " * 60,
    "%(percent)s %s {field}",
    "# noqa",
]
PARAMETERS = [
    "task",
    "flow",
    "run",
    "print",
    "list",
    "call",
    "step",
    "one",
    "l",
    "State",
    "asyncio",
    "x_task",
    "a_flow",
    "project",
    "fetch",
]
FUNCTIONS = ["fetch", "run", "print", "task", "call", "Fetch", "LOAD", "Group.fetch", "step2", "step10", "step02", "_x", "a_flow"]
MODULES = ["jobs.operations", "jobs.more", "acme.tools", "json", "jobs.operations2", "jobs.operations10"]
SCHEMAS = [
    ({"type": "string"}, "python"),
    ({"type": "string"}, 'say "hi"'),
    ({"type": "integer", "minimum": 1}, 3),
    ({"type": "number"}, 1e20),
    ({"type": "boolean"}, True),
    ({"type": "array", "items": {"type": "string"}}, ["a", "b"]),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, None),
    ({"type": "string"}, None),
    ({"type": "string", "format": "date"}, "2024-01-01"),
    ({"enum": ["x", "y"]}, "x"),
]


@st.composite
def projects(draw) -> Manifest:
    """Operations with names, texts and functions that were not meant to be printed."""
    unresolved = draw(layered(max_size=8))
    data = unresolved.data()
    for entry in data["operations"].values():
        entry["entrypoint"] = f"{draw(st.sampled_from(MODULES))}:{draw(st.sampled_from(FUNCTIONS))}"
        entry["description"] = draw(st.sampled_from(NASTY) | st.text(max_size=20))
        entry["tags"] = draw(st.lists(st.sampled_from(NASTY), max_size=3))
        entry["retries"], entry["timeout"] = draw(st.integers(0, 60)), draw(st.sampled_from([1, 2.5, 1e20]))
        for name in draw(st.lists(st.sampled_from(PARAMETERS), max_size=4, unique=True)):
            schema, default = draw(st.sampled_from(SCHEMAS))
            entry.setdefault("parameters", {})[name] = {"schema": schema} | ({"default": default} if draw(st.booleans()) else {})
    for name in data["models"]:
        if draw(st.booleans()):
            data["models"][name]["entrypoint"] = f"{draw(st.sampled_from(MODULES))}:{draw(st.sampled_from(['Job', 'run', name]))}"
    options = draw(st.dictionaries(st.sampled_from(["address", "n", "not a name", "class"]), st.sampled_from([*NASTY, {"n": 1}])))
    runner = draw(st.sampled_from([{}, {"task_runner": "dask"}, {"task_runner": "ray", "task_runner_options": options}]))
    data["flows"] = {"pipeline": {"description": draw(st.sampled_from(NASTY)), **runner}}
    found = relocked(Manifest.model_validate(data))
    assume(not any(d.severity.value == "error" for d in check_manifest(found)))
    return found


@settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(projects(), st.randoms(use_true_random=False))
def test_any_project_gives_clean_text_that_does_not_depend_on_the_order_of_entries(tmp_path_factory, project, chance):
    found = PrefectCodeGenerator(project).generate_flows()
    assert ruff(written(tmp_path_factory.mktemp("project"), found)) == ""
    assert PrefectCodeGenerator(shuffled(project, chance)).generate_flows() == found


def shuffled(project: Manifest, chance: random.Random) -> Manifest:
    data = project.data()
    for section in ("operations", "models", "flows"):
        entries = list(data.get(section, {}).items())
        chance.shuffle(entries)
        data[section] = dict(entries)
    return Manifest.model_validate(data)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(projects())
def test_every_operation_is_a_task_in_exactly_one_file_and_a_member_of_each_flow_around_it(project):
    found = PrefectCodeGenerator(project).generate_flows()
    defined = [name for text in found.values() for name in tasks(text)]
    assert sorted(defined) == sorted(project.live_operations)
    assert all(scope_problems(text) == [] for text in found.values())


def scope_problems(text: str) -> list[str]:
    """Functions in which a parameter hides a name that the body calls or passes on, and names defined twice."""
    tree = ast.parse(text)
    imports = [a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names]
    functions = [n for n in tree.body if isinstance(n, ast.AsyncFunctionDef)]
    names = imports + [f.name for f in functions]
    problems = [f"{name} twice" for name in set(names) if names.count(name) > 1]
    for function in functions:
        parameters = {a.arg for a in function.args.args}
        for node in ast.walk(function.body[0]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                passed = [node.args[0]] if node.args else []
                used = {n.id for n in [node.func, *passed] if isinstance(n, ast.Name)}
                problems += [f"{function.name} hides {name}" for name in used & parameters]
    return problems


@given(st.text() | st.sampled_from(NASTY) | st.lists(st.text(max_size=3)) | st.floats(allow_nan=False, allow_infinity=False))
@example({"a": [None, True, 1, 1.5]})
def test_a_value_is_printed_on_one_line_and_read_back_equal(value):
    assert ast.literal_eval(py(value)) == value
    assert len(py(value).splitlines()) == 1


def test_large_numbers_are_printed_as_the_formatter_has_them():
    assert (py(1e20), py(1.5e-7)) == ("1e20", "1.5e-07")


def test_imports_are_sorted_by_kind_and_numbers_by_value():
    names = ["step10", "step2", "step02", "Job", "LIMIT"]
    found = statements(Import("m10" if name == "Job" else "m2", name, name) for name in names)
    assert found == ("from m2 import LIMIT, step02, step2, step10", "from m10 import Job")


def test_infinity_is_printed_as_python_reads_it():
    assert (py(float("inf")), py(float("-inf"))) == ('float("inf")', 'float("-inf")')


@pytest.mark.parametrize(
    ("schema", "default", "type_"),
    [
        ({"type": "string"}, "x", "str"),
        ({"type": "string"}, None, "str | None"),
        ({"type": ["integer", "null"]}, None, "int | None"),
        ({"anyOf": [{"type": "null"}, {"type": "number"}]}, 1, "float | None"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 3}, [], "list[str]"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, {}, "dict[str, bool]"),
        ({"type": "string", "format": "date"}, "2024-01-01", "Any"),
        ({"type": "string", "enum": ["a"]}, "a", "Any"),
        ({"type": "array"}, None, "Any"),
        ({}, None, "Any"),
    ],
)
def test_types_of_parameters(schema, default, type_):
    assert annotation(schema, default) == type_


def test_a_function_called_like_its_parameter_has_another_name_here():
    entry = operation({}, "Ma", parameters={"fetch": string("x")}) | {"entrypoint": "jobs.operations:fetch"}
    text = texts({"a.load": entry})["a_flow.py"]
    assert "from jobs.operations import fetch as a_load\n" in text
    assert "return await call(a_load, fetch=fetch)" in text


def test_functions_that_share_a_name_have_those_of_their_operations():
    entries = {f"a.{name}": operation({}, "Ma") | {"entrypoint": f"jobs.{name}:fetch"} for name in ("stepstone", "linkedin")}
    text = texts(entries)["a_flow.py"]
    assert "from jobs.linkedin import fetch as a_linkedin" in text
    assert "from jobs.stepstone import fetch as a_stepstone" in text


def test_a_parameter_called_like_something_of_the_runtime_keeps_its_name():
    parameters = {name: string("x") for name in ("run", "step", "call")}
    text = texts({"a.load": operation({}, "Ma", parameters=parameters) | {"entrypoint": "jobs:load"}})["a_flow.py"]
    assert "from pulpo.run.prefect import run as pulpo_run" in text
    assert 'async def a_flow(call: str = "x", run: str = "x", step: str = "x")' in text
    assert "await pulpo_call(load, " in text
    assert "pulpo_step(a_load_task, " in text


def test_flows_whose_names_differ_in_a_dot_have_functions_of_their_own():
    generator = PrefectCodeGenerator(locked({"r.a.b.x": operation({}, "Ma"), "r.a_b.y": operation({}, "Mb")}))
    assert generator.entrypoint("r.a.b") == "r_flow.py:r_a_b_flow"
    assert generator.entrypoint("r.a_b") == "r_flow.py:r_a_b_flow_2"
    assert "subflow(r_a_b_flow_2)," in generator.generate_flows()["r_flow.py"]


def test_parameters_that_differ_have_names_that_python_takes():
    entries = {
        "a.fetch": operation({}, "Ma", parameters={"limit": string("1")}),
        "a.load": operation({}, "Mb", parameters={"limit": string("2"), "fetch_limit": string("3")}),
    }
    generator = PrefectCodeGenerator(locked(entries))
    flow = generator.orchestration.get("a")
    assert parameter_names(flow) == {"fetch.limit": "fetch_limit_2", "fetch_limit": "fetch_limit", "load.limit": "load_limit"}
    text = generator.generate_flows()["a_flow.py"]
    assert 'async def a_flow(fetch_limit_2: str = "1", fetch_limit: str = "3", load_limit: str = "2") -> State[None]:' in text
    assert "step(a_fetch_task, limit=fetch_limit_2)," in text


def test_parts_of_a_flow_stand_in_its_file_after_the_whole():
    entries = {
        "a.x": operation({}, "Ma"), "b.y": operation({"p": "Ma"}, "Mb"), "a.z": operation({"p": "Mb"}, "Mc"),
    }  # fmt: skip
    generator = PrefectCodeGenerator(locked(entries))
    found = generator.generate_flows()
    assert generator.entrypoint("a") == "a_flow.py:a_flow"
    functions = [line.split("(")[0] for line in found["a_flow.py"].splitlines() if line.startswith("async def ")]
    assert functions == [f"async def {name}" for name in ("a_x_task", "a_z_task", "a_flow", "a_flow_1", "a_flow_2")]
    order = [line.strip() for line in found["pipeline_flow.py"].splitlines() if "subflow(" in line]
    assert order == ["subflow(a_flow_1),", "subflow(b_flow),", "subflow(a_flow_2),"]


def test_an_order_without_data_is_said():
    entries = {"a.x": operation({}, "Ma"), "a.y": operation({}, "Mb", after=["a.x"])}
    generator = PrefectCodeGenerator(locked(entries))
    assert 'step(a_y_task).after("a.x"),' in generator.generate_flows()["a_flow.py"]
    assert [order_only(step) for step in generator.orchestration.get("a").steps()] == [(), ("a.x",)]


def test_an_argument_made_of_parameters_is_made_in_the_flow():
    parameters = {
        "limit": {"schema": {"type": "integer"}, "default": 3, "argument": "options"},
        "word": string("x"),
    }
    entry = operation({}, "Ma", parameters=parameters, parameter_objects={"options": "jobs.options:Options"})
    text = texts({"a.load": entry | {"entrypoint": "jobs:load"}})["a_flow.py"]
    assert "async def a_load_task(word: str, options: Options) -> " in text
    assert "step(a_load_task, word=word, options=Options(limit=limit))," in text


def test_a_flow_that_needs_values_says_so_where_it_is_run_by_itself():
    found = texts(
        {"a.load": operation({}, "Ma", parameters={"word": string()}), "b": operation({}, "Mb"), "c": operation({}, "Mc")}
    )
    text = found["a_flow.py"]
    assert text.startswith('"""Flow `a`: a.load.')
    assert "async def a_flow(word: str) -> State[None]:" in text
    said = "the flow needs values for its parameters: pulpo run a --engine prefect --param word=..."
    assert text.endswith(f'if __name__ == "__main__":\n    sys.exit("{said}")\n')
    assert "import sys\n" in text
    assert "asyncio" not in text
    several = "several flows are in this file, run one of them: pulpo run b --engine prefect"
    assert found["standalones.py"].endswith(f'if __name__ == "__main__":\n    sys.exit("{several}")\n')


def test_what_several_types_have_the_schema_of_is_any_in_a_task():
    schemas = {
        "words": {"type": "array", "items": {"type": "string"}},  # also a tuple's
        "price": {"anyOf": [{"type": "number"}, {"type": "string"}]},  # also a Decimal's
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    }
    parameters = {name: {"schema": schema} for name, schema in schemas.items()}
    text = texts({"a.load": operation({}, "Ma", parameters=parameters)})["a_flow.py"]
    assert "async def a_load_task(words: Any, price: Any, limit: int | None) -> " in text
    assert "async def a_flow(limit: int | None, price: float | str, words: list[str]) -> " in text


def test_a_long_name_of_one_operation_is_counted():
    assert texts({f"a.{'x' * 130}": operation({}, "Ma")})["a_flow.py"].startswith('"""Flow `a`: 1 operation.\n')


@pytest.mark.parametrize(("name", "whose"), [("wait_for", "Prefect"), ("return_state", "Prefect"), ("lambda", "Python")])
def test_a_parameter_that_can_not_be_is_refused(name, whose):
    with pytest.raises(UsageError, match=f"a.load: {whose} keeps this name of a parameter for itself: {name}"):
        texts({"a.load": operation({}, "Ma", parameters={name: string("x")})})


@pytest.mark.parametrize("length", [20, 40, 60, 80, 100, 118, 124, 130, 200])
def test_long_names_are_laid_out_as_the_formatter_does(tmp_path, length):
    """Of all kinds, one after another too long for a line."""
    long = "n" * length
    names = {kind: f"{kind}{long}" for kind in "abcd"}
    entries = {
        f"r.{names['a']}": operation({}, ("Ma", "list[Mb]"), parameters={names["a"]: string("x"), names["b"]: string("y")})
        | {"entrypoint": f"{names['c']}.m:{names['d']}", "tags": [long, long]},
        f"r.{names['b']}": operation({names["c"]: "list[Ma]", names["d"]: "Mb"}, (), after=[f"r.{names['a']}"])
        | {"entrypoint": f"{names['c']}.m:{names['a']}"},
        f"r.s.{names['c']}": operation({}, ("Mc", "Md"), after=[f"r.{names['a']}", f"r.{names['b']}"])
        | {"entrypoint": f"{names['c']}.k:{names['a']}"},
    }
    models = {name: {"entrypoint": f"{names['c']}.m:M{long}{name}"} for name in ("Ma", "Mb", "Mc", "Md")}
    found = texts(entries, models)
    assert ruff(written(tmp_path, found)) == ""


def test_a_task_runner_stands_on_every_flow_that_it_holds_for():
    """Prefect's flows inherit none."""
    data = locked({"a.b.x": operation({}, "Ma"), "a.y": operation({}, "Mb"), "c.z": operation({}, "Mc")}).data()
    data["flows"] = {
        "a": {"task_runner": "dask", "task_runner_options": {"address": "${DASK}"}},
        "a.b": {"task_runner_options": {"cluster_kwargs": {"n_workers": 2}}},
    }
    found = PrefectCodeGenerator(Manifest.model_validate(data)).generate_flows()
    assert '@flow(\n    name="a",\n    task_runner=dask(address="${DASK}"),\n)' in found["a_flow.py"]
    assert '@flow(\n    name="a.b",\n    task_runner=dask(cluster_kwargs={"n_workers": 2}),\n)' in found["a_flow.py"]
    assert '@flow(name="c")' in found["c_flow.py"]
    assert '@flow(name="pipeline")' in found["pipeline_flow.py"]


def test_nothing_to_do_gives_no_flow():
    assert texts({}) == {}


def test_a_flow_and_a_task_by_themselves_are_as_in_their_file():
    generator = PrefectCodeGenerator(load(ROOT / "examples" / "jobs" / "pulpo.lock.yaml")[0])
    text = generator.generate_flows()["scraping_flow.py"]
    flow = generator.orchestration.get("scraping")
    assert flow is not None
    for part in itertools.chain([generator.generate_flow(flow)], map(generator.generate_task, flow.steps())):
        assert f"\n\n\n{part}" in text


async def test_sync_functions_are_wrapped_and_async_ones_are_not():
    project, _ = load(ROOT / "examples" / "jobs" / "pulpo.lock.yaml")
    detector = SyncAsyncDetector(project)

    async def already() -> int:
        return 1

    def plain(number: int) -> int:
        return number

    fetch, clean = project.operations["scraping.linkedin.fetch"], project.operations["parsing.clean"]
    assert (fetch.is_async, clean.is_async) == (detector.is_async(fetch), detector.is_async(clean.entrypoint))
    assert detector.wrap_if_sync(already, is_async=True) is already
    assert await detector.wrap_if_sync(plain, is_async=False)(2) == 2
    one_sync = next(spec for spec in project.operations.values() if not spec.is_async)
    assert await detector.detect_and_wrap(one_sync, plain)(3) == 3
    with pytest.raises(UsageError, match=r"no operation has the entrypoint: jobs\.operations:cleam"):
        detector.is_async("jobs.operations:cleam")
