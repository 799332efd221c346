"""`check` on what is said of flows: values for parameters, schedules that need some, settings that need another one."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.compile.given import parameter_problems
from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.lock.check import check, check_manifest
from pulpo.manifest.model import Manifest
from pulpo.settings import Project

NUMBER, TEXT = {"type": "integer"}, {"type": "string"}
SIZE = {
    "$ref": "#/$defs/Size",
    "$defs": {"Size": {"type": "object", "properties": {"width": NUMBER}, "required": ["width"]}},
}
OPERATIONS = {
    "shop.fetch": {
        "entrypoint": "m:fetch",
        "parameters": {
            "keywords": {"schema": TEXT},
            "limit": {"schema": NUMBER, "default": 3},
            "note": {"schema": TEXT, "default": ""},
        },
    },
    "shop.parts.sort": {
        "entrypoint": "m:sort",
        "parameters": {"limit": {"schema": NUMBER, "default": 4}, "size": {"schema": SIZE, "default": None}},
    },
    "tidy": {
        "entrypoint": "m:tidy",
        "parameters": {"days": {"schema": {"anyOf": [NUMBER, {"type": "null"}]}}, "note": {"schema": TEXT, "default": ""}},
    },
}
DATA = {"version": 1, "project": {"name": "p"}, "operations": OPERATIONS}
AT_SIX = {"cron": "0 6 * * *"}


def problems(flows, operations=OPERATIONS):
    manifest = Manifest.model_validate({**copy.deepcopy(DATA), "operations": operations, "flows": flows})
    return [(d.code, ".".join(map(str, d.path)), d.message, d.hint) for d in check_manifest(manifest)]


def codes(flows):
    return [(code, path) for code, path, *_ in problems(flows)]


@pytest.mark.parametrize(
    ("flow", "parameters"),
    [
        ("shop", {"keywords": "x", "fetch.limit": 1, "sort.limit": 2, "note": "n"}),
        ("shop", {"size": {"width": 3}}),
        ("shop.parts", {"limit": 2}),
        ("tidy", {"days": None}),
        ("tidy", {"days": 3.0, "note": "${NOTE}"}),
        ("pipeline", {"fetch.limit": 1, "days": 3, "note": "for both"}),
        ("shop", {"keywords": "${WORD:-x}", "note": "5$$"}),
        ("shop", {"size": {"width": "${WIDTH}"}}),  # nobody knows before it is filled in
        ("tidy", {"days": "${DAYS}"}),
    ],
)
def test_values_that_the_parameters_of_a_flow_take_are_no_problem(flow, parameters):
    assert problems({flow: {"parameters": parameters}}) == []


@pytest.mark.parametrize(
    ("flow", "name", "hint"),
    [
        ("shop", "keyword", "did you mean 'keywords'?"),
        ("shop", "limit", "its operations do not agree on it, say whose: fetch.limit, sort.limit"),
        ("shop.parts", "sort.limit", "did you mean 'limit'?"),
        ("shop.parts", "days", "it has: limit, size"),
        ("tidy", "colour", "it has: days, note"),
    ],
)
def test_a_parameter_that_the_flow_does_not_have_is_told_with_what_is_meant(flow, name, hint):
    assert problems({flow: {"parameters": {name: 1}}}) == [
        ("PLP220", f"flows.{flow}.parameters.{name}", f"the flow has no such parameter: {name}", hint)
    ]


def test_a_flow_without_parameters_says_so():
    assert problems({"a": {"parameters": {"x": 1}}}, {"a.b": {"entrypoint": "m:f"}})[0][3] == "it has none"


@pytest.mark.parametrize(
    ("flow", "name", "value", "message"),
    [
        ("shop", "fetch.limit", "ten", '"ten" is not of type "integer"'),
        ("shop", "keywords", 3, '3 is not of type "string"'),
        ("shop", "size", {"width": "w"}, 'width: "w" is not of type "integer"'),
        ("shop", "size", {}, '"width" is a required property'),
        ("shop", "keywords", ["a"], '["a"] is not of type "string"'),
        ("shop", "fetch.limit", "${LIMIT}", "a reference stands for a text, and the parameter takes none"),
        ("tidy", "days", "x", "\"x\" is not valid under any of the schemas listed in the 'anyOf' keyword"),
    ],
)
def test_a_value_that_the_parameter_does_not_take_is_told(flow, name, value, message):
    (found,) = problems({flow: {"parameters": {name: value}}})
    assert found[:3] == ("PLP220", f"flows.{flow}.parameters.{name}", f"the parameter does not take this value: {message}")


def test_a_schedule_needs_a_value_for_each_parameter_without_a_default():
    missing = [
        (
            "PLP221",
            "flows.pipeline.schedule",
            "the schedule starts the flow without a value for: days, keywords",
            "give it one beside the schedule, parameters: {days: …, keywords: …}, or say paused: true",
        )
    ]
    assert problems({"pipeline": {"schedule": AT_SIX}}) == missing
    assert codes({"pipeline": {"schedule": AT_SIX, "parameters": {"days": None}}}) == [("PLP221", "flows.pipeline.schedule")]
    assert codes({"pipeline": {"schedule": AT_SIX, "parameters": {"days": 1, "keywords": "${K}"}}}) == []
    assert codes({"pipeline": {"schedule": {**AT_SIX, "paused": False}}}) == [("PLP221", "flows.pipeline.schedule")]
    assert codes({"pipeline": {"schedule": {**AT_SIX, "paused": True}}}) == []
    assert codes({"shop.parts": {"schedule": AT_SIX}}) == []


def test_what_a_flow_above_is_given_is_no_value_for_the_flow():
    assert codes({"pipeline": {"parameters": {"keywords": "x"}}, "shop": {"schedule": AT_SIX}}) == [
        ("PLP221", "flows.shop.schedule")
    ]


@pytest.mark.parametrize(
    ("flows", "found"),
    [
        ({"shop": {"collision_strategy": "enqueue"}}, ["flows.shop.collision_strategy"]),
        ({"shop": {"collision_strategy": "enqueue", "concurrency": 1}}, []),
        ({"pipeline": {"concurrency": 1}, "shop": {"collision_strategy": "cancel_new"}}, ["flows.shop.collision_strategy"]),
        ({"shop": {"task_runner_options": {}}}, ["flows.shop.task_runner_options"]),
        ({"shop": {"task_runner_options": {}, "task_runner": "ray"}}, []),
        ({"shop": {"task_runner": "dask"}, "shop.parts": {"task_runner_options": {}}}, []),
        ({"pipeline": {"task_runner": "dask"}, "shop.parts": {"task_runner_options": {}}}, []),
        ({"shop.parts": {"task_runner": "dask"}, "shop": {"task_runner_options": {}}}, ["flows.shop.task_runner_options"]),
    ],
)
def test_a_setting_that_needs_another_one_is_told_where_that_is_not(flows, found):
    assert codes(flows) == [("PLP222", path) for path in found]


def test_a_flow_that_is_not_there_is_told_once():
    assert codes({"shopp": {"parameters": {"x": 1}, "schedule": AT_SIX}}) == [("PLP213", "flows.shopp")]


def test_a_schema_that_is_none_is_told_and_its_values_are_not():
    operations = {"a.b": {"entrypoint": "m:f", "origin": "manifest", "parameters": {"x": {"schema": {"type": "nothing"}}}}}
    assert [code for code, *_ in problems({"a": {"parameters": {"x": 1}}}, operations)] == ["PLP114"]


LOCK = """\
version: 1
project: {name: p}
operations:
  shop.fetch: {entrypoint: "m:fetch", async: false, parameters: {keywords: {schema: {type: string}}}}
flows:
  shop: {schedule: {cron: "0 6 * * *", paused: true}, concurrency: 2}
environments:
  dev:
    flows:
      shop: {tags: [x]}
  prod:
    flows:
      shop: {OVERLAY}
"""


def checked(directory, overlay, environment=None):
    lock = directory / "pulpo.lock.yaml"
    lock.write_text(LOCK.replace("OVERLAY", overlay))
    found = check(Project(directory, environment=environment), code=False)
    return [(d.code, ".".join(map(str, d.path)), d.place.line) for d in found]


@pytest.mark.parametrize(
    ("overlay", "code", "path"),
    [
        ("schedule: {paused: false}", "PLP221", "schedule"),
        ("schedule: {cron: daily}", "PLP218", "schedule.cron"),
        ("schedule: {rrule: DAILY}", "PLP218", "schedule.rrule"),
        ("schedule: {timezone: Berlin}", "PLP219", "schedule.timezone"),
        ("parameters: {keyword: x}", "PLP220", "parameters.keyword"),
        ("parameters: {keywords: 3}", "PLP220", "parameters.keywords"),
        ("task_runner_options: {}", "PLP222", "task_runner_options"),
    ],
)
def test_what_an_environment_breaks_is_told_where_it_says_it(tmp_path, overlay, code, path):
    expected = [(code, f"environments.prod.flows.shop.{path}", 13)]
    assert checked(tmp_path, overlay) == expected
    assert checked(tmp_path, overlay, "prod") == expected
    assert checked(tmp_path, overlay, "dev") == []


def test_what_an_environment_puts_right_is_no_problem_there(tmp_path):
    global_lock = LOCK.replace(", paused: true", ", timezone: Berlin").replace("concurrency: 2", "parameters: {keywords: 3}")
    lock = tmp_path / "pulpo.lock.yaml"
    lock.write_text(global_lock.replace("OVERLAY", "schedule: {timezone: Europe/Berlin}, parameters: {keywords: x}"))
    for environment, expected in ((None, ["PLP219", "PLP220"]), ("dev", ["PLP219", "PLP220"]), ("prod", [])):
        found = check(Project(tmp_path, environment=environment), code=False)
        assert [d.code for d in found] == expected


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_parameters_are_those_of_the_compiled_flows(data):
    """A flow that is given a value for each parameter it has when compiled has no problem, and one with one missing has."""
    schemas = st.sampled_from([({"schema": NUMBER}, 1), ({"schema": TEXT}, "x"), ({"schema": NUMBER, "default": 2}, 3)])
    parameters = st.dictionaries(st.sampled_from("abc"), schemas, max_size=3)
    names = st.lists(st.sampled_from(["x.a", "x.b", "x.y.a", "x.y.b", "z", "w.a"]), min_size=1, unique=True)
    values = {}
    operations = {}
    for name in data.draw(names):
        chosen = data.draw(parameters)
        operations[name] = {"entrypoint": "m:f", "parameters": {key: dict(spec) for key, (spec, _) in chosen.items()}}
        values |= {(name, key): value for key, (_, value) in chosen.items()}
    compiled = OrchestrationCompiler(Manifest.model_validate({**DATA, "operations": operations})).compile()
    flows = {
        flow.name: {"schedule": AT_SIX, "parameters": {p.name: values[p.targets[0]] for p in flow.parameters}}
        for flow in compiled.flows
    }
    whole = Manifest.model_validate({**DATA, "operations": operations, "flows": flows})
    assert list(parameter_problems(whole)) == []
    needed = [(flow.name, p.name) for flow in compiled.flows for p in flow.parameters if p.required]
    for flow, name in needed:
        given_less = {key: value for key, value in flows[flow]["parameters"].items() if key != name}
        less = {**flows, flow: {"schedule": AT_SIX, "parameters": given_less}}
        (problem,) = parameter_problems(Manifest.model_validate({**DATA, "operations": operations, "flows": less}))
        assert (problem.code, problem.path, problem.message.endswith(f": {name}")) == (
            "PLP221",
            ("flows", flow, "schedule"),
            True,
        )
