"""Where a record is from, as far as the API tells: its operation, its run, what that took, and what else it made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from pulpo.ui.api_client import Api, ApiProblem
from pulpo.ui.page import path_to, shown
from pulpo.ui.record_table import record_path

#: So many records of each kind are shown by themselves.
_SOME: Final = 5
_MISSING, _INVALID = 404, 422


@dataclass(frozen=True, slots=True)
class Related:
    """Records of a model: the first few as (text, path), how many there are, and where all of them are."""

    model: str
    #: Which input they are, and how they come in; empty for what is no input.
    parameter: str
    note: str
    some: tuple[tuple[str, str], ...]
    count: int
    path: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a record is from. `step` and `run` are None where the history does not have them any more."""

    operation: str | None
    run_id: str | None
    is_known: bool
    run: Mapping[str, Any] | None
    step: Mapping[str, Any] | None
    inputs: tuple[Related, ...]
    others: tuple[Related, ...]


async def lineage(api: Api, model: Mapping[str, Any], record: Mapping[str, Any]) -> Lineage:
    """The lineage of a record."""
    operation, run_id = record["_operation"], record["_run"]
    run, spec = await asyncio.gather(
        _maybe(api, "runs", run_id) if run_id else _nothing(), _maybe(api, "operations", operation) if operation else _nothing()
    )
    step = next((one for one in (run or {}).get("steps", ()) if one["operation"] == operation), None)
    inputs = [_input(api, one, operation, run_id, run) for one in (spec or {}).get("inputs", ())] if run_id else []
    models = dict.fromkeys([model["name"], *(one["model"] for one in (spec or {}).get("outputs", ()))])
    made = {"_run": run_id, "_operation": operation}
    others = [_related(api, one, made, but=record["_id"] if one == model["name"] else None) for one in models] if run_id else []
    found = await asyncio.gather(*inputs, *others)
    return Lineage(
        operation, run_id, spec is not None, run, step, tuple(found[: len(inputs)]),
        tuple(one for one in found[len(inputs) :] if one.count),
    )  # fmt: skip


async def _input(api: Api, given: Mapping[str, Any], operation: str, run_id: str, run: Mapping[str, Any] | None) -> Related:
    parameter = given["parameter"]
    source = (run or {}).get("inputs", {}).get(f"{operation}.{parameter}")
    where: dict[str, str] = {"_run": source.removeprefix("run:") if source and source.startswith("run:") else run_id}
    if given["from"] and source is None:
        where["_operation__in"] = ",".join(given["from"])
    notes = {"each": "one at a time", "previous": "of the run before"}
    note = f"from outside: {source}" if source else notes.get(given["mode"] or "", "")
    return await _related(api, given["model"], where, parameter=parameter, note=note)


async def _related(
    api: Api, model: str, where: Mapping[str, str | None], *, but: str | None = None, parameter: str = "", note: str = ""
) -> Related:
    params = {name: value for name, value in where.items() if value is not None}
    path = f"{path_to('models', model)}?{urlencode(params)}"
    try:
        info, found = await asyncio.gather(
            api.get("models", model), api.get("models", model, "records", **params, limit=_SOME + 1, count="exact")
        )
    except ApiProblem as refused:
        if refused.status not in (_MISSING, _INVALID):
            raise
        return Related(model, parameter, note, (), 0, path)
    first = [one for one in found["items"] if one["_id"] != but][:_SOME]
    some = tuple((_label(info, one), record_path(model, one["_id"])) for one in first)
    return Related(model, parameter, note, some, found["count"] - (but is not None), path)


def _label(info: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    return " · ".join(shown(record.get(name)) for name in info["key"])[:80] or str(record["_id"])


async def _maybe(api: Api, *path: str) -> Mapping[str, Any] | None:
    """What is there, None where it is not any more."""
    try:
        found: Mapping[str, Any] = await api.get(*path)
    except ApiProblem as refused:
        if refused.status != _MISSING:
            raise
        return None
    return found


async def _nothing() -> None:
    return None
