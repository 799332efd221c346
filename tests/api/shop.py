"""Models of the tests, with fields of every kind."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field, field_validator


class Level(enum.StrEnum):
    JUNIOR = "junior"
    SENIOR = "senior"


class Company(BaseModel):
    name: str
    city: str | None = None


class Job(BaseModel):
    url: str
    title: str = "untitled"
    company: Company | None = None
    salary: int | None = None
    score: float | None = None
    remote: bool = False
    level: Level | None = None
    tags: list[str] = []
    posted: dt.date | None = None
    seen: dt.datetime | None = None
    price: Decimal | None = None
    token: UUID | None = None
    counts: dict[str, int] = {}

    @field_validator("title")
    @classmethod
    def _not_shouting(cls, value: str) -> str:
        if value.isupper() and len(value) > 3:
            raise ValueError("don't shout")
        return value


class Note(BaseModel):
    text: str
    limit: int = 0
    sort: str | None = None
    anything: Any = None
    stars: int = Field(default=1, ge=1, le=5)


class Part(BaseModel):
    size: int = Field(alias="theSize")


class Aliased(BaseModel):
    name: str = Field(alias="theName")
    part: Part = Field(alias="thePart")


def spec(model: type[BaseModel], **more: Any) -> dict[str, Any]:
    """What the manifest has for a model."""
    return {"entrypoint": f"tests.api.shop:{model.__name__}", "schema": model.model_json_schema(), **more}


MODELS = {"Job": spec(Job, key=["url"]), "Note": spec(Note), "Aliased": spec(Aliased, key=["name"])}
