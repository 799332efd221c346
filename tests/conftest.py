"""Fixtures for all tests: a fresh registry, and projects that tests write into a temporary directory."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from pulpo.declare.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _fresh_registry() -> Iterator[None]:
    """Declarations of one test are not those of the next."""
    models, operations = list(REGISTRY.models), list(REGISTRY.operations)
    REGISTRY.reset()
    yield
    REGISTRY.models[:], REGISTRY.operations[:] = models, operations


@pytest.fixture
def fresh_imports() -> Iterator[None]:
    """Modules and paths that a test imports are forgotten after it."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path


@pytest.fixture
def write(tmp_path: Path):
    """Write files into the test's project: `write("jobs/models.py", text)`; the text is dedented."""

    def _write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return _write
