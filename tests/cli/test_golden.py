"""What the command line prints, whole: the diff of these files is read like code."""

from __future__ import annotations

import pytest

from tests.cli.conftest import ROOT, Shell

COMMANDS = [
    *("init", "doctor", "lock", "check", "explain", "graph", "operations", "models", "flows", "run", "runs list", "runs show"),
    *("runs logs", "compile", "schema", "merge"),
    *("plan", "apply", "destroy"),
    *("up", "down", "restart", "status", "logs", "build", "clean"),
    *("prefect", "prefect deploy", "prefect run", "prefect start", "prefect stop", "prefect restart", "prefect logs"),
    "prefect worker",
    *("api", "api start", "api stop", "api restart", "api logs", "api serve"),
    *("ui", "ui start", "ui stop", "ui restart", "ui logs", "ui serve"),
    *("db", "db init", "db copy", "db export", "db import", "db start", "db stop", "db restart", "db logs"),
]


@pytest.mark.golden
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(shell, golden, command):
    said = shell(*command.split(), "--help").out
    golden(f"help/{command.replace(' ', '-') or 'pulpo'}.txt", said)
    assert not any(line.endswith("...") for line in said.splitlines()[1:]), "what a command does was cut"


@pytest.mark.golden
@pytest.mark.parametrize("example", ["flights", "jobs"])
@pytest.mark.parametrize(("format", "suffix"), [("mermaid", "mmd"), ("dot", "dot"), ("json", "json")])
def test_graph(golden, example, format, suffix):
    golden(f"{example}/graph.{suffix}", Shell(ROOT / "examples" / example)("graph", "--format", format).out)


@pytest.mark.golden
@pytest.mark.parametrize("example", ["flights", "jobs"])
@pytest.mark.parametrize("listing", ["operations", "models", "flows"])
def test_listings(golden, example, listing):
    golden(f"{example}/{listing}.txt", Shell(ROOT / "examples" / example)(listing).out)
