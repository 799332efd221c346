"""Where the API asks for a token: the UI asks for it, keeps it in the browser, and forgets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ports import free_port
from tests.ui.browser import accessible, opened, showing
from tests.ui.servers import api_on

pytestmark = pytest.mark.xdist_group("network")
#: All characters that a token may have and a cookie may not.
TOKEN = 'l;e,t"m\\e=in%20'
READ_TOKEN = "look-only"


@pytest.fixture(scope="module")
def guarded(jobs: Path) -> Iterator[str]:
    """The UI over an API that asks for a token."""
    tokens = {"PULPO_API_TOKEN": TOKEN, "PULPO_API_READ_TOKEN": READ_TOKEN}
    with api_on(jobs, free_port(), tokens) as api, showing(api, guarded=True) as address:
        yield address


def log_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize("token", [TOKEN, READ_TOKEN])
def test_leads_to_the_page_that_was_asked_for_and_out_again(guarded: str, page: Page, token: str) -> None:
    page.goto(f"{guarded}/runs?state=failed")
    expect(page).to_have_url(f"{guarded}/login?next=%2Fruns%3Fstate%3Dfailed")
    expect(page.get_by_label("Token")).to_be_focused()
    expect(page.get_by_role("navigation")).to_have_count(0)
    page.keyboard.type(token)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{guarded}/runs?state=failed")
    expect(page.locator("#live")).to_have_text("live")
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["expires"]) == (True, "Strict", "/", -1)
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{guarded}/login")
    assert page.context.cookies() == []
    page.goto(f"{guarded}/models")
    expect(page.get_by_label("Token")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_a_token_that_is_none_is_told(guarded: str, browser: Browser, dark: bool) -> None:
    with opened(browser, dark=dark, but="401") as page:
        page.goto(f"{guarded}/login")
        accessible(page)
        log_in(page, "wrong")
        expect(page.get_by_role("alert")).to_contain_text("token")
        expect(page.get_by_label("Token")).to_have_value("")
        accessible(page)
        log_in(page, "déjà vu")
        expect(page.get_by_role("alert")).to_contain_text("ASCII")
        assert page.context.cookies() == []


def test_who_may_only_look_is_told_so(guarded: str) -> None:
    cookies = {"pulpo_token": READ_TOKEN}
    assert httpx.get(f"{guarded}/models", cookies=cookies).status_code == 200
    answer = httpx.post(f"{guarded}/models/CleanedJobs/import", cookies=cookies, data={"records": "[]"})
    assert answer.status_code == 403, answer.text
    assert "this token may read, not write" in answer.text


@pytest.mark.parametrize(
    "back", ["https://example.org", "//example.org", "/\\example.org", "\t//example.org", "/\t/example.org", "javascript:x"]
)
def test_leads_nowhere_else(guarded: str, back: str) -> None:
    answer = httpx.post(f"{guarded}/login", data={"token": READ_TOKEN, "next": back})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


def test_the_cookie_goes_over_tls_alone_where_that_is_how_it_came(guarded: str) -> None:
    data = {"token": READ_TOKEN, "next": "/"}
    assert "secure" not in httpx.post(f"{guarded}/login", data=data).headers["set-cookie"].lower()
    answer = httpx.post(f"{guarded}/login", data=data, headers={"X-Forwarded-Proto": "https"})
    assert "secure" in answer.headers["set-cookie"].lower()


def test_nothing_is_shown_to_who_has_no_token(guarded: str) -> None:
    for path in ("/", "/models", "/operations", "/flows", "/runs", "/services", "/manifest"):
        answer = httpx.get(guarded + path)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login"), path
    assert httpx.get(f"{guarded}/events").status_code == 401
    assert httpx.get(f"{guarded}/models", headers={"Host": "pulpo.example.org"}).status_code == 303


def test_a_page_whose_token_is_no_longer_one_goes_to_the_login(guarded: str) -> None:
    answer = httpx.get(f"{guarded}/runs?state=failed", headers={"HX-Request": "true"}, cookies={"pulpo_token": "old"})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login?next=%2Fruns%3Fstate%3Dfailed"


def test_the_token_is_in_no_page_and_no_log(guarded: str, capfd: pytest.CaptureFixture[str]) -> None:
    answer = httpx.get(f"{guarded}/models", cookies={"pulpo_token": READ_TOKEN})
    assert READ_TOKEN not in answer.text
    assert READ_TOKEN not in "".join(capfd.readouterr())
