"""What came of a run in a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from pulpo.errors import RunError
from pulpo.manifest.model import Manifest
from pulpo.run.logs import LoggedLine
from pulpo.run.record import RunRecord, State, StepRecord
from pulpo.testing.naming import model_named, operation_named

ModelT = TypeVar("ModelT")


@dataclass(frozen=True, slots=True)
class Result:
    """How a run went, and what it made."""

    #: The run's record, as `pulpo runs show` has it.
    record: RunRecord
    #: What the operations that failed raised, in the order of the flow; failures that `on_error: skip` tolerates included.
    errors: Mapping[str, BaseException]
    #: What operations logged, in that order.
    logs: tuple[LoggedLine, ...]
    _manifest: Manifest = field(repr=False)
    #: Ids and records by (operation, model), as produced.
    _made: Mapping[tuple[str, str], Sequence[tuple[str, object]]] = field(repr=False)

    @property
    def state(self) -> State:
        """Of the run: completed or failed."""
        return self.record.state

    @property
    def ok(self) -> bool:
        """Whether the run completed."""
        return self.record.ok

    @property
    def steps(self) -> Mapping[str, StepRecord]:
        """How each operation fared, by its name, in the order of the flow."""
        return {step.operation: step for step in self.record.steps}

    @overload
    def records(self, model: type[ModelT], *, operation: str | None = None) -> list[ModelT]: ...
    @overload
    def records(self, model: str, *, operation: str | None = None) -> list[Any]: ...
    def records(self, model: type[ModelT] | str, *, operation: str | None = None) -> list[ModelT] | list[Any]:
        """The records of a model that the run stored, or that one operation of it did; none where it made none.

        They come in the order of the flow's operations, then as produced; one that several operations put out comes once, as the
        last of them left it.

        Raises:
            UsageError: There is no such model or operation.
        """
        name = model_named(self._manifest, model)
        only = None if operation is None else operation_named(self._manifest, operation)
        found: dict[str, object] = {}
        for maker in self.record.operations:
            if only in (None, maker):
                found.update(self._made.get((maker, name), ()))
        return list(found.values())

    def check(self) -> None:
        """Raise what the first operation that failed has raised, in the order of the flow; nothing where the run completed.

        Raises:
            BaseException: The operation's own; a `RunError` where there is none, as for records that can't be stored.
        """
        if self.ok:
            return
        failed = [step.operation for step in self.record.steps if step.state is State.FAILED]
        own = [name for name in failed if name in self.errors]
        error = self.errors[own[0]] if own else None
        if not isinstance(error, Exception):
            raise RunError(self.record.error or f"the run is {self.state}") from error
        others = ", ".join(name for name in failed if name != own[0])
        error.add_note(f"raised by the operation {own[0]}" + (f"; failed as well: {others}" if others else ""))
        raise error
