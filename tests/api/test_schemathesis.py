"""The API against its own OpenAPI document: what the document allows is answered, what it does not is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import hypothesis
import pytest
import schemathesis

from pulpo.api.app import create_app
from pulpo.manifest.load import load
from pulpo.store.sqlite import SqliteStore
from tests.api.conftest import EXAMPLES
from tests.api.running import running

SETTINGS = hypothesis.settings(
    max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck), database=None
)


@schemathesis.serializer("application/x-ndjson")
def _lines(_, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


#: What no schema can say: what is a cursor (400), or a record's present tag (412).
UNSAID = ("400", "412")


def _document(name: str, *unsaid: str):
    manifest = load(EXAMPLES / name / "pulpo.lock.yaml")[0]
    document = schemathesis.openapi.from_dict(create_app(manifest, SqliteStore(Path("never-opened.db"))).openapi())
    accepted = document.config.checks.positive_data_acceptance
    accepted.expected_statuses = [*accepted.expected_statuses, *UNSAID, *unsaid]
    return document


#: What names operations, or starts a run, which may lack what comes from outside.
NAMING = "^/graph$|/run$"
jobs = _document("jobs").exclude(path_regex=NAMING)
# Runs that would call real job boards are left to the example's own tests.
naming = _document("jobs", "422").include(path_regex=NAMING).exclude(path_regex="^/(operations|flows)/(scraping.*|pipeline)/run$")
# What every application has is told by `jobs`; here are dates, times, numbers and nulls.
flights = _document("flights").include(path_regex="^/models/(Flight|AgeReport)/")


@pytest.fixture(scope="module")
def base_url(request, tmp_path_factory):
    """The address of the running API of an example."""
    name = request.param
    path, modules = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(EXAMPLES / name))
    manifest = load(EXAMPLES / name / "pulpo.lock.yaml")[0]
    app = create_app(manifest, SqliteStore(tmp_path_factory.mktemp(name) / "store.db"))
    with running(app) as port:
        yield f"http://127.0.0.1:{port}"
    sys.path[:] = path
    for module in set(sys.modules) - modules:
        if module.split(".")[0] == name:
            del sys.modules[module]


@pytest.mark.parametrize("base_url", ["jobs"], indirect=True)
@jobs.parametrize()
@SETTINGS
def test_the_api_of_jobs_does_what_its_document_says(base_url, case):
    # Of a stream without an end is read what comes within the time-out.
    patience = {"timeout": 3} if case.path == "/events" else {}
    case.call_and_validate(base_url=base_url, **patience)


@pytest.mark.parametrize("base_url", ["jobs"], indirect=True)
@naming.parametrize()
@SETTINGS
def test_what_names_operations_does_what_its_document_says(base_url, case):
    case.call_and_validate(base_url=base_url)


@pytest.mark.parametrize("base_url", ["flights"], indirect=True)
@flights.parametrize()
@SETTINGS
def test_the_api_of_flights_does_what_its_document_says(base_url, case):
    case.call_and_validate(base_url=base_url)
