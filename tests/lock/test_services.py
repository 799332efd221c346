"""The services that come with Pulpo: `lock` writes them out where they are missing, and leaves alone what is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pulpo.lock.check import check
from pulpo.lock.explain import ownership
from pulpo.settings import find_project

BUILT_IN = """\
services:
  api:
    ports: ["8000"]
  db:
    engine: embedded
  prefect:
    ports: ["4200"]
  ui:
    ports: ["3000"]
  worker: {}
"""


def check_in(jobs, environment):
    return check(replace(find_project(jobs.root), environment=environment), code=False)


def services_of(jobs):
    return {name: spec.data() for name, spec in jobs.lock(check=True).manifest.services.items()}


def test_a_new_lock_has_them_all(jobs):
    jobs.lock()
    assert BUILT_IN in jobs.text
    assert not jobs.lock().stale
    assert jobs.check() == ()


def test_a_lock_without_them_is_told_and_brought_up_to_date(jobs):
    jobs.lock()
    before = jobs.text
    jobs.edit(BUILT_IN, "")
    (problem,) = jobs.check()
    assert (problem.code, problem.path, problem.hint) == ("PLP301", ("services",), "run `pulpo lock`")
    assert problem.message.startswith("it comes with Pulpo, the lock does not have it: {api: ")
    assert jobs.check(code=False) == ()
    jobs.lock()
    assert jobs.text == before


def test_one_that_was_taken_out_comes_back_and_the_others_stay_to_the_byte(jobs):
    jobs.lock()
    edited = BUILT_IN.replace("  worker: {}\n", "").replace('["4200"]', '[ "4300" ]  # mine')
    jobs.edit(BUILT_IN, edited)
    assert [d.path for d in jobs.check()] == [("services", "worker")]
    jobs.lock()
    assert edited + "  worker: {}\n" in jobs.text
    assert not jobs.lock().stale


@pytest.mark.parametrize("entry", ["{enabled: false}", "{uri: '${URL}'}", "{}", "{x-mine: 1}"])
def test_an_entry_that_is_there_gets_nothing_added(jobs, entry):
    jobs.lock()
    jobs.edit('  prefect:\n    ports: ["4200"]\n', f"  prefect: {entry}\n")
    jobs.edit("  worker: {}\n", "  worker: {enabled: false}\n")
    before = jobs.text
    assert jobs.check() == ()
    assert not jobs.lock().stale
    assert jobs.text == before


def test_a_default_port_that_is_taken_is_auto(jobs):
    jobs.lock()
    jobs.edit(BUILT_IN, "services:\n  web: {command: [web], ports: ['0.0.0.0:8000:80', '${OTHER}', x]}\n")
    jobs.edit(", x]", "]")
    jobs.lock()
    assert services_of(jobs)["api"] == {"ports": ["auto"]}
    assert services_of(jobs)["prefect"] == {"ports": ["4200"]}
    assert jobs.check() == ()


def test_a_worker_whose_server_is_disabled_is_added_disabled(jobs):
    jobs.lock()
    jobs.edit(BUILT_IN, "services:\n  prefect: {enabled: false}\n")
    jobs.lock()
    assert services_of(jobs)["worker"] == {"enabled": False}
    assert jobs.check() == ()


def test_a_ui_whose_api_is_disabled_is_added_disabled(jobs):
    jobs.lock()
    jobs.edit(BUILT_IN, "services:\n  api: {enabled: false}\n")
    jobs.lock()
    assert services_of(jobs)["ui"] == {"enabled": False}
    assert jobs.check() == ()


def test_services_that_break_a_rule_are_told_where_they_do(jobs):
    jobs.lock()
    jobs.edit("worker: {}", "worker: {depends_on: [db, ap]}")
    (problem,) = jobs.check()
    assert (problem.code, problem.hint) == ("PLP223", "did you mean 'api'?")
    line = jobs.text.splitlines()[problem.place.line - 1]
    assert line[problem.place.column - 1 :].startswith("ap]")


OVERLAY = """\
environments:
  prod:
    services:
      api: {ports: ["0.0.0.0:8000:8000"]}
      web: {depends_on: [apii]}
declared:
"""


def test_what_an_overlay_breaks_is_told_where_it_says_so(jobs):
    jobs.lock()
    jobs.edit("  worker: {}\n", "  web: {command: [web]}\n  worker: {}\n")
    jobs.edit("declared:\n", OVERLAY)
    found = [(d.code, d.path, jobs.text.splitlines()[d.place.line - 1].strip()) for d in jobs.check()]
    at = ("environments", "prod", "services")
    assert found == [
        ("PLP229", (*at, "api", "ports", 0), 'api: {ports: ["0.0.0.0:8000:8000"]}'),
        ("PLP223", (*at, "web", "depends_on", 0), "web: {depends_on: [apii]}"),
    ]


def test_what_an_overlay_puts_right_is_no_problem_there(jobs):
    jobs.lock()
    jobs.edit("  worker: {}\n", "  web: {image: x, ports: ['8000']}\n  worker: {}\n")
    jobs.edit("declared:\n", "environments:\n  prod: {services: {web: {enabled: false}}}\n  dev: {}\ndeclared:\n")
    assert [d.code for d in jobs.check()] == ["PLP225"]
    assert [d.code for d in check_in(jobs, "dev")] == ["PLP225"]
    assert check_in(jobs, "prod") == ()


def test_an_entry_that_says_nothing_is_explained_all_the_same(jobs):
    jobs.lock()
    (found,) = ownership(jobs._afresh(), "services.worker")
    assert (found.path, found.owner) == (("services", "worker"), "lock")
