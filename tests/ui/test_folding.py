"""Which boxes show, and what is drawn between them."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulpo.ui import dot
from pulpo.ui.folding import Arrow, Box, Edge, Graph, Node, View, around, fold, graph_of, matches, unfolded

SEGMENTS = st.sampled_from(["a", "b", "c"])
FLOWS = st.none() | st.lists(SEGMENTS, min_size=1, max_size=4).map(".".join)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Nodes somewhere in nested flows, with edges as they come: cycles, too."""
    flows = draw(st.lists(FLOWS, max_size=25))
    nodes = []
    for i, flow in enumerate(flows):
        kind = draw(st.sampled_from(["operation", "model"]))
        key = f"M{i:02}" if kind == "model" else f"{flow}.o{i:02}" if flow else f"o{i:02}"
        nodes.append(Node(key, kind, key, flow))
    keys = st.sampled_from([node.key for node in nodes]) if nodes else st.nothing()
    edges = draw(st.lists(st.builds(Edge, keys, keys, st.booleans()), max_size=60)) if nodes else []
    return Graph(tuple(sorted(nodes, key=lambda n: n.key)), tuple(edges))


@st.composite
def folded(draw: st.DrawFn) -> tuple[Graph, frozenset[str], View]:
    graph = draw(graphs())
    opened = draw(st.frozensets(st.sampled_from(graph.flows))) if graph.flows else frozenset()
    return graph, opened, fold(graph, opened)


@given(folded())
def test_every_node_is_in_exactly_one_box(seen: tuple[Graph, frozenset[str], View]) -> None:
    graph, _, view = seen
    assert Counter(key for box in view.boxes for key in box.holds) == Counter(node.key for node in graph.nodes)


@given(folded())
def test_a_box_is_a_node_whose_flows_are_all_open_or_the_outermost_closed_flow(seen: tuple[Graph, frozenset[str], View]) -> None:
    graph, opened, view = seen
    for box in view.boxes:
        for node in (graph.by_key[key] for key in box.holds):
            closed = [flow for flow in around(node) if flow not in opened]
            assert (box.kind == "flow") == bool(closed)
            assert box.name == (closed[0] if closed else node.name)
        assert box.operations == sum(graph.by_key[key].kind == "operation" for key in box.holds)


@given(folded())
def test_arrows_are_the_edges_between_boxes_and_no_others(seen: tuple[Graph, frozenset[str], View]) -> None:
    graph, _, view = seen
    box_of = {key: box.key for box in view.boxes for key in box.holds}
    between = {(box_of[edge.source], box_of[edge.target]) for edge in graph.edges}
    assert [(arrow.source, arrow.target) for arrow in view.arrows] == sorted(pair for pair in between if pair[0] != pair[1])
    for arrow in view.arrows:
        of = [edge for edge in graph.edges if (box_of[edge.source], box_of[edge.target]) == (arrow.source, arrow.target)]
        assert arrow.order == all(edge.order for edge in of)


@given(folded())
def test_frames_are_the_flows_that_are_open_to_the_outside_and_hold_what_lies_in_them(
    seen: tuple[Graph, frozenset[str], View],
) -> None:
    graph, opened, view = seen
    frames = [frame.name for frame in view.frames]
    assert frames == [flow for flow in graph.flows if all(part in opened for part in (*around_flow(flow), flow))]
    for thing in (*view.frames, *view.boxes):
        assert thing.flow is None or thing.flow in frames
    assert len({thing.key for thing in (*view.frames, *view.boxes)}) == len(view.frames) + len(view.boxes)


def around_flow(flow: str) -> list[str]:
    parts = flow.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


@given(graphs(), st.integers(0, 30))
def test_by_default_whole_levels_are_open_as_far_as_the_limit_lets_them(graph: Graph, limit: int) -> None:
    opened = unfolded(graph, limit)
    depth = max((flow.count(".") + 1 for flow in opened), default=0)
    assert opened == {flow for flow in graph.flows if flow.count(".") < depth}
    assert len(fold(graph, opened).boxes) <= limit or not opened
    deeper = {flow for flow in graph.flows if flow.count(".") <= depth}
    assert deeper == opened or len(fold(graph, deeper).boxes) > limit


@given(folded())
def test_each_arrow_is_a_line_of_the_text_or_one_of_the_two_heads_of_one(seen: tuple[Graph, frozenset[str], View]) -> None:
    _, _, view = seen
    drawn = set[tuple[str, str]]()
    for source, target, how in re.findall(r'^"(.+)" -> "(.+)" \[(.*)\]$', dot.text(view), re.MULTILINE):
        assert (source, target) not in drawn
        drawn |= {(source, target), *({(target, source)} if "dir=both" in how else ())}
    assert drawn == {(arrow.source, arrow.target) for arrow in view.arrows}


@given(folded())
def test_the_text_has_each_box_once_and_is_the_same_each_time(seen: tuple[Graph, frozenset[str], View]) -> None:
    graph, opened, view = seen
    text = dot.text(view)
    for box in view.boxes:
        assert text.count(f'\n"{box.key}" [') == 1
    assert text.count("subgraph ") == len(view.frames)
    assert text == dot.text(fold(graph, opened))


def test_closed_flows_may_wait_for_each_other() -> None:
    nodes = [Node(name, "operation", name, name[0]) for name in ("a.x", "a.z", "b.y")]
    graph = Graph(tuple(nodes), (Edge("a.x", "b.y"), Edge("b.y", "a.z")))
    view = fold(graph, ())
    assert view.boxes == (Box("a", "flow", "a", None, ("a.x", "a.z"), 2), Box("b", "flow", "b", None, ("b.y",), 1))
    assert view.arrows == (Arrow("a", "b", False), Arrow("b", "a", False))
    assert '"a" -> "b"' in dot.text(view)
    assert '"b" -> "a"' in dot.text(view)


@pytest.mark.parametrize(
    ("operations", "returns"),
    [
        ([("a.x", "", "One"), ("b.y", "One", "Two"), ("a.z", "Two", "")], True),
        ([("c.a.x", "", "One"), ("c.b.y", "One", "Two"), ("c.a.z", "Two", "")], True),
        ([("a.x", "", "One"), ("b.y", "One", "Two"), ("c.z", "Two", "")], False),
        ([("a.x", "", "One"), ("b.y", "One", "One")], False),
        ([("x", "", "One"), ("a.b", "One", "Two"), ("a.b.c", "Two", "")], False),
    ],
)
def test_frames_between_which_it_goes_back_and_forth_do_not_keep_their_boxes_together(
    operations: list[tuple[str, str, str]], returns: bool
) -> None:
    graph = graph_of(said(*operations))
    assert ("newrank=true" in dot.text(fold(graph, graph.flows))) == returns


def said(*operations: tuple[str, str, str], order: tuple[tuple[str, str], ...] = ()) -> dict[str, object]:
    """What the API says of operations, each with the models that it takes and makes."""
    flows = {name.rpartition(".")[0] for name, *_ in operations if "." in name}
    return {
        "flows": [{"name": "pipeline"}, *({"name": flow} for flow in sorted(flows))],
        "nodes": [
            {
                "name": name,
                "flow": name.rpartition(".")[0] or None,
                "inputs": [{"parameter": model.lower(), "model": model, "mode": "each"} for model in takes.split()],
                "outputs": [{"model": model, "many": False} for model in makes.split()],
                "models_in": [],
                "models_out": [],
            }
            for name, takes, makes in operations
        ],
        "edges": [
            {"producer": a, "consumer": b, "model": None, "parameter": None, "kind": "order"} for a, b in order
        ],
    }  # fmt: skip


def test_models_stand_between_those_that_make_and_take_them() -> None:
    graph = graph_of(said(("a.x", "", "Raw"), ("b", "Raw", ""), order=(("a.x", "b"),)), ["Lone"])
    assert graph.nodes == (
        Node("Lone", "model", "Lone", None), Node("Raw", "model", "Raw", "a"), Node("a.x", "operation", "a.x", "a"),
        Node("b", "operation", "b", None),
    )  # fmt: skip
    assert graph.edges == (Edge("Raw", "b"), Edge("a.x", "Raw"), Edge("a.x", "b", order=True))


@pytest.mark.parametrize(
    ("operations", "flow"),
    [
        ([("a.b.x", "", "M"), ("a.c.y", "", "M"), ("d.z", "M", "")], "a"),
        ([("a.x", "", "M"), ("b.y", "", "M")], None),
        ([("a.x", "", "M"), ("b.y", "M", "M")], "a"),
        ([("a.x", "M", "M"), ("b.y", "M", "")], "a"),
        ([("a.b.x", "M", ""), ("a.b.y", "M", "")], "a.b"),
        ([("x", "", "M")], None),
    ],
)
def test_a_model_lies_where_all_lie_that_make_it(operations: list[tuple[str, str, str]], flow: str | None) -> None:
    assert graph_of(said(*operations)).by_key["M"].flow == flow


def test_names_that_several_have_are_told_apart() -> None:
    graph = graph_of(said(("a", "", "b"), ("a.x", "", "a"), ("b", "", "pipeline")))
    assert set(graph.by_key) == {"a", "a.x", "b", "model:a", "model:b", "model:pipeline"}
    assert graph.flow_key("a") == "flow:a"
    assert [graph.key_of(kind, "a") for kind in ("operation", "model", "flow")] == ["a", "model:a", "flow:a"]
    view = fold(graph, ())
    assert {box.key for box in view.boxes} == {"a", "flow:a", "b", "model:b", "model:pipeline"}


def test_an_operation_that_changes_records_has_one_line_with_two_heads() -> None:
    graph = graph_of(said(("fill", "", "M"), ("mend", "M", "M")))
    text = dot.text(fold(graph, ()))
    assert '"M" -> "mend" [dir=both]' in text
    assert '"mend" -> "M"' not in text
    assert '"fill" -> "M" []' in text
    alone = dot.text(fold(graph_of(said(("mend", "M", "M"), ("take", "M", ""))), ()))
    assert '"mend" -> "M" [dir=both]' in alone
    assert '"M" -> "mend"' not in alone


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.fetch", ("a.fetch",)), ("FETCH", ("a.fetch", "b.fetch")), ("etc", ("a.fetch", "b.fetch")), ("raw", ("RawJob",)), ("b", ("b",)),
        ("", ()), ("nothing", ()),
    ],
)  # fmt: skip
def test_a_search_takes_the_nearest_meaning(text: str, found: tuple[str, ...]) -> None:
    graph = graph_of(said(("a.fetch", "", "RawJob"), ("b.fetch", "", "")))
    assert matches(graph, text) == found


def test_nothing_is_a_graph_too() -> None:
    graph = graph_of(said())
    assert (graph, unfolded(graph), fold(graph, ())) == (Graph(), frozenset(), View())
