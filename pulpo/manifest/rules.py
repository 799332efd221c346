"""Rules of the manifest that no schema can say and that need no graph."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic, Related
from pulpo.names import PIPELINE, did_you_mean, parents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.diagnostics import Path
    from pulpo.manifest.model import Manifest

#: A password in a URI, unless it is a reference such as `${DB_PASSWORD}`.
_CREDENTIAL = re.compile(r"://[^/\s:@]*:(?!\$\{)[^/\s@]+@")


def rule_problems(manifest: Manifest) -> list[Diagnostic]:
    """All that breaks a rule: fields, collections, flows and schedules, credentials; each in the order of the manifest."""
    return [*_fields(manifest), *_collections(manifest), *_flows(manifest), *_credentials(manifest)]


def _fields(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP114 for each field of a key or an index that the model does not have."""
    for name, spec in manifest.models.items():
        known = list(root_of(spec.json_schema).get("properties", {}))
        named = [("key", f) for f in spec.key or ()] + [("indexes", f) for index in spec.indexes or () for f in index]
        for setting, field in named:
            if known and field.split(".")[0] not in known:
                hint = did_you_mean(field, known) or f"its fields: {', '.join(known)}"
                yield Diagnostic("PLP114", f"the model has no such field: {field}", ("models", name, setting), hint=hint)


def root_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a model's schema that describes the model itself: elsewhere only where it refers to itself."""
    if "$ref" in schema:
        return dict(schema["$defs"][schema["$ref"].rsplit("/", 1)[-1]])
    return schema


def _collections(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP211 for each model that is stored in another one's collection."""
    by_collection: dict[str, list[str]] = defaultdict(list)
    for name, spec in sorted(manifest.models.items()):
        by_collection[spec.collection_for(name)].append(name)
    for collection, names in sorted(by_collection.items()):
        for name in names[1:]:
            yield Diagnostic(
                "PLP211",
                f"its records would be stored among those of {names[0]}, in the collection: {collection}",
                ("models", name, "collection"),
                hint="give one of them another `collection`",
                related=(Related(f"{names[0]} is stored there, too", ("models", names[0])),),
            )


def _flows(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP213 for settings of a flow that is not there, PLP214 for a schedule that says nothing, or two things."""
    known = {PIPELINE} | {flow for name in manifest.operations for flow in parents(name) or (name,)}
    for name, spec in manifest.flows.items():
        if name not in known:
            hint = did_you_mean(name, known) or "`pulpo flows` lists the flows"
            yield Diagnostic("PLP213", f"there is no such flow: {name}", ("flows", name), hint=hint)
        if spec.schedule is not None:
            given = [key for key in ("cron", "interval", "rrule") if getattr(spec.schedule, key) is not None]
            if len(given) != 1:
                message = f"a schedule has one of cron, interval and rrule, this one: {', '.join(given) or 'none'}"
                yield Diagnostic("PLP214", message, ("flows", name, "schedule"))


def _credentials(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP215 for each text that looks like a URI with a password in it."""
    if not _CREDENTIAL.search(manifest.model_dump_json(exclude_unset=True)):
        return  # looking through all at once takes a tenth of the time
    for section in ("models", "operations", "services", "environments"):
        for name, spec in getattr(manifest, section).items():
            for path in _texts(spec.data(), (section, name)):
                yield Diagnostic(
                    "PLP215", "this looks like a credential", path, hint="write a reference such as ${DB_PASSWORD} in its place"
                )


def _texts(value: object, path: Path) -> Iterator[Path]:
    """The paths of all texts in plain data that have a password in them."""
    if isinstance(value, str):
        if "://" in value and _CREDENTIAL.search(value):
            yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
