"""A browser on the UI: pages that must not complain, ask anything outside, or be hard to use."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from pulpo.ui.app import create_app
from pulpo.ui.settings import Settings

#: Debian's Chromium, as root, asking nobody for anything by itself.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium() -> str:
    """The browser: Debian's build for use without a display where it is there, whose pages cost half the time."""
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    assert path, "no chromium: apt-get install chromium-headless-shell"
    return path


@dataclass
class Complaints:
    """What a page must not do."""

    console: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", lambda m: self.console.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.console.append(f"pageerror: {error}"))
        page.on(
            "request",
            lambda r: self.outside.append(r.url) if urlsplit(r.url).hostname not in (None, "127.0.0.1", "localhost") else None,
        )

    def none(self, *, but: str = "\0") -> None:
        """Nothing was wrong; `but` is in complaints that are meant, such as of an answer that is a 422."""
        said = [text for text in self.console if but not in text]
        assert said == [], said
        assert self.outside == [], self.outside


@contextlib.contextmanager
def opened(browser: Browser, *, dark: bool = False, but: str = "\0") -> Iterator[Page]:
    """A page of a new visitor; at the end it must not have complained."""
    context: BrowserContext = browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    context.set_default_timeout(15_000)
    complaints = Complaints()
    context.on("page", complaints.watch)
    try:
        yield context.new_page()
        complaints.none(but=but)
    finally:
        context.close()


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until it is there."""
    expect(target).to_be_visible()
    for _ in range(300):
        page.keyboard.press("Tab")
        if target.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"Tab does not get to it: {target}")


def accessible(page: Page) -> None:
    """No serious finding of axe."""
    found = Axe().run(page).response["violations"]
    serious = [
        f"{v['id']} ({v['impact']}): {[node['html'] for node in v['nodes']][:3]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert serious == [], serious


@contextlib.contextmanager
def showing(api: str, *, wrap: Callable[[Any], Any] = lambda app: app, **settings: object) -> Iterator[str]:
    """The UI over an API, in a thread; gives its address. `wrap` puts something of the test's around the application."""
    made = Settings.model_validate({"api": api, **settings})
    server = uvicorn.Server(
        uvicorn.Config(wrap(create_app(made)), host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the UI did not start"
        assert time.monotonic() < end, "the UI did not start in time"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}{made.root}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
