"""Where the store of a project is: what is asked for which answer."""

from __future__ import annotations

import json

import pytest

from pulpo.errors import UsageError
from pulpo.manifest.model import Manifest
from pulpo.settings import Project
from pulpo.store.open import project_store, project_uri
from tests.ports import free_port

URI = "mongodb://db.example.org/jobs"


@pytest.fixture
def uri(tmp_path):
    """The store's URI in a project with a service `db`, or with none."""

    def _uri(db: dict[str, object] | None = None, chosen: dict[str, int] | None = None, **environ: str) -> str | None:
        if chosen is not None:
            (tmp_path / "run_cache/services").mkdir(parents=True)
            (tmp_path / "run_cache/services/ports.json").write_text(json.dumps(chosen))
        services = {} if db is None else {"services": {"db": db}}
        manifest = Manifest.model_validate({"version": 1, "project": {"name": "jobs", "modules": ["jobs"]}, **services})
        return project_uri(Project(tmp_path), manifest, environ=environ)

    return _uri


def test_nothing_and_an_embedded_one_are_the_file(uri):
    assert uri() is None
    assert uri({}) is None
    assert uri({"engine": "embedded"}) is None
    assert uri({"engine": "mongodb", "enabled": False}) is None


def test_one_that_runs_elsewhere_is_at_its_uri(uri):
    assert uri({"uri": "mongodb://${HOST}/jobs", "engine": "mongodb"}, HOST="db.example.org") == URI


def test_one_that_the_project_runs_is_where_it_listens(uri):
    assert uri({"engine": "mongodb"}) == "mongodb://127.0.0.1:27017/jobs"
    assert uri({"image": "mongo:8", "ports": ["0.0.0.0:27018:27017"]}) == "mongodb://127.0.0.1:27018/jobs"
    assert uri({"engine": "mongodb", "ports": ["[::1]:27018:27017"]}) == "mongodb://[::1]:27018/jobs"


def test_a_port_that_was_chosen_is_remembered_and_one_that_was_not_is_an_error(uri):
    with pytest.raises(UsageError, match="the database has no port yet: it was never started") as caught:
        uri({"engine": "mongodb", "ports": ["auto"]})
    assert caught.value.hint == "pulpo db start"
    assert uri({"engine": "mongodb", "ports": ["auto"]}, {"db": 20123}) == "mongodb://127.0.0.1:20123/jobs"


def test_the_variable_goes_before_all_of_them(uri):
    for db in (None, {"engine": "embedded"}, {"engine": "mongodb"}, {"uri": "mongodb://other/jobs"}):
        assert uri(db, PULPO_DB_URI=URI) == URI


@pytest.mark.parametrize(("own", "hint"), [(True, "start it: pulpo db start"), (False, "start it, or see that host and port")])
async def test_one_that_is_down_names_the_command_that_starts_it_where_there_is_one(tmp_path, own, hint):
    port = free_port()
    db = {"engine": "mongodb", "ports": [str(port)]} if own else {"uri": f"mongodb://127.0.0.1:{port}/jobs"}
    manifest = Manifest.model_validate({"version": 1, "project": {"name": "jobs"}, "services": {"db": db}})
    with pytest.raises(UsageError, match="nothing listens where MongoDB should be") as caught:
        await project_store(Project(tmp_path), manifest, environ={}).open()
    assert caught.value.hint.startswith(hint)
