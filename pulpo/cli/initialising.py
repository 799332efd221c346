"""`pulpo init`: a project that runs, in a new directory or in one that has somebody's files, which stay as they are.

Every file is written whole or not at all, and none that is there is written over, so that a run that was killed is finished by
the next one, and a run after that has nothing to do.
"""

from __future__ import annotations

import contextlib
import importlib.util
import keyword
import os
import re
import subprocess
import sys
import tomllib
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulpo.cli.project_files import (
    GITIGNORE,
    PYPROJECT,
    WORKFLOW,
    Layout,
    Template,
    introduction_of,
    own_package,
    repository_files,
    sample_layout,
    sample_of,
    settings_of,
)
from pulpo.errors import UsageError
from pulpo.settings import LOCK_NAME, NoProjectError, find_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: What a name becomes of which nothing is left, or that another package has.
_FALLBACK: Final = "project"
_CACHE: Final = "run_cache"
_READMES: Final = ("README.md", "README.rst", "README.txt")
#: What pytest takes for tests.
_TESTS: Final = ("test_*.py", "*_test.py")


@dataclass(frozen=True, slots=True)
class InitResult:
    """What `pulpo init` did. Paths are relative to the directory, in the order in which they were looked at."""

    directory: Path
    #: The modules that declare the project.
    modules: tuple[str, ...]
    #: Files that were made; the lock among them.
    added: tuple[str, ...]
    #: Files that were there and got what they lacked, at their end.
    extended: tuple[str, ...]
    #: Files that were there and stayed as they are.
    left: tuple[str, ...]
    #: What was not made, and why; what is to be done by hand.
    notes: tuple[str, ...]
    #: Why the lock could not be made, as `pulpo lock` says it.
    problem: str | None = None


@dataclass(slots=True)
class _Work:
    root: Path
    added: list[str] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, files: dict[str, str]) -> None:
        """Make the files that are not there."""
        for path, text in files.items():
            if os.path.lexists(self.root / path):
                self.left.append(path)
            else:
                _write(self.root / path, text.encode())
                self.added.append(path)

    def extend(self, path: str, text: str) -> None:
        """Put lines at the end of a file that is there, with the line ends that it has."""
        before = (self.root / path).read_bytes()
        end = b"\r\n" if b"\r\n" in before else b"\n"
        gap = b"" if not before or before.endswith(b"\n") else end
        _write(self.root / path, before + gap + text.encode().replace(b"\n", end))
        self.left.remove(path)
        self.extended.append(path)


def init_project(directory: Path, template: Template = Template.MINIMAL) -> InitResult:
    """Make a project that locks, checks, runs and has tests, or add what one lacks; files that are there stay.

    In a project with code of its own only what surrounds it is added: no sample. `pulpo lock` makes the lock, in a process of
    its own. `pyproject.toml` and `.gitignore` that lack Pulpo's lines get them at their end.

    Raises:
        UsageError: The directory lies in a project, is a file, or can't be written; nothing that was there has changed.
    """
    root = directory.absolute()
    _check_place(root)
    name = package_name(root.resolve().name)
    modules = _declared(root) or [own_package(template) or _package_of(root) or name]
    sample = sample_of(template, package=modules[0])
    work = _Work(root)
    try:
        if _is_ours(root, sample, modules[0]):
            layout = sample_layout(modules[0])
            _add_settings(work, settings_of(layout, name=name, sampled=template), layout)
            work.add({**sample, **introduction_of(template, name=name, package=modules[0])})
        else:
            layout = _layout(root, modules)
            _add_settings(work, settings_of(layout, name=name, sampled=None), layout)
            work.notes.append(f"the code is your own, so there is no sample: {', '.join(modules)}")
        _add_repository_files(work, layout)
        problem = _lock(work)
    except OSError as error:
        reason = (error.strerror or "it failed").lower()
        raise UsageError(
            f"{error.filename or root} can't be written: {reason}", hint="what is done is done: go on there"
        ) from error
    return InitResult(root, tuple(modules), tuple(work.added), tuple(work.extended), tuple(work.left), tuple(work.notes), problem)


def package_name(text: str) -> str:
    """A name that Python can import, as near to the text as may be: `2024 Sales-data` as `project_2024_sales_data`.

    It is no keyword, no module of Python's own, and none that is installed.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not name or name[0].isdigit():
        name = f"{_FALLBACK}_{name}".strip("_")
    return f"{name}_{_FALLBACK}" if _is_taken(name) else name


def _is_taken(name: str) -> bool:
    if keyword.iskeyword(name) or name in sys.stdlib_module_names or name in ("pulpo", "tests", "test", "main", _CACHE):
        return True
    with contextlib.suppress(ImportError, ValueError):
        found = importlib.util.find_spec(name)
        return found is not None and any(place in str(found.origin) for place in ("site-packages", "dist-packages"))
    return False


def _check_place(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise UsageError(f"this is a file, and not a directory: {root}", hint="name another directory")
    with contextlib.suppress(NoProjectError):
        above = next(parent for parent in root.resolve().parents if parent.is_dir())
        found = find_project(above, upwards=True)
        if not (root / LOCK_NAME).exists() and "pulpo" not in _tools(root):
            raise UsageError(
                f"the directory lies in a project: {found.root}",
                hint=f"`pulpo init {found.root}` adds what that lacks; a new one goes elsewhere",
            )


def _tools(root: Path) -> dict[str, object]:
    try:
        tool = tomllib.loads((root / PYPROJECT).read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return {}
    return tool if isinstance(tool, dict) else {}


def _declared(root: Path) -> list[str]:
    """The modules that the project's settings name, or its lock; none where there is no project."""
    try:
        project = find_project(root) if root.is_dir() else None
    except NoProjectError:
        project = None
    if project is None:
        return []
    if project.modules or not project.lock_path.exists():
        return list(project.modules)
    from pulpo.manifest.load import read_file

    named = read_file(project.lock_path, project.lock_shown).data.get("project", {})
    return list(named.get("modules", [])) if isinstance(named, dict) else []


def _package_of(root: Path) -> str | None:
    """The package or module that there is, by the name in `pyproject.toml` or the directory's; else one to be, by the former."""
    try:
        data = tomllib.loads((root / PYPROJECT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        data = {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{root / PYPROJECT} can't be read: {error}") from error
    project = data.get("project", {})
    named = project.get("name") if isinstance(project, dict) else None
    for text in (named, root.resolve().name):
        name = re.sub(r"[^A-Za-z0-9_]+", "_", text) if isinstance(text, str) else ""
        if any((base / name / "__init__.py").exists() or (base / f"{name}.py").exists() for base in (root, root / "src") if name):
            return name
    return package_name(named) if isinstance(named, str) else None


def _is_ours(root: Path, sample: Mapping[str, str], module: str) -> bool:
    """Whether the module is the sample's, all of it or as far as it was written: nobody has changed or added anything."""
    if any((root / path).exists() for path in (f"src/{module}", f"src/{module}.py", f"{module}.py")):
        return False
    there = [p for p in (root / module).rglob("*.py") if p.is_file()]
    if not module.isidentifier() or (not there and (root / LOCK_NAME).exists()):
        return False
    return f"{module}/__init__.py" in sample and all(
        sample.get(str(p.relative_to(root))) == p.read_text(encoding="utf-8", errors="replace") for p in there
    )


def _layout(root: Path, modules: list[str]) -> Layout:
    """Where somebody's code, README and tests are."""
    tops = dict.fromkeys(module.partition(".")[0] for module in modules)
    places = [path for top in tops for path in (f"src/{top}", f"src/{top}.py", top, f"{top}.py") if (root / path).exists()]
    readme = next((name for name in _READMES if (root / name).is_file()), None)
    tests = [path.relative_to(root) for path in _below(root) if any(path.match(pattern) for pattern in _TESTS)]
    in_tests = any(path.parts[0] == "tests" for path in tests)
    return Layout(tuple(modules), tuple(places or tops), readme, tested=bool(tests), tests=in_tests)


def _below(root: Path) -> Iterator[Path]:
    """Files of the project, but for those of environments and of what is built: where pytest does not look either."""
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name[0] != "." and not (Path(directory, name) / "pyvenv.cfg").exists()]
        names[:] = set(names) - {"build", "dist", "node_modules", "venv", _CACHE}
        yield from (Path(directory, name) for name in files)


def _add_settings(work: _Work, files: dict[str, str], layout: Layout) -> None:
    work.root.mkdir(parents=True, exist_ok=True)
    # First: it says which package is the project's, whatever happens next.
    work.add(files)
    _extend_settings(work, layout.modules)
    _extend_ignored(work)


def _add_repository_files(work: _Work, layout: Layout) -> None:
    files = repository_files(tested=layout.tested)
    above = _repository(work.root)
    if above is not None:
        work.notes += [f"{name} belongs at the root of the repository, and was not made: {above}" for name in files]
        return
    work.add(files)
    if WORKFLOW in work.added and not layout.tested:
        work.notes.append(f"there are no tests, so {WORKFLOW} runs none: once there are, add `- run: python -m pytest`")


def _extend_settings(work: _Work, modules: tuple[str, ...]) -> None:
    if PYPROJECT not in work.left or "pulpo" in _tools(work.root) or (work.root / LOCK_NAME).exists():
        return
    table = f"\n[tool.pulpo]\nmodules = [{', '.join(f'{chr(34)}{module}{chr(34)}' for module in modules)}]\n"
    try:
        tomllib.loads((work.root / PYPROJECT).read_text(encoding="utf-8") + "\n" + table)
    except (OSError, ValueError):
        work.notes.append(f"{PYPROJECT} has a form that nothing can be added to; write into it:{table}")
        return
    work.extend(PYPROJECT, table)
    work.notes.append(f"pulpocore is to be among the dependencies in {PYPROJECT}")


def _extend_ignored(work: _Work) -> None:
    if GITIGNORE in work.left:
        lines = (work.root / GITIGNORE).read_text(encoding="utf-8", errors="replace").splitlines()
        if not {line.strip().strip("/") for line in lines} & {_CACHE, f"{_CACHE}/*", f"**/{_CACHE}"}:
            work.extend(GITIGNORE, f"{_CACHE}/\n")


def _repository(root: Path) -> Path | None:
    """The root of the Git repository that the directory lies in, where it is not that itself."""
    here = root.resolve()
    if (here / ".git").exists():
        return None
    return next((parent for parent in here.parents if (parent / ".git").exists()), None)


def _lock(work: _Work) -> str | None:
    """Why `pulpo lock` could not make the lock; None where it did, or there is one."""
    if (work.root / LOCK_NAME).exists():
        work.left.append(LOCK_NAME)
        return None
    # Not in this process, which may have imported another project's modules; -P: nor may files of the project pass for Python's.
    command = [sys.executable, "-P", "-m", "pulpo", "--no-color", "--project", str(work.root), "-q", "lock"]
    done = subprocess.run(command, cwd=work.root, capture_output=True, encoding="utf-8", errors="replace", check=False)  # noqa: S603
    if (work.root / LOCK_NAME).exists():
        work.added.append(LOCK_NAME)
        return None
    return done.stderr.strip() or f"`pulpo lock` failed with exit code {done.returncode}"


def _write(path: Path, data: bytes) -> None:
    """Write a file at once: what a kill leaves is written over by the next run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    passing = path.with_name(f".{path.name}.pulpo-init")
    passing.write_bytes(data)
    if path.exists():
        passing.chmod(path.stat().st_mode)
    passing.replace(path.resolve() if path.is_symlink() else path)
