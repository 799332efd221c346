"""What is public, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pulpo


def test_the_public_names():
    assert pulpo.__all__ == ["CLI", "From", "Previous", "datamodel", "operation"]
    assert [name for name in pulpo.__all__ if getattr(pulpo, name, None) is None] == []
    assert dir(pulpo) == sorted(pulpo.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Operation'"):
        _ = pulpo.Operation


def test_importing_the_decorators_imports_no_library():
    code = "import sys; from pulpo import operation, datamodel; print([m for m in ('pydantic', 'typer', 'networkx', 'ruamel') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_names_asked_for_have_their_methods():
    from pulpo.compile.orchestration import OrchestrationCompiler
    from pulpo.graph.dataflow import DataFlowAnalyzer
    from pulpo.graph.hierarchy import HierarchyParser

    for cls, methods in {
        HierarchyParser: ("parse", "get_parent", "get_level", "is_leaf", "is_standalone"),
        DataFlowAnalyzer: ("build_dependency_graph", "find_parallel_groups", "topological_sort"),
        OrchestrationCompiler: ("compile",),
        pulpo.CLI: ("lock", "check", "graph", "run", "runs", "runs_show", "operations", "models", "flows", "schema"),
    }.items():
        assert [method for method in methods if not callable(getattr(cls, method, None))] == []
