"""`pulpo.testing`: a project's own tests, with what they give and nothing else."""

from __future__ import annotations

import asyncio
import importlib
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest

import pulpo.lock.update  # noqa: F401 - here, that `fresh_imports` does not forget what it imports
from pulpo import CLI
from pulpo.errors import DiagnosticsError, PulpoError, RunError, UsageError
from pulpo.run.record import State
from pulpo.testing import run, run_async

MODULE = '''
import asyncio
import logging
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel

from pulpo import Previous, datamodel, operation

LOG = logging.getLogger(__name__)


@datamodel(key=["url"])
class Raw(BaseModel):
    url: str
    title: str = ""
    day: date = date(2026, 5, 1)


@datamodel(key=["url"])
class Job(BaseModel):
    url: str
    title: str


@datamodel
@dataclass
class Total:
    jobs: int
    before: int = 0


class SiteDownError(Exception):
    pass


@operation("scraping.fetch", retries=2, retry_delay=3600)
async def fetch(token: str, limit: int = 3) -> list[Raw]:
    """Reads the site."""
    raise SiteDownError("the site itself was asked")


@operation("parsing.clean")
def clean(raw: Raw) -> Job:
    LOG.warning("cleaning %s", raw.url)
    if not raw.title:
        raise ValueError(f"no title: {raw.url}")
    return Job(url=raw.url, title=raw.title.strip())


@operation("counting.count")
def count(jobs: list[Job], last: Previous[Total] | None) -> Total:
    return Total(len(jobs), last.jobs if last else 0)
'''


@pytest.fixture
def shop(tmp_path, monkeypatch, fresh_imports):
    """A project, which is the current directory; its module, imported."""
    (tmp_path / "testing_shop.py").write_text(MODULE)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n\n[tool.pulpo]\nmodules = ["testing_shop"]\n')
    monkeypatch.chdir(tmp_path)
    CLI(tmp_path).lock()
    yield importlib.import_module("testing_shop")
    assert not (tmp_path / "run_cache" / "store.db").exists()


def test_a_flow_runs_with_given_records(shop):
    result = run("parsing", inputs={"Raw": [{"url": "a", "title": " Cook "}]})
    assert result.records(shop.Job) == result.records("Job") == [shop.Job(url="a", title="Cook")]
    assert (result.state, result.ok, list(result.steps)) == (State.COMPLETED, True, ["parsing.clean"])
    assert result.steps["parsing.clean"].counts["Job"].made == 1


def test_records_may_be_instances_by_class(shop):
    result = run(shop.clean, inputs={shop.Raw: [shop.Raw(url="a", title="b")]})
    assert result.records(shop.Job) == [shop.Job(url="a", title="b")]
    assert run("counting", inputs={shop.Job: [shop.Job(url="a", title="b")]}).records(shop.Total) == [shop.Total(1)]


def test_the_pipeline_runs_with_fakes_and_no_function_of_their_operations(shop):
    result = run(fakes={"fetch": lambda: [shop.Raw(url="a", title="x"), shop.Raw(url="b", title="y")]})
    assert [job.url for job in result.records(shop.Job)] == ["a", "b"]
    assert result.records(shop.Total) == [shop.Total(2)]
    assert result.records("Raw", operation="fetch") == result.records("Raw")
    assert result.records("Raw", operation="count") == []


@pytest.mark.parametrize("kind", ["value", "async", "mock", "async mock"])
def test_a_fake_may_be_a_value_or_any_kind_of_function(shop, kind):
    records = [shop.Raw(url="a", title="x")]

    async def fake():
        await asyncio.sleep(0)
        return records

    fakes = {"value": records, "async": fake, "mock": Mock(return_value=records), "async mock": AsyncMock(return_value=records)}
    assert len(run("scraping", parameters={"token": "t"}, fakes={"scraping.fetch": fakes[kind]}).records("Raw")) == 1


def test_a_fake_gets_the_arguments_that_it_has_defaults_included(shop):
    got = []
    run("scraping", parameters={"token": "t"}, fakes={"fetch": lambda token, limit: got.append((token, limit)) or []})
    run("scraping", parameters={"limit": 9}, fakes={"fetch": lambda limit: got.append(limit) or []})
    mock = Mock(return_value=[])
    run("scraping", parameters={"token": "u"}, fakes={"fetch": mock})
    assert got == [("t", 3), 9]
    mock.assert_called_once_with(token="u", limit=3)


def test_what_a_fake_asks_for_and_nobody_gives_is_told_before_anything_runs(shop):
    with pytest.raises(UsageError, match=r"the fake of scraping.fetch asks for an argument that is not given: page") as error:
        run(fakes={"fetch": lambda page: []})
    assert error.value.hint == "given: limit, token"
    with pytest.raises(UsageError, match=r"parameters without a value: scraping\.fetch\.token"):
        run(fakes={"fetch": lambda token: []})
    with pytest.raises(UsageError, match="takes arguments by place"):
        run(fakes={"fetch": lambda page, /: []})


def test_what_an_operation_raised_is_raised(shop):
    with pytest.raises(ValueError, match="no title: a") as error:
        run("parsing", inputs={"Raw": [{"url": "a"}]})
    assert error.value.__notes__ == ["raised by the operation parsing.clean"]
    assert any(entry.name == "clean" for entry in error.traceback)


def test_a_failed_run_can_be_looked_at(shop):
    result = run(fakes={"fetch": shop.SiteDownError("gone")}, check=False)
    assert (result.state, result.ok, result.records("Raw")) == (State.FAILED, False, [])
    assert isinstance(result.errors["scraping.fetch"], shop.SiteDownError)
    assert result.steps["counting.count"].state is State.SKIPPED
    with pytest.raises(shop.SiteDownError, match="gone"):
        result.check()


def test_retries_are_made_and_do_not_wait(shop):
    answers = Mock(side_effect=[OSError, OSError, []])
    assert run("scraping", parameters={"token": "t"}, fakes={"fetch": answers}).steps["scraping.fetch"].attempts == 3


def test_an_operation_that_would_end_the_process_is_a_run_error(shop):
    with pytest.raises(RunError, match="SystemExit"):
        run("scraping", fakes={"fetch": SystemExit(3)})


def test_what_a_fake_returns_is_checked_as_anything(shop):
    with pytest.raises(RunError, match="Raw"):
        run("scraping", fakes={"fetch": [{"title": "no url"}]})


def test_previous_is_what_the_last_run_stored(shop):
    job = [shop.Job(url="a", title="b")]
    assert run("counting", inputs={"Job": job}, previous={"Total": [{"jobs": 7}]}).records("Total") == [shop.Total(1, 7)]
    assert run("counting", inputs={"Job": job}, previous={shop.Total: [shop.Total(5)]}).records("Total") == [shop.Total(1, 5)]
    with pytest.raises(UsageError, match="record 1 of `previous` is no Total"):
        run("counting", inputs={"Job": job}, previous={"Total": [{}]})


def test_one_run_knows_nothing_of_another(shop):
    run("parsing", inputs={"Raw": [{"url": "a", "title": "b"}]})
    with pytest.raises(UsageError, match="nothing was stored of what comes from outside"):
        run("counting")


def test_logs_are_kept(shop):
    result = run("parsing", inputs={"Raw": [{"url": "a", "title": "b"}]})
    assert [(line.operation, line.level, line.message) for line in result.logs] == [("parsing.clean", "warning", "cleaning a")]


def test_names_that_are_not_there_are_told_with_near_ones(shop):
    for call, message, hint in (
        (lambda: run("parsin"), "there is no such flow or operation: parsin", "did you mean 'parsing'?"),
        (lambda: run(fakes={"fetsch": []}), "there is no such operation: fetsch", None),
        (lambda: run("parsing", inputs={"Row": []}), "there is no such model: Row", "did you mean 'Raw'?"),
        (lambda: run("parsing", inputs={int: []}), "no model of the lock is this class: builtins:int", None),
        (
            lambda: run("parsing", inputs={"Raw": [{"url": "a", "title": "b"}]}).records("Jab"),
            "there is no such model: Jab",
            "did you mean 'Job'?",
        ),
        (lambda: run("parsing", inputs={"Raw": {"url": "a"}}), "records come as a list, for Raw: {'url': 'a'}", None),
        (lambda: run("parsing", inputs={"Raw": [3]}), "a record of Raw is an instance of its class, or a dict, not: 3", None),
        (lambda: run("parsing", inputs={"Raw": [{}]}), "record 1 of 1 in the test is no Raw: url: Field required", None),
        (lambda: run(print), "no operation of the lock is this function: builtins:print", "run `pulpo lock`, or give a name"),
    ):
        with pytest.raises(UsageError) as error:
            call()
        assert error.value.message == message
        assert hint is None or error.value.hint == hint


async def test_it_works_while_an_event_loop_runs(shop):
    loop = asyncio.get_running_loop()
    given = {"Raw": [shop.Raw(url="a", title="b")]}
    assert run("parsing", inputs=given).ok
    assert (await run_async("parsing", inputs=given)).ok
    assert asyncio.get_running_loop() is loop
    with pytest.raises(ValueError, match="no title"):
        run("parsing", inputs={"Raw": [{"url": "a"}]})
    with pytest.raises(ValueError, match="no title"):
        await run_async("parsing", inputs={"Raw": [{"url": "a"}]})


def test_the_current_event_loop_is_left_alone(shop):
    with asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))
        before = asyncio.get_event_loop_policy().get_event_loop()
        run("parsing", inputs={"Raw": [{"url": "a", "title": "b"}]})
        assert asyncio.get_event_loop_policy().get_event_loop() is before


def test_a_part_and_its_upstream(shop):
    result = run("counting", with_upstream=True, fakes={"fetch": []}, select=["counting.count"])
    assert list(result.steps) == ["scraping.fetch", "parsing.clean", "counting.count"]
    assert result.records("Total") == [shop.Total(0)]


def test_an_environment_is_merged_in(shop, tmp_path):
    lock = tmp_path / "pulpo.lock.yaml"
    lock.write_text(lock.read_text() + "environments:\n  calm: {operations: {scraping.fetch: {retries: 0}}}\n")
    broken = Mock(side_effect=OSError("no"))
    with pytest.raises(OSError, match="no"):
        run("scraping", fakes={"fetch": broken}, environment="calm")
    assert broken.call_count == 1


def test_a_lock_with_problems_says_so(shop, tmp_path):
    lock = tmp_path / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("version: 1", "version: 99"))
    with pytest.raises(PulpoError, match="99"):
        run("parsing")


def test_without_a_lock_there_is_a_hint(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.pulpo]\nmodules = ["shop"]\n')
    with pytest.raises(PulpoError) as error:
        run("parsing", project=tmp_path)
    shown = error.value.diagnostics[0].hint if isinstance(error.value, DiagnosticsError) else error.value.hint
    assert "pulpo lock" in shown


def test_the_project_is_that_of_the_test_wherever_pytest_was_started(shop, tmp_path):
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_shop.py").write_text(
        textwrap.dedent("""
        from pulpo.testing import run

        def test_clean():
            assert run("parsing", inputs={"Raw": [{"url": "a", "title": "b"}]}).ok
        """)
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tests)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_documentation_shows_passes(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "testing.md").read_text(encoding="utf-8")
    shown = "from pulpo.testing import run_async\n" + "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    project = CLI.init(tmp_path / "weather").directory
    (project / "tests" / "test_shown.py").write_text(shown)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-W", "error"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, "7 passed" in done.stdout) == (0, True), done.stdout + done.stderr
