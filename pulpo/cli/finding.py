"""What `pulpo doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulpo.errors import PulpoError


class Status(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    #: Something will not work that may not be needed, or not as well as it could.
    WARN = "warn"
    #: Something that the project asks for will not work.
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    status: Status
    #: What was found.
    text: str
    #: What to do about it; None where there is nothing to do.
    todo: str | None = None

    @classmethod
    def of_error(cls, name: str, error: PulpoError, status: Status = Status.FAIL) -> Finding:
        """An error, and its hint."""
        return cls(name, status, error.message, error.hint)
