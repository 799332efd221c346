"""The form that starts a run: parameters, where records come from, the engine, and which part of a flow."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pulpo.ui.api_client import Api, ApiProblem, Fault
from pulpo.ui.forms import Field, FormError, fields, parse, split_faults, wrong

#: What all names of controls that are no parameter begin with; no parameter does.
_OWN: Final = "run~"
_PARTS: Final = ("select", "from", "to")
_UNAUTHORISED, _MISSING = 401, 404


@dataclass(frozen=True, slots=True)
class Source:
    """Where the records of a model come from, as it was chosen."""

    model: str
    #: The operations that take it.
    taken_by: tuple[str, ...]
    #: Whether a run of the whole takes it from outside; else it may only be said for a part.
    outside: bool
    #: `` (as the API does it), `latest`, `run` or `records`.
    kind: str = ""
    run: str = ""
    records: str = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """The form with what was typed, and what is wrong with it."""

    fields: tuple[Field, ...]
    sources: tuple[Source, ...]
    engine: str = "inline"
    #: By `select`, `from` and `to`: expressions between blanks.
    parts: Mapping[str, str] | None = None
    with_upstream: bool = False
    #: Two requests with the same key and the same content are one.
    key: str = ""
    problem: ApiProblem | None = None
    others: tuple[Fault, ...] = ()

    @property
    def wrong(self) -> tuple[Field, ...]:
        """The fields with errors."""
        return wrong(self.fields)

    @property
    def is_partial(self) -> bool:
        """Whether something is said about the part that runs."""
        return self.with_upstream or any((self.parts or {}).values())


def schema_of(parameters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The schema of all parameters together; what they define is told apart by their names."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for parameter in parameters:
        name = parameter["name"]
        own = _renamed(parameter["schema"], name)
        definitions |= {f"{name}.{inner}": schema for inner, schema in own.pop("$defs", {}).items()}
        default = {} if parameter["required"] else {"default": parameter["default"]}
        described = {"description": parameter["description"]} if parameter["description"] else {}
        properties[name] = {**own, **default, **described, "title": name}
    required = [parameter["name"] for parameter in parameters if parameter["required"]]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, "$defs": definitions}


def _renamed(schema: Any, name: str) -> Any:
    if isinstance(schema, list):
        return [_renamed(item, name) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {key: _renamed(value, name) for key, value in schema.items()}
    if isinstance(reference := found.get("$ref"), str):
        found["$ref"] = reference.replace("#/$defs/", f"#/$defs/{name}.", 1)
    return found


def blank(parameters: Sequence[Mapping[str, Any]], sources: Sequence[Source], again: Mapping[str, Any] | None = None) -> Form:
    """The form as it is first shown; filled with what a run was given that is to be made `again`."""
    schema, key = schema_of(parameters), secrets.token_hex(8)
    if again is None:
        return Form(fields(schema), tuple(sources), key=key)
    known = {name: value for name, value in again["parameters"].items() if name in schema["properties"]}
    given = {argument: source.removeprefix("run:") for argument, source in again["inputs"].items() if source.startswith("run:")}
    return Form(
        fields(schema, known),
        tuple(_as_given(source, given) for source in sources),
        engine=again["engine"],
        parts={"select": " ".join(again["selection"] or ())},
        key=key,
    )


def _as_given(source: Source, given: Mapping[str, str]) -> Source:
    run = next((given[argument] for argument in source.taken_by if argument in given), None)
    return source if run is None else replace(source, kind="run", run=run)


async def start(
    api: Api,
    target: tuple[str, str],
    parameters: Sequence[Mapping[str, Any]],
    sources: Sequence[Source],
    typed: Mapping[str, str],
) -> str | Form:
    """The run that was started of what is at `/KIND/NAME` of the API; or the form again, with what is wrong.

    Raises:
        ApiProblem: Nobody is logged in, or there is no such thing any more.
    """
    form = _read(sources, typed)
    schema = schema_of(parameters)
    try:
        value = parse(schema, typed)
    except FormError as error:
        return replace(form, fields=fields(schema, error.value, error.faults))
    form = replace(form, fields=fields(schema, value))
    if any(source.errors for source in form.sources):
        return form
    body = _body(form, value)
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    try:
        answer = await api.ask("POST", *target, "run", body=body, headers={"Idempotency-Key": f"{form.key}{digest}"})
    except ApiProblem as problem:
        if problem.status in (_UNAUTHORISED, _MISSING):
            raise
        return _refused(form, schema, value, problem)
    return str(answer.data["id"])


def _read(sources: Sequence[Source], typed: Mapping[str, str]) -> Form:
    def said(*names: str) -> str:
        return typed.get(_OWN + "~".join(names), "").strip()

    read = [
        replace(source, kind=said("kind", source.model), run=said("source", source.model), records=said("records", source.model))
        for source in sources
    ]
    return Form(
        (),
        tuple(replace(source, errors=_unreadable(source)) for source in read),
        engine=said("engine") or "inline",
        parts={part: said(part) for part in _PARTS},
        with_upstream=bool(said("upstream")),
        key=said("key") or secrets.token_hex(8),
    )


def _unreadable(source: Source) -> tuple[str, ...]:
    if source.kind == "run" and not source.run:
        return ("which run? say its id",)
    if source.kind == "records":
        try:
            _records(source.records)
        except ValueError as error:
            return (str(error),)
    return ()


def _records(text: str) -> list[Any]:
    """Records as a JSON array, as one object, or as lines of them."""
    try:
        read = json.loads(text)
    except ValueError:
        try:
            read = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise ValueError(f"this is no JSON: {error}") from error
    records = [read] if isinstance(read, dict) else read
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("records are JSON objects: a list of them, or one a line")
    return records


def _body(form: Form, value: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"parameters": dict(value), "engine": form.engine}
    inputs = {source.model: _source(source) for source in form.sources if source.kind}
    body |= {part: text.split() for part, text in (form.parts or {}).items() if text}
    body |= {"inputs": inputs} if inputs else {}
    return body | ({"with_upstream": True} if form.with_upstream else {})


def _source(source: Source) -> Any:
    return {"latest": "latest", "run": f"run:{source.run}", "records": None}.get(source.kind) or _records(source.records)


def _refused(form: Form, schema: Mapping[str, Any], value: Mapping[str, Any], problem: ApiProblem) -> Form:
    """The form with what the API found wrong, each at its place."""
    at = [Fault(fault.place[1:], fault.message, fault.hint) for fault in problem.faults if fault.place[:1] == ("parameters",)]
    drawn = fields(schema, value, at)
    others = [fault for fault in problem.faults if fault.place[:1] not in (("parameters",), ("inputs",))]
    others += split_faults(at, drawn)[1]
    told = [_told(source, problem.faults) for source in form.sources]
    return replace(form, fields=drawn, sources=tuple(told), problem=problem, others=tuple(others))


def _told(source: Source, faults: Sequence[Fault]) -> Source:
    mine = [fault for fault in faults if fault.place[:2] == ("inputs", source.model)]
    return replace(source, errors=tuple(f"{_place(fault)}{fault.message}" for fault in mine))


def _place(fault: Fault) -> str:
    """Records are counted from 1 for people."""
    rest = list(fault.place[2:])
    words = [f"record {rest[0] + 1}"] if rest and isinstance(rest[0], int) else []
    words += [".".join(map(str, rest[len(words) :]))] if rest[len(words) :] else []
    return f"{', '.join(words)}: " if words else ""
