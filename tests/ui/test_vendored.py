"""The files of others are those that the notices tell of, unchanged."""

from __future__ import annotations

from tests.ui.vendor import DIRECTORY, digest, notices


def test_all_files_of_others_are_as_the_notices_say() -> None:
    files = {path.name: digest(path.read_bytes()) for path in DIRECTORY.iterdir() if path.name != "NOTICES.md"}
    assert files == {said.file: said.sha256 for said in notices()}


def test_the_notices_name_versions_and_licences() -> None:
    assert [(said.package, said.version, said.licence) for said in notices()] == [
        ("htmx.org", "4.0.1", "0BSD"),
        ("@viz-js/viz", "3.31.0", "MIT"),
    ]
    text = (DIRECTORY / "NOTICES.md").read_text()
    for name in ("Zero-Clause BSD", "Eclipse Public License 2.0", "gitlab.com/graphviz", "Expat maintainers", "Michael Daines"):
        assert name in text
