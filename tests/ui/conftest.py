"""One browser and one project with runs for all tests of the UI; the project's API is a process, the UI's pages are served here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.api.running import serving
from tests.ui.browser import ARGUMENTS, chromium, opened, showing
from tests.ui.shop import make_shop

EXAMPLES = Path(__file__).parents[2] / "examples"
PULPO = str(Path(sys.executable).parent / "pulpo")


@pytest.fixture(scope="module")  # no longer: while Playwright is there, its event loop is that of this thread
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with opened(browser) as page:
        yield page


def copied(example: str, directory: Path) -> Path:
    """An example, ready to run."""
    shutil.copytree(EXAMPLES / example, directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    return directory


@pytest.fixture(scope="session")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project `jobs`, whose flow `pipeline` has run once."""
    project = copied("jobs", tmp_path_factory.mktemp("ui") / "jobs")
    subprocess.run([PULPO, "-q", "--project", project, "run", "pipeline"], check=True, capture_output=True)
    return project


@pytest.fixture(scope="session")
def api(jobs: Path) -> Iterator[str]:
    """The API of `jobs`; tests share it, and so don't rely on what others leave alone."""
    with serving(jobs) as address:
        yield address


@pytest.fixture(scope="session")
def ui(api: str) -> Iterator[str]:
    """The address of the UI over the API of `jobs`, without a slash at its end."""
    with showing(api) as address:
        yield address


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of `tests.ui.shop`, in which nothing has run."""
    return make_shop(tmp_path_factory.mktemp("ui-shop") / "shop", PULPO)


@pytest.fixture(scope="session")
def shop_api(shop: Path) -> Iterator[str]:
    """The API of `shop`."""
    with serving(shop) as address:
        yield address


@pytest.fixture(scope="session")
def shop_ui(shop_api: str) -> Iterator[str]:
    """The address of the UI over the API of `shop`."""
    with showing(shop_api) as address:
        yield address
