import pytest

from pulpo.errors import DiagnosticsError
from pulpo.graph.hierarchy import HierarchyParser, hierarchy
from tests.graph.strategies import codes

NAMES = ["scraping.stepstone.fetch", "scraping.linkedin.fetch", "scraping.merge", "validate"]


def test_a_name_is_taken_apart():
    parsed = HierarchyParser().parse("scraping.stepstone.fetch")
    assert parsed.segments == ("scraping", "stepstone", "fetch")
    assert parsed.parent == "scraping.stepstone"
    assert parsed.level == 3
    assert parsed.flows == ("scraping", "scraping.stepstone")
    assert parsed.step == "fetch"


def test_a_standalone_operation_has_no_parent_and_level_one():
    parser = HierarchyParser(NAMES)
    assert parser.is_standalone("validate")
    assert not parser.is_standalone("scraping.merge")
    assert parser.get_parent("validate") is None
    assert parser.get_level("validate") == 1


def test_a_leaf_has_no_operation_below_it():
    parser = HierarchyParser(NAMES)
    assert parser.is_leaf("scraping.merge")
    assert not parser.is_leaf("scraping.stepstone")
    assert not parser.is_leaf("scraping")


@pytest.mark.parametrize(
    "name", ["Scraping.fetch", "a..b", "", "a.class", "a.b.c.d.e.f.g.h.i", "pipeline", "pipeline.fetch", "a-b"]
)
def test_a_name_that_breaks_the_rules_is_refused(name):
    with pytest.raises(DiagnosticsError) as error:
        HierarchyParser().parse(name)
    assert codes(error.value.diagnostics) == ["PLP102"]


def test_the_tree_nests_flows_and_sorts_everything():
    tree = hierarchy(reversed(NAMES))
    assert tree.root.name == "pipeline"
    assert tree.root.operations == ("validate",)
    assert [flow.name for flow in tree.root.walk()] == ["pipeline", "scraping", "scraping.linkedin", "scraping.stepstone"]
    assert tree.flows["scraping"].operations == ("scraping.merge",)
    assert tree.flows["scraping"].all_operations() == tuple(sorted(NAMES[:3]))
    assert tree.names == {"scraping", "scraping.linkedin", "scraping.stepstone"}
    assert tree.diagnostics == ()


def test_an_operation_with_the_name_of_a_flow_is_reported_with_one_that_makes_the_flow():
    [problem] = hierarchy(["scraping", "scraping.merge", "scraping.fetch"]).diagnostics
    assert problem.code == "PLP207"
    assert problem.path == ("operations", "scraping")
    assert problem.related[0].path == ("operations", "scraping.fetch")
    assert "scraping.run" in problem.hint


def test_a_flow_can_not_take_the_name_of_the_whole_project():
    tree = hierarchy(["pipeline.fetch"])
    assert codes(tree.diagnostics) == ["PLP102"]
