"""Finding the project."""

from __future__ import annotations

import pytest

from pulpo.cli.app import CLI
from pulpo.errors import UsageError
from pulpo.names import did_you_mean, lies_in, snake_case
from pulpo.settings import NoProjectError, find_project


def test_a_project_is_found_from_below(write, tmp_path, monkeypatch):
    write("pyproject.toml", '[project]\nname = "shop"\n[tool.pulpo]\nmodules = ["shop"]\n')
    below = write("a/b/c.txt", "").parent
    monkeypatch.chdir(below)
    found = find_project()
    assert (found.root, found.name, found.modules) == (tmp_path, "shop", ("shop",))


def test_a_lock_alone_makes_a_project_that_keeps_its_name_wherever_it_lies(write, tmp_path):
    write("first/pulpo.lock.yaml", "version: 1\nproject: {name: shop, modules: []}\n")
    CLI(tmp_path / "first").lock()
    (tmp_path / "first").rename(tmp_path / "second")
    assert CLI(tmp_path / "second").check() == ()


def test_places_are_shown_from_where_one_stands(write, tmp_path, monkeypatch):
    write("shop/pyproject.toml", "[tool.pulpo]\n")
    monkeypatch.chdir(tmp_path)
    assert find_project(tmp_path / "shop").lock_shown == "shop/pulpo.lock.yaml"
    monkeypatch.chdir("/")
    assert find_project(tmp_path / "shop").lock_shown == str(tmp_path / "shop" / "pulpo.lock.yaml")[1:]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[tool.pulpo]\nmodules = "shop"\n', "modules is not a list of module names: 'shop'"),
        ("[tool.pulpo]\nmodulse = []\n", "unknown key in [tool.pulpo]: modulse"),
        ("[tool.pulpo]\nname = 3\n", "name is not a name: 3"),
        ("[tool]\npulpo = 3\n", "[tool.pulpo] is not a table"),
        ("[tool.pulpo\n", "can't be read"),
    ],
)
def test_a_bad_pyproject_is_said(write, tmp_path, text, message):
    write("pyproject.toml", text)
    with pytest.raises(UsageError) as raised:
        find_project(tmp_path)
    assert message in raised.value.message
    assert str(tmp_path / "pyproject.toml") in raised.value.message


def test_a_directory_without_a_project_is_none(tmp_path):
    with pytest.raises(NoProjectError, match="no Pulpo project here"):
        CLI(tmp_path).lock()
    with pytest.raises(UsageError, match="no such directory"):
        find_project(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_two_projects_in_one_process_keep_apart(write, tmp_path, fresh_imports):
    for name in ("first", "second"):
        write(f"{name}/pyproject.toml", f'[tool.pulpo]\nname = "{name}"\nmodules = ["{name}_ops"]\n')
        write(f"{name}/{name}_ops.py", f'from pulpo import operation\n\n@operation("{name}.work")\ndef work() -> None: ...\n')
    assert list(CLI(tmp_path / "first").lock().manifest.operations) == ["first.work"]
    assert list(CLI(tmp_path / "second").lock().manifest.operations) == ["second.work"]
    assert CLI(tmp_path / "first").check() == ()


def test_names():
    assert did_you_mean("fetsh", ["fetch", "clean"]) == "did you mean 'fetch'?"
    assert did_you_mean("zzz", ["fetch"]) is None
    assert [snake_case(n) for n in ("RawJob", "HTTPLog", "A", "Job2Be")] == ["raw_job", "http_log", "a", "job2_be"]
    assert (lies_in("a.b.c", "a.b"), lies_in("a.bc", "a.b"), lies_in("x", "pipeline"), lies_in("x", "x")) == (
        True,
        False,
        True,
        True,
    )


def test_a_main_in_a_directory_below_belongs_to_the_project_above(write, tmp_path):
    import subprocess
    import sys

    write("pyproject.toml", '[tool.pulpo]\nname = "shop"\n')
    write("src/main.py", 'from pulpo import CLI, operation\n\n@operation("a.work")\ndef work() -> None: ...\n\nCLI().run()\n')
    subprocess.run([sys.executable, "src/main.py", "lock"], cwd=tmp_path, check=True, capture_output=True)
    assert "a.work:" in (tmp_path / "pulpo.lock.yaml").read_text()
    assert not (tmp_path / "src" / "pulpo.lock.yaml").exists()
