"""What all pages share: who may, what a page may do, what is said when something is wrong, and what keyboards do."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.ui.browser import accessible, opened, showing

pytestmark = pytest.mark.xdist_group("network")


@contextlib.contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Something else that speaks HTTP, in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


async def _nonsense(request: Request) -> Response:
    return JSONResponse({"other": "than an API says"})


@pytest.fixture(scope="module")
def broken() -> Iterator[str]:
    """The UI over something whose answers no page is prepared for."""
    with served(Starlette(routes=[Route("/{path:path}", _nonsense)])) as api, showing(api, root="/pulpo") as address:
        yield address


def test_says_so_where_the_api_does_not_answer(browser: Browser) -> None:
    with showing("http://127.0.0.1:9") as address, opened(browser, but="502") as page:
        answer = page.goto(f"{address}/models")
        assert answer is not None
        assert answer.status == 502
        expect(page.get_by_role("alert")).to_contain_text("the API does not answer: http://127.0.0.1:9")
        expect(page.get_by_role("alert")).to_contain_text("pulpo api start")
        expect(page.get_by_role("link", name="Try again")).to_have_attribute("href", "/models")
        accessible(page)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (HTMLResponse("<h1>Hello</h1>", 404), "this is not the API of a Pulpo project"),
        (JSONResponse({"detail": "busy"}, 503), "busy"),
    ],
)
def test_says_what_somebody_says_who_is_no_api(answer: Response, detail: str) -> None:
    async def same(request: Request) -> Response:
        return answer

    with served(Starlette(routes=[Route("/{path:path}", same)])) as api, showing(api) as address:
        assert detail in httpx.get(f"{address}/models").text


def test_what_fails_inside_is_told_without_its_frames(broken: str) -> None:
    answer = httpx.get(f"{broken}/models")
    assert answer.status_code == 500
    assert "this failed inside the UI" in answer.text
    assert "pulpo ui logs" in answer.text
    assert "Traceback" not in answer.text
    assert 'href="/pulpo/static/pulpo.css' in answer.text


def test_an_address_that_is_no_page_is_told(ui: str) -> None:
    answer = httpx.get(f"{ui}/nowhere/%3Cb%3E")
    assert answer.status_code == 404
    assert "there is no such page: /nowhere/%3Cb%3E" in answer.text
    assert httpx.get(f"{ui}/models/?a=b").headers["location"] == "/models?a=b"
    assert httpx.get(f"{ui}//example.org/").status_code == 404


def _answers(ui: str, broken: str) -> Iterator[httpx.Response]:
    for path in ("/", "/models", "/nowhere", "/static/pulpo.css", "/static/none.css", "/health", "/login", "/runs/none"):
        yield httpx.get(ui + path)
    yield httpx.get(f"{broken}/models")
    yield httpx.get(f"{ui}/models", headers={"Host": "example.org"})
    yield httpx.post(f"{ui}/logout", headers={"Sec-Fetch-Site": "cross-site"})
    yield httpx.post(f"{ui}/logout")
    yield httpx.request("BREW", f"{ui}/models")
    yield httpx.options(f"{ui}/models")
    yield httpx.head(f"{ui}/models")
    yield httpx.head(f"{ui}/events")


def test_every_answer_says_what_a_browser_may_do_with_it(ui: str, broken: str) -> None:
    for answer in _answers(ui, broken):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, answer.url
        assert "unsafe-inline" not in policy
        assert "'unsafe-eval'" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers or answer.headers["server"] == "uvicorn"  # of this test's server alone


def test_only_what_has_its_version_in_its_address_is_kept(ui: str) -> None:
    assert httpx.get(f"{ui}/models").headers["cache-control"] == "no-store"
    assert "no-store" in httpx.get(f"{ui}/static/pulpo.css").headers["cache-control"]
    assert "immutable" in httpx.get(f"{ui}/static/pulpo.css?v=1").headers["cache-control"]


def test_scripts_that_are_not_the_uis_do_not_run(ui: str, browser: Browser) -> None:
    with opened(browser, but="Content Security Policy") as page:
        page.goto(f"{ui}/models")
        page.evaluate(
            """() => {
              const script = document.createElement('script');
              script.textContent = 'window.injected = 1';
              document.body.append(script);
              const image = document.createElement('img');
              image.setAttribute('onerror', 'window.injected = 2');
              image.src = 'data:,none';
              document.body.append(image);
              const style = document.createElement('style');
              style.textContent = 'h1 { color: rgb(1, 2, 3) !important }';
              document.body.append(style);
            }"""
        )
        assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'went out', (error) => error.name)") == "TypeError"
        assert page.evaluate("window.injected") is None
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") != "rgb(1, 2, 3)"


def test_a_name_of_somebody_elses_is_not_answered_for(ui: str, api: str) -> None:
    for host in ("example.org", "evil.example:3000", "127.0.0.1.example.org", "ui:3000", "", "localhost@example.org"):
        answer = httpx.get(f"{ui}/models", headers={"Host": host})
        assert answer.status_code == 421, host
        assert "PULPO_UI_HOSTS" in answer.text
    for host in ("localhost", "localhost:3000", "127.0.0.1", "[::1]:3000"):
        assert httpx.get(f"{ui}/models", headers={"Host": host}).status_code == 200, host
    with showing(api, hosts=("pulpo.example.org",)) as named:
        assert httpx.get(f"{named}/models", headers={"Host": "pulpo.example.org:8443"}).status_code == 200
        assert httpx.get(f"{named}/models", headers={"Host": "example.org"}).status_code == 421
    with showing(api, open=True) as container:
        assert httpx.get(f"{container}/models", headers={"Host": "ui:3000"}).status_code == 200
        assert httpx.get(f"{container}/models", headers={"Host": "example.org"}).status_code == 421


def test_what_changes_something_comes_from_a_page_of_the_ui(ui: str) -> None:
    host = ui.removeprefix("http://")
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://example.org"},
        {"Origin": "null"},
    ):
        for method in ("POST", "PUT", "DELETE"):
            assert httpx.request(method, f"{ui}/logout", headers=headers).status_code == 403, headers
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": f"http://{host}"}, {}):
        assert httpx.post(f"{ui}/logout", headers=headers).status_code == 303, headers


def test_a_form_on_another_page_changes_nothing(ui: str, browser: Browser) -> None:
    async def evil(request: Request) -> Response:
        return HTMLResponse(f'<title>x</title><form method="post" action="{ui}/logout"><button>Free prizes</button></form>')

    with served(Starlette(routes=[Route("/", evil)])) as elsewhere, opened(browser, but="Failed to load") as page:
        page.goto(elsewhere)
        with page.expect_response(f"{ui}/logout") as answer:
            page.get_by_role("button").click()
        assert answer.value.status == 403


def test_methods_that_a_page_has_not(ui: str) -> None:
    assert httpx.request("BREW", f"{ui}/models").status_code == 405
    assert "DELETE /models" in httpx.delete(f"{ui}/models").text
    head, whole = httpx.head(f"{ui}/models"), httpx.get(f"{ui}/models")
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert httpx.head(f"{ui}/events", timeout=5).headers["content-type"].startswith("text/event-stream")


def test_addresses_that_are_long_or_strange_are_answered(ui: str) -> None:
    for path in (
        f"/models/{'x' * 20_000}",
        f"/models?q={'x' * 40_000}",
        "/models/%00",
        "/models/%ff",
        "/runs/%2e%2e%2fmodels",
        "/a%0d%0ab",
    ):
        assert httpx.get(ui + path).status_code < 500, path[:30]


def test_headers_that_no_header_can_hold_are_left_out(ui: str) -> None:
    headers = [(b"Cookie", b"pulpo_token=\xe9"), (b"X-Request-ID", b"\xe9"), (b"Last-Event-ID", b"\xe9")]
    assert httpx.get(f"{ui}/models", headers=headers).status_code == 200
    with httpx.stream("GET", f"{ui}/events", headers=headers) as events:
        assert events.status_code == 200


def test_pages_are_compressed_and_events_are_not_held_back(ui: str) -> None:
    with httpx.stream("GET", f"{ui}/static/pulpo.css", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert b":root" in gzip.decompress(b"".join(answer.iter_raw()))
    with httpx.stream("GET", f"{ui}/events", headers={"Accept-Encoding": "gzip"}, timeout=5) as answer:
        assert "content-encoding" not in answer.headers
        assert answer.headers["x-accel-buffering"] == "no"
        assert "event: ready" in next(answer.iter_text())


def test_the_first_key_leads_past_the_navigation(ui: str, page: Page) -> None:
    page.goto(f"{ui}/models")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_keys_go_through_the_header_in_its_order(ui: str, page: Page) -> None:
    page.goto(f"{ui}/models")
    names = []
    for _ in range(9):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent"))
    assert names == ["Skip to content", "Pulpo", "Graph", "Models", "Operations", "Flows", "Runs", "Services", "Manifest"]
    expect(page.get_by_role("navigation", name="Main").locator("[aria-current=page]")).to_have_text("Models")
    page.get_by_role("link", name="Runs").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{ui}/runs")
    page.go_back()
    expect(page).to_have_url(f"{ui}/models")


def test_what_has_the_keyboard_is_seen(ui: str, page: Page) -> None:
    page.goto(f"{ui}/models")
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
