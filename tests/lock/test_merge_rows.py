"""The rows of the merge, as the table in docs/manifest.md has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pulpo.errors import DiagnosticsError

DOCS = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d|-|lost) \| (\d|-) \| (\d|-) \| (\d|-|conflict) \|", DOCS, re.MULTILINE)
OPERATION = """
from pulpo import operation

@operation("parsing.clean"{settings})
def clean() -> None: ...
"""


def code(retries: str) -> str:
    return OPERATION.format(settings="" if retries == "-" else f", retries={retries}")


def value(text: str) -> str:
    found = re.search(r"^    retries: (\d)", text, re.MULTILINE)
    return found[1] if found else "-"


@pytest.fixture
def row(jobs):
    """The project in the state of a row, before `pulpo lock`."""

    def _row(declared: str, said: str, file: str):
        jobs.write("jobs/models.py", "")
        jobs.operations = code("7" if declared == "lost" else declared)
        jobs.lock()
        if value(jobs.text) != file:
            old = "" if value(jobs.text) == "-" else f"    retries: {value(jobs.text)}  # beside\n"
            new = "" if file == "-" else f"    retries: {file}  # beside\n"
            text = re.sub(r"^(    retries: \d)$", r"\1  # beside", jobs.text, flags=re.MULTILINE)
            text = text.replace(old, new, 1) if old else text.replace("    outputs: []\n", f"    outputs: []\n{new}", 1)
            jobs.path.write_text(text)
        if declared == "lost":
            jobs.path.write_text(re.sub(r"^declared:\n(  .*\n)+", "", jobs.text, flags=re.MULTILINE))
        jobs.operations = code(said)
        return jobs

    return _row


def test_the_table_has_all_rows():
    assert len(ROWS) == 18
    assert len({row[:3] for row in ROWS}) == 18


@pytest.mark.parametrize(("declared", "said", "file", "result"), ROWS)
def test_a_row(row, declared, said, file, result):
    jobs = row(declared, said, file)
    before = jobs.text
    if result != "conflict":
        jobs.lock()
        assert value(jobs.text) == result
        assert jobs.check() == ()
        return
    with pytest.raises(DiagnosticsError) as raised:
        jobs.lock()
    (conflict,) = raised.value.diagnostics
    assert (conflict.code, conflict.path) == ("PLP303", ("operations", "parsing.clean", "retries"))
    assert jobs.text == before


@pytest.mark.parametrize(("declared", "said", "file"), [row[:3] for row in ROWS if row[3] == "conflict"])
@pytest.mark.parametrize("side", ["code", "manifest"])
def test_a_conflict_is_settled_for_good(row, declared, said, file, side):
    jobs = row(declared, said, file)
    jobs.lock(prefer=side)
    assert value(jobs.text) == (said if side == "code" else file)
    assert not jobs.lock().stale
    assert jobs.check() == ()
