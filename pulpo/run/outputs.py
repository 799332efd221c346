"""What an operation returned, against what it declares: the boundary where wrong records are caught."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pulpo.compile.flow import Output
from pulpo.errors import RunError
from pulpo.run.batch import Made, joined
from pulpo.run.codec import Codec, WrongRecordError
from pulpo.run.culprit import WrongFieldError
from pulpo.store.base import Record
from pulpo.store.values import record_id


def check_key(codec: Codec, data: Mapping[str, Any]) -> None:
    """Whether each field of the natural key has a value: without one, records that have nothing in common would be one.

    Raises:
        WrongRecordError: One is None.
    """
    for field in codec.key:
        value: Any = data.get(field)
        if value is None and field not in data:
            value = data
            for part in field.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            raise WrongRecordError(field, "it is part of the key and can't be None")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a mapped operation: which of how many records it is for, counted from 0."""

    index: int
    total: int


class Outlet(NamedTuple):
    """Turns what an operation returns into records with ids."""

    operation: str
    outputs: tuple[Output, ...]
    codecs: tuple[Codec, ...]
    #: The run that stores the records, and the first one of its chain of resumed runs.
    run: str
    root: str

    def receive(self, value: object, call: Call | None = None) -> list[Made]:
        """The records of each output, in the order of the outputs.

        Raises:
            RunError: The value is not what the operation declares; its message names operation, field and record.
        """
        return [self._receive(i, part, call) for i, part in enumerate(self._parts(value, call))]

    def merged(self, calls: Sequence[list[Made] | None]) -> list[Made]:
        """The records of each output of all calls, in the order of the calls; None is a call that was dropped."""
        kept = [made for made in calls if made is not None]
        return [joined(output.model, (made[i] for made in kept)) for i, output in enumerate(self.outputs)]

    def _parts(self, value: object, call: Call | None) -> Sequence[object]:
        if inspect.iscoroutine(value):
            value.close()
            raise self._error(
                "returned a coroutine that nobody awaited", call, hint="declare the function with `async def`, or await it inside"
            )
        if not self.outputs:
            return ()
        if len(self.outputs) == 1:
            one = not self.outputs[0].many and isinstance(value, tuple) and len(value) == 1
            return value if one else (value,)  # type: ignore[return-value]
        if not isinstance(value, tuple):
            raise self._error(f"has to return a tuple of {len(self.outputs)}, not {_kind(value)}", call)
        if len(value) != len(self.outputs):
            raise self._error(f"has to return a tuple of {len(self.outputs)}, not of {len(value)}", call)
        return value

    def _receive(self, position: int, value: object, call: Call | None) -> Made:
        output, codec = self.outputs[position], self.codecs[position]
        if value is None and output.optional:
            return Made(output.model)
        if not output.many:
            place = (position,) if call is None else (position, call.index)
            record_made, row = self._row(codec, value, place, _where(call))
            return Made(output.model, [row.id], [record_made], [row])
        if not isinstance(value, list | tuple):
            raise self._error(f"has to return a list of {output.model}, not {_kind(value)}", call, hint=_list_hint(value))
        made = Made(output.model)
        for index, item in enumerate(value):
            path = (position, index) if call is None else (position, call.index, index)
            record_made, row = self._row(codec, item, path, _where(call, Call(index, len(value))))
            made.ids.append(row.id)
            made.records.append(record_made)
            made.rows.append(row)
        return joined(output.model, [made])

    def _row(self, codec: Codec, value: object, path: tuple[int, ...], where: str) -> tuple[object, Record]:
        if type(value) is not codec.cls and not isinstance(value, dict):
            raise RunError(
                f"{self.operation} returned {_kind(value)} where its output is {codec.name}{_brackets(where)}",
                hint=f"models match by exact class: return a {codec.name}, or a dict of its fields",
            )
        try:
            record, data = codec.checked(value)
            check_key(codec, data)
        except WrongRecordError as error:
            raise self._wrong(codec, value, error, where) from error
        identity = codec.identity(data) or record_id(self.root, self.operation, *path)
        return record, Record(identity, data, run=self.run, operation=self.operation)

    def _wrong(self, codec: Codec, value: object, error: WrongRecordError, where: str) -> WrongFieldError:
        subject = f"whose field {error.field} is wrong" if error.field else "that is wrong"
        last = error.field.rpartition(".")[2]
        shown = f"{last}={error.value}" if last and error.value is not None else ""
        key = codec.named(value)
        details = ", ".join(filter(None, [where, key, "" if shown in key else shown]))
        message = f"{self.operation} returned a {codec.name} {subject}: {error.problem}{_brackets(details)}"
        return WrongFieldError(message, codec.name, error.field)

    def _error(self, problem: str, call: Call | None, hint: str | None = None) -> RunError:
        return RunError(f"{self.operation} {problem}{_brackets(_where(call))}", hint=hint)


def _where(call: Call | None, item: Call | None = None) -> str:
    words = [f"record {item.index + 1} of {item.total}"] if item else []
    if call:
        words.append(f"called for record {call.index + 1} of {call.total}")
    return ", ".join(words)


def _brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _kind(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _list_hint(value: object) -> str:
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        return "collect what is yielded in a list and return that"
    return "return a list, also for a single record"
