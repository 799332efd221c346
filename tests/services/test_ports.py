from __future__ import annotations

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from pulpo.services.ports import bind, holder, is_free, port_of, remembered
from pulpo.services.spec import Address

HOST = "127.0.0.1"


def test_a_port_is_chosen_once(tmp_path):
    path = tmp_path / "services" / "ports.json"
    port = remembered(path, "api", HOST)
    assert remembered(path, "api", HOST) == port == port_of(path, "api")
    assert remembered(path, "ui", HOST) != port
    assert port_of(path, "db") is None


def test_one_that_is_taken_by_now_is_chosen_anew_unless_the_service_has_it(tmp_path):
    path = tmp_path / "ports.json"
    port = remembered(path, "api", HOST)
    with socket.create_server((HOST, port)):
        assert not is_free(Address(HOST, port))
        assert remembered(path, "api", HOST, holds=lambda: True) == port
        other = remembered(path, "api", HOST)
        assert other != port
    assert remembered(path, "api", HOST) == other


def test_services_that_ask_at_once_get_ports_of_their_own(tmp_path):
    names = [f"s{n}" for n in range(12)]
    with ThreadPoolExecutor(6) as pool:
        ports = list(pool.map(lambda name: remembered(tmp_path / "ports.json", name, HOST), names))
    assert len(set(ports)) == len(names)
    assert [port_of(tmp_path / "ports.json", name) for name in names] == ports


def test_two_projects_begin_at_different_ports(tmp_path):
    assert remembered(tmp_path / "a" / "ports.json", "api", HOST) != remembered(tmp_path / "b" / "ports.json", "api", HOST)


def test_a_broken_file_is_written_anew(tmp_path):
    path = tmp_path / "ports.json"
    path.write_text("{")
    assert remembered(path, "api", HOST) == port_of(path, "api")


def test_a_host_of_others_can_not_be_bound():
    with pytest.raises(OSError, match="Cannot assign"):
        bind(Address("192.0.2.1", 8000))


def test_a_port_whose_service_ends_just_while_that_is_asked_is_not_given_up(tmp_path):
    path = tmp_path / "ports.json"
    port = remembered(path, "api", HOST)
    with socket.create_server((HOST, port)) as server:
        assert remembered(path, "api", HOST, holds=lambda: bool(server.close())) == port


def test_who_holds_a_port_is_the_parent_of_those_that_have_its_socket():
    with socket.create_server((HOST, 0)) as server:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[server.fileno()])
        try:
            found = holder(server.getsockname()[1])
        finally:
            child.kill()
            child.wait()
    assert found is not None
    assert found.pid == os.getpid()
