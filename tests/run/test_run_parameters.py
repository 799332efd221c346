"""Parameters of a run, and the entrypoints of what it calls."""

import dataclasses

import pytest
from pydantic import BaseModel

from pulpo.compile.flow import FlowParameter
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.run.inline import execute
from tests.run.workshop import Job, Parameter, step_of, takes, told


async def test_values_fit_the_functions_own_annotations_and_defaults_are_its_own(project):
    got = []

    def fetch(limit: int, keywords: str = "python", pages: list[int] | None = None):
        got.append((limit, keywords, pages))

    project.step("a.fetch", fetch, parameters=["limit", Parameter("keywords", {}, "rust"), Parameter("pages", {}, None)])
    run = await project.run(parameters={"limit": "5", "pages": ("1", 2)})
    assert run.ok
    assert got == [(5, "python", [1, 2])]
    assert run.parameters == {"limit": "5", "pages": ["1", 2]}


async def test_the_manifests_default_holds_where_the_function_has_none(project):
    got = []
    project.step("a.fetch", told(got.append), parameters=[Parameter("limit", {}, 7)])
    assert (await project.run()).ok
    assert got == [7]


async def test_a_suffix_says_which_operation_is_meant(project):
    got = {}
    for name in ("a.fetch", "b.fetch", "b.load"):

        def function(limit: int, name=name):
            got[name] = limit

        project.step(name, function, parameters=["limit"])
    assert (await project.run(parameters={"limit": 1, "load.limit": 2, "b.fetch.limit": 3})).ok
    assert got == {"a.fetch": 1, "b.load": 2, "b.fetch": 3}
    with pytest.raises(UsageError) as caught:
        await project.run(parameters={"limit": 1, "fetch.limit": 2})
    assert caught.value.message == "several parameters have this name: 'fetch.limit'"
    assert caught.value.hint == "say which: a.fetch.limit, b.fetch.limit"


async def test_an_unknown_name_is_refused_with_what_was_probably_meant(project):
    project.step("a.fetch", lambda limit: None, parameters=["limit"])
    with pytest.raises(UsageError) as caught:
        await project.run(parameters={"limit_": 3})
    assert (caught.value.message, caught.value.hint) == ("pipeline has no such parameter: 'limit_'", "did you mean 'limit'?")


async def test_all_missing_values_are_in_one_error(project):
    project.step("a.fetch", lambda limit, since: None, parameters=["limit", "since"])
    project.step("b.fetch", lambda limit: None, parameters=["limit"])
    with pytest.raises(UsageError) as caught:
        await project.run()
    assert caught.value.message == "parameters without a value: a.fetch.limit, a.fetch.since, b.fetch.limit"
    assert caught.value.hint == "--param limit=… --param since=…"


async def test_all_values_that_do_not_fit_are_in_one_error(project):
    def fetch(limit: int, since: int):
        pass

    project.step("a.fetch", fetch, parameters=["limit", "since"])
    with pytest.raises(UsageError) as caught:
        await project.run(parameters={"limit": "abc", "since": "x"})
    assert len(caught.value.message.splitlines()) == 2
    assert caught.value.message.startswith("parameter a.fetch.limit does not fit: Input should be a valid integer")


class Search(BaseModel):
    keywords: str
    limit: int = 10


async def test_an_object_is_built_from_the_parameters_that_are_its_fields(project):
    got = []
    fields = [Parameter("keywords", {}, argument="search"), Parameter("limit", {}, 10, argument="search")]
    objects = [("search", project.entrypoint(Search))]
    project.step("a.fetch", told(got.append), parameters=fields, objects=objects)
    assert (await project.run(parameters={"keywords": "python"})).ok
    assert got == [Search(keywords="python")]
    with pytest.raises(UsageError, match=r"parameters without a value: a\.fetch\.keywords"):
        await project.run()


async def test_code_that_can_not_be_imported_is_said_all_at_once(project):
    step = project.step("a.one", lambda: None)
    project.steps = [
        dataclasses.replace(step, operation="a.one", entrypoint="no_such_module_here:fetch"),
        dataclasses.replace(step, operation="a.two", entrypoint=f"{project.module.__name__}:f_a_on"),
    ]
    with pytest.raises(DiagnosticsError) as caught:
        await project.run()
    assert [(d.code, d.path, d.message) for d in caught.value.diagnostics] == [
        (
            "PLP116",
            ("operations", "a.one", "entrypoint"),
            "no_such_module_here:fetch can't be imported: ModuleNotFoundError: No module named 'no_such_module_here'",
        ),
        (
            "PLP116",
            ("operations", "a.two", "entrypoint"),
            f"{project.module.__name__}:f_a_on can't be imported: {project.module.__name__} has no f_a_on",
        ),
    ]


async def test_a_model_that_the_manifest_does_not_have_is_said(project):
    project.step("a.one", lambda job: None, takes("job", "Nothing"))
    with pytest.raises(UsageError, match="the manifest does not have this model: Nothing"):
        await project.run()


async def test_a_default_that_is_a_model_is_only_a_value(project):
    def fetch(job: Job = Job(url="default")):  # noqa: B008
        return job

    project.step("a.fetch", fetch, out="Job", parameters=[Parameter("job", {}, None)])
    assert step_of(await project.run(), "a.fetch").counts["Job"].made == 1


async def test_a_missing_value_is_asked_for_by_the_flows_own_name(project):
    for name in ("c.one", "d.one", "d.two"):
        project.step(name, lambda limit: None, parameters=["limit"])
    names = {"c.one.limit": ("c.one", "limit"), "d.one.limit": ("d.one", "limit"), "two.limit": ("d.two", "limit")}
    flow = project.flow()
    flow = dataclasses.replace(flow, parameters=tuple(FlowParameter(name, (target,), {}) for name, target in names.items()))
    with pytest.raises(UsageError) as caught:
        await execute(flow, models=project.models, store=project.store, parameters={"c.one.limit": 1})
    assert caught.value.hint == "--param d.one.limit=… --param two.limit=…"
    done = await execute(flow, models=project.models, store=project.store, parameters=dict.fromkeys(names, 1))
    assert done.ok


async def test_code_that_no_longer_takes_what_the_lock_says_is_found_before_anything_runs(project):
    ran = []
    project.step("a.make", lambda: ran.append(1) or Job(url="a"), out="Job", parameters=[Parameter("limit", {}, 3)])
    project.step("b.see", lambda job, /: None, takes("job", "Job", sources=["a.make"]), parameters=[Parameter("x", {}, 3)])
    project.step("b.any", lambda **anything: None, takes("job", "Job", sources=["a.make"]))
    with pytest.raises(UsageError) as caught:
        await project.run()
    assert caught.value.message.splitlines() == [
        "the code of a.make no longer takes: limit",
        "the code of b.see no longer takes: job, x",
    ]
    assert caught.value.hint == "run `pulpo lock`"
    assert ran == []
