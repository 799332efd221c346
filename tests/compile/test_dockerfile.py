"""The project's image as text, and what is left out of it; and the files of containers in `run_cache`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulpo.compile import artifacts as files
from pulpo.compile.artifacts import Changes, artifacts
from pulpo.compile.codegen import PrefectCodeGenerator
from pulpo.compile.containers import COMPOSE, CONTAINER_FILES, container_files
from pulpo.compile.dockerfile import build_arguments, dockerfile, dockerignore, image_name, needed_extras
from pulpo.compile.requirements import requirements
from pulpo.compile.topology import Mount, Role, ServiceDefinition, Topology, topology
from pulpo.errors import UsageError
from pulpo.manifest.model import Manifest
from pulpo.manifest.service import DockerSpec
from tests.compile.test_codegen import locked

TOPOLOGY = Topology("Jobs", None, (ServiceDefinition("api", Role.API, command=("pulpo", "api", "serve")),))


def manifest(services: dict, **more) -> Manifest:
    data = locked({}).data()
    return Manifest.model_validate({**data, **more, "services": services})


def test_the_base_image_packages_and_extras_are_the_manifests():
    docker = DockerSpec(base_image="python:3.13-slim", packages=["libpq5", "git"], extras=["dask", "plots"])
    text = dockerfile(TOPOLOGY, docker, extras=["api"], version="1.2.3")
    assert "\nFROM python:3.13-slim\n" in text
    assert "apt-get install -y --no-install-recommends git libpq5 \\\n" in text
    assert 'from="==1.2.3"' in text
    assert '"pulpocore[api,dask] $from"' in text, "`plots` is an extra of the project, not of Pulpo"
    assert "python -m pulpo.compile.requirements dask plots >" in text
    assert "apt-get" not in dockerfile(TOPOLOGY)


def test_the_name_of_the_base_image_may_have_references():
    docker = DockerSpec(base_image="${REGISTRY:-docker.io}/python:${TAG}")
    lines = dockerfile(TOPOLOGY, docker).splitlines()
    assert lines[1:4] == ["ARG REGISTRY=docker.io", "ARG TAG", "FROM ${REGISTRY}/python:${TAG}"]
    assert build_arguments(docker) == {"args": {"REGISTRY": None, "TAG": None}}
    assert build_arguments(None) == {}


def test_an_environments_image_is_compiled_for_it_and_has_a_tag_of_its_own():
    staging = Topology("Jobs", "Staging 2", TOPOLOGY.services)
    assert "PULPO_ENV='Staging 2'" in dockerfile(staging)
    assert "PULPO_ENV" not in dockerfile(TOPOLOGY)
    assert (image_name(TOPOLOGY), image_name(staging)) == ("pulpo/jobs", "pulpo/jobs:staging-2")


def test_the_image_is_named_by_the_manifest_else_by_the_machine_that_it_is_made_on():
    def image(**project) -> str:
        found = manifest({"api": {}}, project={"name": "Jobs", **project})
        return container_files(found, topology(found))[COMPOSE].split("image: ")[1].splitlines()[0]

    assert image() == '"${PULPO_IMAGE:-pulpo/jobs}"'
    assert image(docker={"image": "${REGISTRY}/jobs:1"}) == '"${REGISTRY}/jobs:1"'


def test_volumes_belong_to_the_images_user():
    service = ServiceDefinition("own", Role.OWN, mounts=(Mount("pages", "/srv/my pages"), Mount("./here", "/here")))
    text = dockerfile(Topology("jobs", None, (service,)))
    assert "chown 10001:10001 /home/pulpo /project /project/run_cache /data/prefect /data/store '/srv/my pages'\n" in text
    assert "USER 10001:10001\n" in text


@pytest.mark.parametrize(
    ("services", "extras"),
    [
        ({}, ()),
        ({"db": {"engine": "embedded"}, "api": {}}, ("api",)),
        ({"db": {"engine": "mongodb"}, "prefect": {}, "worker": {}}, ("mongo", "prefect")),
        ({"db": {"uri": "${MONGO_URL}"}, "own": {"command": ["x"]}}, ("mongo",)),
    ],
)
def test_pulpo_is_installed_with_what_the_services_need(services, extras):
    found = manifest(services)
    assert needed_extras(found, topology(found)) == extras


def test_flows_on_a_cluster_need_its_task_runner():
    found = manifest({}, flows={"pipeline": {"task_runner": "dask"}})
    assert needed_extras(found, topology(found)) == ("dask",)


PYPROJECT = '[project]\nname = "p"\ndependencies = ["pandas>=2", "pulpocore"]\noptional-dependencies = {plots = ["bokeh"]}\n'


def test_requirements_are_the_pinned_ones_where_there_are_else_those_of_pyproject(write, tmp_path):
    assert [*requirements(tmp_path)] == []
    write("pyproject.toml", PYPROJECT)
    assert [*requirements(tmp_path, ["plots", "dask"])] == ["pandas>=2", "pulpocore", "bokeh"]
    write("requirements.txt", "pandas==2.2.0\n")
    assert [*requirements(tmp_path, ["plots"])] == [f"-r {tmp_path / 'requirements.txt'}", "bokeh"]


def test_what_the_project_ignores_is_ignored_and_can_not_let_run_cache_in():
    lines = dockerignore("data\n!run_cache\n").splitlines()
    assert lines.index("data") < lines.index("!run_cache") < lines.index("run_cache/*") < lines.index("!run_cache/wheels")
    assert {".git", "**/.env", "**/.venv", "docker-compose.override.yml"} < set(lines)


def compiled(services: dict, cache: Path, **more) -> Changes:
    return files.write(cache, artifacts(PrefectCodeGenerator(manifest(services))), **more)


def test_the_files_are_made_where_pulpo_runs_a_service_and_removed_where_it_does_not(tmp_path):
    assert compiled({"api": {}}, tmp_path).written == (*sorted(CONTAINER_FILES), "orchestration/graph.mmd")
    assert compiled({"api": {}}, tmp_path) == Changes((), ())
    (tmp_path / "docker-stack.yml").write_text("services: {}\n")
    elsewhere = {"api": {"uri": "http://api.example.org"}, "db": {"engine": "embedded"}}
    removed = ("Dockerfile", "Dockerfile.dockerignore", "docker-compose.yml")
    assert compiled(elsewhere, tmp_path, check=True) == Changes((), removed)
    assert compiled(elsewhere, tmp_path) == Changes((), removed)
    assert (tmp_path / "docker-stack.yml").read_text() == "services: {}\n", "a person's"


def test_a_persons_file_in_the_way_is_left_alone_and_nothing_is_written(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(UsageError, match=r"a file that `pulpo compile` did not make is in the way: .*Dockerfile"):
        compiled({"api": {}}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Dockerfile"]


def test_a_change_of_what_the_project_ignores_is_a_change(tmp_path):
    cache = tmp_path / "run_cache"
    compiled({"api": {}}, cache)
    (tmp_path / ".dockerignore").write_text("/data\n")
    assert compiled({"api": {}}, cache, check=True).written == ("Dockerfile.dockerignore",)
    assert compiled({"api": {}}, cache).written == ("Dockerfile.dockerignore",)
    assert "\n/data\n" in (cache / "Dockerfile.dockerignore").read_text()
