"""How fast the command line is: its start, `check` beside Kedro, and growth to 10,000 operations.

    python benchmarks/commands.py

Kedro is installed into benchmarks/.peers the first time. All figures are medians of whole processes, run in turn.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from environments import environment
from measure import Command, interleaved, table
from projects import change_settings, kedro_project, pulpo_project, shared_models_project

BIN = Path(sys.executable).parent
PULPO = str(BIN / "pulpo")


def start(rounds: int) -> None:
    """`pulpo --help` beside importing Typer."""
    commands = {
        'python -c "import typer"': Command([sys.executable, "-c", "import typer"]),
        "pulpo --help": Command([PULPO, "--help"]),
    }
    print(table(interleaved(commands, rounds), 'python -c "import typer"'), end="\n\n")


def beside_kedro(directory: Path, rounds: int) -> None:
    """`check` of 200 operations, code included, beside `kedro registry list` on the same pipeline."""
    ours, theirs = pulpo_project(directory / "pulpo200", 200), kedro_project(directory / "kedro200", 200)
    subprocess.run([PULPO, "-q", "lock"], cwd=ours, check=True)
    commands = {
        "kedro registry list (200)": Command([str(environment("kedro") / "kedro"), "registry", "list"], theirs),
        "pulpo check (200, with code)": Command([PULPO, "-q", "check"], ours),
        "pulpo check --no-code (200)": Command([PULPO, "-q", "check", "--no-code"], ours),
    }
    print(table(interleaved(commands, rounds), "kedro registry list (200)"), end="\n\n")


def growth(directory: Path, rounds: int) -> None:
    """The commands at 100, 1,000 and 10,000 operations; `lock` also with 50 of them changed, and with a model for each."""
    commands = {}
    for n in (100, 1_000, 10_000):
        project, changed = (shared_models_project(directory / f"{name}{n}", n) for name in ("growth", "changed"))
        own_models = pulpo_project(directory / f"own-models{n}", n)
        for each in (project, changed, own_models):
            subprocess.run([PULPO, "-q", "lock"], cwd=each, check=True)
        commands |= {
            f"lock, 50 changed {n:5}": Command([PULPO, "-q", "lock"], changed, partial(change_settings, changed, 50)),
            f"lock, own models {n:5}": Command([PULPO, "-q", "lock"], own_models),
            f"check --no-code {n:6}": Command([PULPO, "-q", "check", "--no-code"], project),
            f"graph           {n:6}": Command([PULPO, "-q", "graph"], project),
            f"lock            {n:6}": Command([PULPO, "-q", "lock"], project),
        }
    ordered = {name: commands[name] for name in sorted(commands)}
    print(table(interleaved(ordered, rounds)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        start(9)
        beside_kedro(Path(name), 9)
        growth(Path(name), 3)
