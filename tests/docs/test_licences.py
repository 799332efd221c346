"""What is installed with Pulpo is under licences that are allowed, and docs/licences.md names all that is asked for."""

from __future__ import annotations

import importlib.metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs import licences
from tests.ui.vendor import notices

INSTALLED = [extra for extra in licences.asked() if licences.has(extra)]


def test_the_package_and_most_extras_are_looked_at():
    assert {licences.CORE, "api", "beanie", "dask", "docker", "mongo", "prefect", "ui"} <= set(INSTALLED)


@pytest.mark.parametrize("extra", INSTALLED)
def test_every_package_that_is_installed_has_a_licence_that_is_allowed(extra):
    found = licences.closure(licences.direct(extra), licences.installed)
    assert len(found) > 1
    assert [f"{one.name} {one.version}: {one.licence}" for one in found.values() if not licences.fits(one.licence)] == []


def test_the_page_names_every_package_that_is_asked_for_and_every_file_of_others():
    page = licences.PAGE.read_text(encoding="utf-8")
    asked = {canonicalize_name(one.name) for extra in licences.asked() for one in licences.direct(extra)}
    assert sorted(name for name in asked if f"| `{name}` |" not in page) == []
    assert [one.file for one in notices() if f"/{one.file}` | {one.package} {one.version} | {one.licence} |" not in page] == []


def test_the_page_has_no_licence_that_is_not_allowed():
    rows = [
        line.strip("| ").split(" | ") for line in licences.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    assert len(rows) > 100
    assert [row for row in rows if not licences.fits(row[-1])] == []


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("Artistic-1.0-Perl OR GPL-2.0-or-later", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-2.0-or-later", False),
        ("LGPL-3.0-or-later OR (AGPL-3.0-only AND MIT)", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("SSPL-1.0", False),
        (licences.UNKNOWN, False),
    ],
)
def test_a_licence_fits_where_it_leaves_a_choice_that_is_allowed(expression, allowed):
    assert licences.fits(expression) is allowed


@pytest.mark.parametrize(
    ("expression", "written", "classifiers", "said"),
    [
        ("mit and psf-2.0", "BSD", ["License :: OSI Approved :: ISC License (ISCL)"], "MIT AND PSF-2.0"),
        (None, "MIT License\n\nCopyright (c) 2020", [], "MIT"),
        (None, "Apache-2.0", [], "Apache-2.0"),
        (None, "see LICENSE", ["License :: OSI Approved :: Apache Software License"], "Apache-2.0"),
        (None, None, ["Typing :: Typed", "License :: OSI Approved :: MIT License"], "MIT"),
        (None, None, ["License :: OSI Approved :: BSD License"], licences.UNKNOWN),
        (
            None,
            None,
            ["License :: OSI Approved :: MIT License", "License :: OSI Approved :: ISC License (ISCL)"],
            licences.UNKNOWN,
        ),
        (None, None, ["License :: OSI Approved :: MIT License", "License :: OSI Approved :: GPL"], licences.UNKNOWN),
        (None, "Proprietary", [], licences.UNKNOWN),
        (None, None, [], licences.UNKNOWN),
    ],
)
def test_a_licence_is_what_the_metadata_say_without_doubt(expression, written, classifiers, said):
    assert licences.licence("some-package", expression, written, classifiers) == said


def test_extras_of_requirements_come_with_them_and_other_systems_do_not():
    world = {
        "a": ("b[x]", "c; sys_platform == 'nowhere'", "d; extra == 'y'"),
        "b": ("a", "e; extra == 'x'"),
        "e": (),
    }

    def find(name):
        return licences.Package(name, "1", "MIT", tuple(map(Requirement, world[name])))

    assert sorted(licences.closure([Requirement("A")], find)) == ["a", "b", "e"]


def test_what_is_not_installed_is_not_passed_over():
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        licences.closure([Requirement("no-such-package-of-anybody")], licences.installed)
