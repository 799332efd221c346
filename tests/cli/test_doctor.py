"""`pulpo doctor`: what is on this machine, what is missing, and what to do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pulpo import CLI
from pulpo.cli.known_versions import BAD_PAIRS, Requirement, bad_pairs, by_extra, fits, requirements
from tests.cli.conftest import Shell
from tests.cli.toys import Toys

#: A PATH with nothing but Python and `pulpo` on it.
BARE = str(Path(sys.executable).parent)


def findings(shell: Shell, *arguments: str, code: int | None = 0, env: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
    data = json.loads(shell("doctor", "--format", "json", *arguments, code=code, env=env).out)
    assert data["ok"] == all(finding["status"] != "fail" for finding in data["findings"])
    return {finding["name"]: finding for finding in data["findings"]}


def test_outside_a_project_it_tells_of_the_machine(shell):
    found = findings(shell, env={"PATH": BARE})
    assert sys.executable in found["python"]["text"]
    assert {found[name]["status"] for name in ("python", "pulpo", "disk", "docker", "mongod", "path", "project")} == {"ok"}
    assert found["project"]["todo"] == "`pulpo init` makes one"
    assert "only containers need it" in found["docker"]["text"]


def test_each_line_has_a_status_and_what_to_do_below_it(shell):
    lines = shell("doctor", env={"PATH": "/nowhere"}).out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("warn  path "))
    assert "`pulpo` is not on PATH" in lines[at]
    assert lines[at + 1].strip().startswith("→ call it `python -m pulpo`")
    assert all(line.startswith(("ok    ", "warn  ", "fail  ", " ")) for line in lines)


def test_it_is_fast_and_imports_no_user_code(tmp_path):
    toys = Toys(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.pulpo]\nmodules = ["explosive"]\n')
    (tmp_path / "explosive.py").write_text("raise SystemExit('imported')\n")
    toys.lock("  api: {enabled: false}\n")
    started = time.monotonic()
    assert findings(toys, env={"PATH": BARE})["lock"]["status"] == "ok"
    assert time.monotonic() - started < 10  # half a second on a quiet machine


@pytest.mark.parametrize(
    ("free", "status"),
    [(99_999_999, "fail"), (100_000_000, "warn"), (999_999_999, "warn"), (1_000_000_000, "ok")],
)
def test_a_disk_that_is_nearly_full_is_told(monkeypatch, free, status):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    (found,) = (one for one in CLI().doctor() if one.name == "disk")
    assert found.status == status
    assert f"{free / 1e9:.1f} GB are free" in found.text
    assert (found.todo is None) == (status == "ok")


def test_a_project_that_runs_as_containers_fails_without_docker(tmp_path):
    toys = Toys(tmp_path)
    toys.lock("  board: {image: nginx}\n", "{name: toys, mode: docker}")
    found = findings(toys, code=1, env={"PATH": BARE})
    assert (found["docker"]["status"], found["docker"]["text"]) == ("fail", "there is no `docker` on PATH")
    assert "install Docker" in found["docker"]["todo"]
    assert findings(toys, "--mode", "local", env={"PATH": BARE})["docker"]["status"] == "ok"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'permission denied while trying to connect' >&2; exit 1", "you have no permission to talk to the Docker daemon"),
        ("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "the Docker daemon does not answer"),
        ('case "$*" in *compose*) echo 2.1.0;; *) echo 24.0;; esac', "Docker Compose 2.1.0 is too old"),
        ('case "$*" in *compose*) exit 1;; *) echo 24.0;; esac', "Docker has no Compose plugin"),
    ],
)
def test_what_is_wrong_with_docker_is_said_as_commands_say_it(tmp_path, shell, script, says):
    fake = tmp_path / "bin" / "docker"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    env = {"PATH": f"{fake.parent}:{BARE}:/usr/bin:/bin", "DOCKER_HOST": "unix:///var/run/docker.sock"}
    found = findings(shell, env=env)["docker"]
    assert found["status"] == "warn"
    assert found["text"].startswith(says)
    assert found["todo"]


def test_a_database_that_no_mongod_is_there_for_fails(tmp_path):
    toys = Toys(tmp_path)
    toys.lock('  db: {engine: mongodb, ports: ["PORT"]}\n')
    found = findings(toys, code=1, env={"PATH": BARE})["mongod"]
    assert (found["status"], found["text"]) == ("fail", "services.db is MongoDB, and there is no mongod on PATH")


def test_ports_are_free_or_somebodys(tmp_path):
    toys = Toys(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        toys.lock(
            f'  taken: {{command: [python, server.py], ports: ["{port}"]}}\n'
            '  free: {command: [python, server.py], ports: ["PORT"]}\n'
            '  any: {command: [python, server.py], ports: ["auto:80"]}\n'
        )
        found = findings(toys, code=1, env={"PATH": BARE})
    assert (found["port taken"]["status"], found["port free"]["status"], found["port any"]["status"]) == ("fail", "ok", "ok")
    assert f"{port} is taken: by " in found["port taken"]["text"]
    assert f"process {os.getpid()}" in found["port taken"]["text"]
    assert "services.taken.ports" in found["port taken"]["todo"]


def test_a_port_that_the_projects_own_service_has_is_fine(tmp_path):
    toys = Toys(tmp_path)
    toys.lock('  board: {command: [python, server.py], ports: ["PORT"], probe: {http: /}}\n')
    (tmp_path / "go").write_text("")
    try:
        toys("up")
        found = findings(toys)
    finally:
        toys("down")
    assert (found["port board"]["status"], "running" in found["port board"]["text"]) == ("ok", True)


def test_what_is_wrong_with_the_project_is_told(tmp_path):
    shell = Shell(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.pulpo]\nmodules = []\n")
    found = findings(shell, env={"PATH": BARE})
    assert (found["lock"]["status"], found["lock"]["todo"]) == ("warn", "pulpo lock")
    (tmp_path / "pulpo.lock.yaml").write_text("version: 1\nproject: {name: x}\noperations: 3\n")
    found = findings(shell, code=1, env={"PATH": BARE})
    assert (found["lock"]["status"], found["lock"]["todo"]) == ("fail", "pulpo check")
    (tmp_path / "pyproject.toml").write_text("[tool.pulpo\n")
    assert findings(shell, code=1, env={"PATH": BARE})["project"]["status"] == "fail"


def test_secrets_in_the_environment_are_not_told(shell):
    out = shell("doctor", env={"PULPO_DB_URI": "mongodb://me:hunter2@db", "NO_COLOR": "1"}).out
    assert "PULPO_DB_URI is set" in out
    assert "NO_COLOR=1" in out
    assert "hunter2" not in out


def test_as_a_method(tmp_path):
    assert [finding.name for finding in CLI(tmp_path).doctor()][:3] == ["python", "pulpo", "versions"]


@pytest.mark.parametrize("pair", BAD_PAIRS, ids=lambda pair: pair.package)
def test_a_known_bad_pair_is_found_only_where_both_are_there(pair):
    both = {pair.package: f"{pair.since}.1", pair.other: "3.0"}
    assert bad_pairs(both.get) == (pair,)
    assert bad_pairs({pair.package: "0.1", pair.other: "3.0"}.get) == ()
    assert bad_pairs({pair.package: pair.since}.get) == ()
    assert not fits(pair.since, pair.wanted.removeprefix(pair.package))


def test_the_bounds_of_the_package_keep_out_the_bad_pairs():
    bounds = {one.package: one.bounds for one in requirements() if one.extra == "prefect"}
    for pair in BAD_PAIRS:
        if pair.other == "prefect":
            assert not fits(pair.since, bounds[pair.package])


@pytest.mark.parametrize(
    ("version", "bounds", "fit"),
    [
        ("3.8.8", ">=3.8.8,<4", True),
        ("4.0", ">=3.8.8,<4", False),
        ("0.150.0", ">=0.139,<0.151", True),
        ("4.15.0", "!=4.15.0,<5,>=4.11", False),
        ("2.9.0.post0", ">=2.9.0.post0,<3", True),
        ("2.1.0rc1", "<2.1", False),
        ("1", "", True),
    ],
)
def test_versions_are_compared_by_number(version, bounds, fit):
    assert fits(version, bounds) is fit


def test_an_extra_has_what_the_extras_that_it_brings_have():
    found = by_extra((Requirement("pulpocore[a]", "", "b"), Requirement("x", ">1", "a"), Requirement("y", "", None)))
    assert [one.package for one in found["b"]] == ["x"]
