"""What the manifest gives the parameters of flows, held to what they take, before a run at night finds out."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pulpo.compile.flow import Step
from pulpo.compile.parameters import flow_parameters, parameters_of
from pulpo.diagnostics import Diagnostic, Related
from pulpo.manifest.held_schema import value_check
from pulpo.manifest.references import references
from pulpo.names import PIPELINE, did_you_mean, parents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pulpo.compile.flow import FlowParameter
    from pulpo.manifest.flow import FlowSpec
    from pulpo.manifest.model import Manifest


def parameter_problems(manifest: Manifest) -> Iterator[Diagnostic]:
    """PLP220 for values of parameters that a flow does not have, or that do not take them; PLP221 for schedules without values.

    In the order of the manifest. It needs no graph: whether the operations can run at all is not asked.
    """
    asked = {name for name, spec in manifest.flows.items() if spec.parameters or _starts_by_itself(spec)}
    if not asked:
        return
    for name, parameters in _parameters_by_flow(manifest, asked).items():
        spec = manifest.flows[name]
        known = {parameter.name: parameter for parameter in parameters}
        yield from _unfit(name, spec.parameters or {}, known)
        if _starts_by_itself(spec):
            yield from _missing(name, spec.parameters or {}, parameters)


def _starts_by_itself(spec: FlowSpec) -> bool:
    return spec.schedule is not None and not spec.schedule.paused


def _parameters_by_flow(manifest: Manifest, flows: set[str]) -> dict[str, tuple[FlowParameter, ...]]:
    """The parameters of those of the flows that there are, in the order of the manifest."""
    steps: dict[str, list[Step]] = defaultdict(list)
    for name, spec in manifest.live_operations.items():
        step = Step(name, spec.entrypoint, spec.is_async, parameters=parameters_of(spec))
        for flow in {PIPELINE, name, *parents(name)} & flows:
            steps[flow].append(step)
    return {flow: flow_parameters(steps[flow]) for flow in manifest.flows if flow in steps}


def _unfit(flow: str, given: Mapping[str, Any], known: Mapping[str, FlowParameter]) -> Iterator[Diagnostic]:
    for name, value in given.items():
        path = ("flows", flow, "parameters", name)
        if name not in known:
            yield Diagnostic("PLP220", f"the flow has no such parameter: {name}", path, hint=_meant(name, known))
        elif problem := _value_problem(value, known[name].schema):
            related = tuple(
                Related(f"a parameter of {operation}", ("operations", operation, "parameters", parameter, "schema"))
                for operation, parameter in known[name].targets[:1]
            )
            yield Diagnostic("PLP220", f"the parameter does not take this value: {problem}", path, related=related)


def _meant(name: str, known: Mapping[str, FlowParameter]) -> str:
    several = [other for other in known if other.endswith(f".{name}")]
    if len(several) > 1:
        return f"its operations do not agree on it, say whose: {', '.join(several)}"
    return did_you_mean(name, known) or (f"it has: {', '.join(known)}" if known else "it has none")


def _value_problem(value: Any, schema: Mapping[str, Any]) -> str | None:
    """What a parameter's schema has against a value; of one that holds references only that it is a text is known."""
    if _holds_references(value):
        types = schema.get("type", "string")
        if isinstance(value, str) and "string" not in ([types] if isinstance(types, str) else types):
            return "a reference stands for a text, and the parameter takes none"
        return None
    try:
        found = value_check(schema)(_unescaped(value))
    except ValueError:  # of the schema, which is told elsewhere
        return None
    if found is None:
        return None
    where, message = found
    return f"{where}: {message}" if where else message


def _holds_references(value: Any) -> bool:
    if isinstance(value, str):
        return any(references(value))
    if isinstance(value, dict):
        return any(map(_holds_references, value.values()))
    return isinstance(value, list) and any(map(_holds_references, value))


def _unescaped(value: Any) -> Any:
    """The value with `$` for `$$`, as it is once references are resolved."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: _unescaped(item) for key, item in value.items()}
    return [_unescaped(item) for item in value] if isinstance(value, list) else value


def _missing(flow: str, given: Mapping[str, Any], parameters: Sequence[FlowParameter]) -> Iterator[Diagnostic]:
    needed = [parameter for parameter in parameters if parameter.required and parameter.name not in given]
    if needed:
        names = ", ".join(parameter.name for parameter in needed)
        values = ", ".join(f"{parameter.name}: …" for parameter in needed)
        related = tuple(
            Related(f"{parameter.name} has no default", ("operations", operation, "parameters", name))
            for parameter in needed
            for operation, name in parameter.targets[:1]
        )
        yield Diagnostic(
            "PLP221",
            f"the schedule starts the flow without a value for: {names}",
            ("flows", flow, "schedule"),
            hint=f"give it one beside the schedule, parameters: {{{values}}}, or say paused: true",
            related=related,
        )
