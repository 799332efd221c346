"""What people do to the lock, and how `lock` and `check` tell of it."""

from __future__ import annotations

import pytest

from pulpo.errors import DiagnosticsError, UsageError
from pulpo.lock.explain import ownership
from pulpo.lock.git_merge import merge_texts
from pulpo.lock.merge import MISSING

FETCH = "operations.scraping.stepstone.fetch"


def explained(jobs, path: str):
    return ownership(jobs._afresh(), path)


def owner(jobs, path: str) -> str:
    (one,) = explained(jobs, path)
    return one.owner


def said(jobs, path: str) -> dict[str, object]:
    (one,) = explained(jobs, path)
    return {s.who: (None if s.value is MISSING else s.value) for s in one.said}


@pytest.fixture
def edited(jobs):
    """Two settings edited by hand, with comments, and the code changed on both."""
    jobs.operations = jobs.operations.replace('@operation("parsing.clean")', '@operation("parsing.clean", retries=1)')
    jobs.lock()
    jobs.edit("retries: 3\n", "retries: 5  # flaky\n")
    jobs.edit("retries: 1\n", "retries: 2  # rarely\n")
    return jobs


def conflict(jobs):
    jobs.operations = jobs.operations.replace("retries=3", "retries=4").replace("retries=1", "retries=0")
    return jobs


def test_all_conflicts_are_told_at_once_with_both_places(edited):
    with pytest.raises(DiagnosticsError) as raised:
        conflict(edited).lock()
    told = [(d.code, str(d.place), [str(r.place) for r in d.related]) for d in raised.value.diagnostics]
    lines = edited.text.splitlines()
    rarely, flaky = (next(n for n, line in enumerate(lines, 1) if word in line) for word in ("# rarely", "# flaky"))
    assert told == [
        ("PLP303", f"pulpo.lock.yaml:{rarely}:14", ["jobs/operations.py:10:37"]),
        ("PLP303", f"pulpo.lock.yaml:{flaky}:14", ["jobs/operations.py:4:48"]),
    ]


def test_one_conflict_is_settled_and_the_other_is_still_told(edited):
    before = conflict(edited).text
    with pytest.raises(DiagnosticsError) as raised:
        edited.lock(prefer="manifest", paths=[FETCH])
    assert [d.path[1] for d in raised.value.diagnostics] == ["parsing.clean"]
    assert edited.text == before


def test_conflicts_are_settled_by_path(edited):
    conflict(edited).lock(prefer="code", paths=[f"{FETCH}.retries", "operations.parsing"])
    assert "retries: 4  # flaky" in edited.text
    assert "retries: 0  # rarely" in edited.text
    assert edited.check() == ()


def test_a_path_without_a_conflict_is_refused(edited):
    before = conflict(edited).text
    with pytest.raises(UsageError, match=r"there is no conflict at: operations\.scraping\.linkedin") as raised:
        edited.lock(prefer="code", paths=[FETCH, "operations.scraping.linkedin"])
    assert raised.value.hint == "there are at: operations.parsing.clean.retries"
    assert edited.text == before


def test_settling_changes_only_what_was_declared(edited):
    before = conflict(edited).text
    edited.lock(prefer="manifest")
    changed = [(old, new) for old, new in zip(before.splitlines(), edited.text.splitlines(), strict=True) if old != new]
    assert [new for _, new in changed if "digest" not in new] == ["      retries: 0", "      retries: 4"]
    assert len(changed) == 4


def test_a_value_replaced_all_over_the_file_is_no_lost_edit(jobs):
    jobs.lock()
    jobs.path.write_text(jobs.text.replace("retries: 3", "retries: 5"))
    before = jobs.text
    with pytest.raises(DiagnosticsError, match="one of the two was changed, and `declared` does not tell which"):
        jobs.lock()
    assert jobs.text == before
    assert [d.code for d in jobs.check()] == ["PLP303"]
    jobs.lock(prefer="manifest")
    assert jobs.text.count("retries: 5") == 1
    assert not jobs.lock().stale
    assert jobs.check() == ()


def test_a_line_that_a_merge_lost_is_no_lost_edit(jobs):
    jobs.lock()
    jobs.edit("    retries: 3\n", "")
    jobs.edit("      retries: 3\n", "")
    with pytest.raises(DiagnosticsError, match="PLP303"):
        jobs.lock()


def test_what_was_declared_without_a_digest_is_taken_at_its_word(jobs):
    jobs.lock()
    jobs.path.write_text("".join(line for line in jobs.text.splitlines(keepends=True) if "digest" not in line))
    jobs.edit("retries: 3", "retries: 5")
    jobs.lock()
    assert (jobs.text.count("retries: 5"), jobs.text.count("digest: d")) == (1, 4)


def test_check_tells_a_conflict_once(edited):
    assert [d.code for d in conflict(edited).check()] == ["PLP303", "PLP303"]


def test_overrides_are_notes_for_reviewers(edited):
    edited.edit("operations:\n", "operations:\n  by.hand:\n    origin: manifest\n    entrypoint: jobs.operations:clean\n")
    edited.edit("    key: [url]\n", "")
    notes = [d for d in edited.check(code=False, show_overrides=True) if d.code == "PLP302"]
    assert [(d.severity, ".".join(map(str, d.path)), d.message) for d in notes] == [
        ("note", "models.CleanedJobs.key", "taken out by hand: the decorator says [url]"),
        ("note", "operations.by.hand", "written by hand: no decorator is behind it"),
        ("note", "operations.parsing.clean.retries", "set by hand to 2: the decorator says 1"),
        ("note", "operations.scraping.stepstone.fetch.retries", "set by hand to 5: the decorator says 3"),
    ]
    assert [d.code for d in edited.check(code=False)] == []


def test_who_owns_a_value(edited):
    edited.path.write_text(edited.text + "flows:\n  scraping: {tags: [x], x-team: data}\n")
    assert owner(edited, f"{FETCH}.retries") == "lock"
    assert said(edited, f"{FETCH}.retries") == {"lock": 5, "code": 3, "declared": 3}
    assert owner(edited, f"{FETCH}.entrypoint") == "code"
    assert owner(edited, "operations.parsing.clean.inputs.raw.from") == "pulpo lock"
    assert owner(edited, "operations.parsing.clean.timeout") == "nobody"
    assert owner(edited, "flows.scraping.tags[0]") == "lock"
    assert owner(edited, "flows.scraping.x-team") == "lock"
    assert owner(edited, f"declared.{FETCH}.retries") == "pulpo lock"
    assert owner(edited, "models.RawJobs.key") == "code"
    assert owner(edited, "project.name") == "code"
    conflict(edited)
    assert owner(edited, f"{FETCH}.retries") == "both"


def test_who_owns_what_is_on_one_side_only(jobs):
    jobs.lock()
    jobs.edit("retries: 3\n", "retries: 5\n")
    jobs.edit("  parsing.clean:\n", "  by.hand:\n    entrypoint: jobs.operations:clean\n  parsing.clean:\n    origin: manifest\n")
    jobs.operations = jobs.operations.replace('"scraping.stepstone.fetch"', '"a.fetch", previously="scraping.stepstone.fetch"')
    jobs.operations = jobs.operations.replace('@operation("scraping.linkedin.fetch")\n', "")
    entries = {
        "a.fetch.retries": ("code", "adds it"),
        "scraping.stepstone.fetch.retries": ("lock", "a hand edit"),
        "scraping.linkedin.fetch.async": ("code", "drops it"),
        "by.hand.entrypoint": ("lock", "--prune"),
        "parsing.clean.async": ("both", "a conflict"),
    }
    for path, (owned_by, why) in entries.items():
        (one,) = explained(jobs, f"operations.{path}")
        assert (one.owner, why in one.why) == (owned_by, True), path
    assert said(jobs, "operations.scraping.stepstone.fetch.retries") == {"lock": 5, "code": 3, "declared": 3}


def test_an_entry_is_explained_field_by_field(edited):
    assert [one.path[-1] for one in explained(edited, FETCH)] == [
        "entrypoint", "async", "parameters", "inputs", "outputs", "retries",
    ]  # fmt: skip


def test_a_path_that_is_not_there_is_told_with_a_near_miss(jobs):
    jobs.lock()
    with pytest.raises(UsageError, match=r"there is nothing at: operations\.parsing\.claen\.retries") as raised:
        explained(jobs, "operations.parsing.claen.retries")
    assert raised.value.hint == "did you mean 'operations.parsing.clean'?"
    with pytest.raises(UsageError) as raised:
        explained(jobs, "parsing.clean.retries")
    assert raised.value.hint == "did you mean 'operations.parsing.clean.retries'?"
    with pytest.raises(UsageError, match=r"there is nothing at: $"):
        explained(jobs, "")


def test_a_rename_takes_edits_comments_and_mentions_along(jobs):
    jobs.operations += '\n@operation("parsing.more")\ndef more() -> None: ...\n'
    jobs.lock()
    jobs.edit("  scraping.stepstone.fetch:\n", "  # the slow one\n  scraping.stepstone.fetch:  # mine\n")
    jobs.edit("retries: 3\n", "retries: 5  # flaky\n")
    jobs.edit("    outputs: []\n", "    outputs: []\n    after: [scraping.stepstone.fetch]  # quiet then\n")
    jobs.path.write_text(
        jobs.text + "environments:\n  prod:\n    operations:\n      scraping.stepstone.fetch: {timeout: 9}  # slow there\n"
    )
    jobs.operations = jobs.operations.replace(
        '"scraping.stepstone.fetch", retries=3', '"a.fetch", retries=3, previously=["scraping.stepstone.fetch"]'
    )
    jobs.lock()
    assert "\n  # the slow one\n  a.fetch:  # mine\n" in jobs.text
    assert "retries: 5  # flaky\n" in jobs.text
    assert "after: [a.fetch]  # quiet then\n" in jobs.text
    assert "      a.fetch: {timeout: 9}  # slow there\n" in jobs.text
    assert "scraping.stepstone" not in jobs.text
    assert jobs.check() == ()


def test_a_rename_is_no_change_of_what_mentions_it(jobs):
    jobs.operations += (
        '\n@operation("more", after=["parsing.clean"])\ndef more() -> None: ...\n@operation("last")\ndef last() -> None: ...\n'
    )
    jobs.lock()
    jobs.edit("    after: [parsing.clean]\n", "    after: [parsing.clean, last]  # both\n")
    jobs.path.write_text(
        jobs.text + "flows:\n  last: {tags: [nightly]}  # alone\n"
        "environments:\n  prod:\n    operations:\n      more: {after: [last]}\n    flows: {last: {tags: []}}\n"
    )
    for old, new in (("parsing.clean", "parsing.tidy"), ("last", "end")):
        jobs.operations = jobs.operations.replace(f'@operation("{old}"', f'@operation("{new}", previously="{old}"')
    jobs.operations = jobs.operations.replace('after=["parsing.clean"]', 'after=["parsing.tidy"]')
    jobs.lock()
    assert "    after: [parsing.tidy, end]  # both\n" in jobs.text
    assert "\n  end: {tags: [nightly]}  # alone\n" in jobs.text
    assert "      more: {after: [end]}\n    flows: {end: {tags: []}}\n" in jobs.text
    assert jobs.check() == ()


def test_a_decorator_that_still_says_the_former_name_is_told(jobs):
    jobs.operations += '\n@operation("more", after=["parsing.clean"])\ndef more() -> None: ...\n'
    jobs.lock()
    jobs.operations = jobs.operations.replace('"parsing.clean")\n', '"parsing.tidy", previously="parsing.clean")\n')
    with pytest.raises(DiagnosticsError) as raised:
        jobs.lock()
    assert [(d.code, d.place.file) for d in raised.value.diagnostics] == [("PLP202", "jobs/operations.py")]


def test_no_overlay_is_lost_where_a_rename_meets_one_of_the_new_name(jobs):
    jobs.lock()
    overlay = "environments:\n  prod:\n    operations:\n      parsing.clean: {retries: 1}\n      parsing.tidy: {retries: 2}\n"
    jobs.path.write_text(jobs.text + overlay)
    jobs.operations = jobs.operations.replace('"parsing.clean")\n', '"parsing.tidy", previously="parsing.clean")\n')
    with pytest.raises(DiagnosticsError, match=r"no operation has the name: parsing\.clean"):
        jobs.lock()
    assert jobs.text.endswith(overlay)


def test_a_conflict_is_told_at_its_line_under_the_former_name(edited):
    conflict(edited)
    edited.operations = edited.operations.replace(
        '"scraping.stepstone.fetch"', '"a.fetch", previously="scraping.stepstone.fetch"'
    )
    with pytest.raises(DiagnosticsError) as raised:
        edited.lock()
    found = next(d for d in raised.value.diagnostics if d.path == ("operations", "a.fetch", "retries"))
    assert "retries: 5" in edited.text.splitlines()[found.place.line - 1]


def test_two_operations_can_not_both_have_been_one(jobs):
    jobs.lock()
    jobs.edit("retries: 3\n", "retries: 5\n")
    jobs.operations = jobs.operations.replace(
        '"scraping.stepstone.fetch", retries=3', '"b.fetch", retries=3, previously="scraping.stepstone.fetch"'
    )
    jobs.operations += '\n@operation("a.fetch", retries=3, previously="scraping.stepstone.fetch")\ndef a() -> None: ...\n'
    manifest = jobs.lock().manifest
    assert (manifest.operations["a.fetch"].retries, manifest.operations["b.fetch"].retries) == (5, 3)


def test_a_name_that_the_code_still_has_gives_its_edits_to_nobody(jobs):
    jobs.lock()
    jobs.edit("retries: 3\n", "retries: 5\n")
    jobs.operations += '\n@operation("a.fetch", previously="scraping.stepstone.fetch")\ndef a() -> None: ...\n'
    manifest = jobs.lock().manifest
    assert (manifest.operations["a.fetch"].retries, manifest.operations["scraping.stepstone.fetch"].retries) == (None, 5)


def test_only_the_code_can_be_given_what_it_declares_and_a_hand_wrote(jobs):
    jobs.lock()
    before = jobs.text
    jobs.edit("  parsing.clean:\n", "  parsing.clean:\n    origin: manifest\n")
    with pytest.raises(DiagnosticsError, match="written by hand"):
        jobs.lock(prefer="manifest")  # or the next `lock` would ask again
    jobs.lock(prefer="code", paths=("operations.parsing",))
    assert jobs.text == before


def test_drift_of_structure_is_told_with_both_places_and_restored(jobs):
    jobs.lock()
    before = jobs.text
    jobs.edit("    async: false\n", "    async: true  # why not\n")
    (drift,) = jobs.check()
    assert (drift.code, drift.message) == ("PLP301", "the code says false, the lock says true")
    assert [r.place.file for r in drift.related] == ["jobs/operations.py"]
    jobs.lock()
    assert jobs.text == before.replace("    async: false\n", "    async: false  # why not\n")


def merged(base: str, ours: str, theirs: str):
    return merge_texts(base.encode(), ours.encode(), theirs.encode())


def test_what_two_branches_declare_of_one_operation_still_tells_a_hand_edit_after_a_merge(jobs):
    jobs.lock()
    jobs.edit("retries: 3\n", "retries: 5  # flaky\n")
    base, code, texts = jobs.text, jobs.operations, []
    for more in ("retries=3, category='a'", "retries=3, tags=['b']"):
        jobs.path.write_text(base)
        jobs.operations = code.replace("retries=3", more)
        jobs.lock()
        texts.append(jobs.text)
    result = merged(base, *texts)
    assert not result.conflict
    jobs.path.write_bytes(result.text)
    jobs.operations = code.replace("retries=3", "retries=3, category='a', tags=['b']")
    assert not jobs.lock().stale
    assert "retries: 5  # flaky\n" in jobs.text


def test_a_value_replaced_all_over_one_branch_is_a_conflict_with_the_decorator_of_the_other(jobs):
    jobs.lock()
    base = jobs.text
    jobs.operations = jobs.operations.replace("retries=3", "retries=4")
    jobs.lock()
    result = merged(base, jobs.text, base.replace("retries: 3", "retries: 5"))
    assert result.conflict
    assert ("operations", "scraping.stepstone.fetch", "retries") in result.paths


def test_a_digest_is_no_news_beside_the_value_that_it_is_of(jobs):
    jobs.lock()
    jobs.edit("retries: 3\n", "retries: 4\n")
    jobs.operations = jobs.operations.replace("retries=3", "retries=4")
    assert [".".join(d.path) for d in jobs.check()] == [f"declared.{FETCH}.retries"]
    jobs.lock()
    jobs.path.write_text("".join(line for line in jobs.text.splitlines(keepends=True) if "digest" not in line))
    assert {d.path[-1] for d in jobs.check()} == {"digest"}
