"""Pulpo: typed functions become a manifest that people review and edit, and the manifest becomes the pipeline.

`CLI` is loaded when it is asked for: a worker that imports a module with decorators needs no command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.declare.decorators import From, Previous, datamodel, operation

if TYPE_CHECKING:
    from pulpo.cli.app import CLI

__all__ = ["CLI", "From", "Previous", "datamodel", "operation"]


def __getattr__(name: str) -> object:
    if name == "CLI":
        from pulpo.cli.app import CLI

        return CLI
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
