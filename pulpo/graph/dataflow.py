"""The data flow: which operation waits for which, as the lock records it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic, errors
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.graph.dependencies import Dependency, dependencies, recorded_sources
from pulpo.graph.hierarchy import name_problems
from pulpo.graph.order import topological_order
from pulpo.graph.problems import cycle_problems, reference_problems, update_problems
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pulpo.graph.dependencies import Sources
    from pulpo.graph.roles import Operations
    from pulpo.manifest.model import Manifest


@dataclass(frozen=True, slots=True)
class DataFlow:
    """The operations and what each of them waits for."""

    #: Sorted by name.
    operations: tuple[str, ...]
    #: Sorted by producer, consumer, kind, model and parameter.
    edges: tuple[Dependency, ...]
    #: For each operation those that it waits for, sorted.
    dependencies: Mapping[str, tuple[str, ...]]
    #: For each operation those that wait for it, sorted.
    dependents: Mapping[str, tuple[str, ...]]
    #: PLP102, PLP202, PLP206, PLP207 and PLP209, sorted by path.
    diagnostics: tuple[Diagnostic, ...] = ()

    def order(self) -> tuple[str, ...]:
        """An order in which the operations can run one by one, by name where there is a choice.

        Raises:
            DiagnosticsError: They wait for each other (PLP206).
        """
        order, rest = topological_order(self.dependencies)
        if rest:
            raise DiagnosticsError([problem for problem in errors(self.diagnostics) if problem.code == "PLP206"])
        return tuple(order)

    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The operations in groups that wait for nothing but earlier groups, as early as can be; each group sorted.

        Raises:
            DiagnosticsError: They wait for each other (PLP206).
        """
        levels: list[list[str]] = []
        level: dict[str, int] = {}
        for name in self.order():
            level[name] = max((level[before] + 1 for before in self.dependencies[name]), default=0)
            if level[name] == len(levels):
                levels.append([])
            levels[level[name]].append(name)
        return tuple(tuple(sorted(names)) for names in levels)

    def upstream(self, name: str) -> frozenset[str]:
        """All operations that have to be done before one, itself not among them unless it is on a cycle.

        Raises:
            UsageError: There is no such operation.
        """
        return self._reached(name, self.dependencies)

    def downstream(self, name: str) -> frozenset[str]:
        """All operations that wait for one, at once or in the end, itself not among them unless it is on a cycle.

        Raises:
            UsageError: There is no such operation.
        """
        return self._reached(name, self.dependents)

    def _reached(self, name: str, near: Mapping[str, Iterable[str]]) -> frozenset[str]:
        if name not in near:
            raise UsageError(f"no operation has the name: {name}", hint=did_you_mean(name, self.operations))
        reached: set[str] = set()
        stack = [name]
        while stack:
            new = [other for other in near[stack.pop()] if other not in reached]
            reached.update(new)
            stack += new
        return frozenset(reached)


def analyze(manifest: Manifest) -> DataFlow:
    """The data flow that the manifest records in `from`, `after`, `models_in` and `models_out`; orphans have no part in it."""
    operations = manifest.live_operations
    return _dataflow(operations, recorded_sources(operations))


def _dataflow(operations: Operations, sources: Sources) -> DataFlow:
    found = dependencies(operations, sources)
    before: dict[str, set[str]] = {name: set() for name in operations}
    after: dict[str, set[str]] = {name: set() for name in operations}
    for edge in found.edges:
        before[edge.consumer].add(edge.producer)
        after[edge.producer].add(edge.consumer)
    dependents = _sorted(after)
    diagnostics = [
        *name_problems(operations),
        *reference_problems(operations),
        *update_problems(operations, sources, found.chains),
    ]
    if topological_order(before)[1]:
        diagnostics += cycle_problems(dependents, found.edges)
    return DataFlow(
        operations=tuple(sorted(operations)),
        edges=found.edges,
        dependencies=_sorted(before),
        dependents=dependents,
        diagnostics=tuple(sorted(diagnostics, key=lambda problem: problem.sort_key)),
    )


def _sorted(near: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(sorted(near[name])) for name in sorted(near)}


class DataFlowAnalyzer:
    """The data flow of operations, whether the lock has recorded it yet or not."""

    def analyze(self, manifest: Manifest) -> DataFlow:
        """The data flow that the manifest records: see `analyze`."""
        return analyze(manifest)

    def build_dependency_graph(self, operations: Operations) -> dict[str, list[str]]:
        """For each operation those that it waits for; both sorted."""
        return {name: list(before) for name, before in self._flow(operations).dependencies.items()}

    def find_parallel_groups(self, operations: Operations) -> list[list[str]]:
        """Groups of operations that can run at the same time, in order; each sorted.

        Raises:
            DiagnosticsError: They wait for each other (PLP206).
        """
        return [list(level) for level in self._flow(operations).levels()]

    def topological_sort(self, operations: Operations) -> list[str]:
        """The operations in an order in which they can run, by name where there is a choice.

        Raises:
            DiagnosticsError: They wait for each other (PLP206).
        """
        return list(self._flow(operations).order())

    def _flow(self, operations: Operations) -> DataFlow:
        """What is recorded counts; where an input has no `from`, its producers are inferred."""
        from pulpo.graph.resolve import infer_sources

        sources = dict(recorded_sources(operations))
        open_inputs = [key for key in sources if operations[key[0]].inputs[key[1]].sources is None]
        if open_inputs:
            inferred = infer_sources(operations)
            sources |= {key: inferred.get(key, ()) for key in open_inputs}
        return _dataflow(operations, sources)
