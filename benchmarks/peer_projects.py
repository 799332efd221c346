"""The pipeline of `projects.py` for others: `n` operations in `n / 2` pairs, of which one fetches ten records, one counts them.

Each function returns the directory that it wrote. The names are the same everywhere, and so is what the functions do.
"""

from __future__ import annotations

from pathlib import Path

from projects import PER_MODULE

_RECORDS = '[{{"url": str(n), "price": 0.0}} for n in range(10)]'
_COUNT = '{{"shop": "{i}", "items": len(item{i})}}'


def _parts(n: int) -> list[range]:
    """The pairs of each module."""
    each = PER_MODULE // 2
    return [range(start, min(n // 2, start + each)) for start in range(0, n // 2, each)]


def _modules(root: Path, n: int, head: str, pair: str) -> list[str]:
    """Write a package `shop` of modules with a pair of functions for each number; returns the modules' names."""
    package = root / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    body = pair.replace("RECORDS", _RECORDS).replace("COUNT", _COUNT)
    names = []
    for part in _parts(n):
        names.append(f"part{part.start}")
        (package / f"{names[-1]}.py").write_text(head + "".join(body.format(i=i) for i in part))
    return names


_HAMILTON = """

def item{i}() -> list[dict]:
    return RECORDS


def count{i}(item{i}: list[dict]) -> dict:
    return COUNT
"""
_HAMILTON_DRIVER = """
import sys
from hamilton import driver
from shop import {modules}

counts = [f"count{{i}}" for i in range({pairs})]
drawn = driver.Builder().with_modules({modules}).build()
drawn.validate_execution(counts)
if sys.argv[1] == "run":
    assert len(drawn.execute(counts)) == {pairs}
"""


def hamilton_project(root: Path, n: int) -> Path:
    """`python main.py validate|run`."""
    modules = ", ".join(_modules(root, n, "", _HAMILTON))
    (root / "main.py").write_text(_HAMILTON_DRIVER.format(modules=modules, pairs=n // 2).lstrip())
    return root


_DAGSTER = """

@asset
def item{i}() -> list[dict]:
    return RECORDS


@asset
def count{i}(item{i}: list[dict]) -> dict:
    return COUNT
"""
_DAGSTER_DEFINITIONS = """
import sys
from dagster import Definitions, load_assets_from_modules
from shop import {modules}

defs = Definitions(assets=load_assets_from_modules([{modules}]))

if __name__ == "__main__":
    quiet = {{"loggers": {{"console": {{"config": {{"log_level": "ERROR"}}}}}}}}
    job = defs.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(run_config=quiet).success
"""


def dagster_project(root: Path, n: int) -> Path:
    """`dagster definitions validate -f main.py`; `python main.py` to run, in memory, which is its fastest way."""
    modules = ", ".join(_modules(root, n, "from dagster import asset\n", _DAGSTER))
    (root / "main.py").write_text(_DAGSTER_DEFINITIONS.format(modules=modules).lstrip())
    (root / "home").mkdir()
    (root / "home" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return root


_PREFECT = """

@task
def item{i}() -> list[dict]:
    return RECORDS


@task
def count{i}(item{i}: list[dict]) -> dict:
    return COUNT


@flow
def shop{i}() -> dict:
    return count{i}(item{i}())
"""
_PREFECT_FLOW = """
from prefect import flow
from shop import {modules}

tasks = {{}}
for module in ({modules},):
    tasks |= vars(module)


@flow
def pipeline() -> int:
    items = [tasks[f"item{{i}}"].submit() for i in range({pairs})]
    counts = [tasks[f"count{{i}}"].submit(items[i]) for i in range({pairs})]
    return len([count.result() for count in counts])


if __name__ == "__main__":
    assert pipeline() == {pairs}
"""


def prefect_project(root: Path, n: int) -> Path:
    """`python -c "import main"`, `python main.py` to run; one flow of tasks, as one would write it by hand."""
    modules = ", ".join(_modules(root, n, "from prefect import flow, task\n", _PREFECT))
    (root / "main.py").write_text(_PREFECT_FLOW.format(modules=modules, pairs=n // 2).lstrip())
    return root


def dbt_project(root: Path, n: int) -> Path:
    """`dbt parse`; models of SQL, which is what dbt has for operations."""
    (root / "models").mkdir(parents=True)
    (root / "dbt_project.yml").write_text("name: shop\nversion: '1.0'\nprofile: shop\nmodel-paths: [models]\n")
    (root / "profiles.yml").write_text("shop:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: shop.duckdb}\n")
    for i in range(n // 2):
        (root / "models" / f"item{i}.sql").write_text("select unnest(range(10)) as url, 0.0 as price\n")
        (root / "models" / f"count{i}.sql").write_text(f"select '{i}' as shop, count(*) as items from {{{{ ref('item{i}') }}}}\n")
    return root
