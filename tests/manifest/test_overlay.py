"""The manifest as an environment has it: what is merged, and where each part of it is written."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.errors import DiagnosticsError, UsageError
from pulpo.manifest.load import load
from pulpo.manifest.model import Manifest
from pulpo.manifest.overlay import overlaid
from tests.strategies import environments, manifests

LOCK = """\
version: 1
project: {name: shop, mode: local}
models:
  Order: {entrypoint: "shop.models:Order", collection: orders, key: [id], tags: [a, b]}
operations:
  fetch:
    entrypoint: shop.operations:fetch
    async: false
    outputs: [{model: Order}]
    retries: 3
    timeout: 10
    cache: {ttl: 60}
flows:
  fetch: {schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}, parameters: {limit: 5, region: {name: eu, size: 2}}}
services:
  db: {image: "mongo:8", environment: {LEVEL: info, NAME: shop}, ports: ["27017:27017"]}
environments:
  dev: {}
  prod:
    project: {mode: docker}
    models:
      Order: {collection: orders_prod, tags: [c]}
    operations:
      fetch: {timeout: 60, cache: {x-note: longer}}
    flows:
      fetch: {schedule: {interval: 3600}, parameters: {region: {name: us}}}
    services:
      db: {environment: {LEVEL: error}, ports: ["9:9"]}
      cache: {image: redis}
"""


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "pulpo.lock.yaml"
    path.write_text(LOCK)
    return path


def in_prod(lock):
    return load(lock, "lock", "prod")


def test_mappings_are_merged_key_by_key(lock):
    manifest, _ = in_prod(lock)
    assert (manifest.operations["fetch"].timeout, manifest.operations["fetch"].retries) == (60, 3)
    assert manifest.operations["fetch"].data()["cache"] == {"ttl": 60, "x-note": "longer"}
    assert manifest.services["db"].environment == {"LEVEL": "error", "NAME": "shop"}
    assert manifest.flows["fetch"].parameters == {"limit": 5, "region": {"name": "us", "size": 2}}
    assert (manifest.project.name, manifest.project.mode) == ("shop", "docker")
    assert manifest.models["Order"].collection == "orders_prod"


def test_lists_and_scalars_take_the_place_of_those_below(lock):
    manifest, _ = in_prod(lock)
    assert manifest.services["db"].ports == ["9:9"]
    assert manifest.models["Order"].tags == ["c"]


def test_a_service_may_be_of_one_environment_alone(lock):
    assert in_prod(lock)[0].services["cache"].image == "redis"
    assert set(load(lock, "lock", "dev")[0].services) == {"db"}


def test_a_schedule_of_another_kind_takes_the_place_of_the_one_below(lock):
    schedule = in_prod(lock)[0].flows["fetch"].schedule
    assert schedule is not None
    assert schedule.data() == {"interval": 3600, "timezone": "Europe/Berlin"}


POOL = {"name": "jobs-docker", "type": "docker", "queue": "high", "job_variables": {"image": "a:1", "env": {"A": "1"}}}


def merged_flow(below, said):
    data = {"version": 1, "project": {"name": "p"}, "flows": {"a": below}, "environments": {"prod": {"flows": {"a": said}}}}
    Manifest.model_validate(data)
    return overlaid(data, "prod").data["flows"]["a"]


@pytest.mark.parametrize(
    ("below", "said", "merged"),
    [
        (POOL, {"queue": "low"}, {**POOL, "queue": "low"}),
        (POOL, {"type": "docker", "queue": "low"}, {**POOL, "queue": "low"}),
        (POOL, {"job_variables": {"env": {"B": "2"}}}, {**POOL, "job_variables": {"image": "a:1", "env": {"A": "1", "B": "2"}}}),
        (POOL, {"type": "process"}, {"type": "process"}),
        (POOL, {"type": "kubernetes", "queue": "low"}, {"type": "kubernetes", "queue": "low"}),
        ({"queue": "high"}, {"type": "process"}, {"queue": "high", "type": "process"}),
        ({"queue": "high"}, {"type": "docker"}, {"type": "docker"}),
        (POOL, {}, POOL),
    ],
)
def test_a_work_pool_of_another_type_is_another_pool(below, said, merged):
    assert merged_flow({"work_pool": below}, {"work_pool": said}) == {"work_pool": merged}


@pytest.mark.parametrize(
    ("below", "said", "merged"),
    [
        ({"task_runner": "dask", "task_runner_options": {"n": 1}}, {"task_runner": "ray"}, {"task_runner": "ray"}),
        (
            {"task_runner": "dask", "task_runner_options": {"n": 1, "m": 2}},
            {"task_runner": "dask", "task_runner_options": {"n": 3}},
            {"task_runner": "dask", "task_runner_options": {"n": 3, "m": 2}},
        ),
        (
            {"task_runner": "dask", "task_runner_options": {"n": 1}, "tags": ["x"]},
            {"task_runner": "ray", "task_runner_options": {"m": 2}},
            {"task_runner": "ray", "task_runner_options": {"m": 2}, "tags": ["x"]},
        ),
        ({"task_runner_options": {"n": 1}}, {"task_runner": "dask"}, {"task_runner": "dask", "task_runner_options": {"n": 1}}),
    ],
)
def test_another_task_runner_does_without_the_options_of_the_one_below(below, said, merged):
    assert merged_flow(below, said) == merged


def test_a_flow_may_be_called_like_a_setting():
    data = {
        "version": 1,
        "project": {"name": "p"},
        "flows": {"task_runner": {"tags": ["x"]}, "task_runner_options": {"tags": ["y"]}, "work_pool": {"tags": ["z"]}},
        "environments": {"prod": {"flows": {"task_runner": {"concurrency": 1}, "work_pool": {"work_pool": {"type": "docker"}}}}},
    }
    assert overlaid(data, "prod").data["flows"] == {
        "task_runner": {"tags": ["x"], "concurrency": 1},
        "task_runner_options": {"tags": ["y"]},
        "work_pool": {"tags": ["z"], "work_pool": {"type": "docker"}},
    }


def test_without_an_environment_overlays_mean_nothing(lock):
    assert load(lock, "lock")[0].operations["fetch"].timeout == 10
    assert load(lock, "lock", "dev")[0] == load(lock, "lock")[0]


def line_of(place):
    return LOCK.splitlines()[place.line - 1].strip()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("operations", "fetch", "timeout"), "fetch: {timeout: 60, cache: {x-note: longer}}"),
        (("operations", "fetch", "retries"), "retries: 3"),
        (("operations", "fetch", "cache", "ttl"), "cache: {ttl: 60}"),
        (("services", "db", "ports", 0), 'db: {environment: {LEVEL: error}, ports: ["9:9"]}'),
        (("services", "db", "image"), 'db: {image: "mongo:8", environment: {LEVEL: info, NAME: shop}, ports: ["27017:27017"]}'),
        (("services", "cache"), "cache: {image: redis}"),
        (("project", "mode"), "project: {mode: docker}"),
        (("project", "name"), "project: {name: shop, mode: local}"),
    ],
)
def test_a_value_is_found_where_it_is_written(lock, path, line):
    assert line_of(in_prod(lock)[1].locate(path)) == line


def test_what_the_overlay_says_is_told_as_a_path(lock):
    merged = overlaid(load(lock)[1].data, "prod")
    assert merged.says(("services", "db", "environment", "LEVEL")) == (
        "environments",
        "prod",
        "services",
        "db",
        "environment",
        "LEVEL",
    )
    assert merged.says(("services", "db", "environment", "NAME")) is None
    assert merged.says(("services", "db", "ports", 0)) == ("environments", "prod", "services", "db", "ports", 0)
    assert merged.says(("version",)) is None
    assert merged.says(()) is None


@pytest.mark.parametrize(("name", "hint"), [("prd", "did you mean 'prod'?"), ("x", "the lock has: dev, prod")])
def test_an_unknown_environment_is_named_with_those_there_are(lock, name, hint):
    with pytest.raises(UsageError, match=f"no environment: {name}") as raised:
        load(lock, "lock", name)
    assert hint in raised.value.hint
    assert "dev, prod" in raised.value.hint


def test_where_there_are_no_environments_the_message_says_so():
    with pytest.raises(UsageError) as raised:
        overlaid({"version": 1, "project": {"name": "shop"}}, "prod")
    assert raised.value.hint == "the lock has no environments"


def test_an_overlay_of_what_is_not_there_is_refused_where_it_stands(lock):
    lock.write_text(
        LOCK.replace("      fetch: {timeout", "      fetsh: {timeout").replace("      Order: {coll", "      Ordr: {coll")
    )
    with pytest.raises(DiagnosticsError) as raised:
        in_prod(lock)
    assert [(d.code, d.message, d.hint, d.place.line) for d in raised.value.diagnostics] == [
        ("PLP201", "no model has the name: Ordr", "did you mean 'Order'?", 22),
        ("PLP202", "no operation has the name: fetsh", "did you mean 'fetch'?", 24),
    ]
    assert load(lock, "lock", "dev")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{timeout: 60,", "{entrypoint: 'a:b',", "unknown key: entrypoint"),
        ("{timeout: 60,", "{timeuot: 60,", "unknown key: timeuot"),
        ("{timeout: 60,", "{timeout: -1,", "must be greater than 0: -1"),
        ("project: {mode: docker}", "project: {name: other}", "unknown key: name"),
        ("{schedule: {interval: 3600},", "{segments: [],", "unknown key: segments"),
        ("{collection: orders_prod,", "{schema: {},", "unknown key: schema"),
        ("cache: {image: redis}", "cache: {imege: redis}", "unknown key: imege"),
    ],
)
def test_an_overlay_says_settings_and_nothing_else(lock, old, new, message):
    assert old in LOCK
    lock.write_text(LOCK.replace(old, new))
    with pytest.raises(DiagnosticsError, match=message) as raised:
        load(lock)
    assert raised.value.diagnostics[0].path[:2] == ("environments", "prod")


@st.composite
def with_overlay(draw):
    """A manifest with an environment `prod` that is about what the manifest has, mostly."""
    data = draw(manifests())
    overlay = draw(environments)
    for section in ("models", "operations"):
        names = list(data.get(section, {}))
        if names and section in overlay:
            overlay[section] = {draw(st.sampled_from(names)): entry for entry in overlay[section].values()}
    return {**data, "environments": {"prod": overlay}}


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    else:
        yield path, value


def at(value, path):
    for part in path:
        value = value[part]
    return value


@given(with_overlay())
@settings(max_examples=100, deadline=None)
def test_what_is_merged_is_a_manifest_and_everything_in_it_has_its_origin(data):
    before = copy.deepcopy(data)
    merged = overlaid(data, "prod")
    assert data == before
    assert merged.manifest(Manifest.model_validate(data)) == Manifest.model_validate(merged.data)
    for path, value in leaves(merged.data):
        if value != {}:
            assert json.dumps(at(data, merged.says(path) or path)) == json.dumps(value)
    for section, entries in merged.overlay.items():
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if section in ("models", "operations", "flows", "services") and name in merged.data.get(section, {}):
                for path, value in leaves(entry, (section, name)):
                    if value != {}:
                        assert at(merged.data, path) == value
