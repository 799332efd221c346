"""Whatever state Prefect is in, a deploy leaves what is wanted, and the next one finds nothing to do; on a Prefect in memory."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.apply.change import Change, Plan
from pulpo.apply.prefect import Scope, reconcile
from pulpo.compile.deployment import Deployment, Schedule, WorkPool
from pulpo.errors import ApplyError, UsageError
from tests.apply.fake_prefect import FakePrefect
from tests.apply.wanted import DAILY, ROOT, deployment

FLOWS = ["pipeline", "a", "a.b", "a.b.c", "d", "e"]

schedules = st.none() | st.builds(
    lambda kind, paused: replace(kind, paused=paused),
    st.sampled_from(
        [DAILY, Schedule(cron="@daily"), Schedule(interval=60), Schedule(interval=90.5), Schedule(rrule="FREQ=DAILY")]
    ),
    st.sampled_from([None, True, False]),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.just(1.0) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["k", "l"]), inner, max_size=2),
    max_leaves=4,
)
settings_of_a_flow = st.fixed_dictionaries(
    {},
    optional={
        "description": st.sampled_from(["one", "two"]),
        "parameters": st.dictionaries(st.sampled_from(["p", "q"]), values, max_size=2),
        "parameter_schema": st.just({"type": "object", "properties": {"p": {}}}),
        "tags": st.lists(st.sampled_from(["x", "y"]), unique=True),
        "schedule": schedules,
        "work_pool": st.sampled_from([WorkPool("jobs-docker", "docker"), WorkPool("mine", "process")]),
        "work_queue": st.sampled_from(["fast", "slow"]),
        "job_variables": st.dictionaries(st.sampled_from(["env", "image"]), values, max_size=2),
        "concurrency": st.integers(1, 2),
        "collision_strategy": st.sampled_from(["enqueue", "cancel_new"]),
        "directory": st.just("/opt/x"),
    },
)


@st.composite
def manifests(draw: st.DrawFn, environment: str | None = None) -> list[Deployment]:
    flows = draw(st.lists(st.sampled_from(FLOWS), min_size=1, unique=True))
    return [deployment(flow, environment=environment, **draw(settings_of_a_flow)) for flow in flows]


hand_edits = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.sampled_from(["fields", "pause", "schedule paused", "schedule added", "schedules gone", "deleted", "runs limited"]),
        st.dictionaries(
            st.sampled_from(["description", "entrypoint", "path", "parameters", "job_variables", "pull_steps"]),
            st.sampled_from([None, "by hand"]),
        ),
    ),
    max_size=4,
)


def scope(**said: Any) -> Scope:
    return Scope(**{"project": "jobs", "environment": None, "root": ROOT, **said})


def run(
    prefect: FakePrefect, wanted: list[Deployment], *, check: bool = False, on_change: Any = lambda _: None, **said: Any
) -> Plan:
    return asyncio.run(reconcile(prefect, wanted, scope(**said), check=check, on_change=on_change))


def edit(prefect: FakePrefect, edits: list[tuple[int, str, dict]]) -> None:
    for which, kind, fields in edits:
        ours = [d for d in prefect.deployments.values() if d["name"] == "jobs"]
        if not ours:
            return
        found = ours[which % len(ours)]
        match kind:
            case "fields":
                found |= {
                    k: {"hand": 1} if v and k in ("parameters", "job_variables") else [] if v and k == "pull_steps" else v
                    for k, v in fields.items()
                }
            case "pause":
                found["paused"] = True
            case "schedule added":
                cron = {"cron": "* * * * *", "timezone": "UTC"}
                found["schedules"].append(prefect._schedule({"schedule": cron, "slug": fields.get("path")}))
            case "schedules gone":
                found["schedules"].clear()
            case "deleted":
                del prefect.deployments[found["id"]]
            case _:
                for schedule in found["schedules"]:
                    schedule.update({"active": False} if kind == "schedule paused" else {"max_scheduled_runs": 3})


def others(prefect: FakePrefect) -> None:
    """Deployments of another project and of another environment, on the same flows, and work pools of somebody's."""
    run(prefect, [deployment(f, project="other", schedule=DAILY) for f in FLOWS], project="other")
    run(prefect, [deployment(f, environment="prod", schedule=DAILY) for f in FLOWS], environment="prod")
    prefect.pools["mine"] = {
        "name": "mine",
        "type": "process",
        "id": "x",
        "default_queue_id": "x",
        "base_job_template": {"own": 1},
    }


def not_ours(prefect: FakePrefect) -> dict[str, Any]:
    kept = {i: d for i, d in prefect.deployments.items() if d["name"] != "jobs"}
    return copy.deepcopy({"deployments": kept, "pool": prefect.pools["mine"]})


@settings(max_examples=60, deadline=None)
@given(manifests(), hand_edits, manifests())
def test_from_any_state_a_deploy_leaves_nothing_for_the_next_one_and_touches_nobody_elses(before, edits, after):
    prefect = FakePrefect()
    others(prefect)
    theirs = not_ours(prefect)
    run(prefect, before)
    edit(prefect, edits)
    planned = run(prefect, after, check=True)
    heard: list[Change] = []
    applied = run(prefect, after, on_change=heard.append)
    assert applied == planned
    assert sorted(map(str, heard)) == sorted(map(str, applied.changes)) == sorted(map(str, planned.changes))
    writes = len(prefect.writes)
    assert run(prefect, after).changes == ()
    assert len(prefect.writes) == writes
    assert not_ours(prefect) == theirs
    assert sum(d["name"] == "jobs" for d in prefect.deployments.values()) == len(after)


@settings(max_examples=60, deadline=None)
@given(manifests(), hand_edits, manifests(), st.integers(0, 12))
def test_cut_after_any_request_the_next_deploy_finishes_and_leaves_the_same(before, edits, after, requests):
    prefect = FakePrefect()
    run(prefect, before)
    edit(prefect, edits)
    whole = copy.deepcopy(prefect)
    run(whole, after)
    prefect.fuse = len(prefect.writes) + requests
    with contextlib.suppress(ApplyError):
        run(prefect, after)
    prefect.fuse = None
    run(prefect, after)
    assert run(prefect, after).changes == ()
    assert _meaning(prefect) == _meaning(whole)


def _meaning(prefect: FakePrefect) -> list[Any]:
    flows = {i: name for name, i in prefect.flows.items()}
    ids = ("id", "flow_id", "work_queue_id", "schedules")
    return sorted(
        (
            flows[d["flow_id"]],
            repr(sorted((k, v) for k, v in d.items() if k not in ids)),
            [repr(sorted((k, v) for k, v in s.items() if k not in ("id", "slug"))) for s in d["schedules"]],
        )
        for d in prefect.deployments.values()
    )


@settings(max_examples=25, deadline=None)
@given(manifests(), st.data())
def test_what_prefect_refuses_does_not_keep_back_the_others(wanted, data):
    bad = data.draw(st.sets(st.sampled_from([d.flow for d in wanted]), min_size=1))
    broken = [replace(d, job_variables={"refuse": "x"}) if d.flow in bad else d for d in wanted]
    prefect = FakePrefect()
    with pytest.raises(ApplyError) as error:
        run(prefect, broken, secrets=frozenset({"'x'"}))
    assert all(f"deployment:{flow}/jobs: Error creating deployment: ***" in error.value.message for flow in bad)
    assert len(prefect.deployments) == len(wanted) - len(bad)
    run(prefect, wanted)
    assert run(prefect, wanted).changes == ()


@given(st.sampled_from(FLOWS), st.data())
@settings(max_examples=30, deadline=None)
def test_one_flow_alone_leaves_the_others_as_they_are(flow, data):
    prefect = FakePrefect()
    run(prefect, [deployment(f) for f in FLOWS])
    before = {i: copy.deepcopy(d) for i, d in prefect.deployments.items() if d["flow_id"] != prefect.flows[flow]}
    wanted = [deployment(f, description="new") for f in data.draw(st.permutations(FLOWS))]
    applied = run(prefect, [d for d in wanted if d.flow == flow] + wanted[:0], only=flow)
    assert [change.address for change in applied.changes] == [f"deployment:{flow}/jobs"]
    assert {i: d for i, d in prefect.deployments.items() if i in before} == before


def test_a_flow_that_is_none_says_which_is_near():
    with pytest.raises(UsageError) as error:
        run(FakePrefect(), [deployment("scraping")], only="scrapping")
    assert error.value.hint == "did you mean 'scraping'?"


def test_a_broken_line_says_how_far_it_came():
    prefect = FakePrefect()
    prefect.fuse = 3  # the pool, the first flow and its deployment
    with pytest.raises(ApplyError, match=r"the line broke \(2 of 3 changes were made\)"):
        run(prefect, [deployment("a"), deployment("b")])


def test_a_check_writes_nothing():
    prefect = FakePrefect()
    planned = run(prefect, [deployment("a", schedule=DAILY)], check=True)
    assert (len(planned.changes), prefect.writes) == (2, [])


def test_new_deployments_get_their_schedules_when_all_are_there():
    prefect = FakePrefect()
    run(prefect, [deployment(flow, schedule=DAILY) for flow in FLOWS])
    kinds = [path.split("/")[-1] for _, path in prefect.writes if "deployments" in path]
    assert kinds == [""] * len(FLOWS) + ["schedules"] * len(FLOWS)


class _TwoAtOnce(FakePrefect):
    """Creating what is there replaces it, as on the server: that is what happens where two deploy at once."""

    def _create(self, body: dict) -> dict:
        for i, d in list(self.deployments.items()):
            if (d["flow_id"], d["name"]) == (body["flow_id"], body["name"]):
                del self.deployments[i]
                return self._again(i, body)
        return super()._create(body)

    def _again(self, i: str, body: dict) -> dict:
        made = super()._create(body)
        self.deployments[i] = self.deployments.pop(made["id"])
        made["id"] = i
        return made

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        await asyncio.sleep(0)
        return await super().request(method, path, body)


def test_two_deploys_at_once_leave_what_one_leaves():
    prefect = _TwoAtOnce()
    wanted = [deployment(flow, schedule=DAILY) for flow in FLOWS]

    async def both() -> None:
        await asyncio.gather(*(reconcile(prefect, wanted, scope()) for _ in range(2)))

    asyncio.run(both())
    assert run(prefect, wanted).changes == ()
    assert all(len(d["schedules"]) == 1 for d in prefect.deployments.values())
