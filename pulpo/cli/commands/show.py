"""`pulpo operations`, `pulpo models` and `pulpo flows`: what the lock has, all of them or one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pulpo.cli.options import Format, FormatOption
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulpo.compile.flow import FlowDefinition
    from pulpo.manifest.model import OperationSpec

Name = Annotated[str | None, typer.Argument(help="One of them, in full.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(operations)
    app.command()(models)
    app.command()(flows)


def operations(context: typer.Context, name: Name = None, format: FormatOption = Format.TEXT) -> None:  # noqa: A002
    """List the operations, or show one."""
    found = context.obj.cli.operations()
    if name is not None:
        _show_one(context, "operation", name, {n: s.data() for n, s in found.items()}, format)
        return
    rows = [(n, _takes(s), _gives(s), s.description or "") for n, s in sorted(found.items())]
    _show_all(context, rows, ("operation", "takes", "gives", "description"), format)


def models(context: typer.Context, name: Name = None, format: FormatOption = Format.TEXT) -> None:  # noqa: A002
    """List the models, or show one."""
    found = context.obj.cli.models()
    if name is not None:
        _show_one(context, "model", name, {n: s.data() for n, s in found.items()}, format)
        return
    rows = [(n, s.collection_for(n), ", ".join(s.key or ()), s.description or "") for n, s in sorted(found.items())]
    _show_all(context, rows, ("model", "collection", "key", "description"), format)


def flows(context: typer.Context, name: Name = None, format: FormatOption = Format.TEXT) -> None:  # noqa: A002
    """List the flows, or show one with its operations in the order in which they can run."""
    found = {flow.name: flow for flow in context.obj.cli.flows()}
    if name is not None:
        _show_one(context, "flow", name, {n: _flow_data(flow) for n, flow in found.items()}, format)
        return
    rows = [(n, str(len(f.operations)), ", ".join(p.name for p in f.parameters)) for n, f in found.items()]
    _show_all(context, rows, ("flow", "operations", "parameters"), format)


def _flow_data(flow: FlowDefinition) -> dict[str, Any]:
    parameters = {p.name: "required" if p.required else p.default for p in flow.parameters}
    return {"operations": list(flow.operations), "parameters": parameters}


def _takes(spec: OperationSpec) -> str:
    return ", ".join(f"{i.model} ({i.mode})" if i.mode else i.model for i in spec.inputs.values()) or "-"


def _gives(spec: OperationSpec) -> str:
    return ", ".join(f"list[{o.model}]" if o.many else o.model for o in spec.outputs) or "-"


def _show_one(context: typer.Context, kind: str, name: str, entries: Mapping[str, Any], format: Format) -> None:  # noqa: A002
    from pulpo.errors import UsageError
    from pulpo.manifest.yaml_write import dump_entry

    if name not in entries:
        raise UsageError(f"there is no {kind} {name}", hint=did_you_mean(name, entries) or f"`pulpo {kind}s` lists them")
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
