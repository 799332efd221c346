"""examples/jobs, its functions called by hand, over HTTP."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs.board import board, page
from jobs.models import RawJob, RawJobs
from jobs.operations import clean, fetch_linkedin, fetch_stepstone, merge, validate
from jobs.parser import parse

JOBS = Path(__file__).parents[2] / "examples" / "jobs"


@pytest.fixture(autouse=True)
def no_board_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBS_BOARD_URL", raising=False)


def raw(*jobs: RawJob) -> RawJobs:
    return RawJobs(board="stepstone", keywords="python", title="", jobs=list(jobs))


async def test_fetching_keeps_the_postings_that_have_the_keywords() -> None:
    found = await fetch_stepstone()
    assert (found.board, found.keywords, found.title) == ("stepstone", "python", "StepStone: jobs in software")
    assert [job.url.rpartition("/")[2] for job in found.jobs] == ["4711", "4712", "4714"]
    assert [job.title for job in (await fetch_linkedin("senior PYTHON")).jobs] == ["Senior Python Engineer"]


async def test_a_search_without_hits_is_a_record_without_jobs() -> None:
    assert (await fetch_linkedin("cobol")).jobs == []


async def test_cleaning_puts_text_in_order_and_reads_salaries() -> None:
    cleaned = clean(await fetch_stepstone())
    assert cleaned.title == "2 jobs on stepstone"
    first, second = cleaned.jobs
    assert (first.title, first.company, first.place, first.salary) == ("Python Developer", "Krake GmbH", "Hamburg", 65_000)
    assert (second.title, second.company, second.salary) == ("Data Engineer Python & SQL", "Tinte & Söhne AG", None)


async def test_merging_keeps_what_is_on_both_boards_once() -> None:
    merged = await merge(await fetch_stepstone(), await fetch_linkedin())
    assert [(job.company, job.title) for job in merged.jobs] == [
        ("Krake GmbH", "Python Developer"),
        ("Tinte & Söhne AG", "Data Engineer Python & SQL"),
        ("Octopods Ltd", "Senior Python Engineer"),
    ]
    assert [job.salary for job in merged.jobs] == [65_000, None, 82_500]


async def test_what_is_merged_and_what_is_cleaned_have_keys_of_their_own() -> None:
    fetched = [await fetch_stepstone(), await fetch_linkedin()]
    results = [await merge(*fetched), *map(clean, fetched)]
    assert len({(result.board, result.keywords) for result in results}) == 3
    validate(results)


async def test_validating_names_the_postings_that_got_lost() -> None:
    merged = await merge(await fetch_stepstone(), await fetch_linkedin("cobol"))
    with pytest.raises(ValueError, match=r"missing in what was merged: https://linkedin\.example/jobs/view/90002$"):
        validate([merged, clean(await fetch_linkedin())])


def test_a_salary_without_thousands_is_no_salary() -> None:
    assert clean(raw(RawJob(url="u", title="t", salary="500 € a day"))).jobs[0].salary is None


def test_a_page_without_postings_has_none() -> None:
    assert parse("<title>Nothing</title><p itemprop='title'>No job</p>") == ("Nothing", [])


async def test_a_board_of_its_own_is_gone_after_use() -> None:
    async with board() as url:
        assert url.startswith("http://127.0.0.1:")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBS_BOARD_URL", url)
        with pytest.raises(urllib.error.URLError):
            await page("stepstone")


async def test_a_page_that_is_not_there_is_an_error() -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        await page("monster")
    caught.value.close()


@pytest.fixture
def served() -> Iterator[str]:
    """The boards, served by the module run as a program; what it prints."""
    command = [sys.executable, "-m", "jobs.board", "0"]
    with subprocess.Popen(command, cwd=JOBS, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


async def test_the_board_of_the_environment_is_used(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, url = served.partition("=")
    monkeypatch.setenv(name, f"{url}/")
    async with board() as used:
        assert used == url
    assert len((await fetch_linkedin()).jobs) == 2
