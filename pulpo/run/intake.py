"""What goes into a step: records put into the shape that each parameter asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pulpo.compile.flow import Argument, Step
from pulpo.errors import RunError
from pulpo.manifest.model import Mode
from pulpo.run.batch import Batch
from pulpo.run.codec import Codec

#: Records of one model by the operation that made them, in the order in which they come in; None where nothing comes.
Given = Mapping[str, Batch] | None


class NothingComesError(Exception):
    """A parameter needs a record and there is none: the step has nothing to do."""


class Inlet(NamedTuple):
    """One input of a step, with its records."""

    argument: Argument
    given: Given
    codec: Codec
    #: The step puts out the same model, or is retried: each try gets copies, so that nobody else sees what it changes in place.
    copied: bool

    def records(self) -> list[object]:
        """All records in order."""
        return [record for batch in (self.given or {}).values() for record in batch.records]

    def ids(self) -> list[str]:
        """The ids of all records in order."""
        return [record_id for batch in (self.given or {}).values() for record_id in batch.ids]

    def check(self) -> None:
        """Whether the number of records is one that the parameter can take.

        Raises:
            NothingComesError: One record is needed and none is there.
            RunError: One record is needed and several are there.
        """
        mode, batches = self.argument.mode, (self.given or {}).items()
        if mode is Mode.KEYED and not self.argument.many:
            crowd = next(((name, len(batch.records)) for name, batch in batches if len(batch.records) > 1), None)
        elif mode is Mode.ONE or (mode is Mode.PREVIOUS and not self.argument.many):
            count = sum(len(batch.records) for _, batch in batches)
            crowd = (self.argument.name, count) if count > 1 else None
            if count == 0 and not self.argument.optional:
                raise NothingComesError(f"no {self.argument.model} came in for {self.argument.name}")
        else:
            return
        if crowd:
            raise RunError(
                f"one {self.argument.model} is asked for and {crowd[1]} came in: {crowd[0]}",
                hint=f"take list[{self.argument.model}]",
            )

    def value(self) -> object:
        """What the function is given, of an input that is not mapped and was checked."""
        argument = self.argument
        if argument.mode is Mode.KEYED:
            keyed = {name: self._copied(batch.records) for name, batch in (self.given or {}).items()}
            return keyed if argument.many else {name: records[0] for name, records in keyed.items() if records}
        if argument.mode is Mode.ALL and self.given is None and argument.optional:
            return None
        records = self._copied(self.records())
        if argument.mode is Mode.ALL or (argument.mode is Mode.PREVIOUS and argument.many):
            return records
        return records[0] if records else None

    def one(self, record: object) -> object:
        """What one call of a mapped function is given."""
        return self.codec.copy(record) if self.copied else record

    def _copied(self, records: list[object]) -> list[object]:
        return [self.codec.copy(record) for record in records] if self.copied else list(records)


class Intake(NamedTuple):
    """All that a step is called with."""

    step: Step
    parameters: Mapping[str, object]
    inlets: Sequence[Inlet]

    @property
    def mapped(self) -> Inlet | None:
        """The input that the function is called once per record of."""
        return next((inlet for inlet in self.inlets if inlet.argument.mode is Mode.EACH), None)

    def check(self) -> None:
        """Whether each input has as many records as it can take. Raises as `Inlet.check`."""
        for inlet in self.inlets:
            inlet.check()

    def values(self) -> dict[str, object]:
        """The arguments of a call, without the mapped one; records of a model that the step puts out are fresh copies."""
        values = dict(self.parameters)
        for inlet in self.inlets:
            if inlet.argument.mode is not Mode.EACH:
                values[inlet.argument.name] = inlet.value()
        return values

    def taken(self) -> dict[str, int]:
        """How many records come in, by model."""
        counts: dict[str, int] = {}
        for inlet in self.inlets:
            coming = sum(len(batch.records) for batch in (inlet.given or {}).values())
            counts[inlet.argument.model] = counts.get(inlet.argument.model, 0) + coming
        return counts
