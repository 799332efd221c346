"""What goes into the project's image: by a digest of it `up` knows whether the image, and what runs from it, is what the project is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pulpo.apply.services.content import Ignored, content_digest
from pulpo.apply.services.project_stack import write_files
from pulpo.manifest.load import load
from pulpo.settings import find_project
from tests.apply.services.docker_project import DockerProject, talker
from tests.docker_engine import PYTHON_IMAGE, docker, docker_engine  # noqa: F401 - a fixture

OWN = {"command": ["python", "-u", "own.py"], "probe": {"log": "ready"}, "grace": 0}
DOCKER = {"base_image": PYTHON_IMAGE}
CODE = "import time; print('ready {}'); time.sleep(1000)\n"


@pytest.fixture
def toy(tmp_path: Path) -> DockerProject:
    project = DockerProject(tmp_path / "toy")
    project.write({"own": OWN}, docker={"base_image": "${BASE:-python}"})
    (project.root / "own.py").write_text(CODE.format(1))
    (project.root / ".dockerignore").write_text("left\n")
    (project.root / "src").mkdir()
    (project.root / "src" / "deep.py").write_text("1")
    (project.root / "big.bin").write_bytes(b"x" * 1_000_001)
    return project


def digest(toy: DockerProject) -> str:
    project = find_project(toy.root)
    write_files(project, load(project.lock_path)[0])
    return content_digest(toy.manager()._driver.stack)


CHANGES = {
    "a file": lambda root: (root / "src" / "deep.py").write_text("2"),
    "its name": lambda root: (root / "own.py").rename(root / "other.py"),
    "its permissions": lambda root: (root / "own.py").chmod(0o755),
    "a large file": lambda root: os.utime(root / "big.bin", (1, 1)),
    "a link": lambda root: (root / "link").symlink_to("own.py"),
    "an empty directory": lambda root: (root / "empty").mkdir(),
    "what is left out": lambda root: (root / ".dockerignore").write_text("src\n"),
    "the lock": lambda root: (root / "pulpo.lock.yaml").write_text((root / "pulpo.lock.yaml").read_text() + "# more\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_goes_into_the_image_is_in_the_digest(toy: DockerProject, change):
    before = digest(toy)
    assert digest(toy) == before
    change(toy.root)
    assert digest(toy) != before


def test_what_does_not_go_into_the_image_is_not_in_the_digest(toy: DockerProject):
    before = digest(toy)
    for name in ("left/out.txt", "run_cache/store.db", "run_cache/wheels/a.whl", "src/__pycache__/deep.pyc", ".git/HEAD", ".env"):
        (toy.root / name).parent.mkdir(parents=True, exist_ok=True)
        (toy.root / name).write_text("x")
    os.utime(toy.root / "own.py", (1, 1))
    assert digest(toy) == before


def test_the_base_image_is_in_the_digest_by_what_its_name_is_made_of(toy: DockerProject, monkeypatch: pytest.MonkeyPatch):
    before = digest(toy)
    monkeypatch.setenv("BASE", "python:3.13")
    assert digest(toy) != before


IGNORED = """\
# a comment
*.log
!keep.log
**/build
docs/**
!docs/read.me
/top
a/?.txt
a/[bc]d.txt
deep/**/end
!deep/*/end/in
dot./
sp ace
w\\*ld
"""
FILES = (
    "x.log", "keep.log", "sub/x.log", "build/a", "sub/build/a", "docs/a", "docs/read.me", "docs/deep/a", "top/a", "sub/top/a", "a/1.txt",
    "a/12.txt", "a/bd.txt", "a/ed.txt", "deep/end/a", "deep/x/end/in", "deep/x/end/out", "deep/x/y/end/in", "dot./a", "dotx/a",
    "sp ace/a", "w*ld", "wild", "builds/a",
)  # fmt: skip


@pytest.mark.docker
@pytest.mark.usefixtures("docker_engine")
def test_what_is_left_out_is_what_the_engine_leaves_out(tmp_path: Path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text(IGNORED + "Dockerfile\n.dockerignore\n")
    (tmp_path / "Dockerfile").write_text(f"FROM {PYTHON_IMAGE}\nCOPY . /context\n")
    tag = f"pulpo-test/ignored-{os.getpid()}"
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    subprocess.run(["docker", "build", "--quiet", "--tag", tag, str(tmp_path)], check=True, capture_output=True, env=environment)
    try:
        there = docker("run", "--rm", tag, "sh", "-c", "cd /context && find * -type f").splitlines()
    finally:
        docker("image", "rm", "--force", tag)
    assert sorted(there) == sorted(name for name in FILES if not left_out(Ignored.read(IGNORED), name))


def left_out(ignored: Ignored, name: str) -> bool:
    """Asked as of files that are found from the top, each directory first."""
    matches: tuple[bool, ...] = ()
    parts = Path(name).parts
    for end in range(1, len(parts) + 1):
        matches = ignored.matches("/".join(parts[:end]), matches)
        if end < len(parts) and ignored.leaves_out(matches) and ignored.leaves_out_all_of("/".join(parts[:end])):
            return True
    return ignored.leaves_out(matches)


@pytest.mark.docker
@pytest.mark.usefixtures("docker_engine")
def test_up_brings_what_runs_in_line_with_the_project_of_its_own_checkout(tmp_path: Path):
    toys = [DockerProject(tmp_path / name) for name in ("one", "two")]
    try:
        for toy in toys:
            toy.write({"own": OWN, "needs": talker(depends_on=["own"]), "other": talker()}, docker=DOCKER)
            (toy.root / "own.py").write_text(CODE.format(toy.root.name))
            toy.up()
        assert [said(toy) for toy in toys] == ["ready one", "ready two"]
        assert not toys[0].manager().plan()

        toy, before = toys[0], toys[0].ids()
        (toy.root / "own.py").write_text(CODE.format("anew"))
        assert [(c.address, c.cause) for c in toy.manager().plan().changes] == [
            ("service:own", "the project changed"), ("service:needs", "needs own, which is made anew"),
        ]  # fmt: skip
        assert [s.name for s in toy.manager().status() if s.differs] == ["own"]
        assert ("image", "built") in toy.up()
        assert said(toy) == "ready anew"
        assert {name for name, id_ in toy.ids().items() if before[name] != id_} == {"own", "needs"}
        assert {what for _, what in toy.up()} == {"unchanged"}

        (toy.root / "own.py").write_text(CODE.format("plain"))
        compose = ["docker", "compose", "--file", str(toy.root / "run_cache" / "docker-compose.yml")]
        subprocess.run([*compose, "build", "own"], check=True, capture_output=True)
        assert ("image", "built") in toy.up()  # nobody knows what plain Compose took
        assert said(toy) == "ready plain"
    finally:
        for toy in toys:
            image = toy.manager()._driver.stack.image
            toy.down(volumes=True)
            docker("image", "rm", "--force", image, check=False)
            docker("image", "prune", "--force", "--filter", f"label=com.docker.compose.project={toy.name}")


@pytest.mark.docker
@pytest.mark.usefixtures("docker_engine")
def test_an_image_that_the_manifest_names_and_others_made_is_left_as_it_is(tmp_path: Path):
    toy = DockerProject(tmp_path / "toy")
    tag = f"pulpo-test/named-{os.getpid()}:1"
    docker("tag", PYTHON_IMAGE, tag)
    own = {name: value for name, value in talker().items() if name != "image"}
    toy.write({"own": own}, docker={"image": tag})
    try:
        assert ("image", "built") not in toy.up()
        assert not toy.manager().plan()
        assert docker("inspect", "--format", "{{.Config.Image}}", toy.listed()[0]).strip() == tag
    finally:
        toy.down(volumes=True)
        docker("image", "rm", tag)


def said(toy: DockerProject) -> str:
    return list(toy.manager().logs("own"))[-1].text
