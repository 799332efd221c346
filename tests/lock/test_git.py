"""Branches of one project, merged by the real Git: without Pulpo, and with `pulpo merge` as its driver."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulpo.errors import UsageError
from pulpo.lock.git_merge import install, merge_texts
from pulpo.manifest.yaml_read import read
from pulpo.manifest.yaml_write import dumps

LOCK = "pulpo.lock.yaml"


class Repository:
    """A Git repository with nobody's settings but its own, on branch `main`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = root / LOCK
        root.mkdir(exist_ok=True)
        self("init", "--quiet", "--initial-branch=main")

    def __call__(self, *arguments: str, code: int = 0, stdin: IO[str] | None = None) -> str:
        people = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = {
            **os.environ,
            **people,
            "PATH": path,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_EDITOR": "true",
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=env, stdin=stdin, capture_output=True, text=True, check=False, timeout=60
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == code, f"git {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def commit(self, text: str | None = None) -> str:
        """Commit everything, with this as the lock where it is given; the commit's id."""
        if text is not None:
            self.lock.write_bytes(text.encode())
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "-m", "work")
        return self("rev-parse", "HEAD").strip()

    def branch(self, name: str, text: str, start: str = "main") -> str:
        self("checkout", "--quiet", "-B", name, start)
        return self.commit(text)

    def merged(self, base: str, ours: str, theirs: str) -> str:
        """What `git merge` makes of three versions, without conflicts; no working tree is touched."""

        def commit(text: str, *parents: str) -> str:
            self.lock.write_text(text)
            blob = self("hash-object", "-w", LOCK).strip()
            (self.root / "tree").write_text(f"100644 blob {blob}\t{LOCK}\n")
            with (self.root / "tree").open() as stream:
                tree = self("mktree", stdin=stream).strip()
            return self("commit-tree", tree, *(part for parent in parents for part in ("-p", parent)), "-m", "work").strip()

        start = commit(base)
        tree = self("merge-tree", "--write-tree", commit(ours, start), commit(theirs, start)).splitlines()[0]
        return self("cat-file", "-p", f"{tree}:{LOCK}")

    @property
    def text(self) -> str:
        return self.lock.read_bytes().decode()

    @property
    def data(self) -> Any:
        return read(self.text, LOCK).data


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def driven(repository: Repository) -> Repository:
    """A repository in which Git asks Pulpo."""
    install(repository.root)
    return repository


BASE = """\
# The jobs of the week.
version: 1
project: {name: jobs, modules: [jobs]}
models:
  Job:
    entrypoint: jobs:Job
    schema: {type: object}
operations:
  a.clean:
    entrypoint: jobs:clean
    async: false
    inputs:
      raw: {model: Job, mode: each, from: [b.fetch, c.fetch]}
    outputs: [{model: Job}]
    retries: 3
  b.fetch:
    entrypoint: jobs:fetch_b
    async: true
    inputs: {}
    outputs: [{model: Job}]
    tags: [slow]
  c.fetch:
    entrypoint: jobs:fetch_c
    async: true
    inputs: {}
    outputs: [{model: Job}]
declared:
  models:
    Job:
      {}
  operations:
    a.clean:
      retries: 3
    b.fetch:
      tags: [slow]
    c.fetch:
      {}
"""
RETRIES = "    retries: 3\n"
B_FETCH = BASE[BASE.index("  b.fetch:") : BASE.index("  c.fetch:")]
NEW = "  {0}:\n    entrypoint: jobs:{1}\n    async: true\n    inputs: {{}}\n    outputs: [{{model: Job}}]\n"


def changed(*edits: tuple[str, str], text: str = BASE) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def added(name: str, after: str) -> str:
    """A branch that adds a producer, as `pulpo lock` writes it: an entry, what is declared of it, and a line of its consumer."""
    entry = NEW.format(name, name.replace(".", "_"))
    sources = ", ".join(sorted(["b.fetch", "c.fetch", name]))
    end = BASE.index("  c.fetch:") if after == "b.fetch" else BASE.index("declared:")
    text = BASE[:end] + entry + BASE[end:]
    at = text.rindex("    c.fetch:\n") if after == "b.fetch" else len(text)
    text = f"{text[:at]}    {name}:\n      {{}}\n{text[at:]}"
    return text.replace("[b.fetch, c.fetch]", f"[{sources}]")


# Plain Git: nobody has set anything up.


def test_two_branches_that_add_the_first_settings_of_neighbours_merge_with_plain_git(repository):
    base = changed(("    b.fetch:\n      tags: [slow]", "    b.fetch:\n      {}"), ("    tags: [slow]\n", ""))
    ours = changed(
        ("    c.fetch:\n      {}", "    c.fetch:\n      retries: 9"),
        ("[{model: Job}]\ndecl", "[{model: Job}]\n    retries: 9\ndecl"),
        text=base,
    )
    theirs = changed(
        ("    b.fetch:\n      {}", "    b.fetch:\n      timeout: 8"),
        ("[{model: Job}]\n  c.", "[{model: Job}]\n    timeout: 8\n  c."),
        text=base,
    )
    repository.commit(base)
    repository.branch("theirs", theirs)
    repository.branch("ours", ours)
    repository("merge", "theirs")
    operations, declared = repository.data["operations"], repository.data["declared"]["operations"]
    assert (operations["b.fetch"]["timeout"], operations["c.fetch"]["retries"]) == (8, 9)
    assert declared == {"a.clean": {"retries": 3}, "b.fetch": {"timeout": 8}, "c.fetch": {"retries": 9}}


LIMITS = {
    "both add a producer of one model, so that the consumer's line changes on both sides": (
        added("b.more", "b.fetch"),
        added("d.fetch", "c.fetch"),
    ),
    "both add an operation in the same place": (added("c.more", "c.fetch"), added("d.fetch", "c.fetch")),
    "neighbours are deleted": (
        changed((B_FETCH, "")),
        changed((BASE[BASE.index("  a.clean:") : BASE.index("  b.fetch:")], "")),
    ),
    "a setting at the end of an entry, and a comment above the next": (
        changed((RETRIES, "    retries: 5\n")),
        changed(("  b.fetch:\n", "  # the slow one\n  b.fetch:\n")),
    ),
    "both edit the settings of one operation": (
        changed((RETRIES, "    retries: 5  # flaky\n")),
        changed((RETRIES, "    # a minute at most\n    retries: 3\n    timeout: 60\n")),
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_what_plain_git_can_not_merge_the_driver_can(repository, name):
    ours, theirs = LIMITS[name]
    repository.commit(BASE)
    repository.branch("theirs", theirs)
    repository.branch("ours", ours)
    repository("merge", "theirs", code=1)
    repository("merge", "--abort")
    install(repository.root)
    repository("merge", "theirs")
    before, mine, other = (read(text, LOCK).data["operations"] for text in (BASE, ours, theirs))
    operations = repository.data["operations"]
    assert operations.keys() == (mine.keys() & other.keys()) | (mine.keys() - before.keys()) | (other.keys() - before.keys())
    assert list(operations) == sorted(operations)
    for comment in ("# the slow one", "# flaky", "# a minute at most"):
        assert repository.text.count(comment) == (ours + theirs).count(comment)


def test_two_new_producers_are_both_in_the_consumers_line(driven):
    driven.commit(BASE)
    driven.branch("theirs", added("b.more", "b.fetch"))
    driven.branch("ours", added("d.fetch", "c.fetch"))
    driven("merge", "theirs")
    assert "raw: {model: Job, mode: each, from: [b.fetch, b.more, c.fetch, d.fetch]}" in driven.text


# The driver, in all that Git does.


def test_a_setting_that_both_changed_stands_between_markers_and_nothing_else_does(driven):
    driven.commit(BASE)
    driven.branch("theirs", changed((RETRIES, "    retries: 7\n"), ("[slow]", "[slow, night]")))
    driven.branch("ours", changed((RETRIES, "    # the site is flaky\n    retries: 5\n"), ("async: false", "async: true")))
    said = driven("merge", "theirs", code=1)
    assert "both branches changed operations.a.clean.retries" in said
    expected = changed(
        (RETRIES, "    # the site is flaky\n<<<<<<< ours\n    retries: 5\n=======\n    retries: 7\n>>>>>>> theirs\n"),
        ("async: false", "async: true"),
        ("[slow]", "[slow, night]"),
    )
    assert driven.text == expected
    assert driven("status", "--short").splitlines()[-1] == f"UU {LOCK}"


def test_an_edit_of_what_the_other_branch_deleted_is_a_conflict(driven):
    driven.commit(BASE)
    driven.branch("theirs", changed(("    tags: [slow]\n", "    tags: [slow]\n    timeout: 60  # seconds\n")))
    driven.branch("ours", changed((B_FETCH, ""), ("    b.fetch:\n      tags: [slow]\n", ""), ("b.fetch, ", "")))
    driven("merge", "theirs", code=1)
    entry = B_FETCH + "    timeout: 60  # seconds\n"
    assert f"<<<<<<< ours\n=======\n{entry}>>>>>>> theirs\n" in driven.text


def test_what_the_code_alone_decides_keeps_no_deleted_operation_alive(driven):
    driven.commit(BASE)
    driven.branch("theirs", changed(("jobs:fetch_b\n    async: true", "jobs:fetch_b\n    async: false")))
    driven.branch("ours", changed((B_FETCH, ""), ("    b.fetch:\n      tags: [slow]\n", ""), ("b.fetch, ", "")))
    driven("merge", "theirs")
    assert list(driven.data["operations"]) == ["a.clean", "c.fetch"]


def test_a_setting_that_both_changed_in_the_code_is_for_the_code_to_settle(driven):
    driven.commit(BASE)
    driven.branch("theirs", BASE.replace("retries: 3", "retries: 7"))
    driven.branch("ours", BASE.replace("retries: 3", "retries: 5"))
    driven("merge", "theirs")
    assert driven.text == BASE.replace("retries: 3", "retries: 5")


def test_what_is_declared_is_never_a_conflict(driven):
    driven.commit(BASE)
    driven.branch("theirs", changed(("      retries: 3", "      retries: 7"), ("      tags: [slow]", "      tags: [night]")))
    driven.branch("ours", changed(("      retries: 3", "      retries: 5")))
    driven("merge", "theirs")
    assert driven.data["declared"]["operations"] == {"a.clean": {"retries": 5}, "b.fetch": {"tags": ["night"]}, "c.fetch": {}}


@pytest.mark.parametrize("renamer", ["ours", "theirs"])
def test_an_edit_follows_an_operation_that_the_other_branch_renamed(driven, renamer):
    entry = BASE[BASE.index("  a.clean:") : BASE.index("  b.fetch:")]
    rename = changed((entry, ""), ("declared:\n", f"{entry.replace('a.clean', 'd.clean')}declared:\n"))
    rename = changed(("    a.clean:\n      retries: 3\n", ""), text=rename) + "    d.clean:\n      retries: 3\n"
    edit = changed((RETRIES, "    retries: 5  # flaky\n"), ("[b.fetch, c.fetch]", "[b.fetch]"))
    driven.commit(BASE)
    for name in ("theirs", "ours"):
        driven.branch(name, rename if name == renamer else edit)
    driven("merge", "theirs")
    assert list(driven.data["operations"]) == ["b.fetch", "c.fetch", "d.clean"]
    assert driven.data["operations"]["d.clean"]["inputs"]["raw"]["from"] == ["b.fetch"]
    assert "  d.clean:\n" in driven.text
    assert driven.text.count("    retries: 5  # flaky\n") == 1
    assert driven.data["declared"]["operations"]["d.clean"] == {"retries": 3}


@pytest.mark.parametrize("renamer", ["ours", "theirs"])
def test_comments_beside_names_that_the_other_branch_gives_up_stay(driven, renamer):
    rename = BASE.replace("  c.fetch:\n", "  d.fetch:\n").replace("c.fetch]", "d.fetch]")
    edit = changed(("  c.fetch:\n", "  c.fetch:  # the site is slow\n"))
    edit = changed(("    c.fetch:\n      {}\n", "    c.fetch:\n      {}  # as it was\n"), text=edit)
    driven.commit(BASE)
    for name in ("theirs", "ours"):
        driven.branch(name, rename if name == renamer else edit)
    driven("merge", "theirs")
    assert list(driven.data["operations"]) == list(driven.data["declared"]["operations"]) == ["a.clean", "b.fetch", "d.fetch"]
    assert (driven.text.count("# the site is slow\n"), driven.text.count("# as it was\n")) == (1, 1)


def test_a_comment_beside_a_text_with_a_number_sign_is_a_comment(driven):
    base = changed((RETRIES, '    description: "see # 5"\n'), ("    a.clean:\n      retries: 3\n", ""))
    driven.commit(base)
    driven.branch("theirs", changed(('"see # 5"\n', '"see # 5"  # for the story\n'), text=base))
    driven.branch("ours", changed(('    description: "see # 5"\n', "    timeout: 60\n"), text=base))
    said = driven("merge", "theirs", code=1)
    assert "both branches changed operations.a.clean.description" in said
    assert '=======\n    description: "see # 5"  # for the story\n>>>>>>> theirs\n' in driven.text


def test_what_both_branches_set_at_the_end_of_a_section_stands_above_the_blank_line(driven):
    base = changed(("declared:\n", "\ndeclared:\n"))
    driven.commit(base)
    driven.branch("theirs", changed(("[{model: Job}]\n\n", "[{model: Job}]\n    timeout: 60\n\n"), text=base))
    driven.branch("ours", changed(("[{model: Job}]\n\n", "[{model: Job}]\n    retries: 5\n\n"), text=base))
    driven("merge", "theirs")
    assert "    retries: 5\n    timeout: 60\n\ndeclared:\n" in driven.text


@pytest.mark.parametrize("verb", ["rebase", "cherry-pick", "stash pop"])
def test_rebase_cherry_pick_and_stash_ask_the_driver_as_well(driven, verb):
    driven.commit(BASE)
    ours, theirs = LIMITS["both add an operation in the same place"]
    if verb == "stash pop":
        driven.lock.write_text(theirs)
        driven("stash")
        driven.commit(ours)
        driven("stash", "pop")
    else:
        driven.branch("theirs", theirs)
        driven.branch("ours", ours)
        driven(verb, "theirs")
    assert list(driven.data["operations"]) == ["a.clean", "b.fetch", "c.fetch", "c.more", "d.fetch"]


def test_a_lock_that_both_branches_made_anew(driven):
    driven.commit()
    driven.branch("theirs", changed((RETRIES, f"{RETRIES}    timeout: 60  # seconds\n")))
    driven.branch("ours", changed(("[slow]", "[slow]  # at night")), start="main")
    driven("merge", "theirs")
    assert driven.text == changed((RETRIES, f"{RETRIES}    timeout: 60  # seconds\n"), ("[slow]", "[slow]  # at night"))


def test_branches_that_merged_each_other_before(driven):
    driven.commit(BASE)
    one = driven.branch("one", changed((RETRIES, "    retries: 5\n")))
    two = driven.branch("two", changed((RETRIES, "    retries: 7\n")))
    merged = {}
    for name, other, value in (("one", two, 5), ("two", one, 7)):
        driven("checkout", "--quiet", name)
        driven("merge", other, code=1)
        merged[name] = driven.commit(
            changed((RETRIES, f"    retries: {value}\n"), ("[slow]", f"[slow, {name}]" if name == "one" else "[slow]"))
        )
    said = driven("merge", "one", code=1)
    assert "both branches changed operations.a.clean.retries" in said
    assert "tags: [slow, one]\n" in driven.text
    assert "<<<<<<< ours\n    retries: 7\n=======\n    retries: 5\n>>>>>>> theirs\n" in driven.text


@pytest.mark.parametrize("new_ends", ["ours", "theirs", "both"])
def test_windows_line_ends_of_one_branch_are_no_change_of_every_line(driven, new_ends):
    driven("config", "core.autocrlf", "false")
    texts = {"theirs": changed(("[slow]", "[slow, x]")), "ours": changed((RETRIES, "    retries: 5\n"))}
    driven.commit(BASE.replace("\n", "\r\n") if new_ends == "both" else BASE)
    for name, text in texts.items():
        driven.branch(name, text.replace("\n", "\r\n") if new_ends in (name, "both") else text)
    driven("merge", "theirs")
    assert driven.text == changed(("[slow]", "[slow, x]"), (RETRIES, "    retries: 5\n")).replace("\n", "\r\n")


@pytest.mark.parametrize(
    "broken",
    [changed(("  Job:\n", "  Job\n")), changed(("version: 1", "version: 2")), changed(("[slow]", "!tag [slow]"))],
    ids=["no YAML", "a newer version", "a tag"],
)
def test_where_a_version_can_not_be_read_gits_own_conflicts_stand(driven, broken):
    driven.commit(BASE)
    driven.branch("theirs", changed((RETRIES, "    retries: 7\n"), text=broken))
    driven.branch("ours", changed((RETRIES, "    retries: 5\n")))
    driven("merge", "theirs", code=1)
    assert "<<<<<<< ours\n    retries: 5\n=======\n    retries: 7\n>>>>>>> theirs\n" in driven.text


def test_anchors_that_lines_of_their_own_can_not_carry_are_left_to_git():
    base = changed(("tags: [slow]\n", "tags: &tags [slow]\n"), ("[{model: Job}]\ndecl", "[{model: Job}]\n    tags: *tags\ndecl"))
    ours = changed(("    tags: &tags [slow]\n", ""), ("*tags", "[slow]"), text=base)
    theirs = changed(("    tags: *tags\n", "    tags: *tags\n    retries: 1\n"), (RETRIES, "    retries: 4\n"), text=base)
    merge = merge_texts(base.encode(), changed((RETRIES, "    retries: 5\n"), text=ours).encode(), theirs.encode())
    assert merge.conflict
    assert b"<<<<<<< ours" in merge.text


def test_a_section_that_one_branch_wrote_on_one_line():
    base = changed(("declared:\n", "services:\n  db: {image: one}\n  ui: {image: one}\ndeclared:\n"))
    ours = changed(("db: {image: one}", "db: {image: two}  # newer"), text=base)
    theirs = changed(("\n  db: {image: one}\n  ui: {image: one}", " {db: {image: one}, ui: {image: three}}"), text=base)
    for one, other in ((ours, theirs), (theirs, ours)):
        merge = merge_texts(base.encode(), one.encode(), other.encode())
        assert not merge.conflict
        assert read(merge.text.decode(), LOCK).data["services"] == {"db": {"image": "two"}, "ui": {"image": "three"}}
        assert b"# newer" in merge.text


def test_bytes_that_are_no_text_are_left_as_they_are():
    assert merge_texts(b"a", b"\x00b", b"\x00c").text == b"\x00b"
    assert merge_texts(b"a", b"\xffb\n", b"\xffc\n").conflict


# Setting it up.


def test_installing_twice_changes_nothing_and_keeps_what_was_there(repository):
    attributes = repository.root / ".gitattributes"
    attributes.write_text("*.csv -diff")
    assert [line.split(":")[0] for line in install(repository.root)] == [
        "git config merge.pulpo.name",
        "git config merge.pulpo.driver",
        ".gitattributes",
    ]
    assert attributes.read_text() == f"*.csv -diff\n{LOCK} merge=pulpo\n"
    assert install(repository.root) == []
    assert attributes.read_text() == f"*.csv -diff\n{LOCK} merge=pulpo\n"


def test_installing_in_a_part_of_a_repository_is_for_all_of_it(repository):
    part = repository.root / "teams" / "jobs"
    part.mkdir(parents=True)
    assert install(part)
    assert "teams/jobs/pulpo.lock.yaml: merge: pulpo" in repository("check-attr", "merge", f"teams/jobs/{LOCK}")


def test_installing_needs_a_repository(tmp_path):
    with pytest.raises(UsageError, match="not a git repository"):
        install(tmp_path)


def test_without_pulpo_the_driver_merges_as_git_does(driven, monkeypatch, tmp_path_factory):
    driven.commit(BASE)
    driven.branch("theirs", changed((RETRIES, "    retries: 7\n")))
    driven.branch("ours", changed((RETRIES, "    retries: 5\n"), ("[slow]", "[slow, x]")))
    monkeypatch.setattr(sys, "executable", str(tmp_path_factory.mktemp("bin") / "python"))
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if not (Path(p) / "pulpo").exists())
    monkeypatch.setenv("PATH", path)
    driven("merge", "theirs", code=1)
    assert driven.text.count("<<<<<<<") == 1
    assert "[slow, x]" in driven.text


# Any branches.

OPERATIONS = ["a.one", "a.two", "b.one", "b.two", "c.one"]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "retries": st.integers(0, 9),
    "timeout": st.integers(1, 9),
    "tags": st.lists(st.sampled_from("xyz"), max_size=2),
    "cache": st.fixed_dictionaries({"ttl": st.integers(1, 3)}, optional={"x-why": st.sampled_from("xyz")}),
}
a_setting = st.sampled_from(sorted(VALUES))
edits = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), a_setting).flatmap(
        lambda where: st.tuples(st.just(where), st.none() | VALUES[where[1]], st.sampled_from(["", "above", "beside"]))
    ),
    max_size=5,
)


def manifest_of(operations: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"version": 1, "project": {"name": "p"}, "operations": operations, "declared": {"operations": {}}}


def edited(text: str, changes: list[Any], branch: str) -> str:
    """The text as somebody leaves who makes these changes by hand, each perhaps with a comment."""
    lines = text.splitlines()
    for number, ((operation, setting), value, comment) in enumerate(changes):
        start = lines.index(f"  {operation}:") + 1
        end = next(n for n in range(start, len(lines)) if not lines[n].startswith("   "))
        at = next((n for n in range(start, end) if lines[n].startswith(f"    {setting}:")), None)
        if value is None:
            lines[start:end] = [line for n, line in enumerate(lines[start:end], start) if n != at]
            continue
        new = dumps({setting: value}).splitlines()[-1]
        note = f"# {branch}{number} of {operation} {setting}"
        text_of = [f"    {note}", f"    {new}"] if comment == "above" else [f"    {new}  {note}" if comment else f"    {new}"]
        lines[slice(end, end) if at is None else slice(at, at + 1)] = text_of
    return "\n".join(lines) + "\n"


def settings_of(text: str) -> dict[tuple[str, str], Any]:
    operations = read(text, LOCK).data["operations"]
    return {(name, key): value for name, entry in operations.items() for key, value in entry.items()}


MODELS = "from pydantic import BaseModel\nfrom pulpo import datamodel\n" + "".join(
    f"\n@datamodel\nclass M{n}(BaseModel):\n    url: str\n" for n in range(len(OPERATIONS) + 1)
)
a_function = st.fixed_dictionaries(
    {
        "retries": st.none() | st.integers(0, 3),
        "about": st.none() | st.sampled_from(["Cleans.", "Fetches: all of it."]),
        "limit": st.none() | st.integers(1, 3),
        "is_async": st.booleans(),
    }
)
by_hand = st.lists(
    st.tuples(st.sampled_from(["timeout", "concurrency", "tags"]), st.sampled_from(["", "above", "beside"])), max_size=2
)


def code_of(functions: dict[str, dict[str, Any]]) -> str:
    text = "from jobs.models import *\nfrom pulpo import operation\n"
    for number, (name, one) in enumerate(functions.items()):
        setting = "" if one["retries"] is None else f", retries={one['retries']}"
        limit = "" if one["limit"] is None else f", limit: int = {one['limit']}"
        about = "..." if one["about"] is None else f'"{one["about"]}"'
        head = f"{'async ' if one['is_async'] else ''}def {name.replace('.', '_')}(raw: M{number}{'' if number else ' | None'}{limit}) -> M{number + 1}"
        text += f"\n@operation({name!r}{setting})\n{head}: {about}\n"
    return text


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_branches_that_touch_different_operations_merge_with_plain_git(jobs, data):
    repository = Repository(jobs.root / "repository")
    jobs.write("jobs/models.py", MODELS)
    functions = {name: data.draw(a_function) for name in OPERATIONS}

    def locked(text: str | None, code: dict[str, dict[str, Any]]) -> str:
        jobs.path.unlink(missing_ok=True) if text is None else jobs.path.write_text(text)
        jobs.operations = code_of(code)
        jobs.lock()
        return jobs.text

    base = locked(None, functions)
    whose = {name: data.draw(st.sampled_from(["ours", "theirs", "nobody"])) for name in OPERATIONS}
    codes, texts = {"merged": dict(functions)}, {}
    for branch in ("ours", "theirs"):
        mine = [name for name in OPERATIONS if whose[name] == branch]
        codes[branch] = functions | {name: data.draw(a_function) for name in mine}
        codes["merged"] |= {name: codes[branch][name] for name in mine}
        hand = [((name, key), ["x"] if key == "tags" else 5, how) for name in mine for key, how in data.draw(by_hand)]
        texts[branch] = locked(edited(base, hand, branch), codes[branch])
    merged = repository.merged(base, texts["ours"], texts["theirs"])
    assert locked(merged, codes["merged"]) == merged
    assert jobs.check() == ()
    entries = {branch: read(text, LOCK).data["operations"] for branch, text in texts.items()}
    for name, entry in read(merged, LOCK).data["operations"].items():
        assert entry == entries["theirs" if whose[name] == "theirs" else "ours"][name]
    for line in (texts["ours"] + texts["theirs"]).splitlines():
        assert "# ours" not in line.replace("# theirs", "# ours") or line in merged.splitlines()


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_any_edits_of_two_branches_are_all_in_the_merge_or_in_a_conflict(data):
    first = {
        name: {"entrypoint": f"m:{name.replace('.', '_')}", **data.draw(st.fixed_dictionaries({}, optional=VALUES))}
        for name in OPERATIONS
    }
    base = dumps(manifest_of(first))
    ours, theirs = (edited(base, data.draw(edits), branch) for branch in ("ours", "theirs"))
    merge = merge_texts(base.encode(), ours.encode(), theirs.encode())
    text = merge.text.decode()
    before, mine, other = map(settings_of, (base, ours, theirs))
    gone = object()
    expected, clash = {}, False
    for key in {**before, **mine, **other}:
        b, o, t = (side.get(key, gone) for side in (before, mine, other))
        both = key[1] == "cache" and isinstance(o, dict) and isinstance(t, dict)
        clash |= o != t and b not in (o, t) and not both
        expected[key] = t if o == b else o
    if not merge.conflict:
        assert not clash
        merged = settings_of(text)
        assert {k: v for k, v in merged.items() if k[1] != "cache"} == {
            k: v for k, v in expected.items() if v is not gone and k[1] != "cache"
        }
        assert (text.count("<<<<<<<"), merge.paths) == (0, ())
    for side in (ours, theirs):
        for line in side.splitlines():
            if "# " in line and line not in base:
                assert line[line.index("# ") :] in text
    if clash:
        assert merge.conflict
    if merge.conflict:
        assert text.count("<<<<<<<") == len(merge.paths) > 0
