"""The tables, as they come and as they are worked with, and what is learned from them."""

import dataclasses

from pydantic import BaseModel

from pulpo import datamodel


@datamodel(key="id", tags=["source"])
@dataclasses.dataclass(frozen=True, slots=True)
class RawCompany:
    """A row of the companies: `company_rating` is like 95%, `iata_approved` is t or f."""

    id: int
    company_rating: str | None
    company_location: str | None
    total_fleet_count: float | None
    iata_approved: str | None


@datamodel(key="id")
@dataclasses.dataclass(frozen=True, slots=True)
class Company:
    """A company that flies shuttles; its rating is between 0 and 1."""

    id: int
    company_rating: float | None
    company_location: str | None
    total_fleet_count: float | None
    iata_approved: bool


@datamodel(key="id", tags=["source"])
@dataclasses.dataclass(frozen=True, slots=True)
class RawShuttle:
    """A row of the shuttles: `price` is like $1,325.0, the two checks are t or f."""

    id: int
    shuttle_location: str | None
    shuttle_type: str | None
    engine_type: str | None
    engine_vendor: str | None
    engines: float | None
    passenger_capacity: int
    cancellation_policy: str | None
    crew: float | None
    d_check_complete: str | None
    moon_clearance_complete: str | None
    price: str
    company_id: int


@datamodel(key="id", indexes=["shuttle_type"])
@dataclasses.dataclass(frozen=True, slots=True)
class Shuttle:
    """A shuttle, and what a seat in it costs."""

    id: int
    shuttle_location: str | None
    shuttle_type: str | None
    engine_type: str | None
    engine_vendor: str | None
    engines: float | None
    passenger_capacity: int
    cancellation_policy: str | None
    crew: float | None
    d_check_complete: bool
    moon_clearance_complete: bool
    price: float
    company_id: int


@datamodel(key="shuttle_id", tags=["source"])
@dataclasses.dataclass(frozen=True, slots=True)
class Review:
    """What passengers say about a shuttle."""

    shuttle_id: int
    review_scores_rating: float | None
    review_scores_comfort: float | None
    review_scores_amenities: float | None
    review_scores_trip: float | None
    review_scores_crew: float | None
    review_scores_location: float | None
    review_scores_price: float | None
    number_of_reviews: int
    reviews_per_month: float | None


# No field may be None: a row with a gap can't become one.
@datamodel(key="shuttle_id", indexes=["company_id"])
@dataclasses.dataclass(frozen=True, slots=True)
class ModelInput:
    """A shuttle with its reviews and its company, complete."""

    shuttle_id: int
    shuttle_location: str
    shuttle_type: str
    engine_type: str
    engine_vendor: str
    engines: float
    passenger_capacity: int
    cancellation_policy: str
    crew: float
    d_check_complete: bool
    moon_clearance_complete: bool
    price: float
    review_scores_rating: float
    review_scores_comfort: float
    review_scores_amenities: float
    review_scores_trip: float
    review_scores_crew: float
    review_scores_location: float
    review_scores_price: float
    number_of_reviews: int
    reviews_per_month: float
    company_id: int
    company_rating: float
    company_location: str
    total_fleet_count: float
    iata_approved: bool


@datamodel(key=["test_size", "random_state"])
class Split(BaseModel):
    """Which shuttles to learn from and which to test with, by id, in the order drawn."""

    test_size: float
    random_state: int
    train: list[int]
    test: list[int]


@datamodel(key=["test_size", "random_state", "features"])
class Regressor(BaseModel):
    """A linear regression of the price: a coefficient for each of the features."""

    test_size: float
    random_state: int
    features: list[str]
    coefficients: list[float]
    intercept: float


@datamodel(key=["test_size", "random_state", "features"], tags=["report"])
class Metrics(BaseModel):
    """How well a regressor does on the shuttles that it has not seen; errors in the price's currency."""

    test_size: float
    random_state: int
    features: list[str]
    r2_score: float
    mae: float
    max_error: float


@datamodel(key="shuttle_type", tags=["report"])
class Capacity(BaseModel):
    """How many passengers shuttles of a type take on average."""

    shuttle_type: str
    shuttles: int
    passenger_capacity: float
