"""The data of a lock that is kept, so that the same text needs no parsing."""

from __future__ import annotations

import json

import pytest

from pulpo.errors import DiagnosticsError
from pulpo.manifest.load import load, read_file

TEXT = "version: 1\nproject: {name: shop}\noperations: {}\nmodels: {}\n"
VALUES = (
    'a: [1, -0.0, 1e300, 0x1f, 99999999999999999999, "\\U0001F600", "\\u2028", "\\x00", ~, true, "1", []]\n'
    "z: {<<: {c: &x [1]}, d: [*x, *x]}\nb: ''\n"
)


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "pulpo.lock.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("text", [TEXT, VALUES], ids=["lock", "values"])
def test_what_is_kept_is_what_the_text_says(lock, text):
    lock.write_text(text)
    plain = read_file(lock)
    kept = lock.with_name("lock.json")
    for _ in range(2):
        found = read_file(lock, kept=kept)
        assert repr(found.data) == repr(plain.data)  # with the types, and the keys in order
        assert found.locate(("z", "d")) == plain.locate(("z", "d"))
    assert [path.name for path in sorted(lock.parent.iterdir())] == ["lock.json", "pulpo.lock.yaml"]


def test_it_is_read_instead_of_the_same_text_alone(lock):
    kept = lock.with_name("lock.json")
    assert load(lock, kept=kept)[0].project.name == "shop"
    kept.write_text(kept.read_text().replace("shop", "kept"))
    assert load(lock, kept=kept)[0].project.name == "kept"
    lock.write_text(TEXT.replace("shop", "other"))
    assert load(lock, kept=kept)[0].project.name == "other"


@pytest.mark.parametrize("there", ["", "[]", "{}", '{"digest": 1, "data": 2}', "\\xff", "[" * 100_000])
def test_a_file_that_does_not_keep_it_is_made_anew(lock, there):
    kept = lock.with_name("lock.json")
    kept.write_text(there)
    assert load(lock, kept=kept)[0].project.name == "shop"
    assert json.loads(kept.read_text())["data"]["project"] == {"name": "shop"}


def test_what_is_kept_is_validated(lock):
    kept = lock.with_name("lock.json")
    lock.write_text(TEXT + "nonsense: 1\n")
    for _ in range(2):
        with pytest.raises(DiagnosticsError) as error:
            load(lock, kept=kept)
        assert [(d.code, d.place and d.place.line) for d in error.value.diagnostics] == [("PLP101", 5)]


def test_where_nothing_can_be_kept_the_lock_is_read(lock):
    assert load(lock, kept=lock.with_name("missing") / "lock.json")[0].project.name == "shop"
