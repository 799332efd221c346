"""`prepare`: rows with proper types, and the table to learn from."""

import dataclasses

from pulpo import operation
from spaceflights.models import Company, ModelInput, RawCompany, RawShuttle, Review, Shuttle


@operation("prepare.company")
def company(raw: RawCompany) -> Company:
    """The rating as a number, the approval as yes or no; called for each row."""
    return Company(
        id=raw.id,
        company_rating=None if raw.company_rating is None else float(raw.company_rating.replace("%", "")) / 100,
        company_location=raw.company_location,
        total_fleet_count=raw.total_fleet_count,
        iata_approved=raw.iata_approved == "t",
    )


@operation("prepare.shuttle")
def shuttle(raw: RawShuttle) -> Shuttle:
    """The price as a number, the checks as yes or no; called for each row."""
    return Shuttle(
        id=raw.id,
        shuttle_location=raw.shuttle_location,
        shuttle_type=raw.shuttle_type,
        engine_type=raw.engine_type,
        engine_vendor=raw.engine_vendor,
        engines=raw.engines,
        passenger_capacity=raw.passenger_capacity,
        cancellation_policy=raw.cancellation_policy,
        crew=raw.crew,
        d_check_complete=raw.d_check_complete == "t",
        moon_clearance_complete=raw.moon_clearance_complete == "t",
        price=float(raw.price.replace("$", "").replace(",", "")),
        company_id=raw.company_id,
    )


@operation("prepare.model_input")
def model_input(shuttles: list[Shuttle], companies: list[Company], reviews: list[Review]) -> list[ModelInput]:
    """The shuttles that have a company and reviews, without a gap in any of them, in their own order."""
    company_of = {company.id: dataclasses.asdict(company) for company in companies}
    reviews_of = {review.shuttle_id: dataclasses.asdict(review) for review in reviews}
    table = []
    for shuttle in shuttles:
        if shuttle.id in reviews_of and shuttle.company_id in company_of:
            row = {**company_of[shuttle.company_id], **dataclasses.asdict(shuttle), **reviews_of[shuttle.id]}
            del row["id"]
            if None not in row.values():
                table.append(ModelInput(**row))
    return table
