"""What is made from the code is as the code makes it: the reference, and the pictures of the data flow with the locks beside them."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.docs import reference
from tests.docs.blocks import DOCS, blocks
from tests.docs.pictures import PAGES, draw, examples


def test_the_reference_is_as_the_code_makes_it(capsys):
    assert reference.main(["--check"]) == 0, capsys.readouterr().err


def test_the_reference_has_every_command_field_and_endpoint():
    commands = (DOCS / "reference" / "cli.md").read_text()
    for name in ("pulpo lock", "pulpo db copy", "pulpo prefect deploy"):
        assert f"\n## {name}\n" in commands
    assert "| `retries` |" in (DOCS / "reference" / "manifest.md").read_text()
    assert "### pulpo.testing.run\n" in (DOCS / "reference" / "python.md").read_text()
    assert "## `POST /flows/flow/run`\n" in (DOCS / "reference" / "http.md").read_text()


@pytest.mark.parametrize("example", [pytest.param(one, id=one.picture) for one in examples()])
def test_the_picture_and_the_lock_are_those_of_the_code(example, tmp_path):
    assert shutil.which("node"), "there is no node"
    lock = example.lock(tmp_path)
    text = (DOCS / example.page).read_text()
    beside = re.split(r"^## |^!\[", text.partition(f"({example.picture})")[2], maxsplit=1, flags=re.MULTILINE)[0]
    shown = re.findall(r"```yaml\n(.*?)```", beside, re.DOTALL)
    assert [one for one in shown if one not in lock] == []
    assert draw(tmp_path) == (DOCS / example.picture).read_text(), "`python -m tests.docs.pictures` draws it anew"


def test_each_rule_has_a_picture():
    pictures = {one.picture for one in examples()}
    assert len(pictures) == len(list(examples())) == len(list((DOCS / "images").glob("flow-*.svg")))
    assert all(any(block.language == "python" for block in blocks(DOCS / page)) for page in PAGES)
