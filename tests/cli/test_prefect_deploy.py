"""`pulpo prefect deploy` and `pulpo prefect run` on a real server, without a worker."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest

from tests.prefect_server import Shell

SHOP = """
    from pydantic import BaseModel

    from pulpo import datamodel, operation

    @datamodel(key="n")
    class Item(BaseModel):
        n: int

    @operation("NAME.load.items")
    def items(word: str, count: int, limit: float = 0.5) -> list[Item]:
        return [Item(n=n) for n in range(count)]
"""


PARAMETERS = {"deploy": (), "run": ("-p", "word=tea", "-p", "count=1")}


@pytest.fixture
def shop(request, tmp_path, write, prefect):
    """A project of a name of its own on the server that all tests share."""
    name = "".join(c for c in request.node.name if c.isalpha())[-40:].lower()
    write(f"{name}.py", SHOP.replace("NAME", name))
    write("pyproject.toml", f'[tool.pulpo]\nname = "{name}"\nmodules = ["{name}"]\n')
    shell = Shell(tmp_path, prefect)
    shell("lock")
    return shell


def name_of(shell: Shell) -> str:
    return next(shell.directory.glob("*.py")).stem


def add(shell: Shell, text: str) -> None:
    path = shell.directory / "pulpo.lock.yaml"
    path.write_text(path.read_text().replace("declared:", text.replace("NAME", name_of(shell)) + "declared:"))


def asked(shell: Shell, method: str, path: str, body: object = None) -> dict:
    request = urllib.request.Request(
        f"{shell.environment['PREFECT_API_URL']}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or b"null")


def deployed(shell: Shell, flow: str) -> dict:
    return asked(shell, "GET", f"/deployments/name/{flow}/{name_of(shell)}")


def test_what_is_made_is_told_and_the_second_time_there_is_nothing_to_do(shop):
    name = name_of(shop)
    out, err = shop("prefect", "deploy")
    lines = out.splitlines()
    assert {line.split("  ")[0] for line in lines if "deployment:" in line} == {
        f"+ deployment:{flow}/{name}" for flow in ("pipeline", name, f"{name}.load")
    }
    assert lines[-1].endswith(" created")
    assert (shop.directory / "run_cache" / "orchestration" / f"{name}_flow.py").exists()
    assert err.splitlines() == [
        f"warning: no worker is online in the work pool {name}-process, so nothing runs; one starts with:",
        f"  prefect worker start --pool {name}-process",
    ]
    data = json.loads(shop("prefect", "deploy", "--format", "json")[0])
    assert (data["idle_work_pools"], data["server"]) == ([f"{name}-process"], shop.environment["PREFECT_API_URL"])
    assert shop("prefect", "deploy")[0] == "Prefect has it all as the lock says\n"
    assert shop("prefect", "deploy", "--check") == ("Prefect has it all as the lock says\n", "")


def test_a_check_changes_nothing_and_fails_where_something_would_be(shop):
    name = name_of(shop)
    out, err = shop("prefect", "deploy", name, "--check", code=1)
    assert f"+ deployment:{name}/{name}" in out
    assert f"{name}.load" not in out
    assert out.splitlines()[-1].startswith("Plan: ")
    assert err == ""
    assert not (shop.directory / "run_cache" / "orchestration").exists()
    found = asked(shop, "POST", "/deployments/filter", {"deployments": {"name": {"any_": [name]}}})
    assert found == []


def test_what_somebody_changed_in_prefect_is_told_field_by_field_and_a_pause_stays(shop):
    name = name_of(shop)
    add(shop, "flows:\n  NAME: {description: All of it, schedule: {cron: '0 6 * * *'}, parameters: {word: tea, count: 2}}\n")
    shop("prefect", "deploy")
    live = deployed(shop, name)
    asked(shop, "PATCH", f"/deployments/{live['id']}", {"description": "Mine"})
    schedule = live["schedules"][0]["id"]
    asked(shop, "PATCH", f"/deployments/{live['id']}/schedules/{schedule}", {"active": False})
    data = json.loads(shop("prefect", "deploy", "--check", "--format", "json", code=1)[0])
    assert (data["version"], data["ok"], data["summary"]["update"]) == (1, False, 1)
    [change] = data["changes"]
    assert (change["address"], change["action"], change["drift"]) == (f"deployment:{name}/{name}", "update", True)
    assert change["fields"] == [{"name": "description", "before": "Mine", "after": "All of it"}]
    out = shop("prefect", "deploy")[0]
    assert f"~ deployment:{name}/{name}  changed in Prefect\n" in out
    assert '    description: "Mine" → "All of it"\n' in out
    assert "paused in Prefect" in out
    assert out.splitlines()[-1] == "1 updated"
    live = deployed(shop, name)
    assert (live["description"], live["schedules"][0]["active"]) == ("All of it", False)


def test_references_are_resolved_and_a_variable_that_is_not_set_is_told_with_its_place(shop):
    name = name_of(shop)
    add(shop, 'flows:\n  NAME: {parameters: {word: "${SHOP_WORD}", count: 1}}\n')
    _, err = shop("prefect", "deploy", code=1)
    assert "pulpo.lock.yaml:" in err
    assert "PLP217: flows." in err
    out, _ = shop("prefect", "deploy", SHOP_WORD="h1dden")
    assert "h1dden" not in out
    assert deployed(shop, name)["parameters"] == {"word": "h1dden", "count": 1}
    assert "has it all" in shop("prefect", "deploy", SHOP_WORD="h1dden")[0]
    shop("prefect", "deploy", "pipeline")  # does not need the variable


def test_an_environment_has_deployments_of_its_own(shop):
    name = name_of(shop)
    path = shop.directory / "pulpo.lock.yaml"
    path.write_text(
        path.read_text() + f"environments:\n  prod: {{flows: {{{name}: {{parameters: {{word: prod, count: 1}}}}}}}}\n"
    )
    assert f"deployment:{name}/{name}.prod" in shop("--env", "prod", "prefect", "deploy", name)[0]
    live = asked(shop, "GET", f"/deployments/name/{name}/{name}.prod")
    assert (live["parameters"]["word"], live["job_variables"]["env"]["PULPO_ENV"]) == ("prod", "prod")
    _, err = shop("prefect", "run", name, code=2)
    assert err == f"error: the flow is not deployed: {name}/{name}\n  hint: pulpo prefect deploy {name}\n"
    out, _ = shop("--env", "prod", "prefect", "run", name)
    assert f"  {name}/{name}.prod\n" in out


def test_unknown_and_missing_parameters_are_told_at_once(shop):
    name = name_of(shop)
    shop("prefect", "deploy", name)
    _, err = shop("prefect", "run", name, "-p", "wrod=tea", "-p", "counts=1", code=2)
    assert err.startswith(
        f"error: {name} has no such parameter: 'counts'\n{name} has no such parameter: 'wrod'\n"
        "a parameter has no value: count\na parameter has no value: word\n"
    )
    assert "--param count=…" in err
    _, err = shop("prefect", "run", name, "-p", "word=tea", "-p", "count=many", code=2)
    assert "count" in err.splitlines()[0]
    assert shop.flow_runs(flows={"name": {"any_": [name]}}) == []


def test_a_run_is_made_with_parameters_as_their_schema_says(shop):
    name = name_of(shop)
    shop("prefect", "deploy", name)
    out, err = shop("prefect", "run", name, "-p", "word=123", "-p", "count=2", "--format", "json")
    data = json.loads(out)
    assert (data["version"], data["ok"], data["state"], data["deployment"]) == (1, True, None, f"{name}/{name}")
    assert data["parameters"] == {"word": "123", "count": 2}
    made = asked(shop, "GET", f"/flow_runs/{data['id']}")
    assert (made["name"], made["parameters"]["word"], made["parameters"]["count"]) == (data["name"], "123", 2)
    assert data["url"].endswith(data["id"])
    assert "no worker is online" in err
    url = shop.environment["PREFECT_API_URL"].replace("://", "://me:s3cret@")
    for command in ("deploy", "run"):
        out, err = shop("prefect", command, name, *PARAMETERS[command], "--format", "json", PREFECT_API_URL=url)
        assert json.loads(out)["server"] == shop.environment["PREFECT_API_URL"]
        assert "s3cret" not in out + err


@pytest.mark.parametrize("called", ["a/b", "a#b"])
def test_a_name_that_prefect_can_not_have(tmp_path, write, prefect, called):
    write("odd.py", SHOP.replace("NAME", "odd"))
    write("pyproject.toml", f'[tool.pulpo]\nname = "{called}"\nmodules = ["odd"]\n')
    shell = Shell(tmp_path, prefect)
    shell("lock")
    _, err = shell("prefect", "deploy", code=1)
    assert err.startswith(f"error: Prefect's API has no place for deployments and work pools of these names: {called}, ")
    _, err = shell("prefect", "run", "odd", *PARAMETERS["run"], code=2)
    assert err.startswith(f"error: the flow is not deployed: odd/{called}\n")


def test_the_lock_names_the_server_for_the_engine_as_well(shop):
    name = name_of(shop)
    path = shop.directory / "pulpo.lock.yaml"
    text = re.sub(r"  prefect:\n    ports: .*\n", '  prefect: {uri: "${SERVER}"}\n', path.read_text())
    assert "${SERVER}" in text
    path.write_text(text)
    url = shop.environment["PREFECT_API_URL"]
    elsewhere = Shell(shop.directory, {k: v for k, v in shop.environment.items() if k != "PREFECT_API_URL"})
    _, err = elsewhere("prefect", "deploy", SERVER=url.removesuffix("/api"))
    assert err.endswith("so nothing runs; one starts with:\n  pulpo up worker\n")
    path.write_text(path.read_text().replace("  worker: {}\n", "  worker: {enabled: false}\n"))
    _, err = elsewhere("prefect", "deploy", SERVER=url.removesuffix("/api"))
    assert f"  PREFECT_API_URL={url} prefect worker start --pool {name}-process\n" in err
    run = elsewhere.run(name, "-p", "word=tea", "-p", "count=1", "--engine", "prefect", SERVER=url.removesuffix("/api"))
    assert asked(shop, "GET", f"/flow_runs/{run['flow_run']}")["state_name"] == "Completed"
