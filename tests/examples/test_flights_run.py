"""examples/flights as a user runs it, over the whole year, twice: what is stored against figures that pandas finds."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.examples import flights_figures as figures

#: One worker makes the two runs, which take a minute.
pytestmark = pytest.mark.xdist_group("flights")

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"


class Project:
    """The example in a directory of its own, after two runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.copytree(EXAMPLE, directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
        self.lock = (directory / "pulpo.lock.yaml").read_bytes()
        for command in (["lock"], ["lock", "--check"], ["check"]):
            self.pulpo(*command)
        self.first = json.loads(self.pulpo("run", "pipeline", "--format", "json"))
        self.second = json.loads(self.pulpo("run", "pipeline", "--format", "json"))

    def pulpo(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pulpo", *arguments], cwd=self.directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def records(self, collection: str) -> list[dict[str, Any]]:
        """Read with plain SQL: what is stored, not what the store makes of it."""
        with sqlite3.connect(self.directory / "run_cache" / "store.db") as connection:
            return [json.loads(row[0]) for row in connection.execute(f"select doc from {collection} order by id")]

    def count(self, collection: str) -> int:
        with sqlite3.connect(self.directory / "run_cache" / "store.db") as connection:
            return int(connection.execute(f"select count(*) from {collection}").fetchone()[0])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("flights") / "project")


def punctuality(record: dict[str, Any]) -> tuple[Any, ...]:
    return (record["flights"], record["cancelled"], record["late_share"], record["mean_delay"])


def same(found: dict[Any, Any], expected: dict[Any, figures.Punctuality]) -> None:
    """Counts are equal; shares and means to the last digit that is kept, for halves are rounded either way."""
    assert found.keys() == expected.keys()
    for key, (flights, cancelled, late, delay) in expected.items():
        assert found[key][:2] == (flights, cancelled), key
        assert found[key][2] == pytest.approx(late, abs=1.01e-4), key
        assert found[key][3] == (None if delay is None else pytest.approx(delay, abs=0.0101)), key


def test_both_runs_complete_with_every_operation(project: Project) -> None:
    for run in (project.first, project.second):
        assert run["state"] == "completed"
        assert {step["state"] for step in run["steps"]} == {"completed"}
        assert len(run["steps"]) == 18


def test_the_lock_is_what_the_code_says(project: Project) -> None:
    assert (project.directory / "pulpo.lock.yaml").read_bytes() == project.lock


def test_two_runs_leave_every_record_once(project: Project) -> None:
    import re

    expected = figures.stored()
    assert {model: project.count(re.sub(r"(?<!^)(?=[A-Z])", "_", model).lower()) for model in expected} == expected


def test_the_reports_are_those_that_pandas_finds(project: Project) -> None:
    same({r["carrier"]: punctuality(r) for r in project.records("carrier_report") if r["flights"]}, figures.by_carrier())
    same({r["day"]: punctuality(r) for r in project.records("day_report")}, figures.by_day())
    same({f"{r['origin']}-{r['dest']}": punctuality(r) for r in project.records("route_report")}, figures.by_route())
    same({r["hour"]: punctuality(r) for r in project.records("hour_report")}, figures.by_hour())
    same({r["sky"]: punctuality(r) for r in project.records("weather_report")}, figures.by_sky())
    same({r["age"]: punctuality(r) for r in project.records("age_report")}, figures.by_age())


def test_the_fan_in_knows_its_producers_by_name(project: Project) -> None:
    found = {r["source"].rpartition(".")[2].upper(): r["flights"] for r in project.records("source_total")}
    assert found == figures.flights_by_origin()


def test_the_second_run_knows_what_the_first_one_stored(project: Project) -> None:
    assert [step["counts"]["Headline"]["inserted"] for step in project.first["steps"] if step["operation"] == "headline"] == [1]
    (headline,) = project.records("headline")
    assert (headline["flights"], headline["new_flights"]) == (336_776, 0)


def test_a_flow_alone_takes_what_the_last_run_stored(project: Project) -> None:
    run = json.loads(project.pulpo("run", "reports", "--only", "reports.days", "--format", "json"))
    assert (run["state"], [s["counts"]["DayReport"]["made"] for s in run["steps"]]) == ("completed", [365])
