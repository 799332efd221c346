"""Ports as `ports` writes them, and where this machine reaches what Pulpo runs."""

from __future__ import annotations

import pytest

from pulpo.manifest.addresses import Port, host_address, is_managed, kind_of, parse_port, ports_of, reached_at, remembered_as
from pulpo.manifest.model import Manifest
from pulpo.manifest.service import ServiceSpec


def manifest(**services) -> Manifest:
    return Manifest.model_validate({"version": 1, "project": {"name": "jobs"}, "services": services})


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("8000", Port(8000, 8000)),
        ("9000:8000", Port(8000, 9000)),
        ("auto:8000", Port(8000, None)),
        ("0.0.0.0:9000:8000", Port(8000, 9000, "0.0.0.0")),
        ("0.0.0.0:auto:8000", Port(8000, None, "0.0.0.0")),
        ("localhost:1:65535", Port(65535, 1)),
        ("[::1]:9000:8000", Port(8000, 9000, "::1")),
        ("::1:9000:8000", Port(8000, 9000, "::1")),
        ("auto", Port(4200, None)),
    ],
)
def test_a_port_is_read_as_it_is_written(text, port):
    assert parse_port(text, 4200) == port


@pytest.mark.parametrize(
    "text", ["", "x", " 80", ":80", "80:", "0", "65536", "1" * 5000, "80:x", "a.b:1:2", "1:2:3", ":1:2", "auto:auto", "\uff11"]
)
def test_what_is_no_port_is_refused_without_repeating_it(text):
    with pytest.raises(ValueError, match=r"address|host_port") as raised:
        parse_port(text, 4200)
    assert len(str(raised.value)) < 200


def test_auto_alone_needs_a_default():
    with pytest.raises(ValueError, match="auto:port"):
        parse_port("auto")


@pytest.mark.parametrize(
    ("name", "entry", "kind"),
    [
        ("db", {}, "embedded"),
        ("db", {"engine": "mongodb"}, "process"),
        ("db", {"image": "mongo:8"}, "process"),
        ("db", {"command": ["mongod"]}, "process"),
        ("db", {"image": "mongo:8", "engine": "embedded"}, "embedded"),
        ("db", {"image": "mongo:8", "uri": "${MONGO_URL}"}, "elsewhere"),
        ("prefect", {}, "process"),
        ("prefect", {"uri": "http://prefect.example.org/api"}, "elsewhere"),
        ("web", {"command": ["web"]}, "process"),
    ],
)
def test_what_a_service_is(name, entry, kind):
    assert kind_of(name, ServiceSpec.model_validate(entry)) == kind
    assert is_managed(manifest(**{name: entry}), name) is (kind == "process")
    assert not is_managed(manifest(**{name: {**entry, "enabled": False}}), name)


def test_built_in_services_have_a_port_without_saying_it():
    assert ports_of("prefect", ServiceSpec()) == (Port(4200, 4200),)
    assert ports_of("worker", ServiceSpec()) == ()


def test_references_in_ports_stand_for_variables():
    spec = ServiceSpec(ports=["${ADDRESS:-127.0.0.1}:${OUTER}:80"])
    assert ports_of("web", spec, {"OUTER": "9000"}) == (Port(80, 9000),)


def test_where_this_machine_reaches_a_service():
    services = manifest(
        db={"engine": "embedded"},
        prefect={"ports": ["auto"]},
        api={"ports": ["0.0.0.0:8001:8000", "9"]},
        worker={},
        web={"command": ["web"], "ports": ["[::]:1:2"], "enabled": False},
    )
    assert host_address(services, "api", {}) == ("127.0.0.1", 8001)
    assert host_address(services, "prefect", {}) is None
    assert host_address(services, "prefect", {"prefect": 20001}) == ("127.0.0.1", 20001)
    assert [host_address(services, name, {"db": 1}) for name in ("db", "worker", "web", "other")] == [None] * 4
    assert reached_at("::") == "::1"


def test_each_auto_of_a_service_is_remembered_by_itself():
    assert (remembered_as("web"), remembered_as("web", 1)) == ("web", "web.1")
