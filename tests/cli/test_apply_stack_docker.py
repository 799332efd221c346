"""The whole stack as containers through `apply`: MongoDB, Prefect, a worker, the API and the UI, from nothing, through edits, to nothing."""

from __future__ import annotations

import json
import random
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.docker_engine import PYTHON_IMAGE, docker, docker_engine  # noqa: F401 - a fixture
from tests.ports import free_port
from tests.stack.whole_stack import IMAGE, Containers

pytestmark = [
    pytest.mark.docker,
    pytest.mark.usefixtures("docker_engine"),
]
NOTHING = "No changes: the world is as the manifest says\n"
OWN_IMAGE = f"{IMAGE}-applied"
NEW = '''

@operation(name="counting.titles", inputs=CleanedJobs)
def titles(cleaned: list[CleanedJobs]) -> None:
    """How many there are."""
    print(len(cleaned))
'''


class Applied(Containers):
    """The stack, by the commands of this module, with an image that others' stacks don't make anew."""

    project = Containers.project.replace(IMAGE, OWN_IMAGE)

    def end(self) -> None:
        super().end()
        docker("image", "rm", OWN_IMAGE, check=False)

    def apply(self) -> str:
        """What an apply prints, after which there is nothing to do."""
        done = self.pulpo("apply", "--yes")[0]
        assert self.pulpo("plan", "--detailed-exitcode")[0] == NOTHING
        return done

    def edit(self, *pairs: tuple[str, str]) -> None:
        """Change texts of the lock that are in it once."""
        path = self.directory / "pulpo.lock.yaml"
        text = path.read_text()
        for before, after in pairs:
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        path.write_text(text)

    def prefect(self, path: str, body: Any) -> Any:
        """What Prefect's server answers."""
        request = urllib.request.Request(
            f"http://{self.addresses()['prefect']}/api{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def deployments(self) -> dict[str, str]:
        """Tags of all deployments that there are, by entrypoint; without what time alone changes."""
        found = self.prefect("/deployments/filter", {})
        return {d["entrypoint"] or d["name"]: f"{d['id']} {d['tags']} {d['updated']}" for d in found}


@pytest.fixture
def jobs(tmp_path) -> Iterator[Applied]:
    stack = Applied(tmp_path / "jobs")
    yield stack
    stack.end()


@pytest.fixture
def theirs() -> Iterator[str]:
    name = f"pulpo-test-theirs-{random.randrange(10**9)}"
    docker("run", "--detach", "--name", name, PYTHON_IMAGE, "sleep", "1000")
    yield name
    docker("rm", "--force", name)


def test_from_nothing_through_edits_to_nothing(jobs: Applied, theirs: str):
    before = docker("inspect", theirs)
    made = jobs.apply()
    for address in ("service:worker", "collection:raw_jobs", "work_pool:jobs-process", "deployment:pipeline/jobs"):
        assert f"  + {address}  " in made
    assert json.loads(jobs.page("api", "/health/ready"))["status"] == "ok"
    flow = jobs.prefect("/flows/", {"name": "scraping"})
    jobs.prefect("/deployments/", {"name": "theirs", "flow_id": flow["id"], "tags": ["pulpo.project=other"]})
    foreign = jobs.deployments()["theirs"]
    was = jobs.identities()

    port = free_port()
    jobs.edit(
        ("  api:\n    ports: [auto]", f'  api:\n    ports: ["{port}"]'),
        ('QUERY_SECONDS: "2"', 'QUERY_SECONDS: "3"'),
        ("jobs.models:RawJobs\n    description", "jobs.models:RawJobs\n    indexes: [[title]]\n    description"),
    )
    module = jobs.directory / "jobs" / "operations.py"
    module.write_text(module.read_text() + NEW)
    jobs.pulpo("lock")
    edited = jobs.apply()
    for line in (
        "± service:api  changed in the manifest; the project changed",
        "± service:prefect  the project changed",
        "± service:ui  changed in the manifest; the project changed",  # its API's port, which it is told
        "± service:worker  changed in the manifest; the project changed",
        "+ index:raw_jobs/title  not in the database",
        "+ deployment:counting/jobs  not in Prefect",
    ):
        assert f"  {line}\n" in edited
    assert jobs.addresses()["api"] == f"127.0.0.1:{port}"
    now = jobs.identities()
    assert [name for name in was if now[name] != was[name]] == ["api", "prefect", "ui", "worker"]
    assert jobs.deployments()["theirs"] == foreign

    jobs.pulpo("destroy", "--data", "--yes")
    assert (jobs.left(), jobs.data()) == ([], [])
    assert docker("inspect", theirs) == before
