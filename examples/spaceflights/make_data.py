"""Makes the files in `data/`: tables of the tutorial's shape, with made-up rows; the same bytes every time."""

import csv
import random
from collections.abc import Iterable
from pathlib import Path

COMPANIES, SHUTTLES = 600, 900
PLACES = ["Deimos", "Europa", "Ganymede", "Io", "Mimas", "Phobos", "Rhea", "Titan"]
SCORES = ["comfort", "amenities", "trip", "crew", "location", "price"]


def main(folder: Path) -> None:
    """Write the three tables."""
    chance = random.Random(2)
    companies = chance.sample(range(1, 10_000), COMPANIES)
    shuttles = chance.sample(range(1, 10_000), SHUTTLES)
    folder.mkdir(exist_ok=True)
    _write(folder / "companies.csv", [_company(chance, number) for number in companies])
    _write(folder / "shuttles.csv", [_shuttle(chance, number, companies) for number in shuttles])
    # Some shuttles have no reviews, some reviews no shuttle.
    reviewed = [*chance.sample(shuttles, SHUTTLES - 60), *range(10_000, 10_020)]
    _write(folder / "reviews.csv", [_review(chance, number) for number in reviewed])


def _company(chance: random.Random, number: int) -> dict[str, object]:
    return {
        "id": number,
        "company_rating": _gap(chance, 0.2, f"{chance.randint(0, 100)}%"),
        "company_location": _gap(chance, 0.1, chance.choice(PLACES)),
        "total_fleet_count": _gap(chance, 0.01, float(chance.randint(1, 30))),
        "iata_approved": _gap(chance, 0.01, chance.choice("tf")),
    }


def _shuttle(chance: random.Random, number: int, companies: list[int]) -> dict[str, object]:
    engines, seats = chance.randint(1, 6), chance.randint(1, 12)
    price = max(200.0, 900 + 340 * engines + 310 * seats + chance.gauss(0, 900))
    return {
        "id": number,
        "shuttle_location": chance.choice(PLACES),
        "shuttle_type": f"Type {chance.choice('ABC')}{chance.randint(1, 4)}",
        "engine_type": chance.choice(["Ion", "Fusion", "Sail"]),
        "engine_vendor": chance.choice(["Perihelion, Ltd", "Apogee & Sons"]),
        "engines": _gap(chance, 0.01, float(engines)),
        "passenger_capacity": seats,
        "cancellation_policy": chance.choice(["strict", "lenient"]),
        "crew": _gap(chance, 0.02, float(max(1, seats // 2))),
        "d_check_complete": chance.choice("tf"),
        "moon_clearance_complete": "f",  # a column without information, as in the tutorial: no regression may stumble over it
        "price": f"${price:,.1f}",
        "company_id": chance.choice(companies) if chance.random() < 0.95 else 10_000,
    }


def _review(chance: random.Random, number: int) -> dict[str, object]:
    return {
        "shuttle_id": number,
        "review_scores_rating": _gap(chance, 0.1, float(chance.randint(20, 100))),
        **{f"review_scores_{score}": _gap(chance, 0.01, float(chance.randint(2, 10))) for score in SCORES},
        "number_of_reviews": chance.randint(0, 400),
        "reviews_per_month": _gap(chance, 0.05, round(chance.uniform(0.01, 8), 2)),
    }


def _gap(chance: random.Random, share: float, value: object) -> object:
    return None if chance.random() < share else value


def _write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(__file__).parent / "data")
