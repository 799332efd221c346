import pytest

from pulpo.errors import DiagnosticsError
from pulpo.graph.dataflow import analyze
from pulpo.graph.quotient import Member, quotient
from pulpo.graph.schedule import schedule
from pulpo.graph.segments import segments
from pulpo.manifest.model import Manifest
from tests.graph.strategies import codes, locked, operation


def chain(*names):
    """Operations that run one after the other."""
    return {name: operation({"x": f"M{i}"} if i else {}, f"M{i + 1}") for i, name in enumerate(names)}


def split(operations):
    return segments(analyze(locked(operations)))


def applied(operations, **sections):
    recorded = locked(operations, **sections)
    return Manifest.model_validate(segments(analyze(recorded)).apply(recorded.data()))


def test_a_flow_that_is_never_re_entered_is_not_split():
    found = split(chain("a.x", "a.y", "b.x", "c"))
    assert found.flows == {}
    assert found.diagnostics == ()


def test_a_flow_that_is_re_entered_is_split_and_the_path_told():
    found = split(chain("a.x", "b.y", "a.z"))
    assert found.flows == {"a": (("a.x",), ("a.z",))}
    [problem] = found.diagnostics
    assert (problem.code, problem.severity.value, problem.path) == ("PLP210", "warning", ("flows", "a"))
    assert problem.message.endswith(": a.x → b.y → a.z")
    assert [place.path for place in problem.related] == [("operations", "b.y"), ("operations", "a.z")]


def test_the_path_that_is_told_leaves_the_flow():
    [problem] = split(chain("a.u", "a.v", "a.w", "b.y", "a.z")).diagnostics
    assert problem.message.endswith(": a.w → b.y → a.z")


def test_a_standalone_operation_between_splits_too():
    assert split(chain("a.x", "y", "a.z")).flows == {"a": (("a.x",), ("a.z",))}


def test_as_much_as_can_run_is_in_the_first_part():
    operations = chain("a.x", "b.y", "a.z") | {"a.free": operation(), "a.later": operation(after=["a.z"])}
    assert split(operations).flows == {"a": (("a.free", "a.x"), ("a.later", "a.z"))}


def test_flows_that_only_group_into_a_cycle_are_split_once():
    found = split(chain("a.x", "b.y") | {"b.w": operation(returns="W"), "a.z": operation({"w": "W"})})
    assert found.flows == {"a": (("a.x",), ("a.z",))} or found.flows == {"b": (("b.w",), ("b.y",))}
    assert len(found.diagnostics) == 1
    assert ", " in found.diagnostics[0].message


def test_what_can_be_finished_waits_for_nothing():
    needs = {"b.w": [], "a.x": [], "c.y": ["b.w"], "a.z": ["c.y"]}
    parts = schedule({"a": ["a.x", "a.z"], "b": ["b.w"], "c": ["c.y"]}, needs)
    assert parts == [("b", ("b.w",)), ("c", ("c.y",)), ("a", ("a.x", "a.z"))]


def test_the_order_with_the_fewest_parts_is_found():
    # One step ahead `b` looks as good as `c`, but beginning with it takes four parts.
    needs = {"c.w": [], "b.x": ["c.w"], "c.y": ["b.x"], "b.z": []}
    parts = schedule({"b": ["b.x", "b.z"], "c": ["c.w", "c.y"]}, needs)
    assert parts == [("c", ("c.w",)), ("b", ("b.z", "b.x")), ("c", ("c.y",))]


def test_a_nested_flow_is_split_where_it_is_re_entered():
    found = split(chain("r.a.x", "r.b.y", "r.a.z"))
    assert found.flows == {"r.a": (("r.a.x",), ("r.a.z",))}
    assert found.diagnostics[0].path == ("flows", "r.a")


def test_a_split_goes_through_the_flows_inside():
    found = split(chain("r.a.x", "s.y", "r.a.z"))
    assert found.flows == {"r": (("r.a.x",), ("r.a.z",)), "r.a": (("r.a.x",), ("r.a.z",))}


def test_a_cycle_of_operations_can_not_be_split():
    with pytest.raises(DiagnosticsError) as error:
        split({"a.x": operation({"n": "N"}, "M"), "b.y": operation({"m": "M"}, "N")})
    assert codes(error.value.diagnostics) == ["PLP206"]


def test_segments_are_recorded_and_then_not_stale():
    recorded = applied(chain("a.x", "b.y", "a.z"), flows={"a": {"tags": ["nightly"]}})
    assert recorded.data()["flows"] == {"a": {"tags": ["nightly"], "segments": [["a.x"], ["a.z"]]}}
    assert segments(analyze(recorded)).stale(recorded) == []


def test_segments_that_are_missing_or_over_are_stale():
    unsplit = locked(chain("a.x", "b.y", "a.z"))
    [problem] = segments(analyze(unsplit)).stale(unsplit)
    assert (problem.code, problem.path) == ("PLP301", ("flows", "a", "segments"))
    assert problem.message == "the lock says nothing, now resolves to [[a.x], [a.z]]"
    over = locked(chain("a.x", "a.y"), flows={"a": {"segments": [["a.x"], ["a.y"]]}})
    assert codes(segments(analyze(over)).stale(over)) == ["PLP301"]


def test_a_flow_that_is_split_no_longer_loses_its_segments_and_an_empty_entry():
    flows = {
        "a": {"segments": [["a.x"], ["a.y"]]},
        "b": {"tags": ["t"], "segments": [["b.x"], ["b.y"]]},
        "c": {},
    }
    recorded = locked(chain("a.x", "a.y", "b.x", "b.y", "c.x"), flows=flows)
    assert segments(analyze(recorded)).apply(recorded.data())["flows"] == {"b": {"tags": ["t"]}, "c": {}}
    assert recorded.data()["flows"] == flows


def test_recording_keeps_the_order_of_the_flows():
    recorded = locked(chain("b.x", "c", "b.y", "a.x"), flows={"b": {"segments": [["b.x", "b.y"]]}, "a": {"tags": ["t"]}})
    assert list(segments(analyze(recorded)).apply(recorded.data())["flows"]) == ["b", "a"]


def test_no_flows_section_comes_from_nothing():
    recorded = locked(chain("a.x", "a.y"))
    assert "flows" not in segments(analyze(recorded)).apply(recorded.data())


# The members of a flow


def members(recorded, name):
    flow = analyze(recorded)
    inside = [o for o in flow.operations if name == "pipeline" or o.startswith(f"{name}.")]
    return quotient(recorded, flow, name, inside)


def test_the_members_of_the_pipeline_are_flows_parts_and_standalone_operations_in_order():
    assert members(applied(chain("z.x", "b.y", "z.z", "alone")), "pipeline") == (
        Member("z", ("z.x",), 1),
        Member("b", ("b.y",)),
        Member("z", ("z.z",), 2),
        Member("alone", ("alone",)),
    )


def test_the_members_of_a_flow_are_its_subflows_and_operations():
    found = members(applied(chain("r.a.x", "r.b", "r.a.z", "r.c.d.e")), "r")
    assert [(member.name, member.segment, member.is_operation) for member in found] == [
        ("r.a", 1, False),
        ("r.b", None, True),
        ("r.a", 2, False),
        ("r.c", None, False),
    ]


def test_a_part_of_the_operations_makes_members_of_those_alone():
    recorded = applied(chain("a.x", "b.y", "a.z"))
    assert quotient(recorded, analyze(recorded), "pipeline", ["a.z", "b.y"]) == (Member("b", ("b.y",)), Member("a", ("a.z",), 2))


def test_members_of_a_flow_with_missing_segments_are_refused():
    with pytest.raises(DiagnosticsError) as error:
        members(locked(chain("a.x", "b.y", "a.z", "c.w")), "pipeline")
    assert {problem.path for problem in error.value.diagnostics} == {("flows", "a", "segments"), ("flows", "b", "segments")}
    assert codes(error.value.diagnostics) == ["PLP301", "PLP301"]


def test_members_of_operations_that_wait_for_each_other_are_refused():
    recorded = locked({"a.x": operation({"n": "N"}, "M"), "b.y": operation({"m": "M"}, "N")})
    with pytest.raises(DiagnosticsError, match="PLP206"):
        members(recorded, "pipeline")


def test_members_of_a_flow_with_an_operation_in_no_segment_are_refused():
    recorded = applied(chain("a.x", "b.y", "a.z")).data()
    recorded["operations"]["a.new"] = operation()
    with pytest.raises(DiagnosticsError, match="PLP301"):
        members(Manifest.model_validate(recorded), "pipeline")
