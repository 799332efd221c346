"""The model that both sides of `benchmarks/api.py` serve."""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, ConfigDict


class Contact(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    phone: str | None = None


class Job(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    title: str
    company: str
    location: str
    salary: int | None = None
    rating: float
    remote: bool
    posted: dt.datetime
    tags: list[str]
    contact: Contact
    description: str


def job(n: int) -> dict[str, object]:
    """About 400 bytes of JSON."""
    return {
        "url": f"https://example.com/jobs/{n}",
        "title": f"Data engineer {n % 100}",
        "company": f"Company {n % 500}",
        "location": "München, Bayern" if n % 3 else "A Coruña",
        "salary": 40_000 + n,
        "rating": n / 7,
        "remote": n % 2 == 0,
        "posted": "2026-01-31T06:00:00Z",
        "tags": ["python", "sql", f"t{n % 10}"],
        "contact": {"name": "Ana", "phone": None},
        "description": "Builds pipelines. " * 3,
    }
