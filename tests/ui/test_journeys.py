"""What people do with the UI, from one page to the next, on the whole stack of the examples: by clicking and by keyboard alone.

The database, Prefect's server, a worker, the API and the UI run as `pulpo apply` brings them up.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.apply.services.local_stack import Stack
from tests.locks import with_services
from tests.prefect_server import migrate
from tests.ui.browser import accessible, opened, tab_to
from tests.ui.conftest import PULPO, copied

pytestmark = pytest.mark.xdist_group("network")
expect.set_options(timeout=15_000)
#: Milliseconds that Prefect may take for a run, the API for a restart, and for looking at the whole world.
SLOW = 90_000
#: What an operation logs.
SAID = "something to read"


@dataclass(frozen=True)
class Step:
    """An operation that is run, the model that it makes, and a field of that with another value."""

    operation: str
    parameter: str
    value: str
    model: str
    field: str
    other: str


@dataclass(frozen=True)
class Example:
    """What is done with an example."""

    #: It is closed and opened in the graph.
    fold: str
    #: Of the flow `pipeline`: a parameter, its values for two runs, and the part that the second one is of.
    parameter: str
    values: tuple[str, str]
    part: str
    #: How many operations `pipeline` has.
    operations: int
    #: One of them, a model that it makes, and a record of that after the first run.
    operation: str
    model: str
    record: str
    #: A field with another value, and one with a value that it must not have, and what is said then.
    edit: tuple[str, str]
    wrong: tuple[str, str, str]
    #: What runs by keyboard.
    step: Step
    #: What the worker runs, and how many operations that is.
    queued: tuple[str, int]
    #: A module, and the line of an operation of that before which it logs something here.
    logs: tuple[str, str]


EXAMPLES = {
    "jobs": Example(
        fold="parsing", parameter="keywords", values=("engineer", "python"), part="", operations=5,
        operation="scraping.merge", model="CleanedJobs", record="all · engineer",
        edit=("title", "Jobs, looked through"), wrong=("jobs", '[\n  {\n    "url": "u"\n  }\n]', "required"),
        step=Step("scraping.stepstone.fetch", "keywords", "data", "RawJobs", "title", "Typed"), queued=("pipeline", 5),
        logs=("jobs/operations.py", "    jobs = _cleaned([*stepstone.jobs, *linkedin.jobs])\n"),
    ),
    "flights": Example(
        fold="delays", parameter="months", values=("1", "2"), part="load.weather", operations=18,
        operation="headline", model="Headline", record="2013",
        edit=("text", "A January of flights"), wrong=("flights", "lots", "whole number"),
        step=Step("load.weather", "months", "3", "Weather", "visib", "7.5"),
        queued=("load.reference", 3),
        logs=("flights/operations/load.py", '    return [Plane.model_validate(row) for row in rows("planes")]\n'),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """An example whose services run."""

    example: Example
    ui: str


@pytest.fixture(scope="module", params=EXAMPLES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An example that was applied; at the end nothing is left of it."""
    project = copied(request.param, tmp_path_factory.mktemp("journeys") / request.param)
    path, line = EXAMPLES[request.param].logs
    text = (project / path).read_text()
    assert text.count(line) == 1
    (project / path).write_text("import logging\n\n" + text.replace(line, f"    logging.info({SAID!r})\n{line}"))
    free = "{ports: [auto]}"
    worker = '{environment: {PREFECT_WORKER_QUERY_SECONDS: "1"}}'
    with_services(project / "pulpo.lock.yaml", api=free, prefect=free, ui=free, worker=worker)
    migrate(project / "run_cache" / "data" / "prefect")
    stack = Stack(project)
    try:
        _pulpo(project, "apply", "--yes")
        services = json.loads(_pulpo(project, "status", "--format", "json"))["services"]
        (address,) = (service["addresses"][0] for service in services if service["name"] == "ui")
        yield World(EXAMPLES[request.param], address)
        _pulpo(project, "destroy", "--data", "--yes")
        assert stack.processes() == []
    finally:
        stack.end()


def _pulpo(project: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PULPO_"))}
    done = subprocess.run(
        [PULPO, "-q", "--mode", "local", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def box(page: Page, name: str) -> Locator:
    """The link of a box of the graph, or of a frame, whatever state it has."""
    return page.get_by_role("link", name=re.compile(rf"^{re.escape(name)}(, \w+)?$"))


def control(page: Page, name: str) -> Locator:
    """A field that is typed into."""
    return page.locator("form.schema").get_by_role("textbox", name=name, exact=True)


def at_run(page: Page) -> str:
    """The run whose page this is."""
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{23,36}$"))
    return page.url.rpartition("/")[2]


def completed(page: Page, timeout: float = 60_000) -> None:
    """It gets there by itself, while the page stays."""
    page.evaluate("window.same = true")
    expect(page.locator("#run .state")).to_have_text("completed", timeout=timeout)
    assert page.evaluate("window.same")


def typed(page: Page, target: Locator, text: str) -> None:
    """Go there, and type this instead of what is there."""
    tab_to(page, target)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def tab_enter(page: Page, button: str) -> None:
    """Go to a button, and press it."""
    tab_to(page, page.get_by_role("button", name=button, exact=True))
    page.keyboard.press("Enter")


def test_from_the_graph_to_a_run_its_records_and_another_run_by_clicking(world: World, browser: Browser) -> None:
    it = world.example
    with opened(browser, but="422") as page:
        # The graph.
        page.goto(world.ui)
        page.get_by_role("button", name="Fit").click()
        box(page, f"operation {it.operation}").click()
        expect(page.locator("#details-name")).to_have_text(it.operation)
        box(page, f"close flow {it.fold}").locator("text").click()  # what lies in a frame is over its middle
        box(page, f"open flow {it.fold}").click()
        expect(box(page, f"close flow {it.fold}")).to_be_visible()
        accessible(page)

        # A run from its form.
        page.locator(".graph-start").click()
        control(page, it.parameter).fill(it.values[0])
        accessible(page)
        page.get_by_role("button", name="Run", exact=True).click()
        first = at_run(page)
        completed(page)
        expect(page.locator(".steps tbody tr .badge", has_text="completed")).to_have_count(it.operations)
        accessible(page)

        # The graph in its colours, and back.
        page.locator("#run").get_by_role("link", name="Graph").click()
        expect(page.locator("#graph-run-id")).to_have_value(first)
        expect(page.get_by_role("link", name=f"operation {it.operation}, completed", exact=True)).to_be_visible()
        page.go_back()

        # A record that it made.
        page.locator(".made").get_by_role("link", name=re.compile(rf"\d {it.model}$")).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(it.model)
        row = page.locator("table.records tbody tr").filter(has_text=it.record.partition(" ")[0])
        row.get_by_role("rowheader").get_by_role("link").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(it.record)
        lineage = page.get_by_role("complementary")
        expect(lineage.get_by_role("link", name=it.operation, exact=True)).to_be_visible()
        lineage.get_by_role("link", name=first, exact=True).click()
        assert at_run(page) == first
        page.go_back()
        name, value = it.edit
        control(page, name).fill(value)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        expect(control(page, name)).to_have_value(value)
        name, value, said = it.wrong
        control(page, name).fill(value)
        page.get_by_role("button", name="Save").click()
        expect(control(page, name)).to_have_attribute("aria-invalid", "true")
        expect(control(page, name)).to_have_accessible_description(re.compile(said))
        expect(control(page, name)).to_have_value(value)
        accessible(page)

        # Again, otherwise, and both side by side.
        page.get_by_role("complementary").get_by_role("link", name=first, exact=True).click()
        page.get_by_role("link", name="Run again").click()
        expect(control(page, it.parameter)).to_have_value(it.values[0])
        control(page, it.parameter).fill(it.values[1])
        if it.part:
            page.get_by_text("Only a part of it").click()
            page.get_by_label("Only these").fill(it.part)
        page.get_by_role("button", name="Run", exact=True).click()
        second = at_run(page)
        completed(page)
        page.locator("#compare + form select").select_option(first)
        page.get_by_role("button", name="Compare").click()
        expect(page).to_have_url(f"{world.ui}/runs/compare?a={second}&b={first}")
        expect(page.get_by_role("row", name=f"Parameter {it.parameter}").get_by_role("cell")).to_have_text(
            [re.compile(value) for value in reversed(it.values)]
        )
        accessible(page)


def test_from_the_graph_to_a_record_that_is_saved_by_keyboard(world: World, browser: Browser) -> None:
    step = world.example.step
    with opened(browser) as page:
        page.goto(world.ui)
        here, model = box(page, f"operation {step.operation}"), box(page, f"model {step.model}")
        expect(here).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type(step.operation)
        page.keyboard.press("Enter")
        expect(page.locator("#details-name")).to_have_text(step.operation)
        tab_to(page, here)
        page.keyboard.press("ArrowRight")
        expect(model).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#details-name")).to_have_text(step.model)
        page.keyboard.press("/")
        page.keyboard.press("Control+A")
        page.keyboard.type(step.operation)
        page.keyboard.press("Enter")
        expect(page.locator("#details-name")).to_have_text(step.operation)
        tab_to(page, page.locator("#details").get_by_role("link", name="Run…"))
        page.keyboard.press("Enter")

        expect(page.get_by_role("heading", level=1)).to_have_text(step.operation)
        typed(page, control(page, step.parameter), step.value)
        tab_enter(page, "Run")
        run = at_run(page)
        completed(page)
        made = page.locator(".made").get_by_role("link")
        tab_to(page, made)
        page.keyboard.press("Enter")

        record = page.locator("table.records tbody tr").first.get_by_role("rowheader").get_by_role("link")
        tab_to(page, record)
        page.keyboard.press("Enter")
        expect(page.get_by_role("complementary").get_by_role("link", name=run, exact=True)).to_be_visible()
        typed(page, control(page, step.field), step.other)
        tab_enter(page, "Save")
        expect(page.get_by_text("Saved.")).to_be_visible()
        expect(control(page, step.field)).to_have_value(step.other)
        accessible(page)


def test_a_run_is_queued_and_a_worker_takes_it(world: World, browser: Browser) -> None:
    flow, operations = world.example.queued
    with opened(browser) as page:
        page.goto(f"{world.ui}/flows")
        page.get_by_role("link", name=flow, exact=True).first.click()
        page.get_by_label("engine").select_option("prefect")
        page.get_by_role("button", name="Run", exact=True).click()
        at_run(page)
        expect(page.locator("#run")).to_contain_text("It is queued on Prefect")
        accessible(page)
        completed(page, SLOW)
        expect(page.locator(".steps tbody tr .badge", has_text="completed")).to_have_count(operations)
        expect(page.locator("#lines")).to_contain_text(SAID)
        expect(page.locator("dl.facts")).to_contain_text("prefect, flow run")
        accessible(page)


def test_services_are_seen_and_restarted_and_nothing_is_left_to_apply(world: World, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{world.ui}/services")
        for name, state in {
            "api": "running",
            "db": "embedded",
            "prefect": "running",
            "ui": "running",
            "worker": "running",
        }.items():
            expect(page.locator(f"tbody[data-name={name}] .badge")).to_have_text(state)
        accessible(page)
        page.get_by_role("link", name="worker", exact=True).click()
        log = page.get_by_role("log", name="Log")
        began = log.get_by_text(re.compile(r"the worker is ready: "))
        expect(began).to_have_count(1)
        expect(page.locator("#log-state")).to_have_text("following")
        accessible(page)
        process = page.locator("#service dt:text-is('Process') + dd")
        before = process.inner_text()
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Restart").click()
        expect(process).to_have_text(re.compile(rf"^(?!{before}$)\d+$"), timeout=SLOW)
        expect(page.locator("#service .badge")).to_have_text("running", timeout=SLOW)
        expect(began).to_have_count(2, timeout=SLOW)

        page.get_by_role("link", name="Manifest", exact=True).click()
        expect(page.locator(".source")).to_contain_text("PREFECT_WORKER_QUERY_SECONDS")
        accessible(page)
        page.get_by_role("link", name="What a plan would do").click()
        expect(page.locator("#plan")).to_contain_text("No changes: the world is as the manifest says", timeout=SLOW)
        accessible(page)
