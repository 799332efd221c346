"""`--env`: every command on the manifest as one environment has it, and what `check` says of all of them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pulpo.cli.app import CLI
from pulpo.errors import DiagnosticsError
from tests.cli.conftest import Shell

CODE = """
import pathlib
from dataclasses import dataclass


@dataclass
class Order:
    id: int


def fetch() -> list[Order]:
    tries = pathlib.Path("tries")
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    if len(tries.read_text()) < 3:
        raise ValueError("not yet")
    return [Order(1)]


def count(orders):
    print(len(orders))


def tidy():
    pass
"""

LOCK = """\
version: 1
project: {name: shop, modules: [shop]}
models:
  Invoice: {origin: manifest, schema: {type: object, properties: {id: {}}}}
  Order: {origin: manifest, entrypoint: "shop:Order", key: [id], schema: {type: object, properties: {id: {type: integer}}}}
operations:
  orders.count:
    origin: manifest
    entrypoint: shop:count
    inputs: {orders: {model: Order, mode: all, from: [orders.fetch]}}
  orders.fetch:
    origin: manifest
    entrypoint: shop:fetch
    outputs: [{model: Order, many: true}]
  tidy:
    origin: manifest
    entrypoint: shop:tidy
flows:
  orders: {schedule: {cron: "0 6 * * *"}}
services:
  api: {}
  db: {}
  kv: {image: "mongo:${VERSION:-8}", ports: ["27017:27017"]}
  prefect: {}
  ui: {ports: ["3000"]}
  worker: {}
environments:
  dev:
    operations:
      orders.fetch: {retries: 0}
  prod:
    operations:
      orders.fetch: {retries: 2, retry_delay: 0, tags: [slow]}
      tidy: {after: [orders.count]}
    services:
      kv: {uri: "mongodb://app:${DB_PASSWORD}@${DB_HOST}/shop"}
      cache: {image: redis}
declared: {models: {}, operations: {}}
"""


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "shop.py").write_text(CODE)
    return shop_with(tmp_path, LOCK)


def shop_with(directory, lock):
    (directory / "pulpo.lock.yaml").write_text(lock)
    return Shell(directory)


def changed(shop, old, new):
    assert old in LOCK
    return shop_with(shop.directory, LOCK.replace(old, new))


def test_the_option_stands_anywhere(shop):
    for arguments in (
        ("--env", "prod", "operations", "orders.fetch"),
        ("operations", "--env", "prod", "orders.fetch"),
        ("operations", "orders.fetch", "--env=prod"),
    ):
        assert "retries: 2" in shop(*arguments).out
    assert "retries" not in shop("operations", "orders.fetch").out


def test_the_environment_variable_says_it_too_and_the_option_goes_first(shop):
    assert "retries: 2" in shop("operations", "orders.fetch", env={"PULPO_ENV": "prod"}).out
    assert "retries: 0" in shop("operations", "orders.fetch", "--env", "dev", env={"PULPO_ENV": "prod"}).out
    assert "retries" not in shop("operations", "orders.fetch", env={"PULPO_ENV": ""}).out


@pytest.mark.parametrize(
    "command", [("operations",), ("models",), ("flows",), ("services",), ("graph",), ("check",), ("run", "orders")]
)
def test_an_unknown_environment_is_a_usage_error(shop, command):
    done = shop(*command, "--env", "prd", code=2)
    assert done.err == "error: there is no environment: prd\n  hint: did you mean 'prod'? the lock has: dev, prod\n"
    assert done.out == ""


@pytest.mark.parametrize("command", [("flows",), ("run", "orders")])
def test_operations_that_wait_for_each_other_in_an_environment_are_shown_where_it_says_so(shop, command):
    cycle = shop_with(shop.directory, LOCK.replace("retry_delay: 0, tags: [slow]", "after: [orders.count]"))
    said = cycle(*command, "--env", "prod", code=1).err
    assert "pulpo.lock.yaml:7:3: error PLP206" in said
    assert "orders.fetch runs after orders.count (pulpo.lock.yaml:33:41)" in said


def test_a_run_goes_by_the_environment(shop):
    shop("run", "orders", code=1)
    (shop.directory / "tries").unlink()
    shop("run", "orders", "--env", "dev", code=1)
    assert (shop.directory / "tries").read_text() == "x"
    (shop.directory / "tries").unlink()
    run = json.loads(shop("run", "orders", "--env", "prod", "--format", "json").out)
    assert {s["operation"]: s["attempts"] for s in run["steps"]} == {"orders.fetch": 3, "orders.count": 1}
    assert "there is no such flow" in shop("run", "tidyy", "--env", "prod", code=2).err


def test_the_graph_and_its_selection_go_by_the_environment(shop):
    assert "op-orders-count -.-> op-tidy" in shop("graph", "--env", "prod").out
    assert "op-tidy" in shop("graph", "--env", "prod", "--select", "orders.fetch+").out
    assert "-.->" not in shop("graph").out
    assert "op-orders-fetch" in shop("graph", "--env", "prod", "--select", "tag:slow").out


def test_the_lock_is_the_same_for_all_environments(shop):
    before = shop("lock", "--check").err
    assert shop("lock", "--check", "--env", "prod").err == before
    assert shop("lock", "--env", "nowhere").err == before
    assert (shop.directory / "pulpo.lock.yaml").read_text() == LOCK


def test_a_lock_whose_environments_are_right_is_right(shop):
    for arguments in ((), ("--no-code",), ("--env", "prod"), ("--env", "dev", "--strict")):
        assert shop("check", *arguments).out == ""


def problems(shop, environment=None):
    found = CLI(shop.directory, environment=environment).check(code=False)
    return [(d.place.line, d.code, ".".join(map(str, d.path)), d.message) for d in found]


def line(text):
    return LOCK[: LOCK.index(text)].count("\n") + 1


def test_what_an_overlay_breaks_is_found_at_its_line(shop):
    # The overlay is about the first operation of the cycle, too, but it is the `after` of the second that makes it.
    lock = LOCK.replace("tags: [slow]", "after: [orders.count]")
    shop_with(shop.directory, lock.replace("tidy: {after: [orders.count]}", "orders.count: {tags: [slow]}"))
    ((at, code, path, message),) = problems(shop)
    assert (at, code, path) == (line("tags: [slow]"), "PLP206", "environments.prod.operations.orders.fetch.after")
    assert "orders.count → orders.fetch" in message
    assert problems(shop, "prod") == [(at, code, path, message)]
    assert problems(shop, "dev") == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "      orders.fetch: {retries: 0}",
            "      orders.fetch: {after: [order]}",
            ("PLP202", "environments.dev.operations.orders.fetch.after.0", "no operation or flow has the name: order"),
        ),
        (
            "      orders.fetch: {retries: 0}",
            "      orders.fetsh: {retries: 0}",
            ("PLP202", "environments.dev.operations.orders.fetsh", "no operation has the name: orders.fetsh"),
        ),
        (
            "    operations:\n      orders.fetch: {retries: 0}",
            "    models:\n      Order: {key: [nr]}",
            ("PLP114", "environments.dev.models.Order.key", "the model has no such field: nr"),
        ),
        (
            "    operations:\n      orders.fetch: {retries: 0}",
            "    models:\n      Order: {collection: invoice}",
            (
                "PLP211",
                "environments.dev.models.Order.collection",
                "its records would be stored among those of Invoice, in the collection: invoice",
            ),
        ),
        (
            "    operations:\n      orders.fetch: {retries: 0}",
            "    flows:\n      order: {tags: [a]}",
            ("PLP213", "environments.dev.flows.order", "there is no such flow: order"),
        ),
        (
            "    operations:\n      orders.fetch: {retries: 0}",
            "    flows:\n      pipeline: {schedule: {paused: true}}",
            (
                "PLP214",
                "environments.dev.flows.pipeline.schedule",
                "a schedule has one of cron, interval and rrule, this one: none",
            ),
        ),
        (
            "    operations:\n      orders.fetch: {retries: 0}",
            '    services:\n      kv: {uri: "${A-b}"}',
            ("PLP216", "environments.dev.services.kv.uri", "only ${NAME} and ${NAME:-default} are references: ${A…"),
        ),
        (
            "    operations:\n      orders.fetch: {retries: 0}",
            '    services:\n      kv: {uri: "mongodb://a:${P:-hunter2}@h"}',
            ("PLP215", "environments.dev.services.kv.uri", "this looks like a credential"),
        ),
    ],
)
def test_each_problem_of_an_environment_is_found_once_where_it_is_written(shop, old, new, expected):
    shop = changed(shop, old, new)
    ((at, *found),) = problems(shop)
    assert tuple(found) == expected
    inner = new.splitlines()[-1]
    assert at == LOCK.replace(old, new)[: LOCK.replace(old, new).index(inner)].count("\n") + 1
    assert [tuple(rest) for _, *rest in problems(shop, "dev")] == [expected]
    assert problems(shop, "prod") == []


def test_what_is_wrong_without_any_environment_is_told_once(shop):
    shop = changed(shop, 'schedule: {cron: "0 6 * * *"}', "schedule: {timezone: UTC}")
    assert [(at, code) for at, code, *_ in problems(shop)] == [(line("orders: {schedule"), "PLP214")]
    assert [(at, code) for at, code, *_ in problems(shop, "prod")] == [(line("orders: {schedule"), "PLP214")]


def test_what_an_overlay_puts_right_is_no_problem_there(shop):
    lock = LOCK.replace('schedule: {cron: "0 6 * * *"}', "schedule: {timezone: UTC}")
    shop = shop_with(shop.directory, lock.replace("  prod:\n", "  prod:\n    flows: {orders: {schedule: {interval: 60}}}\n"))
    assert problems(shop, "prod") == []
    assert [code for _, code, *_ in problems(shop, "dev")] == ["PLP214"]


def test_an_overlay_that_changes_what_the_lock_records_says_what_to_do(shop):
    updaters = """\
  orders.a: {origin: manifest, entrypoint: "shop:count", inputs: {x: {model: Order, mode: each, from: [orders.fetch]}}, outputs: [{model: Order}]}
  orders.b: {origin: manifest, entrypoint: "shop:count", inputs: {x: {model: Order, mode: each, from: [orders.a]}}, outputs: [{model: Order}]}
"""
    lock = LOCK.replace("  orders.count:\n", updaters + "  orders.count:\n").replace(
        "from: [orders.fetch]}}\n", "from: [orders.b]}}\n"
    )
    lock = lock.replace("tags: [slow]}", "tags: [slow]}\n      orders.a: {after: [orders.b]}")
    found = problems(shop_with(shop.directory, lock))
    stale = [(path, message) for _, code, path, message in found if code == "PLP301"]
    assert stale
    assert {path for path, _ in stale} == {"environments.prod.operations.orders.a.after"}
    assert all(message.startswith("operations.orders.") for _, message in stale)
    done = shop("check", "--no-code", code=1)
    assert "the same in all environments" in done.out


def test_a_run_of_a_broken_overlay_does_not_start(shop):
    changed(shop, "      tidy: {after: [orders.count]}", "      tdy: {timeout: 1}")
    done = shop("run", "tidy", "--env", "prod", code=1)
    assert f"pulpo.lock.yaml:{line('      tidy: {after')}:7: error PLP202" in done.err
    assert "did you mean 'tidy'?" in done.err
    shop("run", "tidy", "--env", "dev")


def test_services_show_references_and_never_values(shop):
    secrets = {"DB_PASSWORD": "hunter2", "VERSION": "4.4.44"}
    done = shop("services", "--env", "prod", env=secrets)
    rows = {row.split()[0]: row for row in done.out.splitlines()}
    assert "mongodb://app:${DB_PASSWORD}@${DB_HOST}/shop" in rows["kv"]
    assert rows["kv"].endswith("DB_HOST (not set), DB_PASSWORD (set), VERSION (set)")
    assert "cache" in rows
    assert "VERSION (default)" in shop("services").out
    for arguments in (
        ("services", "kv"),
        ("services", "--format", "json"),
        ("services", "kv", "--check"),
        ("environments", "prod"),
    ):
        done = shop(*arguments, "--env", "prod", env=secrets, code=None)
        assert "hunter2" not in done.out + done.err
        assert "4.4.44" not in done.out + done.err
        assert "${DB_PASSWORD}" in done.out


def test_services_as_json(shop):
    data = json.loads(shop("services", "--env", "prod", "--format", "json", env={"DB_PASSWORD": ""}).out)
    assert [entry["service"] for entry in data] == ["api", "cache", "db", "kv", "prefect", "ui", "worker"]
    kv = next(entry for entry in data if entry["service"] == "kv")
    assert kv["variables"] == {"DB_HOST": "no", "DB_PASSWORD": "yes", "VERSION": "default"}
    assert [(entry["kind"], entry["needs"]) for entry in data] == [
        ("process", []),
        ("process", []),
        ("embedded", []),
        ("elsewhere", []),
        ("process", []),
        ("process", ["api"]),
        ("process", ["prefect"]),
    ]
    assert json.loads(shop("services", "kv", "--format", "json").out)["image"] == "mongo:${VERSION:-8}"


def test_services_tell_what_each_is_runs_and_needs(shop):
    entries = "  worker: {}\n  web: {command: [python, -m, web], ports: ['9000'], depends_on: [api]}\n  old: {image: x, enabled: false}\n"
    rows = [row.split() for row in changed(shop, "  worker: {}\n", entries)("services").out.splitlines()]
    assert ["db", "embedded", "-"] in rows
    assert ["old", "disabled", "x"] in rows
    assert ["web", "process", "python", "-m", "web", "9000", "api"] in rows
    assert ["worker", "process", "pulpo", "prefect", "worker", "prefect"] in rows
    assert ["api", "8000"] in [[row[0], row[-1]] for row in rows]


def test_all_variables_that_are_missing_are_told_at_once_where_they_are_used(shop):
    done = shop("services", "--check", "--env", "prod", code=1)
    assert [row for row in done.err.splitlines() if "PLP217" in row] == [
        f"pulpo.lock.yaml:{line('kv: {uri')}:17: error PLP217: services.kv.uri: an environment variable is not set: {name}"
        for name in ("DB_HOST", "DB_PASSWORD")
    ]
    shop("services", "--check", "--env", "prod", env={"DB_HOST": "h", "DB_PASSWORD": "p"})
    shop("services", "cache", "--check", "--env", "prod")
    shop("services", "--check")


def test_an_unknown_service_is_a_usage_error(shop):
    assert "there is no service kvs\n  hint: did you mean 'kv'?" in shop("services", "kvs", code=2).err
    assert "there is no service cache" in shop("services", "cache", code=2).err


def test_environments_are_listed_with_what_they_change(shop):
    rows = shop("environments").out.splitlines()
    assert rows[1].split(maxsplit=1) == ["dev", "operations.orders.fetch"]
    assert rows[2].split(maxsplit=1) == ["prod", "operations.orders.fetch, operations.tidy, services.cache, services.kv"]
    assert shop("environments", "dev").out == "dev:\n  operations:\n    orders.fetch: {retries: 0}\n"
    assert json.loads(shop("environments", "dev", "--format", "json").out)["operations"] == {"orders.fetch": {"retries": 0}}


def test_a_lock_without_environments_or_services_says_so(shop):
    shop_with(shop.directory, "version: 1\nproject: {name: shop}\n")
    assert shop("environments").err == "the lock has no environments\n"
    assert shop("services").err == "the lock has no services\n"
    assert "the lock has no environments" in shop("check", "--env", "prod", code=2).err


def test_every_command_works_as_a_method(shop):
    cli = CLI(shop.directory, environment="prod")
    assert cli.operations()["orders.fetch"].retries == 2
    assert sorted(cli.services()) == ["api", "cache", "db", "kv", "prefect", "ui", "worker"]
    assert sorted(cli.environments()) == ["dev", "prod"]
    assert cli.check(code=False) == ()
    assert "-.->" in cli.graph()
    with pytest.raises(DiagnosticsError, match="PLP217"):
        cli.check_variables("kv")
    cli.check_variables("cache")


def test_a_main_of_ones_own_takes_the_option(shop):
    (shop.directory / "main.py").write_text("from pulpo import CLI\nCLI(environment='dev').run()\n")

    def main(*arguments):
        return subprocess.run(
            [sys.executable, "main.py", *arguments], cwd=shop.directory, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    assert "retries: 0" in main("operations", "orders.fetch")
    assert "retries: 2" in main("operations", "orders.fetch", "--env", "prod")
