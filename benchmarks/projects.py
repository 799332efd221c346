"""Projects of any size to measure with: the same pipeline for Pulpo and for Kedro.

`n` operations in `n / 2` flows of two: each fetches records of a model of its own and counts them. Or in `n / 20` flows of
twenty, which share two models.
"""

from __future__ import annotations

import re
from pathlib import Path

PER_MODULE = 200


def pulpo_project(root: Path, n: int) -> Path:
    """Write a Pulpo project with `n` operations; returns its directory."""
    package = root / "shop"
    package.mkdir(parents=True)
    (root / "pyproject.toml").write_text('[project]\nname = "shop"\n[tool.pulpo]\nmodules = ["shop"]\n')
    (package / "__init__.py").write_text("")
    for start in range(0, n // 2, PER_MODULE // 2):
        parts = ["from pydantic import BaseModel\n\nfrom pulpo import datamodel, operation\n"]
        parts += [_pulpo_flow(i) for i in range(start, min(n // 2, start + PER_MODULE // 2))]
        (package / f"part{start}.py").write_text("\n\n".join(parts))
    return root


def _pulpo_flow(i: int) -> str:
    return f"""
@datamodel(key="url")
class Item{i}(BaseModel):
    url: str
    price: float = 0.0


@datamodel(key="shop")
class Count{i}(BaseModel):
    shop: str
    items: int


@operation("shop{i}.fetch", retries=3)
async def fetch{i}(limit: int = 10) -> list[Item{i}]:
    return [Item{i}(url=str(n)) for n in range(limit)]


@operation("shop{i}.count")
def count{i}(items: list[Item{i}]) -> Count{i}:
    return Count{i}(shop="{i}", items=len(items))
""".strip()


def shared_models_project(root: Path, n: int) -> Path:
    """Write a Pulpo project with `n` operations and `n / 10` models; returns its directory."""
    package = root / "shop"
    package.mkdir(parents=True)
    (root / "pyproject.toml").write_text('[project]\nname = "shop"\n[tool.pulpo]\nmodules = ["shop"]\n')
    (package / "__init__.py").write_text("")
    for start in range(0, n // 20, PER_MODULE // 20):
        parts = ["from pydantic import BaseModel\n\nfrom pulpo import datamodel, operation\n"]
        for i in range(start, min(n // 20, start + PER_MODULE // 20)):
            models, operations = _pulpo_flow(i).split("@operation", 1)
            parts += [models] + [_renamed(f"@operation{operations}", i, j) for j in range(10)]
        (package / f"part{start}.py").write_text("\n\n".join(parts))
    return root


def _renamed(operations: str, i: int, j: int) -> str:
    return re.sub(rf"\b(fetch|count)({i})?(?=[\"(])", rf"\g<0>_{j}", operations)


def change_settings(root: Path, n: int) -> None:
    """Change the decorators of `n` operations, spread over the project."""
    files = sorted((root / "shop").glob("part*.py"))
    for file in files:
        text = file.read_text()
        retries = int(re.search(r"retries=(\d)", text)[1])
        each = -(-n // len(files))
        file.write_text(re.sub(rf"retries={retries}", f"retries={retries % 8 + 1}", text, count=min(each, n)))
        n -= min(each, n)


def kedro_project(root: Path, n: int) -> Path:
    """Write a Kedro project with the same `n` functions as nodes; returns its directory."""
    package = root / "src" / "shop"
    package.mkdir(parents=True)
    for directory in ("conf/base", "conf/local"):
        (root / directory).mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "0.1"\n[tool.kedro]\npackage_name = "shop"\nproject_name = "shop"\n'
        'kedro_init_version = "1.7.0"\nsource_dir = "src"\n'
    )
    (root / "conf" / "base" / "catalog.yml").write_text("{}\n")
    (root / "conf" / "base" / "parameters.yml").write_text("limit: 10\n")
    (root / "conf" / "logging.yml").write_text("version: 1\ndisable_existing_loggers: false\nroot: {level: WARNING}\n")
    (package / "__init__.py").write_text('__version__ = "0.1"\n')
    (package / "settings.py").write_text("")
    nodes = []
    for start in range(0, n // 2, PER_MODULE // 2):
        functions = "\n\n".join(_kedro_functions(i) for i in range(start, min(n // 2, start + PER_MODULE // 2)))
        (package / f"part{start}.py").write_text(f"{functions}\n")
        nodes += [
            f'    node(part{start}.fetch{i}, "params:limit", "item{i}", name="shop{i}.fetch"),\n'
            f'    node(part{start}.count{i}, "item{i}", "count{i}", name="shop{i}.count"),\n'
            for i in range(start, min(n // 2, start + PER_MODULE // 2))
        ]
    imports = ", ".join(f"part{start}" for start in range(0, n // 2, PER_MODULE // 2))
    (package / "pipeline_registry.py").write_text(
        f"from kedro.pipeline import node, pipeline\n\nfrom shop import {imports}\n\n\n"
        f'def register_pipelines():\n    return {{"__default__": pipeline([\n{"".join(nodes)}    ])}}\n'
    )
    return root


def _kedro_functions(i: int) -> str:
    return f"""
def fetch{i}(limit: int) -> list[dict]:
    return [{{"url": str(n)}} for n in range(limit)]


def count{i}(items: list[dict]) -> dict:
    return {{"shop": "{i}", "items": len(items)}}
""".strip()
