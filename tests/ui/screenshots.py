"""The pictures of the documents: `python -m tests.ui.screenshots` draws them anew into docs/images; look at them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.ui.browser import ARGUMENTS, chromium, opened
from tests.ui.conftest import PULPO, copied

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PICTURES = {
    "graph": "/?run={run}",
    "records": "/models/CleanedJobs",
    "run": "/runs/{run}",
    "services": "/services",
    "manifest": "/manifest",
}


def main() -> None:
    """Draw them all, of the example `jobs` after a run."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        project = copied("jobs", Path(directory) / "jobs")
        with stack_of(project) as ui, sync_playwright() as playwright:
            run = json.loads(_pulpo(project, "runs", "list", "--format", "json"))[0]["id"]
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            for theme in ("light", "dark"):
                with opened(browser, dark=theme == "dark") as page:
                    for name, path in PICTURES.items():
                        page.goto(ui + path.format(run=run))
                        _draw(page, IMAGES / f"ui-{name}-{theme}.png")
            browser.close()


@contextlib.contextmanager
def stack_of(project: Path) -> Iterator[str]:
    """The project after a run, with its API and its UI up; gives the address of that."""
    _pulpo(project, "run", "pipeline")
    try:
        yield _pulpo(project, "ui", "start").strip()
    finally:
        _pulpo(project, "down")


def _pulpo(project: Path, *arguments: str) -> str:
    environment = {**os.environ, "PULPO_API_PORT": "auto", "PULPO_UI_PORT": "auto"}
    command = [PULPO, "-q", "--project", project, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def _draw(page: Page, path: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    expect(page.locator("#live")).to_have_text("live")
    page.wait_for_timeout(1500)  # until all is drawn
    page.screenshot(path=path)


if __name__ == "__main__":
    main()
