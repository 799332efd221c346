"""The exceptions that Pulpo raises on purpose.

PulpoError
├── UsageError           the command or call makes no sense, or could not start (exit 2)
├── DiagnosticsError     problems were found in declarations or in the manifest (exit 1)
├── RunError             a run could not start, or did not complete (exit 1)
├── ApplyError           the world could not be brought in line with the manifest (exit 1)
└── StoreError           the store refused (see `pulpo.store.base` for its kinds)

A message says what happened, with the value last; `hint` says what to do about it. Only `pulpo.cli` prints them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulpo.diagnostics import Diagnostic


class PulpoError(Exception):
    """Base of every error that a user can cause."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PulpoError):
    """The command or call makes no sense, or what it needs is not there."""

    exit_code: ClassVar[int] = 2


class DiagnosticsError(PulpoError):
    """Problems were found; `diagnostics` has all of them, sorted by place."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda d: d.sort_key))
        super().__init__("\n".join(str(d) for d in self.diagnostics))


class RunError(PulpoError):
    """A run could not start, or did not complete."""


class ApplyError(PulpoError):
    """The world could not be brought in line with the manifest, or not all of it."""
