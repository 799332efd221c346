"""From the manifest to flows."""

from __future__ import annotations

import pytest

from pulpo.compile.flow import FlowDefinition
from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.compile.parameters import unique_suffixes
from pulpo.graph.dataflow import analyze
from pulpo.graph.resolve import resolve
from pulpo.graph.segments import segments
from pulpo.manifest.model import Manifest


def compiler(**operations) -> OrchestrationCompiler:
    """Of operations given as `name=(inputs, outputs, more)`; `__` in a name is a dot, a model's name with `*` is many."""
    models = set()
    entries = {}
    for name, (inputs, outputs, *more) in operations.items():
        models |= {m.strip("*") for m in [*inputs.values(), *outputs]}
        entries[name.replace("__", ".")] = {
            "entrypoint": "m:f",
            "inputs": {p: {"model": m.strip("*"), **({"mode": "all"} if m.endswith("*") else {})} for p, m in inputs.items()},
            "outputs": [{"model": m.strip("*"), **({"many": True} if m.endswith("*") else {})} for m in outputs],
            **(more[0] if more else {}),
        }
    data = {"version": 1, "project": {"name": "t"}, "models": {m: {} for m in sorted(models)}, "operations": entries}
    manifest = Manifest.model_validate(data).in_order()
    manifest = Manifest.model_validate(resolve(manifest).apply(manifest.data()))
    manifest = Manifest.model_validate(segments(analyze(manifest)).apply(manifest.data()))
    return OrchestrationCompiler(manifest)


def text_parameter(default="python"):
    return {"parameters": {"keywords": {"schema": {"type": "string"}, "default": default}}}


def outline(flow: FlowDefinition) -> list:
    return [[m.name, m.segment, outline(m)] if isinstance(m, FlowDefinition) else m.operation for m in flow.members]


SCRAPING = {
    "scraping__a__fetch": ({}, ["Raw*"]),
    "scraping__b__fetch": ({}, ["Raw*"]),
    "parsing__clean": ({"raw": "Raw"}, ["Clean"]),
    "check": ({"clean": "Clean*"}, []),
}


def test_every_node_of_the_hierarchy_is_a_flow_and_so_is_a_standalone_operation():
    flows = compiler(**SCRAPING).compile().flows
    assert [(f.name, f.standalone, len(f.operations)) for f in flows] == [
        ("check", True, 1), ("parsing", False, 1), ("pipeline", False, 4),
        ("scraping", False, 2), ("scraping.a", False, 1), ("scraping.b", False, 1),
    ]  # fmt: skip


def test_members_nest_and_stand_in_an_order_that_can_run():
    assert outline(compiler(**SCRAPING).flow("pipeline")) == [
        ["scraping", None, [["scraping.a", None, ["scraping.a.fetch"]], ["scraping.b", None, ["scraping.b.fetch"]]]],
        ["parsing", None, ["parsing.clean"]],
        "check",
    ]


def test_a_flow_that_is_re_entered_is_split_into_segments():
    flow = compiler(a__x=({}, ["One"]), b__y=({"o": "One"}, ["Two"]), a__z=({"t": "Two"}, ["Three"])).flow("pipeline")
    assert outline(flow) == [["a", 1, ["a.x"]], ["b", None, ["b.y"]], ["a", 2, ["a.z"]]]
    assert flow.operations == ("a.x", "b.y", "a.z")


def test_inputs_of_a_flow_alone_come_from_outside_and_know_their_producers():
    (step,) = compiler(**SCRAPING).flow("parsing").steps()
    (argument,) = step.arguments
    assert argument.from_outside
    assert argument.producers == ("scraping.a.fetch", "scraping.b.fetch")
    assert step.after == ()


def test_a_part_takes_what_of_its_producers_runs():
    part = compiler(**SCRAPING).part("pipeline", ["scraping.b.fetch", "parsing.clean"])
    clean = next(s for s in part.steps() if s.operation == "parsing.clean")
    assert clean.arguments[0].sources == ("scraping.b.fetch",)
    assert clean.after == ("scraping.b.fetch",)


def test_an_order_holds_also_where_it_goes_through_what_is_left_out():
    compiled = compiler(a__x=({}, []), b__y=({}, [], {"after": ["a.x"]}), c__z=({}, [], {"after": ["b.y"]}))
    steps = {s.operation: s for s in compiled.part("pipeline", ["a.x", "c.z"]).steps()}
    assert steps["c.z"].after == ("a.x",)


def test_where_an_updater_does_not_run_its_own_sources_stand_for_it():
    compiled = compiler(a__make=({}, ["Job*"]), b__update=({"jobs": "Job*"}, ["Job*"]), c__read=({"jobs": "Job*"}, ["Report"]))
    whole = {s.operation: s for s in compiled.flow("pipeline").steps()}
    assert whole["c.read"].arguments[0].sources == ("b.update",)
    part = {s.operation: s for s in compiled.part("pipeline", ["a.make", "c.read"]).steps()}
    assert part["c.read"].arguments[0].sources == ("a.make",)


def test_operations_that_agree_share_a_parameter():
    flow = compiler(a__x=({}, ["One"], text_parameter()), a__y=({}, ["Two"], text_parameter())).flow("a")
    (parameter,) = flow.parameters
    assert (parameter.name, parameter.default, parameter.targets) == (
        "keywords",
        "python",
        (("a.x", "keywords"), ("a.y", "keywords")),
    )


@pytest.mark.parametrize(
    "other", [text_parameter("rust"), {"parameters": {"keywords": {"schema": {"type": "integer"}, "default": "python"}}}]
)
def test_operations_that_differ_have_a_parameter_each_named_by_the_shortest_ending(other):
    flow = compiler(a__x__fetch=({}, ["One"], text_parameter()), a__y__fetch=({}, ["Two"], other)).flow("a")
    assert [p.name for p in flow.parameters] == ["x.fetch.keywords", "y.fetch.keywords"]


def test_a_default_of_true_is_not_a_default_of_one():
    spec = {"parameters": {"n": {"schema": {}, "default": True}}}
    flow = compiler(a__x=({}, ["One"], spec), a__y=({}, ["Two"], {"parameters": {"n": {"schema": {}, "default": 1}}})).flow("a")
    assert [p.name for p in flow.parameters] == ["x.n", "y.n"]


def test_unique_suffixes():
    assert unique_suffixes(["a.b.fetch", "a.c.fetch", "a.load", "fetch"]) == {
        "a.b.fetch": "b.fetch", "a.c.fetch": "c.fetch", "a.load": "load", "fetch": "fetch",
    }  # fmt: skip


def test_functions_of_flows_are_identifiers():
    flow = compiler(a__x=({}, ["One"]), b__y=({"o": "One"}, ["Two"]), a__z=({"t": "Two"}, ["Three"])).flow("pipeline")
    assert [m.function for m in flow.members] == ["a_flow_1", "b_flow", "a_flow_2"]
