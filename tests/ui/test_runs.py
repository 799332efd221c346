"""Runs: the list, a run's page while it goes on and when it failed, its log, going on with it, and two runs side by side."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Locator, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pulpo.run.logs import LoggedLine
from pulpo.run.record import LOGS, RUNS, STEPS, Counts, Process, RunRecord, State, StepRecord, step_id
from pulpo.store.base import Record
from pulpo.store.sqlite import SqliteStore
from pulpo.ui.comparing import compare
from pulpo.ui.timeline import AXIS, timeline
from tests.api.running import serving
from tests.ui.browser import accessible, opened, showing, tab_to
from tests.ui.conftest import copied

pytestmark = pytest.mark.xdist_group("network")
expect.set_options(timeout=15_000)
ZERO = dt.datetime(2026, 1, 31, 6, tzinfo=dt.UTC)


@contextlib.contextmanager
def held(project: Path) -> Iterator[Path]:
    """While the file is there, `catalogue.fetch` does not end."""
    hold = project / "hold"
    hold.touch()
    try:
        yield hold
    finally:
        hold.unlink(missing_ok=True)


def begun(api: str, path: str, **body: Any) -> str:
    answer = httpx.post(f"{api}{path}/run", json=body, timeout=30)
    answer.raise_for_status()
    return str(answer.json()["id"])


def over(api: str, run: str) -> dict[str, Any]:
    end = time.monotonic() + 20
    while (found := httpx.get(f"{api}/runs/{run}").json())["state"] in ("pending", "running"):
        assert time.monotonic() < end
        time.sleep(0.05)
    return dict(found)


def stored(project: Path, run: RunRecord, lines: int = 0) -> str:
    """A run as if it had been made."""

    async def store() -> None:
        async with SqliteStore(project / "run_cache" / "store.db") as to:
            await to.upsert_many(RUNS, [Record(run.id, run.data(), run=run.id)])
            await to.upsert_many(STEPS, [Record(step_id(run.id, s.operation), s.data(run.id), run=run.id) for s in run.steps])
            logged = [
                LoggedLine(run.id, n, run.operations[0], ZERO, "info" if n % 2 else "warning", "shop", f"line {n}")
                for n in range(lines)
            ]
            await to.upsert_many(LOGS, [line.record() for line in logged])

    with ThreadPoolExecutor(1) as thread:  # the browser's events have this one
        thread.submit(lambda: asyncio.run(store())).result()
    return run.id


def made_up(number: int, state: State = State.COMPLETED, steps: int = 1, **more: Any) -> RunRecord:
    names = tuple(f"old.step{n}" for n in range(steps))
    done = [
        StepRecord(
            name, "old:step", State.FAILED if n == steps // 2 and state is State.FAILED else State.COMPLETED,
            ZERO + dt.timedelta(seconds=n), ZERO + dt.timedelta(seconds=n + 2), 1, {"Product": Counts(1, 1, 1, 0, 0)}, (1,),
            error="ValueError: no" if n == steps // 2 and state is State.FAILED else None,
        )
        for n, name in enumerate(names)
    ]  # fmt: skip
    end = None if state is State.RUNNING else ZERO + dt.timedelta(seconds=steps + 2)
    return RunRecord(f"20260131-060000-{number:07x}", "old", state, ZERO, end, operations=names, steps=tuple(done), **more)


# --------------------------------------------------------------------------------------------------------------- the list


def test_the_list_is_live_and_filtered_by_the_address(shop: Path, shop_api: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/runs")
    expect(page.locator("#live")).to_have_text("live")
    with held(shop) as hold:
        run = begun(shop_api, "/operations/catalogue.fetch", parameters={"limit": 1})
        row = page.locator(f"[id='run-{run}']")
        expect(row).to_contain_text("running")
        hold.unlink()
        expect(row).to_contain_text("completed")
    page.get_by_label("State").select_option("failed")
    expect(row).to_have_count(0)
    expect(page).to_have_url(re.compile("state=failed"))
    page.go_back()
    expect(row).to_have_count(1)
    page.goto(f"{shop_ui}/runs?state=cancelled&since=hour&flow=report")
    expect(page.get_by_label("State")).to_have_value("cancelled")
    expect(page.locator(".empty")).to_contain_text("No run is like this")
    accessible(page)


def test_older_runs_are_on_further_pages(shop: Path, shop_ui: str, page: Page) -> None:
    for number in range(60):
        stored(shop, made_up(number))
    page.goto(f"{shop_ui}/runs?flow=old")
    expect(page.locator("#runs tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("#runs tbody tr")).to_have_count(10)
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("#runs tbody tr")).to_have_count(50)


def test_where_nothing_has_run_it_says_what_to_do(tmp_path: Path, page: Page) -> None:
    with serving(copied("jobs", tmp_path / "jobs")) as api, showing(api) as ui:
        page.goto(f"{ui}/runs")
        expect(page.locator(".empty")).to_contain_text("Nothing has run yet")
        accessible(page)


# ---------------------------------------------------------------------------------------------------------- while it runs


def test_progress_comes_by_itself_and_leaves_focus_scroll_and_details_alone(
    shop: Path,
    shop_api: str,
    shop_ui: str,
    page: Page,
) -> None:
    with held(shop) as hold:
        run = begun(shop_api, "/flows/pipeline", parameters={"limit": 40})
        page.goto(f"{shop_ui}/runs/{run}")
        expect(page.locator("#live")).to_have_text("live")
        expect(page.locator("#run .state")).to_have_text("running")
        expect(page.locator("#step-catalogue\\.fetch .bar.open")).to_have_count(1)
        again = page.get_by_role("link", name="Run again")
        again.focus()
        page.evaluate("window.scrollTo(0, 40)")
        at = page.evaluate("scrollY")
        hold.unlink()
        expect(page.locator("#run .state")).to_have_text("failed")
        expect(again).to_be_focused()
        assert page.evaluate("scrollY") == at
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_running_one_is_cancelled_after_a_question_and_gone_on_with(
    shop: Path,
    shop_api: str,
    shop_ui: str,
    page: Page,
) -> None:
    with held(shop) as hold:
        run = begun(shop_api, "/flows/catalogue", parameters={"limit": 2})
        page.goto(f"{shop_ui}/runs/{run}")
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#run .state")).to_have_text("running")
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Cancel").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#run .state")).to_have_text("cancelled")
        hold.unlink()
    page.get_by_role("button", name="Resume").click()
    expect(page).not_to_have_url(re.compile(run))
    expect(page.locator("#run .state")).to_have_text("completed")
    page.get_by_role("link", name=run).first.click()
    expect(page).to_have_url(f"{shop_ui}/runs/{run}")


def test_cancelling_what_is_over_says_so(shop_api: str, shop_ui: str) -> None:
    run = begun(shop_api, "/operations/catalogue.fetch", parameters={"limit": 1}, wait=10)
    answer = httpx.post(f"{shop_ui}/runs/{run}/cancel")
    assert answer.status_code == 409
    assert "the run is over, it is completed" in answer.text


# ------------------------------------------------------------------------------------------------------------ what failed


@pytest.fixture(scope="module")
def failed(shop_api: str) -> str:
    """A run that failed on the third product, which has no price."""
    return str(over(shop_api, begun(shop_api, "/flows/catalogue", parameters={"limit": 3}))["id"])


def test_the_error_comes_first_with_operation_record_and_field(failed: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/runs/{failed}")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("catalogue.offer failed")
    expect(alert).to_contain_text("Input should be a valid number")
    expect(alert.locator(".culprits")).to_have_text(re.compile(r"record Product [0-9a-f]+, field price of Offer"))
    assert alert.bounding_box()["y"] < page.get_by_role("table").bounding_box()["y"]  # type: ignore[index]
    record = alert.get_by_role("link", name="Product").get_attribute("href") or ""
    assert re.search(r"/models/Product/records/[0-9a-f]{24}$", record)
    assert httpx.get(shop_ui + record).status_code == 200


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1440, 800])
def test_a_failed_run_is_accessible(failed: str, shop_ui: str, browser: Browser, dark: bool, width: int) -> None:
    with opened(browser, dark=dark) as page:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{shop_ui}/runs/{failed}")
        accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("by_keyboard", [False, True])
def test_what_failed_leads_to_its_record_which_is_mended_and_the_run_goes_on(
    shop_api: str, shop_ui: str, page: Page, by_keyboard: bool
) -> None:
    def press(target: Locator) -> None:
        if not by_keyboard:
            target.click()
            return
        tab_to(page, target)
        page.keyboard.press("Enter")

    run = over(shop_api, begun(shop_api, "/flows/catalogue", parameters={"limit": 3}))["id"]
    page.goto(f"{shop_ui}/runs/{run}")
    expect(page.locator("#run .state")).to_have_text("failed")
    expect(page.locator("#step-catalogue\\.offer .badge")).to_have_text("failed")
    press(page.get_by_role("alert").get_by_role("link", name="Product"))
    expect(page.get_by_role("heading", level=1)).to_have_text("p2")
    price = page.locator("form.schema [name=price]")
    if by_keyboard:
        tab_to(page, price)
        page.keyboard.type("12.5")
    else:
        price.fill("12.5")
    press(page.get_by_role("button", name="Save"))
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.goto(f"{shop_ui}/runs/{run}")
    press(page.get_by_role("button", name="Resume"))
    expect(page).not_to_have_url(re.compile(run))
    expect(page.locator("#run .state")).to_have_text("completed")
    expect(page.locator("#step-catalogue\\.offer")).to_contain_text("3 Offer")
    (offer,) = httpx.get(f"{shop_api}/models/Offer/records", params={"sku": "p2"}).json()["items"]
    assert offer["price"] == 12.5


def test_a_run_is_made_again_with_its_parameters(failed: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/runs/{failed}")
    page.get_by_role("link", name="Run again").click()
    expect(page.get_by_label("limit")).to_have_value("3")
    page.get_by_label("limit").fill("1")
    page.get_by_label("limit").press("Enter")
    expect(page.locator("#run .state")).to_have_text("completed")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("row", name="Parameter limit")).to_have_count(1)


def test_two_runs_stand_side_by_side(failed: str, shop_api: str, shop_ui: str, page: Page) -> None:
    good = over(shop_api, begun(shop_api, "/flows/catalogue", parameters={"limit": 1}))["id"]
    page.goto(f"{shop_ui}/runs/{failed}")
    page.locator("#compare + form select").select_option(good)
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("tr.differs", has_text="catalogue.offer")).to_contain_text("Input should be a valid number")
    expect(page.get_by_role("row", name="Parameter limit")).to_contain_text("3")
    accessible(page)
    page.get_by_role("link", name="Show only what differs").click()
    expect(page).to_have_url(re.compile("only"))


def test_what_one_opened_stays_open(shop: Path, shop_ui: str, page: Page) -> None:
    run = made_up(0xDE7A11, State.FAILED)
    long = "\n".join(["ValueError: no", *(f"  shop.py:{n} in made" for n in range(20))])
    stored(shop, dataclasses.replace(run, steps=(dataclasses.replace(run.steps[0], error=long),)))
    page.goto(f"{shop_ui}/runs/{run.id}")
    page.get_by_text("Where").click()
    for _ in range(2):  # when the second is asked for, the first is in the page
        with page.expect_response(lambda answer: run.id in answer.url):
            page.evaluate("document.getElementById('run').dispatchEvent(new CustomEvent('this-run'))")
    expect(page.locator("details pre")).to_be_visible()


QUEUED = {
    "id": "6f1f9a4e-0a0e-4c0d-9a43-000000000001", "flow": "catalogue", "state": "pending", "started": None, "finished": None,
    "error": None, "engine": "prefect", "flow_run": "6f1f9a4e-0a0e-4c0d-9a43-000000000001", "resumed_from": None,
    "selection": None, "process": None, "parameters": {}, "inputs": {}, "steps": [],
}  # fmt: skip


def test_a_run_that_is_queued_on_prefect_says_so_and_can_be_cancelled(shop_api: str) -> None:
    """There is no Prefect server here: what the API says of such a run is put in its place."""

    async def answer(request: Request) -> Response:
        if request.url.path == f"/runs/{QUEUED['id']}":
            return JSONResponse(QUEUED)
        found = await asyncio.to_thread(httpx.get, f"{shop_api}{request.url.path}?{request.url.query}")
        return Response(found.content, found.status_code, media_type=found.headers["content-type"])

    app = Starlette(routes=[Route("/events", lambda _: Response(status_code=503)), Route("/{path:path}", answer)])
    with served(uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))) as api, showing(api) as ui:
        page_of = httpx.get(f"{ui}/runs/{QUEUED['id']}")
        assert page_of.status_code == 200
        assert "queued on Prefect, until a worker takes it" in page_of.text
        assert 'class="danger"' in page_of.text


@contextlib.contextmanager
def served(server: uvicorn.Server) -> Iterator[str]:
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < end
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def test_a_crashed_run_says_what_is_known_and_can_be_gone_on_with(shop: Path, shop_ui: str, page: Page) -> None:
    gone = Process.current()
    gone = Process(gone.host, gone.pid, gone.created + 1)
    steps = (
        StepRecord("catalogue.fetch", "shop:fetch", State.COMPLETED, ZERO, ZERO + dt.timedelta(seconds=5)),
        StepRecord("catalogue.offer", "shop:offer", State.RUNNING, ZERO + dt.timedelta(seconds=5)),
    )
    names = tuple(step.operation for step in steps)
    run = RunRecord("20260131-060000-fffffff", "catalogue", State.RUNNING, ZERO, operations=names, process=gone, steps=steps)
    stored(shop, run)
    page.goto(f"{shop_ui}/runs/{run.id}")
    expect(page.get_by_role("alert")).to_contain_text("The process that executed it is gone")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    row = page.locator("#step-catalogue\\.offer")
    expect(row.locator(".badge")).to_have_text("crashed")
    expect(row.locator("td.num")).to_have_text("")
    expect(row.locator(".bar.open")).to_have_count(0)
    page.locator("#run").get_by_role("link", name="Graph").click()
    expect(page.get_by_role("link", name="operation catalogue.offer, crashed")).to_be_visible()


def test_a_run_of_what_the_manifest_has_no_more_is_shown_and_not_offered_again(shop: Path, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/runs/{stored(shop, made_up(0xABCDEF, State.FAILED))}")
    expect(page.locator("main")).to_contain_text("The manifest has nothing of the name old any more")
    expect(page.get_by_role("link", name="Run again")).to_have_count(0)
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    expect(page.get_by_role("alert")).to_contain_text("ValueError: no")


def test_a_thousand_steps_stay_light(shop: Path, shop_ui: str, page: Page) -> None:
    run = stored(shop, made_up(0xFACADE, State.FAILED, steps=1000))
    answer = httpx.get(f"{shop_ui}/runs/{run}")
    assert len(answer.content) < 400_000
    page.goto(f"{shop_ui}/runs/{run}")
    expect(page.locator(".steps tbody tr")).to_have_count(200)
    assert page.evaluate("document.querySelectorAll('*').length") < 6000
    page.get_by_role("link", name="failed 1").click()
    expect(page.locator(".steps tbody tr")).to_have_count(1)
    page.goto(f"{shop_ui}/runs/{run}")
    page.get_by_role("link", name=re.compile("^801")).click()
    expect(page.locator("#step-old\\.step999")).to_have_count(1)


# ------------------------------------------------------------------------------------------------------------------- logs


def test_the_log_is_filtered_and_escaped(failed: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/runs/{failed}")
    lines = page.locator("#lines > div")
    expect(page.locator("#lines")).to_contain_text("an offer of <b>p0</b>")
    page.get_by_label("Level").select_option("warning")
    expect(page.locator("#lines")).not_to_contain_text("product 0")
    expect(page).to_have_url(re.compile("level=warning"))
    page.get_by_role("combobox", name="Operation").select_option("catalogue.fetch")
    expect(lines).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Level")).to_have_value("warning")


def test_the_log_follows_at_its_end_and_stays_where_one_reads(shop: Path, shop_api: str, shop_ui: str, page: Page) -> None:
    with held(shop) as hold:
        run = begun(shop_api, "/flows/catalogue", parameters={"limit": 120})
        page.goto(f"{shop_ui}/runs/{run}")
        lines = page.locator("#lines")
        expect(lines).to_contain_text("product 119")
        expect(page.locator("#live")).to_have_text("live")
        page.wait_for_function("lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 2")
        hold.unlink()
        expect(lines).to_contain_text("an offer of")
        page.wait_for_function("lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 2")
    with held(shop) as hold:
        run = begun(shop_api, "/flows/catalogue", parameters={"limit": 120})
        page.goto(f"{shop_ui}/runs/{run}")
        expect(lines).to_contain_text("product 119")
        expect(page.locator("#live")).to_have_text("live")
        page.evaluate("lines.scrollTop = 50")
        hold.unlink()
        expect(lines).to_contain_text("an offer of")
        assert page.evaluate("lines.scrollTop") == 50


def test_of_a_long_log_the_page_has_the_end_and_another_page_all(shop: Path, shop_ui: str, page: Page) -> None:
    run = stored(shop, made_up(0xBEEF), lines=2500)
    page.goto(f"{shop_ui}/runs/{run}")
    expect(page.locator("#lines > div")).to_have_count(500)
    expect(page.locator("#lines > div").last).to_contain_text("line 2499")
    expect(page.get_by_text("times in UTC")).to_be_visible()
    page.get_by_role("link", name="All lines").click()
    expect(page.locator(".lines > div").first).to_contain_text("line 0")
    expect(page.get_by_text("times in UTC")).to_be_visible()
    page.get_by_role("link", name="Later lines").click()
    expect(page.locator(".lines > div").first).to_contain_text("line 1000")


# --------------------------------------------------------------------------------------------------------------- timeline


def a_run(*steps: tuple[float, float | None], end: float | None) -> dict[str, Any]:
    def at(seconds: float | None) -> str | None:
        return None if seconds is None else (ZERO + dt.timedelta(seconds=seconds)).isoformat()

    told = [
        {"operation": str(n), "started": at(start), "finished": at(done), "state": "running" if done is None else "completed"}
        for n, (start, done) in enumerate(steps)
    ]
    return {"started": at(0), "finished": at(end), "steps": told, "state": "running" if end is None else "completed"}


def test_bars_lie_on_the_axis_as_the_steps_in_time() -> None:
    found = timeline(a_run((0, 5), (5, 10), (0, 10), end=10), ZERO)
    assert [(bar.begin, bar.length, bar.took) for bar in found.bars.values()] == [(0, 50, 5), (50, 50, 5), (0, 100, 10)]
    assert [(mark.at, mark.label) for mark in found.marks][:3] == [(0, "0"), (20, "2.0 s"), (40, "4.0 s")]
    assert found.folds == ()


def test_what_runs_still_runs_until_now() -> None:
    found = timeline(a_run((0, 5), (5, None), end=None), ZERO + dt.timedelta(seconds=20))
    assert (found.bars["1"].length, found.bars["1"].open, found.bars["0"].open) == (75, True, False)


def test_what_crashed_ends_where_its_run_was_last_heard_of() -> None:
    run = a_run((0, 5), (2, None), end=None)
    run["state"] = run["steps"][1]["state"] = "crashed"
    found = timeline(run, ZERO + dt.timedelta(days=1))
    assert (found.bars["1"].begin, found.bars["1"].length, found.bars["1"].open) == (40, 60, False)


def test_time_in_which_nothing_ran_is_folded() -> None:
    found = timeline(a_run((0, 10), (3610, 3620), end=3620), ZERO)
    [fold] = found.folds
    assert fold.idle == 3600
    assert found.bars["0"].length == pytest.approx(found.bars["1"].length)
    assert found.bars["0"].length > 40


def test_a_run_that_has_not_begun_has_no_timeline() -> None:
    assert timeline({"started": None, "finished": None, "steps": [], "state": "pending"}, ZERO).bars == {}
    assert timeline(a_run(end=0), ZERO).bars == {}


times = st.floats(0, 1e6, allow_nan=False)


@given(st.lists(st.tuples(times, st.one_of(times, st.none())), max_size=8), st.one_of(times, st.none()))
def test_whatever_the_times_are_all_is_on_the_axis(steps: list[tuple[float, float | None]], end: float | None) -> None:
    found = timeline(a_run(*steps, end=end), ZERO + dt.timedelta(days=1))
    assert len(found.bars) == len(steps)
    assert len(found.marks) < 100
    for bar in found.bars.values():
        assert bar.length > 0
        assert -0.01 <= bar.begin <= bar.begin + bar.length <= AXIS + 0.01
    assert all(-0.01 <= mark.at <= AXIS + 0.01 for mark in found.marks)
    assert all(fold.begin + fold.length <= AXIS + 0.01 for fold in found.folds)


# -------------------------------------------------------------------------------------------------------------- comparing


def test_a_comparison_says_what_differs_and_no_more() -> None:
    def step(operation: str, seconds: float, **more: Any) -> dict[str, Any]:
        run = a_run((0, seconds), end=seconds)["steps"][0]
        return {**run, "operation": operation, "state": "completed", "error": None, "counts": {}, **more}

    a = {"steps": [step("a", 1), step("b", 3)], "parameters": {"x": 1, "y": None}, "inputs": {}}
    b = {"steps": [step("a", 1.2), step("b", 1), step("c", 1)], "parameters": {"x": 1}, "inputs": {"a.job": "file"}}
    found = compare(a, b)
    assert [(row.operation, row.differs, row.longer) for row in found.rows] == [
        ("a", False, None),
        ("b", True, 2),
        ("c", True, None),
    ]
    assert [(given.name, given.a, given.b) for given in found.parameters] == [("y", (None,), ())]
    assert [(given.name, given.a, given.b) for given in found.inputs] == [("a.job", (), ("file",))]
