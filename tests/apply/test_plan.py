"""What is planned for what is wanted and what is there: printed plans, without any server."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from pulpo.apply.change import Action, Change, FieldDiff, Plan
from pulpo.apply.prefect import Scope
from pulpo.apply.prefect.plan import plan
from pulpo.apply.prefect.state import LiveDeployment, LiveSchedule, Observed
from pulpo.apply.prefect.steps import UpdateDeployment, UpdateSchedule
from pulpo.apply.prefect.wire import schedule_data, wanted_fields
from pulpo.compile.deployment import Deployment, Schedule, WorkPool
from pulpo.errors import ApplyError
from tests.apply.wanted import DAILY, ROOT, deployment

PULL = "prefect.deployments.steps.set_working_directory"
SCOPE = Scope("jobs", None, ROOT)
NOTHING = "Plan: 0 to create, 0 to update, 0 to delete"


def as_deployed(wanted: Deployment, **changed: Any) -> LiveDeployment:
    """What a deploy leaves in Prefect, with fields changed by hand."""
    by_hand = {name: changed.pop(name) for name in ("paused", "schedules", "tags") if name in changed}
    schedule = wanted.schedule
    schedules = (LiveSchedule("s1", "pulpo", not schedule.paused, schedule_data(schedule)),) if schedule else ()
    live = LiveDeployment(
        f"id-{wanted.flow}",
        wanted.flow,
        wanted.name,
        {**wanted_fields(wanted, ROOT), **changed},
        wanted.tags,
        schedules=schedules,
    )
    return replace(live, **by_hand)


def world(*live: LiveDeployment, pools: dict[str, str] | None = None) -> Observed:
    return Observed(live, {"jobs-process": "process"} if pools is None else pools)


def printed(wanted: list[Deployment], observed: Observed, *, environment: str | None = None, **options: Any) -> str:
    return str(plan(wanted, observed, Scope("jobs", environment, ROOT, **options)).plan)


def test_an_empty_prefect_gets_the_work_pool_first_and_then_all_flows_by_name():
    wanted = [deployment("scraping.b"), deployment("pipeline", schedule=DAILY), deployment("scraping")]
    assert printed(wanted, world(pools={})) == (
        "+ work_pool:jobs-process  not in Prefect\n"
        "+ deployment:pipeline/jobs  not in Prefect\n"
        "+ deployment:scraping.b/jobs  not in Prefect\n"
        "+ deployment:scraping/jobs  not in Prefect\n"
        "Plan: 4 to create, 0 to update, 0 to delete"
    )


def test_what_is_as_it_was_deployed_needs_nothing():
    wanted = deployment(
        "scraping", schedule=DAILY, parameters={"keywords": "python"}, concurrency=2, collision_strategy="enqueue"
    )
    assert printed([wanted], world(as_deployed(wanted))) == NOTHING


BEFORE = deployment("scraping", schedule=DAILY, parameters={"keywords": "python", "pages": 3}, tags=("nightly",), version="old")
CHANGES = {
    "parameters": ({"parameters": {"keywords": "rust", "pages": 3}}, ['parameters.keywords: "python" → "rust"']),
    "parameter gone": ({"parameters": {"keywords": "python"}}, ["parameters.pages: *** → unset"]),
    "parameter null": ({"parameters": {"keywords": "python", "pages": None}}, ['parameters.pages: 3 → "null"']),
    "true is not one": ({"parameters": {"keywords": "python", "pages": True}}, ["parameters.pages: 3 → true"]),
    "tags": ({"tags": ("pulpo.project=jobs",)}, ['tags: ["nightly", "pulpo.project=jobs"] → ["pulpo.project=jobs"]']),
    "description": ({"description": "All boards."}, ['description: unset → "All boards."']),
    "entrypoint": ({"entrypoint": "x.py:f"}, ['entrypoint: "run_cache/orchestration/scraping_flow.py:scraping_flow" → "x.py:f"']),
    "schema": (
        {"parameter_schema": {"type": "object", "properties": {"pages": {"type": "integer"}}}},
        ['parameter_openapi_schema.properties.pages: unset → {"type": "integer"}'],
    ),
    "queue": ({"work_queue": "fast"}, ['work_queue_name: unset → "fast"']),
    "limit": (
        {"concurrency": 1, "collision_strategy": "cancel_new"},
        ["concurrency_limit: unset → 1", 'concurrency_options: unset → {"collision_strategy": "CANCEL_NEW"}'],
    ),
    "cron": ({"schedule": replace(DAILY, cron="0 7 * * *")}, ['schedule.cron: "0 6 * * *" → "0 7 * * *"']),
    "cron to interval": (
        {"schedule": Schedule(interval=60)},
        ['schedule.cron: "0 6 * * *" → unset', "schedule.interval: unset → 60", 'schedule.timezone: "Europe/Berlin" → "UTC"'],
    ),
    "pause": ({"schedule": replace(DAILY, paused=True)}, ["schedule.active: true → false"]),
    "no schedule": (
        {"schedule": None},
        ['schedules.pulpo: {"active": true, "cron": "0 6 * * *", "timezone": "Europe/Berlin"} → unset'],
    ),
    "job variables": ({"job_variables": {"image": "x:2"}}, ['job_variables.image: unset → "x:2"']),
    "env": ({"job_variables": {"env": {"TOKEN": "t", "PULPO_ENV": "prod"}}}, ["job_variables.env: unset → ***"]),
    "directory": (
        {"directory": "/opt/jobs"},
        ['directory: "/home/me/jobs" → "/opt/jobs"'],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_in_the_manifest_is_one_line_a_field(name):
    fields, lines = CHANGES[name]
    after = replace(BEFORE, version="new", **fields)
    expected = ["~ deployment:scraping/jobs  changed in the manifest", *(f"    {line}" for line in lines)]
    assert printed([after], world(as_deployed(BEFORE))) == "\n".join([*expected, "Plan: 0 to create, 1 to update, 0 to delete"])


def test_only_what_differs_is_sent():
    after = replace(BEFORE, version="new", description="All boards.")
    (step,) = plan([after], world(as_deployed(BEFORE)), SCOPE).steps
    assert isinstance(step, UpdateDeployment)
    assert step.body == {"version": "new", "description": "All boards."}
    assert step.schedules == ()


def test_the_same_version_with_other_fields_was_changed_in_prefect():
    live = as_deployed(BEFORE, description="mine", parameters={"keywords": "rust", "pages": 3.0})
    assert printed([BEFORE], world(live)) == (
        "~ deployment:scraping/jobs  changed in Prefect\n"
        '    description: "mine" → unset\n'
        '    parameters.keywords: "rust" → "python"\n'
        "Plan: 0 to create, 1 to update, 0 to delete"
    )


def test_the_version_alone_is_shown_where_nothing_else_differs():
    assert '    version: "old" → "new"' in printed([replace(BEFORE, version="new")], world(as_deployed(BEFORE)))


def test_a_deploy_from_another_directory_is_no_drift():
    live = as_deployed(BEFORE, pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": "/other"}}])
    assert printed([BEFORE], world(live)).startswith(
        "~ deployment:scraping/jobs  deployed from another place, or with other variables\n"
        '    directory: "/other" → "/home/me/jobs"\n'
    )


def test_another_directory_than_the_manifest_says_is_drift_and_so_are_other_steps():
    said = replace(BEFORE, directory="/opt/jobs")
    live = as_deployed(said, pull_steps=[{PULL: {"directory": "/other"}}])
    assert '  changed in Prefect\n    directory: "/other" → "/opt/jobs"\n' in printed([said], world(live))
    live = as_deployed(BEFORE, pull_steps=[{PULL: {"directory": "/home/me/jobs", "mine": 1}}])
    assert "  changed in Prefect\n    pull_steps: [" in printed([BEFORE], world(live))


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (deployment("scraping", project="a/b"), "a/b, a/b-process"),
        (deployment("scraping", project=".."), ".."),
        (deployment("scraping", work_pool=WorkPool("fast?", "process")), "fast?"),
    ],
)
def test_names_that_prefect_can_not_have_are_refused_before_anything_is_made(wanted, told):
    with pytest.raises(ApplyError, match=f"of these names: {re.escape(told)}$"):
        printed([wanted], world())


PAUSED = (LiveSchedule("s1", "pulpo", active=False, schedule=schedule_data(DAILY)),)


def test_a_pause_by_hand_stays_and_is_told():
    assert printed([BEFORE], world(as_deployed(BEFORE, schedules=PAUSED, paused=True))) == (
        "  deployment:scraping/jobs  its schedule is paused in Prefect, and stays so\n"
        "  deployment:scraping/jobs  is paused in Prefect, and stays so\n"
        f"{NOTHING}"
    )


def test_a_pause_by_hand_goes_where_the_manifest_says_otherwise():
    wanted = replace(BEFORE, schedule=replace(DAILY, paused=False))
    assert printed([wanted], world(as_deployed(wanted, schedules=PAUSED, paused=True))) == (
        "~ deployment:scraping/jobs  changed in Prefect\n"
        "    paused: true → false\n"
        "    schedule.active: false → true\n"
        "Plan: 0 to create, 1 to update, 0 to delete"
    )


def test_another_cron_keeps_the_schedules_id_and_its_pause():
    after = replace(BEFORE, version="new", schedule=Schedule(cron="0 9 * * *"))
    (step,) = plan([after], world(as_deployed(BEFORE, schedules=PAUSED)), SCOPE).steps
    assert isinstance(step, UpdateDeployment)
    (schedule,) = step.schedules
    assert isinstance(schedule, UpdateSchedule)
    assert (schedule.id, schedule.body["active"]) == ("s1", False)


def test_a_schedule_added_by_hand_goes_and_one_without_a_slug_is_kept():
    extra = LiveSchedule("s0", None, active=True, schedule={"cron": "* * * * *", "timezone": None, "day_or": True})
    own = LiveSchedule("s9", None, active=True, schedule=schedule_data(DAILY))
    assert printed([BEFORE], world(as_deployed(BEFORE, schedules=(own,)))) == NOTHING
    assert printed([BEFORE], world(as_deployed(BEFORE, schedules=(extra, own)))) == (
        "~ deployment:scraping/jobs  changed in Prefect\n"
        '    schedules.s0: {"active": true, "cron": "* * * * *", "timezone": "UTC"} → unset\n'
        "Plan: 0 to create, 1 to update, 0 to delete"
    )


def test_what_an_interval_counts_from_is_no_difference_and_stays():
    wanted = deployment("scraping", schedule=Schedule(interval=3600), version="v")
    anchored = {**schedule_data(wanted.schedule), "interval": 3600.0, "anchor_date": "2026-01-01T00:00:00Z"}
    live = as_deployed(wanted, schedules=(LiveSchedule("s1", "pulpo", True, anchored),))
    assert printed([wanted], world(live)) == NOTHING
    (step,) = plan([replace(wanted, schedule=Schedule(interval=60))], world(live), SCOPE).steps
    assert step.schedules[0].body["schedule"]["anchor_date"] == "2026-01-01T00:00:00Z"


def test_a_flow_that_left_the_manifest_goes_with_its_deployment():
    gone = deployment("old")
    assert printed([BEFORE], world(as_deployed(BEFORE), as_deployed(gone))) == (
        "- deployment:old/jobs  left the manifest\nPlan: 0 to create, 0 to update, 1 to delete"
    )


@pytest.mark.parametrize(
    ("environment", "tags"),
    [
        (None, ("pulpo.project=other",)),
        (None, ()),
        (None, ("pulpo.environment=prod", "pulpo.project=jobs")),
        ("prod", ("pulpo.project=jobs",)),
        ("prod", ("pulpo.environment=dev", "pulpo.environment=prod", "pulpo.project=jobs")),
    ],
)
def test_others_are_left_alone_and_their_names_are_an_error(environment, tags):
    wanted = deployment("scraping", environment=environment)
    other = replace(as_deployed(deployment("elsewhere")), tags=tags)
    assert printed([wanted], world(as_deployed(wanted), other), environment=environment) == NOTHING
    with pytest.raises(ApplyError, match=r"not this project's: scraping/jobs"):
        printed([wanted], world(as_deployed(wanted, tags=tags)), environment=environment)


def test_one_flow_alone_deletes_nothing_and_needs_its_own_pool_only():
    docker = deployment("b", work_pool=WorkPool("containers", "docker"))
    wanted = [deployment("a"), docker]
    observed = world(as_deployed(deployment("old")), pools={})
    assert printed(wanted, observed, only="b") == (
        "+ work_pool:containers  not in Prefect\n+ deployment:b/jobs  not in Prefect\nPlan: 2 to create, 0 to update, 0 to delete"
    )


def test_a_pool_of_another_type_is_an_error():
    with pytest.raises(ApplyError, match="jobs-process is docker, not process"):
        printed([BEFORE], world(pools={"jobs-process": "docker"}))
    two = [deployment("a", work_pool=WorkPool("p", "docker")), deployment("b", work_pool=WorkPool("p", "process"))]
    with pytest.raises(ApplyError, match="p is of two types"):
        printed(two, world(pools={}))


def test_no_flows_at_all_do_not_delete_everything():
    with pytest.raises(ApplyError, match="which would all be deleted: 1"):
        printed([], world(as_deployed(BEFORE)))
    assert printed([], world()) == NOTHING


def test_secrets_are_never_printed():
    secret = "s3cr3t-value"
    wanted = replace(
        BEFORE,
        parameters={"keywords": f"key {secret}", "pages": [secret]},
        job_variables={"env": {"TOKEN": secret, "PULPO_ENV": "prod"}, "image": f"{secret}/x:1"},
        work_queue=secret,
    )
    live = as_deployed(
        wanted,
        parameters={"keywords": "old secret", "pages": 3},
        job_variables={"env": {"TOKEN": "old secret", "PULPO_ENV": "dev"}, "image": "old secret"},
        work_queue_name="old secret",
    )
    for version in ("old", "older"):
        live = replace(live, fields={**live.fields, "version": version})
        text = printed([wanted], world(live), secrets=frozenset({secret}))
        assert secret not in text
        assert "old secret" not in text
        assert "job_variables.env.TOKEN: changed" in text
        assert 'job_variables.env.PULPO_ENV: "dev" → "prod"' in text
        assert 'parameters.keywords: *** → "key ***"' in text


def test_a_plan_says_what_is_replaced_only_where_something_is():
    change = Change("service:db", Action.REPLACE, "image changed", (FieldDiff("image", "a", "b"),), destructive=True)
    assert str(Plan((change,))) == (
        '± service:db  image changed\n    image: "a" → "b"\nPlan: 0 to create, 0 to update, 1 to replace, 0 to delete'
    )
    assert not Plan()
