"""Which operation or model of the manifest a test means: by its name, the end of it, or the function or class itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pulpo.errors import UsageError
from pulpo.manifest.model import Manifest
from pulpo.names import did_you_mean


def model_named(manifest: Manifest, model: type | str) -> str:
    """The name of a model, given by its name or as its class.

    Raises:
        UsageError: The manifest has no such model.
    """
    if isinstance(model, str):
        if model not in manifest.models:
            raise UsageError(f"there is no such model: {model}", hint=_listed(model, manifest.models))
        return model
    entrypoint = _entrypoint(model)
    for name, spec in manifest.models.items():
        if spec.entrypoint == entrypoint:
            return name
    raise UsageError(f"no model of the lock is this class: {entrypoint}", hint=_listed(model.__name__, manifest.models))


def operation_named(manifest: Manifest, operation: str | Callable[..., Any]) -> str:
    """The name of an operation, given by its name, by the end of it where only one ends so, or as its function.

    Raises:
        UsageError: The manifest has no such operation, or several.
    """
    if not isinstance(operation, str):
        entrypoint = _entrypoint(operation)
        found = [name for name, spec in manifest.operations.items() if spec.entrypoint == entrypoint]
        if len(found) != 1:
            what = "no operation of the lock is" if not found else "several operations of the lock are"
            raise UsageError(f"{what} this function: {entrypoint}", hint="run `pulpo lock`, or give a name")
        return found[0]
    if operation in manifest.operations:
        return operation
    ends = [name for name in manifest.operations if name.endswith(f".{operation}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UsageError(f"several operations end so: {operation}", hint=f"say which: {', '.join(sorted(ends))}")
    raise UsageError(f"there is no such operation: {operation}", hint=_listed(operation, manifest.operations))


def _entrypoint(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', repr(thing))}"


def _listed(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return did_you_mean(name, names) or (f"the lock has: {', '.join(names)}" if names else "the lock has none")
