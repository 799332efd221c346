"""`learn`: what a seat costs, by linear regression."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pulpo import operation
from spaceflights.models import Metrics, ModelInput, Regressor, Split

Feature = Literal[
    "engines",
    "passenger_capacity",
    "crew",
    "d_check_complete",
    "moon_clearance_complete",
    "review_scores_rating",
    "review_scores_comfort",
    "review_scores_amenities",
    "review_scores_trip",
    "review_scores_crew",
    "review_scores_location",
    "review_scores_price",
    "number_of_reviews",
    "reviews_per_month",
    "company_rating",
    "total_fleet_count",
    "iata_approved",
]

FEATURES: list[Feature] = [
    "engines",
    "passenger_capacity",
    "crew",
    "d_check_complete",
    "moon_clearance_complete",
    "iata_approved",
    "company_rating",
    "review_scores_rating",
]


@operation("learn.split")
def split(table: list[ModelInput], test_size: Annotated[float, Field(gt=0, lt=1)] = 0.2, random_state: int = 3) -> Split:
    """Draw the shuttles to test with, the same ones that scikit-learn's `train_test_split` draws.

    Raises:
        ValueError: There are too few shuttles to have some on either side.
    """
    tests = math.ceil(len(table) * test_size)
    if len(table) - tests < 1:
        raise ValueError(f"too few shuttles to learn from and to test with: {len(table)}")
    drawn = [table[index].shuttle_id for index in np.random.RandomState(random_state).permutation(len(table))]
    return Split(test_size=test_size, random_state=random_state, train=drawn[tests:], test=drawn[:tests])


@operation("learn.train")
def train(split: Split, table: list[ModelInput], features: list[Feature] = FEATURES) -> Regressor:
    """Least squares; of several solutions the one with the smallest coefficients."""
    known, prices = _columns(table, split.train, features)
    coefficients = np.linalg.lstsq(known - known.mean(axis=0), prices - prices.mean())[0]
    return Regressor(
        test_size=split.test_size,
        random_state=split.random_state,
        features=list(features),
        coefficients=coefficients.tolist(),
        intercept=float(prices.mean() - known.mean(axis=0) @ coefficients),
    )


@operation("learn.evaluate")
def evaluate(regressor: Regressor, split: Split, table: list[ModelInput]) -> Metrics:
    """Compare what the regressor says with the prices of the shuttles that it has not seen."""
    known, prices = _columns(table, split.test, regressor.features)
    errors = prices - (known @ np.array(regressor.coefficients) + regressor.intercept)
    return Metrics(
        test_size=split.test_size,
        random_state=split.random_state,
        features=regressor.features,
        r2_score=float(1 - (errors**2).sum() / ((prices - prices.mean()) ** 2).sum()),
        mae=float(np.abs(errors).mean()),
        max_error=float(np.abs(errors).max()),
    )


def _columns(table: list[ModelInput], ids: list[int], features: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The features and the prices of some shuttles, in the order of their ids."""
    rows = {row.shuttle_id: row for row in table}
    known = [[getattr(rows[shuttle], feature) for feature in features] for shuttle in ids]
    return np.array(known, dtype=float), np.array([rows[shuttle].price for shuttle in ids])
