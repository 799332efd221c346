import subprocess
import sys

import pytest

from pulpo.errors import DiagnosticsError, UsageError
from pulpo.graph.dataflow import DataFlowAnalyzer, analyze
from pulpo.manifest.model import Manifest
from tests.graph.strategies import codes, locked, manifest, operation

FETCHERS = {
    "scraping.linkedin.fetch": operation(returns="RawJob"),
    "scraping.stepstone.fetch": operation(returns="RawJob"),
}
SCRAPING = FETCHERS | {
    "scraping.merge": operation({"stepstone": "RawJob", "linkedin": "RawJob"}, "Merged"),
    "parsing.clean": operation({"raw": "RawJob"}, "CleanJob"),
    "validate": operation({"jobs": "list[CleanJob]"}, after=["scraping.merge"]),
}


def edges(operations):
    """(producer, consumer, model or None, kind) of each edge."""
    return [(e.producer, e.consumer, e.model, e.kind) for e in analyze(locked(operations)).edges]


def test_values_and_after_make_edges():
    flow = analyze(locked(SCRAPING))
    assert [(e.producer, e.consumer, e.parameter, e.kind) for e in flow.edges] == [
        ("parsing.clean", "validate", "jobs", "value"),
        ("scraping.linkedin.fetch", "parsing.clean", "raw", "value"),
        ("scraping.linkedin.fetch", "scraping.merge", "linkedin", "value"),
        ("scraping.merge", "validate", None, "order"),
        ("scraping.stepstone.fetch", "parsing.clean", "raw", "value"),
        ("scraping.stepstone.fetch", "scraping.merge", "stepstone", "value"),
    ]
    assert flow.diagnostics == ()


def test_neighbours_order_and_levels():
    flow = analyze(locked(SCRAPING))
    assert flow.operations == tuple(sorted(SCRAPING))
    assert flow.dependencies["validate"] == ("parsing.clean", "scraping.merge")
    assert flow.dependents["scraping.linkedin.fetch"] == ("parsing.clean", "scraping.merge")
    assert flow.order() == ("scraping.linkedin.fetch", "scraping.stepstone.fetch", "parsing.clean", "scraping.merge", "validate")
    assert flow.levels() == (tuple(FETCHERS), ("parsing.clean", "scraping.merge"), ("validate",))


def test_upstream_and_downstream_are_transitive():
    flow = analyze(locked(SCRAPING))
    assert flow.upstream("validate") == set(SCRAPING) - {"validate"}
    assert flow.downstream("scraping.linkedin.fetch") == {"scraping.merge", "parsing.clean", "validate"}
    assert flow.upstream("scraping.linkedin.fetch") == set()


def test_an_unknown_operation_is_a_usage_error():
    with pytest.raises(UsageError) as error:
        analyze(locked(SCRAPING)).upstream("parsing.claen")
    assert error.value.hint == "did you mean 'parsing.clean'?"


def test_what_the_lock_records_counts_and_not_what_would_be_inferred():
    entry = operation({"raw": "RawJob"})
    entry["inputs"]["raw"] |= {"mode": "one", "from": ["scraping.linkedin.fetch"]}
    flow = analyze(manifest(FETCHERS | {"clean": entry}))
    assert flow.dependencies["clean"] == ("scraping.linkedin.fetch",)


def test_after_a_flow_is_after_all_in_it_but_oneself():
    assert edges(FETCHERS | {"scraping.end": operation(after=["scraping"])}) == [
        ("scraping.linkedin.fetch", "scraping.end", None, "order"),
        ("scraping.stepstone.fetch", "scraping.end", None, "order"),
    ]


def test_names_that_lead_nowhere_are_reported():
    entry = operation({"raw": "RawJob"}, after=["parsin"])
    entry["inputs"]["raw"] |= {"mode": "one", "from": ["scraping.linkdin.fetch"]}
    flow = analyze(manifest(FETCHERS | {"parsing.clean": entry}))
    assert [(p.code, p.path[2:], p.hint) for p in flow.diagnostics] == [
        ("PLP202", ("after", 0), "did you mean 'parsing'?"),
        ("PLP202", ("inputs", "raw", "from", 0), "did you mean 'scraping.linkedin.fetch'?"),
    ]


def test_an_operation_with_the_name_of_a_flow_is_reported():
    assert codes(analyze(locked({"a": operation(), "a.b": operation()})).diagnostics) == ["PLP207"]


# Through the store


def test_who_reads_the_store_waits_for_all_that_return_or_write_the_model():
    operations = {"make": operation(returns="M"), "write": operation(models_out=["M"]), "read": operation(models_in=["M"])}
    assert edges(operations) == [("make", "read", "M", "order"), ("write", "read", "M", "order")]


def test_who_takes_values_waits_for_who_writes_the_store_unless_it_chooses():
    operations = {
        "make": operation(returns="M"),
        "write": operation(models_out=["M"]),
        "use": operation({"x": "M"}),
        "choose": operation({"x": ("M", "make")}),
    }
    assert edges(operations) == [("make", "choose", "M", "value"), ("make", "use", "M", "value"), ("write", "use", "M", "order")]


def test_an_updater_in_the_store_takes_its_place_in_the_chain():
    operations = {
        "make": operation(returns="M"),
        "fix": operation(models_in=["M"], models_out=["M"]),
        "tidy": operation({"x": "M"}, "M"),
        "use": operation({"x": "M"}),
        "read": operation(models_in=["M"]),
    }
    flow = analyze(locked(operations))
    assert flow.order() == ("make", "fix", "tidy", "read", "use")
    assert ("fix", "tidy", "M", "order") in edges(operations)
    last = {**operations, "fix": operation(models_in=["M"], models_out=["M"], after=["tidy"])}
    assert analyze(locked(last)).order() == ("make", "tidy", "fix", "read", "use")


def test_an_updater_waits_for_who_writes_the_store():
    operations = {"make": operation(returns="M"), "write": operation(models_out=["M"]), "tidy": operation({"x": "M"}, "M")}
    assert edges(operations) == [("make", "tidy", "M", "value"), ("write", "tidy", "M", "order")]


def test_values_wait_for_the_last_updater_in_the_store():
    fix = operation(models_in=["M"], models_out=["M"])
    operations = {"make": operation(returns="M"), "one": fix, "two": fix, "use": operation({"x": "M"})}
    assert analyze(locked(operations)).dependencies["use"] == ("make", "two")


def test_a_writer_orders_updaters_whose_values_do_not():
    operations = {
        "b": operation({"x": "M"}, "M"),
        "c": operation({"x": ("M", "make")}, models_out=["M"]),
        "make": operation(returns="M"),
        "write": operation(models_out=["M"], after=["c"]),
    }
    assert analyze(locked(operations)).order() == ("make", "c", "write", "b")


# Updaters


def test_updaters_whose_records_do_not_touch_still_run_in_turn():
    operations = FETCHERS | {
        "scraping.linkedin.fix": operation({"x": ("RawJob", ".fetch")}, "RawJob"),
        "scraping.stepstone.fix": operation({"x": ("RawJob", ".fetch")}, "RawJob"),
    }
    assert ("scraping.linkedin.fix", "scraping.stepstone.fix", "RawJob", "order") in edges(operations)


def test_several_updaters_in_no_stated_order_are_a_warning_that_after_settles():
    operations = {"make": operation(returns="M"), "b": operation({"x": "M"}, "M"), "a": operation({"x": "M"}, "M")}
    [problem] = analyze(locked(operations)).diagnostics
    assert (problem.code, problem.severity.value) == ("PLP209", "warning")
    assert problem.message.endswith(": b, a")
    assert problem.path == ("operations", "a")
    assert problem.hint == 'if the order matters, state it: after=["b"]'
    assert [place.path for place in problem.related] == [("operations", "b"), ("operations", "a")]
    settled = {**operations, "a": operation({"x": "M"}, "M", after=["b"])}
    assert analyze(locked(settled)).diagnostics == ()


def test_a_pattern_or_data_of_another_model_states_the_order_too():
    chosen = {"make": operation(returns="M"), "b": operation({"x": "M"}, "M"), "a": operation({"x": ("M", "b")}, "M")}
    assert analyze(locked(chosen)).diagnostics == ()
    fed = {
        "make": operation(returns="M"),
        "b": operation({"x": "M"}, ("M", "N")),
        "a": operation({"x": "M", "n": "list[N]"}, "M"),
    }
    assert analyze(locked(fed)).diagnostics == ()


# The class by its methods


def test_the_analyzer_infers_what_is_not_recorded():
    operations = manifest(SCRAPING).operations
    analyzer = DataFlowAnalyzer()
    assert analyzer.build_dependency_graph(operations)["scraping.merge"] == list(FETCHERS)
    assert analyzer.topological_sort(operations)[:2] == list(FETCHERS)
    assert analyzer.find_parallel_groups(operations) == [list(FETCHERS), ["parsing.clean", "scraping.merge"], ["validate"]]
    assert analyzer.analyze(locked(SCRAPING)) == analyze(locked(SCRAPING))


def test_the_analyzer_takes_what_is_recorded():
    recorded = locked(SCRAPING).data()
    recorded["operations"]["parsing.clean"]["inputs"]["raw"]["from"] = []
    assert DataFlowAnalyzer().build_dependency_graph(Manifest.model_validate(recorded).operations)["parsing.clean"] == []


def test_a_cycle_has_no_order():
    operations = {"a": operation({"x": "N"}, "M"), "b": operation({"x": "M"}, "N")}
    with pytest.raises(DiagnosticsError) as error:
        analyze(locked(operations)).order()
    assert codes(error.value.diagnostics) == ["PLP206"]


def test_a_data_flow_without_cycles_needs_no_networkx():
    code = "import sys, pulpo.graph.dataflow as d, pulpo.graph.resolve, pulpo.graph.segments as s, pulpo.graph.render, pulpo.graph.select\n"
    code += "from tests.graph.strategies import locked, operation\n"
    code += "s.segments(d.analyze(locked({'a.x': operation(returns='M'), 'b.y': operation({'m': 'M'})})))\n"
    code += "assert 'networkx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
