"""`pulpo operations`, `models`, `flows`, `services` and `environments`: what the lock has, all of them or one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pulpo.cli import completion
from pulpo.cli.options import Format, FormatOption
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pulpo.compile.flow import FlowDefinition
    from pulpo.errors import UsageError
    from pulpo.manifest.model import Manifest, ModelSpec, OperationSpec


def _name(complete: Callable[[typer.Context, str], list[str]]) -> Any:
    return typer.Argument(help="One of them, in full.", show_default=False, autocompletion=complete)


Operations = Annotated[str | None, _name(completion.operations)]
Models = Annotated[str | None, _name(completion.models)]
Flows = Annotated[str | None, _name(completion.flows)]
Services = Annotated[str | None, _name(completion.services)]
Environments = Annotated[str | None, _name(completion.environments)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(operations)
    app.command()(models)
    app.command()(flows)
    app.command()(services)
    app.command()(environments)


def operations(context: typer.Context, name: Operations = None, format: FormatOption = Format.TEXT) -> None:  # noqa: A002
    """List the operations, or show one."""
    found = context.obj.cli.operations()
    if name is not None:
        _show_one(context, "operation", name, {n: s.data() for n, s in found.items()}, format)
        return
    rows = [(n, _takes(s), _gives(s), _origin(s), s.description or "") for n, s in sorted(found.items())]
    _show_all(context, rows, ("operation", "takes", "gives", "origin", "description"), format)


def models(context: typer.Context, name: Models = None, format: FormatOption = Format.TEXT) -> None:  # noqa: A002
    """List the models, or show one."""
    found = context.obj.cli.models()
    if name is not None:
        _show_one(context, "model", name, {n: s.data() for n, s in found.items()}, format)
        return
    rows = [(n, s.collection_for(n), ", ".join(s.key or ()), _origin(s), s.description or "") for n, s in sorted(found.items())]
    _show_all(context, rows, ("model", "collection", "key", "origin", "description"), format)


def flows(context: typer.Context, name: Flows = None, format: FormatOption = Format.TEXT) -> None:  # noqa: A002
    """List the flows, or show one with its operations.

    Operations stand in the order in which they can run.
    """
    found = {flow.name: flow for flow in context.obj.cli.flows()}
    if name is not None:
        _show_one(context, "flow", name, {n: _flow_data(flow) for n, flow in found.items()}, format)
        return
    rows = [(n, str(len(f.operations)), ", ".join(p.name for p in f.parameters)) for n, f in found.items()]
    _show_all(context, rows, ("flow", "operations", "parameters"), format)


def services(
    context: typer.Context,
    name: Services = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if a variable is not set that has no default.")] = False,
    format: FormatOption = Format.TEXT,  # noqa: A002
) -> None:
    """List the services and what each needs, or show one.

    Also shown are the environment variables that a service refers to. References such as ${NAME} are shown as they are written,
    values of variables never.
    """
    from pulpo.codes.credentials import masked

    manifest = context.obj.cli.manifest()
    found = {n: masked(s.data()) for n, s in sorted(manifest.services.items())}
    if name is not None and name not in found:
        raise _no_such("service", name, found)
    chosen = found if name is None else {name: found[name]}
    if format is Format.JSON:
        data = [{"service": n, **e, **_decided(manifest, n), "variables": _variables({n: e})} for n, e in chosen.items()]
        context.obj.output.json(data if name is None else data[0])
    elif name is not None:
        _show_service(context, name, found[name])
    else:
        rows = [(n, *_service_row(e, _decided(manifest, n)), _states({n: e})) for n, e in found.items()]
        _show_all(context, rows, ("service", "what it is", "image, command or URI", "ports", "needs", "variables"), format)
    if check:
        context.obj.cli.check_variables(*([name] if name else []))


def environments(context: typer.Context, name: Environments = None, format: FormatOption = Format.TEXT) -> None:  # noqa: A002
    """List the environments and what each changes, or show one."""
    from pulpo.codes.credentials import masked

    found = {n: masked(s.data()) for n, s in context.obj.cli.environments().items()}
    if name is not None:
        _show_one(context, "environment", name, found, format)
        return
    rows = [(n, ", ".join(_changes(found[n]))) for n in sorted(found)]
    _show_all(context, rows, ("environment", "changes"), format)


def _show_service(context: typer.Context, name: str, entry: Mapping[str, Any]) -> None:
    from pulpo.manifest.yaml_write import dump_entry

    context.obj.output.data(dump_entry(name, entry, "services"))
    if states := _states({name: entry}):
        context.obj.output.data(f"# variables: {states}")


def _variables(entries: Mapping[str, Any]) -> dict[str, str]:
    import os

    from pulpo.manifest.references import variable_states

    return dict(variable_states({"services": entries}, os.environ))


def _states(entries: Mapping[str, Any]) -> str:
    words = {"yes": "set", "default": "default", "no": "not set"}
    return ", ".join(f"{name} ({words[state]})" for name, state in _variables(entries).items())


def _decided(manifest: Manifest, name: str) -> dict[str, Any]:
    """What follows from a service's entry, and from those of others; the references in it as they are written."""
    from pulpo.codes.credentials import masked
    from pulpo.compile.topology import command_of, image_of
    from pulpo.manifest.addresses import DEFAULT_PORTS, kind_of
    from pulpo.manifest.needs import needs_of

    spec = manifest.services[name]
    kind = "disabled" if spec.enabled is False else kind_of(name, spec)
    if kind in ("embedded", "elsewhere"):
        return {"kind": kind, "needs": []}
    ports = spec.ports or ([str(DEFAULT_PORTS[name])] if name in DEFAULT_PORTS else [])
    runs = {"image": image_of(name, spec), "command": list(command_of(name, spec) or ())}
    said = {key: value for key, value in runs.items() if value}
    return {"kind": kind, **masked(said), "ports": ports, "needs": list(needs_of(manifest).get(name, ()))}


def _service_row(entry: Mapping[str, Any], decided: Mapping[str, Any]) -> tuple[str, str, str, str]:
    runs = " ".join(filter(None, (decided.get("image"), " ".join(decided.get("command", ())))))
    where = entry.get("uri") if decided["kind"] == "elsewhere" else runs
    return decided["kind"], where or "-", ", ".join(decided.get("ports", ())), ", ".join(decided["needs"])


def _changes(overlay: Mapping[str, Any]) -> list[str]:
    """What an environment changes, as paths: entries of sections, and settings of the project."""
    return [
        f"{section}.{name}" for section, entries in overlay.items() if not section.startswith("x-") for name in sorted(entries)
    ]


def _origin(spec: OperationSpec | ModelSpec) -> str:
    return spec.origin or "code"


def _flow_data(flow: FlowDefinition) -> dict[str, Any]:
    parameters = {p.name: "required" if p.required else p.default for p in flow.parameters}
    return {"operations": list(flow.operations), "parameters": parameters}


def _takes(spec: OperationSpec) -> str:
    return ", ".join(f"{i.model} ({i.mode})" if i.mode else i.model for i in spec.inputs.values()) or "-"


def _gives(spec: OperationSpec) -> str:
    return ", ".join(f"list[{o.model}]" if o.many else o.model for o in spec.outputs) or "-"


def _no_such(kind: str, name: str, entries: Iterable[str]) -> UsageError:
    from pulpo.errors import UsageError

    return UsageError(f"there is no {kind} {name}", hint=did_you_mean(name, entries) or f"`pulpo {kind}s` lists them")


def _show_one(context: typer.Context, kind: str, name: str, entries: Mapping[str, Any], format: Format) -> None:  # noqa: A002
    from pulpo.manifest.yaml_write import dump_entry

    if name not in entries:
        raise _no_such(kind, name, entries)
    if format is Format.JSON:
        context.obj.output.json({"name": name, **entries[name]})
    else:
        context.obj.output.data(dump_entry(name, entries[name], f"{kind}s"))


def _show_all(context: typer.Context, rows: Sequence[tuple[str, ...]], header: tuple[str, ...], format: Format) -> None:  # noqa: A002
    if format is Format.JSON:
        context.obj.output.json([dict(zip(header, row, strict=True)) for row in rows])
    elif rows:
        context.obj.output.table(rows, header)
    else:
        context.obj.output.talk(f"the lock has no {header[0]}s")
