"""Rules of the manifest that no schema can say and that need no graph."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pulpo.diagnostics import Diagnostic, Related
from pulpo.manifest.held_schema import schema_problem
from pulpo.manifest.overlay import RECURRENCES, unknown_entries
from pulpo.manifest.references import malformed_references, parts
from pulpo.names import did_you_mean, flows_of, upwards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.diagnostics import Path
    from pulpo.manifest.model import Manifest

#: A reference is one piece, whatever its default holds; elsewhere a dollar sign is a character like others.
_REFERENCE, _OTHER = r"\$\{[^{}]*\}", r"\$(?!\{)"
#: A password in a URI, unless it is nothing but references without defaults such as `${DB_PASSWORD}`.
_CREDENTIAL = re.compile(
    rf"://(?:[^/\s:@$]|{_OTHER}|{_REFERENCE})*:"
    rf"(?!(?:\$\{{[A-Za-z_][A-Za-z0-9_]*(?::-)?\}})+@)"
    rf"(?:[^/\s@$]|{_OTHER}|{_REFERENCE})+@"
)
#: Names of variables whose values are secret. A key alone may be a cache's, or be public.
_SECRET = re.compile(
    r"(?i)(?:PASSWORD|PASSWD|PASSPHRASE|(?:^|_)(?:PASS|TOKEN|SECRET|AUTH_STRING)"
    r"|(?:^|_)(?:ACCESS|ACCOUNT|API|AUTH|ENCRYPTION|MASTER|PRIVATE|SECRET|SIGNING)_?KEY)$"
)
#: Values under such names that are none: nothing, switches, small numbers, placeholders, files, and where a secret is kept.
_NO_SECRET = re.compile(
    r"(?is)\s*|true|false|yes|no|on|off|none|null|(?:en|dis)abled|\d{1,5}|[$<[{].*|(?:\.{0,2}|~)/.*|(?:arn:|vault:|[a-z][a-z0-9+.-]*://).*"
)
#: The sections that may hold references.
_REFERRING = {"project", "flows", "services", "environments"}


def rule_problems(manifest: Manifest) -> list[Diagnostic]:
    """All that breaks a rule: settings, names, references, credentials; each in the order of the manifest."""
    found = [*setting_problems(manifest), *_schemas(manifest), *_unknown_flows(manifest)]
    for environment in manifest.environments:
        found += unknown_entries(manifest, environment)
    return [*found, *_services(manifest), *_references(manifest), *_credentials(manifest)]


def setting_problems(manifest: Manifest) -> list[Diagnostic]:
    """What is wrong with settings of models and flows, which an environment may change: PLP114, 211, 214, 218, 219 and 222."""
    return [*_fields(manifest), *_collections(manifest), *_schedules(manifest), *_lonely_settings(manifest)]


def _services(manifest: Manifest) -> list[Diagnostic]:
    if not manifest.services and manifest.project.docker is None:
        return []
    from pulpo.manifest.service_rules import service_problems

    return service_problems(manifest)


def _fields(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP114 for each field of a key or an index that the model does not have."""
    for name, spec in manifest.models.items():
        properties = root_of(spec.json_schema).get("properties")
        known = list(properties) if isinstance(properties, dict) else []
        named = [("key", f) for f in spec.key or ()] + [("indexes", f) for index in spec.indexes or () for f in index]
        for setting, field in named:
            if known and field.split(".")[0] not in known:
                hint = did_you_mean(field, known) or f"its fields: {', '.join(known)}"
                yield Diagnostic("PLP114", f"the model has no such field: {field}", ("models", name, setting), hint=hint)


def root_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a model's schema that describes the model itself: elsewhere only where it refers to itself."""
    if "$ref" in schema:
        parts = schema.get("$defs")
        named = parts.get(str(schema["$ref"]).rsplit("/", 1)[-1]) if isinstance(parts, dict) else None
        return dict(named) if isinstance(named, dict) else {}
    return schema


def _schemas(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP114 for each schema written by hand that is none; those of the code are made by pydantic."""
    written: list[tuple[Path, dict[str, Any]]]
    written = [(("models", name, "schema"), spec.json_schema) for name, spec in manifest.models.items() if spec.origin]
    for name, operation in manifest.operations.items():
        if operation.origin:
            for parameter, given in operation.parameters.items():
                written.append((("operations", name, "parameters", parameter, "schema"), given.json_schema))
    for path, schema in written:
        if problem := schema_problem(schema):
            yield Diagnostic("PLP114", f"no JSON Schema: {problem}", path)


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


def _unknown_flows(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP213 for settings of a flow that is not there."""
    known = flows_of(manifest.operations)
    for name in manifest.flows:
        if name not in known:
            hint = did_you_mean(name, known) or "`pulpo flows` lists the flows"
            yield Diagnostic("PLP213", f"there is no such flow: {name}", ("flows", name), hint=hint)


def _schedules(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP214 for each schedule that says nothing, or two things; PLP218 and PLP219 for what it says and Prefect does not know."""
    for name, spec in manifest.flows.items():
        if spec.schedule is not None:
            given = [key for key in RECURRENCES if getattr(spec.schedule, key) is not None]
            if len(given) != 1:
                message = f"a schedule has one of cron, interval and rrule, this one: {', '.join(given) or 'none'}"
                hint = "keep one of them" if given else 'say when, such as cron: "0 6 * * *"'
                yield Diagnostic("PLP214", message, ("flows", name, "schedule"), hint=hint)
            # A module of its own: what it needs takes time to import, and most manifests have no schedule.
            from pulpo.manifest.schedules import schedule_problems

            yield from schedule_problems(spec.schedule, ("flows", name, "schedule"))


def _lonely_settings(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP222 for each setting of a flow that means nothing without another one."""
    for name, spec in manifest.flows.items():
        if spec.collision_strategy is not None and spec.concurrency is None:
            message = f"it means nothing without concurrency: {spec.collision_strategy}"
            hint = "say how many runs may be going on at the same time, such as concurrency: 1"
            yield Diagnostic("PLP222", message, ("flows", name, "collision_strategy"), hint=hint)
        if spec.task_runner_options is not None and not _has_task_runner(manifest, name):
            message = "they mean nothing without a task_runner, here or in a flow above"
            hint = "say which: task_runner: dask, or ray"
            yield Diagnostic("PLP222", message, ("flows", name, "task_runner_options"), hint=hint)


def _has_task_runner(manifest: Manifest, flow: str) -> bool:
    entries = map(manifest.flows.get, upwards(flow))
    return any(entry is not None and entry.task_runner is not None for entry in entries)


def _references(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP216 for each malformed reference."""
    if manifest.flows or manifest.services or manifest.environments or manifest.project.docker:
        yield from malformed_references(manifest.model_dump(mode="json", include=_REFERRING, exclude_unset=True, by_alias=True))


def _credentials(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP215 for each text that looks like a URI with a password in it, and for what looks like a secret in an environment."""
    named = {path: path[-1] for path in _secrets(manifest)} | dict.fromkeys(_uris(manifest), "DB_PASSWORD")
    for path, name in named.items():
        yield Diagnostic(
            "PLP215", "this looks like a credential", path, hint=f"write a reference such as ${{{name}}} in its place"
        )


def _uris(manifest: Manifest) -> Iterator[Path]:
    """The paths of texts that look like a URI with a password in it."""
    if not _may_hold_credentials(manifest):
        return
    for section in ("models", "operations", "flows", "services", "environments"):
        for name, spec in getattr(manifest, section).items():
            yield from _texts(spec.data(), (section, name))
    if manifest.project.docker:
        yield from _texts(manifest.project.docker.data(), ("project", "docker"))


def _secrets(manifest: Manifest) -> Iterator[Path]:
    """The paths of texts that services are given under the name of a secret."""
    above: Path
    overlays = [(("environments", name), overlay.services or {}) for name, overlay in manifest.environments.items()]
    for above, services in [((), manifest.services), *overlays]:
        for service, spec in services.items():
            for name, value in (spec.environment or {}).items():
                if _SECRET.search(name) and _is_literal(value):
                    yield (*above, "services", service, "environment", name)


def _is_literal(value: str) -> bool:
    """Whether a secret stands in a text, and not only a reference to it; a default is text as well."""
    pieces = [part if isinstance(part, str) else part.default for part in parts(value)]
    return all(piece is not None for piece in pieces) and not _NO_SECRET.fullmatch("".join(filter(None, pieces)))


def _may_hold_credentials(manifest: Manifest) -> bool:
    """Looks through all texts at once, in a tenth of the time."""
    from pydantic_core import PydanticSerializationError

    try:
        return _CREDENTIAL.search(manifest.model_dump_json(exclude_unset=True)) is not None
    except PydanticSerializationError:  # half of a surrogate pair, which can't be written either
        return True


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
