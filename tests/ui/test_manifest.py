"""The manifest in a browser: what is wrong with it, at its lines; what was edited by hand; and what a plan would do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.running import serving
from tests.cli.toys import Toys
from tests.ui.browser import accessible, opened, showing
from tests.ui.conftest import copied

pytestmark = pytest.mark.xdist_group("network")
#: Milliseconds that a plan may take on a machine with much else to do.
PLAN = 45_000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = copied("jobs", tmp_path_factory.mktemp("manifest") / "jobs")
    lock = directory / "pulpo.lock.yaml"
    text = lock.read_text().replace("    retries: 3\n", "    retries: 5\n    timeout: 30\n", 1)
    text = re.sub(r"  prefect:\n(    .*\n)*", "  prefect: {enabled: false}\n", text)
    text = re.sub(r"  worker: \{\}\n", "  worker: {enabled: false}\n", text)
    lock.write_text(text)
    return directory


@pytest.fixture
def lock(project: Path) -> Iterator[Path]:
    """The file, which is put back."""
    path = project / "pulpo.lock.yaml"
    before = path.read_text()
    yield path
    path.write_text(before)


@pytest.fixture(scope="module")
def ui(project: Path) -> Iterator[str]:
    with serving(project) as api, showing(api) as address:
        yield address


def line_of(lock: Path, text: str) -> int:
    return next(number for number, line in enumerate(lock.read_text().splitlines(), 1) if text in line)


@pytest.mark.parametrize("dark", [False, True])
def test_problems_come_first_and_lead_to_their_lines(browser: Browser, ui: str, lock: Path, dark: bool) -> None:
    lock.write_text(lock.read_text().replace("models:\n", "modles:\n", 1))
    number = line_of(lock, "modles:")
    with opened(browser, dark=dark) as page:
        page.goto(f"{ui}/manifest")
        expect(page.get_by_role("alert")).to_contain_text("the API answers by the last one that was right")
        problems = page.get_by_role("region", name="Problems")
        expect(problems).to_contain_text("error")
        expect(problems).to_contain_text("did you mean")
        accessible(page)
        problems.get_by_text("PLP101").first.click()
        expect(problems).to_contain_text("pulpo explain PLP101")
        problems.get_by_role("link", name=f"line {number}", exact=True).first.click()
        expect(page).to_have_url(f"{ui}/manifest#L{number}")
        line = page.locator(f"#L{number}")
        expect(line).to_be_in_viewport()
        expect(line).to_have_attribute("data-kind", "error")
        expect(line.locator("+ .note")).to_contain_text("PLP101")
        page.go_back()
        expect(page).to_have_url(f"{ui}/manifest")


def test_a_line_has_an_address_by_keyboard(ui: str, lock: Path, page: Page) -> None:
    number = line_of(lock, "retries: 5")
    page.goto(f"{ui}/manifest")
    page.locator(f"#L{number} a").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{ui}/manifest#L{number}")
    page.reload()
    expect(page.locator(f"#L{number}")).to_be_in_viewport()


@pytest.mark.parametrize("dark", [False, True])
def test_what_was_edited_by_hand_is_marked(browser: Browser, ui: str, lock: Path, dark: bool) -> None:
    with opened(browser, dark=dark) as page:
        page.goto(f"{ui}/manifest")
        expect(page.get_by_text("nothing is wrong")).to_be_visible()
        edits = page.get_by_role("region", name="Edited by hand")
        expect(edits.get_by_role("listitem")).to_have_count(2)
        expect(edits).to_contain_text("set by hand to 5: the decorator says 3")
        line = page.locator(f"#L{line_of(lock, 'retries: 5')}")
        expect(line).to_have_attribute("data-kind", "edited")
        expect(line.locator(".k")).to_have_text("retries:")
        accessible(page)


def test_what_the_file_says_is_text(ui: str, lock: Path, page: Page) -> None:
    lock.write_text(lock.read_text().replace("project:", "# <img src=x onerror=alert(1)> & \"'\nproject:", 1))
    page.goto(f"{ui}/manifest")
    expect(page.locator("#L4 code")).to_have_text("# <img src=x onerror=alert(1)> & \"'")
    shown = page.locator(".source code").all_text_contents()
    assert shown == lock.read_text().splitlines()


def test_another_file_is_noticed(ui: str, lock: Path, page: Page) -> None:
    page.goto(f"{ui}/manifest")
    expect(page.locator("#L1")).to_be_visible()
    lock.write_text("# the first line\n" + lock.read_text())
    page.get_by_role("link", name="Show it").click()
    expect(page.locator("#L1")).to_contain_text("# the first line")
    expect(page.get_by_role("link", name="Show it")).to_have_count(0)


def test_a_file_that_is_gone_is_told(ui: str, lock: Path, page: Page) -> None:
    text = lock.read_text()
    lock.unlink()
    page.goto(f"{ui}/manifest")
    expect(page.locator(".empty")).to_contain_text("The file can't be read")
    lock.write_text(text)


def test_ten_thousand_lines_stay_usable(ui: str, lock: Path, page: Page) -> None:
    more = "".join(f'  x-{number}: {{a: [1, 2], text: "some ${{HOME}} text"}} # {number}\n' for number in range(10_000))
    lock.write_text(lock.read_text().replace("models:\n", f"x-more:\n{more}models:\n", 1))
    page.goto(f"{ui}/manifest")  # the API reads it once
    began = time.perf_counter()
    page.goto(f"{ui}/manifest?again=1#L9000")
    expect(page.locator("#L9000")).to_be_in_viewport()
    assert time.perf_counter() - began < 8  # 0.6 s on a machine that does nothing else


@pytest.mark.parametrize("dark", [False, True])
def test_a_plan_is_a_tree_with_causes(browser: Browser, ui: str, dark: bool) -> None:
    with opened(browser, dark=dark) as page:
        page.goto(f"{ui}/manifest")
        page.get_by_role("link", name="What a plan would do").click()
        expect(page.get_by_text("Looking at services, the database and Prefect…")).to_be_visible()
        services = page.get_by_role("region", name="services")
        expect(services.get_by_role("listitem").first).to_contain_text("create service:api", timeout=PLAN)
        expect(services).to_contain_text("is not there")
        expect(services).to_contain_text("after service:api")
        expect(page.get_by_role("region", name="Notes")).to_contain_text("deployments are left alone")
        expect(page.locator("#plan")).to_contain_text("pulpo apply")
        accessible(page)


def test_a_plan_is_asked_for_by_keyboard_and_without_scripts(browser: Browser, ui: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{ui}/manifest/plan")
    page.get_by_role("link", name="Make the plan").press("Enter")
    expect(page.get_by_role("region", name="services")).to_contain_text("service:api", timeout=PLAN)
    context.close()


def test_without_a_plan_why_is_told(ui: str, lock: Path, page: Page) -> None:
    lock.write_text(lock.read_text().replace("models:\n", "modles:\n", 1))
    page.goto(f"{ui}/manifest/plan")
    expect(page.get_by_role("alert")).to_contain_text("PLP101", timeout=PLAN)
    expect(page.get_by_role("link", name="Look again")).to_be_visible()


def test_a_plan_tells_that_nothing_is_left_and_what_differs(browser: Browser, tmp_path: Path) -> None:
    toys = Toys(tmp_path)
    toys.lock('\n  web: {command: [python, server.py], ports: ["PORT"]}\n  prefect: {enabled: false}\n')
    toys("up")
    try:
        with serving(tmp_path) as api, showing(api) as address, opened(browser) as page:
            page.goto(f"{address}/manifest/plan")
            expect(page.locator("#plan")).to_contain_text("No changes: the world is as the manifest says", timeout=PLAN)
            accessible(page)
            page.goto(f"{address}/manifest")
            toys.services.stop("web")
            page.get_by_role("link", name="What a plan would do").click()
            expect(page.locator(".plan-fields")).to_contain_text("running", timeout=PLAN)
    finally:
        toys.end()
