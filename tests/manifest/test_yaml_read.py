"""Reading YAML: what values are, what is refused and where, and finding places."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulpo.diagnostics import Diagnostic, Place
from pulpo.errors import DiagnosticsError
from pulpo.manifest.yaml_read import read
from pulpo.manifest.yaml_text import decode
from tests.strategies import HOSTILE

LOCK = textwrap.dedent("""\
    version: 1
    operations:
      a.b:
        retries: 3
        inputs:
          raw: {model: Raw, from: [x, y]}
        outputs:
        - {model: Clean}
      "c.d": {retries: 5}
    services: &all
      db: &db {image: mongo, ports: []}
      other:
        <<: *db
        image: x
""")


def data(text: str) -> Any:
    return read(text, "lock").data


def problems(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(DiagnosticsError) as caught:
        read(text, "lock")
    return caught.value.diagnostics


def refusal(text: str) -> tuple[Diagnostic, ...]:
    """Why a text is not read; empty when it is."""
    try:
        read(text, "lock")
    except DiagnosticsError as error:
        return error.diagnostics
    return ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0", 0),
        ("+5", 5),
        ("1_000", "1_000"),
        ("22:22", "22:22"),
        ("2024-01-01", "2024-01-01"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-1.", -1.0),
        ("=", "="),
        ("<<", "<<"),
        ("'1'", "1"),
        ('"null"', "null"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("x\ty", "x\ty"),
    ],
)
def test_plain_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    read_value = data(f"a: {text}")["a"]
    assert read_value == value
    assert type(read_value) is type(value)


def test_a_directive_for_yaml_1_1_changes_nothing() -> None:
    assert data("%YAML 1.1\n---\na: yes") == {"a": "yes"}


def test_keys_and_values_of_merges_are_inherited_and_overridden() -> None:
    text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x, {b: 4, c: 5}], d: 6}"
    assert data(text) == {"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}, "z": {"a": 1, "b": 2, "c": 5, "d": 6}}


def test_aliases_are_copies() -> None:
    document = data("a: &a [1]\nb: *a")
    document["a"].append(2)
    assert document["b"] == [1]


@pytest.mark.parametrize(
    ("text", "code", "place", "message"),
    [
        ("", "PLP002", "1:1", "the file is empty"),
        ("# only a comment\n", "PLP002", "1:1", "the file holds only comments"),
        ("---\n", "PLP002", "1:1", "the document is empty"),
        ("\ufeffa: 1", "PLP002", "1:1", "the file begins with a byte order mark"),
        ("a: 1\nb: x\0", "PLP002", "2:5", "a NUL byte: the file is damaged or not text"),
        ("a: 1\nb: x\x85", "PLP002", "2:5", "a character that can't stand in YAML: U+0085"),
        ("a: é😀\u2028", "PLP002", "1:6", "a character that can't stand in YAML: U+2028"),
        ("a: \ud800", "PLP002", "1:4", "a character that can't stand in YAML: U+D800"),
        ("a:\n\tb: 1", "PLP002", "2:1", "a tab indents this line"),
        ("a: 1\r\nb:\r\n\tc: 1\r\n", "PLP002", "3:1", "a tab indents this line"),
        ("1: x", "PLP002", "1:1", "a key is a string, quote it: 1"),
        ("a:\n  true: x", "PLP002", "2:3", "a key is a string, quote it: true"),
        ("? [a]\n: x", "PLP002", "1:3", "a key is a string, not a list or a mapping"),
        ("a: !!str 5", "PLP002", "1:4", "tags are not read: tag:yaml.org,2002:str"),
        ("a: !!python/object:os.system {}", "PLP002", "1:4", "tags are not read: tag:yaml.org,2002:python/object:os.system"),
        ("a: !x [1]", "PLP002", "1:4", "tags are not read: !x"),
        ("!x a: 1", "PLP002", "1:1", "a key is a string, quote it: a"),
        ("a: .inf", "PLP002", "1:4", "JSON has no such number: .inf"),
        ("a: [.nan]", "PLP002", "1:5", "JSON has no such number: .nan"),
        ("a: 1e999", "PLP002", "1:4", "JSON has no such number: 1e999"),
        ("a: 1" + "0" * 300, "PLP002", "1:4", "the number is too large"),
        ("a: " + "1" * 5000, "PLP002", "1:4", "the number is too large"),
        ("a: 0x" + "f" * 5000, "PLP002", "1:4", "the number is too large"),
        ("a: *b", "PLP002", "1:4", "an alias of an anchor that is not set above it"),
        ("a: &a [*a]", "PLP002", "1:4", "an alias of something that it is itself in"),
        ("a: &a {<<: *a}", "PLP002", "1:4", "an alias of something that it is itself in"),
        ("a: {<<: 1}", "PLP002", "1:9", "`<<` takes a mapping or a list of mappings"),
        ("[" * 100_000, "PLP002", "1:62", "nested deeper than 60 levels"),
        ("- " * 1_000_000, "PLP002", "1:123", "nested deeper than 60 levels"),
        ("a: 1\n---\nb: 1", "PLP002", "2:1", "a second document begins here, but the lock is one"),
        ("a: 'x", "PLP002", "1:4", "quotes that are not closed"),
        ("a: [1\nb: 2", "PLP002", "2:2", "a list in [ ] lacks a comma or its end"),
        ("a: {b: 1", "PLP002", "1:9", "a mapping in { } lacks a comma or its end"),
        ("a: {b: mongo:8}", "PLP002", "1:13", "a colon within [ ] or { }"),
        ("a: b: c", "PLP002", "1:5", "a second colon in a value"),
        ("a:\n  b: 1\n c: 2", "PLP002", "3:2", "indented like no key above"),
        ("a: @x", "PLP002", "1:4", "a value can't begin with this: @"),
        ("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", "PLP004", "1:1", "a conflict that Git could not merge: HEAD and x"),
        ("a: 1\r\n=======\r\na: 2\r\n", "PLP004", "2:1", "a conflict marker of Git is left: ======="),
    ],
)
def test_what_has_no_one_meaning_is_refused_where_it_stands(text: str, code: str, place: str, message: str) -> None:
    (problem,) = problems(text)
    assert (problem.code, str(problem.place), problem.message) == (code, f"lock:{place}", message)


@pytest.mark.parametrize(
    ("text", "place", "message", "hint", "related"),
    [
        ("a:\n  retries:3\n  b: 5\n", "2:10", "no space after the colon: retries:3", "write `retries: 3`", None),
        ("a:\n  x: 1\n  retries:3\n  b: 5\n", "3:10", "no space after the colon: retries:3", "write `retries: 3`", None),
        ("a:\n  - k:v\n    b: 5\n", "2:6", "no space after the colon: k:v", "write `k: v`", None),
        ("a:\n  retries 3\n  b: 5\n", "2:3", "a key without its colon: retries 3", "a key ends with a colon", None),
        ("a:\n- x\nb\n", "3:1", "a key without its colon: b", "a key ends with a colon", None),
        ("a:\n  b: 3\n   c: 5\n", "3:5", "a key below a key that has a value already", "indent it like the line above", None),
        ('a: "x\nb: 1\n', "1:4", "quotes that are not closed", "close them", None),
        (
            'a: "x\nb: "y"\n',
            "2:5",
            "text after a closing quote",
            "put all of the value",
            ("1:4", "the quotes that end here begin"),
        ),
        ("a: 'it's'", "1:8", "text after a closing quote", "put all of the value in quotes", None),
        ("a: [1\nb: 2", "2:2", "a list in [ ] lacks a comma or its end", "", ("1:4", "the [ that is not closed is here")),
        ("a: {b: [1, 2}", "1:13", "a list in [ ] lacks a comma or its end", "", ("1:8", "the [ that is not closed is here")),
        ("a: {b: 1\nc: 2", "2:2", "a mapping in { } lacks a comma or its end", "", ("1:4", "the { that is not closed is here")),
        ("a: [1] x", "1:8", "text after a closing ]", "put all of the value in quotes", None),
        ("a: 1\n]", "2:1", "a ] that closes nothing", "remove it", None),
        ("a: [1,,2]", "1:7", "nothing stands before this comma", "remove it", None),
        ("a: - x", "1:4", "a list item can't stand here", "begin the list on a line of its own", None),
        ("a: 1\n- b", "2:1", "a list item among keys", "indent it below its key", ("1:1", "the mapping begins here")),
        ("- a\nb: 1", "2:1", "a key among list items", "check the indentation", ("1:1", "the list begins here")),
        ("k:\n  - a\n   - c: 1", "3:4", "indented like no list item above", "check the indentation", None),
        ("k:\n  - a: 1\n   b: 2", "3:4", "indented like no list item above", "check", ("2:3", "the list begins here")),
        ("-\ta: 1", "1:2", "a tab can't stand here", "use spaces", None),
        ("a:\n  b: 1\n\tc: 2", "3:1", "a tab indents this line", "indent with spaces", None),
        ("a:\n  \tb: 1", "2:3", "a tab indents this line", "indent with spaces", None),
        ('a: "\\d"', "1:5", "a backslash within double quotes that means nothing: \\d", "write \\\\ for a backslash", None),
        ('a: "\\ud83d\\ude00"', "1:7", "no character has this number: d83d", "write the character itself", None),
        ("a: 1\n...\nb: 2", "3:1", "the document has ended above", "the lock is one mapping", None),
        (
            "a: 1\n---\nb: 2",
            "2:1",
            "a second document begins here, but the lock is one",
            "remove one",
            ("1:1", "the first begins here"),
        ),
        ("a: *b", "1:4", "an alias of an anchor that is not set above it", "write &NAME before", None),
        ("a: ? b", "1:4", "a `?` can't stand here", "put the text in quotes", None),
        (": 1", "1:1", "a key is missing before the colon", "", None),
        ("~: 1", "1:1", "a key is a string, quote it: ~", 'write "~"', None),
        ("k" * 1100 + ": 1", "1:1101", f"a key is longer than 1024 characters: {'k' * 59}…", "", None),
    ],
)
def test_a_mistake_is_told_where_it_began_with_what_to_write(
    text: str, place: str, message: str, hint: str, related: tuple[str, str] | None
) -> None:
    (problem,) = problems(text)
    assert (str(problem.place), problem.message) == (f"lock:{place}", message)
    assert (problem.hint or "").startswith(hint)
    if related:
        assert str(problem.related[0].place) == f"lock:{related[0]}"
        assert problem.related[0].message.startswith(related[1])


def test_a_conflict_names_both_branches_and_its_markers() -> None:
    (problem,) = problems("v: 1\n<<<<<<< HEAD\na: 1\n||||||| 1a2b3c\na: 0\n=======\na: 2\n>>>>>>> topic/x\n")
    assert (problem.code, problem.message) == ("PLP004", "a conflict that Git could not merge: HEAD and topic/x")
    assert [(related.message, related.place) for related in problem.related] == [
        ("their common base begins here", Place("lock", 4)),
        ("the other side begins here", Place("lock", 6)),
        ("it ends here", Place("lock", 8)),
    ]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a: 1\n=======\na: 2\n>>>>>>> topic\n", ["2:1"]),
        ("<<<<<<< HEAD\na: 1\n", ["1:1"]),
        ("a: 1\n>>>>>>> topic\nb: 1\n<<<<<<< HEAD\n", ["2:1", "4:1"]),
        ("<<<<<<< a\n<<<<<<< b\n=======\n>>>>>>> c\n", ["1:1", "2:1"]),
    ],
)
def test_half_removed_conflicts_are_told(text: str, places: list[str]) -> None:
    found = problems(text)
    assert [str(p.place) for p in found] == [f"lock:{place}" for place in places]
    assert "a conflict marker of Git is left" in found[0].message


def test_a_duplicate_key_names_both_places() -> None:
    (problem,) = problems("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert (problem.code, problem.path, problem.place) == ("PLP003", ("a", "b"), Place("lock", 4, 3))
    assert [related.place for related in problem.related] == [Place("lock", 2, 3)]


def test_all_problems_of_the_data_are_told_at_once_in_order() -> None:
    found = problems("b: !x 1\na: {c: 1, c: 2}\n1: x\n")
    assert [(p.code, p.place.line) for p in found if p.place] == [("PLP002", 1), ("PLP003", 2), ("PLP002", 3)]


def test_each_conflict_is_one_problem() -> None:
    conflict = "<<<<<<< HEAD\na: 1\n||||||| base\na: 0\n=======\na: 2\n>>>>>>> topic\n"
    assert [str(p.place) for p in problems(f"v: 1\n{conflict}b: 1\n{conflict}")] == ["lock:2:1", "lock:10:1"]


def test_a_text_that_looks_like_a_conflict_is_none() -> None:
    assert data("a: |\n  =======\n  <<<<<<< x\nb: <<<<<<<<\n") == {"a": "=======\n<<<<<<< x\n", "b": "<<<<<<<<"}


def test_aliases_can_not_blow_up() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    (problem,) = problems("\n".join(levels))
    assert problem.message == "the aliases make the document too large"


def test_depth_counts_through_aliases() -> None:
    half = "[" * 40 + "]" * 40
    (problem,) = problems(f"a: &a {half}\nb: {'[' * 30}*a{']' * 30}")
    assert problem.message == "nested deeper than 60 levels"


def test_as_deep_as_allowed_is_read() -> None:
    assert data("a: " + "[" * 60 + "]" * 60)


@pytest.mark.parametrize(
    ("raw", "place", "hint"),
    [
        (b"a: 1\nb: \xff", "lock:2:4", "save it as UTF-8"),
        ("a: é\nb: 1".encode("latin-1"), "lock:1:4", "save it as UTF-8"),
        ("a: 1".encode("utf-16"), "lock:1:1", "save it as UTF-8"),
    ],
)
def test_bytes_that_are_not_utf_8_are_refused(raw: bytes, place: str, hint: str) -> None:
    with pytest.raises(DiagnosticsError) as caught:
        decode(raw, "lock")
    (problem,) = caught.value.diagnostics
    assert (problem.code, str(problem.place), problem.hint) == ("PLP002", place, hint)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), "1:1"),
        (("version",), "1:10"),
        (("operations",), "2:1"),
        (("operations", "a.b"), "3:3"),
        (("operations", "a.b", "retries"), "4:14"),
        (("operations", "a.b", "inputs"), "5:5"),
        (("operations", "a.b", "inputs", "raw"), "6:12"),
        (("operations", "a.b", "inputs", "raw", "from", 1), "6:35"),
        (("operations", "a.b", "outputs", 0, "model"), "8:15"),
        (("operations", "c.d", "retries"), "9:20"),
        (("operations", "a.b", "tags", 0), "3:3"),
        (("operations", "a.b", "outputs", 7), "7:5"),
        (("operations", "a.b", "inputs", "raw", "mode"), "6:7"),
        (("operations", "gone"), "2:1"),
        (("nothing", "at", "all"), "1:1"),
        (("version", "of", "a", "number"), "1:1"),
        (("services", "other", "image"), "14:12"),
        (("services", "other", "ports"), "11:33"),
    ],
)
def test_a_path_leads_to_its_value_or_its_nearest_ancestor(path: tuple[str | int, ...], place: str) -> None:
    assert str(read(LOCK, "lock").locate(path)) == f"lock:{place}"


def test_a_path_leads_to_its_key() -> None:
    document = read(LOCK, "lock")
    assert document.locate(("operations", "a.b", "retries"), key=True) == Place("lock", 4, 5)
    assert document.locate(("operations", "a.b", "inputs", "raw", "from"), key=True) == Place("lock", 6, 25)
    assert document.locate(("operations", "a.b", "outputs", 0), key=True) == Place("lock", 8, 7)


@pytest.mark.parametrize(
    ("path", "end"),
    [
        (("version",), "1:11"),
        (("operations",), "2:11"),
        (("operations", "a.b"), "3:6"),
        (("operations", "a.b", "inputs", "raw"), "6:38"),
        (("operations", "a.b", "inputs", "raw", "from", 1), "6:36"),
        (("operations", "a.b", "outputs", 0), "8:21"),
        (("services", "other", "image"), "14:13"),
        ((), "1:8"),
    ],
)
def test_a_place_tells_where_it_ends(path: tuple[str | int, ...], end: str) -> None:
    place = read(LOCK, "lock").locate(path)
    assert f"{place.end_line}:{place.end_column}" == end


def test_an_aliased_value_is_placed_at_its_key() -> None:
    assert read("a: {x: &x 1, y: *x}", "lock").locate(("a", "y")) == Place("lock", 1, 14)


def test_a_multi_line_scalar_ends_where_its_text_ends() -> None:
    place = read("a: 'b\n  c'\nd: 1\n", "lock").locate(("a",))
    assert (place.line, place.end_line, place.end_column) == (1, 2, 5)


def test_places_among_merge_keys_that_double_are_found_at_once() -> None:
    text = "\n".join(["a0: &a0 {k: 1}", *(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 14))])
    document = read(text, "lock")
    assert document.locate(("a13", "k")) == Place("lock", 1, 13)
    assert document.locate(("a13", "gone")) == Place("lock", 14, 1)


def test_nodes_that_are_kept_are_those_of_the_text() -> None:
    kept, parsed = read(LOCK, "lock", keep_nodes=True), read(LOCK, "lock")
    assert "root" in vars(kept)
    assert "root" not in vars(parsed)
    assert kept.locate(("services", "other", "ports")) == parsed.locate(("services", "other", "ports"))
    assert kept == parsed


def test_too_many_problems_are_not_all_told() -> None:
    found = problems("a: {" + "k, " * 5000 + "}")
    assert len(found) == 1001
    assert found[-1].message == "more than 1,000 problems: the rest is not shown"


def test_columns_count_characters() -> None:
    assert read("é😀: {ü: 1}\n", "lock").locate(("é😀", "ü"), key=True) == Place("lock", 1, 6)


@pytest.mark.parametrize("was_on", [True, False])
def test_reading_leaves_the_garbage_collector_as_it_was(was_on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        read("a: 1", "lock")
        problems("a: [")
        assert gc.isenabled() is was_on
    finally:
        (gc.enable if before else gc.disable)()


@given(st.text(max_size=30) | st.lists(st.sampled_from([*HOSTILE, ": ", "\n", "\n  ", "- ", "? ", "*a ", "&a "])).map("".join))
def test_any_text_is_read_or_refused_with_diagnostics(text: str) -> None:
    lines = text.count("\n") + text.count("\r") + 2
    for problem in refusal(text):
        assert problem.code in ("PLP002", "PLP003", "PLP004")
        assert problem.place
        assert 1 <= problem.place.line <= lines
        assert problem.place.column >= 1


def test_without_libyaml_the_same_is_read() -> None:
    program = """
        import sys
        sys.modules["ruamel.yaml.cyaml"] = None
        from pulpo.errors import DiagnosticsError
        from pulpo.manifest import yaml_read, yaml_syntax
        print(yaml_syntax.Parser.__mro__[1].__name__)
        text = sys.stdin.read()
        document = yaml_read.read(text, "lock")
        print(document.data, *(document.locate(p) for p in [("operations", "a.b", "retries"), ("services", "other", "ports")]))
        print(yaml_read.read("%YAML 1.1\\n---\\na: yes", "lock").data)
        for bad in ["a: 1\\na: 2", "a: [", "a: !x 1", "[" * 5000, "", "a:\\n\\tb: 1"]:
            try:
                yaml_read.read(bad, "lock")
            except DiagnosticsError as error:
                print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    result = subprocess.run(command, input=LOCK, capture_output=True, text=True, check=True)
    parser, document, directive, *refused = result.stdout.splitlines()
    assert parser == "SafeLoader"
    assert document == f"{data(LOCK)} lock:4:14 lock:11:33"
    assert directive == "{'a': 'yes'}"
    assert [line.split(": ")[1].split()[1] for line in refused] == ["PLP003", "PLP002", "PLP002", "PLP002", "PLP002", "PLP002"]
