"""Which database the project's own Prefect server is told, as a process; the golden Compose files have it for containers."""

from __future__ import annotations

import os

import pytest

from pulpo.apply.services.instances import Instances
from pulpo.compile.topology import topology
from pulpo.manifest.model import Manifest
from pulpo.services.local import LocalServices
from pulpo.settings import Project

URL = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
POSTGRES = "postgresql+asyncpg://db/prefect"


def told(tmp_path, environ=None, **service) -> dict[str, str]:
    manifest = Manifest.model_validate({"version": 1, "project": {"name": "p"}, "services": {"prefect": service}})
    definitions = {one.name: one for one in topology(manifest).services}
    project = Project(tmp_path)
    instances = Instances(project, definitions, LocalServices(project.cache), environ or {}, lambda _: None)
    (instance,) = instances.wanted(["prefect"], choose=False)
    return dict(instance.service.environment)


def test_it_is_the_file_in_the_projects_own_directory(tmp_path):
    found = told(tmp_path)
    assert found["PREFECT_HOME"] == str(tmp_path / "run_cache" / "data" / "prefect")
    assert found[URL] == f"sqlite+aiosqlite:///{found['PREFECT_HOME']}/prefect.db?plugin=pulpo"


@pytest.mark.parametrize("name", [URL, "PREFECT_API_DATABASE_CONNECTION_URL"])
def test_what_the_lock_or_the_shell_says_of_it_stays(tmp_path, name):
    assert told(tmp_path, environment={name: POSTGRES}).get(URL) == (POSTGRES if name == URL else None)
    assert URL not in told(tmp_path, {name: POSTGRES})


def test_a_command_of_ones_own_may_run_where_pulpo_is_not(tmp_path):
    found = told(tmp_path, command=[f"{os.sep}opt/bin/prefect", "server", "start"])
    assert "PREFECT_HOME" in found
    assert URL not in found
