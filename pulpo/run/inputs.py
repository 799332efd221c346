"""Records from outside the run: from a file, from an earlier run, or what the last run stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pulpo.compile.flow import Argument, Step
from pulpo.errors import RunError, UsageError
from pulpo.manifest.model import Mode
from pulpo.names import did_you_mean
from pulpo.run.batch import Batch
from pulpo.run.codec import Codec, WrongRecordError
from pulpo.run.culprit import WrongFieldError
from pulpo.run.events import Event, Listener
from pulpo.run.history import Stored, every, last_stored, load, require_run, stored_in
from pulpo.run.intake import Given
from pulpo.run.outputs import check_key
from pulpo.run.record import INPUTS
from pulpo.store.base import Condition, Record, Sort, Store
from pulpo.store.values import canonical, now, record_id

#: An argument of an operation.
Slot = tuple[str, str]

_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class InputChoice:
    """Where the records of a model are to come from: `file` (already read), `run` (`source` is its id) or `latest`."""

    kind: Literal["file", "run", "latest"]
    #: The id of the run, or the name of the file for messages.
    source: str = ""
    records: Sequence[Mapping[str, Any]] = ()


LATEST = InputChoice("latest")


@dataclass(slots=True)
class Outside:
    """What came from outside."""

    #: By operation and argument; None where nothing is there and nothing need be. What a step of the run provides through
    #: the store is not among them: it is looked for when the step that takes it starts.
    given: dict[Slot, Given] = field(default_factory=dict)
    #: Where it came from, by `operation.argument`: `run:ID` or `file`.
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Search:
    """Finds and loads records for the arguments that no step of the run makes."""

    store: Store
    codecs: Mapping[str, Codec]
    run: str
    choices: Mapping[str, InputChoice]
    #: What the resumed run used, by `operation.argument`.
    earlier: Mapping[str, str]
    #: Records of its files, by model.
    files: Mapping[str, Sequence[Mapping[str, Any]]]
    tell: Listener | None

    async def gather(self, steps: Sequence[Step], needed: Iterable[Step]) -> Outside:
        """The records of all outside inputs of the steps that are `needed`.

        Raises:
            UsageError: A choice is for a model that nothing takes from outside, or for a run that has none of it.
            UsageError: Inputs have no records; all of them are in the one message.
        """
        self._check_choices(steps)
        later = {model for step in steps for model in step.models_out} - set(self.choices)
        outside = Outside()
        missing: list[tuple[str, Argument]] = []
        for operation, argument in ((step.operation, argument) for step in needed for argument in step.arguments):
            is_previous = argument.mode is Mode.PREVIOUS
            if not is_previous and (not argument.from_outside or argument.model in later):
                continue
            given, source = await self._given(operation, argument)
            if source:
                outside.sources[f"{operation}.{argument.name}"] = source
            if given is None and not _may_be_missing(argument):
                missing.append((operation, argument))
            outside.given[operation, argument.name] = given
        if missing:
            raise _missing_error(missing)
        return outside

    async def through_the_store(self, operation: str, argument: Argument) -> Given:
        """What this run wrote of a model by itself, else what the last run stored, else all that is in the collection.

        Raises:
            UsageError: There is nothing at all.
        """
        codec = self.codecs[argument.model]
        by_age = (Sort("_created"),)
        rows = [
            r async for r in every(self.store, codec.collection, [Condition("_run", "eq", self.run)], sort=by_age, page=_CHUNK)
        ]
        if not rows:
            given, _ = await self._given(operation, argument)
            if given is not None:
                return given
            rows = [r async for r in every(self.store, codec.collection, (), sort=by_age, page=_CHUNK)]
        if not rows and not _may_be_missing(argument):
            raise _missing_error([(operation, argument)])
        found: dict[str, list[Record]] = {}
        for row in rows:
            found.setdefault(row.operation or "", []).append(row)
        return {maker: _batch(codec, found[maker], self.run) for maker in sorted(found)} or None

    def _check_choices(self, steps: Iterable[Step]) -> None:
        open_models = {a.model for s in steps for a in s.arguments if a.from_outside and a.mode is not Mode.PREVIOUS}
        for model in sorted(self.choices):
            if model not in open_models:
                near = did_you_mean(model, open_models)
                listed = f"from outside come: {', '.join(sorted(open_models))}" if open_models else "nothing comes from outside"
                raise UsageError(f"no operation of this run takes this model from outside: {model}", hint=near or listed)

    async def _given(self, operation: str, argument: Argument) -> tuple[Given, str | None]:
        is_previous = argument.mode is Mode.PREVIOUS
        choice = None if is_previous else self.choices.get(argument.model)
        if choice is None:
            choice = self._choice_of_resumed(operation, argument) or LATEST
        if choice.kind == "file":
            batch = self._from_file(argument, choice)
            self._tell_outside(operation, argument, f"{len(batch.ids)} {argument.model} from {choice.source or 'a file'}")
            return {"": batch}, "file"
        found = await self._stored(argument, choice)
        if found is None:
            return None, None
        given = {}
        seen: set[str] = set()
        for maker, ids in sorted(found.ids.items()):
            fresh = [i for i in ids if i not in seen] if is_previous else list(ids)
            seen.update(fresh)
            given[maker] = _batch(self.codecs[argument.model], await self._rows(argument, fresh), found.run)
        self._tell_found(operation, argument, found)
        return _checked(operation, argument, given), f"run:{found.run}"

    async def _rows(self, argument: Argument, ids: Sequence[str]) -> list[Record]:
        return await load(self.store, self.codecs[argument.model].collection, ids)

    def _choice_of_resumed(self, operation: str, argument: Argument) -> InputChoice | None:
        source = self.earlier.get(f"{operation}.{argument.name}")
        if source == "file" and argument.model in self.files:
            return InputChoice("file", "the resumed run's file", self.files[argument.model])
        if source is not None and source.startswith("run:"):
            return InputChoice("run", source.removeprefix("run:"))
        return None

    async def _stored(self, argument: Argument, choice: InputChoice) -> Stored | None:
        producers = list(argument.producers) or None
        if choice.kind == "run":
            run = await require_run(self.store, choice.source)
            found = await stored_in(self.store, run, argument.model, producers) or await stored_in(
                self.store, run, argument.model
            )
            if found is None:
                raise UsageError(f"this run stored no {argument.model}: {run.id}")
            return found
        found = await last_stored(self.store, argument.model, producers, but=self.run) if producers else None
        return found or await last_stored(self.store, argument.model, but=self.run)

    def _from_file(self, argument: Argument, choice: InputChoice) -> Batch:
        codec = self.codecs[argument.model]
        found: dict[str, object] = {}  # of records with one key the last counts, at the place of the first
        for index, data in enumerate(choice.records):
            try:
                record, plain = codec.checked(data)
                check_key(codec, plain)
            except WrongRecordError as error:
                shown = "" if error.value is None else f": {error.value}"
                raise UsageError(
                    f"record {index + 1} of {len(choice.records)} in {choice.source or 'the file'} is no {argument.model}: "
                    f"{error.message}{shown}"
                ) from error
            found[codec.identity(plain) or record_id(index, plain)] = record
        return Batch(argument.model, list(found), list(found.values()))

    def _tell_found(self, operation: str, argument: Argument, found: Stored) -> None:
        count = sum(len(ids) for ids in found.ids.values())
        without = [name for name in argument.producers if name not in found.ids]
        note = f", none of {', '.join(without)}" if without else ""
        self._tell_outside(operation, argument, f"{count} {argument.model} of run {found.run}{note}", found)

    def _tell_outside(self, operation: str, argument: Argument, message: str, found: Stored | None = None) -> None:
        age = (now() - found.started).total_seconds() if found else None
        source = found.run if found else None
        if self.tell is not None:
            self.tell(Event("outside", self.run, operation, message, model=argument.model, source=source, age=age))


async def keep_files(store: Store, run: str, choices: Mapping[str, InputChoice]) -> None:
    """Stores the records of file inputs with the run, so that it can be resumed without the file. They are JSON text."""
    rows = []
    for model, choice in sorted(choices.items()):
        for start in range(0, len(choice.records), _CHUNK):
            records = json.dumps(choice.records[start : start + _CHUNK], default=canonical)
            rows.append(
                Record(record_id(run, model, start), {"run": run, "model": model, "start": start, "records": records}, run=run)
            )
    if rows:
        await store.upsert_many(INPUTS, rows)


async def kept_files(store: Store, run: str) -> dict[str, list[Mapping[str, Any]]]:
    """The records of a run's file inputs, by model."""
    rows = [record.data async for record in every(store, INPUTS, [Condition("run", "eq", run)], page=_CHUNK)]
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["model"], row["start"])):
        found.setdefault(row["model"], []).extend(json.loads(row["records"]))
    return found


def _batch(codec: Codec, rows: Sequence[Record], run: str) -> Batch:
    batch = Batch(codec.name)
    for row in rows:
        try:
            batch.records.append(codec.load(row.data))
        except WrongRecordError as error:
            raise WrongFieldError(
                f"a {codec.name} of run {run} is no longer what the model says ({row.id}): {error.message}",
                codec.name,
                error.field,
                record=row.id,
                hint="run its producers again",
            ) from error
        batch.ids.append(row.id)
    return batch


def _checked(operation: str, argument: Argument, given: Mapping[str, Batch]) -> Given:
    count = sum(len(batch.ids) for batch in given.values())
    if count == 0:
        return None
    takes_one = argument.mode is Mode.ONE or (argument.mode is Mode.PREVIOUS and not argument.many)
    if takes_one and count > 1:
        raise RunError(
            f"{operation} asks for one {argument.model} as {argument.name}, and {count} were stored",
            hint=f"take list[{argument.model}], or choose one with From",
        )
    return given


def _may_be_missing(argument: Argument) -> bool:
    return argument.optional or (argument.mode is Mode.PREVIOUS and argument.many)


def _missing_error(missing: Sequence[tuple[str, Argument]]) -> UsageError:
    lines = []
    previous = [a for _, a in missing if a.mode is Mode.PREVIOUS]
    for operation, argument in missing:
        makers = f", made by {', '.join(argument.producers)}" if argument.producers else ""
        kind = "Previous of " if argument.mode is Mode.PREVIOUS else ""
        lines.append(f"  {argument.model} as {kind}{operation}({argument.name}){makers}")
    hints = []
    if len(previous) < len(missing):
        model = next(a.model for _, a in missing if a.mode is not Mode.PREVIOUS)
        hints.append(f"`--with-upstream` runs the producers too; `--input {model}=@file.json` gives the records")
    hints += [f"say `Previous[{a.model}] | None` where a first run has none" for a in previous[:1]]
    return UsageError("\n".join(["nothing was stored of what comes from outside:", *lines]), hint="; ".join(hints))
