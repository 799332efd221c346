"""What must hold for any manifest."""

import random
from itertools import pairwise

import networkx as nx
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pulpo.graph.dataflow import analyze
from pulpo.graph.hierarchy import hierarchy
from pulpo.graph.quotient import edges_between, group_by_child, quotient
from pulpo.graph.resolve import resolve
from pulpo.graph.roles import returns, value_inputs
from pulpo.graph.segments import segments
from pulpo.manifest.model import Manifest
from tests.graph.strategies import MODELS, codes, layered, manifests

slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def lock(manifest):
    """The manifest as `pulpo lock` leaves it."""
    resolved = Manifest.model_validate(resolve(manifest).apply(manifest.data()))
    flow = analyze(resolved)
    if "PLP206" in codes(flow.diagnostics):
        return resolved
    return Manifest.model_validate(segments(flow).apply(resolved.data()))


def graph_of(flow):
    graph = nx.DiGraph((edge.producer, edge.consumer) for edge in flow.edges)
    graph.add_nodes_from(flow.operations)
    return graph


def without_name_clashes(manifest):
    assume("PLP207" not in codes(hierarchy(manifest.operations).diagnostics))
    return manifest


@slow
@given(manifests())
def test_what_is_locked_is_not_stale(manifest):
    locked = lock(manifest)
    assert resolve(locked).stale(locked) == []
    flow = analyze(locked)
    if "PLP206" not in codes(flow.diagnostics):
        assert segments(flow).stale(locked) == []
    assert lock(locked) == locked


@slow
@given(manifests(), st.randoms(use_true_random=False))
def test_the_order_of_the_manifest_orders_updaters_and_nothing_else(manifest, chance):
    several = {model for model in MODELS if sum(1 for spec in manifest.operations.values() if touches_twice(spec, model)) > 1}
    assume(not several)
    data = manifest.data()
    names = list(data["operations"])
    random.Random(chance.random()).shuffle(names)
    shuffled = Manifest.model_validate({**data, "operations": {name: data["operations"][name] for name in names}})
    assert resolve(shuffled).inputs == resolve(manifest).inputs
    assert resolve(shuffled).diagnostics == resolve(manifest).diagnostics
    assert analyze(lock(shuffled)) == analyze(lock(manifest))


def touches_twice(spec, model):
    takes = value_inputs(spec, model) or model in (spec.models_in or ())
    return takes and (returns(spec, model) or model in (spec.models_out or ()))


@slow
@given(manifests())
def test_an_order_respects_every_edge_or_a_real_cycle_is_told(manifest):
    flow = analyze(lock(manifest))
    graph = graph_of(flow)
    problems = [problem for problem in flow.diagnostics if problem.code == "PLP206"]
    if nx.is_directed_acyclic_graph(graph):
        assert problems == []
        place = {name: index for index, name in enumerate(flow.order())}
        assert sorted(place) == list(flow.operations)
        assert all(place[edge.producer] < place[edge.consumer] for edge in flow.edges)
        level = {name: index for index, names in enumerate(flow.levels()) for name in names}
        assert all(level[edge.producer] < level[edge.consumer] for edge in flow.edges)
        return
    knots = [knot for knot in nx.strongly_connected_components(graph) if nx.number_of_edges(graph.subgraph(knot))]
    assert len(problems) == len(knots)
    for problem in problems:
        cycle = problem.message.partition(": ")[2].split(" → ")
        assert cycle[0] == cycle[-1]
        assert all(graph.has_edge(*pair) for pair in pairwise(cycle))
        knot = next(knot for knot in knots if cycle[0] in knot)
        assert len(cycle) - 1 == min(map(len, nx.simple_cycles(graph.subgraph(knot))))
        assert len(problem.related) == len(cycle) - 1


@slow
@given(layered())
def test_updaters_make_no_cycle_where_the_models_make_none(manifest):
    assert "PLP206" not in codes(analyze(lock(manifest)).diagnostics)


@slow
@given(st.one_of(layered(), manifests()))
def test_two_updaters_of_one_model_never_run_at_once(manifest):
    flow = analyze(lock(manifest))
    for model in MODELS:
        updaters = [name for name, spec in manifest.operations.items() if touches_twice(spec, model)]
        for first in updaters:
            assert all(second in flow.upstream(first) | flow.downstream(first) for second in updaters if second != first)


@slow
@given(layered())
def test_every_producer_runs_before_every_consumer_that_takes_all(manifest):
    flow = analyze(lock(manifest))
    for model in MODELS:
        makers = [name for name, spec in manifest.operations.items() if returns(spec, model) or model in (spec.models_out or ())]
        for name, spec in manifest.operations.items():
            reads = model in (spec.models_in or ()) or any(given.mode == "all" for _, given in value_inputs(spec, model))
            mismatched = len([1 for _, given in value_inputs(spec, model) if given.mode == "all"]) > 1
            if reads and not mismatched and not touches_twice(spec, model):
                assert set(makers) <= flow.upstream(name)


@slow
@given(layered(max_size=20))
def test_segments_hold_every_operation_once_and_drop_no_edge(manifest):
    locked = lock(without_name_clashes(manifest))
    flow = analyze(locked)
    tree = hierarchy(locked.operations)
    for name, entry in locked.flows.items():
        assert len(entry.segments) > 1
        assert sorted(operation for part in entry.segments for operation in part) == list(tree.flows[name].all_operations())
    place = {name: index for index, name in enumerate(flatten(locked, flow, "pipeline", flow.operations))}
    assert sorted(place) == list(flow.operations)
    assert all(place[edge.producer] < place[edge.consumer] for edge in flow.edges)
    for name in tree.names:
        inside = tree.flows[name].all_operations()
        alone = {operation: index for index, operation in enumerate(flatten(locked, flow, name, inside))}
        assert sorted(alone) == list(inside)
        assert all(alone[e.producer] < alone[e.consumer] for e in flow.edges if e.producer in alone and e.consumer in alone)


def flatten(manifest, flow, name, operations):
    """The operations in the order in which members within members put them."""
    for member in quotient(manifest, flow, name, operations):
        if member.is_operation:
            yield member.name
        else:
            yield from flatten(manifest, flow, member.name, member.operations)


@slow
@given(layered(max_size=20))
def test_a_flow_is_split_only_where_grouping_makes_a_cycle(manifest):
    locked = lock(without_name_clashes(manifest))
    flow = analyze(locked)
    tangled = False
    for node in hierarchy(locked.operations).root.walk():
        groups = group_by_child(node.name, node.all_operations())
        between = edges_between({name: child for child, names in groups.items() for name in names}, flow.dependencies)
        tangled |= not nx.is_directed_acyclic_graph(nx.DiGraph((a, b) for a, those in between.items() for b in those))
    assert bool(locked.flows) == tangled
    assert segments(flow).diagnostics or not tangled
