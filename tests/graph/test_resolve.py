import pytest

from pulpo.graph.resolve import Binding, resolve
from pulpo.manifest.model import Manifest, Mode
from tests.graph.strategies import codes, locked, manifest, operation

FETCHERS = {
    "scraping.linkedin.fetch": operation(returns="RawJob"),
    "scraping.stepstone.fetch": operation(returns="RawJob"),
}
SCRAPING = FETCHERS | {
    "scraping.merge": operation({"stepstone": "RawJob", "linkedin": "RawJob"}, "Merged"),
    "parsing.clean": operation({"raw": "RawJob"}, "CleanJob"),
}


def bind(operations, name, parameter):
    return resolve(manifest(operations)).inputs[name, parameter]


def problems(operations):
    return resolve(manifest(operations)).diagnostics


# One or many: the table of modes


def test_one_producer_of_one_gives_the_record():
    assert bind({"a": operation(returns="M"), "b": operation({"x": "M"})}, "b", "x") == Binding(Mode.ONE, ("a",))


def test_several_producers_give_each_record_in_turn():
    operations = {"b": operation(returns="M"), "a": operation(returns="M"), "c": operation({"x": "M"})}
    assert bind(operations, "c", "x") == Binding(Mode.EACH, ("a", "b"))


def test_one_producer_of_a_list_gives_each_record_in_turn():
    assert bind({"a": operation(returns="list[M]"), "b": operation({"x": "M"})}, "b", "x") == Binding(Mode.EACH, ("a",))


def test_one_producer_with_two_outputs_of_the_model_gives_each():
    assert bind({"a": operation(returns=("M", "M")), "b": operation({"x": "M"})}, "b", "x").mode is Mode.EACH


def test_what_runs_once_per_record_gives_many():
    operations = {
        "d": operation(returns="list[M]"),
        "c": operation({"x": "M"}, "N"),
        "b": operation({"x": "N"}, "O"),
        "a": operation({"x": "O"}),
    }
    assert [bind(operations, name, "x").mode for name in "abc"] == [Mode.EACH] * 3


@pytest.mark.parametrize(
    ("annotation", "mode"), [("list[M]", Mode.ALL), ("dict[str, M]", Mode.KEYED), ("dict[str, list[M]]", Mode.KEYED)]
)
def test_a_list_or_dict_takes_everything_at_once_and_makes_one(annotation, mode):
    operations = {
        "a": operation(returns="list[M]"),
        "b": operation(returns="M"),
        "c": operation({"x": annotation}, "N"),
        "d": operation({"x": "N"}),
    }
    assert bind(operations, "c", "x") == Binding(mode, ("a", "b"))
    assert bind(operations, "d", "x").mode is Mode.ONE


def test_an_optional_input_with_no_producer_is_none_and_no_problem():
    operations = {"a": operation({"x": "M | None"})}
    assert bind(operations, "a", "x") == Binding(Mode.ONE, ())
    assert problems(operations) == ()


def test_an_optional_input_with_several_producers_runs_once_per_record():
    assert bind(FETCHERS | {"c": operation({"x": "RawJob | None"})}, "c", "x").mode is Mode.EACH


def test_previous_is_never_an_edge():
    operations = {"a": operation({"old": "Previous[M]"}, "M"), "b": operation(returns="M")}
    assert bind(operations, "a", "old") == Binding(Mode.PREVIOUS, ())
    assert problems(operations) == ()


def test_an_input_that_runs_once_per_record_is_broadcast_beside_lists():
    operations = {
        "a": operation(returns="list[M]"),
        "b": operation(returns="N"),
        "c": operation({"m": "M", "n": "N", "every": "list[M]"}),
    }
    assert [bind(operations, "c", name).mode for name in ("m", "n", "every")] == [Mode.EACH, Mode.ONE, Mode.ALL]
    assert bind(operations, "c", "every").sources == ("a",)


def test_two_inputs_once_per_record_are_an_error():
    [problem] = problems(
        {"a": operation(returns="list[M]"), "b": operation(returns="list[N]"), "c": operation({"m": "M", "n": "N"})}
    )
    assert problem.code == "PLP205"
    assert problem.path == ("operations", "c", "inputs")
    assert problem.message.endswith("m, n")
    assert "`n: list[N]`" in problem.hint


# By name


def test_parameters_of_one_model_are_matched_by_a_segment_of_the_producers_name():
    assert bind(SCRAPING, "scraping.merge", "stepstone") == Binding(Mode.ONE, ("scraping.stepstone.fetch",))
    assert bind(SCRAPING, "scraping.merge", "linkedin") == Binding(Mode.ONE, ("scraping.linkedin.fetch",))
    assert bind(SCRAPING, "parsing.clean", "raw") == Binding(Mode.EACH, tuple(FETCHERS))
    assert problems(SCRAPING) == ()


def test_a_third_fetcher_changes_what_clean_takes_and_fails_what_merges_by_name():
    before = resolve(manifest(SCRAPING))
    after = resolve(manifest(SCRAPING | {"scraping.indeed.fetch": operation(returns="RawJob")}))
    changed = {key: binding.sources for key, binding in after.inputs.items() if binding != before.inputs[key]}
    assert changed == {("parsing.clean", "raw"): ("scraping.indeed.fetch", *FETCHERS)}
    [problem] = after.diagnostics
    assert problem.code == "PLP204"
    assert problem.path == ("operations", "scraping.merge", "inputs")
    assert problem.message.endswith("no parameter for scraping.indeed.fetch")
    assert "add a parameter named indeed" in problem.hint
    assert [place.path for place in problem.related] == [("operations", name) for name in ("scraping.indeed.fetch", *FETCHERS)]


def test_a_parameter_without_a_producer_is_named():
    [problem] = problems({"x.a.f": operation(returns="M"), "m": operation({"a": "M", "b": "M"})})
    assert problem.code == "PLP204"
    assert "a takes x.a.f; no producer for b" in problem.message


def test_an_optional_parameter_may_find_no_producer():
    operations = {"x.a.f": operation(returns="M"), "m": operation({"a": "M", "b": "M | None"})}
    assert problems(operations) == ()
    assert bind(operations, "m", "b") == Binding(Mode.ONE, ())


def test_a_parameter_that_needs_a_producer_comes_before_an_optional_one():
    operations = {"a.b.f": operation(returns="M"), "m": operation({"a": "M | None", "b": "M"})}
    assert bind(operations, "m", "b").sources == ("a.b.f",)
    assert bind(operations, "m", "a").sources == ()


def test_two_ways_to_match_are_an_error():
    [problem] = problems({"a.b.f": operation(returns="M"), "b.a.f": operation(returns="M"), "m": operation({"a": "M", "b": "M"})})
    assert problem.code == "PLP204"
    assert "a could take a.b.f or b.a.f" in problem.message


def test_a_match_that_only_one_arrangement_allows_is_found():
    operations = {"a.b.f": operation(returns="M"), "a.f": operation(returns="M"), "m": operation({"a": "M", "b": "M"})}
    assert bind(operations, "m", "a").sources == ("a.f",)
    assert bind(operations, "m", "b").sources == ("a.b.f",)


def test_a_matched_producer_of_many_runs_once_per_record():
    operations = {"x.a.f": operation(returns="list[M]"), "x.b.f": operation(returns="M"), "m": operation({"a": "M", "b": "M"})}
    assert bind(operations, "m", "a").mode is Mode.EACH
    assert bind(operations, "m", "b").mode is Mode.ONE


def test_lists_of_one_model_share_the_producers_by_name():
    operations = {
        "x.a.f": operation(returns="M"),
        "x.a.g": operation(returns="M"),
        "x.b.f": operation(returns="M"),
        "m": operation({"a": "list[M]", "b": "list[M]"}),
    }
    assert bind(operations, "m", "a").sources == ("x.a.f", "x.a.g")
    assert bind(operations, "m", "b").sources == ("x.b.f",)


@pytest.mark.parametrize(
    ("producer", "words"),
    [("x.c.f", "no parameter for x.c.f"), ("a.b.f", "a.b.f could go to a or b"), ("a.f", "no producer for b")],
)
def test_lists_that_can_not_share_the_producers_are_an_error(producer, words):
    [problem] = problems(
        {"x.a.f": operation(returns="M"), producer: operation(returns="M"), "m": operation({"a": "list[M]", "b": "list[M]"})}
    )
    assert problem.code == "PLP204"
    assert words in problem.message


def test_a_record_beside_lists_takes_every_producer():
    operations = FETCHERS | {"c": operation({"one": "RawJob", "every": "list[RawJob]"})}
    assert bind(operations, "c", "one") == Binding(Mode.EACH, tuple(FETCHERS))
    assert bind(operations, "c", "every") == Binding(Mode.ALL, tuple(FETCHERS))


# From


@pytest.mark.parametrize(
    ("pattern", "sources"),
    [
        ("scraping.linkedin.fetch", ("scraping.linkedin.fetch",)),
        ("scraping.linkedin.*", ("scraping.linkedin.fetch", "scraping.linkedin.old.fetch")),
        ("scraping.*.fetch", ("scraping.linkedin.fetch", "scraping.stepstone.fetch")),
        ("scraping.**.fetch", ("scraping.linkedin.fetch", "scraping.linkedin.old.fetch", "scraping.stepstone.fetch")),
        ("*", ("other.make", "scraping.linkedin.fetch", "scraping.linkedin.old.fetch", "scraping.stepstone.fetch")),
        ("*.make", ("other.make",)),
        ("*.linkedin.*", ("scraping.linkedin.fetch", "scraping.linkedin.old.fetch")),
        (".*", ("other.make",)),
        (".make", ("other.make",)),
        ("scraping.step*.fetch", ("scraping.stepstone.fetch",)),
    ],
)
def test_a_pattern_chooses_producers(pattern, sources):
    operations = FETCHERS | {
        "scraping.linkedin.old.fetch": operation(returns="RawJob"),
        "other.make": operation(returns="RawJob"),
        "other.use": operation({"x": ("list[RawJob]", pattern)}),
    }
    assert bind(operations, "other.use", "x").sources == sources
    assert problems(operations) == ()


def test_a_pattern_of_a_standalone_operation_is_relative_to_the_top():
    assert bind({"a": operation(returns="M"), "b": operation({"x": ("M", ".a")})}, "b", "x").sources == ("a",)


def test_a_pattern_that_chooses_one_producer_gives_the_record():
    assert bind(FETCHERS | {"c": operation({"x": ("RawJob", "**.linkedin.*")})}, "c", "x").mode is Mode.ONE


def test_a_pattern_that_matches_nothing_says_what_there_is():
    [problem] = problems(FETCHERS | {"c": operation({"x": ("RawJob", "scraping.linkdin.*")})})
    assert problem.code == "PLP208"
    assert problem.path == ("operations", "c", "inputs", "x", "select", 0)
    assert problem.message.endswith(": scraping.linkdin.*")
    assert problem.hint == (
        "did you mean 'scraping.linkedin.*'? RawJob is returned by scraping.linkedin.fetch, scraping.stepstone.fetch"
    )


def test_one_bad_pattern_of_several_is_reported_too():
    [problem] = problems(FETCHERS | {"c": operation({"x": ("RawJob", "scraping.linkedin.*", "nothing.*")})})
    assert problem.path[-1] == 1


def test_the_trap_of_parallel_flows_is_settled_by_the_own_flow():
    operations = {}
    for site in ("linkedin", "stepstone"):
        operations[f"{site}.fetch"] = operation(returns="RawJob")
        operations[f"{site}.parse"] = operation({"raw": ("RawJob", ".*")}, "Job")
    assert bind(operations, "linkedin.parse", "raw") == Binding(Mode.ONE, ("linkedin.fetch",))
    assert bind(operations, "stepstone.parse", "raw") == Binding(Mode.ONE, ("stepstone.fetch",))


# From outside, and names that lead nowhere


def test_an_input_that_nobody_makes_is_a_warning():
    [problem] = problems({"a": operation({"x": "M"})})
    assert (problem.code, problem.severity.value) == ("PLP203", "warning")
    assert problem.path == ("operations", "a", "inputs", "x")
    assert problem.message.endswith(": M")


def test_an_input_that_somebody_writes_to_the_store_is_no_warning():
    assert problems({"a": operation({"x": "M"}), "w": operation(models_out=["M"])}) == ()


def test_an_input_that_only_its_own_operation_returns_comes_from_outside():
    assert codes(problems({"a": operation({"x": "M"}, "M")})) == ["PLP203"]


@pytest.mark.parametrize("mode", ["one", "each"])
def test_an_input_from_outside_keeps_the_mode_that_the_lock_says(mode):
    entry = operation({"x": "M"})
    entry["inputs"]["x"]["mode"] = mode
    assert bind({"a": entry}, "a", "x") == Binding(Mode(mode), ())


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        (operation({"x": "RawJbo"}), ("inputs", "x", "model")),
        (operation(returns="RawJbo"), ("outputs", 0, "model")),
        (operation(models_in=["RawJbo"]), ("models_in", 0)),
        (operation(models_out=["RawJbo"]), ("models_out", 0)),
    ],
)
def test_an_unknown_model_is_reported_with_a_near_miss(entry, path):
    known = manifest(FETCHERS)
    wrong = Manifest.model_validate({**known.data(), "operations": {"a": entry}})
    [problem] = resolve(wrong).diagnostics
    assert (problem.code, problem.hint) == ("PLP201", "did you mean 'RawJob'?")
    assert problem.path == ("operations", "a", *path)


def test_after_something_unknown_is_reported_with_a_near_miss():
    [problem] = problems(FETCHERS | {"c": operation(after=["scrapping"])})
    assert (problem.code, problem.path) == ("PLP202", ("operations", "c", "after", 0))
    assert problem.hint == "did you mean 'scraping'?"


def test_an_orphan_produces_nothing_and_is_left_alone():
    operations = {"a": operation({"x": "N"}, "M", orphaned=True), "b": operation(returns="M"), "c": operation({"x": "M"})}
    resolution = resolve(manifest(operations))
    assert resolution.inputs == {("c", "x"): Binding(Mode.ONE, ("b",))}
    assert resolution.diagnostics == ()


# Updaters


def test_an_updater_comes_between_pure_producers_and_consumers():
    operations = FETCHERS | {"tidy": operation({"x": "list[RawJob]"}, "list[RawJob]"), "use": operation({"x": "RawJob"})}
    assert bind(operations, "tidy", "x").sources == tuple(FETCHERS)
    assert bind(operations, "use", "x") == Binding(Mode.EACH, ("tidy",))


def test_several_updaters_form_a_chain_in_the_order_of_the_lock():
    operations = {name: operation({"x": "M"}, "M") for name in ("second", "first")} | {
        "make": operation(returns="M"),
        "use": operation({"x": "M"}),
    }
    assert bind(operations, "second", "x").sources == ("make",)
    assert bind(operations, "first", "x").sources == ("second",)
    assert bind(operations, "use", "x") == Binding(Mode.ONE, ("first",))


def test_after_orders_updaters_against_the_lock():
    operations = {
        "b": operation({"x": "M"}, "M", after=["c"]),
        "c": operation({"x": "M"}, "M"),
        "make": operation(returns="M"),
    }
    assert bind(operations, "c", "x").sources == ("make",)
    assert bind(operations, "b", "x").sources == ("c",)


def test_data_of_another_model_orders_updaters_too():
    operations = {
        "b": operation({"x": "M", "hint": "N"}, "M"),
        "c": operation({"x": "M"}, ("M", "Seed")),
        "d": operation({"x": "Seed"}, "N"),
        "make": operation(returns="M"),
    }
    assert bind(operations, "b", "x").sources == ("c",)


def test_orders_of_two_models_do_not_contradict_each_other():
    operations = {
        "x": operation({"n": "N", "t": "T"}, "N"),
        "a": operation({"m": "M", "n": "N"}, ("M", "N")),
        "b": operation({"m": "M", "n": "N"}, ("M", "N", "T")),
        "make": operation(returns=("M", "N")),
    }
    resolution = resolve(manifest(operations))
    assert resolution.inputs["x", "n"].sources == ("b",)
    assert resolution.inputs["a", "n"].sources == ("x",)
    assert resolution.inputs["a", "m"].sources == ("b",)


def test_an_updater_takes_only_what_it_chooses():
    operations = FETCHERS | {
        "scraping.linkedin.fix": operation({"x": ("RawJob", ".fetch")}, "RawJob"),
        "use": operation({"x": "list[RawJob]"}),
    }
    assert bind(operations, "use", "x").sources == ("scraping.linkedin.fix", "scraping.stepstone.fetch")


def test_a_pattern_over_a_flow_finds_what_its_updater_left():
    operations = FETCHERS | {
        "scraping.linkedin.fix": operation({"x": ("RawJob", ".fetch")}, "RawJob"),
        "use": operation({"x": ("RawJob", "scraping.linkedin.*")}),
    }
    assert bind(operations, "use", "x") == Binding(Mode.ONE, ("scraping.linkedin.fix",))


def test_a_pattern_can_ask_for_records_from_before_an_update():
    operations = {"make": operation(returns="M"), "tidy": operation({"x": "M"}, "M"), "use": operation({"x": ("M", "make")})}
    assert bind(operations, "use", "x").sources == ("make",)


def test_of_several_updaters_that_a_pattern_asks_for_the_last_counts():
    operations = {
        "a.make": operation(returns="M"),
        "a.one": operation({"x": "M"}, "M"),
        "a.two": operation({"x": "M"}, "M"),
        "z": operation({"x": "M"}, "M"),
        "use": operation({"x": ("M", "a.*")}),
    }
    assert bind(operations, "z", "x").sources == ("a.two",)
    assert bind(operations, "use", "x").sources == ("a.two",)


def test_an_updater_that_chooses_another_one_comes_after_it():
    operations = {
        "a": operation({"x": ("M", "b")}, "M"),
        "b": operation({"x": "M"}, "M"),
        "make": operation(returns="M"),
    }
    assert bind(operations, "b", "x").sources == ("make",)
    assert bind(operations, "a", "x").sources == ("b",)


def test_updaters_that_choose_their_whole_flow_keep_the_order_of_the_lock():
    operations = {
        "a.second": operation({"x": ("M", ".*")}, "M"),
        "a.first": operation({"x": ("M", ".*")}, "M"),
        "a.make": operation(returns="M"),
    }
    assert bind(operations, "a.second", "x").sources == ("a.make",)
    assert bind(operations, "a.first", "x").sources == ("a.second",)


def test_a_pattern_takes_all_that_is_there_of_several_updaters():
    operations = FETCHERS | {
        f"scraping.{site}.fix": operation({"x": ("RawJob", ".fetch")}, "RawJob") for site in ("linkedin", "stepstone")
    }
    operations["use"] = operation({"x": ("list[RawJob]", "scraping.*")})
    assert bind(operations, "use", "x").sources == ("scraping.linkedin.fix", "scraping.stepstone.fix")


def test_a_writer_orders_the_updaters_around_it():
    operations = {
        "b": operation({"x": "M"}, "M"),
        "c": operation({"x": ("M", "make")}, "M"),
        "make": operation(returns="M"),
        "write": operation(models_out=["M"], after=["c"]),
    }
    assert bind(operations, "b", "x").sources == ("c",)


def test_an_updater_in_the_store_leaves_the_values_where_they_are():
    operations = {
        "make": operation(returns="M"),
        "fix": operation(models_in=["M"], models_out=["M"]),
        "use": operation({"x": "M"}),
    }
    assert bind(operations, "use", "x").sources == ("make",)


# What is recorded


def test_what_is_applied_is_not_stale():
    unresolved = manifest(SCRAPING)
    fixed = Manifest.model_validate(resolve(unresolved).apply(unresolved.data()))
    assert resolve(fixed).stale(fixed) == []
    assert fixed.data()["operations"]["parsing.clean"]["inputs"]["raw"] == {
        "model": "RawJob",
        "mode": "each",
        "from": list(FETCHERS),
    }


def test_applying_changes_nothing_else_and_not_its_argument():
    unresolved = manifest(SCRAPING | {"d": operation({"x": ("Merged | None", "scraping.*"), "old": "Previous[Merged]"})})
    data = unresolved.data()
    applied = resolve(unresolved).apply(data)
    assert data == unresolved.data()
    inputs = applied["operations"]["d"]["inputs"]
    assert inputs["x"] == {
        "model": "Merged",
        "mode": "one",
        "from": ["scraping.merge"],
        "optional": True,
        "select": ["scraping.*"],
    }
    assert inputs["old"] == {"model": "Merged", "mode": "previous"}


def test_what_is_recorded_makes_no_difference():
    entry = operation({"x": "RawJob"})
    entry["inputs"]["x"] |= {"mode": "one", "from": ["nowhere"]}
    assert bind(FETCHERS | {"c": entry}, "c", "x") == Binding(Mode.EACH, tuple(FETCHERS))


def test_a_lock_that_lacks_a_new_producer_is_stale():
    old = locked({"a": operation(returns="M"), "c": operation({"x": "list[M]"})})
    new = Manifest.model_validate({**old.data(), "operations": {**old.data()["operations"], "b": operation(returns="M")}})
    [problem] = resolve(new).stale(new)
    assert (problem.code, problem.path) == ("PLP301", ("operations", "c", "inputs", "x", "from"))
    assert problem.message == "the lock says [a], now resolves to [a, b]"
    assert problem.hint == "run `pulpo lock`"


def test_a_changed_mode_is_stale():
    entry = operation({"x": "M"})
    entry["inputs"]["x"] |= {"mode": "one", "from": ["a"]}
    recorded = manifest({"a": operation(returns="list[M]"), "c": entry})
    [problem] = resolve(recorded).stale(recorded)
    assert problem.path[-1] == "mode"
    assert problem.message == "the lock says one, now resolves to each"


def test_one_record_by_name_can_not_be_asked_of_a_producer_of_many():
    (problem,) = problems({"a": operation(returns="list[M]"), "b": operation(returns="M"), "c": operation({"x": "dict[str, M]"})})
    assert (problem.code, problem.message) == ("PLP212", "one M is asked for by producer name, but this one makes many: a")
    assert problem.path == ("operations", "c", "inputs", "x")
    assert not problems({"a": operation(returns="list[M]"), "c": operation({"x": "dict[str, list[M]]"})})


def test_a_pattern_gives_what_it_matches_also_where_an_updater_took_it_since():
    operations = {
        "x.a": operation(returns="list[M]"),
        "x.b": operation(returns="list[M]"),
        "u.one": operation({"m": ("list[M]", "x.a")}, "list[M]"),
    }
    for patterns, expected in {
        ("x.*",): ("x.a", "x.b"),
        ("x.a",): ("x.a",),
        ("u.*",): ("u.one",),
        ("x.a", "u.*"): ("u.one",),
        ("**",): ("u.one", "x.b"),
    }.items():
        assert bind(operations | {"c": operation({"m": ("list[M]", *patterns)})}, "c", "m").sources == expected, patterns
