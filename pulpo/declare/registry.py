"""What the decorators saw: declarations, in the order in which they were made.

A decorator only takes notes. It neither checks nor raises, so that all mistakes of a project can be reported at once, with
the place of each, when the declarations are lowered to manifest data.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pulpo.diagnostics import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType

#: When a file was changed last, in nanoseconds, and how many bytes it has; None for what is no file.
Stamp = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class ModelDeclaration:
    """A use of `@datamodel`; only what was given is in `settings`."""

    name: str
    target: object
    module: str
    place: Place
    settings: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class OperationDeclaration:
    """A use of `@operation`; only what was given is in `settings`, `inputs` and `outputs` are None where not given."""

    name: str
    target: Callable[..., object]
    module: str
    place: Place
    settings: Mapping[str, object]
    inputs: object = None
    outputs: object = None
    models_in: object = None
    models_out: object = None
    previously: object = None


@dataclass(slots=True)
class Registry:
    """All declarations of this process."""

    models: list[ModelDeclaration] = field(default_factory=list)
    operations: list[OperationDeclaration] = field(default_factory=list)
    #: Files with declarations: the code that ran, and the stamp that the file had then.
    files: dict[str, tuple[CodeType, Stamp]] = field(default_factory=dict)

    def reset(self) -> None:
        """Forget everything that was declared in this process."""
        self.models.clear()
        self.operations.clear()
        self.files.clear()

    def note_file(self, code: CodeType) -> None:
        """Note which version of its file a piece of code is from: the first time, and when the module is run again."""
        known = self.files.get(code.co_filename)
        if known is None or (known[0] is not code and code.co_name == "<module>"):
            self.files[code.co_filename] = (code, stamp(code.co_filename))


def stamp(file: str) -> Stamp:
    """What tells one version of a file from the next."""
    try:
        status = os.stat(file)  # noqa: PTH116 - a Path costs more than the call
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


#: The registry that the decorators write to.
REGISTRY = Registry()


def caller(depth: int) -> tuple[str, Place]:
    """The module and the place of the code `depth` calls above the function that asks."""
    frame = sys._getframe(depth + 1)  # noqa: SLF001 - the public inspect.stack() reads source files and is 1,000 times slower
    module = frame.f_globals.get("__name__", "")
    path = frame.f_code.co_filename
    if module == "__main__":
        # `python main.py` runs what everybody else imports as `main`.
        spec = frame.f_globals.get("__spec__")
        module = spec.name if spec else Path(path).stem
    REGISTRY.note_file(frame.f_code)
    return module, Place(path, frame.f_lineno)
