"""Importing a project, so that its decorators run."""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import inspect
import linecache
import pkgutil
import re
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pulpo.declare.decorators import datamodel, operation
from pulpo.declare.source import column_of, source_text
from pulpo.diagnostics import Diagnostic, Place
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

#: The decorators, and the parts of the manifest that their arguments are settings of.
_DECORATORS: dict[str, tuple[Callable[..., object], str]] = {
    "operation": (operation, "OperationSettings"),
    "datamodel": (datamodel, "ModelSettings"),
}
_UNEXPECTED = re.compile(r"(operation|datamodel)\(\) got an unexpected keyword argument '(\w+)'")
_NOT_IN_MODULE = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_OWN = str(Path(__file__).parent.parent)


def _failed(module: str, error: BaseException) -> DiagnosticsError:
    """PLP118: the module's own error, at its place."""
    place = _place_of(error)
    message = f"importing {module} failed: {type(error).__name__}: {error}"
    place = place.seen_from(str(Path.cwd())) if place else None
    return DiagnosticsError([Diagnostic("PLP118", message, place=place, hint=_near_miss(error))])


def _near_miss(error: BaseException) -> str | None:
    """What was meant by a name that is not there: an argument of a decorator, one to import, one of the module."""
    text = str(error)
    if argument := _UNEXPECTED.match(text):
        from pulpo.manifest.near_misses import PEERS

        decorator, part = _DECORATORS[argument[1]]
        return did_you_mean(argument[2], inspect.signature(decorator).parameters) or PEERS[part].get(argument[2])
    if imported := _NOT_IN_MODULE.match(text):
        return did_you_mean(imported[1], dir(sys.modules.get(imported[2])))
    if isinstance(error, NameError) and error.name and error.__traceback__:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        return did_you_mean(error.name, [*frame.f_globals, *frame.f_locals, *dir(builtins)])
    return None


def add_to_path(root: Path) -> None:
    """Let modules in `root` and `root/src` be imported, before others of their name."""
    for directory in (root / "src", root):
        if directory.is_dir() and str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
    importlib.invalidate_caches()


def import_modules(modules: Iterable[str], root: Path) -> None:
    """Import modules, packages with everything below them, of the project in `root` or of the environment.

    Raises:
        UsageError: There is no such module, or one of Python's own or of a library has the name of the project's.
        DiagnosticsError: A module's own code failed (PLP118).
    """
    for name in modules:
        module = _import(name)
        _refuse_other(name, module, root)
        if hasattr(module, "__path__"):
            for child in _below(module):
                _import(child)


def _below(package: ModuleType) -> Iterator[str]:
    """Names of all modules below a package, sorted, subpackages without `__init__.py` too.

    `__main__` modules run programs and are left out.
    """
    names = {info.name: info.ispkg for info in pkgutil.iter_modules(package.__path__)}
    for directory in package.__path__:
        names |= {path.name: True for path in Path(directory).glob("*/") if path.name.isidentifier() and any(path.rglob("*.py"))}
    for name, is_package in sorted(names.items()):
        if name == "__main__":
            continue
        full = f"{package.__name__}.{name}"
        yield full
        if is_package:
            yield from _below(_import(full))


def _import(name: str) -> ModuleType:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a module prints is talk, and stdout is for data
            return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            hint = "see `modules` of [tool.pulpo] in pyproject.toml, or of `project` in the lock"
            if name.endswith(".py") or "/" in name:
                hint = f"write it as it is imported: {name.removesuffix('.py').strip('/').replace('/', '.')}"
            raise UsageError(f"there is no such module: {name}", hint=hint) from error
        raise _failed(name, error) from error
    except BaseException as error:  # SystemExit, too: a module that exits must not end `pulpo lock` with success
        raise _failed(name, error) from error


def _refuse_other(name: str, module: ModuleType, root: Path) -> None:
    """Raise where Python found another module of that name than the project's own, which would then be left out."""
    path = Path(*name.split("."))
    for base in (root / "src", root):
        own = next((p for p in (base / path.with_suffix(".py"), base / path / "__init__.py") if p.exists()), None)
        found = getattr(module, "__file__", None)
        if own is not None and (found is None or Path(found).resolve() != own.resolve()):
            raise UsageError(
                f"{name} is not {own}, but what Python has of that name: {found}", hint="rename the project's module"
            )


def _place_of(error: BaseException) -> Place | None:
    """Where the user's own code failed: the last frame that is neither Python's import system nor Pulpo."""
    if isinstance(error, SyntaxError) and error.filename:
        return _place_of_syntax(error, error.filename)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(("<frozen", _OWN))]
    frames = [f for f in frames if Path(importlib.__file__).parent.as_posix() not in f.filename and f.filename[0] != "<"]
    return _place_of_frame(frames[-1]) if frames else None


def _place_of_frame(frame: traceback.FrameSummary) -> Place:
    line, end = frame.lineno or 1, frame.end_lineno
    if frame.colno is None or frame.end_colno is None or end is None:
        return Place(frame.filename, line)
    column = column_of(linecache.getline(frame.filename, line), frame.colno)
    return Place(frame.filename, line, column, end, column_of(linecache.getline(frame.filename, end), frame.end_colno))


def _place_of_syntax(error: SyntaxError, file: str) -> Place:
    line, end = error.lineno or 1, error.end_lineno or 0
    column, end_column = _columns_of_syntax(error, file)
    return Place(file, line, column, end, end_column) if (end, end_column) > (line, column) else Place(file, line, column)


def _columns_of_syntax(error: SyntaxError, file: str) -> tuple[int, int]:
    """Begin and end in characters: Python counts bytes in some errors of a file, none in those of a parsed text."""
    begin, end = max(error.offset or 1, 1), max(error.end_offset or 1, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lines = (text := source_text(file)).split("\n")
            ast.parse(text)
    except SyntaxError as again:
        same = (again.msg, again.lineno) == (error.msg, error.lineno)
        return (max(again.offset or 1, 1), max(again.end_offset or 1, 1)) if same else (begin, end)
    except (OSError, ValueError, RecursionError, MemoryError):
        return begin, end
    first, last = (lines[number - 1] if 0 < number <= len(lines) else "" for number in (error.lineno or 1, error.end_lineno or 1))
    return column_of(first, begin - 1), column_of(last, end - 1)  # the compiler's own, of what does parse
