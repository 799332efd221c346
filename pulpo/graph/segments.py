"""Segments: the parts of a flow that is left and re-entered, run in turn.

Grouping operations by flow can make a cycle that the operations do not have: `a.x → b.y → a.z`. Such a flow is split into
segments, so that no order is wrong and no edge is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulpo.graph.drift import listed, stale
from pulpo.graph.hierarchy import hierarchy
from pulpo.graph.order import topological_order
from pulpo.graph.quotient import edges_between, group_by_child
from pulpo.graph.reentry import reentry_problem
from pulpo.graph.schedule import schedule
from pulpo.names import PIPELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulpo.diagnostics import Diagnostic
    from pulpo.graph.dataflow import DataFlow
    from pulpo.manifest.model import Manifest

    #: The segments of flows, in order; the operations of each sorted.
    Segments = Mapping[str, tuple[tuple[str, ...], ...]]


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The flows that have to be split, and how."""

    #: By flow, sorted: its segments in the order in which they run, each with its operations sorted.
    flows: Segments
    #: PLP210 for each flow that is re-entered, by name.
    diagnostics: tuple[Diagnostic, ...] = ()

    def apply(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the manifest's plain data with `flows.*.segments` as found; an entry that is empty without it goes."""
        flows: dict[str, Any] = {}
        for name, entry in data.get("flows", {}).items():
            kept = {key: value for key, value in entry.items() if key != "segments"}
            if kept or "segments" not in entry or name in self.flows:
                flows[name] = kept
        for name, parts in self.flows.items():
            flows[name] = {**flows.get(name, {}), "segments": [list(part) for part in parts]}
        if flows or "flows" in data:
            return {**data, "flows": flows}
        return dict(data)

    def stale(self, manifest: Manifest) -> list[Diagnostic]:
        """PLP301 for every flow whose recorded segments are others, by name."""
        recorded = {name: entry.segments for name, entry in manifest.flows.items() if entry.segments is not None}
        found = []
        for name in sorted(recorded.keys() | self.flows.keys()):
            was, now = recorded.get(name), [list(part) for part in self.flows.get(name, ())] or None
            if was != now:
                found.append(stale(("flows", name, "segments"), _listed(was), _listed(now)))
        return found


def _listed(parts: Sequence[Sequence[str]] | None) -> str:
    return listed(None if parts is None else map(listed, parts))


def segments(flow: DataFlow) -> Segmentation:
    """Splits the flows that grouping makes wait for each other, level by level from the pipeline down.

    Raises:
        DiagnosticsError: The operations themselves wait for each other (PLP206).
    """
    splitter = _Splitter(flow)
    splitter.split(PIPELINE, flow.order())
    flows = {name: tuple(tuple(sorted(part)) for part in parts) for name, parts in sorted(splitter.parts.items())}
    split = {name: parts for name, parts in flows.items() if len(parts) > 1}
    problems = (reentry_problem(flow, name) for name in split)
    return Segmentation(split, tuple(problem for problem in problems if problem))


class _Splitter:
    def __init__(self, flow: DataFlow) -> None:
        self._needs = flow.dependencies
        self._flows = hierarchy(flow.operations).names
        self.parts: dict[str, list[Sequence[str]]] = {}

    def split(self, name: str, operations: Sequence[str]) -> None:
        """Splits what lies in a flow, or in one of its segments: `operations`, in an order in which they can run."""
        groups = group_by_child(name, operations)
        parts: dict[str, list[Sequence[str]]] = {child: [names] for child, names in groups.items()}
        quotient = edges_between({name: child for child, names in groups.items() for name in names}, self._needs)
        if topological_order(quotient)[1]:
            from pulpo.graph.cycles import strong_components

            for component in strong_components(quotient):
                for child in component:
                    parts[child] = []
                for child, names in schedule({child: groups[child] for child in component}, self._needs):
                    parts[child].append(names)
        for child in sorted(parts):
            if child in self._flows:
                self.parts.setdefault(child, []).extend(parts[child])
                for part in parts[child]:
                    self.split(child, part)
