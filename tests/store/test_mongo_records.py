"""Which fields of a document have to be written."""

import datetime as dt
from typing import Any

import pytest

from pulpo.store.mongo_records import changed

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, 1.0), (1, True), (0.0, -0.0), ([1], [1.0]), ({"a": 0}, {"a": False}), (None, 0), ("1", 1), (NOON, NOON.isoformat())],
)
def test_a_value_of_another_kind_is_a_change_though_python_says_it_is_equal(old: Any, new: Any) -> None:
    assert repr(changed({"x": old, "y": 1}, {"x": new, "y": 1})) == repr({"x": new})


@pytest.mark.parametrize(
    "value", [None, True, 0, 1.5, -0.0, "é", NOON, [1, [2.0]], {"a": 1, "b": {"c": None}}, {"b": {"c": None}, "a": 1}]
)
def test_an_equal_value_is_none_in_whatever_order_its_keys_are(value: Any) -> None:
    assert changed({"x": value, "gone": 1}, {"x": {"a": 1, "b": {"c": None}} if isinstance(value, dict) else value}) == {}


def test_a_field_that_was_not_there_is_a_change_be_it_null() -> None:
    assert changed({}, {"x": None}) == {"x": None}
