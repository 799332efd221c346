"""The canonical layout of a manifest: the order of its keys, and which parts take a line for each entry.

Sections and fields stand in the order of the models in `pulpo.manifest.model`, except that what an entry is (its own
fields) comes before its settings (the inherited ones), and a model's schema, the longest part, last. Keys of one's own
(`x-…`) follow, sorted. Entries are sorted by name; parameters and inputs keep the order of the function's signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pulpo.manifest.flow import FlowSettings, FlowSpec, ScheduleSpec
from pulpo.manifest.model import (
    CacheSpec,
    DeclaredSpec,
    EnvironmentSpec,
    InputSpec,
    Manifest,
    ModelSettings,
    ModelSpec,
    OperationSettings,
    OperationSpec,
    OutputSpec,
    ParameterSpec,
    ProjectOverlay,
    ProjectSpec,
)
from pulpo.manifest.service import DockerSpec, ProbeSpec, ResourcesSpec, ServiceSpec
from pulpo.manifest.spec import Spec


@dataclass(frozen=True, slots=True)
class Layout:
    """How a value is written: by default on one line, keys in the order given."""

    #: Keys in the order in which they are written, those that are not named here after them by name.
    order: tuple[str, ...] = ()
    #: Keys are sorted by name.
    by_name: bool = False
    #: Each key or item on a line of its own.
    block: bool = False
    #: The value is written as a block only when it has this key.
    block_if: str | None = None
    #: An empty value stands on a line of its own, below its key.
    own_line: bool = False
    #: How the values of these keys are written.
    fields: Mapping[str, Layout] = field(default_factory=dict)
    #: How all other values, or items, are written; None is on one line.
    each: Layout | None = None

    def of(self, key: str) -> Layout:
        """How the value of a key is written."""
        return self.fields.get(key) or self.each or LINE

    def ordered(self, data: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """The entries of a mapping in the order in which they are written."""
        if self.by_name:
            return sorted(data.items())
        if not self.order:
            return list(data.items())
        known = [(key, data[key]) for key in self.order if key in data]
        return known if len(known) == len(data) else known + sorted((key, data[key]) for key in data.keys() - set(self.order))

    def is_block(self, value: object) -> bool:
        """Whether the value is written as a block."""
        if not self.block or not isinstance(value, (dict, list)) or not value:
            return False
        return self.block_if is None or self.block_if in value


#: The longest part of an entry, or the one that Pulpo writes beside what people do.
_LAST: Mapping[type[Spec], str] = {ModelSpec: "schema", FlowSpec: "segments"}


def field_order(spec: type[Spec]) -> tuple[str, ...]:
    """The keys of a part of the manifest in the order in which they are written."""
    own = [name for name in spec.model_fields if name in spec.__annotations__]
    inherited = [name for name in spec.model_fields if name not in spec.__annotations__]
    keys = [spec.model_fields[name].alias or name for name in own + inherited]
    return tuple(sorted(keys, key=lambda key: key == _LAST.get(spec)))


def _spec(spec: type[Spec], *, block: bool = False, block_if: str | None = None, **fields: Layout) -> Layout:
    return Layout(field_order(spec), block=block, block_if=block_if, fields=fields)


def _entries(each: Layout) -> Layout:
    return Layout(by_name=True, block=True, each=each)


LINE = Layout()
_LINES = Layout(block=True)
_CACHE = _spec(CacheSpec)
_MODEL = _spec(ModelSpec, block=True, schema=Layout(block=True, fields={"properties": _LINES, "$defs": _LINES}))
_OPERATION = _spec(
    OperationSpec,
    block=True,
    parameters=Layout(block=True, each=_spec(ParameterSpec)),
    parameter_objects=_LINES,
    inputs=Layout(block=True, each=_spec(InputSpec)),
    outputs=Layout(each=_spec(OutputSpec)),
    cache=_CACHE,
)
_SCHEDULE = _spec(ScheduleSpec)
_FLOW = _spec(FlowSpec, block=True, block_if="segments", schedule=_SCHEDULE, segments=_LINES)
_SERVICE = _spec(ServiceSpec, probe=_spec(ProbeSpec), resources=_spec(ResourcesSpec))
_DOCKER = _spec(DockerSpec)
# Each setting, or that there is none, on a line of its own: between the changes of two branches to two entries stands the
# line of a key, so that Git can merge them.
_DECLARED = _spec(
    DeclaredSpec,
    block=True,
    models=_entries(replace(_spec(ModelSettings, block=True), own_line=True)),
    operations=_entries(replace(_spec(OperationSettings, block=True, cache=_CACHE), own_line=True)),
)
_OVERLAY = _spec(
    EnvironmentSpec,
    block=True,
    project=_spec(ProjectOverlay, docker=_DOCKER),
    models=_entries(_spec(ModelSettings)),
    operations=_entries(_spec(OperationSettings, cache=_CACHE)),
    flows=_entries(_spec(FlowSettings, schedule=_SCHEDULE)),
    services=_entries(_SERVICE),
)
#: The layout of the whole manifest.
MANIFEST = _spec(
    Manifest,
    block=True,
    project=_spec(ProjectSpec, docker=_DOCKER),
    models=_entries(_MODEL),
    operations=_entries(_OPERATION),
    flows=_entries(_FLOW),
    services=_entries(replace(_SERVICE, block=True)),
    environments=_entries(_OVERLAY),
    declared=_DECLARED,
)
