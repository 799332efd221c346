"""`pulpo db`, and runs whose store is a MongoDB, as real processes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pulpo import CLI
from pulpo.errors import UsageError
from pulpo.store.mongo import MongoStore
from pulpo.store.values import record_id
from tests.locks import with_services

PROD = """
environments:
  prod: {services: {db: {uri: "mongodb://app:${DB_PASSWORD}@127.0.0.1:${DB_PORT}/shop", driver: pymongo}}}
"""
ENVELOPE = {"_model", "_id", "_rev", "_run", "_operation", "_created", "_updated"}


def on_mongodb(directory):
    """Have the store of a project be the MongoDB at `MONGO_URL`, and in production another; the lock's text before that."""
    lock = directory / "pulpo.lock.yaml"
    before = lock.read_text()
    with_services(lock, db='{uri: "${MONGO_URL}"}')
    lock.write_text(lock.read_text() + PROD)
    return before


@pytest.fixture
def mongo_jobs(jobs, mongo_url, database, monkeypatch):
    """The jobs example with a MongoDB, in a database of its own."""
    on_mongodb(jobs.directory)
    monkeypatch.setenv("MONGO_URL", f"{mongo_url}/{database}")
    return jobs


@pytest.fixture
def shop(write, shell):
    """A project of models with and without a class."""
    write("pyproject.toml", '[project]\nname = "shop"\n[tool.pulpo]\nmodules = ["shop"]\n')
    write(
        "shop.py",
        """
        import datetime as dt
        from typing import Literal
        from pydantic import BaseModel, ConfigDict
        from pulpo import datamodel, operation

        @datamodel(key=["n"], indexes=[["at"], ["kind", "n"]])
        class Sale(BaseModel):
            model_config = ConfigDict(strict=True)
            n: int
            at: dt.datetime
            day: dt.date
            kind: Literal["a", "b"] = "a"
            tags: set[str] = set()

        @operation(name="sell")
        def sell(count: int = 20) -> list[Sale]:
            return [
                Sale(n=n, at=dt.datetime(2026, 1, 1, n % 24, tzinfo=dt.UTC), day=dt.date(2026, 1, 1), tags={"ñ", "x"})
                for n in range(count)
            ]
        """,
    )
    shell("lock")
    return shell


def records(shell, *models, env=None):
    lines = [json.loads(line) for line in shell("db", "export", *models, env=env).out.splitlines()]
    return sorted(lines, key=lambda line: (line["_model"], line["_id"]))


def own(lines):
    return [{key: value for key, value in line.items() if key not in ENVELOPE - {"_id", "_model"}} for line in lines]


# Runs


def test_a_pipeline_makes_the_same_records_on_mongodb(jobs, mongo_url, database, monkeypatch):
    monkeypatch.setenv("MONGO_URL", f"{mongo_url}/{database}")
    embedded = on_mongodb(jobs.directory)
    assert json.loads(jobs("run", "pipeline", "--format", "json").out)["state"] == "completed"
    assert not (jobs.directory / "run_cache" / "store.db").exists()
    on_mongo = records(jobs)
    (jobs.directory / "pulpo.lock.yaml").write_text(embedded)
    jobs("run", "pipeline")
    assert own(on_mongo) == own(records(jobs)) != []


def test_the_history_is_in_the_same_store(mongo_jobs):
    assert "there are no runs yet" in mongo_jobs("runs").err
    run = json.loads(mongo_jobs("run", "pipeline", "--format", "json").out)["id"]
    assert [one["id"] for one in json.loads(mongo_jobs("runs", "--format", "json").out)] == [run]
    assert json.loads(mongo_jobs("runs", "show", run, "--format", "json").out)["state"] == "completed"
    assert not (mongo_jobs.directory / "run_cache" / "store.db").exists()


def test_two_processes_at_once_store_the_same_records_once(mongo_jobs):
    command = [sys.executable, "-m", "pulpo", "run", "pipeline", "--format", "json"]
    both = [subprocess.Popen(command, cwd=mongo_jobs.directory, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    runs = [json.loads(one) for one in said]
    assert [run["state"] for run in runs] == ["completed"] * 2
    lines = records(mongo_jobs)
    assert len(lines) == len({(line["_model"], line["_id"]) for line in lines}) == 5
    assert {line["_run"] for line in lines} <= {run["id"] for run in runs}


def test_a_killed_run_is_resumed_and_nothing_is_doubled(shop, write, tmp_path, mongo_url, database):
    on_mongodb(tmp_path)
    code = tmp_path / "shop.py"
    code.write_text(
        code.read_text()
        + textwrap.dedent(
            """
            @operation(name="wait")
            def wait(sales: list[Sale]) -> None:
                import pathlib, time
                pathlib.Path("waiting").touch()
                while not pathlib.Path("go").exists():
                    time.sleep(0.05)
            """
        )
    )
    env = {**os.environ, "MONGO_URL": f"{mongo_url}/{database}"}
    shop("lock", env=env)
    process = subprocess.Popen(
        [sys.executable, "-m", "pulpo", "run", "pipeline"], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 30
    while time.monotonic() < end:
        shown = shop("runs", "show", "--format", "json", code=None, env=env).out if (tmp_path / "waiting").exists() else ""
        if shown and json.loads(shown)["steps"][0]["state"] == "completed":
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (crashed,) = json.loads(shop("runs", "--format", "json", env=env).out)
    assert crashed["state"] == "crashed"
    (tmp_path / "go").touch()
    run = json.loads(shop("run", "--resume", "latest", "--format", "json", env=env).out)
    assert [step["state"] for step in run["steps"]] == ["reused", "completed"]
    assert len(records(shop, "Sale", env=env)) == 20


# Which store


def test_an_unset_variable_is_told_with_its_place_by_every_command(jobs):
    on_mongodb(jobs.directory)
    line = (jobs.directory / "pulpo.lock.yaml").read_text().splitlines().index('  db: {uri: "${MONGO_URL}"}') + 1
    for command in (["run", "pipeline"], ["runs"], ["runs", "show"], ["db", "init"], ["db", "export"]):
        done = jobs(*command, code=1, env={"MONGO_URL": ""} and {k: v for k, v in os.environ.items() if k == "HOME"})
        assert (
            f"pulpo.lock.yaml:{line}:13: error PLP217: services.db.uri: an environment variable is not set: MONGO_URL" in done.err
        )
    assert not (jobs.directory / "run_cache" / "store.db").exists()


def test_a_mongodb_that_does_not_answer_is_exit_2_in_time_without_the_password(jobs):
    on_mongodb(jobs.directory)
    commands = [["run", "pipeline"], ["runs"], ["db", "init"], ["db", "copy", "project", "embedded"]]
    env = {"DB_PASSWORD": "hunter2", "DB_PORT": "1"}

    def fail(command):
        begin = time.monotonic()
        done = jobs(*command, "--env", "prod", "-v", code=2, env=env)
        assert time.monotonic() - begin < 8  # the store's 4 seconds, and what starting Python takes on a busy machine
        return done

    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(fail, commands):
            assert "nothing listens where MongoDB should be: mongodb://127.0.0.1:1" in done.err
            assert "hint: start it" in done.err
            assert "hunter2" not in done.out + done.err
    assert not (jobs.directory / "run_cache" / "store.db").exists()


def test_a_database_without_an_address_is_never_the_embedded_store(jobs):
    lock = jobs.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("engine: embedded", 'image: "mongo:8"\n    ports: [auto]'))
    done = jobs("run", "pipeline", code=2)
    assert "the database has no port yet: it was never started\n  hint: pulpo db start" in done.err


# pulpo db init


def test_init_makes_collections_and_indexes_once_and_says_which(shop, tmp_path, mongo_url, database):
    for env in ({}, {"MONGO_URL": f"{mongo_url}/{database}"}):
        if env:
            on_mongodb(tmp_path)
        first = shop("db", "init", env=env).out
        assert "sale: created, index at, index kind + n\n" in first
        assert "pulpo_runs: created, index flow, index state, index flow_run\n" in first
        assert shop("db", "init", env=env).out.startswith("all is there already: ")
        assert {one["created"] for one in json.loads(shop("db", "init", "--format", "json", env=env).out)["collections"]} == {
            False
        }


# pulpo db export, import


def test_what_is_exported_can_be_imported_as_it_was(shop, tmp_path):
    shop("run", "sell")
    before = records(shop)
    assert set(before[0]) == ENVELOPE | {"n", "at", "day", "kind", "tags"}
    assert shop("db", "export", "--output", "out").err == "Sale: 20 records\n"
    assert shop("db", "import", "out").out == "Sale: 20 as they were\n"
    (tmp_path / "run_cache" / "store.db").unlink()
    assert shop("db", "import", "out/Sale.jsonl").out == "Sale: 20 new\n"
    assert records(shop) == before
    assert shop("db", "import", "out").out == "Sale: 20 as they were\n"


def test_lines_that_are_no_records_are_told_and_the_others_stored(shop, tmp_path):
    good = {"n": 1, "at": "2026-01-01T00:00:00Z", "day": "2026-01-01"}
    lines = [
        json.dumps(good),
        "",
        '{"n": 2',
        json.dumps(good | {"n": "two"}),
        json.dumps(good | {"colour": 1}),
        json.dumps(good | {"_model": "Sail"}),
        json.dumps(good | {"_rev": "x"}),
        json.dumps(good | {"_idd": "x"}),
        "[]",
        json.dumps(good | {"n": 4, "_id": "mine"}),
        json.dumps(good | {"n": 3, "kind": "b", "_id": record_id(3)}),
    ]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    done = shop("db", "import", "lines.txt", "--model", "Sale", code=1)
    assert done.out == "Sale: 2 new\n"
    told = done.err.splitlines()
    assert [line.split(":")[1] for line in told[:-1]] == ["3", "4", "5", "6", "7", "8", "9", "10"]
    assert "lines.txt:3: it is not JSON: Expecting ',' delimiter, at character 9" in done.err
    assert "lines.txt:4: n: Input should be a valid integer" in done.err
    assert "lines.txt:5: colour: the model has no such field" in done.err
    assert f"lines.txt:10: _id: the key (n) makes another, {record_id(4)}, not: mine" in done.err
    assert told[-1] == "8 lines not stored"
    assert {line["n"]: line["_id"] for line in records(shop)} == {n: record_id(n) for n in (1, 3)}
    assert "nothing says of which model" in shop("db", "import", "lines.txt", code=1).err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "Sail"], "there is no such model: Sail"),
        (["export", "--output", "shop.py"], "shop.py/Sale.jsonl can't be written: "),
        (["import", "nowhere"], "there is no such file: nowhere"),
        (["import", "pyproject.toml", "--model", "Sail"], "there is no such model: Sail"),
        (["copy", "project", "embedded"], "there is nothing to copy: both are the same"),
        (["copy", "embeded", "mongodb://h"], "there is no such store: embeded"),
        (["copy", "embedded", "mongodb://h"], "there is no embedded store yet"),
        (["copy", "embedded", "mongodb://u:${NOT_SET}@h"], "an environment variable is not set: NOT_SET"),
        (
            ["copy", "postgres://u:hunter2@h/x", "embedded"],
            "begins with mongodb:// or mongodb+srv://, this one with: postgres://",
        ),
    ],
)
def test_a_mistake_is_a_message_and_exit_2(shop, arguments, message):
    done = shop("db", *arguments, code=2)
    assert message in done.err
    assert "hunter2" not in done.err


def test_a_reader_that_leaves_early_is_no_error(shop, tmp_path):
    shop("run", "sell", "--param", "count=2000")
    pipe = f"{sys.executable} -m pulpo db export | head -n 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# pulpo db copy


def test_a_copy_has_all_records_and_runs_and_is_done_once(shop, tmp_path, mongo_url, database):
    shop("run", "sell")
    there = f"{mongo_url}/{database}"
    done = json.loads(shop("db", "copy", "embedded", there, "--format", "json").out)
    assert done["ok"]
    by_name = {one["collection"]: one for one in done["collections"]}
    assert by_name["sale"]["written"] == {"inserted": 20, "updated": 0, "unchanged": 0}
    assert by_name["pulpo_runs"]["target"] == 1
    assert "pulpo_requests" in by_name  # the same request is still the same run
    assert "pulpo_cancels" not in by_name  # asked of the servers of the one store
    again = json.loads(shop("db", "copy", "project", "${THERE}", "--format", "json", env={"THERE": there}).out)
    assert all(one["written"]["unchanged"] == one["read"] for one in again["collections"])
    before, runs = records(shop), shop("runs", "--format", "json").out
    (tmp_path / "run_cache" / "store.db").unlink()
    shop("db", "copy", there, "embedded")
    assert (records(shop), shop("runs", "--format", "json").out) == (before, runs)


async def test_a_copy_that_stopped_half_way_goes_on(shop, tmp_path, mongo_url, database):
    shop("run", "sell", "--param", "count=1500")

    class Stopped(Exception):
        pass

    def stop(name, done, total):
        assert (name, total) == ("sale", 1500)
        raise Stopped

    import asyncio

    cli, there = CLI(tmp_path), f"{mongo_url}/{database}"
    with pytest.raises(Stopped):
        await asyncio.to_thread(cli.db_copy, "embedded", there, on_progress=stop)
    copied = await asyncio.to_thread(cli.db_copy, "embedded", there)
    assert (copied[0].written.unchanged, copied[0].written.inserted, copied[0].complete) == (1000, 500, True)
    async with MongoStore(there, database="x") as store:
        assert await store.database["sale"].count_documents({}) == 1500


def test_the_commands_are_methods(shop, tmp_path):
    cli = CLI(tmp_path)
    assert next(one.collection.name for one in cli.db_init() if one.made.created) == "sale"
    assert cli.db_export(output=tmp_path / "out") == {"Sale": 0}
    assert cli.db_import(tmp_path / "out").written == {}
    with pytest.raises(UsageError):
        cli.db_copy("project", "embedded")
