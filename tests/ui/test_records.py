"""Models and their records: found, made, changed by two, deleted, brought in and taken out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pulpo.api.app import create_app
from pulpo.api.settings import Settings
from pulpo.run.codec import collection_of
from pulpo.store.base import Record
from pulpo.store.sqlite import SqliteStore
from tests.api.conftest import manifest_of
from tests.api.running import serving
from tests.api.shop import MODELS
from tests.ui.browser import accessible, opened, showing
from tests.ui.conftest import PULPO, copied

pytestmark = pytest.mark.xdist_group("network")
WIDE = {
    "schema": {"type": "object", "properties": {f"f{n:02}": {"type": "object" if n < 4 else "string"} for n in range(30)}},
    "key": ["f20"],
}
TITLES = ("Cook", "Baker", "Rust engineer")


@contextlib.contextmanager
def api_of(directory: Path, **settings: Any) -> Iterator[str]:
    """The API over models with fields of every kind, in a thread."""
    app = create_app(manifest_of({**MODELS, "Wide": WIDE}), SqliteStore(directory / "store.db"), settings=Settings(**settings))
    with listening(app) as address:
        yield address


@contextlib.contextmanager
def listening(app: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the API did not start"
        assert time.monotonic() < end, "the API did not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def shop(store: Path) -> Iterator[str]:
    with api_of(store) as address:
        yield address


@pytest.fixture(scope="module")
def shop_ui(shop: str) -> Iterator[str]:
    with showing(shop) as address:
        yield address


@pytest.fixture(autouse=True)
def filled(request: pytest.FixtureRequest) -> None:
    """120 jobs, and nothing else, before each test of the shop."""
    if "shop" not in request.fixturenames:
        return
    with httpx.Client(base_url=request.getfixturevalue("shop")) as client:
        for model in ("Job", "Note", "Wide", "Aliased"):
            for one in client.get(f"/models/{model}/records?limit=1000").json()["items"]:
                client.delete(f"/models/{model}/records/{quote(one['_id'], safe='')}").raise_for_status()
        jobs = [
            {
                "url": f"u{n:03}",
                "title": f"{TITLES[n % 3]} {n}",
                "salary": n * 1000 if n % 4 else None,
                "tags": ["a", "b"][: n % 3],
            }
            for n in range(120)
        ]
        client.put("/models/Job/records", json=jobs).raise_for_status()


def one(shop: str, url: str) -> dict[str, Any]:
    (found,) = httpx.get(f"{shop}/models/Job/records", params={"url": url}).json()["items"]
    return found


def count(shop: str, model: str = "Job") -> int:
    return int(httpx.get(f"{shop}/models/{model}?count=exact").json()["count"])


def stored_as(store: Path, model: str, record: Record) -> None:
    """A record that a run stored, as no client may."""
    manifest = manifest_of(MODELS)

    async def put() -> None:
        own = SqliteStore(store / "store.db")
        await own.open()
        await own.create(collection_of(model, manifest.models[model]), record)
        await own.close()

    # In a thread: the browser has a loop in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, put()).result()


# -------------------------------------------------------------------------------------------------------------- the list


def test_models_say_what_they_are_and_how_many_records_they_have(ui: str, page: Page) -> None:
    page.goto(f"{ui}/models")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="RawJobs"))
    expect(row).to_contain_text("What a board answered to a search.")
    expect(row).to_contain_text("board, keywords")
    expect(row.get_by_role("link", name="scraping.merge")).to_have_attribute("href", "/operations/scraping.merge")
    expect(row.locator(".num")).to_have_text("2")
    accessible(page)
    row.get_by_role("link", name="RawJobs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("RawJobs")


def test_the_count_follows_what_happens(shop: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Note"))
    expect(page.locator("#live")).to_have_text("live")
    expect(row.locator(".num")).to_have_text("0")
    httpx.post(f"{shop}/models/Note/records", json={"text": "x"}).raise_for_status()
    expect(row.locator(".num")).to_have_text("1")


def test_a_model_without_records_says_how_to_get_some(shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Note")
    expect(page.locator(".empty")).to_contain_text("No record yet.")
    page.locator(".empty").get_by_role("link", name="Make one").click()
    expect(page).to_have_url(f"{shop_ui}/models/Note/records/new")


# ------------------------------------------------------------------------------------------------------------- the table


def test_pages_go_forward_and_back(shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Job?sort=url&limit=50")
    first = page.locator("tbody tr").first
    expect(first).to_contain_text("u000")
    expect(page.get_by_text(re.compile("^1.50 of 120$"))).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(first).to_contain_text("u050")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text(re.compile("^101.120 of 120$"))).to_be_visible()
    expect(page.get_by_role("link", name="Next")).to_have_count(0)
    page.reload()
    page.get_by_role("link", name="Previous").click()
    expect(first).to_contain_text("u050")
    page.get_by_role("link", name="Previous").click()
    expect(first).to_contain_text("u000")
    expect(page.get_by_role("link", name="Previous")).to_have_count(0)
    page.go_back()
    expect(first).to_contain_text("u050")


def test_sorts_by_a_column_and_says_so(shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Job")
    page.get_by_role("columnheader", name="salary").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="salary")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("columnheader", name="salary").get_by_role("link").press("Enter")
    expect(page.get_by_role("columnheader", name="salary")).to_have_attribute("aria-sort", "descending")
    expect(page.locator("tbody tr").first).to_contain_text("119000")
    expect(page.get_by_role("columnheader", name="tags").get_by_role("link")).to_have_count(0)
    expect(page.locator("tbody td.number, tbody td.num").first).to_have_css("text-align", "right")


def test_filters_are_added_changed_and_removed(shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Job")
    page.get_by_label("Field to filter by").select_option("salary")
    page.get_by_label("How to compare").select_option("gte")
    page.get_by_label("Value to compare with").fill("100000")
    page.get_by_role("button", name="Add").click()
    expect(page).to_have_url(f"{shop_ui}/models/Job?salary__gte=100000")
    expect(page.get_by_text("15 records")).to_be_visible()
    page.get_by_label("Field to filter by").select_option("title")
    page.get_by_label("How to compare").select_option("startswith")
    page.get_by_label("Value to compare with").fill("Cook")
    page.get_by_label("Value to compare with").press("Enter")
    expect(page.get_by_text("5 records")).to_be_visible()
    page.get_by_role("textbox", name="salary is at least").fill("110000")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("3 records")).to_be_visible()
    page.get_by_role("link", name="Remove the filter salary").click()
    expect(page.get_by_text("40 records")).to_be_visible()
    page.get_by_role("link", name="Clear all").click()
    expect(page).to_have_url(f"{shop_ui}/models/Job")


def test_of_a_field_only_the_operators_that_it_takes_can_be_chosen(shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Job")
    page.get_by_label("Field to filter by").select_option("tags")
    chosen = page.get_by_label("How to compare")
    assert chosen.locator("option:not([disabled])").all_text_contents() == ["is", "has", "is there"]
    page.get_by_label("Field to filter by").select_option("company")
    expect(chosen).to_have_value("isnull")


def test_a_bad_filter_is_told_where_it_is(shop_ui: str, browser: Browser) -> None:
    with opened(browser, but="422") as page:
        answer = page.goto(f"{shop_ui}/models/Job?salary__gte=lots&title=x&tite=1&sort=tags")
        assert answer is not None
        assert answer.status == 422
        salary = page.get_by_role("textbox", name="salary is at least")
        expect(salary).to_have_attribute("aria-invalid", "true")
        expect(salary).to_have_accessible_description("must be an integer of 64 bits, not 'lots'")
        expect(page.get_by_role("textbox", name="tite is")).to_have_accessible_description(
            re.compile("no such field.*did you mean 'title'")
        )
        expect(page.get_by_role("textbox", name="title is", exact=True)).not_to_have_attribute("aria-invalid", "true")
        expect(page.get_by_text("records can't be sorted by a list or an object: tags")).to_be_visible()
        accessible(page)


def test_searches_while_one_types(shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Job?salary__lt=20000")
    expect(page.locator("#live")).to_have_text("live")
    page.keyboard.press("/")
    page.keyboard.type("rust")
    expect(page.get_by_text("5 records")).to_be_visible()
    expect(page).to_have_url(re.compile(r"q=rust"))
    expect(page).to_have_url(re.compile(r"salary__lt=20000"))
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.reload()
    expect(page.get_by_text("5 records")).to_be_visible()


def test_a_wide_model_has_few_columns_and_its_key_first(shop: str, shop_ui: str, page: Page) -> None:
    httpx.post(
        f"{shop}/models/Wide/records", json={"f20": "k", **{f"f{n:02}": "x" * 300 for n in range(4, 20)}}
    ).raise_for_status()
    page.goto(f"{shop_ui}/models/Wide")
    names = page.get_by_role("columnheader").all_inner_texts()
    assert [name.strip() for name in names[1:]] == ["id", "f20", "f04", "f05", "f06", "f07", "f08", "f09", "f10", "changed"]
    assert max(len(text) for text in page.locator("tbody td").all_inner_texts()) <= 60


def test_says_when_records_changed_and_shows_them_when_asked(shop: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Job?sort=url")
    expect(page.locator("#live")).to_have_text("live")
    first = page.locator("tbody tr").first
    page.locator("tbody tr").nth(1).get_by_role("checkbox").check()
    httpx.put(f"{shop}/models/Job/records", json=[{"url": "a-first", "title": "New"}]).raise_for_status()
    expect(page.get_by_text("Records changed meanwhile.")).to_be_visible()
    expect(first).to_contain_text("u000")
    page.get_by_role("button", name="Show them").click()
    expect(first).to_contain_text("a-first")
    expect(page.get_by_text("Records changed meanwhile.")).to_be_hidden()


@pytest.mark.parametrize("dark", [False, True])
def test_the_pages_are_easy_to_use(shop: str, shop_ui: str, browser: Browser, *, dark: bool) -> None:
    with opened(browser, dark=dark) as page:
        for path in ("", "?title__contains=Cook&level=senior", "/records/new", "/import", f"/records/{one(shop, 'u001')['_id']}"):
            page.goto(f"{shop_ui}/models/Job{path}")
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            accessible(page)


def test_ten_thousand_records_are_as_quick(tmp_path: Path) -> None:
    with api_of(tmp_path) as shop, showing(shop) as shop_ui:
        for start in range(0, 10_000, 2500):
            notes = [{"_id": f"n{n:05}", "text": f"note {n}", "stars": n % 5 + 1} for n in range(start, start + 2500)]
            httpx.put(f"{shop}/models/Note/records", json=notes, timeout=60).raise_for_status()
        begun = time.perf_counter()
        text = httpx.get(f"{shop_ui}/models/Note?stars=3&sort=-text", timeout=30).text
        assert time.perf_counter() - begun < 3
        assert re.search("1.50 of 2,000", text)
        lines = httpx.get(f"{shop_ui}/models/Note/export?stars=3", timeout=60).text.splitlines()
        assert len({json.loads(line)["_id"] for line in lines}) == 2000


# ------------------------------------------------------------------------------------------------------------------ bulk


def test_the_chosen_are_deleted_after_a_question(shop: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Job?sort=url")
    expect(page.get_by_role("button", name="Delete selected")).to_be_disabled()
    page.locator("tbody tr").nth(0).get_by_role("checkbox").check()
    page.locator("tbody tr").nth(1).get_by_role("checkbox").press("Space")
    page.get_by_role("button", name="Delete 2 selected").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Delete 2 records of Job?")
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    assert count(shop) == 120
    page.get_by_role("button", name="Delete 2 selected").click()
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("2 records deleted.")).to_be_visible()
    assert count(shop) == 118


@pytest.mark.parametrize("status", [409, 502])
def test_where_deleting_stops_midway_it_says_how_many_are_gone_and_goes_on_with_the_rest(
    shop: str, browser: Browser, status: int
) -> None:
    refused = [one(shop, "u001")["_id"]]

    async def answer(request: Request) -> Response:
        if request.method == "DELETE" and request.url.path.endswith(refused[0]):
            return JSONResponse({"detail": "not now"}, status, media_type="application/problem+json")
        url = f"{shop}{request.url.path}?{request.url.query}"
        found = await asyncio.to_thread(httpx.request, request.method, url)
        return Response(found.content, found.status_code, media_type=found.headers.get("content-type"))

    routes = [
        Route("/events", lambda _: Response(status_code=503)),
        Route("/{path:path}", answer, methods=["GET", "DELETE"]),
    ]
    with listening(Starlette(routes=routes)) as api, showing(api) as ui, opened(browser, but=str(status)) as page:
        page.goto(f"{ui}/models/Job?sort=url&limit=20")
        page.get_by_label("Select all records of this page").check()
        page.get_by_role("button", name="Delete 20 selected").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("status").filter(has_text="deleted")).to_contain_text("1 record deleted")
        expect(page.get_by_role("alert")).to_contain_text("not now")
        assert count(shop) == 119
        accessible(page)
        refused[0] = "nothing"
        page.get_by_role("button", name="Delete 19 records").click()
        expect(page.get_by_text("19 records deleted.")).to_be_visible()
    assert count(shop) == 100


def test_all_of_a_page_can_be_chosen(shop: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Job?sort=url&limit=20")
    page.get_by_label("Select all records of this page").check()
    page.get_by_role("button", name="Delete 20 selected").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("20 records deleted.")).to_be_visible()
    assert count(shop) == 100


def test_without_javascript_the_question_is_a_page(shop: str, shop_ui: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(f"{shop_ui}/models/Job?sort=url")
        page.locator("tbody tr").first.get_by_role("checkbox").check()
        page.get_by_role("button", name="Delete selected").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Delete 1 record of Job?")
        assert count(shop) == 120
        page.get_by_role("button", name="Delete 1 record").click()
        expect(page.get_by_text("1 record deleted.")).to_be_visible()
        assert count(shop) == 119
    finally:
        context.close()


def test_what_is_exported_can_be_imported(shop: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Job?title__startswith=Baker")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export as JSON lines").click()
    assert downloading.value.suggested_filename == "Job.jsonl"
    text = downloading.value.path().read_text()
    assert len(text.splitlines()) == 40
    page.goto(f"{shop_ui}/models/Job/import")
    page.get_by_label("Records").fill(text.replace('"Baker 1"', '"Brewer"') + '{"url": "new"}\n')
    page.get_by_role("button", name="Store").click()
    expect(page.get_by_role("status").filter(has_text="inserted")).to_have_text("1 inserted, 1 updated, 39 as they were.")
    assert one(shop, "u001")["title"] == "Brewer"


def test_an_import_may_be_as_large_as_the_api_takes_it(shop: str, shop_ui: str) -> None:
    records = [{"url": f"large{n}", "title": "é" * 1000} for n in range(1000)]
    answer = httpx.post(f"{shop_ui}/models/Job/import", data={"records": json.dumps(records, ensure_ascii=False)}, timeout=60)
    assert (answer.status_code, answer.headers.get("location")) == (303, "/models/Job?~done=stored:1000,0,0")
    assert one(shop, "large999")["title"] == "é" * 1000


def test_a_long_text_of_a_record_is_saved(shop: str, shop_ui: str) -> None:
    answer = httpx.post(f"{shop_ui}/models/Note/records/new", data={"text": "é" * 1_000_000, "limit": "1"}, timeout=60)
    assert answer.status_code == 303
    (note,) = httpx.get(f"{shop}/models/Note/records").json()["items"]
    assert len(note["text"]) == 1_000_000


def test_more_than_a_thousand_records_can_be_chosen(shop_ui: str) -> None:
    answer = httpx.post(f"{shop_ui}/models/Job/delete", data={"id": [f"id{n}" for n in range(2000)]})
    assert answer.status_code == 200, answer.text
    assert "Delete 2000 records of Job?" in answer.text


def test_what_is_wrong_in_an_import_is_told_by_record_and_field(shop: str, shop_ui: str, browser: Browser) -> None:
    with opened(browser, but="422") as page:
        page.goto(f"{shop_ui}/models/Job/import")
        records = '[{"url": "a"}, {"url": 1}, {"title": "x", "company": {"name": 2}}]'
        page.get_by_label("Records").fill(records)
        page.get_by_role("button", name="Store").click()
        expect(page.get_by_role("alert")).to_contain_text("2 of 3 records are wrong, none was stored")
        rows = [row.split("\t")[:2] for row in page.locator("#faults tbody tr").all_inner_texts()]
        assert rows == [["2", "url"], ["3", "company.name"], ["3", "url"]]
        expect(page.get_by_label("Records")).to_have_value(records)
        page.get_by_label("Records").fill('{"url": "a"}\n{"url": \n')
        page.get_by_role("button", name="Store").click()
        expect(page.get_by_role("alert")).to_contain_text("not every line is JSON")
        expect(page.locator("#faults tbody tr")).to_contain_text("2")
        accessible(page)
    assert count(shop) == 120


# -------------------------------------------------------------------------------------------------------------- one record


def test_a_record_is_made_with_the_keyboard(shop: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Job")
    page.get_by_role("link", name="New record").press("Enter")
    page.get_by_label("Url").press_sequentially("https://x.example/1")
    page.keyboard.press("Tab")
    page.keyboard.type("Chef")
    page.get_by_label("no value of Company").press("Space")
    page.get_by_role("group", name="Company").get_by_label("Name").press_sequentially("Acme")
    page.get_by_label("Remote").press("Space")
    page.get_by_label("Level").select_option("senior")
    page.get_by_label("Tags").press_sequentially("one\ntwo")
    page.get_by_label("Posted").fill("2026-01-31")
    page.get_by_label("Seen").fill("2026-01-31T12:00:00")
    page.get_by_label("Price").press_sequentially("12.50")
    page.get_by_label("Url").press("Enter")
    expect(page.get_by_role("status").filter(has_text="Created.")).to_be_visible()
    made = one(shop, "https://x.example/1")
    assert {k: v for k, v in made.items() if not k.startswith("_")} == {
        "url": "https://x.example/1", "title": "Chef", "company": {"name": "Acme", "city": None}, "salary": None, "score": None,
        "remote": True, "level": "senior", "tags": ["one", "two"], "posted": "2026-01-31", "seen": "2026-01-31T12:00:00Z",
        "price": "12.50", "token": None, "counts": {},
    }  # fmt: skip


def test_what_is_wrong_is_told_at_its_field_and_what_was_typed_is_kept(shop: str, shop_ui: str, browser: Browser) -> None:
    key = one(shop, "u001")["_id"]
    with opened(browser, but="422") as page:
        page.goto(f"{shop_ui}/models/Job/records/{key}")
        page.get_by_label("Title").fill("SHOUTING")
        page.get_by_label("Score").fill("7")
        page.get_by_role("button", name="Save").click()
        title = page.get_by_label("Title")
        expect(title).to_have_attribute("aria-invalid", "true")
        expect(title).to_have_accessible_description("don't shout")
        expect(title).to_have_value("SHOUTING")
        expect(page.get_by_label("Score")).to_have_value("7")
        expect(page.get_by_role("alert")).to_contain_text("One field needs another look: Title")
        page.get_by_role("alert").get_by_role("link", name="Title").click()
        expect(title).to_be_focused()
        accessible(page)
        page.get_by_label("Salary").fill("lots")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Salary")).to_have_accessible_description(re.compile("must be a whole number"))
        expect(page.get_by_label("Salary")).to_have_value("lots")
    assert one(shop, "u001")["title"] == "Baker 1"


def test_only_what_was_changed_is_changed(shop: str, shop_ui: str, page: Page) -> None:
    before = one(shop, "u002")
    page.goto(f"{shop_ui}/models/Job/records/{before['_id']}")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Nothing was different.")).to_be_visible()
    assert one(shop, "u002") == before
    page.get_by_label("Title").fill("Other")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    after = one(shop, "u002")
    assert {k: v for k, v in after.items() if v != before[k] and k != "_updated"} == {"title": "Other", "_rev": 2}


def test_a_key_cannot_be_changed(shop: str, shop_ui: str, browser: Browser) -> None:
    with opened(browser, but="409") as page:
        page.goto(f"{shop_ui}/models/Job/records/{one(shop, 'u003')['_id']}")
        page.get_by_label("Url").fill("elsewhere")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Url")).to_have_accessible_description("is part of the key")
        expect(page.locator("#conflict")).to_have_count(0)


@pytest.mark.parametrize("mine", [True, False])
def test_two_who_change_one_record_are_told(shop: str, shop_ui: str, browser: Browser, *, mine: bool) -> None:
    key = one(shop, "u004")["_id"]
    with opened(browser, but="409") as page:
        page.goto(f"{shop_ui}/models/Job/records/{key}")
        page.get_by_label("Title").fill("Mine")
        httpx.patch(
            f"{shop}/models/Job/records/{key}", json={"title": "Theirs", "remote": True},
            headers={"Content-Type": "application/merge-patch+json"},
        ).raise_for_status()  # fmt: skip
        expect(page.get_by_text("Somebody changed this record meanwhile.")).to_be_visible()
        page.get_by_role("button", name="Save").click()
        told = page.get_by_role("alert")
        expect(told).to_contain_text("Somebody changed it meanwhile.")
        rows = sorted(row.split() for row in told.locator("tbody tr").all_inner_texts())
        assert rows == [["remote", "true", "false"], ["title", "Theirs", "Mine"]]
        accessible(page)
        if mine:
            page.get_by_role("button", name="Save mine over it").click()
            expect(page.get_by_text("Saved.")).to_be_visible()
        else:
            page.get_by_role("link", name="Take theirs").click()
            expect(page.get_by_label("Title")).to_have_value("Theirs")
    found = one(shop, "u004")
    assert (found["title"], found["remote"]) == (("Mine", False) if mine else ("Theirs", True))


def test_one_who_changes_what_somebody_deleted_is_told(shop: str, shop_ui: str, browser: Browser) -> None:
    key = one(shop, "u005")["_id"]
    with opened(browser, but="409") as page:
        page.goto(f"{shop_ui}/models/Job/records/{key}")
        page.get_by_label("Title").fill("Mine")
        httpx.delete(f"{shop}/models/Job/records/{key}").raise_for_status()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("somebody deleted this record meanwhile")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_text("Created.")).to_be_visible()
    assert one(shop, "u005")["title"] == "Mine"


def test_a_record_is_deleted_after_a_question(shop: str, shop_ui: str, page: Page) -> None:
    key = one(shop, "u006")["_id"]
    page.goto(f"{shop_ui}/models/Job/records/{key}")
    page.get_by_role("button", name="Delete this record").click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete this record?")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("1 record deleted.")).to_be_visible()
    assert httpx.get(f"{shop}/models/Job/records/{key}").status_code == 404


def test_a_record_that_changed_meanwhile_is_not_deleted_unseen(shop: str, shop_ui: str) -> None:
    record = one(shop, "u007")
    path = f"{shop_ui}/models/Job/delete"
    answer = httpx.post(path, data={"id": record["_id"], "etag": '"9"', "sure": "yes"})
    assert answer.status_code == 412
    assert "the record is not as you know it" in answer.text
    assert one(shop, "u007") == record


@pytest.mark.parametrize("key", ["a/b", "ünï code", "a?b&c=d#e", "100%", "new", "a//b", "<b>'\"", "x" * 200])
def test_any_id_has_a_page(shop: str, store: Path, shop_ui: str, browser: Browser, key: str) -> None:
    data = {"text": "before", "limit": 0, "sort": None, "anything": None, "stars": 1}
    stored_as(store, "Note", Record(key, data))
    with opened(browser) as page:
        page.goto(f"{shop_ui}/models/Note")
        page.locator("tbody th a").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(key)
        page.get_by_label("Text").fill("after")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        expect(page.get_by_label("Text")).to_have_value("after")
        page.get_by_role("button", name="Delete this record").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("1 record deleted.")).to_be_visible()
    assert count(shop, "Note") == 0


def test_long_and_hostile_texts_are_shown_as_they_are(shop: str, shop_ui: str, page: Page) -> None:
    text = "\n<script>alert(1)</script>\r\n" + "long " * 3000 + "</textarea>"
    made = httpx.post(f"{shop}/models/Note/records", json={"text": text}).json()
    page.goto(f"{shop_ui}/models/Note")
    expect(page.locator("tbody td").nth(1)).to_have_text(re.compile(r"^<script>alert.*…$"))
    page.locator("tbody th a").click()
    page.get_by_label("Stars").fill("3")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    after = httpx.get(f"{shop}/models/Note/records/{made['_id']}").json()
    assert (after["text"], after["stars"]) == (text, 3)


def test_a_record_that_its_model_refuses_is_shown_with_what_is_wrong(store: Path, shop_ui: str, page: Page) -> None:
    stored_as(store, "Note", Record("odd", {"text": "t", "limit": "many", "sort": None, "anything": 1, "stars": 9, "old": 5}))
    page.goto(f"{shop_ui}/models/Note")
    expect(page.locator("tbody th")).to_contain_text("not valid")
    page.goto(f"{shop_ui}/models/Note/records/odd")
    expect(page.get_by_text("not what its model says any more")).to_be_visible()
    expect(page.get_by_label("Stars")).to_have_accessible_description(re.compile("less than or equal to 5"))
    expect(page.get_by_role("heading", name="Not in the model")).to_be_visible()
    accessible(page)


def test_fields_have_the_names_that_they_are_stored_under(shop: str, shop_ui: str, page: Page) -> None:
    page.goto(f"{shop_ui}/models/Aliased/records/new")
    page.get_by_label("Name").fill("x")
    page.get_by_label("Size").fill("4")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Created.")).to_be_visible()
    (found,) = httpx.get(f"{shop}/models/Aliased/records").json()["items"]
    assert (found["name"], found["part"]) == ("x", {"size": 4})


def test_who_may_only_read_is_told(store: Path, browser: Browser) -> None:
    with api_of(store, token="writes", read_token="reads") as api, showing(api) as ui, opened(browser, but="403") as page:
        page.goto(f"{ui}/models/Job")
        page.get_by_label("Token").fill("reads")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Job")
        page.goto(f"{ui}/models/Note/records/new")
        page.get_by_label("Text").fill("kept")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("alert")).to_contain_text("may")
        expect(page.get_by_label("Text")).to_have_value("kept")
        accessible(page)


def test_a_record_says_where_it_is_from(tmp_path: Path, page: Page) -> None:
    project = copied("jobs", tmp_path / "jobs")
    subprocess.run([PULPO, "-q", "--project", project, "run", "pipeline"], check=True, capture_output=True)
    with serving(project) as api, showing(api) as ui:
        (record,) = httpx.get(f"{api}/models/CleanedJobs/records", params={"board": "all"}).json()["items"]
        says_where_it_is_from(ui, record, page)


def says_where_it_is_from(ui: str, record: dict[str, Any], page: Page) -> None:
    page.goto(f"{ui}/models/CleanedJobs")
    page.get_by_role("row").filter(has_text="all").get_by_role("rowheader").get_by_role("link").click()
    lineage = page.get_by_role("complementary")
    expect(lineage.get_by_role("link", name="scraping.merge")).to_have_attribute("href", "/operations/scraping.merge")
    expect(lineage.get_by_role("link", name=record["_run"])).to_have_attribute("href", f"/runs/{record['_run']}")
    expect(lineage.locator(".badge")).to_have_text("completed")
    expect(lineage.get_by_role("link", name="stepstone · python")).to_be_visible()
    accessible(page)
    lineage.get_by_role("link", name="linkedin · python").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("linkedin · python")
    expect(page.get_by_role("complementary").get_by_role("link", name="parsing.clean")).to_be_visible()


def test_a_model_or_a_record_that_is_not_there_is_told(shop_ui: str) -> None:
    for path in ("/models/Jobb", "/models/Job/records/nope", "/models/Jobb/records/new", "/models/Jobb/export"):
        answer = httpx.get(f"{shop_ui}{path}")
        assert answer.status_code == 404, path
        assert "there is no such" in answer.text
