"""The pictures of the data flow, drawn from the code above each: `python -m tests.docs.pictures` writes docs/images/flow-*.svg.

Graphviz draws them, as the UI does: the WebAssembly that the UI has of it, in Node.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.blocks import DOCS

PAGES = ("data-flow.md", "flows.md")
VIZ = DOCS.parent / "pulpo" / "ui" / "static" / "vendor" / "viz.js"
_STEP = re.compile(
    r"```python\n(?P<code>.*?)^```$|^!\[[^\]]*\]\((?P<picture>images/flow-[\w-]+\.svg)\)$", re.MULTILINE | re.DOTALL
)
_DRAW = """
import { readFileSync } from 'node:fs';
import { instance } from './viz.mjs';
process.stdout.write((await instance()).renderString(readFileSync(0, 'utf8'), { format: 'svg' }));
"""
#: An image knows nothing of the page's colours, but of what the reader's system prefers.
_STYLE = """<style>
.node path, .node polygon { fill: #ede7f6; stroke: #5e35b1 } .cluster polygon { fill: none; stroke: #9e9e9e; stroke-dasharray: 4 3 }
.edge path { stroke: #616161 } .edge polygon { fill: #616161; stroke: #616161 } text { fill: #212121 }
@media (prefers-color-scheme: dark) {
.node path, .node polygon { fill: #39325a; stroke: #b39ddb } .edge path { stroke: #bdbdbd }
.edge polygon { fill: #bdbdbd; stroke: #bdbdbd } text { fill: #eeeeee } }
</style>
"""


@dataclass(frozen=True, slots=True)
class Example:
    """Code of a page, with what all examples of it have, and the picture of it."""

    page: str
    picture: str
    code: str

    def lock(self, directory: Path) -> str:
        """Make a project of it in a directory; returns its lock."""
        (directory / "jobs.py").write_text(self.code, encoding="utf-8")
        (directory / "pyproject.toml").write_text('[tool.pulpo]\nname = "jobs"\nmodules = ["jobs"]\n', encoding="utf-8")
        pulpo(directory, "lock")
        return (directory / "pulpo.lock.yaml").read_text(encoding="utf-8")


def examples() -> Iterator[Example]:
    """All pictures with their code, in the order of the pages; the first code of a page, which has none, goes before all others."""
    for page in PAGES:
        common = code = ""
        for found in _STEP.finditer((DOCS / page).read_text(encoding="utf-8")):
            if found["picture"]:
                yield Example(page, found["picture"], f"{common}\n\n{code}")
            elif common:
                code = found["code"]
            else:
                common = found["code"]


def draw(directory: Path) -> str:
    """The picture of a project's graph, as SVG."""
    dot = pulpo(directory, "graph", "--format", "dot").replace("digraph pipeline {", "digraph pipeline {\n  bgcolor=transparent;")
    dot = re.sub(r', tooltip="(?:[^"\\]|\\.)*"|^ *tooltip=.*\n', "", dot, flags=re.MULTILINE)
    dot = dot.replace("node [", 'fontname="Helvetica"; edge [fontname="Helvetica", fontsize=12];\n  node [fontname="Helvetica", ')
    shutil.copy(VIZ, directory / "viz.mjs")
    (directory / "draw.mjs").write_text(_DRAW, encoding="utf-8")
    node = ["node", "draw.mjs"]
    svg = subprocess.run(node, cwd=directory, input=dot, text=True, capture_output=True, check=True, timeout=60).stdout
    svg = re.sub(r"<\?xml.*?<svg", "<svg", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n?", "", re.sub(r"<title>.*?</title>\n?", "", svg))
    return re.sub(r"(<svg[^>]*>\n)", lambda found: found[1] + _STYLE, svg, count=1)


def pulpo(directory: Path, *arguments: str) -> str:
    """What a command of Pulpo prints to stdout."""
    command = [sys.executable, "-m", "pulpo", *arguments]
    done = subprocess.run(command, cwd=directory, text=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def main() -> None:
    """Draw them all."""
    for example in examples():
        with tempfile.TemporaryDirectory() as directory:
            example.lock(Path(directory))
            (DOCS / example.picture).write_text(draw(Path(directory)), encoding="utf-8")


if __name__ == "__main__":
    main()
