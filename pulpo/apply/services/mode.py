"""How services run, as processes of this machine or as containers, and who said so."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from pulpo.errors import UsageError
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from pulpo.manifest.model import Manifest

Mode = Literal["local", "docker"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
VARIABLE: Final = "PULPO_MODE"


@dataclass(frozen=True, slots=True)
class ChosenMode:
    """A mode, and where it was said."""

    mode: Mode
    #: Such as `--mode`, `PULPO_MODE`, or `project.mode` in the lock; None where nobody said one.
    said: str | None = None

    def __str__(self) -> str:
        """As in `docker (PULPO_MODE)`."""
        return f"{self.mode} ({self.said or 'default'})"


def chosen_mode(
    manifest: Manifest, asked: str | None = None, *, environ: Mapping[str, str] = os.environ, file: str = "the lock"
) -> ChosenMode:
    """What was asked for (`--mode`), else what PULPO_MODE says, else `project.mode`, else local.

    Raises:
        UsageError: There is no such mode.
    """
    for mode, said in ((asked, "--mode"), (environ.get(VARIABLE), VARIABLE), (manifest.project.mode, f"project.mode in {file}")):
        if mode:
            return ChosenMode(_checked(mode, said), said)
    return ChosenMode(MODES[0])


def _checked(mode: str, said: str) -> Mode:
    for known in MODES:
        if mode == known:
            return known
    raise UsageError(
        f"{said}: there is no such mode: {mode}", hint=did_you_mean(mode, MODES) or f"the modes are {' and '.join(MODES)}"
    )
