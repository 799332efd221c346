"""Every page of the UI, in light and dark: usable by all, wide or narrow, without complaints or requests elsewhere."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Browser, expect
from starlette.routing import Route

from pulpo.ui.app import create_app
from pulpo.ui.settings import Settings
from tests.ui.browser import accessible, opened

pytestmark = pytest.mark.xdist_group("network")
ADDRESSES = (
    "/", "/?run={run}", "/models", "/models/CleanedJobs", "/models/CleanedJobs?sort=-_updated", "/models/CleanedJobs/delete",
    "/models/CleanedJobs/import", "/models/CleanedJobs/records/new", "/models/CleanedJobs/records/{record}", "/operations",
    "/operations/validate", "/flows", "/flows/pipeline", "/runs", "/runs?state=failed", "/runs/{run}",
    "/runs/compare?a={run}&b={run}", "/runs/{run}/logs", "/services", "/services/api", "/manifest", "/manifest/plan", "/nowhere",
)  # fmt: skip
#: What is part of a page, or none.
NO_PAGES = (
    "/events", "/health", "/models/{model}/records", "/models/{model}/export", "/services/{name}/lines", "/manifest/changed", "/login",
)  # fmt: skip


@pytest.fixture(scope="module")
def found(ui: str, api: str) -> dict[str, str]:
    """What addresses have in them: a run and a record that are there."""
    runs = httpx.get(f"{api}/runs", params={"flow": "pipeline"}).json()["items"]
    record = re.search(r'"/models/CleanedJobs/records/([^"?]+)"', httpx.get(f"{ui}/models/CleanedJobs").text.replace("/new", "?"))
    assert record
    return {"run": runs[-1]["id"], "record": record[1]}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page(ui: str, found: dict[str, str], browser: Browser, address: str, dark: bool) -> None:
    with opened(browser, dark=dark, but="404" if "nowhere" in address else "\0") as page:
        page.goto(ui + address.format(**found))
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page.locator("#live")).to_have_text("live")
        assert " · Pulpo" in page.title()
        assert not page.title().startswith(" ")
        accessible(page)
        page.set_viewport_size({"width": 800, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 800


def test_all_pages_are_here() -> None:
    """Each route of a page has an address in the list."""
    paths = [address.format(run="1-a", record="x").partition("?")[0] for address in ADDRESSES]
    for route in create_app(Settings()).routes:
        if not isinstance(route, Route) or "GET" not in (route.methods or ()) or route.path in NO_PAGES:
            continue
        assert any(route.path_regex.fullmatch(path) for path in paths), route.path
