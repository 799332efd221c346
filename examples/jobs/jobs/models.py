"""What boards answer, and what is left of it after cleaning."""

from pydantic import BaseModel

from pulpo import datamodel


class RawJob(BaseModel):
    """A posting as it stands on the page; what the page does not say is empty."""

    url: str
    title: str
    company: str = ""
    place: str = ""
    salary: str = ""


class CleanedJob(BaseModel):
    """A posting with its text in order; the salary is in euros a year."""

    url: str
    title: str
    company: str
    place: str | None
    salary: int | None


@datamodel(name="RawJobs", key=["board", "keywords"])
class RawJobs(BaseModel):
    """What a board answered to a search."""

    board: str
    keywords: str
    title: str
    jobs: list[RawJob]


@datamodel(name="CleanedJobs", key=["board", "keywords"])
class CleanedJobs(BaseModel):
    """The postings of a board, or of all of them (`board` is then `all`), cleaned, each once."""

    board: str
    keywords: str
    title: str
    jobs: list[CleanedJob]
