"""The services as Docker Compose and Swarm read them; both programs say whether they do."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pulpo.compile.compose import compose_file, port_variable, project_targets, stack_file, stack_name
from pulpo.compile.containers import COMPOSE, STACK, container_files, printed
from pulpo.compile.topology import Link, Mount, Needs, Probe, Role, ServiceDefinition, Topology, topology
from pulpo.manifest.addresses import BUILT_IN, Port
from pulpo.manifest.load import load
from pulpo.manifest.model import Manifest
from pulpo.manifest.references import malformed_references, references, resolve

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
IMAGE = "registry.example.org/jobs:1"
DB = ServiceDefinition("db", Role.DB, image="mongo:8", ports=(Port(27017, 27017),), probe=Probe("tcp", port=27017))
EMBEDDED = ServiceDefinition("db", Role.DB, "embedded")
PREFECT = ServiceDefinition(
    "prefect", Role.PREFECT, command=("python", "-m", "prefect", "server", "start"), ports=(Port(4200, 4200),),
    links=(Link("PREFECT_SERVER_API_HOST", "prefect", "{host}"), Link("PREFECT_SERVER_API_PORT", "prefect", "{port}")),
    probe=Probe("http", "/api/ready", 4200), ready_timeout=120,
)  # fmt: skip
WORKER = ServiceDefinition(
    "worker", Role.WORKER, command=("pulpo", "prefect", "worker"), needs=(Needs("prefect", ready=False),),
    links=(Link("PREFECT_API_URL", "prefect", "http://{host}:{port}/api"),), passed=("MONGO_URL",),
)  # fmt: skip
API = ServiceDefinition(
    "api", Role.API, command=("pulpo", "api", "serve"), ports=(Port(8000, None),), probe=Probe("http", "/health")
)
UI = ServiceDefinition("ui", Role.UI, command=("pulpo", "ui", "serve"), ports=(Port(3000, 3000),), needs=(Needs("api"),))
CACHE = ServiceDefinition("cache", Role.OWN, image="redis:7")


def of(*services: ServiceDefinition, project: str = "jobs", environment: str | None = None) -> Topology:
    return Topology(project, environment, services)


def own(**settings) -> ServiceDefinition:
    return ServiceDefinition("own", Role.OWN, **settings)


def compose(*services: ServiceDefinition, **more) -> dict:
    return compose_file(of(*services, **more), image=IMAGE)


def stack(*services: ServiceDefinition, **more) -> dict:
    return stack_file(of(*services, **more), image=IMAGE)


def docker(*arguments: str, cwd: Path, **environment: str) -> str:
    """What a program of Docker's says, with no variables but these; none of those that are asked needs an engine."""
    assert shutil.which("docker"), "Docker's command line with Compose is needed here; `pytest -m 'not docker'` does without"
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["docker", *arguments], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_compose_reads(directory: Path, file: dict, **environment: str) -> dict:
    """The file with its variables filled in; `$$`, by which Compose's output can be read again, made one."""
    path = directory / "run_cache" / COMPOSE
    path.parent.mkdir(exist_ok=True)
    path.write_text(printed(file))
    text = docker("compose", "-f", str(path), "config", "--format", "json", cwd=directory, **environment)
    return json.loads(text.replace("$$", "$"))


def as_swarm_reads(directory: Path, file: dict, **environment: str) -> dict:
    path = directory / "run_cache" / STACK
    path.parent.mkdir(exist_ok=True)
    path.write_text(printed(file))
    text = docker("stack", "config", "--compose-file", str(path), cwd=directory, **environment)
    return YAML(typ="safe").load(text)


def example(name: str, engine: str) -> dict[str, str]:
    """The files of an example, whose database is an embedded one or MongoDB."""
    data = load(ROOT / "examples" / name / "pulpo.lock.yaml")[0].data()
    data["services"]["db"] = {"engine": engine}
    manifest = Manifest.model_validate(data)
    return container_files(manifest, topology(manifest, environ={}))


@pytest.mark.golden
@pytest.mark.parametrize("name", ["flights", "jobs"])
def test_the_examples_with_mongodb(golden, name):
    for file, text in example(name, "mongodb").items():
        if file != "Dockerfile.dockerignore":
            golden(f"{name}/mongodb/{file}", text)


@pytest.mark.docker
@pytest.mark.parametrize("name", ["flights", "jobs", "flights/mongodb", "jobs/mongodb"])
def test_compose_and_swarm_read_the_examples(name, tmp_path):
    directory = shutil.copytree(GOLDEN / name, tmp_path / "run_cache", ignore=shutil.ignore_patterns("orchestration"))
    docker("compose", "-f", str(directory / COMPOSE), "config", "--quiet", cwd=tmp_path)
    docker("stack", "config", "--compose-file", str(directory / STACK), cwd=tmp_path)


def test_services_reach_each_other_by_name_and_listen_on_all_addresses_of_their_containers():
    services = compose(PREFECT, WORKER)["services"]
    assert services["prefect"]["environment"]["PREFECT_SERVER_API_HOST"] == "0.0.0.0"
    assert services["prefect"]["environment"]["PREFECT_SERVER_API_PORT"] == "4200"
    assert services["worker"]["environment"]["PREFECT_API_URL"] == "http://prefect:4200/api"


def test_a_service_waits_for_readiness_only_where_a_health_check_can_tell_it():
    needs = (Needs("cache"), Needs("db"), Needs("prefect", ready=False))
    log = ServiceDefinition("cache", Role.OWN, image="x", probe=Probe("log", pattern="ready"))
    services = compose(log, DB, PREFECT, own(image="x", needs=needs))["services"]
    assert services["own"]["depends_on"] == {
        "cache": {"condition": "service_started"},
        "db": {"condition": "service_healthy"},
        "prefect": {"condition": "service_started"},
    }
    assert "healthcheck" not in services["cache"]
    assert stack(log, DB, PREFECT, own(image="x", needs=needs))["services"]["own"]["depends_on"] == ["cache", "db", "prefect"]


def test_only_services_of_the_project_are_built_and_have_its_image():
    services = compose(DB, API)["services"]
    labels = {"pulpo.content": "${PULPO_CONTENT:-}"}
    assert services["api"]["build"] == {"context": "..", "dockerfile": "run_cache/Dockerfile", "labels": labels}
    assert (services["api"]["image"], services["db"]["image"]) == (IMAGE, "mongo:8")
    assert "build" not in services["db"]
    assert all("build" not in service for service in stack(DB, API)["services"].values())


def test_services_that_pulpo_does_not_run_are_no_containers():
    elsewhere = ServiceDefinition("prefect", Role.PREFECT, "elsewhere", uri="https://prefect.example.org/api")
    assert [*compose(EMBEDDED, elsewhere, API)["services"]] == ["api"]


def test_the_embedded_database_is_a_volume_of_all_that_run_the_projects_code():
    services = compose(EMBEDDED, PREFECT, WORKER, API, CACHE)["services"]
    mount = {"type": "volume", "source": "store", "target": "/data/store"}
    assert [name for name, service in services.items() if mount in service.get("volumes", ())] == ["worker", "api"]
    assert [name for name, service in services.items() if "PULPO_STORE_PATH" in service.get("environment", {})] == [
        "worker",
        "api",
    ]
    assert mount not in compose(DB, API)["services"]["api"].get("volumes", ())


def test_all_volumes_have_names():
    file = compose(DB, PREFECT, WORKER, own(image="x", mounts=(Mount("things", "/things"), Mount("./conf", "/conf"))))
    assert [*file["volumes"]] == ["db_config", "prefect_data", "things", "worker_data"]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("./conf", "../conf"), ("../conf", "../../conf"), (".", ".."), ("./", ".."), ("./a/./b/", "../a/./b"), (".conf", "../.conf"),
        ("/etc/conf", "/etc/conf"), ("~/conf", "~/conf"),
    ],
)  # fmt: skip
def test_paths_of_the_project_are_seen_from_run_cache(source, shown):
    volumes = compose(own(image="x", mounts=(Mount(source, "/conf", read_only=True),)))["services"]["own"]["volumes"]
    assert volumes == [{"type": "bind", "source": shown, "target": "/conf", "read_only": True}]


@pytest.mark.docker
def test_what_is_mounted_may_be_a_reference(tmp_path):
    file = compose(own(image="x", mounts=(Mount("${DATA:-/srv}/a", "/a"), Mount("${B}", "/b", read_only=True))))
    volumes = as_compose_reads(tmp_path, file, B="./here")["services"]["own"]["volumes"]
    said = [(v["type"], v["source"], v["target"], v.get("read_only", False)) for v in volumes]
    assert said == [("bind", "/srv/a", "/a", False), ("bind", str(tmp_path / "run_cache" / "here"), "/b", True)]


@pytest.mark.docker
def test_ports_are_published_where_the_manifest_says_and_auto_where_a_variable_does(tmp_path):
    ports = (Port(80, 8080), Port(81, None), Port(82, None, "0.0.0.0"), Port(83, 83, "::1"))
    file = compose(own(image="x", ports=ports))
    assert port_variable("own", 1) == "PULPO_PORT_OWN__1"
    given = as_compose_reads(tmp_path, file, PULPO_PORT_OWN__1="20001")["services"]["own"]["ports"]
    assert [(p["host_ip"], p.get("published"), p["target"]) for p in given] == [
        ("127.0.0.1", "8080", 80),
        ("127.0.0.1", "20001", 81),
        ("0.0.0.0", None, 82),
        ("::1", "83", 83),
    ]


@pytest.mark.docker
def test_a_swarm_publishes_no_port_that_is_the_machines_own(tmp_path):
    file = stack(own(image="x", ports=(Port(80, 8080), Port(81, 81, "0.0.0.0"), Port(82, None, "0.0.0.0"))))
    ports = as_swarm_reads(tmp_path, file)["services"]["own"]["ports"]
    assert [(port.get("published"), port["target"]) for port in ports] == [(81, 81), (None, 82)]


TEXTS = st.text(st.sampled_from("ab$:'\"\\ #-{}é%"), max_size=8)
REFERENCES = st.sampled_from(["${A}", "${B:-b}", "${C:-c$$d}", "${B:-}", "$$", "$"])


@pytest.mark.docker
@settings(max_examples=10, deadline=None)
@given(texts=st.lists(st.lists(TEXTS | REFERENCES, max_size=4).map("".join), min_size=20, max_size=20))
def test_compose_fills_references_in_as_pulpo_does(texts, tmp_path_factory):
    variables = {f"V{number}": text for number, text in enumerate(texts)}
    bad = {problem.path[-1] for problem in malformed_references({"services": {"own": {"environment": variables}}})}
    bad |= {name for name, text in variables.items() for one in references(text) if one.name not in ("A", "B", "C")}
    variables = {name: text for name, text in variables.items() if name not in bad}
    environment = {"A": "it's $a ${B} \\", "C": ""}
    wanted = resolve({"services": {"own": {"environment": variables}}}, environment).data["services"]["own"]["environment"]
    directory = tmp_path_factory.mktemp("compose")
    service = own(image="x", environment=variables, command=("echo", *variables.values()))
    read = as_compose_reads(directory, compose(service), **environment)["services"]["own"]
    assert (read.get("environment", {}), read["command"]) == (wanted, ["echo", *wanted.values()])
    swarm = as_swarm_reads(directory, stack(service), **environment)["services"]["own"]
    assert (swarm.get("environment", {}), swarm["command"]) == (wanted, ["echo", *wanted.values()])


@pytest.mark.docker
def test_variables_that_processes_read_themselves_are_passed_on_where_they_are_set(tmp_path):
    file = compose(PREFECT, WORKER)
    assert as_compose_reads(tmp_path, file, MONGO_URL="m")["services"]["worker"]["environment"]["MONGO_URL"] == "m"
    assert as_compose_reads(tmp_path, file)["services"]["worker"]["environment"].get("MONGO_URL") is None
    api = ServiceDefinition("api", Role.API, command=("pulpo", "api", "serve"), environment={"PULPO_API_TOKEN": "${TOKEN}"})
    read = as_compose_reads(tmp_path, compose(api), TOKEN="t")["services"]["api"]["environment"]
    assert (read["PULPO_API_TOKEN"], read["TOKEN"]) == ("t", "t")


def test_the_ui_waits_for_the_api_and_does_not_see_the_store():
    ui = compose(EMBEDDED, API, UI)["services"]["ui"]
    assert ui["depends_on"] == {"api": {"condition": "service_healthy"}}
    assert "volumes" not in ui
    assert "PULPO_STORE_PATH" not in ui["environment"]


def test_no_value_of_a_variable_is_in_a_file(monkeypatch):
    monkeypatch.setenv("TOKEN", "hush-hush")
    api = ServiceDefinition("api", Role.API, environment={"PULPO_API_TOKEN": "${TOKEN}"}, passed=("TOKEN",))
    assert "hush-hush" not in printed(compose(api)) + printed(stack(api))


@pytest.mark.parametrize("role", [Role.API, Role.UI])
def test_what_asks_for_no_token_is_open_only_where_nobody_else_reaches_it(role):
    def is_open(*ports: Port) -> bool:
        service = ServiceDefinition(role.value, role, ports=ports)
        return f"PULPO_{role.name}_OPEN" in compose(service)["services"][role.value].get("environment", {})

    assert is_open(Port(8000, 8000))
    assert is_open(Port(8000, None), Port(8001, 8001, "::1"))
    assert not is_open(Port(8000, 8000, "0.0.0.0"))
    assert not is_open(Port(8000, 8000), Port(8000, 8001, "192.168.0.7"))


@pytest.mark.parametrize(
    ("port", "url"),
    [
        (Port(4200, 4201), "http://127.0.0.1:4201/api"),
        (Port(4200, 80, "0.0.0.0"), "http://127.0.0.1:80/api"),
        (Port(4200, 80, "::"), "http://[::1]:80/api"),
        (Port(4200, None), "http://127.0.0.1:${PULPO_PORT_PREFECT:-4200}/api"),
    ],
)
def test_prefects_pages_look_for_its_api_where_the_browser_finds_it(port, url):
    service = ServiceDefinition("prefect", Role.PREFECT, ports=(port,))
    assert compose(service)["services"]["prefect"]["environment"]["PREFECT_UI_API_URL"] == url
    said = ServiceDefinition(
        "prefect", Role.PREFECT, ports=(port,), environment={"PREFECT_UI_API_URL": "https://p.example.org/api"}
    )
    assert compose(said)["services"]["prefect"]["environment"]["PREFECT_UI_API_URL"] == "https://p.example.org/api"


def test_prefects_pages_are_put_where_the_images_user_may_write():
    def places(file):
        return [service["environment"].get("PREFECT_UI_STATIC_DIRECTORY") for service in file["services"].values()]

    for made in (compose, stack):
        assert places(made(PREFECT, WORKER)) == ["/home/pulpo/prefect-ui", None]
        assert places(made(dataclasses.replace(PREFECT, image="prefecthq/prefect:3"))) == [None]


@pytest.mark.docker
def test_probes(tmp_path):
    def test_of(probe: Probe, image: str | None = None) -> list[str]:
        service = own(image=image, ports=(Port(9000, 9000),), probe=probe, ready_timeout=7.5)
        check = as_compose_reads(tmp_path, compose(service))["services"]["own"]["healthcheck"]
        assert check["start_period"] == "7.5s"
        return check["test"]

    assert test_of(Probe("http", "/a?b=$c"))[3:] == ["pulpo.services.probe_command", "http", "9000", "/a?b=$c"]
    assert test_of(Probe("tcp", port=9001))[3:] == ["pulpo.services.probe_command", "tcp", "9001"]
    assert test_of(Probe("command", command=("ask", "it"))) == ["CMD", "ask", "it"]
    assert test_of(Probe("tcp"), "redis:7")[-1] == "9000"


@pytest.mark.docker
def test_restarts_grace_replicas_and_limits(tmp_path):
    service = own(image="x", restart="always", grace=2.5, replicas=3, cpus=0.5, memory="512m")
    read = as_compose_reads(tmp_path, compose(service))["services"]["own"]
    assert (read["restart"], read["stop_grace_period"], read["deploy"]["replicas"]) == ("unless-stopped", "2.5s", 3)
    assert read["deploy"]["resources"]["limits"] == {"cpus": 0.5, "memory": "536870912"}
    swarm = as_swarm_reads(tmp_path, stack(service))["services"]["own"]["deploy"]
    assert (swarm["replicas"], swarm["restart_policy"]["condition"]) == (3, "any")
    assert swarm["resources"]["limits"] == {"cpus": "0.5", "memory": "536870912"}
    assert [compose(own(image="x", restart=how))["services"]["own"]["restart"] for how in ("on-failure", "no")] == [
        "on-failure:5",
        "no",
    ]


def test_labels_say_whose_it_is_and_whether_it_changed():
    first = compose(CACHE, environment="prod")["services"]["cache"]["labels"]
    assert (first["pulpo.project"], first["pulpo.environment"]) == ("jobs", "prod")
    assert compose(CACHE, environment="prod")["services"]["cache"]["labels"] == first
    changed = ServiceDefinition("cache", Role.OWN, image="redis:8")
    assert compose(changed, environment="prod")["services"]["cache"]["labels"]["pulpo.digest"] != first["pulpo.digest"]
    assert stack(CACHE)["services"]["cache"]["deploy"]["labels"]["pulpo.project"] == "jobs"


@pytest.mark.docker
@pytest.mark.parametrize(
    ("project", "environment", "name"),
    [("jobs", None, "jobs"), ("Jobs of $Mine!", "Prod", "jobs-of-mine-prod"), ("_a", None, "a"), ("é", None, "project")],
)
def test_stacks_have_names_that_compose_takes(project, environment, name, tmp_path):
    file = compose(CACHE, project=project, environment=environment)
    assert stack_name(of(project=project, environment=environment)) == name
    read = as_compose_reads(tmp_path, file)
    assert (read["name"], read["services"]["cache"]["labels"]["pulpo.project"]) == (name, project)
    assert as_compose_reads(tmp_path, file, COMPOSE_PROJECT_NAME="other")["name"] == "other"


@pytest.mark.docker
def test_every_kind_of_service_is_read_by_both_programs(tmp_path):
    services = [EMBEDDED, PREFECT, WORKER, API, CACHE, own(restart="no", mounts=(Mount("a", "/a"), Mount("./b", "/b")))]
    as_compose_reads(tmp_path, compose(*services, environment="prod"))
    as_swarm_reads(tmp_path, stack(*services, environment="prod"))


def test_the_text_is_read_as_what_was_meant():
    for services, make in itertools.product([(DB, API, CACHE), (EMBEDDED, PREFECT, WORKER)], [compose, stack]):
        assert YAML(typ="safe").load(printed(make(*services))) == make(*services)


def test_the_images_directories_are_those_that_volumes_of_the_project_are_mounted_at():
    service = own(mounts=(Mount("a", "/data/a"), Mount("./b", "/b"), Mount("${C}", "/c")))
    assert project_targets(of(EMBEDDED, service, CACHE)) == ("/data/a", "/data/store")


PORTS = ("${WEB_PORT}", "${OUTER:-9000}:80", "0.0.0.0:${OUTER}:${WEB_PORT:-81}")


def test_variables_in_ports_are_left_to_compose_set_or_not():
    web = {"image": "web", "ports": list(PORTS), "probe": {"http": "/"}}
    reader = {"image": "reader", "depends_on": ["web"]}
    left_out = {name: {"enabled": False} for name in BUILT_IN}
    manifest = Manifest.model_validate(
        {"version": 1, "project": {"name": "toy"}, "services": {**left_out, "web": web, "reader": reader}}
    )
    files = container_files(manifest, topology(manifest, environ={}, written=True))
    assert files == container_files(manifest, topology(manifest, environ={"WEB_PORT": "7000", "OUTER": "7001"}, written=True))
    entries = YAML(typ="safe").load(files[COMPOSE])["services"]
    assert entries["web"]["ports"] == [
        "127.0.0.1:${WEB_PORT}:${WEB_PORT}", "127.0.0.1:${OUTER:-9000}:80", "0.0.0.0:${OUTER}:${WEB_PORT:-81}",
    ]  # fmt: skip
    assert entries["web"]["environment"]["PORT"] == entries["reader"]["environment"]["WEB_PORT"] == "${WEB_PORT}"
    assert entries["web"]["healthcheck"]["test"][-2:] == ["${WEB_PORT}", "/"]

    swarm = YAML(typ="safe").load(files[STACK])["services"]["web"]["ports"]
    assert swarm == [{"target": "${WEB_PORT:-81}", "published": "${OUTER}", "protocol": "tcp", "mode": "ingress"}]


@pytest.mark.parametrize(
    ("text", "value", "published"),
    [
        ("${PORT:-auto}", None, "127.0.0.1:${PULPO_PORT_API:-}:8000"),
        ("${PORT}", "auto", "127.0.0.1:${PULPO_PORT_API:-}:8000"),
        ("${PORT:-auto}", "8001", "127.0.0.1:${PORT:-auto}:${PORT:-auto}"),
        ("${PORT}", "127.0.0.1:8001:8002", "127.0.0.1:8001:8002"),
        ("${ADDRESS:-127.0.0.1}:8001:8002", None, "127.0.0.1:8001:8002"),
        ("auto:${PORT}", None, "127.0.0.1:${PULPO_PORT_API:-}:${PORT}"),
    ],
)
def test_a_variable_of_a_port_that_is_no_number_is_resolved(text: str, value: str | None, published: str):
    manifest = Manifest.model_validate(
        {"version": 1, "project": {"name": "toy"}, "services": {"api": {"ports": [text]}, "worker": {"enabled": False}}}
    )
    found = topology(manifest, environ={"PORT": value} if value else {}, written=True)
    assert compose_file(found, image=IMAGE)["services"]["api"]["ports"] == [published]
