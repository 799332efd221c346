"""What of services no schema can say."""

from __future__ import annotations

import pytest

from pulpo.diagnostics import dotted
from pulpo.lock.check import check_manifest
from pulpo.manifest.model import Manifest
from pulpo.manifest.overlay import overlaid
from pulpo.manifest.service_rules import service_problems

WEB = {"command": ["web"]}


def manifest(services, **project) -> Manifest:
    return Manifest.model_validate({"version": 1, "project": {"name": "jobs", **project}, "services": services})


def problems(services, **project) -> list[tuple[str, str]]:
    found = service_problems(manifest(services, **project))
    assert all(d.hint for d in found)
    return [(d.code, dotted(d.path)) for d in found]


@pytest.mark.parametrize(
    ("services", "code", "path"),
    [
        ({"api": {}, "web": {**WEB, "depends_on": ["apo"]}}, "PLP223", "services.web.depends_on[0]"),
        ({"web": {**WEB, "depends_on": ["off"]}, "off": {**WEB, "enabled": False}}, "PLP223", "services.web.depends_on[0]"),
        ({"worker": {}, "prefect": {"enabled": False}}, "PLP223", "services.worker"),
        ({"ui": {}, "api": {"enabled": False}}, "PLP223", "services.ui"),
        ({"web": {**WEB, "depends_on": ["web"]}}, "PLP224", "services.web.depends_on"),
        ({"worker": {}, "prefect": {"depends_on": ["worker"]}}, "PLP224", "services.prefect.depends_on"),
        ({"web": {**WEB, "ports": ["80", "x"]}}, "PLP225", "services.web.ports[1]"),
        ({"web": {**WEB, "ports": ["auto"]}}, "PLP225", "services.web.ports[0]"),
        ({"api": {}, "web": {**WEB, "ports": ["8000"]}}, "PLP225", "services.web.ports[0]"),
        ({"api": {"ports": ["1:8000"]}, "web": {**WEB, "ports": ["0.0.0.0:1:2"]}}, "PLP225", "services.web.ports[0]"),
        ({"web": {**WEB, "ports": ["1:2", "1:3"]}}, "PLP225", "services.web.ports[1]"),
        ({"web": {"ports": ["1"]}}, "PLP226", "services.web"),
        ({"web": {**WEB, "engine": "mongodb"}}, "PLP227", "services.web.engine"),
        ({"web": {**WEB, "driver": "motor"}}, "PLP227", "services.web.driver"),
        ({"web": {**WEB, "ports": ["1"], "replicas": 2}}, "PLP227", "services.web.replicas"),
        ({"api": {"replicas": 2}}, "PLP227", "services.api.replicas"),
        ({"web": {**WEB, "probe": {}}}, "PLP228", "services.web.probe"),
        ({"web": {**WEB, "probe": {"tcp": 1, "log": "x"}}}, "PLP228", "services.web.probe"),
        ({"web": {**WEB, "probe": {"tcp": 1, "port": 1}}}, "PLP228", "services.web.probe.port"),
        ({"web": {**WEB, "probe": {"http": "/"}}}, "PLP228", "services.web.probe.http"),
        ({"web": {**WEB, "probe": {"log": "("}}}, "PLP228", "services.web.probe.log"),
        ({"api": {"ports": ["0.0.0.0:8000:8000"]}}, "PLP229", "services.api.ports[0]"),
        ({"api": {"ports": ["0.0.0.0:8000:8000"], "environment": {"PULPO_API_TOKEN": ""}}}, "PLP229", "services.api.ports[0]"),
        ({"ui": {"ports": ["0.0.0.0:3000:3000"]}, "api": {}}, "PLP229", "services.ui.ports[0]"),
        (
            {"ui": {"ports": ["0.0.0.0:3000:3000"]}, "api": {"environment": {"PULPO_API_TOKEN": "${T:-}"}}},
            "PLP229",
            "services.ui.ports[0]",
        ),
        ({"my web": WEB}, "PLP230", "services.my web"),
        ({"web.2": WEB}, "PLP230", "services.web.2"),
        ({"web": {**WEB, "volumes": ["data"]}}, "PLP230", "services.web.volumes[0]"),
        ({"web": {**WEB, "volumes": ["./data:there"]}}, "PLP230", "services.web.volumes[0]"),
        ({"web": {**WEB, "resources": {"memory": "2 GB"}}}, "PLP230", "services.web.resources.memory"),
        ({"api": {"variables": {"a": 1}}}, "PLP227", "services.api.variables"),
        ({"prefect": {"ports": ["0.0.0.0:4200:4200"]}}, "PLP231", "services.prefect.ports[0]"),
        ({"db": {"engine": "mongodb", "ports": ["[::]:1:2"]}}, "PLP231", "services.db.ports[0]"),
        ({"db": {"image": "mongo:8", "ports": ["10.0.0.5:1:2"], "environment": {"X": "y"}}}, "PLP231", "services.db.ports[0]"),
    ],
)
def test_a_rule_that_is_broken_is_told_where_it_is(services, code, path):
    assert problems(services) == [(code, path)]


@pytest.mark.parametrize(
    "services",
    [
        {"db": {"engine": "embedded"}, "prefect": {"ports": ["4200"]}, "worker": {}, "api": {"ports": ["8000"]}},
        {"worker": {"environment": {"PREFECT_API_URL": "http://x/api"}}, "prefect": {"enabled": False}},
        {"worker": {}, "prefect": {"uri": "http://x/api"}},
        {"ui": {"environment": {"PULPO_API_URL": "http://x"}}, "api": {"enabled": False}},
        {"ui": {"ports": ["0.0.0.0:1:2"]}, "api": {"environment": {"PULPO_API_READ_TOKEN": "${T}"}}},
        {"ui": {"ports": ["0.0.0.0:1:2"], "environment": {"PULPO_UI_GUARDED": "true"}}, "api": {"uri": "http://x"}},
        {"api": {"enabled": False}, "web": {**WEB, "ports": ["8000"]}},
        {"api": {}, "web": {**WEB, "ports": ["auto:8000", "auto:8000"]}},
        {"api": {"ports": ["127.0.0.1:1:8000"]}, "web": {**WEB, "ports": ["127.0.0.2:1:8000"]}},
        {"api": {"ports": ["0.0.0.0:1:2"], "environment": {"PULPO_API_TOKEN": "${T}"}}},
        {"web": {**WEB, "ports": ["${A}:${B}"], "probe": {"http": "/"}}},
        {"web": {**WEB, "probe": {"log": "${PATTERN}"}, "volumes": ["${DATA}:/data"], "resources": {"memory": "1.5g"}}},
        {"web": {**WEB, "volumes": ["data:/data:ro", "./x:/x", "/y:/y", "../z:/z:rw"]}},
        {"web": {"ports": ["x"], "enabled": False}},
        {"prefect": {"ports": ["0.0.0.0:1:2"], "environment": {"PREFECT_SERVER_API_AUTH_STRING": "${T}"}}},
        {"prefect": {"ports": ["0.0.0.0:1:2"], "command": ["serve-prefect"]}},
        {"db": {"image": "mongo:8", "ports": ["0.0.0.0:1:2"], "environment": {"MONGO_INITDB_ROOT_USERNAME": "admin"}}},
        {"db": {"uri": "${MONGO_URL}", "ports": ["x"]}},
    ],
)
def test_what_is_right_is_no_problem(services):
    assert problems(services) == []


def test_an_engine_is_said_once():
    assert problems({}, docker={"host": "ssh://a", "context": "b"}) == [("PLP227", "project.docker.context")]


def test_a_circle_is_told_from_one_to_the_next_and_each_circle_once():
    def needing(*names):
        return {**WEB, "depends_on": list(names)}

    services = {"a": needing("b"), "b": needing("c"), "c": needing("a"), "d": needing("a"), "x": needing("y"), "y": needing("x")}
    found = service_problems(manifest(services))
    assert [d.message.partition(": ")[2] for d in found] == ["a → b → c → a", "x → y → x"]
    assert len(found[0].related) == 2


def test_the_holder_of_a_port_is_named():
    (found,) = service_problems(manifest({"prefect": {}, "web": {**WEB, "ports": ["4200:80"]}}))
    assert found.message == "the port is taken already, by the service prefect: 4200"


def test_a_near_name_is_told():
    (found,) = service_problems(manifest({"api": {}, "web": {**WEB, "depends_on": ["apii"]}}))
    assert found.hint == "did you mean 'api'?"


def test_ports_of_variables_are_looked_at_when_the_variables_are_known():
    services = manifest({"web": {**WEB, "ports": ["${PORT}"]}})
    assert service_problems(services) == []
    (found,) = service_problems(services, {"PORT": "hunter2"})
    assert found.message.endswith(": ${PORT}")


DATA = {
    "version": 1,
    "project": {"name": "jobs", "docker": {"host": "ssh://a", "image": "jobs"}},
    "services": {
        "db": {"uri": "${MONGO_URL}", "driver": "pymongo"},
        "web": {**WEB, "ports": ["9000"], "probe": {"http": "/", "port": 9000, "timeout": 5}},
    },
}


@pytest.mark.parametrize(
    ("overlay", "path", "merged"),
    [
        ({"project": {"docker": {"context": "b"}}}, ("project", "docker"), {"image": "jobs", "context": "b"}),
        ({"project": {"docker": {"image": "x"}}}, ("project", "docker"), {"host": "ssh://a", "image": "x"}),
        ({"services": {"db": {"engine": "embedded"}}}, ("services", "db"), {"driver": "pymongo", "engine": "embedded"}),
        ({"services": {"db": {"image": "mongo:8"}}}, ("services", "db"), {"driver": "pymongo", "image": "mongo:8"}),
        ({"services": {"web": {"probe": {"tcp": 9000}}}}, ("services", "web", "probe"), {"timeout": 5, "tcp": 9000}),
        (
            {"services": {"web": {"probe": {"timeout": 9}}}},
            ("services", "web", "probe"),
            {"http": "/", "port": 9000, "timeout": 9},
        ),
    ],
)
def test_an_overlay_that_says_one_thing_takes_away_its_alternatives(overlay, path, merged):
    found = overlaid({**DATA, "environments": {"dev": overlay}}, "dev").data
    for part in path:
        found = found[part]
    assert found == merged


def test_references_of_the_docker_settings_are_looked_at():
    found = check_manifest(manifest({}, docker={"image": "jobs:${TAG"}))
    assert [(d.code, d.path) for d in found] == [("PLP216", ("project", "docker", "image"))]
