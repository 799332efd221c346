"""From an entrypoint, `package.module:attribute.path`, to the thing itself."""

from __future__ import annotations

import contextlib
import importlib
import sys
import traceback
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic
from pulpo.errors import PulpoError, UsageError
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.diagnostics import Path
    from pulpo.manifest.model import Manifest


def resolve(entrypoint: str) -> Any:
    """The object that the entrypoint names; its module is imported.

    Raises:
        UsageError: The module can't be imported, or has nothing of that name.
    """
    module_name, _, path = entrypoint.partition(":")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a module prints is talk, and stdout is for data
            found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{entrypoint} can't be imported: {_said(error)}") from error
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            near = did_you_mean(
                attribute, [n for n in vars(found) if not n.startswith("_")] if hasattr(found, "__dict__") else ()
            )
            raise UsageError(f"{entrypoint} can't be imported: {module_name} has no {path}", hint=near) from None
    return found


def hand_written_problems(manifest: Manifest) -> list[Diagnostic]:
    """PLP116 for each entrypoint written by hand (`origin: manifest`) that leads nowhere, in the order of the manifest.

    Their modules are imported; those of the code come from what is imported already.
    """
    return [problem for path, entrypoint in _hand_written(manifest) if (problem := _problem(path, entrypoint))]


def _hand_written(manifest: Manifest) -> Iterator[tuple[Path, str]]:
    for name, model in manifest.models.items():
        if model.origin and model.entrypoint:
            yield ("models", name, "entrypoint"), model.entrypoint
    for name, operation in manifest.operations.items():
        if operation.origin:
            yield ("operations", name, "entrypoint"), operation.entrypoint


def _problem(path: Path, entrypoint: str) -> Diagnostic | None:
    try:
        found = resolve(entrypoint)
    except UsageError as error:
        return Diagnostic("PLP116", error.message, path, hint=error.hint)
    wanted = "class" if path[0] == "models" else "function"
    if isinstance(found, type) if wanted == "class" else callable(found):
        return None
    return Diagnostic("PLP116", f"{entrypoint} is no {wanted}, but {type(found).__name__}", path)


def _said(error: BaseException) -> str:
    return error.message if isinstance(error, PulpoError) else "".join(traceback.format_exception_only(error)).strip()
