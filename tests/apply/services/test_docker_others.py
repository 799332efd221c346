"""What others have on an engine that is called as a project's stack would be: on another machine's, as the project alone."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from pulpo import CLI
from pulpo.errors import UsageError
from tests.apply.services.docker_project import DockerProject, talker
from tests.docker_engine import PYTHON_IMAGE, docker, docker_engine, over_tcp  # noqa: F401 - a fixture

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]
SLEEPS = {"image": PYTHON_IMAGE, "command": ["sleep", "1000"], "stop_grace_period": "0s"}


@pytest.fixture
def far():
    with over_tcp() as host:
        yield {"docker": {"host": host}}


@pytest.fixture
def name() -> str:
    return f"pulpo-test-jobs-{random.randrange(10**9)}"


@pytest.fixture
def theirs(tmp_path: Path, name: str):
    """Somebody's own project of Compose with that name, a word of `docker compose` after the other."""
    file = tmp_path / "theirs.yml"
    file.write_text(json.dumps({"services": {"a": {**SLEEPS, "volumes": ["kept:/kept"]}}, "volumes": {"kept": {}}}))

    def _theirs(*words: str) -> None:
        docker("compose", "--project-name", name, "--file", str(file), *words)

    yield _theirs
    _theirs("down", "--volumes")


def there(kind: str, name: str) -> list[str]:
    label = f"label=com.docker.compose.project={name}"
    words, form = (["ps", "--all"], "{{.Names}}") if kind == "ps" else ([kind, "ls"], "{{.Name}}")
    return sorted(docker(*words, "--filter", label, "--format", form).split())


def test_what_is_called_the_same_by_chance_is_refused_and_stays(far, name: str, theirs, tmp_path: Path):
    toy = DockerProject(tmp_path / "toy")
    toy.write({"a": talker(volumes=["mine:/mine"])}, name=name, **far)
    theirs("up", "--detach")
    assert toy.states() == {"a": "absent"}
    for act in (CLI(toy.root).plan, CLI(toy.root).apply, toy.up):
        with pytest.raises(UsageError, match=f"called as those of this project would be, {name}: {name}-a-1"):
            act()
    toy.down(volumes=True)
    assert (there("ps", name), there("volume", name)) == ([f"{name}-a-1"], [f"{name}_kept"])

    theirs("down")  # what it stored stays
    assert CLI(toy.root).apply().ok
    assert (toy.states(), there("volume", name)) == ({"a": "running"}, [f"{name}_kept", f"{name}_mine"])
    toy.down(volumes=True)
    assert (there("ps", name), there("network", name), there("volume", name)) == ([], [], [f"{name}_kept"])


def test_an_environment_of_one_project_is_not_another_project(far, name: str, tmp_path: Path):
    toy, other = DockerProject(tmp_path / "toy"), DockerProject(tmp_path / "other")
    toy.write({"a": talker(volumes=["mine:/mine"])}, name=name, **far)
    with (toy.root / "pulpo.lock.yaml").open("a") as lock:
        lock.write("environments: {b: {}}\n")
    other.write({"c": talker()}, name=f"{name}-b", **far)
    cli = CLI(toy.root, environment="b")
    cli.up()
    try:
        assert other.states() == {"c": "absent"}
        with pytest.raises(UsageError, match=f"{name}-b-a-1"):
            CLI(other.root).plan()
        other.down(volumes=True)
        assert ([str(one.state) for one in cli.status("a")], there("volume", f"{name}-b")) == (["running"], [f"{name}-b_mine"])
    finally:
        cli.down(volumes=True)
    assert (there("ps", f"{name}-b"), there("network", f"{name}-b"), there("volume", f"{name}-b")) == ([], [], [])


def test_what_only_the_override_has_is_the_project_s_from_every_checkout(far, name: str, tmp_path: Path):
    override = {"services": {"extra": {**SLEEPS, "volumes": ["more:/more"]}}, "volumes": {"more": {}}}
    toy, other = DockerProject(tmp_path / "toy"), DockerProject(tmp_path / "other")
    for project in (toy, other):
        project.write({"a": talker()}, name=name, **far)
        (project.root / "docker-compose.override.yml").write_text(json.dumps(override))
    toy.up()
    try:
        CLI(other.root).compile()
        assert other.states() == {"a": "running", "extra": "running"}
        (toy.root / "docker-compose.override.yml").unlink()
        assert [(one.name, one.orphan) for one in toy.manager().status() if one.orphan] == [("extra", True)]
    finally:
        other.down(volumes=True)
    assert (there("ps", name), there("network", name), there("volume", name)) == ([], [], [])
