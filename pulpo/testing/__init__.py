"""Tests of a project's flows: run one with records, parameters and fakes that a test gives, without a server or a file.

from pulpo.testing import run

def test_jobs_are_cleaned():
    result = run("parsing", inputs={RawJob: [RawJob(url="u", title=" Cook ")]})
    assert result.records(Job) == [Job(url="u", title="Cook")]
"""

from __future__ import annotations

from pulpo.testing.result import Result
from pulpo.testing.runs import run, run_async

__all__ = ["Result", "run", "run_async"]
