"""The project's image: which Pulpo gets into it, and what is said where it can't be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pulpo.apply.services import image
from pulpo.apply.services.status import ServiceError
from pulpo.errors import UsageError
from tests.apply.services.docker_project import DockerProject, talker
from tests.docker_engine import PYTHON_IMAGE, docker_engine  # noqa: F401 - a fixture


class Installed:
    """A distribution, installed from a URL, or from the index where that is None."""

    def __init__(self, url: str | None) -> None:
        self.url = url

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.url and json.dumps({"url": self.url})


@pytest.fixture
def installed_from(monkeypatch: pytest.MonkeyPatch):
    """Have pip's note say where Pulpo was installed from."""

    def _installed_from(url: str | None) -> None:
        monkeypatch.setattr(image, "distribution", lambda _: Installed(url))

    return _installed_from


def test_the_index_has_what_was_installed_from_it_and_an_earlier_wheel_goes(tmp_path: Path, installed_from):
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "pulpocore-0.0-py3-none-any.whl").touch()
    installed_from(None)
    assert image.place_wheel(tmp_path / "wheels") is None
    assert not (tmp_path / "wheels").exists()


def test_a_wheel_is_taken_as_it_is_and_replaces_an_earlier_one(tmp_path: Path, installed_from):
    wheel = tmp_path / "with space" / "pulpocore-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"wheel")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "pulpocore-0.0-py3-none-any.whl").touch()
    installed_from(wheel.as_uri())
    assert image.place_wheel(tmp_path / "wheels") == tmp_path / "wheels" / wheel.name
    assert [path.read_bytes() for path in (tmp_path / "wheels").iterdir()] == [b"wheel"]


def test_what_it_was_installed_from_is_not_there_any_more(tmp_path: Path, installed_from):
    installed_from((tmp_path / "gone").as_uri())
    with pytest.raises(UsageError, match=r"so it can't be put into the image: .*/gone"):
        image.place_wheel(tmp_path / "wheels")


def test_a_directory_that_no_wheel_can_be_made_of_is_told_with_what_pip_said(tmp_path: Path, installed_from):
    (tmp_path / "source").mkdir()
    installed_from((tmp_path / "source").as_uri())
    with pytest.raises(UsageError, match=r"no wheel of Pulpo can be made from .*/source:"):
        image.place_wheel(tmp_path / "wheels")


@pytest.mark.docker
@pytest.mark.usefixtures("docker_engine")
def test_an_image_that_can_not_be_made_is_told_with_the_last_lines(tmp_path: Path, installed_from):
    installed_from(None)
    toy = DockerProject(tmp_path / "toy")
    toy.write(
        {"own": {"command": ["python", "-c", "pass"]}}, docker={"base_image": PYTHON_IMAGE, "packages": ["there-is-no-package"]}
    )
    with pytest.raises(ServiceError, match=r"the image pulpo/toy:latest could not be made(.|\n)*there-is-no-package"):
        toy.manager().build()


@pytest.mark.docker
@pytest.mark.usefixtures("docker_engine")
def test_there_is_nothing_to_build_where_no_service_runs_from_the_project(tmp_path: Path):
    toy = DockerProject(tmp_path / "toy")
    toy.write({"a": talker()})
    assert toy.manager().build() is None
