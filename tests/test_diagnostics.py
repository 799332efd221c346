"""The list of codes is the list of codes that are used."""

from __future__ import annotations

import re
from pathlib import Path

from pulpo.diagnostics import CODES


def test_every_code_is_listed_and_every_listed_code_is_used():
    package = Path(__file__).parents[1] / "pulpo"
    sources = [path.read_text() for path in package.rglob("*.py") if path.name != "diagnostics.py"]
    used = {code for text in sources for code in re.findall(r'"(PLP\d{3})"', text)}
    assert used == set(CODES)
