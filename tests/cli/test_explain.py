"""`pulpo explain`: pages by code, names by what they are."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from pulpo.cli.app import CLI
from pulpo.codes import pages
from pulpo.errors import UsageError
from tests.cli.terminal import on_terminal, plain


def test_a_page_is_printed_as_it_is_into_a_pipe(shell):
    assert shell("explain", "PLP101").out == pages.page("PLP101").text


def test_a_page_on_a_terminal_has_no_marks(shell):
    text = on_terminal(shell.directory, "explain", "PLP003")
    assert "\x1b[1mPLP003: a key stands twice in one mapping\x1b[0m" in text
    assert "    project: {name: jobs}\n" in text
    assert "```" not in text
    assert "\n## " not in plain(text)
    assert on_terminal(shell.directory, "explain", "PLP003", "--no-color") == pages.page("PLP003").text


def test_codes_may_be_several_and_in_lower_case(shell):
    assert shell("explain", "plp101", "PLP206").out == f"{pages.page('PLP101').text}\n{pages.page('PLP206').text}"


def test_without_a_code_all_are_listed(shell):
    lines = shell("explain").out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == list(pages.codes())


def test_an_unknown_code_suggests_a_near_one(shell):
    done = shell("explain", "PLP1010", code=2)
    assert "there is no code PLP1010" in done.err
    assert "did you mean 'PLP110'?" in done.err


@pytest.mark.parametrize("code", ["PLP", "PLP999"])
def test_a_code_like_no_other_suggests_none(shell, code):
    assert "hint: `pulpo explain` lists them" in shell("explain", code, code=2).err


def test_json_has_the_pages(shell):
    (page,) = json.loads(shell("explain", "PLP101", "--format", "json").out)
    assert (page["code"], page["title"], page["text"]) == ("PLP101", pages.page("PLP101").title, pages.page("PLP101").text)
    listed = json.loads(shell("explain", "--format", "json").out)
    assert [entry["code"] for entry in listed] == list(pages.codes())
    assert all(set(entry) == {"code", "title", "url"} for entry in listed)


def test_an_unknown_name_suggests_a_near_one(jobs):
    (operation, *_) = [line.split()[0] for line in jobs("operations").out.splitlines()[1:]]
    done = jobs("explain", f"{operation}x", code=2)
    assert f"did you mean '{operation}'?" in done.err
    assert "Traceback" not in jobs("explain", "nothing-like-it", code=2).err


def test_codes_and_names_do_not_mix(jobs):
    assert "give codes, or one name" in jobs("explain", "PLP101", "scraping", code=2).err


def test_it_is_a_method_too(tmp_path):
    assert CLI(tmp_path).explain("plp101")[0].code == "PLP101"
    assert [page.code for page in CLI(tmp_path).explain()] == list(pages.codes())
    with pytest.raises(UsageError):
        CLI(tmp_path).explain("PLP999")


def test_commands_that_explain_nothing_read_no_pages(jobs):
    script = (
        "import sys\nfrom pulpo.cli.app import CLI\nCLI.main(['graph'])\n"
        "print(sorted(m for m in sys.modules if 'pulpo.codes' in m or 'excerpts' in m or 'reports' in m), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=jobs.directory, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_titles_and_pages_fit_into_a_terminal():
    for code in pages.codes():
        assert len(pages.page(code).title) < 80
        assert not [line for line in pages.page(code).text.splitlines() if len(line) > 130]
        assert not re.search(r"[ \t]$", pages.page(code).text, re.MULTILINE)
