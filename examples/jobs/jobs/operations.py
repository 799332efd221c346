"""Fetch from two boards, clean, merge, and see that nothing is wrong."""

import re

from pydantic import BaseModel

from jobs.board import page
from jobs.models import CleanedJob, CleanedJobs, RawJob, RawJobs
from jobs.parser import parse
from pulpo import operation


@operation(name="scraping.stepstone.fetch", inputs=BaseModel, outputs=RawJobs, retries=3)
async def fetch_stepstone(keywords: str = "python") -> RawJobs:
    """The postings of StepStone."""
    return await _fetch("stepstone", keywords)


@operation(name="scraping.linkedin.fetch", inputs=BaseModel, outputs=RawJobs, retries=3)
async def fetch_linkedin(keywords: str = "python") -> RawJobs:
    """The postings of LinkedIn."""
    return await _fetch("linkedin", keywords)


@operation(name="scraping.merge", inputs=RawJobs, outputs=CleanedJobs)
async def merge(stepstone: RawJobs, linkedin: RawJobs) -> CleanedJobs:
    """All postings; what is on both boards once, as StepStone has it."""
    jobs = _cleaned([*stepstone.jobs, *linkedin.jobs])
    return CleanedJobs(board="all", keywords=stepstone.keywords, title=f"{len(jobs)} jobs on all boards", jobs=jobs)


@operation(name="parsing.clean", inputs=RawJobs, outputs=CleanedJobs)
def clean(raw: RawJobs) -> CleanedJobs:
    """The postings of one board with their text in order; called for each of them."""
    jobs = _cleaned(raw.jobs)
    return CleanedJobs(board=raw.board, keywords=raw.keywords, title=f"{len(jobs)} jobs on {raw.board}", jobs=jobs)


@operation(name="validate")
def validate(cleaned: list[CleanedJobs]) -> None:
    """See that each board's companies and titles are in what was merged.

    Raises:
        ValueError: A posting got lost, and which.
    """
    merged = {_identity(job) for result in cleaned if result.board == "all" for job in result.jobs}
    lost = [job.url for result in cleaned for job in result.jobs if _identity(job) not in merged]
    if lost:
        raise ValueError(f"postings are missing in what was merged: {', '.join(lost)}")


async def _fetch(board: str, keywords: str) -> RawJobs:
    title, jobs = parse(await page(board))
    words = keywords.casefold().split()
    found = [job for job in jobs if all(word in job.title.casefold() for word in words)]
    return RawJobs(board=board, keywords=keywords, title=title, jobs=found)


def _cleaned(raw: list[RawJob]) -> list[CleanedJob]:
    """Each posting once, the first one of several, in the order given."""
    jobs: dict[tuple[str, str], CleanedJob] = {}
    for posting in raw:
        job = _clean(posting)
        jobs.setdefault(_identity(job), job)
    return list(jobs.values())


def _clean(raw: RawJob) -> CleanedJob:
    amount = re.search(r"\d{1,3}(?:[.,]?\d{3})+", raw.salary)
    return CleanedJob(
        url=raw.url,
        title=re.sub(r"\s*\([mfdwx/]+\)", "", _text(raw.title), flags=re.IGNORECASE),
        company=_text(raw.company),
        place=_text(raw.place) or None,
        salary=int(re.sub(r"\D", "", amount[0])) if amount else None,
    )


def _identity(job: CleanedJob) -> tuple[str, str]:
    return (job.company.casefold(), job.title.casefold())


def _text(raw: str) -> str:
    return " ".join(raw.split())
