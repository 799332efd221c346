"""The project's image: which Pulpo gets into it, and what is said where it can't be made."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pulpo.apply.services import image
from pulpo.apply.services.status import ServiceError
from pulpo.errors import UsageError
from tests.apply.services.docker_project import DockerProject, talker
from tests.docker_engine import PYTHON_IMAGE, docker_engine  # noqa: F401 - a fixture


@pytest.fixture
def installed_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Have Pulpo installed once more, where it is found first: from a URL, as pip notes it, or from the index where that is None."""

    def _installed_from(url: str | None) -> None:
        info = tmp_path / "site" / f"{image.PACKAGE}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {image.PACKAGE}\nVersion: 1.0\n")
        if url:
            (info / "direct_url.json").write_text(json.dumps({"url": url}))
        monkeypatch.syspath_prepend(info.parent)

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
    with pytest.raises(
        ServiceError, match=r"the image pulpo/toy-\w{6}:latest could not be made: .*\n(  .*\n)*  .*there-is-no-package"
    ):
        toy.manager().build()


@pytest.mark.docker
@pytest.mark.usefixtures("docker_engine")
def test_a_base_image_that_is_not_there_is_told_once_and_where_to_change_it(tmp_path: Path, installed_from):
    installed_from(None)
    toy = DockerProject(tmp_path / "toy")
    toy.write({"own": {"command": ["python", "-c", "pass"]}}, docker={"base_image": "localhost:1/no/base:1"})
    with pytest.raises(ServiceError) as caught:
        toy.manager().build()
    assert re.fullmatch(
        r"the image pulpo/toy-\w{6}:latest could not be made: its base image localhost:1/no/base:1 is not here and can't be pulled: "
        r".*connection refused",
        caught.value.message,
    )
    assert "project.docker.base_image" in (caught.value.hint or "")


@pytest.mark.docker
@pytest.mark.usefixtures("docker_engine")
def test_there_is_nothing_to_build_where_no_service_runs_from_the_project(tmp_path: Path):
    toy = DockerProject(tmp_path / "toy")
    toy.write({"a": talker()})
    assert toy.manager().build() is None
