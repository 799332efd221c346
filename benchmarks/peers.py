"""Pulpo beside Kedro, Hamilton, Dagster, dbt and Prefect by hand: one pipeline, each of them in an environment of its own.

    python benchmarks/peers.py [PEER...] [--rounds N] [--write]

Start-up, validating 100, 1,000 and 10,000 operations, running 1,000 that do next to nothing: medians of whole processes that run
in turn, after one that is not counted (one run of each at 10,000), with the memory of the largest process. What "validate" means
to each is said in docs/comparison.md, into which `--write` puts the tables; telemetry is off everywhere. The first time installs
all of them into benchmarks/.peers; it takes half an hour.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from environments import RELEASES, ROOT, environment, versions
from measure import Command, Timing, interleaved
from peer_projects import dagster_project, dbt_project, hamilton_project, prefect_project
from projects import kedro_project, pulpo_project

PAGE = ROOT / "docs" / "comparison.md"
SIZES = (100, 1_000, 10_000)
RUN = 1_000
#: A command that takes longer is given up.
LIMIT_S = 600
_SILENT = {
    "DO_NOT_TRACK": "1",
    "KEDRO_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "DAGSTER_DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True)
class Way:
    """How one of them is asked: arguments, of which the first is a program of the environment; None: it can't."""

    peer: str
    name: str
    start: tuple[str, ...]
    validate: tuple[str, ...]
    run: tuple[str, ...] | None
    project: Callable[[Path, int], Path]


WAYS = (
    Way("pulpo", "Pulpo", ("pulpo", "--help"), ("pulpo", "-q", "check"), ("pulpo", "-q", "run", "pipeline"), pulpo_project),
    Way("pulpo", "Pulpo, manifest alone", ("pulpo", "--help"), ("pulpo", "-q", "check", "--no-code"), None, pulpo_project),
    Way("kedro", "Kedro", ("kedro", "--help"), ("kedro", "registry", "list"), ("kedro", "run"), kedro_project),
    Way(
        "hamilton",
        "Hamilton",
        ("python", "-c", "import hamilton.driver"),
        ("python", "main.py", "validate"),
        ("python", "main.py", "run"),
        hamilton_project,
    ),
    Way(
        "dagster",
        "Dagster",
        ("dagster", "--help"),
        ("dagster", "definitions", "validate", "-f", "main.py"),
        ("python", "main.py"),
        dagster_project,
    ),
    Way("dbt", "dbt", ("dbt", "--help"), ("dbt", "--quiet", "parse", "--no-partial-parse"), None, dbt_project),
    Way(
        "prefect",
        "Prefect by hand",
        ("prefect", "--help"),
        ("python", "-c", "import main"),
        ("python", "main.py"),
        prefect_project,
    ),
)


def command(way: Way, argv: tuple[str, ...], project: Path) -> Command:
    """The command in its environment, at home in the project."""
    home = str(project / "home")
    logs = str(project / "conf" / "logging.yml")
    silent = {**_SILENT, "DAGSTER_HOME": home, "PREFECT_HOME": home, "KEDRO_LOGGING_CONFIG": logs, "HOME": str(project)}
    return Command([str(program(way, argv[0])), *argv[1:]], project, environment=silent, limit_s=LIMIT_S)


@cache
def made(peer: str) -> Path:
    return environment(peer)


def program(way: Way, name: str) -> Path:
    return made(way.peer) / name


def projects(way: Way, directory: Path) -> dict[int, Path]:
    """A project of each size, those of Pulpo locked."""
    written = {n: way.project(directory / way.name.replace(" ", "-") / str(n), n) for n in SIZES}
    for project in written.values() if way.peer == "pulpo" else ():
        subprocess.run([program(way, "pulpo"), "-q", "lock"], cwd=project, check=True)
    return written


def measured(ways: list[Way], directory: Path, rounds: int) -> dict[str, dict[str, Timing]]:
    """What each took: by what was done (`start`, `100`, ..., `run`), by name."""
    written = {way.name: projects(way, directory) for way in ways}
    found = {"start": interleaved({way.name: command(way, way.start, written[way.name][SIZES[0]]) for way in ways}, rounds)}
    for n in SIZES:
        commands = {way.name: command(way, way.validate, written[way.name][n]) for way in ways}
        found[str(n)] = interleaved(commands, rounds if n < SIZES[-1] else 1, warm_up=n < SIZES[-1])
        print(n, {name: round(timing.median_wall, 2) for name, timing in found[str(n)].items()}, file=sys.stderr)
    runs = {way.name: command(way, way.run, written[way.name][RUN]) for way in ways if way.run}
    found["run"] = interleaved(runs, rounds)
    return found


def cell(timing: Timing | None, ours: Timing | None) -> str:
    """`1.23 s (2.0x)`, beside Pulpo."""
    if timing is None:
        return ""
    if not timing.wall:
        return f"over {LIMIT_S} s"
    ratio = f" ({timing.median_wall / ours.median_wall:.1f}x)" if ours and ours is not timing else ""
    return f"{timing.median_wall:.2f} s{ratio}"


def growth(found: Mapping[str, Mapping[str, Timing]], name: str) -> str:
    least, most = found[str(SIZES[0])][name], found[str(SIZES[-1])][name]
    return f"{most.median_wall / least.median_wall:.0f}x" if most.wall and least.wall else ""


def tables(ways: list[Way], found: Mapping[str, Mapping[str, Timing]]) -> str:
    """Time and memory as Markdown, and where and of what they were measured."""
    names = [way.name for way in ways]
    times = [["", "start-up", *(f"validate {n:,}" for n in SIZES), "growth", f"run {RUN:,}"]]
    memory = [["MB at most", "start-up", *(f"validate {n:,}" for n in SIZES), f"run {RUN:,}"]]
    columns = ("start", *map(str, SIZES), "run")
    for name in names:
        cells = [cell(found[column].get(name), found[column].get(names[0])) for column in columns]
        times.append([name, *cells[:-1], growth(found, name), cells[-1]])
        peaks = [found[column].get(name) for column in columns]
        memory.append([name, *(f"{timing.peak_mb:.0f}" if timing and timing.wall else "" for timing in peaks)])
    releases = "; ".join(versions(peer) for peer in dict.fromkeys(way.peer for way in ways))
    return f"{markdown(times)}\n\n{markdown(memory)}\n\n{machine()}; {releases}."


def markdown(rows: list[list[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def machine() -> str:
    """`Python 3.11.7, 2 cores of ..., 8 GB`."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    processor = f" of {model[1]}" if model else ""
    return f"Python {platform.python_version()}, {os.cpu_count()} cores{processor}, {memory:.0f} GB"


def write(text: str) -> None:
    """The tables between the marks of the page."""
    begin, end = "<!-- measured -->", "<!-- /measured -->"
    page = PAGE.read_text()
    PAGE.write_text(page[: page.index(begin) + len(begin)] + f"\n\n{text}\n\n" + page[page.index(end) :])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("peers", nargs="*", choices=[*RELEASES, []], help="beside Pulpo; all of them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/comparison.md")
    arguments = parser.parse_args()
    ways = [way for way in WAYS if way.peer == "pulpo" or way.peer in (arguments.peers or RELEASES)]
    with tempfile.TemporaryDirectory() as directory:
        text = tables(ways, measured(ways, Path(directory), arguments.rounds))
    print(text)
    if arguments.write:
        write(text)


if __name__ == "__main__":
    main()
