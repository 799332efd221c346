"""`load`: the tables as they come."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from pulpo import operation
from spaceflights.models import RawCompany, RawShuttle, Review
from spaceflights.source import rows

Folder = Annotated[str, Field(description="Where companies, reviews and shuttles are.")]

_COMPANIES, _REVIEWS, _SHUTTLES = TypeAdapter(list[RawCompany]), TypeAdapter(list[Review]), TypeAdapter(list[RawShuttle])


@operation("load.companies", tags=["source"])
def companies(folder: Folder = "data") -> list[RawCompany]:
    """The companies."""
    return _COMPANIES.validate_python(rows(folder, "companies"))


@operation("load.reviews", tags=["source"])
def reviews(folder: Folder = "data") -> list[Review]:
    """The reviews, which need no cleaning."""
    return _REVIEWS.validate_python(rows(folder, "reviews"))


@operation("load.shuttles", tags=["source"])
def shuttles(folder: Folder = "data") -> list[RawShuttle]:
    """The shuttles."""
    return _SHUTTLES.validate_python(rows(folder, "shuttles"))
