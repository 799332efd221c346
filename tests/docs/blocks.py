"""The fenced blocks of a page, and what a command prints without what is another thing each time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_FENCE = re.compile(r"^( *)```([a-z]*)(?: title=\"([^\"]+)\")?( append)?[^\n`]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
#: What is another thing each time, and what stands for it.
_VOLATILE = (
    (r"\d{8}-\d{6}-[0-9a-f]{7}", "RUN"),
    (r"\d+(\.\d+)? (ms|s)\b( ago)?", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( [A-Z]+)?", "DATE"),
    (r"[ ]+", " "),
    (r" $", ""),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    #: The file that it is, or is a part of.
    title: str
    append: bool
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands after `$`, each with what it prints; of a block of bash each line, comments left away."""
        if self.language == "bash":
            return [(command, "") for command in re.split(r"(?<!\\)\n", self.text) if command.strip() and command[0] != "#"]
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [(command, shown) for command, _, shown in (part.partition("\n") for part in parts)]


def pages() -> list[Path]:
    """All pages of the documentation, sorted; those in `docs/reference` as well."""
    return sorted(DOCS.rglob("*.md"))


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order, without the indent of a list."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        indent, language, title, append, content = found.groups()
        line = text.count("\n", 0, found.start()) + 1
        name = str(page.relative_to(DOCS)) if page.is_relative_to(DOCS) else page.name
        text_of = re.sub(f"^{indent}", "", content, flags=re.MULTILINE)
        yield Block(name, line, language, title or "", bool(append), text_of)


def plain(text: str) -> str:
    """What was printed, with names in the place of times and ids, and one space where there are many."""
    for pattern, name in _VOLATILE:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text.strip()


def printed(command: str, directory: Path) -> str:
    """What a command of the shell prints, problems and talk included, in the order in which it does."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PULPO_", "PREFECT_"))}
    env = inherited | {"PATH": path, "PYTHONUNBUFFERED": "1", "COLUMNS": "120", "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=directory, env=env, text=True, timeout=300, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout
