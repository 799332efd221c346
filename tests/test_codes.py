"""Every page that explains a code is true: its example has the problem, its fix has none."""

from __future__ import annotations

import gc
import re
import shlex
import subprocess
import sys

import pytest

from pulpo.cli.main import run_command_line
from pulpo.codes import pages
from pulpo.declare.registry import REGISTRY
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.manifest.load import read_file
from tests.cli.conftest import ROOT

#: Codes whose example can't be made from files, and why.
NOT_MADE = {"PLP305": "a bug is needed to get there"}

PYPROJECT = '[project]\nname = "jobs"\n\n[tool.pulpo]\nmodules = ["jobs"]\n'
BLOCK = re.compile(r'^```(\w+)(?: title="([^"\n]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
REPORTED = re.compile(r"(?:^|: )(?:error|warning|note) (PLP\d{3}): ", re.MULTILINE)


class Project:
    """A page's project: its blocks are files to write and commands to run."""

    def __init__(self, root, capsys) -> None:
        self.root, self.capsys = root, capsys
        (root / "pyproject.toml").write_text(PYPROJECT)

    def does(self, section: str) -> list[str]:
        """The codes that are reported once the section's blocks were done: by its last command that says so, else by check."""
        reported: list[str] = []
        for language, title, text in BLOCK.findall(section):
            if language == "console":
                for line in text.splitlines():
                    reported = self.runs(line.removeprefix("$ "))
            else:
                (self.root / title).write_text(text, encoding="utf-8")
        return reported or self.problems()

    def problems(self) -> list[str]:
        code = (self.root / "jobs.py").exists()
        if code and not (self.root / "pulpo.lock.yaml").exists():
            return self.runs("pulpo lock")
        return self.runs("pulpo check" if code else "pulpo check --no-code")

    def runs(self, command: str) -> list[str]:
        program, *arguments = shlex.split(command)
        if program != "pulpo":
            subprocess.run([program, *arguments], cwd=self.root, check=True)
            return []
        sys.modules.pop("jobs", None)
        REGISTRY.reset()
        try:
            run_command_line(["--project", str(self.root), *arguments], None)
        finally:
            gc.enable()
        return REPORTED.findall("".join(self.capsys.readouterr()))


@pytest.fixture
def project(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file rewritten within a second would be taken from its cache
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield Project(tmp_path, capsys)
    sys.modules.pop("jobs", None)


@pytest.mark.parametrize("code", pages.codes())
def test_a_page_has_its_parts(code):
    page = pages.page(code)
    headings = [line for line in re.sub(r"```.*?```", "", page.text, flags=re.DOTALL).splitlines() if line.startswith("#")]
    assert headings == [f"# {code}: {page.title}", "## Example", "## Fix"]
    assert page.summary.endswith(".")
    assert not page.title.endswith(".")
    assert page.title[0].islower() or page.title.split()[0] in ("Git", "YAML")
    assert BLOCK.findall(page.text.partition("## Example")[2])


@pytest.mark.parametrize("code", [code for code in pages.codes() if code not in NOT_MADE])
def test_the_example_has_the_problem_and_the_fix_has_not(project, code):
    _, example, fix = re.split(r"^## (?:Example|Fix)$", pages.page(code).text, flags=re.MULTILINE)
    assert set(project.does(example)) == {code}
    if BLOCK.findall(fix):
        assert project.does(fix) == []


def test_codes_without_an_example_that_runs_are_few():
    assert len(NOT_MADE) <= 2
    assert set(NOT_MADE) <= set(pages.codes())


def test_a_code_may_be_written_in_lower_case():
    assert pages.page("plp101") == pages.page("PLP101")


def test_an_unknown_code_is_refused_with_a_near_miss():
    with pytest.raises(UsageError) as caught:
        pages.page("PLP1010")
    assert caught.value.hint == "did you mean 'PLP110'?"


def test_the_page_of_a_large_lock_has_the_size_of_the_message(tmp_path):
    lock = tmp_path / "pulpo.lock.yaml"
    with lock.open("wb") as stream:
        stream.truncate(100_000_000)
    with pytest.raises(DiagnosticsError) as raised:
        read_file(lock)
    assert re.findall(r"larger than (\d+ MB)", str(raised.value)) == re.findall(
        r"larger than (\d+ MB)", pages.page("PLP001").text
    )


def test_the_reference_is_as_the_pages_make_it():
    assert (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8") == pages.reference(), "run `make codes`"


def test_the_reference_has_every_code_in_its_index_and_as_an_anchor():
    text = pages.reference()
    for code in pages.codes():
        assert f"| [{code}](#{code.lower()}) | {pages.page(code).title} |" in text
        assert f'<a id="{code.lower()}"></a>\n\n## {code}: ' in text


def test_a_hash_in_a_block_of_code_is_no_heading(monkeypatch, tmp_path):
    (tmp_path / "PLP999.md").write_text("# PLP999: x\n\nText.\n\n## Fix\n\n```python\n# a comment\n```\n")
    monkeypatch.setattr(pages, "_HERE", tmp_path)
    assert pages.reference().endswith("## PLP999: x\n\nText.\n\n### Fix\n\n```python\n# a comment\n```\n")
