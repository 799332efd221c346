"""From an entrypoint, `package.module:attribute.path`, to the thing itself."""

from __future__ import annotations

import importlib
from typing import Any

from pulpo.errors import UsageError
from pulpo.names import did_you_mean
from pulpo.run.failure import describe


def resolve(entrypoint: str) -> Any:
    """The object that the entrypoint names; its module is imported.

    Raises:
        UsageError: The module can't be imported, or has nothing of that name.
    """
    module_name, _, path = entrypoint.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{entrypoint} can't be imported: {describe(error)}") from error
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            near = did_you_mean(
                attribute, [n for n in vars(found) if not n.startswith("_")] if hasattr(found, "__dict__") else ()
            )
            raise UsageError(f"{entrypoint} can't be imported: {module_name} has no {path}", hint=near) from None
    return found
