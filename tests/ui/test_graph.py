"""The page with the graph: what it shows, how one moves in it, and that it is live."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.api.running import serving
from tests.ui.big import big_project
from tests.ui.browser import accessible, opened, showing
from tests.ui.conftest import PULPO

pytestmark = pytest.mark.xdist_group("network")

ODD = """
import asyncio
from pathlib import Path

from pydantic import BaseModel

from pulpo import datamodel, operation

GO = Path(__file__).parent / "go"


@datamodel(key="id")
class One(BaseModel):
    id: str


@datamodel(key="id")
class Two(BaseModel):
    id: str


@datamodel(key="id")
class Three(BaseModel):
    id: str


@operation("a.x")
def x() -> One:
    return One(id="1")


@operation("b.y", retries=2, retry_delay=0, description="Waits to be told.")
async def y(one: One) -> Two:
    while not GO.exists():
        await asyncio.sleep(0.02)
    if GO.read_text() == "fail":
        raise ValueError("the tap is dry")
    return Two(id="2")


@operation("a.z")
def z(two: Two) -> Three:
    return Three(id="3")


@operation("mend")
def mend(three: Three) -> Three:
    return three
"""
GONE = """operations:
  a.gone:
    entrypoint: odd:gone
    async: false
    inputs: {}
    outputs: [{model: One}]
    orphaned: true
"""


def made(directory: Path, source: str) -> Path:
    """A project of one module, locked."""
    package = directory / "odd"
    package.mkdir(parents=True)
    (directory / "pyproject.toml").write_text('[project]\nname = "odd"\n[tool.pulpo]\nmodules = ["odd"]\n')
    (package / "__init__.py").write_text(source)
    subprocess.run([PULPO, "--project", directory, "lock"], check=True, capture_output=True)
    return directory


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose flow `a` is left and entered again, with an operation that waits, and one that left the code."""
    project = made(tmp_path_factory.mktemp("odd"), ODD)
    lock = project / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("\noperations:\n", "\n" + GONE, 1))
    return project


@pytest.fixture(scope="module")
def odd_api(odd: Path) -> Iterator[str]:
    with serving(odd) as address:
        yield address


@pytest.fixture(scope="module")
def odd_ui(odd_api: str) -> Iterator[str]:
    with showing(odd_api) as address:
        yield address


def drawn(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#graph[data-drawn]")).to_be_visible(timeout=15_000)


def box(page: Page, name: str) -> Locator:
    """The link of a box, or of a frame."""
    return page.get_by_role("link", name=name, exact=True)


def part(page: Page) -> list[float]:
    """The part of the picture that shows: x, y, width, height."""
    text = page.locator("#graph-canvas svg").get_attribute("viewBox")
    assert text
    return [float(number) for number in text.split()]


def titled(page: Page) -> Locator:
    """What the panel tells about."""
    return page.locator("#details-name")


# --------------------------------------------------------------------------------------------------------- what it shows


def test_models_and_operations_lie_in_their_flows_with_the_states_of_the_latest_run(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/")
    names = page.locator("#graph-canvas").get_by_role("link").evaluate_all("all => all.map(a => a.getAttribute('aria-label'))")
    assert sorted(names) == [
        "close flow parsing", "close flow scraping", "close flow scraping.linkedin", "close flow scraping.stepstone",
        "model CleanedJobs", "model RawJobs", "operation parsing.clean, completed", "operation scraping.linkedin.fetch, completed",
        "operation scraping.merge, completed", "operation scraping.stepstone.fetch, completed", "operation validate, completed",
    ]  # fmt: skip
    arrows = page.locator(".edge").evaluate_all("all => all.map(e => `${e.dataset.source} ${e.dataset.target}`)")
    assert sorted(arrows) == [
        "CleanedJobs validate", "RawJobs parsing.clean", "RawJobs scraping.merge", "parsing.clean CleanedJobs",
        "scraping.linkedin.fetch RawJobs", "scraping.merge CleanedJobs", "scraping.stepstone.fetch RawJobs",
    ]  # fmt: skip


def test_the_flow_goes_from_left_to_right(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/")
    way = [
        "operation scraping.linkedin.fetch, completed",
        "model RawJobs",
        "operation scraping.merge, completed",
        "model CleanedJobs",
    ]
    lefts = [bounds["x"] for name in way if (bounds := box(page, name).bounding_box())]
    assert lefts == sorted(lefts)
    assert len(set(lefts)) == 4


@pytest.mark.parametrize("dark", [False, True])
def test_is_accessible(ui: str, browser: Browser, dark: bool) -> None:
    with opened(browser, dark=dark) as page:
        for path in ("/", "/?at=scraping.merge", "/?open=&at=RawJobs", "/?find=fetch"):
            drawn(page, f"{ui}{path}")
            accessible(page)


def test_lies_under_a_prefix(api: str, page: Page) -> None:
    with showing(api, root="/pulpo") as address:
        drawn(page, f"{address}/?open=")
        box(page, "open flow scraping, completed").click()
        expect(page).to_have_url(f"{address}/?open=scraping&at=scraping")
        expect(titled(page)).to_have_text("scraping")
        details = page.get_by_role("complementary", name="Details")
        expect(details.get_by_role("link", name="Its page")).to_have_attribute("href", "/pulpo/flows/scraping")


def test_an_empty_project_says_what_to_do(tmp_path: Path, page: Page) -> None:
    with serving(made(tmp_path, "")) as api, showing(api) as address:
        page.goto(address)
        expect(page.locator(".empty")).to_contain_text("no operations and no models")
        expect(page.locator(".empty")).to_contain_text("pulpo lock")
        expect(page.get_by_role("heading", level=1)).to_have_text("Graph")
        accessible(page)


# ------------------------------------------------------------------------------------------------------- opened and closed


def test_flows_open_and_close_by_a_click_and_back_undoes_it(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/?open=")
    page.evaluate("window.same = true")
    box(page, "open flow scraping, completed").click()
    expect(page).to_have_url(re.compile(r"\?open=scraping&at=scraping$"))
    expect(box(page, "open flow scraping.linkedin, completed")).to_be_visible()
    expect(titled(page)).to_have_text("scraping")
    box(page, "close flow scraping").click()
    expect(box(page, "open flow scraping, completed")).to_be_visible()
    page.go_back()
    expect(box(page, "close flow scraping")).to_be_visible()
    page.go_back()
    expect(box(page, "open flow scraping, completed")).to_be_visible()
    expect(page.locator("#details")).to_be_hidden()
    assert page.evaluate("window.same")


def test_all_are_opened_and_closed_and_the_address_says_so(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/")
    page.get_by_role("link", name="Close all").click()
    expect(page).to_have_url(f"{ui}/?open=")
    expect(page.locator(".node")).to_have_count(4)
    expect(page.locator("#graph-count")).to_have_text("7 boxes, 5 in closed flows")
    page.get_by_role("link", name="Open all").press("Enter")
    expect(page).to_have_url(re.compile(r"\?open=(\*|%2A)$"))
    expect(page.locator(".node")).to_have_count(7)
    expect(page.locator("#graph-count")).to_have_text("7 boxes")
    page.reload()
    expect(page.locator(".node")).to_have_count(7)


def test_closed_flows_that_wait_for_each_other_are_drawn(odd_ui: str, page: Page) -> None:
    drawn(page, f"{odd_ui}/?open=")
    pairs = page.locator(".edge").evaluate_all("all => all.map(e => `${e.dataset.source} ${e.dataset.target}`)")
    assert sorted(pairs) == ["a b", "a mend", "b a", "mend a"]


def test_a_flow_that_is_left_and_entered_again_goes_from_left_to_right_all_the_same(odd_ui: str, page: Page) -> None:
    drawn(page, f"{odd_ui}/?open=*")
    lefts = page.locator(".node.operation").evaluate_all(
        "all => all.map(n => [n.getBoundingClientRect().x, n.dataset.key]).sort((a, b) => a[0] - b[0]).map(([, key]) => key)"
    )
    assert lefts == ["a.x", "b.y", "a.z", "mend"]


def test_what_is_at_a_link_shows_though_its_flow_would_be_closed(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/?open=parsing&at=parsing.clean")
    page.get_by_role("complementary", name="Details").get_by_role("link", name="scraping.linkedin.fetch").click()
    expect(page).to_have_url(re.compile("open=parsing,scraping,scraping.linkedin&at=scraping.linkedin.fetch"))
    expect(box(page, "operation scraping.linkedin.fetch, completed")).to_have_attribute("aria-current", "true")


# ------------------------------------------------------------------------------------------------------------- moving in it


def test_arrows_go_along_edges_and_enter_tells_about_a_box(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/")
    box(page, "operation scraping.stepstone.fetch, completed").focus()
    page.keyboard.press("ArrowRight")
    expect(box(page, "model RawJobs")).to_be_focused()
    expect(page.locator(".edge.near")).to_have_count(4)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(box(page, "model CleanedJobs")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(titled(page)).to_have_text("RawJobs")
    expect(box(page, "model RawJobs")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#details")).to_be_hidden()
    expect(box(page, "model RawJobs")).to_be_focused()


def test_up_and_down_go_to_the_nearest_box(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/")
    both = [box(page, f"operation scraping.{name}.fetch, completed") for name in ("linkedin", "stepstone")]
    upper, lower = sorted(both, key=lambda link: (link.bounding_box() or {"y": 0})["y"])
    upper.focus()
    page.keyboard.press("ArrowDown")
    expect(lower).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(upper).to_be_focused()


def test_tab_goes_through_the_boxes_from_left_to_right_and_enter_folds(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/?open=")
    box(page, "open flow scraping, completed").focus()
    page.keyboard.press("Tab")
    expect(box(page, "open flow parsing, completed")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box(page, "close flow parsing")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box(page, "open flow parsing, completed")).to_be_focused()


def test_zooms_by_keys_buttons_and_wheel_at_the_pointer(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/")
    whole = part(page)
    page.keyboard.press("+")
    assert part(page)[2] == pytest.approx(whole[2] / 1.25)
    page.keyboard.press("-")
    assert part(page) == pytest.approx(whole)
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Zoom in").click()
    assert part(page)[2] == pytest.approx(whole[2] / 1.25**2)
    page.keyboard.press("0")
    assert part(page) == pytest.approx(whole)
    merge = box(page, "operation scraping.merge, completed").locator("text")
    before = merge.bounding_box()
    assert before
    page.mouse.move(before["x"], before["y"])
    page.mouse.wheel(0, -100)
    expect(page.locator("#graph-canvas svg")).to_have_attribute("viewBox", re.compile(rf" {whole[2] / 1.25:.2f}"))
    after = merge.bounding_box()
    assert after
    assert after["width"] > before["width"] * 1.15
    assert (after["x"], after["y"]) == (pytest.approx(before["x"], abs=2), pytest.approx(before["y"], abs=2))
    page.get_by_role("button", name="Fit").click()
    assert part(page) == pytest.approx(whole)


def test_dragging_moves_the_picture_and_is_no_click(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/")
    raw = box(page, "model RawJobs")
    raw.hover()
    before = raw.bounding_box()
    assert before
    page.mouse.move(before["x"] + 20, before["y"] + 10)
    page.mouse.down()
    page.mouse.move(before["x"] + 70, before["y"] - 30, steps=5)
    page.mouse.up()
    after = raw.bounding_box()
    assert after
    assert after["x"] == pytest.approx(before["x"] + 50, abs=2)
    assert after["y"] == pytest.approx(before["y"] - 40, abs=2)
    expect(page).to_have_url(f"{ui}/")
    raw.click()
    expect(titled(page)).to_have_text("RawJobs")
    clicked = raw.bounding_box()
    assert clicked
    assert (clicked["x"], clicked["y"]) == (pytest.approx(after["x"], abs=4), pytest.approx(after["y"], abs=4))


def test_a_search_opens_what_hides_a_box(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/?open=")
    page.keyboard.press("/")
    page.keyboard.type("scraping.linkedin.fetch")
    page.keyboard.press("Enter")
    expect(box(page, "operation scraping.linkedin.fetch, completed")).to_be_visible()
    expect(page).to_have_url(f"{ui}/?open=scraping,scraping.linkedin&at=scraping.linkedin.fetch")
    expect(titled(page)).to_have_text("scraping.linkedin.fetch")
    page.go_back()
    expect(page.locator(".node")).to_have_count(4)


def test_a_search_that_means_several_lists_them_and_one_that_means_none_says_so(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/?open=")
    search = page.get_by_role("combobox", name="Find a box")
    search.fill("fetch")
    search.press("Enter")
    details = page.get_by_role("complementary", name="Details")
    expect(details.get_by_role("heading")).to_have_text("2 found")
    details.get_by_role("link", name="scraping.stepstone.fetch").click()
    expect(titled(page)).to_have_text("scraping.stepstone.fetch")
    expect(box(page, "operation scraping.stepstone.fetch, completed")).to_be_visible()
    search.fill("<b>nothing")
    search.press("Enter")
    expect(details).to_contain_text("has this in its name: <b>nothing")


# --------------------------------------------------------------------------------------------------------------- the panel


def test_an_operation_tells_its_signature_settings_source_and_runs(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/")
    box(page, "operation scraping.linkedin.fetch, completed").click()
    expect(page).to_have_url(f"{ui}/?at=scraping.linkedin.fetch")
    details = page.get_by_role("complementary", name="Details")
    expect(details).to_contain_text("keywords string = python")
    expect(details).to_contain_text("RawJobs")
    expect(details.get_by_role("row", name="retries 3 code")).to_be_visible()
    expect(details).to_contain_text("jobs/operations.py:")
    expect(details.locator(".graph-runs li")).to_contain_text(["pipeline"])
    box(page, "operation parsing.clean, completed").click()
    expect(details.get_by_role("listitem").first).to_contain_text(
        re.compile(r"raw\s+RawJobs\s+each\s+from scraping.linkedin.fetch, scraping")
    )
    expect(details.get_by_role("link", name="Its page")).to_have_attribute("href", "/operations/parsing.clean")


def test_a_model_tells_who_makes_and_takes_it_and_how_many_there_are(ui: str, api: str, page: Page) -> None:
    drawn(page, f"{ui}/?at=RawJobs")
    details = page.get_by_role("complementary", name="Details")
    count = httpx.get(f"{api}/models/RawJobs", params={"count": "exact"}).json()["count"]
    for term, value in {
        "Collection": "raw_jobs",
        "Key": "board, keywords",
        "Records": str(count),
        "Made by": "scraping.linkedin.fetch, scraping.stepstone.fetch",
        "Taken by": "parsing.clean, scraping.merge",
    }.items():
        expect(details.locator(f"dt:text-is('{term}') + dd")).to_have_text(value)
    expect(details.get_by_role("link", name="Records")).to_have_attribute("href", "/models/RawJobs")


def test_a_flow_tells_its_schedule_operations_and_runs(ui: str, page: Page) -> None:
    drawn(page, f"{ui}/?at=pipeline")
    details = page.get_by_role("complementary", name="Details")
    expect(titled(page)).to_have_text("pipeline")
    expect(details).to_contain_text("it runs when it is asked to")
    expect(details.locator(".graph-runs li").last).to_contain_text("completed")
    details.get_by_role("link", name="parsing.clean", exact=True).click()
    expect(titled(page)).to_have_text("parsing.clean")
    expect(page.get_by_role("link", name="Run…").first).to_have_attribute("href", "/flows/pipeline#run-title")


def test_a_flow_that_is_left_and_entered_again_tells_its_parts(odd_ui: str, page: Page) -> None:
    drawn(page, f"{odd_ui}/?at=a")
    expect(page.get_by_role("complementary", name="Details").locator("ol li")).to_have_text(["a.x", "a.z"])


def test_what_left_the_code_is_told_beside_the_graph(odd_ui: str, page: Page) -> None:
    drawn(page, f"{odd_ui}/")
    expect(page.locator("#graph-canvas")).not_to_contain_text("gone")
    page.get_by_role("link", name="a.gone").click()
    expect(titled(page)).to_have_text("a.gone")
    details = page.get_by_role("complementary", name="Details")
    expect(details).to_contain_text("no longer in the code")
    expect(details.get_by_role("link", name="Run…")).to_have_count(0)


def test_what_is_not_there_says_what_was_meant(ui: str, browser: Browser) -> None:
    with opened(browser, but="404") as page:
        answer = page.goto(f"{ui}/?at=scraping.marge")
        assert answer
        assert answer.status == 404
        expect(page.get_by_role("complementary", name="Details")).to_contain_text(
            "called scraping.marge, did you mean 'scraping.merge'?"
        )
        expect(page.locator("#graph[data-drawn]")).to_be_visible()


# -------------------------------------------------------------------------------------------------------------------- live


@pytest.fixture
def go(odd: Path) -> Iterator[Path]:
    """What the operation waits for: the file says whether it fails."""
    path = odd / "odd" / "go"
    yield path
    path.write_text("on")
    time.sleep(0.1)
    path.unlink()


def started(api: str) -> str:
    return str(httpx.post(f"{api}/flows/pipeline/run", json={}).json()["id"])


def ended(api: str, run: str) -> None:
    end = time.monotonic() + 30
    while httpx.get(f"{api}/runs/{run}").json()["state"] == "running":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_states_come_live_and_nothing_moves_and_a_closed_flow_wears_the_worst(
    odd_api: str, odd_ui: str, page: Page, go: Path
) -> None:
    drawn(page, f"{odd_ui}/?open=b")
    expect(page.locator("#live")).to_have_text("live")
    page.evaluate("document.querySelector('#graph-canvas svg').same = true")
    run = started(odd_api)
    expect(box(page, "operation b.y, running")).to_be_visible()
    expect(box(page, "open flow a, pending")).to_be_visible()
    expect(page.locator("#graph-run a")).to_have_text("running")
    go.write_text("fail")
    expect(box(page, "operation b.y, failed")).to_be_visible()
    expect(box(page, "open flow a, skipped").or_(box(page, "open flow a, pending"))).to_be_visible()
    expect(page.locator("#graph-run a")).to_have_text("failed")
    assert page.evaluate("document.querySelector('#graph-canvas svg').same")
    box(page, "operation b.y, failed").click()
    expect(page.get_by_role("group", name="Error")).to_contain_text("the tap is dry")
    expect(page.get_by_role("group", name="Error").get_by_role("link")).to_have_attribute("href", f"/runs/{run}")


def test_another_run_can_be_chosen_and_is_kept_in_the_address(odd_api: str, odd_ui: str, page: Page, go: Path) -> None:
    go.write_text("fail")
    failed = started(odd_api)
    ended(odd_api, failed)
    go.write_text("on")
    ended(odd_api, started(odd_api))
    drawn(page, f"{odd_ui}/?open=*")
    expect(box(page, "operation b.y, completed")).to_be_visible()
    page.get_by_label("Run", exact=True).select_option(failed)
    expect(box(page, "operation b.y, failed")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"run={failed}"))
    page.reload()
    expect(box(page, "operation b.y, failed")).to_be_visible()
    page.get_by_label("Run", exact=True).select_option("")
    expect(box(page, "operation b.y, completed")).to_be_visible()
    page.go_back()
    expect(box(page, "operation b.y, failed")).to_be_visible()


def test_a_run_that_is_not_there_is_told(ui: str, browser: Browser) -> None:
    with opened(browser, but="404") as page:
        page.goto(f"{ui}/?run=20200101-000000-0000000")
        expect(page.get_by_role("alert")).to_contain_text("there is no such run")


# -------------------------------------------------------------------------------------------------------------------- large


def seconds_to_draw(page: Page, address: str, boxes: int) -> float:
    """From when the page was asked for until all its boxes are there."""
    drawn(page, address)
    expect(page.locator(".node")).to_have_count(boxes)
    return float(page.evaluate("performance.getEntriesByName('graph-drawn')[0].startTime")) / 1000


def test_three_hundred_operations_are_drawn_within_two_seconds(tmp_path: Path, browser: Browser) -> None:
    project = big_project(tmp_path, PULPO, 300)
    with serving(project) as api, showing(api) as address:
        times: list[float] = []
        # The best of some: tests share the machine with others. All of it opened is measured by benchmarks/ui.py.
        while len(times) < 8 and min(times, default=9) > 2:
            with opened(browser) as page:
                times.append(seconds_to_draw(page, f"{address}/", 25))
        assert min(times) <= 2
        with opened(browser) as page:
            seconds_to_draw(page, f"{address}/?open=*", 375)
