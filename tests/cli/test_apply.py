"""`pulpo plan`, `apply` and `destroy` with real processes and the embedded store, without Prefect."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import psutil
import pytest

from pulpo.services.state import Status
from tests.cli.terminal import plain
from tests.cli.toys import Toys
from tests.services.conftest import alive, until

TWO = """
  web: {command: [python, server.py], ports: ["PORT"]}
  shop: {command: [python, server.py], ports: ["PORT"], depends_on: [web], environment: {SAID: twice}}
"""
ITEMS = """models:
  Item:
    schema: {type: object, properties: {id: {type: string}, name: {type: string}}}
    key: [id]
    collection: items
"""
NOTE = "  prefect  no server is configured: deployments are left alone\n"
NOTHING = "No changes: the world is as the manifest says\n"


@pytest.fixture
def toys(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))  # no profile that somebody has on this machine
    found = Toys(tmp_path)
    yield found
    found.end()


def lock(toys: Toys, services: str = TWO, more: str = ITEMS) -> None:
    toys.lock(services)
    path = toys.directory / "pulpo.lock.yaml"
    path.write_text(path.read_text() + more)


def edit(toys: Toys, old: str, new: str) -> None:
    path = toys.directory / "pulpo.lock.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def running(toys: Toys) -> list[str]:
    found = json.loads(toys("status", "--format", "json", code=None).out)["services"]
    return [one["name"] for one in found if one["state"] == "running"]


def test_from_nothing_to_everything_and_then_nothing(toys):
    lock(toys)
    planned = toys("plan", "--detailed-exitcode", code=3).out
    assert planned == (
        "services\n  + service:web  is not there\n  + service:shop  is not there\n"
        f"database\n  + collection:items  not in the database\n{NOTE}Plan: 3 to create, 0 to update, 0 to delete\n"
    )
    assert not (toys.directory / "run_cache" / "store.db").exists()
    done = toys("apply", "--yes")
    assert done.out == planned + "Applied: 3 created, 0 updated, 0 deleted\n"
    assert "  ✓ collection:items  created\n" in done.err
    assert running(toys) == ["web", "shop"]
    assert toys("apply").out == NOTE + NOTHING
    assert toys("plan", "--detailed-exitcode").out == NOTE + NOTHING


def test_each_edit_is_applied_and_nothing_else(toys):
    lock(toys)
    toys("apply", "--yes")
    web = toys.services.state("web").pid
    edit(toys, "twice", "thrice")
    edit(toys, "key: [id]", "key: [id]\n    indexes: [[name]]")
    assert toys("plan").out == (
        "services\n  ± service:shop  changed in the manifest\n      environment.SAID: changed\n"
        f"database\n  + index:items/name  not in the database\n{NOTE}"
        "Plan: 1 to create, 0 to update, 1 to replace, 0 to delete\n"
    )
    assert toys("apply", "--yes", "--only", "index:*").out.endswith("Applied: 1 created, 0 updated, 0 deleted\n")
    assert toys("apply", "--yes").out.endswith("Applied: 0 created, 0 updated, 1 made anew, 0 deleted\n")
    assert toys.services.state("web").pid == web
    path = toys.directory / "pulpo.lock.yaml"
    path.write_text(re.sub(r"  shop: .*\n", "", path.read_text()))
    assert "  - service:shop  not in the manifest any more\n" in toys("apply", "--yes").out
    assert (running(toys), toys("plan").out) == (["web"], NOTE + NOTHING)


def test_a_plan_names_what_changed_of_a_service_and_holds_no_value_of_a_variable(toys, monkeypatch):
    monkeypatch.setenv("TOYS_SAID", "s3cret")
    services = """
  web: {command: [python, server.py], ports: ["auto:80"]}
  shop: {command: [python, server.py], ports: ["auto:80"], depends_on: [web], environment: {SAID: "${TOYS_SAID}"}}
"""
    lock(toys, services, "")
    toys("apply", "--yes")
    edit(toys, "web: {command: [python, server.py]", "web: {command: [python, server.py, again]")
    monkeypatch.setenv("TOYS_SAID", "s3cret 2")
    planned = toys("plan", "-o", "plan.json").out
    web = '  ± service:web  changed in the manifest\n      command: ["python", "server.py"] → ["python", "server.py", "again"]\n'
    assert web in planned
    assert "  ± service:shop  a variable's value changed: TOYS_SAID\n      environment.SAID: changed\n" in planned
    kept = toys.directory / "plan.json"
    assert "s3cret" not in kept.read_text() + toys("plan", "--format", "json").out
    changes = json.loads(toys("plan", "--format", "json").out)["changes"]
    assert [change["fields"] for change in changes] == [
        [{"name": "command", "before": ["python", "server.py"], "after": ["python", "server.py", "again"]}],
        [{"name": "environment.SAID", "before": "***", "after": "***"}],
    ]
    assert toys("apply", "plan.json", "--yes").out.endswith("Applied: 0 created, 0 updated, 2 made anew, 0 deleted\n")
    assert not [p for p in toys.directory.rglob("*") if p.suffix == ".json" and "s3cret" in p.read_text()]


def test_without_a_terminal_nothing_is_done_without_yes(toys):
    lock(toys)
    refused = toys("apply", code=2)
    assert "there is no terminal to ask on\n  hint: --yes says that it is meant" in refused.err
    assert running(toys) == []


def test_on_a_terminal_it_asks_and_shows_in_colours(toys):
    lock(toys)
    code, text = toys.on_terminal("apply", said=b"n\n")
    assert code == 1
    assert "nothing was changed" in plain(text)
    assert "\x1b[32m  + service:web  is not there\x1b[0m" in text
    assert "apply this? [y/N]" in plain(text)
    assert running(toys) == []
    assert toys.on_terminal("apply", said=b"y\n")[0] == 0
    assert running(toys) == ["web", "shop"]


def test_one_that_fails_keeps_back_what_needs_it_and_running_it_again_goes_on(toys):
    lock(toys, TWO.replace("web: {command: [python, server.py]", "web: {command: [python, server.py, crash]"))
    failed = toys("apply", "--yes", code=1)
    assert failed.out.endswith("Applied: 1 created, 0 updated, 0 deleted; 1 failed, 1 not tried\n")
    assert "  - service:shop  not tried: it needs web, which failed\n" in failed.err
    assert "services: web is failed" in failed.err
    assert "\n  no luck today\n" in failed.err
    assert failed.err.endswith("run it again: it goes on where this ended\n")
    edit(toys, ", crash]", "]")
    assert toys("apply", "--yes").out.endswith("Applied: 1 created, 1 updated, 0 deleted\n")


def test_json_is_one_object_and_jsonl_an_event_a_line(toys):
    lock(toys)
    found = json.loads(toys("plan", "--format", "json").out)
    assert (found["version"], found["summary"]["create"], found["pending"]) == (1, 3, True)
    assert found["changes"][1] == {
        "target": "services", "address": "service:shop", "action": "create", "cause": "is not there", "fields": [],
        "destructive": False, "drift": False, "effect": None, "needs": ["service:web"],
    }  # fmt: skip
    assert found["addresses"] == ["collection:items", "service:shop", "service:web"]
    events = [json.loads(line) for line in toys("apply", "--yes", "--format", "jsonl").out.splitlines()]
    assert events[0] == {"type": "version", "version": 1}
    told = [(event["type"], event.get("address")) for event in events]
    assert [one for one in told if one[0] == "done"] == [
        ("done", "service:web"), ("done", "service:shop"), ("done", "collection:items"),
    ]  # fmt: skip
    assert told.index(("change", "service:web")) < told.index(("done", "service:web")) < told.index(("check", None))
    assert events[-1] == {
        "type": "end", "ok": True, "outcomes": {"done": 3, "failed": 0, "untried": 0}, "problems": [],
    }  # fmt: skip
    again = json.loads(toys("apply", "--format", "json").out)
    assert (again["ok"], again["pending"], again["changes"]) == (True, False, [])


def test_a_kept_plan_is_applied_unless_something_moved(toys):
    lock(toys)
    toys("plan", "-o", "plan.json")
    edit(toys, "twice", "thrice")
    refused = toys("apply", "plan.json", "--yes", code=2)
    assert "the saved plan does not hold any more:\n  the manifest was changed\n" in refused.err
    assert running(toys) == []
    toys("plan", "-o", "plan.json")
    toys("up", "web")
    assert "\n  service:web is not as it was\n" in toys("apply", "plan.json", "--yes", code=2).err
    toys("plan", "-o", "plan.json")
    assert toys("apply", "plan.json", "--yes").out.endswith("Applied: 2 created, 0 updated, 0 deleted\n")


def test_the_second_of_two_at_once_is_refused_and_told_who_the_first_is(toys):
    lock(toys, TWO.replace("shop: {command: [python, server.py]", "shop: {command: [python, server.py, wait]"))
    first = toys.begin("apply", "--yes")
    deadline = time.monotonic() + 60
    while toys.services.state("shop") is None and time.monotonic() < deadline:
        time.sleep(0.05)
    second = toys("apply", "--yes", code=2)
    assert re.search(rf"changing this project's world: pulpo apply, process {first.pid}, since \d\d:\d\d:\d\d UTC\n", second.err)
    (toys.directory / "go").touch()
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert toys("apply").out == NOTE + NOTHING


def test_an_empty_manifest_deletes_nothing_until_it_is_said_twice(toys):
    lock(toys)
    toys("apply", "--yes")
    (toys.directory / "pulpo.lock.yaml").write_text("version: 1\nproject: {name: toys}\n")
    refused = toys("apply", "--yes", code=2)
    assert "  service:shop\n  service:web\n" in refused.err
    assert "--prune-all says that it is meant" in refused.err
    toys("apply", "--yes", "--prune-all")
    assert all(toys.services.state(name).status.over for name in ("web", "shop"))


def test_destroy_takes_services_and_keeps_data_unless_asked(toys):
    lock(toys, TWO + "  db: {engine: embedded}\n")
    toys("apply", "--yes")
    store = toys.directory / "run_cache" / "store.db"
    done = toys("destroy", "--yes")
    assert "  - service:web  of this project\n" in done.out
    assert (running(toys), store.exists()) == ([], True)
    toys("apply", "--yes")
    assert "  - service:db  with all that it stored  (destructive)\n" in toys("destroy", "--data", "--yes").out
    assert not store.exists()
    assert toys("destroy", "--data").out.endswith("Nothing of this project is there\n")


def test_destroy_ends_what_lives_of_a_service_whose_keeper_was_killed(toys):
    lock(toys, '  web: {command: [sh, -c, "sleep 600 & exec sleep 600"]}\n')
    toys("up")
    state = toys.services.state("web")
    (grandchild,) = until(psutil.Process(state.pid).children)
    os.kill(state.shim_pid, signal.SIGKILL)
    until(lambda: toys.services.state("web").status is Status.DEAD)
    assert alive(grandchild.pid)
    assert "  - service:web  of this project\n" in toys("destroy", "--yes").out
    assert not alive(grandchild.pid)
    assert toys("destroy").out.endswith("Nothing of this project is there\n")


def test_destroy_goes_on_where_prefect_runs_and_does_not_answer(toys):
    toys.lock(f'{TWO}  prefect: {{command: [python, server.py], ports: ["PORT"]}}\n')
    toys("up")
    done = toys("destroy", "--yes")
    assert re.search(r"\n  prefect  could not be looked at: .+; what is in it stays in its data\n", done.out)
    assert done.out.endswith("Applied: 0 created, 0 updated, 3 deleted\n")
    assert running(toys) == []


def test_destroy_goes_on_where_a_server_of_somebody_else_is_not_there(toys):
    lock(toys)
    toys("apply", "--yes")
    done = toys("destroy", "--yes", env={"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    assert re.search(r"\n  prefect  could not be looked at: .+; what is in it stays there\n", done.out)
    assert running(toys) == []


def test_an_interrupted_apply_says_that_it_goes_on(toys):
    lock(toys, TWO.replace("shop: {command: [python, server.py]", "shop: {command: [python, server.py, wait]"))
    first = toys.begin("apply", "--yes")
    deadline = time.monotonic() + 60
    while toys.services.state("shop") is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 130
    assert "interrupted; run it again: it goes on where this ended" in err
    (toys.directory / "go").touch()
    toys("apply", "--yes")
    assert running(toys) == ["web", "shop"]
