"""Deployments as data: decided from the manifest alone."""

from __future__ import annotations

import dataclasses
import random
import re

import pytest
from ruamel.yaml import YAML

from pulpo.compile.artifacts import Changes, artifacts, write
from pulpo.compile.codegen import PrefectCodeGenerator
from pulpo.compile.deployment import Deployment, Schedule, WorkPool, deployments
from pulpo.compile.parameter_schema import parameter_schema
from pulpo.compile.prefect_yaml import prefect_yaml
from pulpo.errors import UsageError
from pulpo.manifest.model import Manifest
from tests.compile.test_codegen import locked, string
from tests.graph.strategies import operation

TREE = {"a.b.x": operation({}, ("Ma",)), "a.y": operation({}, ("Mb",)), "c.z": operation({}, ("Mc",)), "d": operation({}, ())}


def made(manifest: Manifest, environment: str | None = None) -> dict[str, Deployment]:
    """The deployments by flow."""
    return {d.flow: d for d in deployments(manifest, PrefectCodeGenerator(manifest), environment=environment)}


def tree(**flows) -> dict[str, Deployment]:
    """Those of a project with the settings of flows given; `__` in a name is a dot."""
    return made(locked(TREE, flows={name.replace("__", "."): settings for name, settings in flows.items()}))


def test_every_flow_is_deployed_and_nothing_but_its_name_and_mark_is_said_of_it():
    found = tree()
    assert [*found] == ["a", "a.b", "c", "d", "pipeline"]
    assert found["a.b"] == Deployment(
        flow="a.b",
        name="jobs",
        entrypoint="run_cache/orchestration/a_flow.py:a_b_flow",
        work_pool=WorkPool("jobs-process", "process"),
        tags=("pulpo.project=jobs",),
        parameter_schema={"title": "Parameters", "type": "object", "properties": {}},
        version=found["a.b"].version,
    )
    assert found["d"].entrypoint == "run_cache/orchestration/standalones.py:d_flow"
    assert found["pipeline"].full_name == "pipeline/jobs"


def test_without_operations_there_is_no_deployment_and_no_file_of_them():
    manifest = locked({})
    assert made(manifest) == {}
    assert [a.name for a in artifacts(PrefectCodeGenerator(manifest))] == ["orchestration/graph.mmd"]


DOCKER = {"type": "docker", "job_variables": {"image": "jobs:1"}}


@pytest.mark.parametrize(
    ("flows", "pools"),
    [
        ({"pipeline": DOCKER}, {"a": "docker", "a.b": "docker", "c": "docker", "d": "docker", "pipeline": "docker"}),
        ({"a": DOCKER}, {"a": "docker", "a.b": "docker", "c": "process", "d": "process", "pipeline": "process"}),
        ({"a__b": DOCKER}, {"a": "process", "a.b": "docker", "c": "process", "d": "process", "pipeline": "process"}),
        (
            {"pipeline": DOCKER, "a": {"type": "kubernetes"}, "d": {"type": "process"}},
            {"a": "kubernetes", "a.b": "kubernetes", "c": "docker", "d": "process", "pipeline": "docker"},
        ),
        (
            {"a": {"type": "kubernetes"}, "a__b": {}},
            {"a": "kubernetes", "a.b": "process", "c": "process", "d": "process", "pipeline": "process"},
        ),
    ],
)
def test_the_nearest_flow_that_says_a_work_pool_decides(flows, pools):
    found = tree(**{name: {"work_pool": pool} for name, pool in flows.items()})
    assert {flow: d.work_pool.type for flow, d in found.items()} == pools
    assert all(d.work_pool.name == f"jobs-{d.work_pool.type}" for d in found.values())


def test_a_work_pool_is_taken_whole():
    found = tree(pipeline={"work_pool": {"name": "all", "queue": "q", "directory": "/srv", **DOCKER}}, a={"work_pool": {}})
    assert (found["c"].work_pool.name, found["c"].work_queue, found["c"].directory) == ("all", "q", "/srv")
    assert found["c"].job_variables == {"image": "jobs:1"}
    assert (found["a.b"].work_queue, found["a.b"].directory, found["a.b"].job_variables) == (None, None, {})


def test_in_an_image_the_project_lies_where_prefect_looks_for_it():
    found = tree(a={"work_pool": DOCKER}, c={"work_pool": {"type": "docker"}}, d={"work_pool": {**DOCKER, "directory": "/srv"}})
    assert [found[flow].directory for flow in ("a", "c", "d", "pipeline")] == ["/opt/prefect", None, "/srv", None]


def test_all_other_settings_are_the_flows_own():
    settings = {
        "description": "All.",
        "tags": ["b", "a", "a"],
        "schedule": {"interval": 60, "paused": True},
        "concurrency": 2,
        "collision_strategy": "cancel_new",
    }
    found = tree(a=settings)
    a, inner = found["a"], found["a.b"]
    assert (a.description, a.tags, a.concurrency, a.collision_strategy) == (
        "All.", ("a", "b", "pulpo.project=jobs"), 2, "cancel_new",
    )  # fmt: skip
    assert a.schedule == Schedule(interval=60, timezone="UTC", paused=True)
    assert (inner.description, inner.tags, inner.schedule, inner.concurrency) == (None, ("pulpo.project=jobs",), None, None)


def test_an_environment_names_marks_and_tells_its_deployments():
    flows = {"a": {"work_pool": {"job_variables": {"env": {"A": "b", "PULPO_ENV": "x"}, "stream": True}}}}
    found = made(locked(TREE, flows=flows), "prod")
    assert {d.name for d in found.values()} == {"jobs.prod"}
    assert {d.tags for d in found.values()} == {("pulpo.environment=prod", "pulpo.project=jobs")}
    assert found["a"].job_variables == {"env": {"A": "b", "PULPO_ENV": "prod"}, "stream": True}
    assert found["c"].job_variables == {"env": {"PULPO_ENV": "prod"}}


def parameters(**given) -> dict:
    return {"a.x": operation({}, ("Ma",), parameters=given)}


def schema_of(**given) -> dict:
    return dict(made(locked(parameters(**given)))["a"].parameter_schema)


def test_parameters_are_those_of_the_generated_function():
    both = {
        "a.x": operation({}, ("Ma",), parameters={"n": string("p"), "k": string()}),
        "a.y": operation({}, ("Mb",), parameters={"n": string("q")}),
    }
    found = made(locked(both, flows={"a": {"parameters": {"x.n": "1", "k": "2"}}}))["a"]
    assert found.parameters == {"x_n": "1", "k": "2"}
    assert found.parameter_schema == {
        "title": "Parameters",
        "type": "object",
        "properties": {
            "k": {"type": "string", "title": "k", "position": 0},
            "x_n": {"type": "string", "title": "x_n", "position": 1, "default": "p"},
            "y_n": {"type": "string", "title": "y_n", "position": 2, "default": "q"},
        },
        "required": ["k"],
    }


def test_definitions_stand_once_and_under_names_of_their_own():
    def colored(*values):
        color = {"enum": list(values)}
        box = {"type": "object", "properties": {"color": {"$ref": "#/$defs/Color"}, "$ref": {"type": "string"}}}
        return {"schema": {"$ref": "#/$defs/Box", "$defs": {"Box": box, "Color": color}}, "default": None}

    found = schema_of(one=colored("red"), same=colored("red"), two=colored("blue"))
    assert [found["properties"][name]["$ref"] for name in ("one", "same", "two")] == [
        "#/definitions/Box", "#/definitions/Box", "#/definitions/Box_2",
    ]  # fmt: skip
    assert found["definitions"]["Color"] == {"enum": ["red"]}
    assert found["definitions"]["Color_2"] == {"enum": ["blue"]}
    assert found["definitions"]["Box_2"]["properties"] == {"color": {"$ref": "#/definitions/Color_2"}, "$ref": {"type": "string"}}


@pytest.mark.parametrize(
    ("schema", "leads_to"),
    [
        ({"type": "object", "properties": {"up": {"$ref": "#"}}}, {"tree": {"type": "object", "properties": {"up": 0}}}),
        ({"items": {"$ref": "#/x~1y/1"}, "x/y": [{}, {"type": "null"}]}, {"1": {"type": "null"}}),
        ({"items": {"$ref": "#/$defs/a%20b"}, "$defs": {"a b": {"type": "null"}}}, {"a_20b": {"type": "null"}}),
        ({"items": {"$ref": "#/nowhere"}}, {}),
        ({"items": {"$ref": "https://example.org/schema"}}, {}),
        ({"enum": [{"$ref": "#/data"}]}, {}),
    ],
)
def test_references_lead_somewhere_or_ask_nothing(schema, leads_to):
    found = schema_of(tree={"schema": schema, "default": None})
    text = str(found)
    names = set(re.findall(r"#/definitions/(\w+)", text))
    assert names == set(found.get("definitions", {})) == set(leads_to)
    if leads_to and "tree" not in leads_to:
        assert found["definitions"] == leads_to
    assert ("#/data" in text) is ("enum" in schema)


def shuffled(value, seed: int):
    """The same data with the entries of its mappings in another order."""
    if isinstance(value, dict):
        entries = [(key, shuffled(item, seed)) for key, item in value.items()]
        random.Random(seed).shuffle(entries)
        return dict(entries)
    return [shuffled(item, seed) for item in value] if isinstance(value, list) else value


SETTINGS = {
    "a": {"schedule": {"cron": "0 6 * * *"}, "tags": ["x", "y"], "parameters": {"k": {"p": 1, "q": [2]}}},
    "pipeline": {"work_pool": {"job_variables": {"env": {"A": "1", "B": "2"}, "stream": True}}},
}
SCHEMAS = {
    "k": {
        "schema": {"type": "object", "properties": {"p": {"$ref": "#/$defs/P"}, "q": {}}, "$defs": {"P": {}, "Q": {}}},
        "default": {},
    },
    "n": {"schema": {"type": "integer", "minimum": 1, "maximum": 3}, "default": 1, "description": "How many"},
}


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_entries_changes_nothing(seed):
    data = locked({**parameters(**SCHEMAS), **TREE}, flows=SETTINGS).data()
    # The order of a function's parameters means something.
    fixed = {name: {"parameters": entry["parameters"]} for name, entry in data["operations"].items() if "parameters" in entry}
    other = shuffled(data, seed)
    for name, entry in fixed.items():
        other["operations"][name] |= entry
    texts = [[(a.name, a.text) for a in artifacts(PrefectCodeGenerator(Manifest.model_validate(d)))] for d in (data, other)]
    assert texts[0] == texts[1]


def test_each_change_of_a_flow_is_another_version_of_its_deployment_and_of_no_other():
    before = tree(a={"tags": ["x"]})
    for change in ({"tags": ["y"]}, {"tags": ["x"], "description": "A."}, {"tags": ["x"], "schedule": {"interval": 5}}):
        after = tree(a=change)
        assert {flow for flow in before if before[flow].version != after[flow].version} == {"a"}
    assert all(re.fullmatch(r"[0-9a-f]{12}", d.version) for d in before.values())


def test_versions_are_those_of_the_lock_and_hold_no_trace_of_what_references_stand_for():
    lock = locked(parameters(k=string("x")), flows={"a": {"parameters": {"k": "${SECRET}"}}})
    filled = locked(parameters(k=string("x")), flows={"a": {"parameters": {"k": "hunter2"}}})
    generator = PrefectCodeGenerator(lock)
    written, resolved = deployments(lock, generator)[0], deployments(filled, generator)[0]
    assert (written.parameters, resolved.parameters) == ({"k": "${SECRET}"}, {"k": "hunter2"})
    assert dataclasses.replace(resolved, parameters=written.parameters) == written


def parsed(found: dict[str, Deployment]) -> tuple[str, dict[str, dict]]:
    text = prefect_yaml([*found.values()])
    entries = YAML(typ="safe").load(text)["deployments"]
    return text, dict(zip(found, entries, strict=True))


def test_the_file_says_what_is_set_and_nothing_else():
    found = tree(
        a={"schedule": {"cron": "0 6 * * *"}, "concurrency": 1, "description": "yes"},
        c={
            "concurrency": 3,
            "collision_strategy": "enqueue",
            "work_pool": {"type": "docker", "queue": "no", "directory": "/srv"},
        },
    )
    _, entries = parsed(found)
    common = {"name": "jobs", "tags": ["pulpo.project=jobs"]}
    assert entries["a"] == common | {
        "entrypoint": "run_cache/orchestration/a_flow.py:a_flow",
        "version": found["a"].version,
        "description": "yes",
        "work_pool": {"name": "jobs-process"},
        "schedules": [{"cron": "0 6 * * *", "timezone": "UTC", "slug": "pulpo"}],
        "concurrency_limit": 1,
    }
    assert entries["c"] == common | {
        "entrypoint": "run_cache/orchestration/c_flow.py:c_flow",
        "version": found["c"].version,
        "work_pool": {"name": "jobs-docker", "work_queue_name": "no"},
        "concurrency_limit": {"limit": 3, "collision_strategy": "ENQUEUE"},
        "pull": [{"prefect.deployments.steps.set_working_directory": {"directory": "/srv"}}],
    }


def test_references_are_prefects_and_braces_stay_what_they_are():
    pool = {"name": "${POOL}", "directory": "${BASE}/{{ x }}", "job_variables": {"env": {"A": "$$5 ${A:-b}{{ x }}"}}}
    text, entries = parsed(tree(pipeline={"description": "${NOT} {{{ x }}}", "work_pool": pool}))
    found = entries["pipeline"]
    assert found["description"] == "${NOT} {{{ - }}{{ x }}}"
    assert found["work_pool"]["name"] == "{{ $POOL }}"
    assert found["work_pool"]["job_variables"] == {"env": {"A": "$5 {{ $A }}{{{ - }}{ x }}"}}
    assert found["pull"] == [{"prefect.deployments.steps.set_working_directory": {"directory": "{{ $BASE }}/{{ x }}"}}]
    assert 'prefect work-pool create "$POOL" --type process' in text
    assert '\n#     A  # "b" where the lock\'s default is meant\n#     BASE\n#     POOL\n' in text


def test_what_a_person_writes_can_not_end_a_comment():
    text, _ = parsed(tree(pipeline={"work_pool": {"name": "a\ndeployments: []", "queue": "${A:-b\nc: d}"}}))
    assert all(line.startswith("#") for line in text.partition("\n\n")[0].splitlines())


def test_the_file_is_made_and_removed_and_a_persons_is_left_alone(tmp_path):
    wanted = artifacts(PrefectCodeGenerator(locked(TREE)))
    path = tmp_path / "orchestration" / "prefect.yaml"
    assert "orchestration/prefect.yaml" in write(tmp_path, wanted).written
    assert write(tmp_path, wanted) == Changes((), ())
    without = [artifact for artifact in wanted if artifact.name != "orchestration/prefect.yaml"]
    assert write(tmp_path, without).removed == ("orchestration/prefect.yaml",)
    path.write_text("deployments: []\n")
    assert write(tmp_path, without) == Changes((), ())
    with pytest.raises(UsageError, match="a file that `pulpo compile` did not make is in the way"):
        write(tmp_path, wanted)
    assert path.read_text() == "deployments: []\n"


def test_a_flow_by_itself_has_its_own_schema():
    manifest = locked(parameters(k=string("x")))
    flow = PrefectCodeGenerator(manifest).orchestration.get("a")
    assert flow is not None
    assert parameter_schema(flow) == made(manifest)["a"].parameter_schema
