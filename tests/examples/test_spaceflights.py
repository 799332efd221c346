"""examples/spaceflights as a user runs it, twice, against what Kedro's own project makes of the same files.

The reference is the starter `spaceflights-pandas` (kedro-starters 7350687), unchanged but for the rows in its `data/01_raw`, by
`kedro run` with Kedro 1.7.0, kedro-datasets 9.6.0, pandas 3.1.1, numpy 2.4.6 and scikit-learn 1.9.1 on Python 3.11.7. The digest
is of its `model_input_table` without the column `id`, in which every row has its `company_id` again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import runpy
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: One worker makes the runs.
pytestmark = pytest.mark.xdist_group("spaceflights")

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "spaceflights"
GUIDE = (ROOT / "docs" / "migrate-kedro.md").read_text(encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Reference:
    """What Kedro's project makes: of the regressor and its scores, and of the tables."""

    rows: int
    digest: str
    coefficients: list[float]
    intercept: float
    scores: dict[str, float]
    capacity: dict[str, float]


#: Of the files in the example's `data/`, the shuttles put into a workbook, where Kedro's project looks for them.
MADE_UP = Reference(
    rows=400,
    digest="a802794d0c6bf86bec3ebf504ac08fc41008652cc30c13ef98176dbcf0a1e164",
    coefficients=[
        352.29714932425185,
        207.89816031450687,
        194.4606525417296,
        14.419755768064054,
        -2.1316282072803006e-14,
        64.61911426336592,
        25.91190841112617,
        -3.1797766444047966,
    ],
    intercept=1047.6937103387345,
    scores={"r2_score": 0.657630857221467, "mae": 659.463021258925, "max_error": 2604.673255113409},
    capacity={"Type A1": 6.780821917808219, "Type A2": 6.927710843373494, "Type A3": 6.313725490196078},
)

#: Of the files that come with the starter.
TUTORIAL = Reference(
    rows=6027,
    digest="74b99328ece3d1d3d92d709723d5954bbb57cd0009aa9c9c35dd03f79c765154",
    coefficients=[
        348.9686573287913,
        342.7361336447356,
        -192.31905246914454,
        -65.1911756793451,
        2.842170943040401e-14,
        -13.548980312604314,
        15.640998876048142,
        -0.04610623980214257,
    ],
    intercept=1011.2669711729386,
    scores={"r2_score": 0.3869831978103261, "mae": 553.5441557265525, "max_error": 11857.121158975522},
    capacity={"Type A7": 2.142857142857143, "Type B7": 2.25, "Type D2": 2.0},
)


class Project:
    """The example in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.copytree(EXAMPLE, directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))

    def pulpo(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pulpo", *arguments], cwd=self.directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    def run(self, flow: str, *arguments: str) -> dict[str, Any]:
        run: dict[str, Any] = json.loads(self.pulpo("run", flow, "--format", "json", *arguments))
        assert run["state"] == "completed"
        return run

    def records(self, collection: str) -> list[dict[str, Any]]:
        """Read with plain SQL, without what the store adds: what is stored, not what the store makes of it."""
        with sqlite3.connect(self.directory / "run_cache" / "store.db") as connection:
            rows = [json.loads(row[0]) for row in connection.execute(f"select doc from {collection} order by id")]
        return [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]

    def stored(self) -> dict[str, list[dict[str, Any]]]:
        """All records by collection."""
        return {name: self.records(name) for name in ("raw_company", "company", "review", "model_input", "regressor", "metrics")}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """After one run."""
    project = Project(tmp_path_factory.mktemp("spaceflights") / "project")
    project.run("pipeline")
    return project


def same_as(reference: Reference, project: Project) -> None:
    table = project.records("model_input")
    rows = sorted(json.dumps(row, sort_keys=True) for row in table)
    assert (len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()) == (reference.rows, reference.digest)
    (regressor,) = project.records("regressor")
    assert regressor["coefficients"] == pytest.approx(reference.coefficients, rel=1e-9, abs=1e-9)
    assert regressor["intercept"] == pytest.approx(reference.intercept, rel=1e-9)
    (metrics,) = project.records("metrics")
    assert {name: metrics[name] for name in reference.scores} == pytest.approx(reference.scores, rel=1e-9)
    capacity = {row["shuttle_type"]: row["passenger_capacity"] for row in project.records("capacity")}
    assert {kind: capacity[kind] for kind in reference.capacity} == pytest.approx(reference.capacity, rel=1e-9)


def test_the_lock_is_what_the_code_says(project: Project) -> None:
    project.pulpo("lock", "--check")
    project.pulpo("check", "--strict")


def test_the_results_are_those_of_kedro(project: Project) -> None:
    same_as(MADE_UP, project)


def test_a_second_run_changes_nothing(project: Project) -> None:
    before = project.stored()
    run = project.run("pipeline")
    assert project.stored() == before
    assert {made["inserted"] for step in run["steps"] for made in step["counts"].values()} == {0}


def test_the_regression_alone_takes_the_table_of_the_last_run_in_its_order(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.run("pipeline")
    with sqlite3.connect(project.directory / "run_cache" / "store.db") as connection:
        connection.execute("delete from regressor")
    project.run("learn")
    same_as(MADE_UP, project)


def test_other_parameters_make_another_regressor_beside_the_first(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.run("pipeline")
    project.run("learn", "--param", "test_size=0.3")
    assert sorted(row["test_size"] for row in project.records("metrics")) == [0.2, 0.3]


def test_a_feature_that_is_not_there_is_refused_before_anything_runs(project: Project) -> None:
    told = project.pulpo("run", "learn", "--param", 'features=["engine"]', code=2)
    assert "features" in told
    assert "Traceback" not in told


def test_the_files_are_those_that_the_script_makes(tmp_path: Path) -> None:
    runpy.run_path(str(EXAMPLE / "make_data.py"))["main"](tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in (EXAMPLE / "data").iterdir()}


@pytest.mark.skipif("SPACEFLIGHTS_DATA" not in os.environ, reason="SPACEFLIGHTS_DATA: a folder with the files of the starter")
def test_the_results_on_the_files_of_the_tutorial_are_those_of_kedro(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.run("pipeline", "--param", f"folder={os.environ['SPACEFLIGHTS_DATA']}")
    same_as(TUTORIAL, project)


def test_the_guide_shows_the_code_and_the_lock_as_they_are(project: Project) -> None:
    written = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(project.directory.rglob("*.py")))
    written += (project.directory / "pulpo.lock.yaml").read_text(encoding="utf-8")
    shown = re.findall(r"<!-- of the example -->\n```\w+\n(.*?)```", GUIDE, re.DOTALL)
    assert len(shown) == 4
    for block in shown:
        for part in block.strip("\n").split("\n\n\n"):
            assert part in written


def test_the_commands_that_the_guide_shows_run(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (commands,) = re.findall(r"<!-- in the example -->\n```console\n(.*?)```", GUIDE, re.DOTALL)
    for line in commands.splitlines():
        project.pulpo(*line.partition("#")[0].split()[2:])
