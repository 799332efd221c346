"""`lock`: from the code to the file, again and again."""

from __future__ import annotations

import pytest

from pulpo.errors import DiagnosticsError, UsageError
from tests.lock.conftest import MERGE, MODELS, OPERATIONS


def changed_lines(before: str, after: str) -> list[str]:
    import difflib

    return [
        line
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
        if line[:3] not in ("---", "+++") and line[:2] != "@@"
    ]


def problems(raised) -> list[str]:
    return [f"{d.code} {d.message}" for d in raised.value.diagnostics]


def test_the_first_lock_writes_the_resolved_answers(jobs):
    result = jobs.lock()
    assert result.written
    clean = result.manifest.operations["parsing.clean"].inputs["raw"]
    assert (clean.mode, clean.sources) == ("each", ["scraping.linkedin.fetch", "scraping.stepstone.fetch"])
    assert "raw: {model: RawJobs, mode: each, from: [scraping.linkedin.fetch, scraping.stepstone.fetch]}" in jobs.text


def test_a_second_lock_changes_nothing(jobs):
    jobs.lock()
    before, stamp = jobs.text, jobs.path.stat().st_mtime_ns
    result = jobs.lock()
    assert (result.written, result.stale, jobs.text, jobs.path.stat().st_mtime_ns) == (False, False, before, stamp)
    assert jobs.check() == ()


def test_the_order_of_declarations_makes_no_difference(jobs):
    jobs.lock()
    before = jobs.text
    head, *operations = jobs.operations.split("\n@operation")
    jobs.operations = head + "\n@operation" + "\n@operation".join(reversed(operations))
    assert not jobs.lock().stale
    jobs.path.unlink()
    jobs.lock()
    assert jobs.text == before


def test_lock_check_writes_nothing(jobs):
    result = jobs.lock(check=True)
    assert result.stale
    assert not jobs.path.exists()


def test_a_merge_by_name_gives_each_parameter_its_own_producer(jobs):
    jobs.operations += MERGE
    inputs = jobs.lock().manifest.operations["scraping.merge"].inputs
    assert {name: (i.mode, i.sources) for name, i in inputs.items()} == {
        "stepstone": ("one", ["scraping.stepstone.fetch"]),
        "linkedin": ("one", ["scraping.linkedin.fetch"]),
    }


def test_a_third_fetcher_changes_exactly_the_lines_it_should(jobs):
    jobs.lock()
    before = jobs.text
    jobs.operations += '\n@operation("scraping.indeed.fetch")\nasync def fetch_indeed(keywords: str = "python") -> RawJobs: ...\n'
    jobs.lock()
    assert changed_lines(before, jobs.text) == [
        "-      raw: {model: RawJobs, mode: each, from: [scraping.linkedin.fetch, scraping.stepstone.fetch]}",
        "+      raw: {model: RawJobs, mode: each, from: [scraping.indeed.fetch, scraping.linkedin.fetch, scraping.stepstone.fetch]}",
        "+  scraping.indeed.fetch:",
        "+    entrypoint: jobs.operations:fetch_indeed",
        "+    async: true",
        "+    parameters:",
        "+      keywords: {schema: {type: string}, default: python}",
        "+    inputs: {}",
        "+    outputs: [{model: RawJobs}]",
        "+    scraping.indeed.fetch:",
        "+      {}",
    ]


def test_a_third_fetcher_without_a_parameter_in_the_merge_is_an_error(jobs):
    jobs.operations += MERGE
    jobs.lock()
    before = jobs.text
    jobs.operations += '\n@operation("scraping.indeed.fetch")\nasync def fetch_indeed() -> RawJobs: ...\n'
    with pytest.raises(DiagnosticsError) as raised:
        jobs.lock()
    (problem,) = raised.value.diagnostics
    assert problem.code == "PLP204"
    assert "scraping.indeed.fetch" in problem.message
    assert problem.place is not None
    assert problem.place.file == "jobs/operations.py"
    assert jobs.text == before


def test_a_hand_edit_of_a_setting_stays(jobs):
    jobs.lock()
    jobs.edit("retries: 3", "retries: 5")
    assert jobs.check() == ()
    jobs.operations = jobs.operations.replace("clean(raw: RawJobs)", "clean(raw: RawJobs, strict: bool = False)")
    jobs.lock()
    assert "retries: 5" in jobs.text
    assert "strict" in jobs.text


def test_a_changed_decorator_changes_the_lock(jobs):
    jobs.lock()
    jobs.operations = jobs.operations.replace("retries=3", "retries=4")
    jobs.lock()
    assert jobs.text.count("retries: 4") == 2  # the operation's, and what was declared


def test_a_setting_changed_on_both_sides_is_a_conflict_and_nothing_is_written(jobs):
    jobs.lock()
    jobs.edit("retries: 3", "retries: 5")
    jobs.operations = jobs.operations.replace("retries=3", "retries=4")
    before = jobs.text
    with pytest.raises(DiagnosticsError) as raised:
        jobs.lock()
    assert problems(raised) == ["PLP303 both changed: the code says 4, the lock says 5"]
    assert raised.value.diagnostics[0].place.file == "pulpo.lock.yaml"
    assert jobs.text == before
    (conflict,) = raised.value.diagnostics
    assert [(r.message, r.place.file, r.place.line) for r in conflict.related] == [("the code says 4", "jobs/operations.py", 4)]


def test_the_same_change_on_both_sides_is_no_conflict(jobs):
    jobs.lock()
    jobs.edit("retries: 3", "retries: 4")
    jobs.operations = jobs.operations.replace("retries=3", "retries=4")
    jobs.lock()
    assert jobs.text.count("retries: 4") == 2


def test_what_only_the_file_says_stays(jobs):
    jobs.lock()
    jobs.path.write_text(
        jobs.text.replace(
            "  parsing.clean:\n",
            "  by.hand:\n    entrypoint: jobs.operations:clean\n    origin: manifest\n    outputs:\n      - {model: CleanedJobs}\n  parsing.clean:\n    x-owner: ann\n",
            1,
        )
        + 'flows:\n  scraping:\n    schedule: {cron: "0 6 * * *"}\nx-team: data\n'
    )
    jobs.operations = jobs.operations.replace("retries=3", "retries=4")
    manifest = jobs.lock().manifest
    assert manifest.operations["by.hand"].origin == "manifest"
    assert manifest.operations["parsing.clean"].data()["x-owner"] == "ann"
    assert manifest.flows["scraping"].schedule.cron == "0 6 * * *"
    assert manifest.data()["x-team"] == "data"


def test_an_operation_that_left_the_code_goes_unless_it_was_edited(jobs):
    jobs.operations += MERGE
    jobs.lock()
    jobs.operations = jobs.operations.replace(MERGE, "")
    assert "scraping.merge" not in jobs.lock().manifest.operations
    jobs.edit("retries: 3", "retries: 5")
    head, tail = jobs.operations.split('@operation("scraping.linkedin')
    jobs.operations = head.split('@operation("scraping.stepstone')[0] + '@operation("scraping.linkedin' + tail
    result = jobs.lock()
    assert [(d.code, d.severity, d.message) for d in result.diagnostics] == [
        ("PLP304", "warning", "it left the code, but has hand edits: retries")
    ]
    assert result.manifest.operations["scraping.stepstone.fetch"].orphaned
    assert not jobs.lock().stale
    assert [(d.code, d.severity) for d in jobs.check()] == [("PLP304", "error")]
    assert [(d.code, d.severity) for d in jobs.check(code=False)] == [("PLP304", "error")]
    assert "scraping.stepstone.fetch" not in jobs.lock(prune=True).manifest.operations


def test_what_a_hand_wrote_without_origin_is_not_dropped(jobs):
    jobs.lock()
    entry = "  by.hand:  # mine\n    entrypoint: jobs.operations:clean\n"
    jobs.edit("operations:\n", f"operations:\n{entry}")
    jobs.edit("models:\n", "models:\n  Mine:\n    schema: {type: object}\n")
    warnings = jobs.lock().diagnostics
    message = "it is not in the code, and `declared` does not say that it was"
    assert [(d.path[1], d.message) for d in warnings] == [("Mine", message), ("by.hand", message)]
    assert entry.rstrip() in jobs.text
    assert not jobs.lock().stale
    assert [d.code for d in jobs.check()] == ["PLP304", "PLP304"]
    jobs.path.write_text(jobs.text.replace("    orphaned: true\n", "    origin: manifest\n    orphaned: true\n"))
    jobs.lock()
    assert "orphaned" not in jobs.text
    assert jobs.check() == ()


def test_edits_follow_a_rename(jobs):
    jobs.lock()
    jobs.edit("retries: 3", "retries: 5")
    jobs.operations = jobs.operations.replace(
        '"scraping.stepstone.fetch", retries=3', '"scraping.step.fetch", retries=3, previously="scraping.stepstone.fetch"'
    )
    manifest = jobs.lock().manifest
    assert manifest.operations["scraping.step.fetch"].retries == 5
    assert "scraping.stepstone.fetch" not in manifest.operations


def test_an_import_that_fails_shrinks_nothing(jobs):
    jobs.lock()
    before = jobs.text
    jobs.operations += "\nimport no_such_library\n"
    with pytest.raises(
        DiagnosticsError,
        match=r"operations.py:\d+:1: error PLP118: importing jobs.operations failed: ModuleNotFoundError: No module named 'no_such_library'",
    ):
        jobs.lock()
    jobs.operations = jobs.operations.replace("import no_such_library", "def broken(:")
    with pytest.raises(DiagnosticsError, match=r"operations.py:13.*SyntaxError"):
        jobs.lock()
    assert jobs.text == before


def test_a_module_that_is_not_there_is_named(jobs):
    jobs.write("pyproject.toml", '[tool.pulpo]\nname = "jobs"\nmodules = ["jbos"]\n')
    with pytest.raises(UsageError, match="there is no such module: jbos"):
        jobs.lock()


def test_an_empty_project_locks(jobs):
    jobs.operations = ""
    jobs.write("jobs/models.py", "")
    manifest = jobs.lock().manifest
    assert (dict(manifest.operations), dict(manifest.models)) == ({}, {})
    assert jobs.check() == ()


def test_two_models_in_one_collection_are_an_error(jobs):
    jobs.write(
        "jobs/models.py",
        MODELS.replace('@datamodel(key="url")\nclass Merged', '@datamodel(key="url", collection="raw_jobs")\nclass Merged'),
    )
    with pytest.raises(DiagnosticsError) as raised:
        jobs.lock()
    assert problems(raised) == ["PLP211 its records would be stored among those of MergedJobs, in the collection: raw_jobs"]


def test_an_operation_named_like_a_flow_is_an_error(jobs):
    jobs.operations += '\n@operation("scraping")\ndef everything() -> None: ...\n'
    with pytest.raises(DiagnosticsError) as raised:
        jobs.lock()
    assert [(d.code, d.path, d.place.line) for d in raised.value.diagnostics] == [("PLP207", ("operations", "scraping"), 13)]


def test_a_cycle_of_fifty_names_every_operation(jobs):
    models = "".join(f'\n@datamodel(key="url")\nclass M{i}(BaseModel):\n    url: str\n' for i in range(50))
    jobs.write("jobs/models.py", MODELS + models)
    jobs.operations += "".join(f'\n@operation("loop.s{i}")\ndef s{i}(x: M{i}) -> M{(i + 1) % 50}: ...\n' for i in range(50))
    with pytest.raises(DiagnosticsError) as raised:
        jobs.lock()
    (cycle,) = [d for d in raised.value.diagnostics if d.code == "PLP206"]
    assert len(cycle.related) == 50
    assert all(r.place and r.place.file == "jobs/operations.py" for r in cycle.related)


def test_a_flow_that_is_re_entered_is_split_and_said(jobs):
    jobs.operations += '\n@operation("scraping.enrich")\ndef enrich(jobs: list[CleanedJobs]) -> MergedJobs: ...\n'
    result = jobs.lock()
    assert [d.code for d in result.diagnostics] == ["PLP210"]
    assert result.manifest.flows["scraping"].segments == [
        ["scraping.linkedin.fetch", "scraping.stepstone.fetch"], ["scraping.enrich"],
    ]  # fmt: skip
    assert [d.code for d in jobs.check()] == ["PLP210"]
    jobs.operations = jobs.operations.replace("scraping.enrich", "parsing.enrich")
    jobs.lock()
    assert "segments" not in jobs.text


def test_a_conflict_is_settled_for_either_side(jobs):
    def conflict():
        jobs.path.unlink(missing_ok=True)
        jobs.operations = jobs.operations.replace("retries=4", "retries=3")
        jobs.lock()
        jobs.edit("retries: 3", "retries: 5")
        jobs.operations = jobs.operations.replace("retries=3", "retries=4")

    conflict()
    assert jobs.lock(prefer="manifest").manifest.operations["scraping.stepstone.fetch"].retries == 5
    assert not jobs.lock().stale
    conflict()
    assert jobs.lock(prefer="code").manifest.operations["scraping.stepstone.fetch"].retries == 4
    assert not jobs.lock().stale


def test_an_edit_made_while_lock_is_at_work_is_not_overwritten(jobs):
    jobs.lock()
    jobs.operations = jobs.operations.replace("retries=3", "retries=4") + (
        "\nfrom pathlib import Path\n"
        "lock = Path(__file__).parents[1] / 'pulpo.lock.yaml'\n"
        "lock.write_text(lock.read_text().replace('async: false', 'async: false  # mine'))\n"
    )
    with pytest.raises(UsageError, match="somebody changed the lock meanwhile"):
        jobs.lock()
    assert "# mine" in jobs.text


def test_signs_in_a_text_are_no_comment(jobs):
    jobs.lock()
    jobs.edit("    retries: 3", "    retries: 3\n    description: fetch *all* pages & more, see c#5")
    jobs.operations += '\n@operation("parsing.more")\ndef more() -> None: ...\n'
    assert jobs.lock().written
    assert "fetch *all* pages & more, see c#5" in jobs.text


def test_an_orphan_that_comes_back_keeps_its_edit(jobs):
    jobs.lock()
    jobs.edit("retries: 3", "retries: 5")
    good = jobs.operations
    jobs.operations = '@operation("scraping.linkedin'.join(
        ["from pulpo import operation\nfrom jobs.models import *\n\n", good.split('@operation("scraping.linkedin')[1]]
    )
    jobs.lock()
    jobs.operations = good
    assert jobs.lock().manifest.operations["scraping.stepstone.fetch"].retries == 5
    assert jobs.check() == ()


def test_where_declared_is_lost_whatever_differs_is_a_conflict(jobs):
    jobs.lock()
    jobs.path.write_text(jobs.text.split("declared:")[0].replace("    retries: 3\n", ""))
    with pytest.raises(DiagnosticsError) as raised:
        jobs.lock()
    assert problems(raised) == [
        "PLP303 one of the two was changed, and `declared` does not tell which: the code says 3, the lock says nothing"
    ]


def test_own_keys_stay_at_any_depth(jobs):
    jobs.lock()
    jobs.edit("{model: RawJobs, mode: each,", "{x-why: both, model: RawJobs, mode: each,")
    jobs.operations += '\n@operation("parsing.more")\ndef more() -> None: ...\n'
    jobs.lock()
    assert "x-why: both" in jobs.text


def test_own_keys_stay_with_their_item_of_a_list(jobs):
    jobs.lock()
    jobs.edit("outputs: [{model: CleanedJobs}]", "outputs: [{model: CleanedJobs, x-why: mine}]")
    jobs.operations = jobs.operations.replace("-> CleanedJobs", "-> tuple[MergedJobs, CleanedJobs]")
    jobs.lock()
    assert "outputs: [{model: MergedJobs}, {model: CleanedJobs, x-why: mine}]" in jobs.text
    assert jobs.check() == ()


def test_names_and_values_of_the_code_are_no_own_keys(jobs):
    def rewrite(header: str, field: str) -> None:
        jobs.write("jobs/headers.py", source.format(header=header, field=field))

    source = """
        from pydantic import BaseModel, Field
        from pulpo import datamodel, operation

        @datamodel
        class Answer(BaseModel):
            default: str = Field("", alias="{field}")

        @operation("ask")
        def ask(default: dict = {{"{header}": "1"}}) -> Answer: ...
    """
    rewrite("x-before", "x-old")
    jobs.lock()
    jobs.edit("      default: {schema:", "      default: {x-why: mine, schema:")
    rewrite("x-after", "x-new")
    jobs.lock()
    assert 'default: {x-after: "1"}' in jobs.text
    assert "x-new: {" in jobs.text
    assert "x-before" not in jobs.text
    assert "x-old" not in jobs.text
    assert "{x-why: mine, schema:" in jobs.text


def test_an_own_key_at_any_depth_makes_an_orphan(jobs):
    jobs.operations += '\n@operation("more")\ndef more(headers: dict = {"x-a": 1}, size: int = 1) -> None: ...\n'
    jobs.lock()
    more = jobs.operations.rindex("\n@operation")
    everything, jobs.operations = jobs.operations, jobs.operations[:more]
    assert jobs.lock(check=True).diagnostics == ()
    jobs.edit("size: {schema:", "size: {x-why: mine, schema:")
    (orphan,) = jobs.lock().diagnostics
    assert orphan.message == "it left the code, but has hand edits: parameters.size.x-why"
    jobs.operations = everything
    jobs.lock()
    assert "size: {x-why: mine, schema:" in jobs.text
    assert jobs.check() == ()


def test_the_order_of_parameters_is_part_of_the_lock(jobs):
    jobs.operations += '\n@operation("parsing.more")\ndef more(b: int = 1, a: int = 2) -> None: ...\n'
    jobs.lock()
    jobs.operations = jobs.operations.replace("b: int = 1, a: int = 2", "a: int = 2, b: int = 1")
    assert jobs.check()
    jobs.lock()
    after = jobs.text
    jobs.path.unlink()
    jobs.lock()
    assert jobs.text == after
    assert jobs.check() == ()


def test_the_order_of_entries_in_the_file_means_nothing(jobs):
    jobs.operations += '\n@operation("b.one")\ndef one(x: list[RawJobs]) -> list[RawJobs]: ...\n@operation("b.two")\ndef two(x: list[RawJobs]) -> list[RawJobs]: ...\n'
    jobs.lock()
    head, tail = jobs.text.split("  b.one:\n", 1)
    one, rest = tail.split("  b.two:\n", 1)
    two, rest = rest.split("  parsing.clean:\n", 1)
    jobs.path.write_text(f"{head}  b.two:\n{two}  b.one:\n{one}  parsing.clean:\n{rest}")
    assert [d.code for d in jobs.check()] == ["PLP209"]
    assert not jobs.lock().stale


def test_what_the_schema_can_not_hold_is_a_problem_of_the_declaration(jobs):
    jobs.operations += '\n@operation("parsing.more")\ndef more(größe: int) -> None: ...\n'
    with pytest.raises(DiagnosticsError) as raised:
        jobs.lock()
    assert [(d.code, d.place.line) for d in raised.value.diagnostics] == [("PLP114", 14)]


def test_a_text_that_no_file_can_hold_is_a_problem_of_the_declaration(jobs):
    jobs.operations = jobs.operations.replace("retries=3", 'description="\\ud83d"')
    with pytest.raises(DiagnosticsError) as raised:
        jobs.lock()
    (problem,) = raised.value.diagnostics
    assert (problem.code, str(problem.place)) == ("PLP006", "jobs/operations.py:4:52")
    jobs.operations = OPERATIONS
    jobs.lock()
    jobs.operations = jobs.operations.replace("retries=3", 'description="\\ud83d"')
    with pytest.raises(DiagnosticsError, match="PLP006"):
        jobs.lock()
