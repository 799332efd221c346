"""Prefect's variables: what is planned, that it leads there from any state, and that a real server has them then."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.apply.change import Change
from pulpo.apply.prefect import Scope
from pulpo.apply.prefect.execute import execute
from pulpo.apply.prefect.observe import observe
from pulpo.apply.prefect.plan import plan
from pulpo.apply.prefect.steps import Steps
from pulpo.compile.variables import Variable, variables
from pulpo.errors import ApplyError
from pulpo.manifest.model import Manifest
from tests.apply.fake_prefect import FakePrefect
from tests.apply.wanted import ROOT

NAMES = ["a", "b", "c-d"]
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.just(1.0) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["k", "l"]), inner, max_size=2),
    max_leaves=4,
)
manifests = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)


def wanted(said: dict[str, Any], environment: str | None = None, **environ: str) -> tuple[tuple[Variable, ...], frozenset[str]]:
    services = {"prefect": {"variables": said}}
    manifest = Manifest.model_validate({"version": 1, "project": {"name": "jobs"}, "services": services})
    return variables(manifest, environment, environ)


def steps(api: FakePrefect, said: dict[str, Any], environment: str | None = None, **environ: str) -> Steps:
    desired, secrets = wanted(said, environment, **environ)
    observed = asyncio.run(observe(api, [], project="jobs", variables=[variable.name for variable in desired]))
    return plan([], observed, Scope("jobs", environment, ROOT, secrets=secrets, may_empty=True), desired)


def apply(api: FakePrefect, said: dict[str, Any], environment: str | None = None, **environ: str) -> list[Change]:
    done: list[Change] = []
    asyncio.run(execute(api, steps(api, said, environment, **environ), on_change=done.append))
    return done


def printed(api: FakePrefect, said: dict[str, Any], environment: str | None = None, **environ: str) -> str:
    return str(steps(api, said, environment, **environ).plan)


def there(api: FakePrefect) -> dict[str, Any]:
    return {variable["name"]: variable["value"] for variable in api.variables.values()}


def found(api: FakePrefect, name: str) -> dict[str, Any]:
    return next(variable for variable in api.variables.values() if variable["name"] == name)


def test_each_kind_of_change_is_told():
    api = FakePrefect()
    assert printed(api, {"b": 1, "a": {"x": 1}}) == (
        "+ variable:a  not in Prefect\n+ variable:b  not in Prefect\nPlan: 2 to create, 0 to update, 0 to delete"
    )
    apply(api, {"a": {"x": 1}, "b": 1})
    assert printed(api, {"a": {"x": 2}}) == (
        "~ variable:a  changed in the manifest\n    value.x: 1 → 2\n"
        "- variable:b  left the manifest\nPlan: 0 to create, 1 to update, 1 to delete"
    )
    found(api, "b")["value"] = "by hand"
    (change,) = steps(api, {"a": {"x": 1}, "b": 1}).plan.changes
    assert str(change) == '~ variable:b  changed in Prefect\n    value: "by hand" → 1'
    assert change.drift


def test_a_value_of_an_environment_variable_is_shown_nowhere():
    api = FakePrefect()
    apply(api, {"a": "${TOKEN}"}, TOKEN="hunter2")
    assert there(api) == {"a": "hunter2"}
    shown = printed(api, {"a": "${TOKEN}"}, TOKEN="hunter3")
    assert shown.startswith("~ variable:a  with other values of environment variables\n")
    assert "hunter" not in shown
    assert "hunter" not in printed(api, {"a": "open"})


def test_those_of_others_are_left_alone_and_a_name_of_theirs_is_an_error():
    api = FakePrefect()
    api.variables["x"] = {"id": "x", "name": "a", "value": "theirs", "tags": [], "updated": ""}
    apply(api, {"b": 1}, "prod")
    assert apply(api, {}) == []
    with pytest.raises(ApplyError, match="not this project's: a") as caught:
        steps(api, {"a": 1})
    assert "pulpo.project=jobs" in str(caught.value.hint)
    with pytest.raises(ApplyError, match="not this project's: b"):
        steps(api, {"b": 1})  # that of another environment
    assert there(api) == {"a": "theirs", "b": 1}


def test_more_than_a_page_are_read():
    api = FakePrefect()
    said = {f"v{number}": number for number in range(250)}
    assert len(apply(api, said)) == 250
    assert apply(api, said) == []
    assert len(apply(api, {})) == 250


@settings(max_examples=60)
@given(before=manifests, after=manifests, by_hand=manifests, cut=st.none() | st.integers(0, 3))
def test_from_any_state_the_next_plan_is_empty(before, after, by_hand, cut):
    api = FakePrefect()
    apply(api, before)
    for name in by_hand.keys() & before.keys():
        found(api, name).update(value=by_hand[name], tags=[*found(api, name)["tags"], "mine"])
    if cut is not None:
        api.fuse = len(api.writes) + cut
        try:
            apply(api, after)
        except ApplyError:
            api.fuse = None
        api.fuse = None
    apply(api, after)
    assert json.dumps(there(api), sort_keys=True) == json.dumps(after, sort_keys=True)
    assert not steps(api, after).plan


def test_a_real_server_has_them(prefect: dict[str, str], tmp_path: Path):
    environment = {**prefect, "SERVER": prefect["PREFECT_API_URL"], "TOKEN": "hunter2"}
    del environment["PREFECT_API_URL"]

    def pulpo(*arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "pulpo", "-q", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "hunter2" not in done.stdout + done.stderr
        return done.stdout

    def value(name: str) -> Any:
        command = [sys.executable, "-m", "prefect", "variable", "inspect", name, "--output", "json"]
        done = subprocess.run(command, env=prefect, capture_output=True, text=True, check=False)
        return json.loads(done.stdout)["value"] if done.returncode == 0 else None

    def lock(said: str) -> None:
        off = "".join(f"  {name}: {{enabled: false}}\n" for name in ("worker", "api", "ui"))
        text = f"version: 1\nproject: {{name: variables-test}}\nservices:\n  prefect: {{uri: '${{SERVER}}', variables: {said}}}\n{off}"
        (tmp_path / "pulpo.lock.yaml").write_text(text)

    number, other = f"n_{os.getpid()}", f"o_{os.getpid()}"
    lock(f'{{{number}: {{limit: 3, on: [true, 1.5]}}, {other}: "${{TOKEN}}"}}')
    assert f"variable:{number}" in pulpo("plan")
    pulpo("apply", "--yes")
    assert (value(number), value(other)) == ({"limit": 3, "on": [True, 1.5]}, "hunter2")
    assert pulpo("apply", "--yes") == pulpo("plan") == "No changes: the world is as the manifest says\n"
    lock(f"{{{number}: null, {other}: 4}}")
    pulpo("apply", "--yes")
    assert (value(number), value(other)) == (None, 4)
    lock(f"{{{number}: 4}}")
    pulpo("apply", "--yes")
    assert (value(number), value(other)) == (4, None)
    pulpo("destroy", "--yes")
    assert value(number) is None


@pytest.mark.parametrize("said", ["{A: 1}", '{"a b": 1}'])
def test_what_prefect_would_refuse_is_told_by_check(tmp_path: Path, said: str):
    text = f"version: 1\nproject: {{name: jobs}}\nservices:\n  prefect: {{variables: {said}}}\n"
    (tmp_path / "pulpo.lock.yaml").write_text(text)
    command = [sys.executable, "-m", "pulpo", "check", "--no-code"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pulpo.lock.yaml:4:" in done.stdout
