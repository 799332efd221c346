"""`prefect.yaml`: what Prefect's own command line makes of it, on a real server."""

from __future__ import annotations

import dataclasses
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pulpo.compile.codegen import PrefectCodeGenerator
from pulpo.compile.deployment import Deployment, Schedule, WorkPool, deployments
from pulpo.manifest.flow import FlowSpec
from pulpo.manifest.load import load
from pulpo.manifest.references import resolve
from tests.prefect_server import Shell

FILE = "run_cache/orchestration/prefect.yaml"
SHOP = """
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from pulpo import datamodel, operation


class Color(Enum):
    RED = "red"
    GREEN = "green"


class Address(BaseModel):
    street: str
    zip: Annotated[int, Field(ge=1)] | None = None
    color: Color = Color.RED


class Node(BaseModel):
    name: str
    below: list["Node"] = []


@datamodel(key=["number"])
class Item(BaseModel):
    number: int


@operation(name="stock.count.shelves")
def shelves(
    keywords: str,
    limit: Annotated[int, Field(ge=1, le=10, description="How many {{ at most }}.")] = 3,
    address: Address = Address(street="Main"),
    other: Address | None = None,
    root: Node = Node(name="top", below=[Node(name="leaf")]),
) -> Item:
    return Item(number=limit)


@operation(name="stock.count.doors")
def doors(limit: int = 4, color: Color = Color.GREEN, colors: list[Color] = [], since: date | None = None) -> Item:
    return Item(number=limit)


@operation(name="stock.plain")
def plain(
    number: int = 1, ratio: float = 0.5, flag: bool = False, text: str = "a", maybe: int | None = None, nothing: None = None,
    numbers: list[int] = [1], table: dict[str, float] = {}, either: int | str = "x", anything: Any = {"a": [1]},
    choice: Literal["a", "b"] = "a", when: datetime | date = date(2020, 1, 1), wait: timedelta = timedelta(seconds=5),
    json: list[dict[str, Any]] = [], schema: str = "s", keys: dict[str, Any] = {},
) -> Item:
    return Item(number=number)


@operation
def report(items: list[Item]) -> None:
    pass
"""
FLOWS = """
flows:
  pipeline:
    description: 'All of it, with {{ braces }}, {{ HOME }}, ${HOME} and "quotes".'
    parameters: {keywords: "${WORDS} and ${MORE:-more} for $$5, {{ HOME }} {{${WORDS}}}", anything: [null, {a: "${WORDS}"}, 1.5]}
    work_pool: {name: "${POOL}", queue: "${QUEUE:-high}", job_variables: {env: {TOKEN: "${WORDS}", PLAIN: "1"}}}
    schedule: {cron: "0 6 * * 1-5", timezone: Europe/Berlin, paused: true}
  stock:
    parameters: {keywords: python, shelves.limit: 5, doors.limit: 6}
    schedule: {interval: 90.5, timezone: America/New_York}
    tags: [nightly, "b: c"]
    concurrency: 2
    collision_strategy: cancel_new
  stock.count:
    parameters: {keywords: python, shelves.limit: 7, other: {street: "${WORDS}", zip: 3}}
    schedule: {rrule: "FREQ=WEEKLY;BYDAY=MO,WE", paused: false}
    concurrency: 1
    work_pool: {type: docker, directory: "${BASE}/shop", job_variables: {image: "shop:1"}}
  report:
    work_pool: {type: docker, job_variables: {image: "shop:2", env: {A: b}}}
environments:
  prod:
    flows: {stock: {schedule: {interval: 60}, tags: [prod]}}
"""
#: Values of parameters, and whether they are what the schemas say.
VALUES: list[tuple[dict[str, Any], bool]] = [
    ({"shelves_limit": 10}, True),
    ({"shelves_limit": 11}, False),
    ({"shelves_limit": "10"}, False),
    ({"keywords": "123"}, True),
    ({"keywords": 123}, False),
    ({"address": {"street": "a", "zip": None, "color": "green"}}, True),
    ({"address": {"street": "a", "color": "blue"}}, False),
    ({"address": {"zip": 1}}, False),
    ({"other": None}, True),
    ({"other": {"street": "a", "zip": 1}}, True),
    ({"other": {"street": "a", "zip": 0}}, False),
    ({"root": {"name": "a", "below": [{"name": "b", "below": [{"name": "c"}]}]}}, True),
    ({"root": {"name": "a", "below": [{"name": "b", "below": [{"name": 1}]}]}}, False),
    ({"colors": ["red", "green"], "color": "red"}, True),
    ({"colors": ["red", "blue"]}, False),
    ({"since": "2026-01-02"}, True),
    ({"since": None}, True),
    ({"since": 3}, False),
]
VARIABLES = {"WORDS": "wörds", "POOL": "pool with a space", "BASE": "/srv/projects", "MORE": "more", "QUEUE": "high"}


@pytest.fixture
def shop(tmp_path, write, prefect):
    """A project that uses every setting of a flow, locked."""
    write("shop.py", SHOP)
    write("pyproject.toml", '[tool.pulpo]\nname = "corner"\nmodules = ["shop"]\n')
    shell = Shell(tmp_path, {**prefect, **VARIABLES})
    shell("lock")
    with (tmp_path / "pulpo.lock.yaml").open("a", encoding="utf-8") as lock:
        lock.write(FLOWS)
    return shell


def desired(directory: Path, environment: str | None = None) -> tuple[Deployment, ...]:
    """The deployments with what references stand for, as `pulpo prefect deploy` has them."""
    manifest, _ = load(directory / "pulpo.lock.yaml", environment=environment)
    data = resolve({"flows": {name: spec.data() for name, spec in manifest.flows.items()}}, VARIABLES).data["flows"]
    flows = {name: FlowSpec.model_validate(entry) for name, entry in data.items()}
    filled = manifest.model_copy(update={"flows": flows})
    return deployments(filled, PrefectCodeGenerator(manifest), environment=environment)


def ask(shell: Shell, path: str, data: object = None, *, method: str = "POST") -> Any:
    """What the server answers."""
    url, body = f"{shell.environment['PREFECT_API_URL']}/{path}", json.dumps(data).encode() if method == "POST" else None
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or "null")


def observed(shell: Shell, name: str) -> tuple[Deployment, ...]:
    """The deployments of that name on the server, sorted by flow, in the words of `deployments`."""
    flows = {flow["id"]: flow["name"] for flow in ask(shell, "flows/filter", {"deployments": {"name": {"any_": [name]}}})}
    pools = {pool["name"]: pool for pool in ask(shell, "work_pools/filter", {})}
    found = ask(shell, "deployments/filter", {"deployments": {"name": {"any_": [name]}}})
    return tuple(sorted((_said(one, flows[one["flow_id"]], pools) for one in found), key=lambda d: d.flow))


def _said(data: dict, flow: str, pools: dict) -> Deployment:
    pool = pools[data["work_pool_name"]]
    (step,) = data["pull_steps"]
    limit, options = data["global_concurrency_limit"], data["concurrency_options"]
    assert (data["paused"], data["path"], data["enforce_parameter_schema"]) == (False, None, True)
    return Deployment(
        flow=flow,
        name=data["name"],
        entrypoint=data["entrypoint"],
        work_pool=WorkPool(pool["name"], pool["type"]),
        directory=step["prefect.deployments.steps.set_working_directory"]["directory"],
        work_queue=None if data["work_queue_id"] == pool["default_queue_id"] else data["work_queue_name"],
        job_variables=data["job_variables"],
        # Prefect's own command line makes this of none.
        description=None if data["description"] == "None" else data["description"],
        tags=tuple(sorted(data["tags"])),
        parameters=data["parameters"],
        parameter_schema=data["parameter_openapi_schema"],
        schedule=_schedule(data["schedules"]),
        concurrency=limit and limit["limit"],
        collision_strategy=options and options["collision_strategy"].lower(),
        version=data["version"],
    )


def _schedule(schedules: list[dict]) -> Schedule | None:
    if not schedules:
        return None
    (one,) = schedules
    said = one["schedule"]
    assert (one["slug"], one["parameters"], said.get("day_or", True)) == ("pulpo", {}, True)
    kinds = {kind: said.get(kind) for kind in ("cron", "interval", "rrule")}
    # Prefect says from when on a rule counts that does not say it itself.
    kinds["rrule"] = kinds["rrule"] and kinds["rrule"].removeprefix("DTSTART:20200101T000000\n")
    return Schedule(**kinds, timezone=said["timezone"], paused=not one["active"])


def expected(shell: Shell, environment: str | None = None) -> tuple[Deployment, ...]:
    """What is desired, with what Prefect has where nothing is said."""
    return tuple(
        dataclasses.replace(
            d,
            directory=d.directory or str(shell.directory.resolve()),
            schedule=d.schedule and dataclasses.replace(d.schedule, paused=bool(d.schedule.paused)),
        )
        for d in desired(shell.directory, environment)
    )


def prefect_deploy(shell: Shell, environment: str | None = None) -> str:
    """Prefect's own command line, on a server that has the work pools; what it says on stderr."""
    there = {pool["name"] for pool in ask(shell, "work_pools/filter", {})}
    for pool in {d.work_pool for d in desired(shell.directory, environment)}:
        if pool.name not in there:
            ask(shell, "work_pools/", {"name": pool.name, "type": pool.type})
    return shell.python("-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", FILE)[1]


def forget(shell: Shell) -> None:
    """Deletes the project's deployments, and the work pools that it asks for."""
    for one in ask(shell, "deployments/filter", {"deployments": {"tags": {"all_": ["pulpo.project=corner"]}}}):
        ask(shell, f"deployments/{one['id']}", method="DELETE")
    for name in {d.work_pool.name for d in desired(shell.directory)}:
        ask(shell, f"work_pools/{quote(name)}", method="DELETE")


def assert_same(there: tuple[Deployment, ...], wanted: tuple[Deployment, ...]) -> None:
    """Field by field, so that a test that fails says which."""
    assert [d.flow for d in there] == [d.flow for d in wanted]
    for one, other in zip(there, wanted, strict=True):
        for field in dataclasses.fields(Deployment):
            assert (one.flow, field.name, getattr(one, field.name)) == (one.flow, field.name, getattr(other, field.name))


def refused(shell: Shell, flow: str, **parameters: Any) -> str:
    """What Prefect has against a run with these parameters; nothing where it makes the run."""
    found = ask(shell, f"deployments/name/{flow}/corner", method="GET")
    try:
        ask(shell, f"deployments/{found['id']}/create_flow_run", {"parameters": parameters})
    except urllib.error.HTTPError as error:
        return error.read().decode()
    return ""


def test_prefects_command_line_and_pulpos_make_the_same_deployments(shop):
    """Which are those that `deployments` says, field by field; and Prefect takes and refuses values as their schemas say."""
    shop("compile")
    said = prefect_deploy(shop)
    assert "Traceback" not in said
    by_prefect = observed(shop, "corner")
    assert [d.flow for d in by_prefect] == ["pipeline", "report", "stock", "stock.count"]
    assert_same(by_prefect, expected(shop))
    assert json.loads(shop("prefect", "deploy", "--check", "--format", "json")[0])["changes"] == []
    for value, is_fine in VALUES:
        assert (refused(shop, "stock.count", **value) == "") is is_fine, value
    forget(shop)
    shop("prefect", "deploy")
    assert_same(observed(shop, "corner"), by_prefect)
    forget(shop)


def test_an_environment_has_deployments_of_its_own(shop):
    shop("--env", "prod", "compile")
    prefect_deploy(shop, "prod")
    by_prefect = observed(shop, "corner.prod")
    assert_same(by_prefect, expected(shop, "prod"))
    assert {d.job_variables["env"]["PULPO_ENV"] for d in by_prefect} == {"prod"}
    assert json.loads(shop("--env", "prod", "prefect", "deploy", "--check", "--format", "json")[0])["changes"] == []
    forget(shop)
