"""Fixtures for the API: an application over the embedded store, called in this process."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pulpo.api.app import create_app
from pulpo.manifest.load import load
from pulpo.manifest.model import Manifest
from pulpo.store.mongo import MongoStore
from pulpo.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

EXAMPLES = Path(__file__).parents[2] / "examples"


def manifest_of(models: dict[str, dict[str, Any]]) -> Manifest:
    """A manifest with these models and nothing else."""
    return Manifest.model_validate({"version": 1, "project": {"name": "tests"}, "models": models})


def example(name: str) -> Manifest:
    """The manifest of an example, whose code can be imported from then on."""
    if str(EXAMPLES / name) not in sys.path:
        sys.path.insert(0, str(EXAMPLES / name))
    return load(EXAMPLES / name / "pulpo.lock.yaml")[0]


@contextlib.asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that runs in this process."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


@pytest.fixture
def serve(tmp_path: Path):
    """An application over models and an embedded store of its own: `async with serve(models) as client`."""

    def _serve(models: dict[str, dict[str, Any]]) -> contextlib.AbstractAsyncContextManager[httpx.AsyncClient]:
        return client_of(create_app(manifest_of(models), SqliteStore(tmp_path / "store.db")))

    return _serve


@pytest.fixture(params=["embedded", "mongodb"])
def either(request, tmp_path):
    """A store of either kind, not open."""
    if request.param == "embedded":
        return SqliteStore(tmp_path / "store.db")
    return MongoStore(request.getfixturevalue("mongo_url"), database=request.getfixturevalue("database"), driver="motor")
