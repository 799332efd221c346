"""The wheel and the sdist: what is in them is what is needed, all of it and nothing else, and says so."""

from __future__ import annotations

import configparser
import re
import tarfile
import tomllib
import zipfile
from typing import TYPE_CHECKING

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from pulpo.names import REPOSITORY, REPOSITORY_URL
from tests.release.pythons import ROOT, supported

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("release")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Where what is outside the package in the repository is in the wheel, by what its path begins with.
PLACES = {
    "pulpo/": "pulpo/",
    "pulpo.schema.json": "pulpo/manifest/pulpo.schema.json",
    "examples/jobs/jobs/": "pulpo/templates/jobs/jobs/",
    "examples/jobs/pages/": "pulpo/templates/jobs/pages/",
    "examples/jobs/main.py": "pulpo/templates/jobs/main.py",
    "examples/flights/flights/": "pulpo/templates/flights/flights/",
}


def packed(names: frozenset[str]) -> dict[str, str]:
    """What of the repository is in the wheel, and where."""
    return {name: place + name.removeprefix(start) for name in names for start, place in PLACES.items() if name.startswith(start)}


def in_wheel(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def in_sdist(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name.partition("/")[2]: file.read() for name, file in files.items() if file}


@pytest.fixture(scope="module")
def wheel(distributions):
    return in_wheel(distributions.wheel)


@pytest.fixture(scope="module")
def sdist(distributions):
    return in_sdist(distributions.sdist)


@pytest.fixture(scope="module")
def metadata(wheel):
    (text,) = (content for name, content in wheel.items() if name.endswith(".dist-info/METADATA"))
    return Metadata.from_email(text, validate=True)


def test_a_wheel_has_each_file_of_the_package_and_nothing_else(distributions, wheel):
    expected = packed(distributions.files)
    about = f"pulpocore-{PROJECT['version']}.dist-info"
    assert set(wheel) == set(expected.values()) | {
        f"{about}/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt", "licenses/LICENSE", "RECORD")
    }
    for name, place in expected.items():
        assert wheel[place] == (distributions.source / name).read_bytes(), name


def test_an_sdist_has_what_the_wheel_is_made_of_and_nothing_else(distributions, sdist):
    about = {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert set(sdist) == set(packed(distributions.files)) | about


def test_the_sdist_makes_the_wheel_of_the_repository_to_the_byte(distributions):
    assert in_wheel(distributions.again) == in_wheel(distributions.wheel)
    assert distributions.again.read_bytes() == distributions.wheel.read_bytes()


def test_neither_knows_where_it_was_made(distributions, wheel, sdist):
    places = [str(path).encode() for path in (distributions.source, ROOT)]
    told = [name for name, content in (*wheel.items(), *sdist.items()) if any(place in content for place in places)]
    assert told == []


@pytest.mark.parametrize(
    "name",
    [
        "pulpo/py.typed", "pulpo/manifest/pulpo.schema.json", "pulpo/templates/minimal/operations.py.tmpl",
        "pulpo/templates/common/workflow.yml.tmpl", "pulpo/templates/jobs/jobs/operations.py",
        "pulpo/templates/flights/flights/operations/load.py", "pulpo/compile/templates/flow.py.jinja", "pulpo/codes/PLP202.md",
        "pulpo/ui/templates/base.html", "pulpo/ui/static/pulpo.css", "pulpo/ui/static/vendor/viz.js",
        "pulpo/ui/static/vendor/htmx.min.js",
    ],
)  # fmt: skip
def test_what_is_no_python_is_in_it_too(wheel, name):
    assert name in wheel


def test_the_work_of_others_comes_with_its_notices(wheel):
    vendor = "pulpo/ui/static/vendor/"
    theirs = [name.removeprefix(vendor) for name in wheel if name.startswith(vendor) and not name.endswith(".md")]
    notices = wheel[f"{vendor}NOTICES.md"].decode()
    assert theirs
    assert [name for name in theirs if f"`{name}`" not in notices] == []


def test_metadata_say_what_the_project_file_says(metadata):
    assert (metadata.name, str(metadata.version)) == (PROJECT["name"], PROJECT["version"])
    assert metadata.requires_python == SpecifierSet(PROJECT["requires-python"])
    assert (metadata.license_expression, metadata.license_files) == ("Apache-2.0", ["LICENSE"])
    assert metadata.classifiers == PROJECT["classifiers"]
    assert set(metadata.provides_extra or []) == set(PROJECT["optional-dependencies"])
    always = {canonicalize_name(one.name) for one in metadata.requires_dist or [] if not one.marker}
    assert always == {canonicalize_name(Requirement(one).name) for one in PROJECT["dependencies"]}
    assert metadata.description_content_type == "text/markdown"
    assert metadata.project_urls == PROJECT["urls"]


def test_links_of_the_readme_lead_to_what_the_repository_has_and_the_rest_is_as_it_is(metadata):
    def links(text: str) -> list[tuple[str, str]]:
        return re.findall(r"(!?)\[[^\]]*\]\(([^)]*)\)", text)

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    there = f"{REPOSITORY_URL}/blob/main/", f"https://raw.githubusercontent.com/{REPOSITORY}/main/"
    assert len(links(readme)) > 20
    for (image, path), (_, shown) in zip(links(readme), links(metadata.description), strict=True):
        assert shown == there[bool(image)] + path
        assert (ROOT / path).exists(), path
    assert re.sub("|".join(map(re.escape, there)), "", metadata.description) == readme


def test_addresses_are_those_of_the_projects_own_repository():
    assert all(url.startswith(REPOSITORY_URL) for url in PROJECT["urls"].values())
    paths = [url.partition("/blob/main/")[2] for url in PROJECT["urls"].values()]
    assert all((ROOT / path).exists() for path in paths)


def test_the_versions_that_it_says_it_is_for_are_those_it_may_be_installed_on():
    minimum, *_ = supported()
    assert PROJECT["requires-python"] == f">={minimum}"
    assert supported() == [f"3.{n}" for n in range(int(minimum.partition(".")[2]), int(supported()[-1].partition(".")[2]) + 1)]


def test_the_command_and_the_plugin_are_its_entry_points(wheel):
    (text,) = (content for name, content in wheel.items() if name.endswith("/entry_points.txt"))
    points = configparser.ConfigParser()
    points.read_string(text.decode())
    assert {section: dict(points[section]) for section in points.sections()} == {
        "console_scripts": {"pulpo": "pulpo.__main__:main"},
        "sqlalchemy.plugins": {"pulpo": "pulpo.services.prefect_sqlite:LeaveFailedConnections"},
    }
