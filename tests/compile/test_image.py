"""The project's image as an engine makes it: who runs in it, what is in it, and what is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulpo.apply.services.image import place_wheel
from pulpo.compile.artifacts import artifacts, write
from pulpo.compile.codegen import PrefectCodeGenerator
from pulpo.manifest.load import load
from pulpo.manifest.model import Manifest
from tests.docker_engine import PYTHON_IMAGE as BASE
from tests.docker_engine import docker_engine  # noqa: F401 - a fixture

#: Of one name, which the layers' test gives to another image: all in one process.
pytestmark = pytest.mark.docker
ROOT = Path(__file__).parents[2]
IMAGE = "pulpo-test/jobs-image"
SECRET = "hush-hush-4711"
MEGABYTES = 1_000_000


def docker(*arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        ["docker", *arguments], cwd=cwd, env={**os.environ, "API_TOKEN": SECRET}, capture_output=True, text=True, check=False, timeout=550
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def size(image: str) -> int:
    return int(docker("image", "inspect", image, "--format", "{{.Size}}"))


@pytest.fixture(scope="module")
def project(docker_engine, tmp_path_factory) -> Iterator[Path]:  # noqa: F811 - the fixture
    """The example, its image made by plain Compose, with files that are nobody's business lying around."""
    root = tmp_path_factory.mktemp("image") / "jobs"
    shutil.copytree(ROOT / "examples" / "jobs", root, ignore=shutil.ignore_patterns("run_cache"))
    data = load(root / "pulpo.lock.yaml")[0].data()
    data["project"]["docker"] = {"base_image": "${BASE_IMAGE:-" + BASE + "}", "image": IMAGE}
    # MongoDB, as the stacks of containers have it: what pip installs is a layer of theirs then.
    data["services"]["db"] = {"engine": "mongodb"}
    data["services"]["api"] = {"environment": {"PULPO_API_TOKEN": "${API_TOKEN}"}}
    manifest = Manifest.model_validate(data)
    cache = root / "run_cache"
    write(cache, artifacts(PrefectCodeGenerator(manifest)))
    for name in (".env", ".git/config", "run_cache/store.db", "run_cache/data/x", "left/out", "pages/.env.prod"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{SECRET}\n")
    (root / ".dockerignore").write_text("left\n")
    write(cache, artifacts(PrefectCodeGenerator(manifest)))
    place_wheel(cache / "wheels")
    docker("compose", "-f", str(cache / "docker-compose.yml"), "build", "worker", cwd=root)
    yield root
    docker("image", "rm", "--force", IMAGE)


def test_it_runs_as_a_user_that_owns_the_project_and_its_data(project):
    script = "id -u; id -un; pwd; touch here run_cache/x /data/store/x /data/prefect/x ~/x; pulpo check --no-code; pulpo compile --check"
    said = docker("run", "--rm", IMAGE, "sh", "-euc", script)
    assert said.splitlines()[:3] == ["10001", "pulpo", "/project"]


def test_no_secret_is_in_it(project):
    assert SECRET not in docker("history", "--no-trunc", IMAGE)
    assert SECRET not in docker("image", "inspect", IMAGE)
    found = docker("run", "--rm", IMAGE, "sh", "-c", f"grep -rl {SECRET} /project /opt /home /data /tmp /etc 2>/dev/null; true")
    assert found == ""


def test_only_what_runs_is_in_it(project):
    files = docker("run", "--rm", IMAGE, "find", ".", "-maxdepth", "2", "-not", "-name", "*.py").split()
    assert {"./pulpo.lock.yaml", "./jobs", "./pages/linkedin.html", "./run_cache/orchestration"} <= set(files)
    assert not {"./.env", "./.git", "./left", "./run_cache/store.db", "./run_cache/data", "./pages/.env.prod"} & set(files)


def test_layers_that_seldom_change_come_first_and_are_the_large_ones(project):
    layers = json.loads(docker("image", "inspect", IMAGE, "--format", "{{json .RootFS.Layers}}"))
    assert len(layers) <= 11
    assert size(IMAGE) - size(BASE) < 300 * MEGABYTES
    docker("image", "tag", IMAGE, f"{IMAGE}:first")  # one without a name may be pruned by anybody
    (project / "jobs" / "another.py").write_text("")
    docker("compose", "-f", str(project / "run_cache" / "docker-compose.yml"), "build", "worker", cwd=project)
    docker("image", "rm", f"{IMAGE}:first")
    after = json.loads(docker("image", "inspect", IMAGE, "--format", "{{json .RootFS.Layers}}"))
    same = [before == now for before, now in zip(layers, after, strict=True)]
    assert same.index(False) >= len(layers) - 3, "a change of the project makes no other layer anew"


def test_the_light_program_sees_whether_a_service_answers(project):
    script = """
        python -m http.server 8123 >/dev/null 2>&1 &
        until python -m pulpo.services.probe_command tcp 8123; do sleep 0.1; done
        python -m pulpo.services.probe_command http 8123 / && echo ready
        python -m pulpo.services.probe_command http 8123 /missing || echo missing
        python -m pulpo.services.probe_command tcp 8124 || echo closed
        python -m pulpo.services.probe_command smoke 8123 || echo "usage: $?"
    """
    assert docker("run", "--rm", IMAGE, "sh", "-c", script).split("\n") == ["ready", "missing", "closed", "usage: 2", ""]
