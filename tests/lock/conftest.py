from __future__ import annotations

import sys

import pytest

from pulpo.declare.registry import REGISTRY
from pulpo.lock.check import check
from pulpo.lock.update import lock
from pulpo.settings import find_project

MODELS = """
from pydantic import BaseModel
from pulpo import datamodel

@datamodel(key="url")
class RawJobs(BaseModel):
    url: str

@datamodel(key="url")
class CleanedJobs(BaseModel):
    url: str

@datamodel(key="url")
class MergedJobs(BaseModel):
    url: str
"""

OPERATIONS = """
from pulpo import operation
from jobs.models import *

@operation("scraping.stepstone.fetch", retries=3)
async def fetch_stepstone(keywords: str = "python") -> RawJobs: ...

@operation("scraping.linkedin.fetch")
async def fetch_linkedin(keywords: str = "python") -> RawJobs: ...

@operation("parsing.clean")
def clean(raw: RawJobs) -> CleanedJobs: ...
"""

MERGE = """
@operation("scraping.merge")
async def merge(stepstone: RawJobs, linkedin: RawJobs) -> MergedJobs: ...
"""


class Jobs:
    """A project with two fetchers and a cleaner, as files that a test changes."""

    def __init__(self, write, root) -> None:
        self.write = write
        self.root = root
        write("pyproject.toml", '[project]\nname = "jobs"\n[tool.pulpo]\nmodules = ["jobs"]\n')
        write("jobs/__init__.py", "")
        write("jobs/models.py", MODELS)
        self.operations = OPERATIONS

    @property
    def path(self):
        return self.root / "pulpo.lock.yaml"

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        """Edit the lock by hand."""
        assert old in self.text, self.text
        self.path.write_text(self.text.replace(old, new, 1), encoding="utf-8")

    def _afresh(self):
        for name in [n for n in sys.modules if n.split(".")[0] == "jobs"]:
            del sys.modules[name]
        REGISTRY.reset()
        self.write("jobs/operations.py", self.operations)
        return find_project(self.root)

    def lock(self, **options):
        return lock(self._afresh(), **options)

    def check(self, **options):
        return check(self._afresh(), **options)


@pytest.fixture
def jobs(write, tmp_path, fresh_imports, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file rewritten within a second would be taken from its cache
    return Jobs(write, tmp_path)
