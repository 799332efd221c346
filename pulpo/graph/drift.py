"""Drift between what the lock records and what is inferred now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulpo.diagnostics import Path


def stale(path: Path, recorded: str, resolved: str) -> Diagnostic:
    """PLP301: the lock records one answer, and there is another one now."""
    return Diagnostic("PLP301", f"the lock says {recorded}, now resolves to {resolved}", path=path, hint="run `pulpo lock`")


def listed(names: Iterable[str] | None) -> str:
    """Names as the lock writes a list of them; `nothing` for none recorded."""
    return "nothing" if names is None else f"[{', '.join(names)}]"
