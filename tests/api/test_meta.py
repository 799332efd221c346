"""What the manifest says, over HTTP: models, operations, flows, services, the graph, and the manifest itself."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
from pathlib import Path

import httpx
import pytest

from pulpo.api.app import create_app
from pulpo.graph.render import render
from pulpo.manifest.load import load
from pulpo.run.record import RUNS, STEPS, RunRecord, State, StepRecord, step_id
from pulpo.settings import Project, find_project
from pulpo.store.base import Collection, Record
from pulpo.store.sqlite import SqliteStore
from tests.locks import with_services

JOBS = Path(__file__).parents[2] / "examples" / "jobs"
FLOWS = """
flows:
  scraping: {description: Reads the boards., schedule: {cron: "0 6 * * *"}, tags: [nightly], parameters: {keywords: "${WORDS:-python}"}}
environments:
  prod: {operations: {scraping.stepstone.fetch: {retries: 9}}}
"""
MONGODB = '{uri: "mongodb://app:${MONGO_PASSWORD}@db.example.org/${MONGO_DATABASE:-jobs}"}'


@pytest.fixture
def project(tmp_path):
    """The jobs example with services, in a directory of its own."""
    directory = tmp_path / "jobs"
    shutil.copytree(JOBS, directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    lock = directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("declared:\n", f"{FLOWS.lstrip()}declared:\n", 1))
    with_services(lock, db=MONGODB, cache='{image: "redis:8"}')
    return find_project(directory)


@pytest.fixture
def client(project):
    """`async with client() as http`: the app over the project, started."""

    def opened(environment: str | None = None):
        return Running(Project(project.root, project.name, project.modules, environment))

    return opened


class Running:
    """An app that is started, and a client of it."""

    def __init__(self, project: Project) -> None:
        self.project = project

    async def __aenter__(self) -> httpx.AsyncClient:
        manifest, document = load(self.project.lock_path, self.project.lock_shown, self.project.environment)
        self.store = SqliteStore(self.project.store_path)
        self.app = create_app(manifest, self.store, document=document, project=self.project)
        self._lifespan = self.app.router.lifespan_context(self.app)
        await self._lifespan.__aenter__()
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://127.0.0.1")
        self.http.store = self.store
        return self.http

    async def __aexit__(self, *error):
        await self.http.aclose()
        await self._lifespan.__aexit__(*error)


async def test_models_say_who_makes_and_takes_them(client):
    async with client() as http:
        models = {one["name"]: one for one in (await http.get("/models")).json()["items"]}
    assert list(models) == ["CleanedJobs", "RawJobs"]
    assert models["RawJobs"]["producers"] == ["scraping.linkedin.fetch", "scraping.stepstone.fetch"]
    assert models["RawJobs"]["consumers"] == ["parsing.clean", "scraping.merge"]
    assert models["RawJobs"] | {"collection": "raw_jobs", "key": ["board", "keywords"], "count": None} == models["RawJobs"]


async def test_a_model_has_its_schema_and_the_place_of_its_class(client, project):
    async with client() as http:
        model = (await http.get("/models/RawJobs")).json()
    assert sorted(model["schema"]["properties"]) == ["board", "jobs", "keywords", "title"]
    lines = (project.root / "jobs" / "models.py").read_text().splitlines()
    assert model["source"]["file"] == "jobs/models.py"
    assert lines[model["source"]["line"] - 1].startswith("class RawJobs")
    assert model["settings"]["key"] == {"value": ["board", "keywords"], "owner": "code"}


async def test_a_model_says_what_its_records_can_be_filtered_and_sorted_by(client):
    async with client() as http:
        fields = {one["name"]: one for one in (await http.get("/models/CleanedJobs")).json()["fields"]}
    assert list(fields)[:4] == ["board", "keywords", "title", "jobs"]
    assert {"_id", "_run", "_updated"} <= fields.keys()
    assert fields["board"] | {"kinds": ["string"], "choices": None, "sortable": True, "searched": True} == fields["board"]
    assert "startswith" in fields["board"]["operators"]
    assert fields["jobs"] | {"kinds": ["array"], "operators": ["exists"], "sortable": False, "searched": False} == fields["jobs"]
    assert fields["_run"]["kinds"] == ["null", "string"]


async def test_records_are_counted_when_asked_for(client):
    async with client() as http:
        assert (await http.get("/models/RawJobs")).json()["count"] is None
        await http.store.create(Collection("raw_jobs"), Record("a" * 24, {"board": "x"}))
        assert (await http.get("/models/RawJobs?count=exact")).json()["count"] == 1
        counts = {one["name"]: one["count"] for one in (await http.get("/models?count=exact")).json()["items"]}
        assert counts == {"CleanedJobs": 0, "RawJobs": 1}
        assert (await http.get("/models?count=about")).status_code == 422


async def test_an_operation_says_who_owns_its_settings(client, project):
    lock = project.root / "pulpo.lock.yaml"
    edited = lock.read_text().replace("    retries: 3\n", "    retries: 5\n    timeout: 30\n", 1)
    lock.write_text(edited)
    async with client() as http:
        linkedin = (await http.get("/operations/scraping.linkedin.fetch")).json()
        stepstone = (await http.get("/operations/scraping.stepstone.fetch")).json()
    assert linkedin["settings"]["retries"] == {"value": 5, "owner": "manifest"}
    assert linkedin["settings"]["timeout"] == {"value": 30, "owner": "manifest"}
    assert linkedin["settings"]["description"]["owner"] == "code"
    assert stepstone["settings"]["retries"] == {"value": 3, "owner": "code"}
    async with client("prod") as http:
        overlaid = (await http.get("/operations/scraping.stepstone.fetch")).json()
    assert overlaid["settings"]["retries"] == {"value": 9, "owner": "environment"}


async def test_an_operation_has_its_signature_its_place_and_its_neighbours(client, project):
    async with client() as http:
        merge = (await http.get("/operations/scraping.merge")).json()
        fetch = (await http.get("/operations/scraping.stepstone.fetch")).json()
    assert [one["parameter"] for one in merge["inputs"]] == ["stepstone", "linkedin"]
    assert merge["inputs"][0]["from"] == ["scraping.stepstone.fetch"]
    assert merge["async"] is True
    assert (merge["flow"], merge["upstream"]) == ("scraping", ["scraping.linkedin.fetch", "scraping.stepstone.fetch"])
    assert merge["downstream"] == ["validate"]
    assert fetch["parameters"][0] | {"name": "keywords", "required": False, "default": "python"} == fetch["parameters"][0]
    lines = (project.root / fetch["source"]["file"]).read_text().splitlines()
    assert "def fetch_stepstone" in lines[fetch["source"]["line"] - 1]


async def test_an_operation_has_its_last_runs(client):
    async with client() as http:
        assert (await http.get("/operations/parsing.clean")).json()["last_runs"] == []
        for number, state in enumerate([State.COMPLETED] * 6 + [State.FAILED]):
            begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=number)
            run = RunRecord(f"r{number}", "parsing", state, begin, operations=("parsing.clean",))
            step = StepRecord(
                "parsing.clean", "jobs.operations:clean", state, begin, error="no" if state is State.FAILED else None
            )
            await http.store.create(RUNS, Record(run.id, run.data()))
            await http.store.create(STEPS, Record(step_id(run.id, step.operation), step.data(run.id)))
        runs = (await http.get("/operations/parsing.clean")).json()["last_runs"]
        assert (await http.get("/operations/validate")).json()["last_runs"] == []
    assert [one["run"] for one in runs] == ["r6", "r5", "r4", "r3", "r2"]
    assert runs[0] == {
        "run": "r6", "flow": "parsing", "state": "failed", "started": "2026-01-07T00:00:00Z", "finished": None, "error": "no"
    }  # fmt: skip


async def test_flows_have_parameters_schedule_and_the_name_of_their_deployment(client):
    async with client() as http:
        flows = {one["name"]: one for one in (await http.get("/flows")).json()["items"]}
        scraping = (await http.get("/flows/scraping")).json()
    assert list(flows) == ["parsing", "pipeline", "scraping", "scraping.linkedin", "scraping.stepstone", "validate"]
    assert flows["pipeline"]["flows"] == ["parsing", "scraping"]
    assert flows["validate"]["standalone"] is True
    assert flows["scraping"]["deployment"] == "scraping/jobs"
    assert flows["scraping"]["schedule"] == {"cron": "0 6 * * *"}
    assert flows["scraping"]["parameters"][0]["targets"] == [
        "scraping.linkedin.fetch.keywords",
        "scraping.stepstone.fetch.keywords",
    ]
    assert scraping["settings"]["parameters"] == {"keywords": "${WORDS:-python}"}
    async with client("prod") as http:
        assert (await http.get("/flows/pipeline")).json()["deployment"] == "pipeline/jobs.prod"


async def test_services_show_references_and_never_what_they_stand_for(client, monkeypatch):
    monkeypatch.setenv("MONGO_PASSWORD", "sesame")
    async with client() as http:
        answer = await http.get("/services")
        db = (await http.get("/services/db")).json()
    assert "sesame" not in answer.text
    assert [one["name"] for one in answer.json()["items"]] == ["api", "cache", "db", "prefect", "ui", "worker"]
    assert db["settings"]["uri"] == "mongodb://app:${MONGO_PASSWORD}@db.example.org/${MONGO_DATABASE:-jobs}"
    assert db["variables"] == {"MONGO_DATABASE": "default", "MONGO_PASSWORD": "yes"}


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/models/RawJob", "RawJobs"),
        ("/operations/scraping.merg", "scraping.merge"),
        ("/flows/scrapping", "scraping"),
        ("/services/cash", "cache"),
    ],
)
async def test_an_unknown_name_is_not_found_and_a_near_one_suggested(client, path, hint):
    async with client() as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["hint"] == f"did you mean {hint!r}?"


@pytest.mark.parametrize(
    ("accept", "query", "name"),
    [
        (None, "", "json"),
        ("*/*", "", "json"),
        ("text/vnd.mermaid", "", "mermaid"),
        ("application/json;q=0.5, text/vnd.graphviz", "", "dot"),
        ("application/json", "?format=dot", "dot"),
    ],
)
async def test_the_graph_comes_in_the_form_asked_for(client, project, accept, query, name):
    manifest, _ = load(project.lock_path)
    async with client() as http:
        answer = await http.get(f"/graph{query}", headers={"Accept": accept} if accept else {})
    assert answer.text == render(manifest, name)


@pytest.mark.parametrize(
    ("path", "parameter", "hint"),
    [
        ("/models?cuont=exact", "cuont", "did you mean 'count'?"),
        ("/models/RawJobs?x=1", "x", None),
        ("/runs?satte=failed", "satte", "did you mean 'state'?"),
        ("/graph?fromat=dot", "fromat", "did you mean 'format'?"),
        ("/manifest?x=1", "x", None),
        ("/events?modle=RawJobs", "modle", "did you mean 'model'?"),
    ],
)
async def test_a_parameter_that_is_not_there_is_refused(client, path, parameter, hint):
    async with client() as http:
        answer = await http.get(path)
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert (fault["loc"], fault.get("hint")) == (["query", parameter], hint)


async def test_no_page_is_served_that_loads_anything_from_elsewhere(client):
    async with client() as http:
        assert [(await http.get(path)).status_code for path in ("/docs", "/redoc", "/docs/oauth2-redirect")] == [404] * 3
        assert (await http.get("/openapi.json")).status_code == 200


async def test_the_graph_refuses_forms_and_selections_that_mean_nothing(client):
    async with client() as http:
        assert (await http.get("/graph", headers={"Accept": "image/png"})).status_code == 406
        assert (await http.get("/graph?format=svg")).status_code == 422
        assert (await http.get("/graph?select=nothing.here")).status_code == 422
        part = (await http.get("/graph?select=scraping")).json()
    assert [one["name"] for one in part["nodes"]] == ["scraping.linkedin.fetch", "scraping.merge", "scraping.stepstone.fetch"]


async def test_the_manifest_is_the_file_with_a_tag(client, project):
    async with client() as http:
        answer = await http.get("/manifest")
        again = await http.get("/manifest", headers={"If-None-Match": answer.headers["etag"]})
        text = await http.get("/manifest?format=yaml")
    assert again.status_code == 304
    assert not again.content
    assert answer.json()["text"] == text.text == project.lock_path.read_text()
    assert answer.json()["current"] is True
    assert answer.json()["data"]["project"] == {"name": "jobs", "modules": ["jobs"]}
    assert answer.json()["report"]["ok"] is True


async def test_a_newer_lock_is_answered_by(client, project):
    async with client() as http:
        before = await http.get("/manifest")
        project.lock_path.write_text(project.lock_path.read_text().replace("    retries: 3\n", "    retries: 7\n"))
        after = await http.get("/manifest", headers={"If-None-Match": before.headers["etag"]})
        settings = (await http.get("/operations/scraping.stepstone.fetch")).json()["settings"]
    assert after.status_code == 200
    assert settings["retries"]["value"] == 7


async def test_a_newer_lock_is_noticed_by_itself(client, project):
    async def retries() -> int:
        return (await http.get("/operations/scraping.stepstone.fetch")).json()["settings"]["retries"]["value"]

    async with client() as http, asyncio.timeout(10):
        project.lock_path.write_text(project.lock_path.read_text().replace("    retries: 3\n", "    retries: 7\n"))
        while await retries() != 7:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("models:\n", "modles:\n"), "PLP101"),
        (("{model: RawJobs, mode: each", "{model: RawJob, mode: each"), "PLP201"),
        (("version: 1\n", "<<<<<<< ours\nversion: 1\n"), "PLP004"),
    ],
)
async def test_an_invalid_lock_keeps_the_last_good_one_and_says_so(client, project, change, code):
    good = project.lock_path.read_text()
    async with client() as http:
        project.lock_path.write_text(good.replace(*change, 1))
        answer = (await http.get("/manifest")).json()
        models = (await http.get("/models")).json()["items"]
        ready = await http.get("/health/ready")
        (first, *_) = answer["report"]["diagnostics"]
        project.lock_path.write_text(good)
        healed = (await http.get("/manifest")).json()
        well = (await http.get("/health/ready")).json()
    assert (answer["current"], answer["report"]["ok"]) == (False, False)
    assert first["code"] == code
    assert (first["file"], first["line"] > 0) == (answer["file"], True)
    assert [one["name"] for one in models] == ["CleanedJobs", "RawJobs"]
    assert sorted(answer["data"]["models"]) == ["CleanedJobs", "RawJobs"]
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "store": "ok", "manifest": "errors"})
    assert well["manifest"] == "ok"
    assert (healed["current"], healed["report"]["ok"]) == (True, True)


async def test_a_lock_that_is_gone_keeps_the_last_good_one(client, project):
    async with client() as http:
        project.lock_path.unlink()
        answer = (await http.get("/manifest")).json()
        assert (await http.get("/models/RawJobs")).status_code == 200
    assert (answer["current"], answer["text"]) == (False, None)
    assert answer["report"]["diagnostics"][0]["code"] == "PLP001"


async def test_an_environment_that_is_gone_keeps_the_last_good_manifest(client, project):
    async with client("prod") as http:
        project.lock_path.write_text(project.lock_path.read_text().replace("  prod: {", "  staging: {", 1))
        answer = (await http.get("/manifest")).json()
    assert (answer["current"], answer["environment"]) == (False, "prod")
    assert "prod" in answer["report"]["diagnostics"][0]["message"]


async def test_a_password_in_the_file_is_not_shown(client, project):
    project.lock_path.write_text(project.lock_path.read_text().replace("${MONGO_PASSWORD}", "sesame", 1))
    async with client() as http:
        for path in ("/manifest", "/manifest?format=yaml", "/services", "/services/db"):
            answer = await http.get(path)
            assert answer.status_code == 200
            assert "sesame" not in answer.text
