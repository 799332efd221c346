"""How long the UI takes to draw the graph of 300 operations: as it opens, folded, and with all flows open.

    python benchmarks/ui.py [ROUNDS]

Seconds from when a browser asks for the page until the last box is there, each time a new visitor with nothing in its cache;
medians, and beside them the API's `/graph` by itself, which a page waits for.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.api.running import serving
from tests.ui.big import big_project
from tests.ui.browser import ARGUMENTS, chromium, opened, showing

PULPO = str(Path(sys.executable).parent / "pulpo")
#: Seconds that a graph of 300 operations may take.
BAR = 2.0


def drawn(browser: Browser, address: str) -> float:
    with opened(browser) as page:
        page.goto(address)
        page.wait_for_function("performance.getEntriesByName('graph-drawn').length", timeout=60_000)
        return float(page.evaluate("performance.getEntriesByName('graph-drawn')[0].startTime")) / 1000


def asked(api: str) -> float:
    began = time.perf_counter()
    httpx.get(f"{api}/graph", params={"format": "json"}, timeout=60).raise_for_status()
    return time.perf_counter() - began


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        with serving(big_project(Path(directory), PULPO, 300)) as api, showing(api) as ui:
            times: dict[str, list[float]] = {"/graph of the API": [], "as it opens": [], "all open": []}
            for _ in range(rounds):
                times["/graph of the API"].append(asked(api))
                times["as it opens"].append(drawn(browser, f"{ui}/"))
                times["all open"].append(drawn(browser, f"{ui}/?open=*"))
        browser.close()
    for name, seconds in times.items():
        print(f"{name:20} {statistics.median(seconds):.2f} s   ({' '.join(f'{one:.2f}' for one in seconds)})")
    print(f"at most {BAR:g} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
