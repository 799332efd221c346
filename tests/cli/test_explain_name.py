"""`pulpo explain NAME`: why something of the lock is where it is, from the lock alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pulpo import CLI
from pulpo.errors import UsageError
from tests.cli.conftest import ROOT, Shell


@pytest.fixture(scope="module")
def flights():
    return CLI(ROOT / "examples" / "flights")


def part(explanation, title) -> dict[str, str]:
    return {fact.subject: fact.text for fact in explanation.parts.get(title, ())}


def test_an_operation_says_what_feeds_it_and_what_follows(flights):
    found = flights.explain_name("reports.carrier")
    assert (found.kind, found.description) == ("operation", "Report on an airline; called for each of them.")
    assert part(found, "runs")["in"] == "the flow reports"
    assert part(found, "runs")["when"] == "stage 3 of 4 of the pipeline"
    assert "load.weather" in part(found, "runs")["meanwhile"]
    assert part(found, "waits for") == {
        "load.reference.airlines": "Airline goes into airline",
        "reports.tally": "CarrierDay goes into days",
    }
    assert part(found, "takes")["airline"] == "Airline: once for each record, from load.reference.airlines"
    assert part(found, "gives") == {"CarrierReport": "one for each record"}
    assert part(found, "then") == {"headline": "CarrierReport goes into carriers"}
    assert part(found, "settings")["concurrency"] == "4; the code's: its decorator says it"


def test_parameters_and_what_the_last_run_stored_are_told(flights):
    assert part(flights.explain_name("load.weather"), "takes") == {"months": "a parameter of the run, 12 by default"}
    assert "waits for nobody" in part(flights.explain_name("headline"), "takes")["previous"]
    assert part(flights.explain_name("headline"), "runs")["in"] == "a flow of its own, for its name has no dot"
    assert part(flights.explain_name("headline"), "gives")["Headline"] == "one record; stored, and nobody takes it"


def test_who_owns_a_setting_follows_from_the_lock(jobs):
    lock = jobs.directory / "pulpo.lock.yaml"
    text = lock.read_text()
    assert text.count("\n    retries: 3\n") == 2
    lock.write_text(text.replace("    retries: 3\n", "    retries: 9\n    timeout: 30\n", 1))
    settings = part(CLI(jobs.directory).explain_name("scraping.linkedin.fetch"), "settings")
    assert settings["retries"] == "9; yours, a hand edit: the decorator said 3"
    assert settings["timeout"] == "30; yours, a hand edit: the code does not set it"


def test_an_environments_overlay_is_told(jobs):
    lock = jobs.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text() + "environments:\n  prod: {operations: {parsing.clean: {retries: 7}}}\n")
    assert part(CLI(jobs.directory).explain_name("parsing.clean"), "settings")["retries"] == "7; with --env prod"


def test_a_model_says_who_makes_updates_and_takes_it(flights):
    found = flights.explain_name("Plane")
    assert part(found, "stored")["key"].startswith("by tailnum")
    assert list(part(found, "made by")) == ["load.reference.planes"]
    assert list(part(found, "updated by")) == ["prepare.planes"]
    assert part(found, "taken by") == {"delays.by_age": "as planes: all records, in one list"}


def test_a_flow_says_its_order_and_what_crosses_it(flights, jobs):
    found = flights.explain_name("delays")
    assert len(part(found, "operations, in an order in which they can run")) == 3
    assert part(found, "comes from other flows")["delays.by_age"] == "takes Plane of prepare.planes"
    lock = jobs.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text() + "flows:\n  scraping: {tags: [nightly]}\n")
    found = CLI(jobs.directory).explain_name("scraping")
    assert part(found, "settings") == {"tags": "[nightly]; yours, `pulpo lock` leaves it"}
    assert "validate" in part(found, "goes to other flows")
    assert found.place is not None


def test_an_order_without_values_and_a_source_from_outside_are_told(write):
    project = write(
        "pulpo.lock.yaml",
        """
        version: 1
        project: {name: x}
        models:
          M: {schema: {type: object}}
        operations:
          a.first: {entrypoint: "m:first", origin: manifest, retries: 2}
          a.second: {entrypoint: "m:second", origin: manifest, after: [a.first], inputs: {m: {model: M, mode: one}}}
        """,
    ).parent
    found = CLI(project).explain_name("a.second")
    assert part(found, "waits for") == {"a.first": "order alone: `after` says it"}
    assert "nobody of the lock makes it" in part(found, "takes")["m"]
    assert part(CLI(project).explain_name("a.first"), "settings")["retries"] == "2; yours, as the whole entry"
    assert part(CLI(project).explain_name("a"), "comes from other flows") == {"a.second.m": "M: nobody of the lock makes it"}


def test_a_service_says_what_it_is_and_whom_it_needs(write):
    project = write(
        "pulpo.lock.yaml",
        """
        version: 1
        project: {name: x}
        services:
          db: {uri: "mongodb://me:hunter2@host/db"}
          board: {command: [python, -m, board], ports: ["8000"]}
          shop: {command: [python, -m, shop], depends_on: [board]}
        """,
    ).parent
    cli = CLI(project)
    assert part(cli.explain_name("shop"), "needs") == {"board": "ready before it starts"}
    assert part(cli.explain_name("board"), "needed by") == {"shop": "starts after it"}
    assert part(cli.explain_name("db"), "runs") == {"db": "somebody else runs it, at its uri"}
    assert "hunter2" not in Shell(project)("explain", "db").out


def test_a_path_says_who_owns_it_as_the_lock_does(jobs):
    path = "operations.scraping.linkedin.fetch.retries"
    assert jobs("explain", path).out == jobs("lock", "--explain", path).out
    assert jobs("explain", path, "--format", "json").out == jobs("lock", "--explain", path, "--format", "json").out


@pytest.mark.parametrize(
    ("name", "kind"), [("parsing.clean", "operation"), ("RawJobs", "model"), ("scraping", "flow"), ("api", "service")]
)
def test_text_and_json_say_the_same(jobs, name, kind):
    data = json.loads(jobs("explain", name, "--format", "json").out)
    assert (data["kind"], data["name"]) == (kind, name)
    text = jobs("explain", name).out
    assert text.startswith(f"{kind} {name}")
    assert all(fact["text"] in text for facts in data["parts"].values() for fact in facts)


def test_an_unknown_name_suggests_a_near_one(flights):
    with pytest.raises(UsageError) as error:
        flights.explain_name("report.carrier")
    assert error.value.hint == "did you mean 'reports.carrier'?"


def test_no_user_code_is_imported(jobs):
    script = "import sys\nfrom pulpo.cli.app import CLI\nCLI.main(['explain', 'parsing.clean'])\nprint('jobs' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], cwd=jobs.directory, capture_output=True, text=True, check=True)
    assert done.stderr == "False\n"
