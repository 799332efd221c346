"""A client that openapi-python-client makes of the OpenAPI document talks to a real server."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.api.running import serving

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Bodies and answers that the generator knows nothing of; each has another form besides, or is a stream.
LEFT_OUT = {"application/jsonl", "text/event-stream"}


@pytest.fixture(scope="module", params=["jobs", "flights"])
def server(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("api") / request.param
    shutil.copytree(EXAMPLES / request.param, directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    with serving(directory) as url:
        yield request.param, url


@pytest.fixture
def generated(server, tmp_path, monkeypatch):
    """The name of the package that the generator makes, importable, and the address of the server."""
    name, url = server
    package = f"generated_{name}"
    (tmp_path / "openapi.json").write_text(httpx.get(f"{url}/openapi.json").text)
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--config", "config.yaml"]
    command += ["--meta", "none", "--output-path", package]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    warnings = re.findall(r"WARNING parsing .*\n\n(.*)", done.stdout)
    assert (done.returncode, {w.removeprefix("Unsupported content type ") for w in warnings} - LEFT_OUT) == (0, set()), (
        done.stdout
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield package, url
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        del sys.modules[module]


def test_every_module_of_the_client_can_be_imported(generated, tmp_path):
    package, _ = generated
    for file in sorted((tmp_path / package).rglob("*.py")):
        importlib.import_module(".".join(file.relative_to(tmp_path).with_suffix("").parts).removesuffix(".__init__"))


@pytest.mark.parametrize("server", ["jobs"], indirect=True)
def test_the_client_makes_reads_lists_changes_and_deletes_records(generated):
    package, url = generated
    models = importlib.import_module(f"{package}.models")
    api = {verb: importlib.import_module(f"{package}.api.raw_jobs.{verb}_raw_jobs") for verb in VERBS}
    with importlib.import_module(package).Client(base_url=url) as client:
        posting = models.RawJobsRawJob(url="https://x.example/1", title="Data engineer")
        made = api["create"].sync(client=client, body=models.RawJobs(board="x", keywords="python", title="Jobs", jobs=[posting]))
        assert made.field_rev == 1
        assert made.jobs[0].title == "Data engineer"
        page = api["list"].sync(client=client, board="x", limit=10)
        assert [one.field_id for one in page.items] == [made.field_id]
        changed = api["patch"].sync(made.field_id, client=client, body=models.RawJobsPatch(title="All jobs"))
        assert (changed.title, changed.field_rev) == ("All jobs", 2)
        stale = api["delete"].sync_detailed(made.field_id, client=client, if_match='"1"')
        assert stale.status_code == 412
        assert api["delete"].sync_detailed(made.field_id, client=client).status_code == 204
        assert api["read"].sync_detailed(made.field_id, client=client).status_code == 404


VERBS = ("create", "list", "read", "patch", "delete")


def test_the_client_reads_what_the_manifest_says(generated):
    package, url = generated
    api = {name: importlib.import_module(f"{package}.api.manifest.{name}") for name in READ}
    with importlib.import_module(package).Client(base_url=url) as client:
        models = api["get_models"].sync(client=client).items
        assert all(one.producers or one.consumers for one in models)
        for one in models:
            assert api["get_model"].sync(one.name, client=client).schema.additional_properties["type"] == "object"
        flows = {one.name for one in api["get_flows"].sync(client=client).items}
        for one in api["get_operations"].sync(client=client).items:
            assert one.flow is None or one.flow in flows
            assert api["get_operation"].sync(one.name, client=client).source.line > 0
        assert api["get_manifest"].sync(client=client).report.ok


READ = ("get_models", "get_model", "get_flows", "get_operations", "get_operation", "get_manifest")
