"""The files that the tables are in."""

from pathlib import Path
from typing import Any

import pandas as pd

PROJECT = Path(__file__).parents[1]


def rows(folder: str, table: str) -> list[dict[Any, Any]]:
    """The rows of a workbook or else a CSV file, what is missing as None; a relative folder is the project's.

    Raises:
        FileNotFoundError: There is neither.
    """
    path = PROJECT / folder / f"{table}.xlsx"
    frame = pd.read_excel(path) if path.exists() else pd.read_csv(path.with_suffix(".csv"))
    records: list[dict[Any, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return records
