"""Environments to measure others in: each package at one release, alone, under benchmarks/.peers."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).parent / ".peers"
#: The releases that were current on 2026-11-23; prefect with what this project pins beside it.
RELEASES = {
    "kedro": ("kedro==1.7.0",),
    "hamilton": ("apache-hamilton==1.90.0",),
    "dagster": ("dagster==1.13.29",),
    "dbt": ("dbt-core==1.11.16", "dbt-duckdb==1.11.1"),
    "prefect": ("prefect==3.8.8", "fastapi>=0.139,<0.151", "sqlalchemy[asyncio]>=2.0,<2.1"),
}


def environment(name: str) -> Path:
    """The `bin` directory of the peer's environment, made the first time; that of `pulpo` has this checkout, installed anew."""
    place = PEERS / name
    made = place / "requirements.txt"
    wanted = "\n".join(RELEASES.get(name, ()))
    if not made.exists() or made.read_text() != wanted:
        print("installing", name, "into", place, file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        _pip(place, *RELEASES.get(name, (str(ROOT),)))
        made.write_text(wanted)
    elif name == "pulpo":
        _pip(place, "--no-deps", "--force-reinstall", str(ROOT))
    return place / "bin"


def versions(name: str) -> str:
    """What is installed of what was asked for: `dbt-core 1.12.6, dbt-duckdb 1.11.1`."""
    names = [release.split("==")[0] for release in RELEASES.get(name, ("pulpocore",)) if "==" in release or name == "pulpo"]
    code = "import sys, importlib.metadata as m; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    return subprocess.run(
        [PEERS / name / "bin" / "python", "-c", code, *names], capture_output=True, text=True, check=True
    ).stdout.strip()


def _pip(place: Path, *arguments: str) -> None:
    command = [place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{place.name} can't be installed:\n{done.stderr}")
