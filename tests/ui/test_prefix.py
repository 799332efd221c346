"""Behind a proxy that has the UI under a path, whether it strips that or not: with nginx as docs/ui.md sets it up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ports import free_port
from tests.ui.browser import opened, showing
from tests.ui.servers import api_on, nginx

pytestmark = pytest.mark.xdist_group("network")
TOKENS = {"PULPO_API_TOKEN": "letmein"}
DOCUMENTED = "http://127.0.0.1:3000"


def location() -> str:
    """The lines that docs/ui.md has for nginx."""
    text = (Path(__file__).parents[2] / "docs" / "ui.md").read_text()
    found = re.search(r"```nginx\n(.*?)```", text, re.DOTALL)
    assert found
    assert f"{DOCUMENTED};" in found[1]
    return found[1]


@pytest.fixture(scope="module", params=["kept", "stripped"])
def proxied(request: pytest.FixtureRequest, jobs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The UI under `/pulpo`, over an API that asks for a token; gives the address of that."""
    target = "" if request.param == "kept" else "/"
    with api_on(jobs, free_port(), TOKENS) as api, showing(api, guarded=True, root="/pulpo") as behind:
        lines = location().replace(DOCUMENTED, behind.removesuffix("/pulpo") + target)
        with nginx(tmp_path_factory.mktemp("nginx"), lines) as address:
            yield f"{address}/pulpo"


@pytest.fixture
def inside(proxied: str, browser: Browser) -> Iterator[Page]:
    """A page of a visitor who has logged in."""
    with opened(browser) as page:
        page.goto(f"{proxied}/models")
        expect(page).to_have_url(f"{proxied}/login?next=%2Fmodels")
        page.get_by_label("Token").fill("letmein")
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(f"{proxied}/models")
        yield page


def test_pages_lead_to_each_other(proxied: str, inside: Page) -> None:
    for name, path in (("Operations", "/operations"), ("Runs", "/runs"), ("Services", "/services"), ("Manifest", "/manifest")):
        inside.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
        expect(inside).to_have_url(proxied + path)
        expect(inside.get_by_role("heading", level=1)).to_be_visible()
    outside = inside.evaluate(
        "[...document.querySelectorAll('[href], [src], [action], [hx-get]')]"
        ".flatMap((e) => ['href', 'src', 'action', 'hx-get'].map((name) => e.getAttribute(name)))"
        ".filter((to) => to?.startsWith('/') && !to.startsWith('/pulpo/'))"
    )
    assert outside == []


def test_it_is_live_there(inside: Page) -> None:
    expect(inside.locator("#live")).to_have_text("live")


def test_the_cookie_is_for_the_prefix_alone(inside: Page) -> None:
    (cookie,) = inside.context.cookies()
    assert cookie["path"] == "/pulpo"
    inside.get_by_role("button", name="Log out").click()
    expect(inside.get_by_label("Token")).to_be_visible()
    assert inside.context.cookies() == []


def test_the_prefix_itself_is_the_first_page(proxied: str, inside: Page) -> None:
    inside.goto(f"{proxied}/")
    expect(inside.get_by_role("navigation", name="Main").locator("[aria-current=page]")).to_have_text("Graph")
    assert httpx.get(f"{proxied}/models/").headers["location"] in ("/pulpo/models", f"{proxied}/models")
    assert httpx.get(f"{proxied}/health").text == "ok\n"


def test_events_are_not_held_back(proxied: str) -> None:
    cookies = {"pulpo_token": "letmein"}
    with httpx.stream("GET", f"{proxied}/events", headers={"Accept-Encoding": "gzip"}, cookies=cookies, timeout=5) as answer:
        assert "event: ready" in next(answer.iter_text())
