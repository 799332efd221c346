"""A project with a required parameter, an operation that fails on a record, schedules, and nothing that has run."""

from __future__ import annotations

import subprocess
from pathlib import Path

CODE = """
import asyncio
import logging
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from pulpo import datamodel, operation

log = logging.getLogger(__name__)
HOLD = Path(__file__).parent / "hold"


@datamodel(key=["sku"])
class Product(BaseModel):
    sku: str
    price: float | None = None


@datamodel(key=["sku"])
class Offer(BaseModel):
    sku: str
    price: float


@operation(name="catalogue.fetch", description="Reads the supplier's products.", tags=["daily"])
async def fetch(limit: int, market: Literal["de", "fr"] = "de", dry: bool = False) -> list[Product]:
    for number in range(limit):
        log.info("product %d in %s", number, market)
    while HOLD.exists():
        await asyncio.sleep(0.05)
    return [Product(sku=f"p{number}", price=None if number == 2 else 10.0 + number) for number in range(limit)]


@operation(name="catalogue.offer")
def offer(product: Product) -> Offer:
    log.warning("an offer of <b>%s</b>", product.sku)
    return {"sku": product.sku, "price": product.price}


@operation(name="report.print")
def report(offers: list[Offer]) -> None:
    log.info("%d offers", len(offers))
"""
SCHEDULES = """flows:
  catalogue: {schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}, parameters: {limit: 2}, tags: [nightly]}
  report: {schedule: {interval: 5400}}
"""


def make_shop(project: Path, pulpo: str) -> Path:
    """The project, locked."""
    project.mkdir()
    (project / "shop.py").write_text(CODE)
    (project / "pyproject.toml").write_text('[project]\nname = "shop"\n\n[tool.pulpo]\nmodules = ["shop"]\n')
    subprocess.run([pulpo, "-q", "--project", project, "lock"], check=True, capture_output=True)
    lock = project / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("services:\n", f"{SCHEDULES}services:\n", 1))
    return project
