"""Which task runner a flow's operations go to: what the flow says, or the nearest flow above it that says something."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulpo.names import upwards

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.manifest.flow import FlowSpec


@dataclass(frozen=True, slots=True)
class TaskRunner:
    """A task runner as the manifest has it; its options may hold references."""

    #: `dask` or `ray`.
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


def task_runner_of(flows: Mapping[str, FlowSpec], name: str) -> TaskRunner | None:
    """The task runner that holds for a flow; None where its operations run in its own process.

    Options without a runner beside them are for the one from above, in place of its own.
    """
    options: Mapping[str, Any] | None = None
    for flow in upwards(name):
        said = flows.get(flow)
        if said is None:
            continue
        if options is None:
            options = said.task_runner_options
        if said.task_runner is not None:
            return TaskRunner(said.task_runner, options or {})
    return None
