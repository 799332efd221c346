"""The stream of events: one for all tabs, gone and back, and not in the way of anything."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ports import free_port
from tests.ui.browser import opened, showing
from tests.ui.servers import api_on

pytestmark = pytest.mark.xdist_group("network")


class Counted:
    """An application, and how many streams of events are open now."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.open = 0
        self.most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        counts = scope["type"] == "http" and scope["path"].endswith("/events")
        self.open += counts
        self.most = max(self.most, self.open)
        try:
            await self._app(scope, receive, send)
        finally:
            self.open -= counts


def test_nine_tabs_share_one_stream(api: str, browser: Browser) -> None:
    counted: list[Counted] = []

    def wrap(app: Any) -> Any:
        counted.append(Counted(app))
        return counted[0]

    with showing(api, wrap=wrap) as address, opened(browser) as first:
        tabs = [first, *(first.context.new_page() for _ in range(8))]
        for tab in tabs:
            tab.goto(f"{address}/models")
        for tab in tabs:
            expect(tab.locator("#live")).to_have_text("live")
        assert counted[0].most == 1
        tabs[8].goto(f"{address}/runs")
        expect(tabs[8].locator("#live")).to_have_text("live")


def test_without_shared_workers_each_tab_has_its_own(ui: str, page: Page) -> None:
    page.add_init_script("delete window.SharedWorker")
    page.goto(f"{ui}/models")
    expect(page.locator("#live")).to_have_text("live")


def test_an_api_that_was_away_is_told_and_what_was_missed_is_fetched(jobs: Path, browser: Browser) -> None:
    port = free_port()
    with showing(f"http://127.0.0.1:{port}") as address, opened(browser, but="50") as page:
        with api_on(jobs, port):
            page.goto(f"{address}/runs")
            expect(page.locator("#live")).to_have_text("live")
            page.evaluate("document.body.addEventListener('pulpo:back', () => { document.body.dataset.back = 'yes' })")
        expect(page.locator("#live")).to_have_text("reconnecting…")
        expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
        with api_on(jobs, port):
            expect(page.locator("#live")).to_have_text("live", timeout=20_000)
            expect(page.locator("body")).to_have_attribute("data-back", "yes")


def test_a_part_that_can_not_be_had_leaves_the_page_as_it_is(jobs: Path, browser: Browser) -> None:
    port = free_port()
    with showing(f"http://127.0.0.1:{port}") as address, opened(browser, but="502") as page:
        with api_on(jobs, port):
            page.goto(f"{address}/models")
            heading = page.get_by_role("heading", level=1).inner_text()
            page.evaluate(
                """() => {
                  const main = document.querySelector('main');
                  main.setAttribute('hx-get', location.pathname);
                  main.setAttribute('hx-trigger', 'asked');
                  main.setAttribute('hx-select', 'main');
                  main.setAttribute('hx-swap', 'outerMorph');
                  htmx.process(main);
                }"""
            )
        with page.expect_response(f"{address}/models") as answer:
            page.evaluate("document.querySelector('main').dispatchEvent(new CustomEvent('asked'))")
        assert answer.value.status == 502
        page.wait_for_timeout(200)  # for what must not happen
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def test_a_visitor_who_leaves_keeps_no_connection_to_the_api(jobs: Path) -> None:
    def connections(api: str) -> int:
        port = int(api.rpartition(":")[2])
        return sum(bool(c.raddr) and c.raddr.port == port for c in psutil.Process().net_connections("tcp"))

    with api_on(jobs, free_port()) as api, showing(api) as address:
        for _ in range(3):
            with httpx.Client() as visitor, visitor.stream("GET", f"{address}/events") as stream:
                assert next(stream.iter_raw())
        end = time.monotonic() + 10
        while connections(api):
            assert time.monotonic() < end, f"{connections(api)} connections are left"
            time.sleep(0.05)
