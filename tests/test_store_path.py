"""Where the embedded store of a project is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulpo.settings import Project


@pytest.mark.parametrize(
    ("said", "path"),
    [
        (None, "/jobs/run_cache/store.db"),
        ("", "/jobs/run_cache/store.db"),
        ("/data/a.db", "/data/a.db"),
        ("b/c.db", "/jobs/b/c.db"),
    ],
)
def test_a_variable_says_where_it_is_relative_to_the_project(monkeypatch, said, path):
    monkeypatch.delenv("PULPO_STORE_PATH", raising=False)
    if said is not None:
        monkeypatch.setenv("PULPO_STORE_PATH", said)
    assert Project(Path("/jobs")).store_path == Path(path)
