"""What a run is given over HTTP: the records and parameters of its body, with the place of all that is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pulpo.api.bodies import TOLD, Loc, wrong
from pulpo.api.context import Context
from pulpo.api.problems import Fault, invalid
from pulpo.api.run_shapes import OperationRunRequest, ResumeRequest
from pulpo.names import did_you_mean
from pulpo.run.codec import Codec, WrongRecordError
from pulpo.run.inputs import LATEST, InputChoice
from pulpo.run.outputs import check_key
from pulpo.run.parameters import Wrong


async def inputs_of(context: Context, body: ResumeRequest | OperationRunRequest) -> dict[str, InputChoice]:
    """Where the records of models come from.

    Raises:
        Problem: 422, with each model that is not there and all that is wrong with records; 503, a class can't be imported.
    """
    models = context.manifest.models
    faults: list[Fault] = []
    for model, source in sorted(body.inputs.items()):
        loc = ("body", "inputs", model)
        if model not in models:
            faults.append(Fault(loc, f"there is no such model: {model}", did_you_mean(model, models)))
        elif isinstance(source, list):
            faults += await asyncio.to_thread(_wrong_records, await context.resource(model).codec(), source, loc)
    if faults:
        raise invalid(faults[:TOLD])
    return {model: _choice(source) for model, source in body.inputs.items()}


def parameter_fault(wrong: Wrong, given: Mapping[str, Any]) -> Fault:
    """What is wrong with a parameter, under the name that it was given by."""
    name = next((name for name in wrong.names if name in given), wrong.names[-1])
    return Fault(("body", "parameters", name, *wrong.place), wrong.message, wrong.hint)


def _wrong_records(codec: Codec, records: list[dict[str, Any]], loc: Loc) -> list[Fault]:
    faults: list[Fault] = []
    for number, record in enumerate(records):
        try:
            check_key(codec, codec.checked(record)[1])
        except WrongRecordError as error:
            faults += wrong(error, (*loc, number))
    return faults


def _choice(source: str | list[dict[str, Any]]) -> InputChoice:
    if isinstance(source, list):
        return InputChoice("file", "the request", source)
    return LATEST if source == LATEST.kind else InputChoice("run", source.removeprefix("run:"))
