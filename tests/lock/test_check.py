"""`check`: what is wrong with the lock, and where."""

from __future__ import annotations

import pytest


def found(jobs, **options) -> list[str]:
    return [
        f"{d.place.line if d.place else '-'} {d.severity} {d.code} {'.'.join(map(str, d.path))}" for d in jobs.check(**options)
    ]


def line_of(jobs, text: str) -> int:
    return next(n for n, line in enumerate(jobs.text.splitlines(), 1) if text in line)


def test_a_project_without_a_lock_says_so(jobs):
    (problem,) = jobs.check()
    assert (problem.code, problem.hint) == ("PLP001", "run `pulpo lock` to make it from the code")


def test_a_changed_signature_is_drift_at_its_line(jobs):
    jobs.lock()
    jobs.operations = jobs.operations.replace("async def fetch_linkedin", "def fetch_linkedin")
    line = line_of(jobs, "jobs.operations:fetch_linkedin") + 1
    assert found(jobs) == [f"{line} error PLP301 operations.scraping.linkedin.fetch.async"]
    assert found(jobs, code=False) == []


def test_a_new_operation_is_drift(jobs):
    jobs.lock()
    jobs.operations += '\n@operation("parsing.count")\ndef count(jobs: list[CleanedJobs]) -> None: ...\n'
    assert [f.split(" ", 1)[1] for f in found(jobs)] == ["error PLP301 operations.parsing.count"]


def test_an_operation_that_left_is_drift(jobs):
    jobs.lock()
    jobs.operations = jobs.operations.split('@operation("parsing.clean")')[0]
    assert [f.split(" ", 1)[1] for f in found(jobs)] == ["error PLP301 operations.parsing.clean"]


def test_a_hand_edit_of_structure_is_drift_and_lock_restores_it(jobs):
    jobs.lock()
    before = jobs.text
    jobs.edit(
        "mode: each, from: [scraping.linkedin.fetch, scraping.stepstone.fetch]", "mode: each, from: [scraping.linkedin.fetch]"
    )
    line = line_of(jobs, "mode: each")
    assert found(jobs) == [f"{line} error PLP301 operations.parsing.clean.inputs.raw.from"]
    assert found(jobs, code=False) == found(jobs)  # the lock alone shows that it would resolve otherwise
    jobs.lock()
    assert jobs.text == before


def test_a_typo_in_after_is_found_without_the_code(jobs):
    jobs.lock()
    jobs.edit("    inputs:\n      raw:", "    after: [scraping.linkedin.fetsh]\n    inputs:\n      raw:")
    (problem,) = jobs.check(code=False)
    assert (problem.code, problem.hint) == ("PLP202", "did you mean 'scraping.linkedin.fetch'?")


def test_an_unknown_key_is_found_at_its_line(jobs):
    jobs.lock()
    jobs.edit("retries: 3", "retrys: 3")
    (problem,) = jobs.check()
    assert (problem.code, problem.place.line) == ("PLP101", line_of(jobs, "retrys"))
    assert "retries" in problem.message + (problem.hint or "")


def test_problems_of_the_code_come_with_its_places(jobs):
    jobs.lock()
    jobs.operations += '\n@operation("parsing.loop")\ndef loop(x: "Missing") -> None: ...\n'
    (problem,) = jobs.check()
    assert (problem.code, problem.place.file, problem.place.line) == ("PLP112", "jobs/operations.py", 14)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text",
        "[1, 2]",
        "version: 2\nproject: {name: x}\n",
        "<<<<<<< HEAD\nversion: 1\n=======\n>>>>>>> b\n",
        "a: 1\na: 2\n",
        "\t- x",
        "version: '1'",
    ],
)
def test_a_lock_that_can_not_be_used_is_a_diagnostic(jobs, text):
    jobs.path.write_text(text)
    problems = jobs.check()
    assert problems
    assert all(p.place for p in problems)


def test_a_cycle_is_found_in_the_code_with_every_operation(jobs):
    jobs.lock()
    jobs.operations += '\n@operation("parsing.back")\ndef back(c: MergedJobs) -> CleanedJobs: ...\n@operation("parsing.forth")\ndef forth(c: list[CleanedJobs]) -> MergedJobs: ...\n'
    (problem,) = [p for p in jobs.check() if p.code == "PLP206"]
    assert [str(r.place) for r in problem.related] == ["jobs/operations.py:14:10", "jobs/operations.py:16:11"]


@pytest.mark.parametrize(
    ("old", "new", "code", "hint"),
    [
        ("key: [url]", "key: [ulr]", "PLP114", "did you mean 'url'?"),
        ("declared:", "flows:\n  scrapping: {tags: [x]}\ndeclared:", "PLP213", "did you mean 'scraping'?"),
        (
            "declared:",
            "flows:\n  scraping: {schedule: {timezone: UTC}}\ndeclared:",
            "PLP214",
            'say when, such as cron: "0 6 * * *"',
        ),
        (
            "engine: embedded",
            "environment: {URI: 'mongodb://root:hunter2@db/x'}",
            "PLP215",
            "write a reference such as ${DB_PASSWORD} in its place",
        ),
    ],
)
def test_rules_that_no_schema_can_say(jobs, old, new, code, hint):
    jobs.lock()
    jobs.edit(old, new)
    assert [(d.code, d.hint) for d in jobs.check(code=False)] == [(code, hint)]
    assert all(d.place for d in jobs.check(code=False))


@pytest.mark.parametrize(
    ("section", "at"),
    [("flows:\n  scrapping: {tags: [x]}", 3), ("environments:\n  dev: {operations: {nothing: {retries: 3}}}", 22)],
)
def test_a_name_that_is_not_there_is_marked_itself_and_not_what_it_is_given(jobs, section, at):
    jobs.lock()
    jobs.edit("declared:", f"{section}\ndeclared:")
    (problem,) = jobs.check(code=False)
    assert problem.place.column == at


def test_a_model_that_is_not_there_is_marked_in_its_entry(jobs):
    jobs.lock()
    jobs.edit("model: RawJobs,", "model: RawJbos,")
    problem = next(d for d in jobs.check(code=False) if d.code == "PLP201")
    line = jobs.text.splitlines()[problem.place.line - 1]
    assert line[problem.place.column - 1 : problem.place.end_column - 1] == "RawJbos"


def test_a_reference_is_no_credential(jobs):
    jobs.lock()
    jobs.edit("engine: embedded", "environment: {URI: 'mongodb://root:${PASSWORD}@db/x'}")
    assert jobs.check() == ()


def test_a_lost_section_declared_is_drift(jobs):
    jobs.lock()
    jobs.path.write_text(jobs.text.split("declared:")[0])
    assert [f.split(" ", 1)[1] for f in found(jobs)] == ["error PLP301 declared"]
    assert jobs.lock(check=True).stale
