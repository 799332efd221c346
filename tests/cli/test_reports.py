"""The reports of `pulpo check`: what they say, where they point, and that other programs can read them."""

from __future__ import annotations

import json
import os
import re
import time
import unicodedata

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.cli import reports
from pulpo.cli.excerpts import Excerpts
from pulpo.cli.output import Output
from pulpo.codes.report import diagnostics_as_data
from pulpo.diagnostics import Diagnostic, Place, Related, Severity
from pulpo.settings import Project
from tests.cli.conftest import ROOT, Shell
from tests.cli.terminal import on_terminal, plain

LOCK = """\
version: 1
project: {name: jobs}
operations:
  a.fetch: {entrypoint: "jobs:fetch", retrys: 3}
  a.clean:
    entrypoint: jobs:clean
    retries: many
"""
FORMATS = ["text", "concise", "json", "github", "sarif"]
SARIF = json.loads((ROOT / "tests" / "data" / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
PROBLEM = Diagnostic(
    "PLP101",
    "100% wrong: a, b\nand more",
    ("operations", "a.fetch", "tags", 0),
    Place("a:b,c.yaml", 3, 5, 3, 9),
    hint="say it\r\notherwise",
    related=(Related("see here", place=Place("jobs.py", 7)), Related("and there")),
)


@pytest.fixture
def bad(shell):
    (shell.directory / "pulpo.lock.yaml").write_text(LOCK)
    return shell


def shown(tmp_path, text: str, place: Place, width: int = 120) -> list[str]:
    (tmp_path / place.file).write_text(text, encoding="utf-8", newline="")
    return Excerpts(tmp_path, width).excerpt(place)


def checkout(root, base=None) -> reports.Checkout:
    return reports.Checkout(root, base or root, "pulpo.lock.yaml")


# ------------------------------------------------------------------------------------------------------------- excerpts


def test_an_excerpt_has_the_line_its_number_and_carets_under_the_place(tmp_path):
    assert shown(tmp_path, "a: 1\n  retrys: 3\n", Place("x", 2, 3, 2, 9)) == ["   2 |   retrys: 3", "     |   ^^^^^^"]


def test_a_place_without_an_end_has_one_caret(tmp_path):
    assert shown(tmp_path, "a: 1\n", Place("x", 1, 4)) == ["   1 | a: 1", "     |    ^"]


def test_a_place_of_several_lines_is_marked_to_the_end_of_its_first(tmp_path):
    assert shown(tmp_path, "a: [1,  \n 2]\n", Place("x", 1, 4, 2, 4)) == ["   1 | a: [1,", "     |    ^^^"]


def test_a_place_behind_the_last_character_has_a_caret_there(tmp_path):
    assert shown(tmp_path, "a: [\n", Place("x", 1, 9)) == ["   1 | a: [", "     |     ^"]


@pytest.mark.parametrize(
    ("line", "column", "end", "carets"),
    [
        ("名前: 値段", 5, 7, "      ^^^^"),
        ("\tname: x", 2, 6, "    ^^^^"),
        ("ab\tname: x", 4, 8, "    ^^^^"),
        ("e\N{COMBINING ACUTE ACCENT}e: x", 3, 4, " ^"),
        ("\N{OCTOPUS}: x", 4, 5, "    ^"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}: x", 4, 5, "    ^"),
    ],
)
def test_carets_are_aligned_below_wide_combining_and_tabbed_text(tmp_path, line, column, end, carets):
    assert shown(tmp_path, line, Place("x", 1, column, 1, end))[1] == f"     | {carets}"


def test_what_would_move_the_cursor_is_shown_as_a_mark(tmp_path):
    (line, carets) = shown(tmp_path, "a\x1b[31mb\u202ec: x", Place("x", 1, 9))
    assert line == "   1 | a\ufffd[31mb\ufffdc: x"
    assert carets.index("^") == line.index("c:")


@pytest.mark.parametrize("column", [1, 200, 2000, 3990, 4000])
def test_a_long_line_is_cut_around_its_place(tmp_path, column):
    text = "".join(chr(ord("a") + i % 26) for i in range(4000))
    line, carets = shown(tmp_path, text, Place("x", 1, column, 1, column + 3), 60)
    assert len(line) <= 60
    at = carets.index("^")
    assert line[at] == text[column - 1]
    assert (line[7] == "…") is (column > 1)
    assert (line[-1] == "…") is (column < 3980)


def test_a_file_of_one_endless_line_is_cut_fast(tmp_path):
    (line, _) = shown(tmp_path, "x" * 20_000_000, Place("x", 1, 10_000_000, 1, 19_000_000))
    assert len(line) == 120


@pytest.mark.parametrize(("name", "line"), [("x", 3), ("x", 0), ("missing", 1), ("directory", 1), ("x\0y", 1), ("fifo", 1)])
def test_a_line_that_is_not_there_has_no_excerpt(tmp_path, name, line):
    (tmp_path / "x").write_text("a: 1\n\n")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    assert Excerpts(tmp_path).excerpt(Place(name, line)) == []


def test_a_file_that_is_not_utf_8_has_an_excerpt_all_the_same(tmp_path):
    (tmp_path / "x").write_bytes(b"a: \xff\n")
    assert Excerpts(tmp_path).excerpt(Place("x", 1, 4)) == ["   1 | a: \ufffd", "     |    ^"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_with_any_line_end(tmp_path, line_end):
    text = line_end.join(["a: 1", "b: 2", "c: 3"])
    assert shown(tmp_path, text, Place("x", 2, 4)) == ["   2 | b: 2", "     |    ^"]


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=300), st.integers(1, 400), st.integers(1, 400), st.integers(10, 150))
def test_any_text_and_place_gives_aligned_lines_within_the_width(tmp_path_factory, text, column, length, width):
    directory = tmp_path_factory.mktemp("x")
    (directory / "x").write_text(text, encoding="utf-8", errors="replace", newline="")
    excerpt = Excerpts(directory, width).excerpt(Place("x", 1, column, 1, column + length))
    for line in excerpt:
        room = sum(0 if unicodedata.category(c) in ("Mn", "Me") or c in "\u200c\u200d" else 1 for c in line)
        assert room <= max(width, 27) + 1
        assert "\x1b" not in line
    assert excerpt == [] or re.fullmatch(r" +\|  *\^+", excerpt[1].rstrip())


# ----------------------------------------------------------------------------------------------------------------- text


def test_text_has_excerpt_notes_and_hint_below_each_problem(tmp_path, capsys):
    (tmp_path / "x.yaml").write_text("a: 1\n")
    found = [
        Diagnostic("PLP101", "wrong", ("a",), Place("x.yaml", 1, 4), hint="do", related=(Related("see", place=Place("y", 2)),))
    ]
    Output(base=lambda: tmp_path).diagnostics(found)
    assert capsys.readouterr().err == (
        "x.yaml:1:4: error PLP101: a: wrong\n   1 | a: 1\n     |    ^\n  note: see (y:2:1)\n  hint: do\n"
    )


def test_a_line_that_holds_a_credential_is_not_shown(tmp_path, capsys):
    secret = "mongodb://root:tr0ub4dor@db/x"
    (tmp_path / "x.yaml").write_text(f"uri: {secret}\nurl: >-\n  plain\n")
    found = [
        Diagnostic("PLP101", f"must be a mapping: {secret}", place=Place("x.yaml", 1, 6), hint=f"not {secret}"),
        Diagnostic("PLP215", "this looks like a credential", place=Place("x.yaml", 2, 6, 3, 8)),
        Diagnostic("PLP101", "wrong", place=Place("x.yaml", 3, 3), related=(Related(secret),)),
    ]
    Output(base=lambda: tmp_path).diagnostics(found)
    texts = [capsys.readouterr().err, reports.concise(found), reports.github(found, checkout(tmp_path))]
    texts += [
        json.dumps(diagnostics_as_data(found)),
        json.dumps(reports.sarif(found, checkout(tmp_path))),
        reports.github_summary(found),
    ]
    for text in texts:
        assert "tr0ub4dor" not in text
    assert "mongodb://root:***@db/x" in texts[0]
    assert re.findall(r"^ +\d+ \|", texts[0], re.MULTILINE) == []


@pytest.mark.parametrize("secret", ["tr0ub/4dor", "tr0ub@4/dor", "t@r0ub4dor"])
def test_a_password_is_hidden_with_any_signs_and_in_a_key(tmp_path, capsys, secret):
    uri = f"mongodb://root:{secret}@db/x"
    Output(base=lambda: tmp_path).diagnostics([Diagnostic("PLP101", f"unknown key: {uri}", ("services", "db", uri))])
    assert capsys.readouterr().err == (
        "error PLP101: services.db.mongodb://root:***@db/x: unknown key: mongodb://root:***@db/x\n"
    )


def test_a_long_line_of_what_may_be_passwords_is_searched_fast(tmp_path):
    before = time.process_time()
    shown(tmp_path, "://a:" * 1_000_000, Place("x", 1, 1))
    assert time.process_time() - before < 5


def test_a_reference_in_a_uri_is_shown(tmp_path):
    line = "uri: mongodb://root:${PASSWORD}@db/x"
    assert shown(tmp_path, line, Place("x", 1, 1))[0] == f"   1 | {line}"
    assert shown(tmp_path, "uri: mongodb://root:${PASSWORD:-tr0ub4dor}@db/x", Place("x", 1, 1)) == []


def test_lock_prints_problems_like_check(bad):
    checked, locked = bad("check", code=1), bad("lock", code=1)
    assert checked.out
    assert locked.err == checked.out
    assert "   4 |   a.fetch: " in locked.err
    assert locked.out == ""


def test_excerpts_are_found_from_any_directory(bad, tmp_path_factory):
    (bad.directory / "sub").mkdir()
    inside, outside = Shell(bad.directory / "sub"), Shell(tmp_path_factory.mktemp("elsewhere"))
    for done in (inside("check", code=1), outside("--project", str(bad.directory), "check", code=1)):
        assert "   4 |   a.fetch: " in done.out


def test_colours_are_for_a_terminal_alone(bad):
    text = on_terminal(bad.directory, "check")
    assert "\x1b[" in text
    assert plain(text) == bad("check", code=1).out
    assert on_terminal(bad.directory, "check", NO_COLOR="1") == on_terminal(bad.directory, "check", "--no-color") == plain(text)


def test_excerpts_are_as_wide_as_the_terminal(bad):
    with (bad.directory / "pulpo.lock.yaml").open("a") as stream:
        stream.write(f"    description: {'x' * 200}\n    tag: {'y' * 200}\n")
    excerpts = [
        line for line in plain(on_terminal(bad.directory, "check", columns=50)).splitlines() if re.match(r" +\d+ \|", line)
    ]
    assert max(len(line) for line in excerpts) == 50


# ------------------------------------------------------------------------------------------------------- other programs


def test_concise_is_one_line_a_problem():
    assert (
        reports.concise([PROBLEM, PROBLEM]).splitlines()
        == ["a:b,c.yaml:3:5: error PLP101: operations.a.fetch.tags[0]: 100% wrong: a, b and more"] * 2
    )


def test_json_has_the_ends_of_places_and_the_address_of_the_page():
    (entry,) = diagnostics_as_data([PROBLEM])["diagnostics"]
    assert {k: entry[k] for k in ("file", "line", "column", "end_line", "end_column")} == {
        "file": "a:b,c.yaml", "line": 3, "column": 5, "end_line": 3, "end_column": 9,
    }  # fmt: skip
    assert entry["url"].endswith("/docs/diagnostics.md#plp101")
    assert entry["path"] == ["operations", "a.fetch", "tags", 0]


def test_github_commands_are_escaped(tmp_path):
    assert reports.github([PROBLEM], checkout(tmp_path)) == (
        "::error title=pulpo (PLP101),file=a%3Ab%2Cc.yaml,line=3,col=5,endLine=3,endColumn=9::operations.a.fetch.tags[0]: "
        "100%25 wrong: a, b%0Aand more%0Anote: see here (jobs.py:7:1)%0Anote: and there%0Ahint: say it%0D%0Aotherwise\n"
    )


@pytest.mark.parametrize(("severity", "command"), [("error", "error"), ("warning", "warning"), ("note", "notice")])
def test_github_has_a_command_for_each_severity(tmp_path, severity, command):
    text = reports.github([Diagnostic("PLP301", "stale", severity=Severity(severity))], checkout(tmp_path))
    assert text == f"::{command} title=pulpo (PLP301)::stale\n"


def test_github_takes_columns_only_within_a_line(tmp_path):
    text = reports.github([Diagnostic("PLP301", "stale", place=Place("x", 3, 5, 4, 2))], checkout(tmp_path))
    assert text == "::error title=pulpo (PLP301),file=x,line=3,endLine=4::stale\n"


def test_paths_are_those_of_the_repository(tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    project = tmp_path / "mono" / "services" / "jobs"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    assert reports.Checkout.of(Project(project)).path("pulpo.lock.yaml").as_posix() == "pulpo.lock.yaml"
    (tmp_path / "mono" / ".git").write_text("gitdir: elsewhere\n")  # a worktree
    assert reports.Checkout.of(Project(project)).path("pulpo.lock.yaml").as_posix() == "services/jobs/pulpo.lock.yaml"
    monkeypatch.chdir(tmp_path / "mono" / "services")
    assert reports.Checkout.of(Project(project)).path("jobs/a.py").as_posix() == "services/jobs/a.py"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    assert reports.Checkout.of(Project(project)).path("jobs/a.py").as_posix() == "mono/services/jobs/a.py"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "other"))
    assert reports.Checkout.of(Project(project)).path("jobs/a.py").as_posix() == "services/jobs/a.py"
    assert reports.Checkout.of(Project(project)).path("/usr/lib/x.py").as_posix() == "/usr/lib/x.py"


def test_the_summary_of_a_job_is_no_larger_than_github_takes():
    text = reports.github_summary([PROBLEM] * 10_000)
    assert len(text.encode()) < 1024 * 1024
    rows = text.count("| error | PLP101 |")
    assert text.endswith(f"\n\n{10_000 - rows:,} more are in the log.\n\n")
    assert "more are in the log" not in reports.github_summary([PROBLEM])


def test_the_summary_of_a_job_is_added_to(bad, tmp_path):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    bad("check", "--format", "github", code=1, env={"GITHUB_STEP_SUMMARY": str(summary)})
    text = summary.read_text()
    assert text.startswith("before\n### `pulpo check`\n")
    assert "| error | PLP101 | pulpo.lock.yaml:4:" in text
    bad("check", "--format", "text", code=1, env={"GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text() == text
    bad("check", "--format", "github", code=1, env={"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "such")})


def test_the_summary_keeps_a_problem_in_its_row():
    found = [Diagnostic("PLP101", "a | b\n<script>", place=Place("x", 1))]
    assert reports.github_summary(found).splitlines()[-2] == "| error | PLP101 | x:1:1 | a \\| b<br>&lt;script&gt; |  |"
    assert "no problems" in reports.github_summary([])


@pytest.mark.parametrize(
    "found",
    [
        [],
        [PROBLEM, PROBLEM],
        [Diagnostic("PLP001", "there is no lock")],
        [Diagnostic("PLP118", "failed", place=Place("/usr/lib/python3/x y.py", 1), severity=Severity.NOTE)],
    ],
)
def test_sarif_follows_its_schema(tmp_path, found):
    log = reports.sarif(found, checkout(tmp_path))
    jsonschema.Draft4Validator(SARIF, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER).validate(log)
    (run,) = log["runs"]
    assert len(run["results"]) == len(found)
    for result, d in zip(run["results"], found, strict=True):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == d.code
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1


def test_the_schema_of_sarif_refuses_what_is_none(tmp_path):
    log = reports.sarif([PROBLEM], checkout(tmp_path))
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SARIF).validate(log)


def test_sarif_has_places_relative_to_the_repository_and_encoded(tmp_path):
    (result,) = reports.sarif([PROBLEM], checkout(tmp_path, tmp_path / "sub dir"))["runs"][0]["results"]
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "sub%20dir/a%3Ab%2Cc.yaml", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 9},
            }
        }
    ]
    assert [r["message"]["text"] for r in result["relatedLocations"]] == ["see here"]
    assert "note: and there" in result["message"]["text"]


def test_sarif_knows_a_problem_again_when_its_line_moves(tmp_path):
    def prints(*found):
        results = reports.sarif(found, checkout(tmp_path))["runs"][0]["results"]
        return [r["partialFingerprints"]["pulpoCodeAndPath/v1"] for r in results]

    here, there = (Diagnostic("PLP301", message, ("a",), Place("x", line)) for message, line in (("old", 1), ("new", 9)))
    other = Diagnostic("PLP301", "old", ("b",), Place("x", 1))
    assert prints(here) == prints(there)
    assert prints(here) != prints(other)
    assert len(set(prints(here, there, other))) == 3


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_the_same_twice_and_exits_alike(bad, format):
    first, second = (bad("check", "--no-code", "--format", format, code=1) for _ in range(2))
    assert first.out == second.out
    assert str(bad.directory) not in first.out
    assert "2 errors" in first.err


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("lock", [None, "version: 1\nproject: {name: jobs}\n"])
def test_a_report_of_nothing_is_a_report(shell, format, lock):
    if lock:
        (shell.directory / "pulpo.lock.yaml").write_text(lock)
    (shell.directory / "pyproject.toml").write_text("[tool.pulpo]\n")
    done = shell("check", "--no-code", "--format", format, code=0 if lock else 1)
    match format:
        case "json":
            data = json.loads(done.out)
            assert data["ok"] is bool(lock)
            assert set(data["diagnostics"][0] if not lock else ()) >= (set() if lock else {"file", "end_line", "url"})
        case "sarif":
            jsonschema.Draft4Validator(SARIF).validate(json.loads(done.out))
        case "github":
            assert done.out == (
                "" if lock else "::error title=pulpo (PLP001)::" + done.out.partition("::error")[2].split("::", 1)[1]
            )
        case _:
            assert bool(done.out) is not bool(lock)


@pytest.mark.parametrize("format", FORMATS)
def test_a_report_goes_to_a_file(bad, format):
    done = bad("check", "--format", format, "--output-file", "report", code=1)
    assert done.out == ""
    assert "2 errors" in done.err
    assert (bad.directory / "report").read_text(encoding="utf-8") == bad("check", "--format", format, code=1).out


def test_a_report_that_can_not_be_written_is_refused(bad):
    done = bad("check", "--output-file", "no/such/directory", code=2)
    assert "No such file or directory: no/such/directory" in done.err


def test_a_report_holds_what_no_encoding_has(shell, tmp_path):
    (shell.directory / "pyproject.toml").write_text('[tool.pulpo]\nmodules = ["broken"]\n')
    (shell.directory / "broken.py").write_text('raise ValueError("half \\ud83d, whole \N{OCTOPUS}")\n')
    shell("lock", code=1)
    (shell.directory / "pulpo.lock.yaml").write_text("version: 1\nproject: {name: jobs, modules: [broken]}\n")
    for name in FORMATS:
        out = shell("check", "--format", name, code=1, env={"PYTHONIOENCODING": "utf-8"}).out
        shell("check", "--format", name, "--output-file", "report", code=1)
        assert (shell.directory / "report").read_text(encoding="utf-8") == out
        assert "half \\ud83d" in out


def test_sarif_has_a_file_whose_name_is_no_text(tmp_path):
    found = [Diagnostic("PLP118", "failed", place=Place("a\udcff.py", 1))]
    (result,) = reports.sarif(found, checkout(tmp_path))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%FF.py"


def test_ten_thousand_problems_are_reported_in_seconds(tmp_path):
    (tmp_path / "pulpo.lock.yaml").write_text("a: 1\n" * 10_000)
    found = [Diagnostic("PLP101", "wrong", ("a", n), Place("pulpo.lock.yaml", n + 1, 1, n + 1, 2)) for n in range(10_000)]
    start = time.process_time()
    with (tmp_path / "out").open("w") as stream:
        Output(base=lambda: tmp_path).diagnostics(found, stream)
    reports.github(found, checkout(tmp_path))
    reports.sarif(found, checkout(tmp_path))
    assert time.process_time() - start < 6


def test_an_unknown_format_is_refused(bad):
    assert "sarif" in bad("check", "--format", "xml", code=2).err


def test_githubs_notes_name_files_as_the_repository_does(tmp_path):
    found = Diagnostic("PLP303", "both", place=Place("pulpo.lock.yaml", 2), related=(Related("code", place=Place("jobs.py", 7)),))
    printed = reports.github([found], checkout(tmp_path, tmp_path / "services" / "jobs"))
    assert printed.endswith("%0Anote: code (services/jobs/jobs.py:7:1)\n")
