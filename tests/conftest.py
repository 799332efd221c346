"""Fixtures for all tests: a fresh registry, and projects that tests write into a temporary directory."""

from __future__ import annotations

import compileall
import itertools
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from pulpo.declare.registry import REGISTRY
from tests.mongo_server import Mongod
from tests.prefect_server import prefect_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


GOLDEN = Path(__file__).parent / "golden"
_PACKAGE = Path(__file__).parents[1] / "pulpo"
_DATABASES = itertools.count()

# How long an example takes says how busy the machine is.
settings.register_profile("search", settings.get_profile("default"), deadline=None)
# The same examples each time, and more: what decides whether a change lands is to depend on the change, not on luck.
settings.register_profile("ci", settings.get_profile("search"), derandomize=True, max_examples=200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "search"))


@pytest.fixture(autouse=True)
def _fresh_registry() -> Iterator[None]:
    """Declarations of one test are not those of the next."""
    models, operations = list(REGISTRY.models), list(REGISTRY.operations)
    REGISTRY.reset()
    yield
    REGISTRY.models[:], REGISTRY.operations[:] = models, operations


@pytest.fixture
def fresh_imports() -> Iterator[None]:
    """A test's own modules are imported afresh, whatever others of their names were before, and forgotten after it."""
    before, path = dict(sys.modules), list(sys.path)
    for name in [n for n in before if n.split(".")[0] in ("jobs", "flights")]:
        del sys.modules[name]
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    sys.modules.update(before)
    sys.path[:] = path


@pytest.fixture
def write(tmp_path: Path):
    """Write files into the test's project: `write("jobs/models.py", text)`; the text is dedented."""

    def _write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return _write


@pytest.fixture(scope="session")
def prefect(tmp_path_factory):
    """The environment of processes that use a real Prefect server: one for all tests of a process (with xdist: of a worker)."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as environment:
        yield environment


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MongoDB: that of MONGO_URL, else one of this process."""
    given = os.environ.get("MONGO_URL")
    if given:
        yield given
        return
    mongod = Mongod(tmp_path_factory.mktemp("mongod"))
    mongod.start()
    try:
        yield mongod.url
    finally:
        mongod.kill()


@pytest.fixture
def own_mongod(tmp_path: Path) -> Iterator[Mongod]:
    """A server that a test may kill; it is not started."""
    mongod = Mongod(tmp_path)
    try:
        yield mongod
    finally:
        mongod.kill()


@pytest.fixture
async def database(mongo_url: str) -> AsyncIterator[str]:
    """The name of a database that is gone after the test."""
    from pulpo.store.mongo import MongoStore

    name = f"pulpo_test_{os.getpid()}_{next(_DATABASES)}"
    yield name
    async with MongoStore(mongo_url, database=name, driver="pymongo") as store:
        await store.database.client.drop_database(name)


def pytest_configure(config: pytest.Config) -> None:
    """Compile the package once: tests start it in thousands of processes, which leave no bytecode behind where they are told so."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(_PACKAGE, quiet=2)


@pytest.hookimpl(tryfirst=True)  # the names of groups are in the ids of tests after that of xdist
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Containers come one at a time, and not beside browsers: Chromium fails what it loads, from anywhere, while interfaces of
    the machine come and go (`ERR_NETWORK_CHANGED`), and no option keeps it from that.
    """
    for item in items:
        if item.get_closest_marker("docker"):
            item.add_marker(pytest.mark.xdist_group("network"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest):
    """Compare a text with tests/golden/NAME, or write it there with --update-golden."""

    def _golden(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"no golden file {name}: make golden"
        assert text == path.read_text(encoding="utf-8"), f"{name} differs: read the diff of `make golden`"

    return _golden
