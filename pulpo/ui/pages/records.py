"""`/models/{model}/records/{id}`: one record, where it is from, and the form that changes it; `new` makes one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from pulpo.ui.api_client import Answer, Api, ApiProblem, Fault
from pulpo.ui.forms import FormError, fields, parse, split_faults, wrong
from pulpo.ui.lineage import lineage
from pulpo.ui.page import api_of, form_of, page, see_other, shown
from pulpo.ui.record_table import record_path

if TYPE_CHECKING:
    from starlette.datastructures import FormData
    from starlette.requests import Request
    from starlette.responses import Response

_FORBIDDEN, _MISSING, _CONFLICT, _STALE, _INVALID = 403, 404, 409, 412, 422
#: What a form is shown again for, with what the API has against it.
_REFUSED: Final = frozenset({_FORBIDDEN, _CONFLICT, _STALE, _INVALID, 400, 413})
_MERGE: Final = {"Content-Type": "application/merge-patch+json"}
_DONE: Final = {"created": "Created.", "saved": "Saved.", "same": "Nothing was different."}


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that two people left differently, as texts; empty where one of them left it out."""

    name: str
    theirs: str
    mine: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants a record to be, and why it is not."""

    value: Mapping[str, Any]
    status: int = 200
    problem: ApiProblem | None = None
    faults: tuple[Fault, ...] = ()
    conflict: tuple[Difference, ...] = ()


async def record(request: Request) -> Response:
    """Show a record, or change it."""
    model, key = request.path_params["model"], request.path_params["key"]
    if key == "new" and "~record" not in request.query_params:
        return await _create(request, model) if request.method == "POST" else await _new(request, model, Draft({}))
    if request.method == "POST":
        return await _save(request, model, key)
    api = api_of(request)
    info, current = await api.get("models", model), await _get(api, model, key)
    faults = tuple(Fault(tuple(one["loc"]), one["message"]) for one in current.data.get("_errors", ()))
    return await _show(request, info, current, Draft(_own(info, current.data), faults=faults))


async def _get(api: Api, model: str, key: str) -> Answer:
    return await api.ask("GET", "models", model, "records", key)


# ------------------------------------------------------------------------------------------------------------- a new one


async def _new(request: Request, model: str, draft: Draft) -> Response:
    info = await api_of(request).get("models", model)
    drawn = fields(info["body"], draft.value, draft.faults)
    return page(
        request, "record_new.html", draft.status, model=info, fields=drawn, wrong=wrong(drawn), problem=draft.problem,
        others=split_faults(draft.faults, drawn)[1],
    )  # fmt: skip


async def _create(request: Request, model: str) -> Response:
    api = api_of(request)
    info = await api.get("models", model)
    value: dict[str, Any] = {}
    try:
        value = parse(info["body"], await form_of(request))
        made = await api.ask("POST", "models", model, "records", body=value)
    except FormError as error:
        return await _new(request, model, Draft(error.value, _INVALID, faults=error.faults))
    except ApiProblem as refused:
        if refused.status not in _REFUSED:
            raise
        return await _new(request, model, Draft(value, refused.status, refused, refused.faults))
    return see_other(request, _after(model, made.data["_id"], "created"))


# ------------------------------------------------------------------------------------------------------ one that is there


async def _show(request: Request, info: Mapping[str, Any], current: Answer, draft: Draft) -> Response:
    """The page of a record, with what somebody wants it to be in its form."""
    drawn = fields(info["body"], draft.value, draft.faults)
    data = current.data
    title = " · ".join(shown(data.get(name)) for name in info["key"]) or data["_id"]
    unknown = {name: item for name, item in data.items() if not name.startswith("_") and name not in _own(info, data)}
    return page(
        request, "record.html", draft.status, model=info, record=data, title=title, etag=current.etag, seen=_digest(data),
        fields=drawn, wrong=wrong(drawn), draft=draft, others=split_faults(draft.faults, drawn)[1], unknown=unknown,
        lineage=await lineage(api_of(request), info, data), done=_DONE.get(request.query_params.get("~done", ""), ""),
        path_=record_path(info["name"], data["_id"]),
    )  # fmt: skip


async def _save(request: Request, model: str, key: str) -> Response:
    """Change what somebody changed, unless somebody else did meanwhile."""
    api, form = api_of(request), await form_of(request)
    info = await api.get("models", model)
    try:
        current = await _get(api, model, key)
    except ApiProblem as refused:
        if refused.status != _MISSING:
            raise
        return await _gone(request, info, key, form)
    try:
        value = parse(info["body"], form)
    except FormError as error:
        return await _show(request, info, current, Draft(error.value, _INVALID, faults=error.faults))
    if form.get("~seen") != _digest(current.data) and (conflict := _differences(info, current.data, value)):
        return await _show(request, info, current, Draft(value, _CONFLICT, conflict=conflict))
    return await _patch(request, info, current, value)


async def _patch(request: Request, info: Mapping[str, Any], current: Answer, value: Mapping[str, Any]) -> Response:
    model, key = info["name"], current.data["_id"]
    before = _own(info, current.data)
    changes = {name: item for name, item in value.items() if name not in before or _text(before[name]) != _text(item)}
    changes |= {name: None for name in before if name not in value}
    if not changes:
        return see_other(request, _after(model, key, "same"))
    api = api_of(request)
    headers = {**_MERGE, **({"If-Match": current.etag} if current.etag else {})}
    try:
        await api.ask("PATCH", "models", model, "records", key, body=changes, headers=headers)
    except ApiProblem as refused:
        if refused.status not in _REFUSED:
            raise
        if refused.status == _STALE:  # between our look at it and the change
            current = await _get(api, model, key)
            return await _show(request, info, current, Draft(value, _CONFLICT, conflict=_differences(info, current.data, value)))
        return await _show(request, info, current, Draft(value, refused.status, refused, refused.faults))
    return see_other(request, _after(model, key, "saved"))


async def _gone(request: Request, info: Mapping[str, Any], key: str, form: FormData) -> Response:
    """What was typed into the page of a record that is no more: to be made again."""
    try:
        draft = Draft(parse(info["body"], form))
    except FormError as error:
        draft = Draft(error.value, faults=error.faults)
    gone = ApiProblem(
        _CONFLICT, f"somebody deleted this record meanwhile: {key}", hint="what you typed is here; make it anew, or leave it"
    )
    return await _new(request, info["name"], replace(draft, status=_CONFLICT, problem=gone))


def _own(info: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record that its form has: those of the schema, and others where it takes any."""
    known = info["body"].get("properties", {})
    takes_any = info["body"].get("additionalProperties") not in (None, False)
    return {name: item for name, item in data.items() if not name.startswith("_") and (takes_any or name in known)}


def _digest(data: Mapping[str, Any]) -> str:
    """Of a record's own values: a run that made the same once more has changed nothing for who looks at it."""
    return hashlib.sha256(_text({k: v for k, v in data.items() if not k.startswith("_")}).encode()).hexdigest()[:16]


def _differences(info: Mapping[str, Any], data: Mapping[str, Any], mine: Mapping[str, Any]) -> tuple[Difference, ...]:
    theirs = _own(info, data)
    names: Sequence[str] = [*theirs, *(name for name in mine if name not in theirs)]
    return tuple(
        Difference(name, _side(theirs, name), _side(mine, name)) for name in names if _side(theirs, name) != _side(mine, name)
    )


def _side(value: Mapping[str, Any], name: str) -> str:
    item = value.get(name)
    return (
        ""
        if name not in value
        else item
        if isinstance(item, str)
        else json.dumps(item, ensure_ascii=False, indent=2, sort_keys=True)
    )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _after(model: str, key: str, done: str) -> str:
    path = record_path(model, key)
    return f"{path}{'&' if '?' in path else '?'}~done={done}"


ROUTES: Final = (Route("/models/{model}/records/{key:path}", record, methods=["GET", "POST"]),)
