"""Operations and flows: what there is, running it with a form, what is wrong at its fields, and what runs next."""

from __future__ import annotations

import datetime as dt
import re

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from pulpo.ui.starting import schema_of
from tests.ui.browser import accessible, opened

pytestmark = pytest.mark.xdist_group("network")
expect.set_options(timeout=15_000)


def is_run(page: Page) -> None:
    expect(page).to_have_url(re.compile(r"/runs/\d{8}-\d{6}-[0-9a-f]{7}$"))


# ------------------------------------------------------------------------------------------------------------------ lists


def test_operations_stand_under_their_flows_and_are_filtered_as_one_types(ui: str, page: Page) -> None:
    page.goto(f"{ui}/operations")
    rows = page.locator("tbody tr:not(.group)")
    expect(rows).to_have_count(5)
    expect(page.get_by_role("rowheader", name="scraping.linkedin")).to_be_visible()
    expect(page.get_by_role("row", name="clean").first).to_contain_text("completed")
    page.keyboard.press("/")
    page.keyboard.type("stepstone.f")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(f"{ui}/operations?q=stepstone.f")
    accessible(page)
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.locator(".empty")).to_contain_text("No operation is like this")
    page.goto(f"{ui}/operations?q=stepstone.f")
    expect(rows).to_have_count(1)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("path", ["/operations", "/operations/report.print", "/flows", "/flows/catalogue"])
def test_pages_are_accessible(shop_ui: str, browser: Browser, path: str, dark: bool) -> None:
    with opened(browser, dark=dark) as page:
        page.goto(shop_ui + path)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        accessible(page)


def test_flows_are_nested_and_say_what_runs_next(shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/flows")
    row = page.locator("#flow-catalogue")
    expect(row).to_contain_text("0 6 * * * in Europe/Berlin")
    expect(row).to_contain_text("nightly")
    coming = page.locator("h2#next + .scroll tbody tr")
    expect(coming).to_have_count(1)
    at = coming.locator("time").first.get_attribute("datetime")
    assert at is not None
    assert dt.datetime.fromisoformat(at) > dt.datetime.now(dt.UTC)
    expect(coming).to_contain_text("06:00")
    expect(page.locator("main")).to_contain_text("report: every 90 minutes, counted from when it was deployed")
    page.get_by_role("link", name="catalogue").first.click()
    expect(page.locator("ol time")).to_have_count(5)


def test_where_nothing_has_a_schedule_it_says_how(ui: str, page: Page) -> None:
    page.goto(f"{ui}/flows")
    expect(page.locator("main")).to_contain_text("Nothing has a schedule")
    expect(page.locator("#flow-scraping\\.linkedin th")).to_have_class("nested-1")


# ---------------------------------------------------------------------------------------------------------------- running


def test_an_operation_is_run_with_a_form_and_shows_what_it_made(shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/operations")
    page.get_by_role("link", name="fetch").click()
    page.get_by_label("limit").fill("2")
    page.get_by_label("market").select_option(label="fr")
    page.get_by_role("button", name="Run").click()
    is_run(page)
    expect(page.locator("#run .state")).to_have_text("completed")
    expect(page.locator("#lines")).to_contain_text("product 1 in fr")
    made = page.locator(".made a")
    expect(made).to_have_text("2 Product")
    run = page.url.rpartition("/")[2]
    assert (made.get_attribute("href") or "").endswith(f"/models/Product?_run={run}")
    expect(page.locator("#step-catalogue\\.fetch")).to_contain_text("2 new")


def test_a_required_parameter_that_is_missing_is_told_at_its_field(shop_ui: str, browser: Browser) -> None:
    with opened(browser, but="422") as page:
        page.goto(f"{shop_ui}/operations/catalogue.fetch")
        page.get_by_label("market").select_option(label="fr")
        page.get_by_role("button", name="Run").click()
        field = page.get_by_label("limit")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_role("alert")).to_contain_text("limit")
        expect(page.get_by_label("market")).to_have_value('"fr"')
        accessible(page)
        field.fill("many")
        page.keyboard.press("Enter")
        expect(page.get_by_label("limit")).to_have_value("many")
        expect(page.get_by_label("limit")).to_have_attribute("aria-invalid", "true")
        page.get_by_label("limit").fill("1")
        page.keyboard.press("Enter")
        is_run(page)


def test_records_are_pasted_for_what_it_takes_and_told_where_they_are_wrong(shop_ui: str, browser: Browser) -> None:
    with opened(browser, but="422") as page:
        page.goto(f"{shop_ui}/operations/report.print")
        text = page.get_by_label("Offer as JSON")
        expect(text).to_be_hidden()
        page.get_by_label("Offer", exact=True).select_option("records")
        text.fill('[{"sku": "a", "price": 1}, {"sku": "b"}]')
        page.get_by_role("button", name="Run").click()
        expect(page.locator(".origin .error")).to_have_text(re.compile("record 2, price: "))
        text.fill('{"sku": "a"')
        page.get_by_role("button", name="Run").click()
        expect(page.locator(".origin .error")).to_contain_text("this is no JSON")
        text.fill('{"sku": "a", "price": 1}\n{"sku": "b", "price": 2}')
        page.get_by_role("button", name="Run").click()
        is_run(page)
        expect(page.locator("#run .state")).to_have_text("completed")
        expect(page.locator("#run")).to_contain_text("records that were given")
        page.get_by_role("link", name="Run again").click()
        expect(page.locator(".notice")).to_contain_text("choose where they come from")


@pytest.mark.parametrize("flow", ["scraping.linkedin", "scraping"])
def test_a_flow_leads_to_itself_in_the_graph(ui: str, page: Page, flow: str) -> None:
    page.goto(f"{ui}/flows/{flow}")
    page.get_by_role("link", name="Graph", exact=True).last.click()
    expect(page.locator("#details-name")).to_have_text(flow)
    expect(page.get_by_role("link", name=f"close flow {flow}", exact=True)).to_be_in_viewport()
    expect(page.get_by_role("link", name=re.compile(r"^(open|close) flow parsing"))).to_have_accessible_name(re.compile("^open"))


def test_the_whole_pipeline_leads_to_the_whole_graph(ui: str, page: Page) -> None:
    page.goto(f"{ui}/flows/pipeline")
    page.get_by_role("link", name="Graph", exact=True).last.click()
    expect(page.locator("#details-name")).to_have_text("pipeline")


def test_a_part_of_a_flow_is_run_by_keyboard(ui: str, page: Page) -> None:
    page.goto(f"{ui}/flows/scraping")
    page.get_by_text("Only a part of it").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("scraping.linkedin")
    page.keyboard.press("Enter")
    is_run(page)
    expect(page.locator("#run .state")).to_have_text("completed")
    expect(page.locator(".steps tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Run again").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Only these")).to_have_value("scraping.linkedin.fetch")


def test_a_part_that_there_is_not_is_told_and_kept(ui: str, browser: Browser) -> None:
    with opened(browser, but="422") as page:
        page.goto(f"{ui}/flows/scraping")
        page.get_by_text("Only a part of it").click()
        page.get_by_label("Only these").fill("nowhere")
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_role("alert")).to_contain_text("nowhere")
        expect(page.get_by_label("Only these")).to_have_value("nowhere")


def test_the_same_form_sent_twice_is_one_run(shop_ui: str) -> None:
    typed = {"limit": "1", "limit~was": "", "run~key": "5" * 16}
    found = {httpx.post(f"{shop_ui}/operations/catalogue.fetch", data=typed).headers["location"] for _ in range(2)}
    other = httpx.post(f"{shop_ui}/operations/catalogue.fetch", data={**typed, "limit": "2"}).headers["location"]
    assert len(found) == 1
    assert other not in found


def test_parameters_that_define_the_same_name_stay_apart() -> None:
    def parameter(name: str, kind: str) -> dict[str, object]:
        schema = {"$ref": "#/$defs/X", "$defs": {"X": {"type": kind, "items": {"$ref": "#/$defs/Y"}}, "Y": {}}}
        return {"name": name, "schema": schema, "required": True, "default": None, "description": None}

    schema = schema_of([parameter("a", "string"), parameter("b", "array")])
    assert schema["properties"]["b"]["$ref"] == "#/$defs/b.X"
    assert schema["$defs"]["b.X"] == {"type": "array", "items": {"$ref": "#/$defs/b.Y"}}
    assert sorted(schema["$defs"]) == ["a.X", "a.Y", "b.X", "b.Y"]
