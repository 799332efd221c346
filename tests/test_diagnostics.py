"""The list of codes is the list of codes that are used."""

from __future__ import annotations

import re
from pathlib import Path

from pulpo.codes.pages import codes
from pulpo.diagnostics import Diagnostic, Place, Related, plainly


def test_every_code_that_is_used_has_a_page_and_every_page_is_used():
    package = Path(__file__).parents[1] / "pulpo"
    sources = [path.read_text(encoding="utf-8") for path in package.rglob("*.py")]
    used = {code for text in sources for code in re.findall(r'"(PLP\d{3})"', text)}
    assert used == set(codes())


def test_places_that_begin_alike_are_one_place():
    assert Place("x", 1, 2) == Place("x", 1, 2, 1, 9)
    assert len({Place("x", 1, 2), Place("x", 1, 2, 1, 9)}) == 1
    assert sorted([Place("x", 2), Place("x", 1, 2, 9, 9), Place("x", 1, 1)]) == [Place("x", 1), Place("x", 1, 2), Place("x", 2)]


def test_a_place_is_put_in_where_there_is_none():
    known = Place("x", 1)
    found = Diagnostic("PLP101", "wrong", ("a",), related=(Related("see", ("b",)), Related("here", place=known)))
    located = found.located(lambda path: Place(f"{path[0]}.yaml", 2))
    assert str(located.place) == "a.yaml:2:1"
    assert [str(r.place) for r in located.related] == ["b.yaml:2:1", "x:1:1"]
    assert located.located(lambda _: known) == located


def test_what_pydantic_says_is_said_in_our_words():
    assert plainly("Input should be greater than 0") == "must be greater than 0"
    assert plainly("Value error, Must be whole") == "must be whole"
    assert plainly("List should have at least 1 item") == "list should have at least 1 item"
    assert plainly("") == ""
