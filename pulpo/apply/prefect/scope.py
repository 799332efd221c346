"""Whose deployments are meant, and how they are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scope:
    """The deployments of a project in one environment; all others are others'."""

    #: The project's name.
    project: str
    #: The environment's name; None are the deployments of no environment.
    environment: str | None
    #: Where the project lies, for workers that are told no other place.
    root: Path
    #: The flow whose deployment alone is looked at; nothing is deleted then.
    only: str | None = None
    #: The values of references, which are shown nowhere.
    secrets: frozenset[str] = frozenset()
    #: Whether a plan may delete all that there is where nothing is desired: somebody else asks whether that is meant.
    may_empty: bool = False
