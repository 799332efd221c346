from __future__ import annotations

import pytest

from pulpo.declare.discover import add_to_path, import_modules
from pulpo.declare.lower import lower
from pulpo.declare.registry import REGISTRY

PREAMBLE = """
from __future__ import annotations
import dataclasses, functools, typing
from typing import *
from pydantic import BaseModel, SecretStr
from pulpo import From, Previous, datamodel, operation

@datamodel(key="url")
class RawJob(BaseModel):
    url: str

@datamodel
class CleanJob(BaseModel):
    title: str
"""


@pytest.fixture
def declare(write, tmp_path, fresh_imports):
    """Lower a module that begins with two models, RawJob and CleanJob; lines are counted from the test's own text."""

    def _declare(text: str, preamble: str = PREAMBLE):
        import textwrap

        write("shop/__init__.py", "")
        write("shop/code.py", preamble.strip() + "\n" + textwrap.dedent(text))
        add_to_path(tmp_path)
        import_modules(["shop"], tmp_path)
        return lower(REGISTRY, tmp_path)

    return _declare


@pytest.fixture
def operation_of(declare):
    """The manifest data of the only operation of a module without problems."""

    def _operation_of(text: str):
        lowered = declare(text)
        assert [str(d) for d in lowered.diagnostics] == []
        (entry,) = lowered.operations.values()
        return entry

    return _operation_of


@pytest.fixture
def problems_of(declare):
    """The problems of a module, as (code, message)."""

    def _problems_of(text: str):
        return [(d.code, d.message) for d in declare(text).diagnostics]

    return _problems_of
