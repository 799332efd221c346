"""What Prefect shows of a run, on a server with its services: it knows of task runs through them alone."""

from __future__ import annotations

import time

import pytest

from tests.prefect_server import prefect_server
from tests.run.prefect.test_scaling import HEAD, ONE, say

#: One process starts the server, and not each that has one of the tests.
pytestmark = pytest.mark.xdist_group("prefect with services")


@pytest.fixture(scope="module")
def prefect(tmp_path_factory):
    with prefect_server(tmp_path_factory.mktemp("prefect"), services=True) as environment:
        yield environment


def shown(shell, run: str, count: int) -> list[tuple[str, dict]]:
    """The task runs of operations, each with its flow, sorted by operation: once there are so many and all are over."""
    root, *inside = shell.flow_runs_of(run)
    flows = {one["id"]: one["name"] for one in inside} | {root["id"]: "root"}
    deadline = time.monotonic() + 30
    while True:
        asked = shell.ask("task_runs", flow_runs={"id": {"any_": [*flows]}})
        found = [one for one in asked if not one["state"]["state_details"]["child_flow_run_id"]]
        if len(found) == count and all(one["end_time"] for one in found):
            return sorted(((flows[one["flow_run_id"]], one) for one in found), key=lambda pair: pair[1]["name"])
        assert time.monotonic() < deadline, [(one["name"], one["state_name"]) for one in found]
        time.sleep(0.1)


def test_task_runs_on_a_cluster_hang_under_their_own_flow_run(project):
    shell = project(f"""{HEAD}
    @operation("make.deep.many")
    def many() -> list[A]:
        return [A(n=1), A(n=2)]

    @operation("use.each", tags=["text"])
    def use(a: A) -> B:
        return B(n=a.n)
    """)
    say(shell, f"{{pipeline: {{{ONE}}}}}")
    run = shell.run("pipeline", "--engine", "prefect")
    made, *used = shown(shell, run["id"], 3)
    assert (made[0], made[1]["name"]) == ("make.deep", "make.deep.many")
    assert [(flow, one["name"], one["state_name"], one["tags"]) for flow, one in used] == 2 * [
        ("use", "use.each", "Completed", ["text"])
    ]
    assert all(one["task_inputs"]["a"] == [{"input_type": "task_run", "id": made[1]["id"]}] for _, one in used)


def test_steps_that_are_not_called_are_shown_too(project):
    shell = project(f"""{HEAD}
    @operation("make.many", cache=60)
    def many() -> list[A]:
        return [A(n=1), A(n=2)]

    @operation("use.fails")
    def fails(xs: list[A]) -> B:
        raise ValueError("no")

    @operation("use.after")
    def after(b: B) -> C:
        return C(n=b.n)
    """)
    shell.run("make", "--engine", "prefect")
    run = shell.run("pipeline", "--engine", "prefect", code=1)
    states = {
        one["name"]: (one["state_type"], one["state_name"], one["state"]["message"]) for _, one in shown(shell, run["id"], 3)
    }
    cached = states["make.many"]
    assert cached[:2] == ("COMPLETED", "Cached")
    assert cached[2].startswith("reused from 2")
    assert states["use.after"] == ("CANCELLED", "Skipped", "skipped: use.fails did not complete")
    assert states["use.fails"][:2] == ("FAILED", "Failed")


def test_a_schedule_makes_runs(project):
    shell = project(f"""{HEAD}
    @operation("make.many")
    def many() -> list[A]:
        return [A(n=1)]
    """)
    say(shell, "{make: {schedule: {interval: 3600}}}")
    shell("prefect", "deploy", "make")
    deadline = time.monotonic() + 60
    while not shell.flow_runs(deployments={"name": {"any_": ["shop"]}}):
        assert time.monotonic() < deadline, "no run was scheduled"
        time.sleep(0.2)


def test_a_flows_tags_are_on_its_flow_run_alone(project):
    shell = project(f"""{HEAD}
    @operation("make.deep.many", tags=["text"])
    def many() -> list[A]:
        return [A(n=1)]
    """)
    say(shell, "{make: {tags: [nightly, slow]}, make.deep: {tags: [deep]}}")
    run = shell.run("make", "--engine", "prefect")
    root, *inside = shell.flow_runs_of(run["id"])
    assert sorted(root["tags"]) == ["nightly", "slow"]
    ((_, made),) = shown(shell, run["id"], 1)
    assert made["tags"] == ["text"]
    (deep,) = inside
    assert deep["tags"] == ["deep"]


def test_prefect_is_told_what_a_step_waited_for(project):
    shell = project(f"""{HEAD}
    @operation("make.one")
    def one() -> A:
        return A(n=1)

    @operation("make.other")
    def other() -> B:
        return B(n=2)

    @operation("use.both", after=["make.order"])
    def both(a: A, b: B) -> C:
        return C(n=a.n + b.n)

    @operation("make.order")
    def order() -> None:
        return None
    """)
    run = shell.run("pipeline", "--engine", "prefect")
    tasks = {one["name"]: one for _, one in shown(shell, run["id"], 4)}
    inputs = {name: [one["id"] for one in found] for name, found in tasks["use.both"]["task_inputs"].items()}
    assert inputs == {"a": [tasks["make.one"]["id"]], "b": [tasks["make.other"]["id"]], "wait_for": [tasks["make.order"]["id"]]}
