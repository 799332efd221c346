"""The services of a manifest as they will run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulpo.compile.topology import Link, Mount, Needs, Probe, Role, topology
from pulpo.errors import DiagnosticsError
from pulpo.manifest.addresses import Port
from pulpo.manifest.model import Manifest
from pulpo.manifest.overlay import overlaid

WHOLE = {"db": {"engine": "mongodb"}, "prefect": {"ports": ["4200"]}, "worker": {}, "api": {"ports": ["8000"]}}
WEB = {"command": ["web"]}


def manifest(services, **sections) -> Manifest:
    return Manifest.model_validate({"version": 1, "project": {"name": "jobs"}, "services": services, **sections})


def services_of(services, *, environment=None, environ=None, **sections):
    found = topology(manifest(services, **sections), environment=environment, environ=environ or {})
    return {service.name: service for service in found.services}


def links(service) -> dict[str, tuple[str, str]]:
    assert [link.variable for link in service.links] == sorted({link.variable for link in service.links})
    return {link.variable: (link.service, link.text) for link in service.links}


def test_the_built_in_services_are_complete():
    found = services_of(WHOLE)
    assert list(found) == ["db", "api", "prefect", "worker"]
    assert {s.role for s in found.values()} == {Role.DB, Role.API, Role.PREFECT, Role.WORKER}
    assert found["db"].command is None
    assert found["db"].mounts == (Mount("db_data", "/data/db"),)
    assert found["db"].probe == Probe("tcp", port=27017)
    assert found["api"].command[0] == "pulpo"
    assert found["api"].command[-2:] == ("api", "serve")
    assert found["api"].probe == Probe("http", "/health/ready", 8000)
    assert found["prefect"].probe == Probe("http", "/api/ready", 4200)
    assert found["worker"].ports == ()
    assert all(s.restart == "always" for s in found.values())
    assert all(s.image is None for name, s in found.items() if name != "db")


def test_the_ui_knows_the_api_and_nothing_else():
    found = services_of({**WHOLE, "ui": {}}, flows={"pipeline": {"work_pool": {"name": "${POOL}"}}})
    ui = found["ui"]
    assert (ui.role, ui.command, ui.ports) == (Role.UI, ("pulpo", "-q", "ui", "serve"), (Port(3000, 3000),))
    assert ui.probe == Probe("http", "/health", 3000)
    assert ui.needs == (Needs("api"),)
    assert links(ui) == {
        "PULPO_API_URL": ("api", "http://{host}:{port}"),
        "PULPO_UI_HOST": ("ui", "{host}"),
        "PULPO_UI_PORT": ("ui", "{port}"),
    }
    assert (found["api"].passed, ui.passed) == (("POOL",), ())


def test_the_ui_shows_an_api_that_somebody_else_runs():
    ui = services_of({"api": {"uri": "${API}"}, "ui": {}})["ui"]
    assert ui.environment["PULPO_API_URL"] == "${API}"
    assert ui.needs == ()
    said = services_of({"api": {"uri": "${API}"}, "ui": {"environment": {"PULPO_API_URL": "http://mine"}}})["ui"]
    assert said.environment["PULPO_API_URL"] == "http://mine"
    assert "PULPO_API_URL" not in links(said)


@pytest.mark.parametrize(
    ("text", "guarded"), [("${TOKEN}", True), ("abc", True), ("${TOKEN:-}x", True), ("${TOKEN:-}", False), ("", False)]
)
def test_the_ui_is_told_that_the_api_asks_for_a_token_and_not_the_token(text, guarded):
    ui = services_of({"api": {"environment": {"PULPO_API_READ_TOKEN": text}}, "ui": {}})["ui"]
    assert ui.environment.get("PULPO_UI_GUARDED") == ("true" if guarded else None)
    assert not any("TOKEN" in name for name in ui.environment)


def test_what_needs_what():
    found = services_of({**WHOLE, "web": {**WEB, "depends_on": ["prefect", "api"]}})
    assert found["worker"].needs == (Needs("db"), Needs("prefect", ready=False))
    assert found["api"].needs == (Needs("db"),)
    assert found["web"].needs == (Needs("api"), Needs("prefect"))


def test_depends_on_makes_a_need_stronger():
    found = services_of({**WHOLE, "worker": {"depends_on": ["prefect"]}})
    assert found["worker"].needs == (Needs("db"), Needs("prefect"))


def test_nobody_waits_for_what_does_not_run():
    found = services_of({**WHOLE, "db": {}, "prefect": {"uri": "${PREFECT}"}})
    assert (found["db"].kind, found["prefect"].kind, found["prefect"].uri) == ("embedded", "elsewhere", "${PREFECT}")
    assert found["worker"].needs == found["api"].needs == ()
    assert links(found["worker"]) == {}


def test_a_disabled_service_is_no_part_of_it():
    assert list(services_of({**WHOLE, "api": {"enabled": False}})) == ["db", "prefect", "worker"]


def test_services_of_the_project_are_told_where_the_others_are():
    found = services_of({**WHOLE, "web": {**WEB, "image": "nginx"}, "job": {"image": "x", "command": ["python", "-m", "x"]}})
    told = {"PULPO_DB_URI": ("db", "mongodb://{host}:{port}/jobs"), "PREFECT_API_URL": ("prefect", "http://{host}:{port}/api")}
    assert links(found["worker"]) == links(found["job"]) == told
    assert links(found["api"]) == {**told, "PULPO_API_HOST": ("api", "{host}"), "PULPO_API_PORT": ("api", "{port}")}
    assert links(found["web"]) == links(found["db"]) == {}
    assert found["prefect"].links == (
        Link("PREFECT_SERVER_API_HOST", "prefect", "{host}"),
        Link("PREFECT_SERVER_API_PORT", "prefect", "{port}"),
    )


def test_own_services_are_told_their_port_and_those_that_they_depend_on():
    found = services_of(
        {
            "big-cache": {**WEB, "image": "redis", "ports": ["6379"]},
            "quiet": {**WEB, "image": "x"},
            "web": {**WEB, "image": "x", "ports": ["auto:80", "81"], "depends_on": ["big-cache", "quiet"]},
        }
    )
    assert links(found["web"]) == {
        "HOST": ("web", "{host}"),
        "PORT": ("web", "{port}"),
        "BIG_CACHE_HOST": ("big-cache", "{host}"),
        "BIG_CACHE_PORT": ("big-cache", "{port}"),
    }
    assert found["web"].ports == (Port(80, None), Port(81, 81))
    assert found["web"].probe == Probe("tcp", port=80)
    assert found["quiet"].probe is None


def test_the_environment_of_the_manifest_goes_before_links():
    found = services_of({**WHOLE, "worker": {"environment": {"PREFECT_API_URL": "http://other/api", "DO_NOT_TRACK": "0"}}})
    assert "PREFECT_API_URL" not in links(found["worker"])
    assert found["worker"].environment["PREFECT_API_URL"] == "http://other/api"
    assert found["worker"].environment["DO_NOT_TRACK"] == "0"


def test_nothing_is_reported_and_the_environment_is_passed_on():
    found = services_of({**WHOLE, "web": WEB}, environment="prod")
    for name in ("prefect", "worker", "api", "web"):
        assert found[name].environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
        assert found[name].environment["DO_NOT_TRACK"] == "1"
    assert {name for name, s in found.items() if s.environment.get("PULPO_ENV") == "prod"} == {"worker", "api", "web"}


def test_variables_that_runs_need_are_passed_on_as_they_are():
    flows = {"a": {"parameters": {"token": "${TOKEN:-none}"}, "work_pool": {"name": "${POOL}"}}}
    operations = {"a.b": {"entrypoint": "jobs:b", "parameters": {"token": {"schema": {}}}}}
    services = {**WHOLE, "db": {"uri": "${MONGO_URL}"}, "web": {"image": "x", "environment": {"A": "${OWN}"}}}
    found = services_of(services, flows=flows, operations=operations)
    assert found["api"].passed == found["worker"].passed == ("MONGO_URL", "POOL", "TOKEN")
    assert found["web"].passed == found["prefect"].passed == ()
    assert found["web"].environment == {"A": "${OWN}"}


def test_everything_that_an_entry_says_goes_before_what_is_usual():
    found = services_of(
        {
            "api": {
                "image": "jobs:2",
                "command": ["pulpo", "serve"],
                "ports": ["auto"],
                "volumes": ["./a:/a:ro", "b:/b"],
                "probe": {"log": "ready", "timeout": 5},
                "restart": "no",
                "grace": 0,
                "resources": {"cpus": 0.5, "memory": "1g"},
            },
            "worker": {"replicas": 3},
        }
    )
    api = found["api"]
    assert (api.image, api.command, api.ports) == ("jobs:2", ("pulpo", "serve"), (Port(8000, None),))
    assert api.mounts == (Mount("./a", "/a", read_only=True), Mount("b", "/b"))
    assert (api.probe, api.ready_timeout) == (Probe("log", pattern="ready"), 5)
    assert (api.restart, api.grace, api.cpus, api.memory) == ("no", 0, 0.5, "1g")
    assert found["worker"].replicas == 3


@pytest.mark.parametrize(
    ("probe", "wanted"),
    [
        ({"http": "/x"}, Probe("http", "/x", 80)),
        ({"http": "/x", "port": 81}, Probe("http", "/x", 81)),
        ({"tcp": 82}, Probe("tcp", port=82)),
        ({"command": ["ok"]}, Probe("command", command=("ok",))),
        ({"timeout": 3, "log": "up"}, Probe("log", pattern="up")),
    ],
)
def test_a_probe_is_what_the_entry_says(probe, wanted):
    assert services_of({"web": {**WEB, "ports": ["9000:80"], "probe": probe}})["web"].probe == wanted


def test_a_database_whose_data_is_mounted_keeps_it_there():
    found = services_of({"db": {"image": "mongo:6", "volumes": ["./data:/data/db"]}})
    assert found["db"].mounts == (Mount("./data", "/data/db"),)
    assert found["db"].image == "mongo:6"


def test_broken_rules_are_refused():
    with pytest.raises(DiagnosticsError) as raised:
        services_of({"web": {}, "job": {**WEB, "depends_on": ["wbe"]}})
    assert {d.code for d in raised.value.diagnostics} == {"PLP226", "PLP223"}


def test_a_port_whose_variable_is_not_set_is_refused():
    services = {"web": {**WEB, "ports": ["${WEB_PORT}"]}}
    assert services_of(services, environ={"WEB_PORT": "81"})["web"].ports == (Port(81, 81),)
    with pytest.raises(DiagnosticsError) as raised:
        services_of(services)
    assert [d.code for d in raised.value.diagnostics] == ["PLP217"]


@st.composite
def stacks(draw):
    """Services that need only those before them in some order, which the mapping's order does not tell."""
    names = [*draw(st.permutations(["a", "b", "c", "d-e", "f_g"])), "db", "prefect", "worker", "api"]
    entries = {}
    for index, name in enumerate(names[:5]):
        kind = draw(st.sampled_from(["command", "image", "uri"]))
        value = ["x"] if kind == "command" else "x"
        entries[name] = {kind: value, "ports": draw(st.sampled_from([[], ["auto:80"]]))}
        before = [*names[:index], "db", "prefect", "api"]
        entries[name]["depends_on"] = draw(st.lists(st.sampled_from(before), max_size=4))
    entries |= {"db": draw(st.sampled_from([{}, {"engine": "mongodb"}])), "prefect": {}, "worker": {}, "api": {}}
    return entries, draw(st.permutations(sorted(entries)))


@given(stacks())
def test_each_service_comes_after_those_that_it_needs_whatever_the_order_in_the_file(stack):
    entries, order = stack
    found = topology(manifest(entries), environ={})
    assert topology(manifest({name: entries[name] for name in order}), environ={}) == found
    names = [service.name for service in found.services]
    assert sorted(names) == sorted(entries)
    for index, service in enumerate(found.services):
        assert {need.service for need in service.needs} <= set(names[:index])
        assert all(found.services[names.index(need.service)].kind == "process" for need in service.needs)
        assert {link.service for link in service.links} <= set(names)


@given(stacks(), st.data())
def test_a_circle_is_always_found(stack, data):
    entries, _ = stack
    running = sorted(
        name for name, entry in entries.items() if "uri" not in entry and name not in ("db", "prefect", "worker", "api")
    )
    if not running:
        return
    circle = data.draw(st.lists(st.sampled_from(running), min_size=1, unique=True))
    for name, following in zip(circle, [*circle[1:], circle[0]], strict=True):
        entries[name]["depends_on"] = [*entries[name]["depends_on"], following]
    with pytest.raises(DiagnosticsError) as raised:
        topology(manifest(entries), environ={})
    assert {d.code for d in raised.value.diagnostics} == {"PLP224"}


SETTINGS = {
    "image": st.sampled_from(["a", "b"]),
    "environment": st.dictionaries(st.sampled_from("XYZ"), st.sampled_from("12")),
    "ports": st.lists(st.sampled_from(["auto:1", "auto:2"])),
    "restart": st.sampled_from(["always", "no"]),
    "resources": st.fixed_dictionaries({}, optional={"cpus": st.just(1), "memory": st.sampled_from(["1g", "2g"])}),
    "enabled": st.booleans(),
}
ENTRIES = st.fixed_dictionaries({}, optional=SETTINGS)


@given(st.dictionaries(st.sampled_from("abc"), ENTRIES), st.dictionaries(st.sampled_from("abcd"), ENTRIES))
def test_an_overlay_changes_what_it_says_and_nothing_else(base, overlay):
    data = {"version": 1, "project": {"name": "p"}, "services": base, "environments": {"e": {"services": overlay}}}
    merged = overlaid(data, "e").manifest(Manifest.model_validate(data)).services
    assert merged.keys() == base.keys() | overlay.keys()
    for name, spec in merged.items():
        below, said = base.get(name, {}), overlay.get(name, {})
        assert spec.data().keys() == below.keys() | said.keys()
        for key, value in spec.data().items():
            if key in ("environment", "resources"):
                assert value == {**below.get(key, {}), **said.get(key, {})}
            else:
                assert value == (said if key in said else below)[key]
