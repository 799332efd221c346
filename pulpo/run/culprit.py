"""Which record and which field an operation failed on, as far as that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.errors import RunError
from pulpo.run.failure import describe, printable
from pulpo.run.record import Culprit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulpo.run.intake import Inlet, Intake


class WrongFieldError(RunError):
    """A record of a model is not what the model says; `record` is its id where it is stored."""

    def __init__(self, message: str, model: str, field: str, *, record: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.model = model
        self.field = field
        self.record = record


def culprits_of(error: BaseException | None, intake: Intake | None = None) -> tuple[Culprit, ...]:
    """What a call failed on: at most one, and none where neither a record nor a field is known.

    The record is the one that came in, where just one did.
    """
    came = [(inlet, id_) for inlet in intake.inlets for id_ in inlet.ids()] if intake is not None else []
    return culprits([(error, *came[0])] if len(came) == 1 else [(error, None, None)])


def culprits(failed: Sequence[tuple[BaseException | None, Inlet | None, str | None]]) -> tuple[Culprit, ...]:
    """What calls failed on, given for each the error, and the record that it was called with, if that is known."""
    found = []
    for error, inlet, record in failed:
        if error is None:
            continue
        model = inlet.argument.model if inlet is not None else None
        of, field = _field(error)
        if isinstance(error, WrongFieldError) and error.record is not None:
            model, known = error.model, error.record
        else:
            known = record or ""
        if known or field:
            message = describe(error).partition("\n")[0]
            found.append(Culprit(model if known else None, known or None, of, printable(field), message))
    return tuple(found)


def _field(error: BaseException) -> tuple[str | None, str]:
    """The model and the field that are wrong; of an operation's own error, as pydantic says it."""
    if isinstance(error, WrongFieldError):
        return error.model, error.field
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return None, ""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return printable(error.title), ".".join(map(str, first["loc"]))
