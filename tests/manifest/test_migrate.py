"""Locks of older versions: brought up to date by `lock`, refused with a word by all others."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from pulpo.errors import DiagnosticsError
from pulpo.manifest.load import load, validate
from pulpo.manifest.migrate import ANY, Migration, migrate
from pulpo.manifest.yaml_read import Document, read
from tests.lock.conftest import jobs  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lock.conftest import Jobs

#: A lock as version 0 might have had it: other words for keys, minutes, and schedules in a section of their own.
OLD = """\
# yaml-language-server: $schema=old.json
# The flights of the night.

version: 0  # the first one

project: {name: jobs, packages: [jobs]}   # was: modules

# What runs.
tasks:
  # cleans
  parsing.clean:   # beside the name

    function: 'jobs:clean'
    # the site is flaky
    retry_wait: 0.5   # minutes
    time_limit: 10
    inputs: {raw: {model: Raw, type: each}, other: {model: Raw}}
    # last of clean
  scraping.fetch: {function: "jobs:fetch", retry_wait: 2, x-owner: [data, team]}

# When it runs.
schedules:
  # every morning
  scraping: 0 6 * * *     # before work
  parsing: "0 7 * * *"

x-notes: |
  retry_wait: stays as it is
# The end.
"""
NEW = """\
# yaml-language-server: $schema=old.json
# The flights of the night.

version: 1  # the first one

project: {name: jobs, modules: [jobs]}   # was: modules

# What runs.
operations:
  # cleans
  parsing.clean:   # beside the name

    entrypoint: 'jobs:clean'
    # the site is flaky
    retry_delay: 30   # minutes
    timeout: 600
    inputs: {raw: {model: Raw, mode: each}, other: {model: Raw}}
    # last of clean
  scraping.fetch: {entrypoint: "jobs:fetch", retry_delay: 120, x-owner: [data, team]}

# When it runs.
flows:
  # every morning
  scraping: {schedule: {cron: "0 6 * * *"}}     # before work
  parsing: {schedule: {cron: "0 7 * * *"}}

x-notes: |
  retry_wait: stays as it is
# The end.
"""


def to_seconds_and_flows(data: dict[str, Any]) -> dict[str, Any]:
    for operation in data.get("operations", {}).values():
        for key in ("retry_delay", "timeout"):
            if key in operation:
                operation[key] = round(operation[key] * 60)
    for name, cron in data.get("flows", {}).items():
        data["flows"][name] = {"schedule": {"cron": cron}}
    return data


FROM_0 = Migration(
    {
        ("tasks",): "operations",
        ("tasks", ANY, "function"): "entrypoint",
        ("tasks", ANY, "retry_wait"): "retry_delay",
        ("tasks", ANY, "time_limit"): "timeout",
        ("tasks", ANY, "inputs", ANY, "type"): "mode",
        ("project", "packages"): "modules",
        ("schedules",): "flows",
    },
    to_seconds_and_flows,
)
MIGRATIONS = {0: FROM_0}


def document(text: str) -> Document:
    return read(textwrap.dedent(text), "lock")


def refused(text: str, **options: Any) -> list[str]:
    """What a user is told of a lock that can't be migrated, or is no manifest afterwards."""
    with pytest.raises(DiagnosticsError) as caught:
        validate(migrate(document(text), **options))
    return [f"{d}{f' ({d.hint})' if d.hint else ''}" for d in caught.value.diagnostics]


def test_a_lock_is_migrated_in_place_with_all_comments_and_its_layout() -> None:
    migrated = migrate(read(OLD, "lock"), MIGRATIONS)
    assert migrated.text == NEW
    assert migrated.data == read(NEW, "lock").data
    assert validate(migrated).operations["parsing.clean"].retry_delay == 30


@pytest.mark.parametrize("change", [lambda text: text.replace("\n", "\r\n"), lambda text: text.removesuffix("\n")])
def test_line_ends_stay_as_they_are(change: Any) -> None:
    assert migrate(read(change(OLD), "lock"), MIGRATIONS).text == change(NEW)


def test_the_old_lock_stays_as_it_is() -> None:
    old = read(OLD, "lock")
    migrate(old, MIGRATIONS)
    assert old.data == read(OLD, "lock").data
    assert old.text == OLD


def test_places_are_those_in_the_file() -> None:
    old = read(OLD, "lock")
    migrated = migrate(old, MIGRATIONS)
    for new_path, old_path in [
        (("operations", "parsing.clean", "retry_delay"), ("tasks", "parsing.clean", "retry_wait")),
        (("operations", "scraping.fetch"), ("tasks", "scraping.fetch")),
        (("operations", "parsing.clean", "inputs", "raw", "mode"), ("tasks", "parsing.clean", "inputs", "raw", "type")),
        (("version",), ("version",)),
    ]:
        assert migrated.locate(new_path) == old.locate(old_path)
        assert migrated.locate(new_path, key=True) == old.locate(old_path, key=True)
    moved_in = ("flows", "scraping", "schedule", "cron")
    assert migrated.locate(moved_in) == old.locate(("schedules", "scraping"), key=True)


def test_mistakes_in_an_old_lock_are_told_at_their_lines() -> None:
    assert refused(
        """\
        version: 0
        project: {name: p}
        # filler
        tasks:
          a.b: {function: jobs, retry_wait: 1}
          a.c: {function: "m:f", version: 2}
        """,
        migrations=MIGRATIONS,
    ) == [
        "lock:5:19: error PLP101: operations.a.b.entrypoint: an entrypoint is written package.module:name: jobs",
        'lock:6:35: error PLP101: operations.a.c.version: must be a string: 2 (put it in quotes: "2")',
    ]


def test_versions_are_migrated_one_by_one() -> None:
    steps = {
        0: Migration({("a",): "b"}),
        1: Migration({("b", ANY, "old"): "new"}),
        2: Migration({("b",): "c"}, lambda data: {**data, "d": 1}),
    }
    migrated = migrate(document("# top\nversion: 0\na: [{old: 1}, {new: 2}]  # beside\n"), steps, 3)
    assert migrated.text == "# top\nversion: 3\nc: [{new: 1}, {new: 2}]  # beside\nd: 1\n"
    assert str(migrated.locate(("c", 0, "new"))) == "lock:3:11"
    assert migrate(document("version: 2\nb: 1\n"), steps, 3).text == "version: 3\nc: 1\nd: 1\n"


def test_a_migration_that_finds_nothing_to_do_writes_the_version_alone() -> None:
    assert (
        migrate(document("version:  0 # v\nproject:   {name: p}\n"), MIGRATIONS).text == "version:  1 # v\nproject:   {name: p}\n"
    )


def test_names_may_be_swapped() -> None:
    swap = {0: Migration({("x",): "y", ("y",): "x"})}
    assert migrate(document("version: 0\nx: 1 # one\ny: 2\n"), swap).data == {"version": 1, "y": 1, "x": 2}


def test_settings_that_are_shared_by_anchors_are_migrated() -> None:
    text = """\
        version: 0
        project: {name: p}
        x-shared: &shared {retry_wait: 1}  # shared
        tasks:
          a.b: {<<: *shared, function: "m:f"}  # b
          a.c: {function: "m:g", retry_wait: 3}
        """
    migrated = migrate(document(text), MIGRATIONS)
    operations = validate(migrated).operations
    assert (operations["a.b"].retry_delay, operations["a.c"].retry_delay) == (60, 180)
    assert migrated.data["x-shared"] == {"retry_wait": 1}, "keys of one's own are not ours to rename"
    assert "# shared" in migrated.text
    assert "# b" in migrated.text


def test_a_key_by_its_old_name_and_its_new_is_told() -> None:
    text = """\
        version: 0
        project: {name: p}
        tasks: {a.b: {function: "m:f", entrypoint: "m:g"}}
        """
    (line,) = refused(text, migrations=MIGRATIONS)
    message = "tasks.a.b.function: it is called 'entrypoint' now, and both are here: function (delete one of them)"
    assert line == f"lock:3:15: error PLP101: {message}"


def test_a_lock_that_is_up_to_date_is_not_touched() -> None:
    now = document("version: 1\nproject: {name: p}\n")
    assert migrate(now, MIGRATIONS) is now


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("0", "lock:1:10: error PLP007: version: the lock is of an older version than this Pulpo reads, which is 1: 0"),
        ("0.0", "lock:1:10: error PLP007: version: the lock is of an older version than this Pulpo reads, which is 1: 0"),
        ("2", "lock:1:10: error PLP005: version: the lock is of a newer version than this Pulpo reads, which is 1: 2"),
        ("1.5", "lock:1:10: error PLP005: version: the lock is of a newer version than this Pulpo reads, which is 1: 1.5"),
        ("0.5", "lock:1:10: error PLP101: version: must be 1: 0.5 (write 1, a number and not in quotes)"),
        ("-1", "lock:1:10: error PLP101: version: must be 1: -1 (write 1, a number and not in quotes)"),
        ('"1"', 'lock:1:10: error PLP101: version: must be 1: "1" (write 1, a number and not in quotes)'),
        ("true", "lock:1:10: error PLP101: version: must be 1: true (write 1, a number and not in quotes)"),
        ("", "lock:1:9: error PLP101: version: must be 1: null (write 1, a number and not in quotes)"),
        ("[0]", "lock:1:10: error PLP101: version: must be 1: [0] (write 1, a number and not in quotes)"),
    ],
)
def test_each_odd_version_has_its_message(version: str, told: str) -> None:
    (line,) = refused(f"version: {version}\nproject: {{name: p}}\n", migrations={})
    assert line.startswith(told)


def test_a_missing_version_is_told() -> None:
    (line,) = refused("project: {name: p}\n", migrations=MIGRATIONS)
    assert line == "lock:1:1: error PLP101: a required key is missing: version (write version: 1 at the top)"


def test_a_version_that_no_migration_leads_away_from_is_told() -> None:
    message = "error PLP007: version: the lock is of an older version than this Pulpo reads, which is 3: 0"
    hint = "(this Pulpo has no way from there: move the lock away, and run `pulpo lock`)"
    assert refused("version: 0\n", migrations={1: Migration(), 2: Migration()}, version=3) == [f"lock:1:10: {message} {hint}"]


def test_lock_migrates_merges_and_keeps_comments(jobs: Jobs) -> None:  # noqa: F811 - the fixture
    jobs.lock()
    declared = jobs.text
    old = declared.replace("version: 1", "version: 0  # v").replace("\noperations:", "\n# What runs.\ntasks:")
    old = old.replace("    entrypoint: jobs.operations", "    function: jobs.operations")
    old = old.replace("    retries: 3\n", "    retries: 3\n    # it is flaky\n    retry_wait: 1  # minutes\n", 1)
    jobs.path.write_text(f"{old}schedules: {{scraping: 0 6 * * *}}  # mornings\n", encoding="utf-8")

    with pytest.raises(DiagnosticsError, match=r"^pulpo.lock.yaml:\d+:10: error PLP007: version: "):
        load(jobs.path, "pulpo.lock.yaml")
    assert {problem.code for problem in jobs.check()} == {"PLP007"}

    result = jobs.lock(migrations=MIGRATIONS)
    assert result.written
    assert str(result.changes[0]) == "~ version: 0 -> 1"
    expected = declared.replace("version: 1", "version: 1  # v").replace("\noperations:", "\n# What runs.\noperations:")
    expected = expected.replace("    retries: 3\n", "    retries: 3\n    # it is flaky\n    retry_delay: 60  # minutes\n", 1)
    assert jobs.text.replace('flows: {scraping: {schedule: {cron: "0 6 * * *"}}}  # mornings\n', "") == expected
    assert "# mornings" in jobs.text
    assert not jobs.lock(migrations=MIGRATIONS).written
    assert jobs.check() == ()


def test_lock_check_does_not_write_a_migrated_lock(jobs: Jobs) -> None:  # noqa: F811 - the fixture
    jobs.lock()
    jobs.edit("version: 1", "version: 0")
    before = jobs.text
    assert jobs.lock(check=True, migrations=MIGRATIONS).stale
    assert jobs.text == before


def test_a_migrated_lock_with_mistakes_is_not_written(jobs: Jobs, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    jobs.lock()
    jobs.edit("version: 1", "version: 0")
    jobs.edit("retries: 3", "retries: three")
    before = jobs.text
    with pytest.raises(DiagnosticsError, match=r"retries: must be a whole number: three$"):
        jobs.lock(migrations=MIGRATIONS)
    assert jobs.text == before
