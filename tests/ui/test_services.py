"""Services in a browser: how they are, live; a log that is followed; a restart; and what a container can't see."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.running import serving
from tests.cli.toys import Toys
from tests.ui.browser import accessible, opened, showing

pytestmark = pytest.mark.xdist_group("network")
#: Milliseconds that a restart may take, of which a machine with much else to do needs many.
RESTART = 30_000
SERVICES = """
  web: {command: [python, server.py], ports: ["PORT"], probe: {http: /}, environment: {SAID: "${GREETING:-hello}", LATER: "${LATER}"}}
  teller: {command: [python, -u, teller.py]}
  crash: {command: [python, server.py, crash], ports: ["PORT"]}
  cache: {uri: "redis://cache.example.org:6379"}
  db: {engine: embedded}
  off: {command: [python, server.py], enabled: false}
"""
#: Says the lines that are put into a file.
TELLER = """
import pathlib, time
said = 0
print("<b>ready</b>")
while True:
    path = pathlib.Path("lines")
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines[said:]:
        print(line)
    said = len(lines)
    time.sleep(0.05)
"""


class World(Toys):
    """A project with services that run."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        (directory / "teller.py").write_text(TELLER)
        self.lock(SERVICES)
        self.lines: list[str] = []

    def up(self, *names: str) -> None:
        subprocess.run([sys.executable, "-m", "pulpo", "-q", "up", *names], cwd=self.directory, check=False, capture_output=True)

    def say(self, *lines: str) -> None:
        """Let `teller` say lines."""
        self.lines += lines
        new = self.directory / "lines.new"
        new.write_text("".join(f"{line}\n" for line in self.lines))
        new.rename(self.directory / "lines")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATER", "now")
        made = World(tmp_path_factory.mktemp("world"))
        made.up()
        yield made
        made.end()


@pytest.fixture(scope="module")
def ui(world: World) -> Iterator[str]:
    with serving(world.directory) as api, showing(api) as address:
        yield address


def row(page: Page, name: str):
    return page.locator(f"tbody[data-name={name}]")


@pytest.mark.parametrize("dark", [False, True])
def test_services_show_how_they_are(browser: Browser, world: World, ui: str, dark: bool) -> None:
    world.up("web", "teller")
    with opened(browser, dark=dark) as page:
        page.goto(f"{ui}/services")
        expect(row(page, "web").locator(".badge")).to_have_text("running")
        where = world.services.state("web").addresses[0]
        expect(row(page, "web").get_by_role("link", name=where)).to_have_attribute("href", f"http://{where}")
        expect(row(page, "crash").locator(".badge")).to_have_text("failed")
        expect(row(page, "crash")).to_contain_text("no luck today")
        expect(row(page, "cache").locator(".badge")).to_have_text("elsewhere")
        expect(row(page, "db").locator(".badge")).to_have_text("embedded")
        expect(row(page, "off")).to_contain_text("not part of the project")
        accessible(page)


def test_the_table_follows_what_happens(world: World, ui: str, page: Page) -> None:
    world.up("web")
    page.goto(f"{ui}/services")
    expect(row(page, "web").locator(".badge")).to_have_text("running")
    world.services.stop("web")
    expect(row(page, "web").locator(".badge")).to_have_text("stopped")
    world.up("web")
    expect(row(page, "web").locator(".badge")).to_have_text("running")


def test_a_service_is_found_and_restarted_by_clicking(world: World, ui: str, page: Page) -> None:
    world.up("web")
    before = world.services.state("web")
    page.goto(f"{ui}/services")
    page.get_by_role("link", name="web", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("web")
    facts = page.locator("#service")
    expect(facts).to_contain_text(str(before.pid))
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Restart").click()
    assert world.services.state("web").id == before.id
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Restart").click()
    expect(page.locator("#service .badge")).to_have_text(re.compile("stopping|starting|running"))
    expect(facts).not_to_contain_text(str(before.pid), timeout=RESTART)
    expect(page.locator("#service .badge")).to_have_text("running")
    assert world.services.state("web").id != before.id


@pytest.mark.parametrize("dark", [False, True])
def test_a_service_is_restarted_by_keyboard(browser: Browser, world: World, ui: str, dark: bool) -> None:
    world.up("teller")
    before = world.services.state("teller")
    with opened(browser, dark=dark) as page:
        page.goto(f"{ui}/services/teller")
        page.on("dialog", lambda dialog: dialog.accept())
        button = page.get_by_role("button", name="Restart")
        page.keyboard.press("Tab")
        while not button.evaluate("one => one === document.activeElement"):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#service")).not_to_contain_text(str(before.pid), timeout=RESTART)
        expect(page.locator("#service .badge")).to_have_text("running")
        expect(page.locator("#service")).not_to_contain_text("differs")
        accessible(page)


def test_a_service_shows_its_settings_and_whether_its_variables_are_set(world: World, ui: str, page: Page) -> None:
    page.goto(f"{ui}/services/web")
    settings = page.get_by_role("region", name="Settings")
    expect(settings.get_by_role("row", name="command")).to_contain_text('["python", "server.py"]')
    expect(settings.get_by_role("row", name="GREETING").last).to_contain_text("not set: its default is taken")
    expect(settings.get_by_role("row", name="LATER").last).to_contain_text("set")
    page.goto(f"{ui}/services/crash")
    expect(page.locator("#service .alert")).to_contain_text("it ended, with exit code: 1")
    page.goto(f"{ui}/services/db")
    expect(page.locator("#service")).to_contain_text("nothing runs")
    expect(page.get_by_role("button", name="Restart")).to_have_count(0)
    expect(page.locator("#log")).to_have_count(0)


def test_a_log_is_followed_to_its_end_only_where_it_is_looked_at(world: World, ui: str, page: Page) -> None:
    world.up("teller")
    world.say(*(f"early {number}" for number in range(100)))
    page.goto(f"{ui}/services/teller")
    log = page.get_by_role("log", name="Log")
    expect(log).to_contain_text("early 99")
    expect(log).to_contain_text("<b>ready</b>")  # as it was said
    expect(page.locator("#log-state")).to_have_text("following")
    at_end = "one => one.scrollHeight - one.scrollTop - one.clientHeight < 24"
    assert log.evaluate(at_end)
    world.say("late 1", "ERROR: too late")
    expect(log).to_contain_text("late 1")
    expect(log.locator("[data-level=ERROR]").last).to_contain_text("too late")
    assert log.evaluate(at_end)
    log.evaluate("one => { one.scrollTop = 0; }")
    world.say("late 2")
    expect(log).to_contain_text("late 2")
    assert log.evaluate("one => one.scrollTop") == 0
    page.get_by_role("button", name="To the end").click()
    assert log.evaluate(at_end)


def test_a_log_is_paused_and_filtered_by_keyboard(world: World, ui: str, page: Page) -> None:
    world.up("teller")
    world.say("a needle", "some hay")
    page.goto(f"{ui}/services/teller")
    log = page.get_by_role("log", name="Log")
    expect(log).to_contain_text("some hay")
    page.keyboard.press("/")
    page.keyboard.type("Needle")
    expect(log.get_by_text("some hay").last).to_be_hidden()
    expect(log.get_by_text("a needle").last).to_be_visible()
    world.say("more hay", "another needle")
    expect(log.get_by_text("another needle")).to_be_visible()
    expect(log.get_by_text("more hay")).to_be_hidden()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    pause = page.get_by_role("button", name="Pause")
    expect(pause).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#log-state")).to_have_text("paused")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    world.say("an unseen needle")
    # The facts are asked for every few seconds; the log, which would be each second, is not.
    with page.expect_request(lambda request: request.url.endswith("/services/teller")):
        pass
    assert not [url for url in asked if "/lines" in url]
    page.keyboard.press("Space")
    expect(log.get_by_text("an unseen needle")).to_be_visible()


def test_pages_wait_for_an_api_that_is_away(browser: Browser, world: World) -> None:
    world.up("teller")
    with opened(browser, but="502") as page, serving(world.directory) as api, showing(api) as address:
        page.goto(f"{address}/services")
        expect(row(page, "teller").locator(".badge")).to_have_text("running")
        other = page.context.new_page()
        other.goto(f"{address}/services/teller")
        _end_server(api)
        expect(page.locator("#services")).to_contain_text("the API does not answer")
        expect(other.locator("#service")).to_contain_text("the API does not answer")
        expect(other.locator("#log-state")).to_have_text("waiting for the API…")


def _end_server(address: str) -> None:
    """End the process that listens there, which is this one's."""
    import psutil

    port = int(address.rpartition(":")[2])
    for child in psutil.Process().children():
        if any(one.laddr.port == port and one.status == psutil.CONN_LISTEN for one in child.net_connections()):
            child.terminate()


def test_from_a_container_calmly_what_it_can_see(browser: Browser, world: World, tmp_path: Path) -> None:
    where = {"PULPO_STORE_PATH": str(tmp_path / "store.db")}
    with serving(world.directory, where) as api, showing(api) as address, opened(browser) as page:
        page.goto(f"{address}/services")
        expect(page.locator("#services")).to_contain_text("The API is a container itself")
        expect(row(page, "teller").locator(".badge")).to_have_text("unknown")
        expect(row(page, "web").locator(".badge")).to_have_text("unreachable")
        accessible(page)
        page.get_by_role("link", name="web", exact=True).click()
        expect(page.get_by_role("region", name="Log")).to_contain_text("where the containers were started: pulpo logs web")
        expect(page.get_by_role("button", name="Restart")).to_have_count(0)
        accessible(page)


def test_a_restart_that_is_refused_says_why(browser: Browser, world: World, ui: str) -> None:
    from pulpo.apply.apply_lock import only_one

    world.up("teller")
    with opened(browser, but="409") as page:
        page.goto(f"{ui}/services/teller")
        page.on("dialog", lambda dialog: dialog.accept())
        with only_one(world.directory / "run_cache", "pulpo apply"):
            page.get_by_role("button", name="Restart").click()
            expect(page.get_by_role("alert")).to_contain_text("another one is changing this project's world: pulpo apply")
        expect(page.get_by_role("heading", level=1)).to_have_text("teller")


def test_a_service_that_is_not_there_is_told(browser: Browser, ui: str) -> None:
    with opened(browser, but="404") as page:
        page.goto(f"{ui}/services/wep")
        expect(page.get_by_role("alert")).to_contain_text("did you mean 'web'?")
