"""The site builds with all links checked, and asks nobody for anything."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.docs.blocks import DOCS
from tests.ui.browser import ARGUMENTS, chromium

#: One worker builds the site.
pytestmark = pytest.mark.xdist_group("network")

#: What a browser fetches by itself, as opposed to links that somebody follows.
_FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]+)|<link\b(?=[^>]*\brel=\"?(?:stylesheet|icon|preload|preconnect))[^>]*\bhref=\"([^\"]+)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    # Not --quiet: what is not told is not counted, and a broken link would be fine.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", DOCS.parent / ".mkdocs.yml", "-d", directory]
    environment = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return directory


def test_no_page_fetches_anything_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        fetched = [one or other for one, other in _FETCHED.findall(page.read_text(encoding="utf-8"))]
        assert fetched
        assert [address for address in fetched if address.startswith(("http:", "https:", "//"))] == [], page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_no_page_has_what_would_be_fetched_when_it_is_read(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert 'class="mermaid"' not in text, page.name  # the theme fetches Mermaid then
        assert 'data-md-component="source"' not in text, page.name  # and asks GitHub for its stars


@pytest.fixture
def address(site):
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        """Say nothing."""


def test_a_reader_searches_and_the_browser_asks_nobody_else(address):
    asked = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/index.html")
        page.get_by_role("textbox", name="Search").press_sequentially("lineage")
        expect(page.locator(".md-search-result__link").first).to_be_visible(timeout=30_000)
        browser.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
