"""What the OpenAPI document says of running: a path for each operation and flow, with the parameters and inputs that it takes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pulpo.api.openapi_schemas import SCHEMAS, definitions, led
from pulpo.compile.flow import FlowDefinition
from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.errors import PulpoError

Schema = dict[str, Any]

_KINDS: Final[Mapping[str, str]] = {"operations": "operation", "flows": "flow"}


def run_paths(paths: Schema, schemas: Schema, compiler: OrchestrationCompiler) -> None:
    """Put each operation's and flow's own path in the place of the one for all; where the data flow does not hold, that stays."""
    try:
        flows = dict(_flows(compiler))
    except PulpoError:
        return
    for kind, parameter in _KINDS.items():
        general = paths.pop(f"/{kind}/{{{parameter}}}/run", None)
        if general is None:
            continue
        for (one, name), flow in flows.items():
            if one == kind:
                schemas.update(_components(f"{kind}.{name}", flow, schemas, general["post"]))
                paths[f"/{kind}/{name}/run"] = {"post": _operation(general["post"], kind, parameter, name)}


def _flows(compiler: OrchestrationCompiler) -> Iterator[tuple[tuple[str, str], FlowDefinition]]:
    for name in sorted(compiler.manifest.operations):
        yield ("operations", name), compiler.part(name, [name])
    for name in sorted(compiler.flow_names()):
        yield ("flows", name), compiler.flow(name)


def _operation(general: Schema, kind: str, parameter: str, name: str) -> Schema:
    own = copy.deepcopy(general)
    own["operationId"] = f"run_{_KINDS[kind]}_{name.replace('.', '__')}"
    own["summary"] = f"Run {name}"
    own["parameters"] = [one for one in own.get("parameters", []) if one["name"] != parameter]
    own["requestBody"]["content"] = {"application/json": {"schema": {"$ref": f"{SCHEMAS}{kind}.{name}.run"}}}
    return own


def _components(base: str, flow: FlowDefinition, schemas: Schema, general: Schema) -> Iterator[tuple[str, Schema]]:
    """The body of a run, and what the schemas of its parameters refer to."""
    reference = general["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    body = copy.deepcopy(schemas[reference.removeprefix(SCHEMAS)])
    parameters: Schema = {}
    for parameter in flow.parameters:
        own = f"{base}.{parameter.name}"
        yield from definitions(own, parameter.schema)
        yield own, led({word: inner for word, inner in parameter.schema.items() if word != "$defs"}, own)
        described = {} if parameter.description is None else {"description": parameter.description}
        default = {} if parameter.required else {"default": parameter.default}
        parameters[parameter.name] = {"$ref": f"{SCHEMAS}{own}", **described, **default}
    required = [parameter.name for parameter in flow.parameters if parameter.required]
    own_parameters = body["properties"]["parameters"]
    own_parameters.update(properties=parameters, additionalProperties=False)
    if required:
        own_parameters["required"] = required
        own_parameters.pop("default", None)
        body["required"] = sorted({*body.get("required", ()), "parameters"})
    inputs = body["properties"]["inputs"]
    source = inputs["additionalProperties"]
    models = sorted({argument.model for step in flow.steps() for argument in step.arguments})
    inputs.update(properties=dict.fromkeys(models, source), additionalProperties=False)
    yield f"{base}.run", {**body, "title": f"{base}.run"}
