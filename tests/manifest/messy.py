"""Manifests as people could have written them: any data in random YAML styles, with comments wherever they are legal."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from pulpo.manifest.yaml_text import UNREADABLE
from pulpo.manifest.yaml_write import flow, quoted

Path = tuple[Any, ...]

#: No order of keys is to be changed by a merge key.
_ORDERED = ("parameters", "inputs", "properties")


@dataclass
class Messy:
    """A text, and what stands where in it."""

    text: str = ""
    #: The owner of each comment, and if it stands `above` or `beside` it.
    comments: dict[str, tuple[Path, str]] = field(default_factory=dict)
    #: The lines of the entries of the sections, without the comments above them.
    entries: dict[Path, str] = field(default_factory=dict)


@st.composite
def messy(draw: st.DrawFn, data: dict[str, Any], *, anchors: bool = True) -> Messy:
    """A text of the data."""
    return write_messy(data, draw(st.integers(0, 2**32)), anchors=anchors)


def write_messy(data: dict[str, Any], seed: int, *, anchors: bool = True) -> Messy:
    return _Writer(random.Random(seed), anchors=anchors).written(data)


class _Writer:
    def __init__(self, rng: random.Random, *, anchors: bool) -> None:
        self.rng = rng
        self.out = Messy()
        self.anchors: dict[str, str] | None = {} if anchors else None
        self.step = rng.choice([1, 2, 2, 2, 3, 4])
        self.in_block_scalar = False
        #: A block scalar takes in the blank lines below: what is removed between it and others would bring them to it.
        self.keeps = False
        self.newline = rng.choice(["\n", "\n", "\n", "\r\n"])
        self.airy = rng.random() < 0.3
        self.comment_rate = rng.choice([0, 0.05, 0.2])
        self.flow_rate = rng.choice([0.1, 0.5, 1])

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def written(self, data: dict[str, Any]) -> Messy:
        text = self.rng.choice(["", "", "# header\n", "# header\n\n", "---\n", "%YAML 1.2\n---\n", "---  # start\n"])
        text += self.block_mapping(data, 0, ()) if data else "{}\n"
        if not self.keeps and self.chance(0.2):
            text += self.rng.choice(["\n# the end\n", "# the end\n", "...\n", "\n\n"])
        text = text.replace("\n", self.newline)
        for path, lines in self.out.entries.items():
            self.out.entries[path] = lines.replace("\n", self.newline)
        if self.chance(0.2) and not re.search(r"[|>][-+0-9]*[ \t]*(?:#[^\n]*)?\r?\n", text):
            text = text.rstrip("\r\n")
        self.out.text = text
        return self.out

    def comment(self, path: Path, where: str) -> str:
        name = f"# c{len(self.out.comments)}#"
        self.out.comments[name] = (path, where)
        return name

    def above(self, indent: int, path: Path) -> str:
        lines = ""
        if not self.in_block_scalar and (self.airy or self.chance(0.03)):
            lines += "\n" * self.rng.choice([1, 1, 1, 2])
        while self.chance(self.comment_rate):
            lines += " " * indent + self.comment(path, "above") + "\n"
        return lines

    def beside(self, path: Path) -> str:
        return " " * self.rng.choice([1, 2, 5]) + self.comment(path, "beside") if self.chance(self.comment_rate) else ""

    def block_mapping(self, data: dict[str, Any], column: int, path: Path, *, inline: bool = False) -> str:
        merged = self.merged(data, path)
        text = ""
        entries: list[tuple[str | None, Any]] = [(key, value) for key, value in data.items() if key not in merged]
        if merged:
            entries.insert(self.rng.randrange(len(entries) + 1), (None, merged))
        for number, (key, value) in enumerate(entries):
            here = (*path, key)
            first = inline and number == 0
            above = "" if first or key is None else self.above(column, here)
            if key is None:
                entry = f"<<: {self.anchored(value, lambda v: self.flow_one(v, True))}\n"
            else:
                entry = self.entry(key, value, column, here)
            if len(here) == 2:
                self.out.entries[here] = " " * column + entry
            text += above + ("" if first else " " * column) + entry
            if not self.in_block_scalar and self.chance(self.comment_rate / 4):
                text += " " * (column + 1) + self.comment(here, "below") + "\n"
        return text

    def merged(self, data: dict[str, Any], path: Path) -> dict[str, Any]:
        if self.anchors is None or not self.chance(0.1) or path[-1:] in [(name,) for name in _ORDERED]:
            return {}
        merged = {key: value for key, value in data.items() if self.chance(0.5)}
        return merged if len(merged) < len(data) else {}

    def entry(self, key: str, value: Any, column: int, path: Path) -> str:
        name = self.key(key)
        if len(name) > 1000 or self.chance(0.05):
            beside = self.beside(path)
            return f"? {name}{beside}\n{' ' * column}:{self.value(value, column, path)}"
        return f"{name}{self.rng.choice(['', '', '', ' '])}:{self.value(value, column, path)}"

    def key(self, key: str) -> str:
        style = self.rng.choice(["plain", "plain", "'", '"'])
        if style == "'" and not UNREADABLE.search(key) and not re.search(r"[\r\n]", key):
            return "'" + key.replace("'", "''") + "'"
        return quoted(key) if style == '"' else flow(key, within=True)

    def value(self, value: Any, column: int, path: Path, *, item: bool = False) -> str:
        """All from behind the colon or the dash to the end of the line."""
        anchor = self.anchor(value)
        self.in_block_scalar = False
        if anchor.startswith("*"):
            return f" {anchor}{self.beside(path)}\n"
        anchor = anchor and " " + anchor
        if isinstance(value, (dict, list)) and value and not self.chance(self.flow_rate):
            if item and not anchor and self.chance(0.7):
                return self.inline(value, column, path)
            beside = self.beside(path)
            inner = column + self.step
            if isinstance(value, dict):
                return f"{anchor}{beside}\n{self.block_mapping(value, inner, path)}"
            if not item and self.chance(0.4):
                inner = column
            return f"{anchor}{beside}\n{self.block_list(value, inner, path)}"
        if value is None and self.chance(0.3):
            return f"{anchor}{self.beside(path)}\n"
        if isinstance(value, str) and self.chance(0.2) and (scalar := self.block_scalar(value, column, path)):
            # An indented comment would be part of it, and so could blank lines.
            self.in_block_scalar = True
            return f"{anchor} {scalar}"
        space = f"\n{' ' * (column + self.step)}" if self.chance(0.03) else " " * self.rng.choice([1, 1, 1, 3])
        return f"{anchor}{space}{self.flow(value, column, path)}{self.beside(path)}\n"

    def inline(self, value: Any, column: int, path: Path) -> str:
        spaces = self.rng.choice([1, 1, 1, 3])
        inner = column + 1 + spaces
        text = (
            self.block_mapping(value, inner, path, inline=True)
            if isinstance(value, dict)
            else self.block_list(value, inner, path, inline=True)
        )
        return " " * spaces + text

    def block_list(self, items: list[Any], column: int, path: Path, *, inline: bool = False) -> str:
        text = ""
        for number, item in enumerate(items):
            first = inline and number == 0
            here = (*path, number)
            text += "" if first else self.above(column, here) + " " * column
            text += f"-{self.value(item, column, here, item=True)}"
        return text

    def anchor(self, value: Any) -> str:
        """An anchor, an alias, or nothing."""
        if self.anchors is None or value is None:
            return ""
        text = json.dumps(value)
        if text in self.anchors:
            return f"*{self.anchors[text]}" if self.chance(0.6) else ""
        if self.chance(0.15):
            name = self.anchors[text] = f"n{len(self.anchors)}"
            return f"&{name}"
        return ""

    def anchored(self, value: Any, write: Any) -> str:
        anchor = self.anchor(value)
        return anchor if anchor.startswith("*") else f"{anchor} {write(value)}".strip()

    def block_scalar(self, value: str, column: int, path: Path) -> str | None:
        if (
            "\r" in value
            or UNREADABLE.search(value)
            or not value.strip()
            or any(line and not line.strip() for line in value.split("\n"))
        ):
            return None
        indicator, indent = "", column + self.rng.choice([1, 2, 4])
        if value[0] in " \t\n" or self.chance(0.1):
            indicator = str(indent - column)
        body = value.rstrip("\n")
        breaks = len(value) - len(body)
        chomping = "-" if breaks == 0 else "+" if breaks > 1 or self.chance(0.2) else ""
        self.keeps = self.keeps or chomping == "+"
        kind = "|"
        if self.chance(0.4) and not re.search(r"^[ \t]", value, re.MULTILINE) and not value.startswith("\n"):
            kind = ">"
            body = re.sub(r"\n+", lambda found: found[0] + "\n", body)
        lines = [" " * indent + line if line else "" for line in body.split("\n")] + [""] * (breaks - 1)
        return "\n".join([f"{kind}{indicator}{chomping}{self.beside(path)}", *lines]) + "\n"

    def flow(self, value: Any, column: int, path: Path) -> str:
        """A value that may go on in further lines."""
        if isinstance(value, (dict, list)) and value and self.chance(0.4):
            return self.lines_in_brackets(value, column, path)
        if isinstance(value, str) and self.chance(0.2) and re.fullmatch(r"[a-zA-Z]{2,}( [a-zA-Z]{2,})+", value):
            quote = self.rng.choice(["", "'", '"'])
            words = value.replace(" ", f"\n{' ' * (column + self.step)}", 1)
            return f"{quote}{words}{quote}"
        return self.flow_one(value, False)

    def lines_in_brackets(self, value: Any, column: int, path: Path) -> str:
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        indent = " " * (column + self.step + self.rng.choice([0, 2]))
        lines = opening + "\n"
        entries = list(value.items() if isinstance(value, dict) else enumerate(value))
        for number, (key, item) in enumerate(entries):
            here = (*path, key)
            while self.chance(self.comment_rate):
                lines += f"{indent}{self.comment(here, 'above')}\n"
            name = (self.key(key) if len(flow(key)) < 900 else f"? {quoted(key)} ") + ": " if isinstance(value, dict) else ""
            comma = "," if number < len(entries) - 1 or self.chance(0.3) else ""
            lines += f"{indent}{name}{self.anchored(item, lambda v: self.flow_one(v, True))}{comma}{self.beside(here)}\n"
        return f"{lines}{' ' * (column + 1)}{closing}"

    def flow_one(self, value: Any, within: bool) -> str:
        """A value on one line."""
        space = self.rng.choice(["", " "])
        if isinstance(value, dict):
            text = ("," + self.rng.choice(["", " "])).join(self.pair(key, item) for key, item in value.items())
            return f"{{{space}{text}{space}}}"
        if isinstance(value, list):
            items = [self.anchored(item, lambda v: self.flow_one(v, True)) for item in value]
            return f"[{space}{', '.join(items)}{' ,' if items and self.chance(0.1) else ''}{space}]"
        return self.scalar(value, within)

    def pair(self, key: str, value: Any) -> str:
        name = self.key(key)
        if len(name) > 900:
            name = f"? {name} "
        if value is None and self.chance(0.3):
            return name + self.rng.choice([": ", ""]) if not name.startswith("?") else f"{name}: null"
        return f"{name}: {self.anchored(value, lambda v: self.flow_one(v, True))}"

    def scalar(self, value: Any, within: bool) -> str:
        if isinstance(value, str):
            style = self.rng.choice(["plain", "plain", "'", '"'])
            if style == "'" and not UNREADABLE.search(value) and not re.search(r"[\r\n]", value):
                return "'" + value.replace("'", "''") + "'"
            return quoted(value) if style == '"' else flow(value, within=within)
        text = flow(value, within=within)
        if isinstance(value, bool):
            return self.rng.choice([text, text.title(), text.upper()])
        if isinstance(value, int) and value >= 0:
            return self.rng.choice([text, text, hex(value), f"0o{value:o}", f"+{text}", f"0{text}"])
        if isinstance(value, float) and "e" not in text:
            return self.rng.choice([text, f"{text}0", f"{text}e0"])
        return self.rng.choice(["null", "~", "Null"]) if value is None else text
