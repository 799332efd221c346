"""The project on disk: where it is, what it is called, which modules declare it."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulpo.errors import UsageError

LOCK_NAME = "pulpo.lock.yaml"
#: Where the embedded store is, relative to the project.
STORE_PATH_VARIABLE = "PULPO_STORE_PATH"


class NoProjectError(UsageError):
    """There is no project in a directory."""


@dataclass(frozen=True, slots=True)
class Project:
    """A directory with a lock, a `pyproject.toml` that says `[tool.pulpo]`, or both."""

    root: Path
    #: From `[tool.pulpo]` or `[project]`; None where neither says it.
    name: str | None = None
    #: `[tool.pulpo] modules`; empty where nothing says it.
    modules: tuple[str, ...] = ()
    #: The environment whose overlay commands merge into the manifest; None for the manifest as it stands.
    environment: str | None = None

    @property
    def lock_path(self) -> Path:
        """The manifest."""
        return self.root / LOCK_NAME

    @property
    def shown_from(self) -> Path:
        """The directory that places are shown relative to: the current one where the project is in it, else the project's."""
        current = Path.cwd()
        return current if self.root.is_relative_to(current) else self.root

    @property
    def lock_shown(self) -> str:
        """What places call the manifest."""
        return str(self.lock_path.relative_to(self.shown_from))

    @property
    def cache(self) -> Path:
        """`run_cache`, for everything that can be made again, and the embedded store."""
        return self.root / "run_cache"

    @property
    def store_path(self) -> Path:
        """The embedded store's file: what PULPO_STORE_PATH names, as in containers, else one in `run_cache`."""
        named = os.environ.get(STORE_PATH_VARIABLE)
        return self.root / named if named else self.cache / "store.db"

    @property
    def chosen_ports(self) -> dict[str, int]:
        """The ports of this machine that were chosen for services whose port is `auto` (`pulpo.manifest.addresses`)."""
        return chosen_ports(self.cache)


def chosen_ports(cache: Path) -> dict[str, int]:
    """As `Project.chosen_ports`, of the project's `run_cache`; empty where none was chosen yet."""
    try:
        data = json.loads((cache / "services" / "ports.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: port for name, port in data.items() if isinstance(port, int)} if isinstance(data, dict) else {}


def find_project(directory: Path | None = None, *, upwards: bool = False) -> Project:
    """The project in `directory`, with `upwards` the nearest one at or above it; without one, that of the current directory.

    Raises:
        NoProjectError: There is none.
        UsageError: Its `pyproject.toml` can't be used.
    """
    start = (directory or Path.cwd()).resolve()
    if not start.is_dir():
        raise UsageError(f"no such directory: {start}")
    for root in [start, *start.parents] if upwards or directory is None else [start]:
        table = _tool_table(root)
        if table is not None or (root / LOCK_NAME).exists():
            return _project(root, table or {})
    raise NoProjectError(
        f"no Pulpo project here: {start}",
        hint='add `[tool.pulpo]` with `modules = ["your_package"]` to pyproject.toml, or give --project',
    )


def _project(root: Path, table: dict[str, Any]) -> Project:
    modules = table.get("modules", [])
    if not isinstance(modules, list) or not all(isinstance(m, str) and m for m in modules):
        raise UsageError(f"{root / 'pyproject.toml'}: [tool.pulpo] modules is not a list of module names: {modules!r}")
    if unknown := sorted(set(table) - {"name", "modules"}):
        raise UsageError(
            f"{root / 'pyproject.toml'}: unknown key in [tool.pulpo]: {unknown[0]}", hint="known keys: name, modules"
        )
    name = table.get("name", _project_name(root))
    if name is not None and not (isinstance(name, str) and name):
        raise UsageError(f"{root / 'pyproject.toml'}: [tool.pulpo] name is not a name: {name!r}")
    return Project(root, name, tuple(modules))


def _pyproject(root: Path) -> dict[str, Any]:
    path = root / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error


def _tool_table(root: Path) -> dict[str, Any] | None:
    tool = _pyproject(root).get("tool", {})
    table = tool.get("pulpo") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{root / 'pyproject.toml'}: [tool.pulpo] is not a table")
    return table


def _project_name(root: Path) -> str | None:
    project = _pyproject(root).get("project", {})
    name = project.get("name") if isinstance(project, dict) else None
    return name if isinstance(name, str) else None
