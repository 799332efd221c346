"""Reading the pages: `PLP101.md` begins with `# PLP101: title`, then says what it means; `## Example` and `## Fix` follow.

The files are the only place where codes and their titles are listed. Nothing reads them unless they are to be shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pulpo.errors import UsageError
from pulpo.names import REPOSITORY_URL, did_you_mean

_HERE = Path(__file__).parent
_FENCE = re.compile(r"^(```.*?^```)$", re.MULTILINE | re.DOTALL)
#: Codes are alike: nearer than another number of the same length.
_A_SLIP = 0.9
_GROUPS = {
    "PLP0": "The file",
    "PLP1": "Schema and declarations",
    "PLP2": "References and data flow",
    "PLP3": "Drift and ownership",
    "PLP4": "The running world",
}
_INTRODUCTION = """
Every problem that Pulpo finds has a code, a place and, where there is one, a hint. Errors fail `pulpo check` and `pulpo lock`,
warnings fail `pulpo check --strict`, notes fail nothing. `pulpo explain CODE` prints what stands here.
"""


@dataclass(frozen=True, slots=True)
class Page:
    """The explanation of a code."""

    code: str
    #: One line, lower case, without a full stop.
    title: str
    #: The whole page, in Markdown.
    text: str

    @property
    def summary(self) -> str:
        """What the code means and why it is refused: the text above the example, without its line ends."""
        return " ".join(self.text.partition("\n## ")[0].partition("\n")[2].split())


def codes() -> tuple[str, ...]:
    """All codes, sorted."""
    return tuple(sorted(path.stem for path in _HERE.glob("PLP*.md")))


def page(code: str) -> Page:
    """The page of a code, in upper or lower case.

    Raises:
        UsageError: There is no such code.
    """
    name = code.upper()
    if name not in codes():
        raise UsageError(
            f"there is no code {code}", hint=did_you_mean(name, codes(), cutoff=_A_SLIP) or "`pulpo explain` lists them"
        )
    text = (_HERE / f"{name}.md").read_text(encoding="utf-8")
    return Page(name, text.partition("\n")[0].partition(": ")[2], text)


def url(code: str) -> str:
    """Where the page of a code can be read."""
    return f"{REPOSITORY_URL}/blob/main/docs/diagnostics.md#{code.lower()}"


def reference() -> str:
    """`docs/diagnostics.md`: an index, then all pages."""
    pages = [page(code) for code in codes()]
    parts = ["# Diagnostics\n\n<!-- Made from pulpo/codes by `make codes`. -->\n", _INTRODUCTION]
    for prefix, group in _GROUPS.items():
        rows = "".join(f"| [{p.code}](#{p.code.lower()}) | {p.title} |\n" for p in pages if p.code.startswith(prefix))
        if rows:
            parts.append(f"\n**{group}**\n\n| code | title |\n| --- | --- |\n{rows}")
    parts += [f'\n<a id="{p.code.lower()}"></a>\n\n{_demoted(p.text)}' for p in pages]
    return "".join(parts)


def _demoted(text: str) -> str:
    """The page with its headings one level lower; a `#` in a block of code is none."""
    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else re.sub(r"^#", "##", part, flags=re.MULTILINE) for part in parts)
