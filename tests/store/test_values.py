"""Values in canonical form, ids, times and cursors."""

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import hashlib
import json
import subprocess
import sys
import uuid
from collections import OrderedDict, deque
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, HttpUrl

from pulpo.store.base import Sort, StoreError
from pulpo.store.cursor import make_cursor, read_cursor
from pulpo.store.values import canonical, decode, encode, field_name_problem, from_iso, now, record_id, to_iso, to_json

UTC = dt.UTC
BERLIN = dt.timezone(dt.timedelta(hours=2))


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


@dataclasses.dataclass
class Point:
    x: int
    at: dt.datetime


class Job(BaseModel):
    title: str
    at: dt.datetime
    url: HttpUrl = HttpUrl("https://example.com/")


MOMENT = dt.datetime(2026, 1, 31, 6, 0, 0, 123456, tzinfo=UTC)
CUT = dt.datetime(2026, 1, 31, 6, 0, 0, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (0, 0),
        (1.5, 1.5),
        ("ñ", "ñ"),
        (MOMENT, CUT),
        (MOMENT.replace(tzinfo=None), CUT),
        (dt.datetime(2026, 1, 31, 8, tzinfo=BERLIN), dt.datetime(2026, 1, 31, 6, tzinfo=UTC)),
        (dt.date(988, 1, 2), "0988-01-02"),
        (dt.time(6, 30), "06:30:00"),
        (dt.timedelta(hours=1), "PT1H"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.10"), "1.10"),
        (b"\x00\xff", "AP8="),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Word("word"), "word"),
        (float("nan"), None),
        (float("inf"), None),
        ("a\ud800", "a\ufffd"),
        ("a\0", "a\ufffd"),
        ("a\ud800b\0", "a\ufffdb\ufffd"),
        ("\\u0000", "\\u0000"),
        ((1, [2]), [1, [2]]),
        (deque([1]), [1]),
        ({3, 10, 2}, [2, 3, 10]),
        (frozenset({"b", 1}), ["b", 1]),
        ({"a": {"b": (1,)}}, {"a": {"b": [1]}}),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "a", False: "b"}, {"1": "a", "false": "b"}),
        ({Colour.RED: 1, uuid.UUID(int=1): 2}, {"red": 1, "00000000-0000-0000-0000-000000000001": 2}),
        (Point(1, MOMENT), {"x": 1, "at": CUT}),
        (Job(title="a", at=MOMENT), {"title": "a", "at": CUT, "url": "https://example.com/"}),
        (PurePosixPath("a/b"), "a/b"),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[1, 2]]), [[1, 2]]),
        (pd.Timestamp("2026-01-31T06:00:00.123456Z"), CUT),
        (pd.NaT, None),
    ],
)
def test_the_canonical_form_of(value: Any, expected: Any) -> None:
    result = canonical(value)
    assert result == expected
    assert type(result) is type(expected)
    assert canonical(result) == result
    # Storing and reading give the same, whichever way the text is made.
    assert decode(encode({"v": value})) == {"v": expected}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"": 1}, "a field's name can't be empty"),
        ({"a.b": 1}, r"a field's name can't hold '\.': 'a\.b'"),
        ({'a"b': 1}, "a field's name can't hold '\"': 'a\"b'"),
        ({"a\0": 1}, r"a field's name can't hold '\\x00'"),
        ({"$a": 1}, r"a field's name can't begin with \$: '\$a'"),
        ({"a\ud800": 1}, "a field's name has to be valid Unicode"),
        ({None: 1}, "a field's name can't be of type NoneType"),
        ({1: "a", "1": "b"}, "two keys have one name: '1'"),
        ({"a": {"b": [0, {"c.d": 1}]}}, r"a\.b\.1: a field's name can't hold"),
        (-(2**63) - 1, "an integer of more than 64 bits: it has 64"),
        (10**4000, "an integer of more than 64 bits: it has 13288"),
        (dt.datetime(1, 1, 1, tzinfo=BERLIN), "the time is before the year 1"),
        ({"a": object()}, r"a: it is of type builtins\.object"),
        (object, "it is of type"),
    ],
)
def test_what_has_no_canonical_form(value: Any, message: str) -> None:
    with pytest.raises(StoreError, match=f"a value can't be stored: .*{message}"):
        canonical(value)
    with pytest.raises(StoreError, match=message):
        encode({"v": value})


def nested(depth: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for level in range(depth - 1):
        data = {"a": data} if level % 2 else {"a": [data]}
    return data


def test_nesting_has_a_limit() -> None:
    cycle: dict[str, Any] = {}
    cycle["a"] = [cycle]
    for deep in (nested(5000), cycle):
        with pytest.raises(StoreError, match="it is nested deeper than 100 levels"):
            encode(deep)
    assert decode(encode(nested(60))) == nested(60)


def levels(count: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(count - 1):
        data = {"a": data}
    return data


@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_a_hundred_levels_are_fine_and_one_more_is_not(kind: type) -> None:
    encode(kind(levels(100)))
    with pytest.raises(StoreError):
        encode(kind(levels(101)))


@pytest.mark.parametrize(
    ("name", "fits"),
    [("title", True), ("título", True), ("a b", True), ("a_", True), ("_a", False), ("$a", False), ("a.b", False), ("", False)],
)
def test_names_of_fields(name: str, fits: bool) -> None:
    assert (field_name_problem(name) is None) is fits


def test_fields_that_begin_with_an_underscore_are_only_refused_on_top() -> None:
    assert encode({"a": {"_b": 1}}) == '{"a":{"_b":1}}'
    with pytest.raises(StoreError, match="can't begin with _: '_b'") as caught:
        encode({"_b": 1})
    assert caught.value.hint


def test_equal_data_has_one_text() -> None:
    assert encode({"b": {"y": 1, "x": 2}, "a": {3, 1, 2}}) == encode({"a": [1, 2, 3], "b": {"x": 2, "y": 1}})
    assert encode({"a": MOMENT}) == '{"a":{"$d":"2026-01-31T06:00:00.123Z"}}'
    assert encode({"a": 1}) != encode({"a": 1.0}) != encode({"a": True})


TREES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        st.text(st.characters()),
        st.datetimes(timezones=st.just(UTC)),
        st.dates(),
        st.decimals(allow_nan=False),
        st.uuids(),
        st.binary(max_size=5),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_ñ\\\n", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abcdef"), TREES, max_size=4))
def test_the_text_holds_the_canonical_form(data: dict[str, Any]) -> None:
    text = encode(data)
    assert decode(text) == canonical(data)
    assert encode(decode(text)) == text
    # The way round the fast path gives the same text.
    assert encode(MappingProxyType(data)) == text


@given(st.datetimes())
def test_times_sort_as_their_text(moment: dt.datetime) -> None:
    text = to_iso(moment)
    assert len(text) == len("2026-01-31T06:00:00.123Z")
    assert from_iso(text) == canonical(moment)
    assert (text < to_iso(CUT)) == (from_iso(text) < CUT)


def test_the_present_is_in_utc_milliseconds() -> None:
    assert now().tzinfo is UTC
    assert now().microsecond % 1000 == 0


def test_ids_are_24_hex_digits_of_the_key() -> None:
    assert record_id("https://example.com/1") == "ba7fde060414b663fa6290ea"
    different = [("a",), ("a", "b"), ("ab",), (1,), ("1",), (True,), (None,), (), (1.5,), (MOMENT,), (["a"],), ("a", 0), ("a", 1)]
    ids = {record_id(*key) for key in different}
    assert len(ids) == len(different)
    assert all(len(one) == 24 and int(one, 16) >= 0 for one in ids)
    assert record_id(dt.date(2026, 1, 1), uuid.UUID(int=1)) == record_id("2026-01-01", str(uuid.UUID(int=1)))


def test_ids_and_texts_are_the_same_in_any_process() -> None:
    code = "from pulpo.store.values import *; print(record_id({'b', 'a', 'c'}, 'x'), encode({'s': {'x', 'y', 'z', 1}}))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


KEYS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


@given(
    st.lists(st.tuples(st.builds(Sort, st.sampled_from(["a", "-a", "b.c", "_id"]), st.booleans()), KEYS), min_size=1, max_size=4)
)
def test_a_cursor_gives_back_its_keys(parts: list[tuple[Sort, Any]]) -> None:
    order = [sort for sort, _ in parts]
    keys = [canonical(key) for _, key in parts]
    cursor = make_cursor(order, keys)
    assert read_cursor(cursor, order) == keys
    assert all(letter.isalnum() or letter in "-_" for letter in cursor)


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda content: base64.urlsafe_b64encode(content).decode()))
def test_whatever_else_is_given_as_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="cursor"):
        read_cursor(text, [Sort("_id")])


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"order": ["_id"]},
        {"order": ["_id"], "keys": 1},
        {"order": ["_id"], "keys": []},
        {"order": ["_id"], "keys": [[1]]},
        {"order": ["_id"], "keys": {"a": 1}},
        {"order": ["_id"], "keys": [2**70]},
        {"order": ["_id"], "keys": [{"$d": "never"}]},
        {"order": ["_id"], "keys": "x"},
        {"order": "_id", "keys": ["x"]},
    ],
)
def test_a_forged_cursor_is_refused(content: Any) -> None:
    with pytest.raises(StoreError, match="cursor"):
        read_cursor(base64.urlsafe_b64encode(json.dumps(content).encode()).decode(), [Sort("_id")])


@given(
    st.lists(
        st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none() | st.floats(allow_nan=False),
        min_size=1,
        max_size=3,
    )
)
def test_plain_keys_have_the_ids_that_their_canonical_form_gives(key):
    assert record_id(*key) == hashlib.sha256(to_json(key).encode()).hexdigest()[:24]
