"""Changing a manifest's text: what the change did not mean stays byte for byte."""

from __future__ import annotations

import copy
import random
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.errors import DiagnosticsError
from pulpo.manifest.splice import splice
from pulpo.manifest.splice_plan import ORDERED, same
from pulpo.manifest.yaml_read import read
from tests.manifest.messy import Messy, messy
from tests.strategies import identifiers, json_values, manifests, texts

ABSENT = object()


def edited(text: str, change: dict[str, Any], renamed: dict[tuple[Any, ...], str] | None = None) -> str:
    """The text with the values of some dotted paths changed; ABSENT removes."""
    document = read(text, "pulpo.lock.yaml")
    wanted = copy.deepcopy(document.data)
    for path, key in (renamed or {}).items():
        holder = _at(wanted, path[:-1])
        holder[key] = holder.pop(path[-1])
    for dotted, value in change.items():
        *way, last = dotted.split("/")
        holder = _at(wanted, tuple(way))
        if value is ABSENT:
            del holder[last]
        else:
            holder[last] = value
    new = splice(document, wanted, renamed or {})
    assert same(read(new, "pulpo.lock.yaml").data, wanted)
    return new


def _at(data: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


def lines(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


LOCK = lines("""
    # header
    version: 1
    project: {name: shop,   modules: [shop]}  # p
    operations:
      # about a
      a.x:  # beside a
        entrypoint: m:f   # ep
        async: true
        retries: 0x3      # flaky
        # deeper

      # apart

      # about c
      c.y:
        entrypoint: 'm:g'
        async: false
        inputs:
          raw: {model: A, mode: each}  # in
          # about b
          b: {model: B}
        tags:
          - x  # tx
          # ty
          - y
    flows:
      s: {tags: [a, b,c]}   # s
    """)


def replaced(*pairs: str) -> str:
    text = LOCK
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_equal_data_are_the_same_text() -> None:
    document = read(LOCK, "f")
    assert splice(document, copy.deepcopy(document.data)) is document.text


def test_equal_data_need_no_nodes() -> None:
    document = read(LOCK, "f")
    splice(document, copy.deepcopy(document.data))
    assert "root" not in vars(document)


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("operations/a.x/retries", 5, "retries: 0x3      # flaky", "retries: 5      # flaky"),
        ("operations/a.x/async", False, "async: true", "async: false"),
        ("operations/c.y/entrypoint", "it's:h", "entrypoint: 'm:g'", "entrypoint: 'it''s:h'"),
        ("operations/a.x/entrypoint", "yes", "entrypoint: m:f   # ep", 'entrypoint: "yes"   # ep'),
        ("operations/c.y/inputs/raw/mode", "all", "mode: each}", "mode: all}"),
        ("project/mode", "local", "modules: [shop]}", "modules: [shop], mode: local}"),
        ("project/name", ABSENT, "{name: shop,   modules: [shop]}", "{modules: [shop]}"),
        ("flows/s/tags", ["a", "q", "b", "c"], "[a, b,c]", "[a, q, b,c]"),
        ("flows/s/tags", ["b", "c"], "[a, b,c]", "[b,c]"),
        ("flows/s/tags", ["c", "a", "b"], "[a, b,c]", "[c, a, b]"),
        ("flows/s/tags", [], "[a, b,c]", "[]"),
        ("operations/c.y/tags", ["x", "z", "y"], "      - x  # tx\n", "      - x  # tx\n      - z\n"),
        ("operations/c.y/tags", ["y"], "      - x  # tx\n", ""),
        ("operations/c.y/tags", ["x"], "      # ty\n      - y\n", ""),
        ("operations/c.y/tags", [], "    tags:\n      - x  # tx\n      # ty\n      - y\n", "    tags: []\n"),
        ("operations/c.y/inputs/raw", ABSENT, "      raw: {model: A, mode: each}  # in\n", ""),
        ("operations/c.y/inputs/b", ABSENT, "      # about b\n      b: {model: B}\n", ""),
        ("operations/a.x/retries", ABSENT, "    retries: 0x3      # flaky\n", ""),
        ("flows", ABSENT, "flows:\n  s: {tags: [a, b,c]}   # s\n", ""),
        ("models", {"A": {"key": ["a"]}}, "operations:\n", "models:\n  A:\n    key: [a]\noperations:\n"),
        ("operations/a.x/cache", {"ttl": 5}, "    # deeper\n", "    cache: {ttl: 5}\n    # deeper\n"),
        ("declared", {"operations": {"a": {}}}, "# s\n", "# s\ndeclared:\n  operations:\n    a:\n      {}\n"),
        ("operations/c.y", 5, LOCK[LOCK.index("  c.y:") : LOCK.index("flows:")], "  c.y: 5\n"),
    ],
)
def test_only_the_changed_span_differs(path: str, value: Any, old: str, new: str) -> None:
    assert edited(LOCK, {path: value}) == replaced(old, new)


def test_a_removed_entry_takes_its_own_comments_and_leaves_those_apart() -> None:
    assert edited(LOCK, {"operations/a.x": ABSENT}) == LOCK.replace(LOCK[LOCK.index("  # about a") : LOCK.index("  # apart")], "")
    assert edited(LOCK, {"operations/c.y": ABSENT}) == LOCK.replace(LOCK[LOCK.index("\n  # about c") : LOCK.index("flows:")], "")


def test_a_new_entry_stands_in_sorted_order_above_the_comments_of_the_next() -> None:
    text = "operations:\n  # about a\n  a: {}\n  # about c\n  c: {}\n"
    assert edited(text, {"operations/b": {}}) == "operations:\n  # about a\n  a: {}\n  b: {}\n  # about c\n  c: {}\n"
    assert edited(text, {"operations/A": {}}) == "operations:\n  A: {}\n  # about a\n  a: {}\n  # about c\n  c: {}\n"


def test_entries_with_blank_lines_between_get_one_too() -> None:
    text = "operations:\n  a: {}\n\n  c: {}\n\nflows: {}\n"
    assert edited(text, {"operations/b": {}}) == "operations:\n  a: {}\n\n  b: {}\n\n  c: {}\n\nflows: {}\n"
    assert edited(text, {"operations/A": {}}) == "operations:\n  A: {}\n\n  a: {}\n\n  c: {}\n\nflows: {}\n"
    assert edited(text, {"operations/d": {}}) == "operations:\n  a: {}\n\n  c: {}\n\n  d: {}\n\nflows: {}\n"
    assert edited(text, {"operations/a": ABSENT}) == "operations:\n  c: {}\n\nflows: {}\n"
    assert edited(text, {"operations/c": ABSENT}) == "operations:\n  a: {}\n\nflows: {}\n"


def test_a_new_section_stands_above_the_end_of_the_document_and_what_is_said_there() -> None:
    assert edited("version: 1\n...\n", {"operations": {}}) == "version: 1\noperations: {}\n...\n"
    assert edited("version: 1\n\n# the end\n", {"operations": {}}) == "version: 1\noperations: {}\n\n# the end\n"
    assert edited("# header\noperations: {}\n", {"version": 1}) == "# header\nversion: 1\noperations: {}\n"


def test_a_new_order_moves_lines_with_their_comments() -> None:
    text = "x:\n  inputs:\n    # a\n    a: {model: A}  # 1\n    # b\n    b: {model: B}  # 2\n"
    new = edited(text, {"x/inputs": {"b": {"model": "B"}, "a": {"model": "A"}}})
    assert new == "x:\n  inputs:\n    # b\n    b: {model: B}  # 2\n    # a\n    a: {model: A}  # 1\n"
    assert edited("x: {inputs: {a: 0x1, b: 2}}\n", {"x/inputs": {"b": 2, "a": 1}}) == "x: {inputs: {b: 2, a: 0x1}}\n"


def test_the_order_of_other_mappings_means_nothing() -> None:
    text = "x: {b: 1, a: 2}\n"
    assert splice(read(text, "f"), {"x": {"a": 2, "b": 1}}) == text


def test_items_that_move_keep_their_comments() -> None:
    text = "x:\n- a  # 1\n# b\n- b\n- c\n"
    assert edited(text, {"x": ["b", "c", "a"]}) == "x:\n# b\n- b\n- c\n- a  # 1\n"


def test_an_entry_that_is_renamed_keeps_its_lines() -> None:
    text = 'operations:\n  # a\n  "a.b":  # beside\n    retries: 0x3  # r\n  # c\n  c: {}\n'
    there = edited(text, {"operations/a.c/retries": 4}, {("operations", "a.b"): "a.c"})
    assert there == text.replace("a.b", "a.c").replace("0x3", "4")
    moved = edited(text, {}, {("operations", "a.b"): "d"})
    assert moved == 'operations:\n  # c\n  c: {}\n  # a\n  "d":  # beside\n    retries: 0x3  # r\n'


def test_other_indents_are_kept() -> None:
    text = "operations:\n    a:\n        tags:\n        - x\n"
    new = edited(text, {"operations/b": {"inputs": {"r": {"model": "A"}}}, "operations/a/tags": ["x", "z"]})
    assert new == text + "        - z\n    b:\n        inputs:\n            r: {model: A}\n"


def test_windows_line_ends_and_a_missing_last_one_are_kept() -> None:
    assert edited("a: 1\r\nb: 2\r\n", {"c": {}}) == "a: 1\r\nb: 2\r\nc: {}\r\n"
    assert edited("a: 1\nb: 2", {"c": {}}) == "a: 1\nb: 2\nc: {}"
    assert edited("a: 1\nb: 2", {"b": ABSENT}) == "a: 1"
    assert edited("x: {}\noperations:\n  a: 1", {"operations/b": 2}) == "x: {}\noperations:\n  a: 1\n  b: 2"


def test_block_scalars_stay_block_scalars() -> None:
    text = "a: |  # c\n  x\n\n  y\nb: >-\n    one\n    two\nc: 1\n"
    assert edited(text, {"a": "z\nw"}) == text.replace("|  # c\n  x\n\n  y", "|-  # c\n  z\n  w")
    assert edited(text, {"b": "one\nthree"}) == text.replace("    one\n    two", "    one\n\n    three")
    assert edited(text, {"a": " z"}) == text.replace("|  # c\n  x\n\n  y", '" z"  # c')


def test_comments_below_an_entry_never_become_part_of_the_block_scalar_above() -> None:
    text = "x:\n  a: |\n   t\n  b:\n    c: 1\n\n    # deep\n\n  d: 1\n"
    assert edited(text, {"x/b": ABSENT}) == "x:\n  a: |\n   t\n\n  # deep\n\n  d: 1\n"


def test_items_in_lines_within_brackets() -> None:
    text = "x: [ # open\n  a, # ca\n  # cb\n  b,\n  c # cc\n ] # end\n"
    assert edited(text, {"x": ["a", "c"]}) == "x: [ # open\n  a, # ca\n  c # cc\n ] # end\n"
    assert edited(text, {"x": ["a", "b", "c", "d"]}) == text.replace("c # cc\n", "c, # cc\n  d\n")
    assert edited("x: {\n  a: 1,\n}\n", {"x/b": 2}) == "x: {\n  a: 1,\n  b: 2,\n}\n"


def test_mappings_behind_dashes() -> None:
    text = "x:\n- a: 1\n  # k\n  b: 2\n-   c: 3\n    d: 4 # d\n"
    assert edited(text, {"x": [{"b": 2}, {"c": 3, "d": 4}]}) == "x:\n-\n  # k\n  b: 2\n-   c: 3\n    d: 4 # d\n"
    assert edited(text, {"x": [{"a": 1, "b": 2}, {"d": 4}]}) == "x:\n- a: 1\n  # k\n  b: 2\n-   d: 4 # d\n"


def test_explicit_keys_and_values_that_are_not_written() -> None:
    assert edited("? a\n: 1\n? b\nc:\n", {"a": 2, "b": 3, "c": 4}) == "? a\n: 2\n? b\n: 3\nc: 4\n"
    assert edited('x: {a, "b":1, c: }\n', {"x/a": 1, "x/b": 2, "x/c": 3}) == 'x: {a: 1, "b":2, c: 3 }\n'
    assert edited("x: {a: }\n", {"x/b": 1}) == "x: {a: , b: 1 }\n"
    assert edited("x: [a: 1]\n", {"x": [{"a": 2}]}) == "x: [{a: 2}]\n"


def test_a_comment_right_behind_a_bracket_stays_a_comment() -> None:
    assert edited("a: {}# x: y\nb: 1\n", {"a": 5, "b": 1}) == "a: 5 # x: y\nb: 1\n"


def test_a_question_mark_without_its_space_begins_a_key_in_braces() -> None:
    assert edited("a: {?b: 1}\n", {"a": {"b": 2}}) == "a: {?b: 2}\n"


def test_a_value_of_another_shape_keeps_the_key_and_its_comment() -> None:
    text = "operations:\n  a:  # about\n    inputs:  # in\n      r: {model: A}\n    tags: [a]  # t\n"
    assert edited(text, {"operations/a/inputs": {}}) == text.replace(":  # in\n      r: {model: A}", ": {}  # in")
    assert (
        edited("operations: {}  # none\n", {"operations": {"a": {"retries": 1}}}) == "operations:  # none\n  a:\n    retries: 1\n"
    )


ANCHORS = lines("""
    a: &d
      retries: 3  # r
      tags: &t [x, z]
    b:
      <<: *d  # like a
      tags: *t
    c: *d
    e: *d
    """)


def test_a_value_that_is_inherited_is_never_changed_where_it_comes_from() -> None:
    assert edited(ANCHORS, {"b/retries": 4}) == ANCHORS.replace("  tags: *t\n", "  tags: *t\n  retries: 4\n")


def test_a_value_that_is_inherited_no_more_takes_the_merge_key_away() -> None:
    assert edited(ANCHORS, {"b/retries": ABSENT}) == ANCHORS.replace("  <<: *d  # like a\n", "")


def test_an_alias_whose_value_differs_gives_way_to_it() -> None:
    assert edited(ANCHORS, {"c": 7}) == ANCHORS.replace("c: *d", "c: 7")


def test_aliases_follow_their_anchor_only_where_they_are_meant_to() -> None:
    every = {f"{name}/retries": 4 for name in "ace"} | {"b/retries": 4}
    assert "c: *d\ne: *d\n" in edited(ANCHORS, every)
    new = edited(ANCHORS, {"a/retries": 4})
    assert new.startswith("a: &d\n  retries: 4  # r\n")
    assert "<<: *d  # like a\n  tags: *t\n  retries: 3\n" in new


def test_the_first_alias_takes_over_an_anchor_that_goes() -> None:
    text = "a: &d {x: 1}\nb: *d\nc: *d\n"
    assert edited(text, {"a": ABSENT}) == "b: &d {x: 1}\nc: *d\n"
    assert edited(text, {"a": ABSENT, "b": 1}) == "b: 1\nc: {x: 1}\n"


def test_an_alias_with_the_keys_in_another_order_gives_way() -> None:
    text = "a:\n  inputs: &i {p: 1, q: 2}\nb:\n  inputs: *i\n"
    assert edited(text, {"b/inputs": {"q": 2, "p": 1}}) == text.replace("*i", "{q: 2, p: 1}")


def test_true_is_not_one() -> None:
    assert edited("a: true\n", {"a": 1}) == "a: 1\n"


def test_what_cannot_be_written_is_refused() -> None:
    document = read("a: 1\n", "pulpo.lock.yaml")
    with pytest.raises(DiagnosticsError, match="PLP006: a: JSON has no such number: nan"):
        splice(document, {"a": float("nan")})
    with pytest.raises(DiagnosticsError, match="PLP305: the lock can't be changed in place"):
        splice(read("a: &k b\n*k : 1\n", "pulpo.lock.yaml"), {"a": 2, "b": 1})


def test_the_whole_document_can_change() -> None:
    assert edited("--- {}\n", {"a": 1}) == "---\na: 1\n"
    assert splice(read("a: 1\n", "f"), {}) == "{}\n"


@st.composite
def changed(draw: st.DrawFn, data: dict[str, Any]) -> dict[str, Any]:
    """The data with some changes anywhere in it."""
    data = copy.deepcopy(data)
    for _ in range(draw(st.sampled_from([1, 1, 2, 5]))):
        holders: list[Any] = []
        _collect(data, holders)
        holder = draw(st.sampled_from(holders))
        value = draw(json_values)
        rng = random.Random(draw(st.integers(0, 2**16)))
        if isinstance(holder, dict):
            _change_mapping(holder, rng, draw(texts | identifiers), value)
        else:
            _change_list(holder, rng, value)
    return data


def _collect(value: Any, holders: list[Any]) -> None:
    if isinstance(value, (dict, list)):
        holders.append(value)
        for item in value.values() if isinstance(value, dict) else value:
            _collect(item, holders)


def _change_mapping(holder: dict[str, Any], rng: random.Random, key: str, value: Any) -> None:
    keys = list(holder)
    match rng.choice(["add", "set", "remove", "order", "copy"]) if keys else "add":
        case "add":
            holder[key] = value
        case "set":
            holder[rng.choice(keys)] = value
        case "remove":
            del holder[rng.choice(keys)]
        case "copy":
            holder[key] = copy.deepcopy(holder[rng.choice(keys)])
        case _:
            rng.shuffle(keys)
            entries = [(name, holder[name]) for name in keys]
            holder.clear()
            holder.update(entries)


def _change_list(holder: list[Any], rng: random.Random, value: Any) -> None:
    match rng.choice(["add", "set", "remove", "order"]) if holder else "add":
        case "add":
            holder.insert(rng.randrange(len(holder) + 1), value)
        case "set":
            holder[rng.randrange(len(holder))] = value
        case "remove":
            del holder[rng.randrange(len(holder))]
        case _:
            rng.shuffle(holder)


@settings(max_examples=150, deadline=None)
@given(st.data(), manifests(), st.booleans())
def test_any_change_of_any_text_reads_as_what_was_wanted(data: st.DataObject, old: dict[str, Any], other: bool) -> None:
    text = data.draw(messy(old)).text
    wanted = data.draw(manifests() if other else changed(old))
    document = read(text, "f")
    assert same(document.data, old)
    assert splice(document, copy.deepcopy(old)) is text
    new = splice(document, wanted)
    assert same(read(new, "f").data, wanted)
    assert ("\r\n" in text) or "\r" not in new
    assert text.endswith("\n") == new.endswith("\n")


@settings(max_examples=150, deadline=None)
@given(st.data(), manifests())
def test_comments_stay_with_their_owners_and_entries_as_they_are(data: st.DataObject, old: dict[str, Any]) -> None:
    written = data.draw(messy(old, anchors=False))
    wanted = data.draw(changed(old))
    new = splice(read(written.text, "f"), wanted)
    _assert_entries_are_untouched(written, old, wanted, new)
    _assert_comments_stay(written, old, wanted, new)
    back = splice(read(new, "f"), old)
    for comment in _comments_that_stay(written, old, wanted):
        assert back.count(comment) == 1


def _assert_entries_are_untouched(written: Messy, old: dict[str, Any], wanted: dict[str, Any], new: str) -> None:
    for (section, name), text in written.entries.items():
        before, after = old[section], wanted.get(section)
        if isinstance(after, dict) and name in after and same(before[name], after[name], ordered=name in ORDERED):
            assert text.rstrip("\r\n") in new


def _comments_that_stay(written: Messy, old: dict[str, Any], wanted: dict[str, Any]) -> dict[str, tuple[tuple[Any, ...], str]]:
    """Those whose owner is in both, and in no list that changes."""
    found = {}
    for comment, (path, where) in written.comments.items():
        before, after = old, wanted
        for part in path:
            if not isinstance(after, type(before)) or (isinstance(after, dict) and part not in after):
                break
            if isinstance(before, list) and not same(before, after):
                break
            before, after = before[part], after[part]
        else:
            if where != "below":
                found[comment] = (path, where)
    return found


def _assert_comments_stay(written: Messy, old: dict[str, Any], wanted: dict[str, Any], new: str) -> None:
    document = read(new, "f")
    rows = new.splitlines()
    for comment, (path, where) in _comments_that_stay(written, old, wanted).items():
        assert new.count(comment) == 1
        if any(isinstance(part, int) for part in path):
            continue
        row = next(number for number, line in enumerate(rows) if comment in line)
        key = document.locate(path, key=True).line - 1
        if where == "above":
            while rows[row].lstrip().startswith("#") or rows[row].strip() in ("-", "?"):
                row += 1
            assert row == key
        else:
            assert row >= key


def test_a_collection_that_becomes_a_scalar_leaves_its_anchor_to_those_who_merge_it() -> None:
    text = "a: &a {k: 1}\nb: {<<: *a, l: 2}\nc: [*a]\n"
    assert edited(text, {"a": 5, "b": {"k": 1, "l": 2}, "c": [{"k": 1}]}) == "a: 5\nb: {<<: &a {k: 1}, l: 2}\nc: [*a]\n"


def test_a_key_over_several_lines_gets_a_value() -> None:
    assert edited("a: {n\n -  p}\n", {"a": {"n -  p": 5}}) == "a: {? n\n -  p: 5}\n"


def test_a_comment_right_behind_the_brackets_of_a_whole_document_stays_one() -> None:
    assert edited("{}# mine\n", {"a": 5}) == "a: 5 # mine\n"


def test_an_explicit_key_without_a_value_gets_lines() -> None:
    assert edited("a: 1\n? models\n", {"a": 1, "models": {"M": {"x-l": [1]}}}) == "a: 1\n? models\n:\n  M:\n    x-l: [1]\n"


def test_a_comment_behind_an_empty_value_on_a_line_of_its_own_stays_when_entries_come_and_go() -> None:
    text = "models:\n  {}  # none yet\nversion: 1\n"
    new = edited(text, {"models": {"A": None}})
    assert new == "models:  # none yet\n  A: null\nversion: 1\n"
    assert edited(new, {"models": {}}) == "models: {}  # none yet\nversion: 1\n"
