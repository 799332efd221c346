"""What operations log is kept with their run, and everything else about logging is as it was."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading

import pytest

from pulpo.manifest.model import Mode
from pulpo.run import logs
from pulpo.run.logs import read_logs
from pulpo.run.record import LOGS
from tests.api.work import make_project
from tests.run.workshop import Job, many, takes

STORES = ("sqlite", "mongo")
LOG = logging.getLogger("jobs.things")


async def lines(store, run, **filters):
    return [(line.operation, line.level, line.message) for line in (await read_logs(store, run.id, **filters)).lines]


async def test_lines_are_kept_with_their_operation_in_threads_tasks_and_calls(project, store):
    def fetch():
        LOG.info("in a thread, %s", "formatted")
        return [Job(url="a"), Job(url="b")]

    async def each(job):
        await asyncio.gather(asyncio.to_thread(LOG.warning, "far %s", job.url), _say(job.url))

    project.step("fetch", fetch, out=many("Job"))
    project.step("each", each, takes("job", "Job", Mode.EACH, ["fetch"]))
    run = await project.run()
    assert run.ok
    found = await lines(store, run)
    assert found[0] == ("fetch", "info", "in a thread, formatted")
    assert sorted(found[1:]) == [
        ("each", "error", "near a"),
        ("each", "error", "near b"),
        ("each", "warning", "far a"),
        ("each", "warning", "far b"),
    ]
    assert [line.number for line in (await read_logs(store, run.id)).lines] == [0, 1, 2, 3, 4]
    assert await lines(store, run, level="error", operation="each") == [e for e in found if e[1] == "error"]


async def _say(url):
    LOG.error("near %s", url)


async def test_a_failed_operation_leaves_its_lines_and_tracebacks(project, store):
    def fails():
        try:
            raise KeyError("inner")
        except KeyError:
            LOG.exception("caught")
        raise ValueError("outer")

    project.step("fails", fails)
    run = await project.run()
    ((_, level, message),) = await lines(store, run)
    assert level == "error"
    assert message.startswith("caught\nTraceback")
    assert message.endswith("KeyError: 'inner'")


async def test_a_password_in_a_uri_does_not_get_into_the_log(project, store):
    def connect():
        try:
            raise ConnectionError("no answer: mongodb://app:hunter2@db.example/jobs")
        except ConnectionError:
            LOG.exception("at %s", "https://app:hunter2@x.example")

    project.step("connect", connect)
    ((_, _, message),) = await lines(store, await project.run())
    assert message.startswith("at https://app:***@x.example\nTraceback")
    assert "mongodb://app:***@db.example/jobs" in message
    assert "hunter2" not in message


async def test_runs_at_once_keep_their_lines_apart(project, store):
    both = threading.Barrier(2)

    def say():
        both.wait(10)
        LOG.warning("here")

    project.step("say", say)
    runs = await asyncio.gather(project.run(), project.run())
    for run in runs:
        assert await lines(store, run) == [("say", "warning", "here")]


async def test_a_run_keeps_so_many_lines_and_says_how_many_more_there_were(project, store, monkeypatch):
    monkeypatch.setattr(logs, "LINES", 5)
    monkeypatch.setattr(logs, "LENGTH", 20)

    def chatter():
        for n in range(8):
            LOG.info("line %d %s", n, "x" * 30)

    project.step("chatter", chatter)
    run = await project.run()
    found = await lines(store, run)
    assert found[0] == ("chatter", "info", "line 0 xxxxxxxxxxxxx… (17 more characters)")
    assert [m[:6] for _, _, m in found[:5]] == [f"line {n}" for n in range(5)]
    assert found[5] == ("", "warning", "3 more lines were logged, which are not kept: a run keeps 5")


async def test_filters_levels_and_propagation_hold(project, store):
    class NoSecrets(logging.Filter):
        def filter(self, record):
            record.msg = str(record.msg).replace("hunter2", "***")
            return "never" not in record.msg

    quiet, own = logging.getLogger("jobs.quiet"), logging.getLogger("jobs.own")
    hide = NoSecrets()

    def say():
        LOG.warning("password hunter2")
        LOG.warning("never")
        LOG.debug("too little")
        quiet.warning("less than an error")
        own.error("not propagated")

    LOG.addFilter(hide)
    quiet.setLevel(logging.ERROR)
    own.propagate = False
    own.addHandler(logging.NullHandler())
    try:
        project.step("say", say)
        run = await project.run()
    finally:
        LOG.removeFilter(hide)
        quiet.setLevel(logging.NOTSET)
        own.propagate = True
    assert await lines(store, run) == [("say", "warning", "password ***")]


async def test_what_is_no_text_or_cant_be_formatted_harms_nothing(project, store, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of pytest would raise

    def say():
        LOG.warning("a lone \ud800 and a \x00")
        LOG.warning("%d", "no number")
        LOG.warning("after")

    project.step("say", say)
    run = await project.run()
    assert run.ok
    found = [message for _, _, message in await lines(store, run)]
    assert found[-1] == "after"
    assert len(found) == 2
    assert "a real number is required" in capsys.readouterr().err


async def test_the_root_logger_is_afterwards_as_it_was_and_prints_no_more_meanwhile(project, store):
    class Heard(logging.Handler):
        def __init__(self):
            super().__init__()
            self.messages = []

        def emit(self, record):
            self.messages.append(record.getMessage())

    root, heard, verbose = logging.getLogger(), Heard(), logging.getLogger("jobs.verbose")
    root.addHandler(heard)
    verbose.setLevel(logging.DEBUG)
    before = (root.level, list(root.handlers), list(heard.filters))

    def say():
        LOG.info("kept, not printed")
        LOG.warning("printed")
        verbose.debug("printed, as its own level says")

    try:
        project.step("say", say)
        run = await project.run()
        assert (root.level, list(root.handlers), list(heard.filters)) == before
    finally:
        root.removeHandler(heard)
        verbose.setLevel(logging.NOTSET)
    assert heard.messages == ["printed", "printed, as its own level says"]
    assert len(await lines(store, run)) == 3


async def test_a_run_in_which_nothing_logs_writes_no_lines(project, store):
    project.step("silent", lambda: None)
    await project.run()
    assert LOGS.name not in await store.versions()


@pytest.mark.usefixtures("fresh_imports")
def test_the_command_shows_them_and_python_still_prints_warnings(tmp_path):
    make_project(tmp_path)
    pulpo = [sys.executable, "-m", "pulpo", "--project", str(tmp_path)]
    ran = subprocess.run(
        [*pulpo, "run", "pipeline", "--only", "fetch", "--only", "clean"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "cleaning 3" in ran.stderr
    assert "fetching 3" not in ran.stderr
    shown = subprocess.run([*pulpo, "runs", "logs"], capture_output=True, text=True, timeout=60, check=False)
    assert [line.split(" ", 2)[2] for line in shown.stdout.splitlines()] == [
        "info     fetch  fetching 3",
        "warning  clean  cleaning 3",
    ]
    only = subprocess.run(
        [*pulpo, "runs", "logs", "latest", "--level", "warning"], capture_output=True, text=True, timeout=60, check=False
    )
    assert "fetching" not in only.stdout
    unknown = subprocess.run([*pulpo, "runs", "logs", "nope"], capture_output=True, text=True, timeout=60, check=False)
    assert unknown.returncode == 2
    assert "no such run" in unknown.stderr


@pytest.mark.parametrize("level", ["debug", "warning"])
def test_levels_are_ordered(level):
    assert "error" in logs._and_above(level)
    assert ("info" in logs._and_above(level)) == (level == "debug")
