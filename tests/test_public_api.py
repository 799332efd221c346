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
    from pulpo.compile.codegen import PrefectCodeGenerator
    from pulpo.compile.orchestration import OrchestrationCompiler
    from pulpo.compile.sync_async import SyncAsyncDetector
    from pulpo.graph.dataflow import DataFlowAnalyzer
    from pulpo.graph.hierarchy import HierarchyParser

    for cls, methods in {
        HierarchyParser: ("parse", "get_parent", "get_level", "is_leaf", "is_standalone"),
        DataFlowAnalyzer: ("build_dependency_graph", "find_parallel_groups", "topological_sort"),
        OrchestrationCompiler: ("compile",),
        SyncAsyncDetector: ("is_async", "wrap_if_sync", "detect_and_wrap"),
        PrefectCodeGenerator: ("generate_flows", "generate_flow", "generate_task"),
        pulpo.CLI: (
            "lock",
            "check",
            "compile",
            "graph",
            "run",
            "runs",
            "runs_show",
            "operations",
            "models",
            "flows",
            "schema",
            "prefect_deploy",
            "prefect_run",
            *("up", "down", "status", "logs", "build", "clean"),
            *(f"{service}_{verb}" for service in ("prefect", "api", "db") for verb in ("start", "stop", "restart", "logs")),
            *("prefect_worker", "api_serve", "db_init"),
        ),
    }.items():
        assert [method for method in methods if not callable(getattr(cls, method, None))] == []


def test_every_command_is_a_method_that_returns_what_it_found(tmp_path, fresh_imports):
    import shutil
    from pathlib import Path

    example = Path(__file__).parents[1] / "examples" / "jobs"
    shutil.copytree(example, tmp_path / "jobs", ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    cli = pulpo.CLI(tmp_path / "jobs")
    assert not cli.lock().written
    assert cli.check() == ()
    assert cli.graph("dot").startswith("digraph")
    assert "scraping.merge" not in cli.graph(select=["parsing.clean"])
    assert list(cli.models()) == ["CleanedJobs", "RawJobs"]
    assert cli.operations()["parsing.clean"].entrypoint == "jobs.operations:clean"
    assert [flow.name for flow in cli.flows()][:2] == ["parsing", "pipeline"]
    assert cli.runs() == []
    run = cli.run("pipeline", parameters={"keywords": "python"})
    assert (run.state, cli.runs_show().id, [r.id for r in cli.runs()]) == ("completed", run.id, [run.id])
    assert cli.run("pipeline", only=["scraping.merge"], inputs={"RawJobs": f"run:{run.id}"}).state == "completed"
    assert cli.schema(tmp_path / "schemas")[0] == "pulpo.schema.json"
    assert cli.schema(tmp_path / "schemas", check=True) == []
