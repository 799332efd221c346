"""The API against its own OpenAPI document: what the document allows is answered, what it does not is refused."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pymongo
import pytest
import schemathesis

from pulpo.api.app import create_app
from pulpo.api.settings import Settings
from pulpo.manifest.load import load
from pulpo.settings import find_project
from pulpo.store.mongo import MongoStore
from pulpo.store.sqlite import SqliteStore
from tests.api.conftest import EXAMPLES
from tests.api.running import running

if TYPE_CHECKING:
    from fastapi import FastAPI

DATABASE = f"pulpo_schemathesis_{os.getpid()}"

SETTINGS = hypothesis.settings(
    max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck), database=None
)


@schemathesis.serializer("application/x-ndjson")
def _lines(_, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


#: What no schema can say: what is a cursor (400), or a record's present tag (412).
UNSAID = ("400", "412")
FREE, TOKEN = Settings(), Settings(token="s3cret")
BEARER = {"Authorization": "Bearer s3cret"}


def _document(name: str, *unsaid: str, settings: Settings = FREE):
    manifest = load(EXAMPLES / name / "pulpo.lock.yaml")[0]
    app = create_app(manifest, SqliteStore(Path("never-opened.db")), settings=settings)
    document = schemathesis.openapi.from_dict(app.openapi())
    accepted = document.config.checks.positive_data_acceptance
    accepted.expected_statuses = [*accepted.expected_statuses, *UNSAID, *unsaid]
    return document


#: What names operations, or starts a run, which may lack what comes from outside.
NAMING = "^/graph$|/run$"
#: What looks at the project on disk.
ON_DISK = "^/(plan|services)"
jobs = _document("jobs").exclude(path_regex=f"{NAMING}|{ON_DISK}")
# Runs that would call real job boards are left to the example's own tests.
naming = _document("jobs", "422").include(path_regex=NAMING).exclude(path_regex="^/(operations|flows)/(scraping.*|pipeline)/run$")
# Restarts are real ones there.
on_disk = _document("jobs").include(path_regex=ON_DISK).exclude(method="POST")
# Runs are told by `naming`, what has no end by `jobs`; of the lists, each of which has hundreds of filters, the one of most kinds.
flights = (
    _document("flights", settings=TOKEN)
    .exclude(path_regex=f"{NAMING}|^/events$|^/plan$")
    .exclude(method="GET", path_regex="^/models/(?!Flight/)[^/{]+/records$")
)


def _app(name: str, directory: Path, mongo_url: str) -> FastAPI:
    """The API of an example: of jobs with or without its project, of flights with a token and over MongoDB."""
    if name == "flights":
        manifest = load(EXAMPLES / name / "pulpo.lock.yaml")[0]
        return create_app(manifest, MongoStore(mongo_url, database=DATABASE, driver="motor"), settings=TOKEN)
    if name == "jobs":
        return create_app(load(EXAMPLES / name / "pulpo.lock.yaml")[0], SqliteStore(directory / "store.db"), settings=FREE)
    shutil.copytree(EXAMPLES / "jobs", directory / "jobs", ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    project = find_project(directory / "jobs")
    manifest, document = load(project.lock_path, project.lock_shown)
    return create_app(manifest, SqliteStore(project.store_path), settings=FREE, document=document, project=project)


@pytest.fixture(scope="module")
def base_url(request, tmp_path_factory, mongo_url):
    """The address of the running API of an example."""
    name = request.param
    path, modules = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(EXAMPLES / name.split()[0]))
    with running(_app(name, tmp_path_factory.mktemp("api"), mongo_url)) as port:
        yield f"http://127.0.0.1:{port}"
    with pymongo.MongoClient(mongo_url) as client:
        client.drop_database(DATABASE)
    sys.path[:] = path
    for module in set(sys.modules) - modules:
        if module.split(".")[0] in ("jobs", "flights"):
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


@pytest.mark.parametrize("base_url", ["jobs with its project"], indirect=True)
@on_disk.parametrize()
@hypothesis.settings(SETTINGS, max_examples=1)
def test_what_looks_at_the_project_does_what_its_document_says(base_url, case):
    case.call_and_validate(base_url=base_url, timeout=60)


@pytest.mark.parametrize("base_url", ["flights"], indirect=True)
@flights.parametrize()
@hypothesis.settings(SETTINGS, max_examples=2)
def test_the_api_of_flights_with_a_token_over_mongodb_does_what_its_document_says(base_url, case):
    case.call_and_validate(base_url=base_url, headers=BEARER)
