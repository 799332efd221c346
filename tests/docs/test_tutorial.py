"""The tutorial is a test, and so are guides: what they say is done, in order, in an empty directory, and prints what is shown."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, Block, blocks, plain, printed

#: Pages of which every file is written and every command after `$` is run. Those in `bash` want a server or a package index.
FOLLOWED = ("index.md", "tutorial.md", "add-a-source.md", "schedule.md", "migrate-prefect.md")


@pytest.mark.parametrize("page", FOLLOWED)
def test_what_the_page_shows_is_what_happens(page, tmp_path):
    done = 0
    for block in blocks(DOCS / page):
        if block.title:
            put(block, tmp_path / block.title)
        for command, shown in block.commands if block.language == "console" else ():
            assert ordered(command, printed(command, tmp_path)) == ordered(command, shown), f"{block}: {command}"
            done += 1
    assert done


def test_what_the_tutorial_installs_is_the_package():
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    installs = [command for block in blocks(DOCS / "tutorial.md") if block.language == "bash" for command, _ in block.commands]
    assert installs[-1] == f"pip install {project['name']}"


def ordered(command: str, text: str) -> list[str]:
    """The lines that a command prints; those of a run sorted, for what runs at the same time ends in any order."""
    lines = plain(text).splitlines()
    return sorted(lines) if command.startswith("pulpo run ") else lines


def put(block: Block, path: Path) -> None:
    """Do with a file what the page says: write it, add to it, edit it, or see that it has what is shown."""
    if block.language == "diff":
        lines = [line for line in block.text.splitlines(keepends=True) if line[0] in " +-"]
        old, new = ("\n" + "".join(line[1:] for line in lines if line[0] in f" {sign}") for sign in "-+")
        assert path.read_text().count(old) == 1, str(block)
        path.write_text(path.read_text().replace(old, new))
    elif block.append:
        path.write_text(path.read_text() + block.text)
    elif path.exists():
        assert block.text in path.read_text(), str(block)
    else:
        path.write_text(block.text)
