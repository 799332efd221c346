import random
import time

import networkx as nx
import pytest

from pulpo.graph.cycles import shortest_cycles
from pulpo.graph.dataflow import analyze
from tests.graph.strategies import locked, operation


def cycle_problem(operations):
    [problem] = [problem for problem in analyze(locked(operations)).diagnostics if problem.code == "PLP206"]
    return problem


def ring(size):
    return {f"f.op{i}": operation({"x": f"M{i}"}, f"M{(i + 1) % size}") for i in range(size)}


def test_a_cycle_of_two_is_told_in_order_with_each_reason_and_the_ways_out():
    problem = cycle_problem({"b.match": operation({"job": "Job"}, "Match"), "a.rank": operation({"match": "Match"}, "Job")})
    assert problem.message.endswith(": a.rank → b.match → a.rank")
    assert problem.path == ("operations", "a.rank")
    assert [(place.message, place.path) for place in problem.related] == [
        ("a.rank takes Match from b.match", ("operations", "a.rank", "inputs", "match")),
        ("b.match takes Job from a.rank", ("operations", "b.match", "inputs", "job")),
    ]
    assert problem.hint == "let one of them return another model; or take what the last run stored with `Previous[Job]`"


def test_after_oneself_is_a_cycle():
    problem = cycle_problem({"a": operation(after=["a"])})
    assert problem.message.endswith(": a → a")
    assert problem.hint == "drop an `after`"
    assert problem.related[0].path == ("operations", "a", "after")


def test_after_against_the_data_is_a_cycle():
    problem = cycle_problem({"a": operation(returns="M", after=["b"]), "b": operation({"x": "M"})})
    assert [place.message for place in problem.related] == ["a runs after b", "b takes M from a"]


def test_a_cycle_through_the_store_says_so():
    problem = cycle_problem({"a": operation({"n": "N"}, models_out=["M"]), "b": operation(models_in=["M"], returns="N")})
    assert problem.related[1].message == "b runs after a, since both read or write M"
    assert "models_in" in problem.hint


def test_a_cycle_of_fifty_is_shortened_in_the_message_and_whole_in_the_places():
    problem = cycle_problem(ring(50))
    assert problem.message.startswith("the operations wait for each other: f.op0 → f.op1 → ")
    assert " → … (39 more) → f.op49 → f.op0" in problem.message
    assert len(problem.related) == 50


def test_the_shortest_cycle_of_a_knot_is_told():
    operations = ring(20) | {"f.short": operation({"x": "M5", "y": "S"}, "T"), "f.cut": operation({"t": "T"}, "S")}
    assert cycle_problem(operations | {"f.op1": operation({"x": "M1", "t": "T"}, "M2")}).message.endswith(
        ": f.cut → f.short → f.cut"
    )


def test_each_knot_is_told_once():
    operations = {
        f"k{i}.{name}": entry
        for i in range(3)
        for name, entry in (("a", operation({"x": f"P{i}"}, f"Q{i}")), ("b", operation({"x": f"Q{i}"}, f"P{i}")))
    }
    problems = analyze(locked(operations)).diagnostics
    assert [problem.path[1] for problem in problems if problem.code == "PLP206"] == ["k0.a", "k1.a", "k2.a"]


def test_what_only_depends_on_a_cycle_is_not_part_of_it():
    operations = {"a": operation({"x": "N"}, "M"), "b": operation({"x": "M"}, ("N", "O")), "c": operation({"x": "O"})}
    assert "c" not in cycle_problem(operations).message.split(": ")[1].split(" → ")


@pytest.mark.parametrize("seed", range(60))
def test_the_cycle_found_is_as_short_as_any(seed):
    chance = random.Random(seed)
    size = chance.randrange(3, 12)
    graph = nx.gnp_random_graph(size, chance.choice([0.12, 0.2, 0.3]), seed=seed, directed=True)
    graph = nx.relabel_nodes(graph, {node: f"n{node:02}" for node in graph})
    found = shortest_cycles({node: set(graph.successors(node)) for node in graph})
    knots = [component for component in nx.strongly_connected_components(graph) if len(component) > 1]
    assert len(found) == len(knots)
    for cycle in found:
        assert all(graph.has_edge(*pair) for pair in zip(cycle, cycle[1:] + cycle[:1], strict=True))
        knot = next(knot for knot in knots if cycle[0] in knot)
        assert len(cycle) == min(map(len, nx.simple_cycles(graph.subgraph(knot))))
        assert cycle[0] == min(cycle)


@pytest.mark.parametrize("chords", [0, 3, 10_000])
def test_a_knot_of_ten_thousand_operations_takes_bounded_time(chords):
    size = 10_000
    chance = random.Random(1)
    graph = {f"n{i:05}": {f"n{(i + 1) % size:05}"} for i in range(size)}
    for _ in range(chords):
        start = chance.randrange(size)
        graph[f"n{start:05}"].add(f"n{(start + chance.randrange(2, 300)) % size:05}")
    began = time.perf_counter()
    [cycle] = shortest_cycles(graph)
    assert time.perf_counter() - began < 10
    assert all(after in graph[before] for before, after in zip(cycle, cycle[1:] + cycle[:1], strict=True))
