"""One level of the hierarchy: what lies directly in a flow, and in which order that can run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic
from pulpo.errors import DiagnosticsError
from pulpo.graph.order import topological_order
from pulpo.names import PIPELINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from _typeshed import SupportsRichComparisonT

    from pulpo.graph.dataflow import DataFlow
    from pulpo.manifest.model import Manifest


@dataclass(frozen=True, slots=True)
class Member:
    """What lies directly in a flow: an operation, or a subflow or one of its segments."""

    #: The operation's or the subflow's name.
    name: str
    #: The operations that belong to it, sorted; for an operation itself alone.
    operations: tuple[str, ...]
    #: Which segment of the subflow it is, from 1; None where that is not split.
    segment: int | None = None

    @property
    def is_operation(self) -> bool:
        """Whether it is an operation and no subflow."""
        return self.operations == (self.name,)


def quotient(manifest: Manifest, flow: DataFlow, name: str, operations: Iterable[str]) -> tuple[Member, ...]:
    """The members of a flow in an order in which they can run one after the other, by name where there is a choice.

    Args:
        manifest: Says the segments of the subflows.
        flow: Says what waits for what.
        name: The flow, or `pipeline`.
        operations: Those of its operations that count: all of them, those of one of its segments, or a selection.

    Raises:
        DiagnosticsError: The recorded segments are not right (PLP301), or the operations wait for each other (PLP206).
    """
    groups = group_by_child(name, sorted(operations))
    member_of: dict[str, tuple[str, int]] = {}
    for child, names in groups.items():
        member_of |= _by_segment(manifest, child, names)
    between = edges_between(member_of, flow.dependencies)
    order, rest = topological_order(between)
    if rest:
        from pulpo.graph.cycles import strong_components

        flow.order()
        knots = {child for component in strong_components(between) for child, _ in component}
        raise DiagnosticsError([_outdated(child) for child in sorted(knots) if child not in flow.dependencies])
    members: dict[tuple[str, int], list[str]] = {key: [] for key in order}
    for operation, key in member_of.items():
        members[key].append(operation)
    return tuple(Member(child, tuple(sorted(names)), number or None) for (child, number), names in members.items())


def _by_segment(manifest: Manifest, child: str, names: Sequence[str]) -> dict[str, tuple[str, int]]:
    """For each operation its member: the child and the number of its segment, 0 where the child is not split."""
    entry = manifest.flows.get(child)
    if entry is None or not entry.segments:
        return dict.fromkeys(names, (child, 0))
    number = {name: index for index, part in enumerate(entry.segments, 1) for name in part}
    if any(name not in number for name in names):
        raise DiagnosticsError([_outdated(child)])
    return {name: (child, number[name]) for name in names}


def _outdated(child: str) -> Diagnostic:
    path = ("flows", child, "segments")
    return Diagnostic(
        "PLP301", f"the recorded segments do not fit the operations of: {child}", path=path, hint="run `pulpo lock`"
    )


def group_by_child(name: str, operations: Iterable[str]) -> dict[str, list[str]]:
    """The operations by what they lie in directly below a flow, itself included where nothing is between; orders are kept."""
    depth = 0 if name == PIPELINE else name.count(".") + 1
    groups: dict[str, list[str]] = {}
    for operation in operations:
        groups.setdefault(".".join(operation.split(".")[: depth + 1]), []).append(operation)
    return groups


def edges_between(
    group_of: Mapping[str, SupportsRichComparisonT], needs: Mapping[str, Iterable[str]]
) -> dict[SupportsRichComparisonT, set[SupportsRichComparisonT]]:
    """For each group the others that its operations wait for."""
    between: dict[SupportsRichComparisonT, set[SupportsRichComparisonT]] = {group: set() for group in group_of.values()}
    for operation, group in group_of.items():
        between[group].update(group_of[need] for need in needs[operation] if need in group_of)
        between[group].discard(group)
    return between
