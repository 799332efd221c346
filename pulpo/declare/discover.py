"""Importing a project, so that its decorators run."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic, Place
from pulpo.errors import DiagnosticsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

_OWN = str(Path(__file__).parent.parent)


def _failed(module: str, error: BaseException) -> DiagnosticsError:
    """PLP118: the module's own error, at its place."""
    place = _place_of(error)
    message = f"importing {module} failed: {type(error).__name__}: {error}"
    return DiagnosticsError([Diagnostic("PLP118", message, place=place.seen_from(str(Path.cwd())) if place else None)])


def add_to_path(root: Path) -> None:
    """Let modules in `root` and `root/src` be imported, before others of their name."""
    for directory in (root / "src", root):
        if directory.is_dir() and str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
    importlib.invalidate_caches()


def import_modules(modules: Iterable[str]) -> None:
    """Import modules, packages with everything below them.

    Raises:
        UsageError: There is no such module.
        DiagnosticsError: A module's own code failed (PLP118).
    """
    for name in modules:
        module = _import(name)
        if hasattr(module, "__path__"):
            for child in _below(module):
                _import(child)


def _below(package: ModuleType) -> Iterator[str]:
    """Names of all modules below a package, sorted; `__main__` modules run programs and are left out."""
    for info in sorted(pkgutil.iter_modules(package.__path__, package.__name__ + "."), key=lambda i: i.name):
        if info.name.endswith(".__main__"):
            continue
        yield info.name
        if info.ispkg:
            yield from _below(_import(info.name))


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise UsageError(
                f"there is no module {name}", hint="see `modules` of [tool.pulpo] in pyproject.toml, or of `project` in the lock"
            ) from error
        raise _failed(name, error) from error
    except BaseException as error:  # SystemExit, too: a module that exits must not end `pulpo lock` with success
        raise _failed(name, error) from error


def _place_of(error: BaseException) -> Place | None:
    """Where the user's own code failed: the last frame that is neither Python's import system nor Pulpo."""
    if isinstance(error, SyntaxError) and error.filename:
        return Place(error.filename, error.lineno or 1, error.offset or 1)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(("<frozen", _OWN))]
    frames = [f for f in frames if Path(importlib.__file__).parent.as_posix() not in f.filename]
    return Place(frames[-1].filename, frames[-1].lineno or 1) if frames else None
