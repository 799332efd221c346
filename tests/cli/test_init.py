"""`pulpo init`: a project that locks, checks, runs and is tested, in a new directory or beside somebody's files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pulpo import CLI
from pulpo.cli.initialising import package_name
from pulpo.errors import UsageError
from tests.cli.conftest import ROOT, Shell

TEMPLATES = ("minimal", "jobs", "flights")


def files(directory: Path) -> dict[str, bytes]:
    """What is there, but for what commands leave."""
    left = ("run_cache", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")
    found = (p for p in directory.rglob("*") if p.is_file() and not set(p.relative_to(directory).parts) & set(left))
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(found)}


def tool(directory: Path, *command: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=directory, capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each template, made once by the command."""
    root = tmp_path_factory.mktemp("made")
    for template in TEMPLATES:
        Shell(root)("init", f"my-{template}", "--template", template)
    return root


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_it_makes_locks_checks_and_is_tested_green_at_once(made, template):
    project = Shell(made / f"my-{template}")
    project("lock", "--check")
    assert project("check", "--strict").err == "no errors in the lock and the code\n"
    assert " passed" in tool(project.directory, "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_it_makes_passes_ruff_and_mypy(made, template):
    directory = made / f"my-{template}"
    tool(directory, "ruff", "check", "--no-cache", ".")
    tool(directory, "ruff", "format", "--no-cache", "--check", ".")
    tool(directory, "mypy", "--cache-dir", os.devnull)


@pytest.mark.parametrize(("template", "arguments"), [("minimal", []), ("jobs", []), ("flights", ["--param", "months=1"])])
def test_what_it_makes_runs(made, tmp_path, template, arguments):
    shutil.copytree(made / f"my-{template}", tmp_path / "copy")
    assert json.loads(Shell(tmp_path / "copy")("run", "pipeline", *arguments, "--format", "json").out)["state"] == "completed"
    assert (
        subprocess.run([sys.executable, "main.py", "check"], cwd=tmp_path / "copy", check=False, capture_output=True).returncode
        == 0
    )


def test_the_lock_has_the_line_for_editors_and_the_rest_is_there(made):
    found = files(made / "my-minimal")
    assert found["pulpo.lock.yaml"].startswith(b"# yaml-language-server: $schema=https://")
    assert set(found) == {
        ".github/workflows/pulpo.yml", ".gitignore", ".pre-commit-config.yaml", "README.md", "main.py", "my_minimal/__init__.py",
        "my_minimal/models.py", "my_minimal/operations.py", "pulpo.lock.yaml", "pyproject.toml", "tests/test_pipeline.py",
    }  # fmt: skip
    assert b"@" not in found["README.md"] + found["pyproject.toml"]


@pytest.mark.parametrize("example", ["jobs", "flights"])
def test_the_code_of_an_example_is_the_example(made, example):
    there, expected = files(made / f"my-{example}" / example), files(ROOT / "examples" / example / example)
    assert there == expected


def test_a_second_run_adds_nothing(made, tmp_path):
    shutil.copytree(made / "my-minimal", tmp_path / "my-minimal")
    before = files(tmp_path / "my-minimal")
    again = Shell(tmp_path / "my-minimal")("init")
    assert files(tmp_path / "my-minimal") == before
    assert again.err.splitlines()[-1] == "nothing was missing"


@pytest.mark.parametrize("written", [1, 3, 5, 7, 9])
def test_a_run_that_was_killed_is_finished_by_the_next(tmp_path, written):
    whole = CLI.init(tmp_path / "first" / "my-minimal")
    killed = tmp_path / "my-minimal"
    for name in whole.added[: written + 1]:
        (killed / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole.directory / name, killed / name)
    last = killed / whole.added[written]
    last.write_text("half a fi")
    last.rename(last.with_name(f".{last.name}.pulpo-init"))
    result = CLI.init(killed)
    assert set(result.left) == set(whole.added[:written])
    assert files(killed) == files(whole.directory)


def test_somebodys_files_stay_and_get_what_they_lack(tmp_path):
    theirs = {
        "pyproject.toml": b'[project]\r\nname = "shop"\r\nversion = "3"\r\n',
        ".gitignore": b"*.pyc",
        "README.md": b"mine\n",
        "shop/__init__.py": b"",
        "shop/work.py": b'from pulpo import operation\n\n\n@operation("sell")\ndef sell() -> None: ...\n',
        "tests/test_pipeline.py": b"def test_it(): ...\n",
    }
    for name, data in theirs.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    done = Shell(tmp_path)("init")
    found = files(tmp_path)
    assert found["pyproject.toml"] == theirs["pyproject.toml"] + b'\r\n[tool.pulpo]\r\nmodules = ["shop"]\r\n'
    assert found[".gitignore"] == b"*.pyc\nrun_cache/\n"
    assert {
        n: found[n] for n in ("README.md", "shop/__init__.py", "shop/work.py", "tests/test_pipeline.py")
    }.items() <= theirs.items()
    assert set(found) - set(theirs) == {".github/workflows/pulpo.yml", ".pre-commit-config.yaml", "pulpo.lock.yaml"}
    assert "the code is your own, so there is no sample: shop" in done.err
    assert "sell:" in found["pulpo.lock.yaml"].decode()
    assert "nothing was missing" in Shell(tmp_path)("init").err
    assert files(tmp_path) == found


#: Where somebody's code may be, by the name of the project.
LAYOUTS = {"one": "one.py", "two": "src/two/__init__.py", "three": "three/__init__.py", "four": "src/four.py"}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Projects that had nothing but code, with what `pulpo init` adds."""
    root = tmp_path_factory.mktemp("own")
    for name, path in LAYOUTS.items():
        (root / name / path).parent.mkdir(parents=True)
        (root / name / path).write_text("HERE = True\n")
    return {name: CLI.init(root / name) for name in LAYOUTS}


@pytest.mark.parametrize("name", LAYOUTS)
def test_code_is_somebodys_in_any_layout(own, name):
    result = own[name]
    assert (result.modules, [n for n in result.added if n.endswith(".py")]) == ((name,), [])


def test_code_in_any_layout_is_installed_as_the_workflow_does_it(own, tmp_path):
    """Its first step; what builds them is fetched once, not for each."""
    tool(tmp_path, "pip", "install", "-q", "--target", str(tmp_path / "builder"), "hatchling")
    places = [str(result.directory) for result in own.values()]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        "installed",
        *places,
    ]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "builder")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(own)}; print({'.HERE, '.join(own)}.HERE)"],
        cwd=tmp_path / "installed", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "True True True True\n"


@pytest.mark.parametrize("name", LAYOUTS)
def test_settings_of_pytest_find_the_code_in_any_layout(own, tmp_path, name):
    shutil.copytree(own[name].directory, tmp_path / name)
    (tmp_path / name / "test_it.py").write_text(f"import {name}\n\n\ndef test_it():\n    assert {name}.HERE\n")
    assert "1 passed" in tool(tmp_path / name, "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")


def test_settings_of_mypy_find_a_module_in_src(own):
    assert "1 source file" in tool(own["four"].directory, "mypy", "--cache-dir", os.devnull)


def test_settings_say_what_is_true_of_a_project_with_code_of_its_own(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shop.py").write_text("")
    bare = CLI.init(tmp_path / "shop")
    settings = tomllib.loads((tmp_path / "shop" / "pyproject.toml").read_text())
    assert {"readme", "description"} & set(settings["project"]) == set()
    assert "testpaths" not in settings["tool"]["pytest"]["ini_options"]
    assert "pytest" not in workflow_steps(tmp_path / "shop")[-1]
    assert any("there are no tests" in note for note in bare.notes)

    for name in bare.added:
        (tmp_path / "shop" / name).unlink()
    (tmp_path / "shop" / "README.rst").write_text("mine")
    (tmp_path / "shop" / "tests").mkdir()
    (tmp_path / "shop" / "tests" / "shop_test.py").write_text("def test_it(): ...\n")
    full = CLI.init(tmp_path / "shop")
    settings = tomllib.loads((tmp_path / "shop" / "pyproject.toml").read_text())
    assert settings["project"]["readme"] == "README.rst"
    assert settings["tool"]["pytest"]["ini_options"]["testpaths"] == ["tests"]
    assert settings["tool"]["mypy"]["files"] == ["shop.py", "tests"]
    assert workflow_steps(tmp_path / "shop")[-1] == "python -m pytest"
    assert not any("no tests" in note for note in full.notes)


def test_tests_of_what_is_installed_are_not_the_projects(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    for name in ("shop.py", "env/pyvenv.cfg", "env/lib/test_them.py", "node_modules/test_them.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    CLI.init(tmp_path)
    assert "pytest" not in workflow_steps(tmp_path)[-1]


def workflow_steps(directory: Path) -> list[str]:
    """The commands that the workflow runs."""
    workflow = YAML(typ="safe").load((directory / ".github/workflows/pulpo.yml").read_text())
    return [step["run"] for step in workflow["jobs"]["pulpo"]["steps"] if "run" in step]


def test_a_sample_that_somebody_changed_is_theirs(made, tmp_path):
    shutil.copytree(made / "my-minimal", tmp_path / "my-minimal")
    (tmp_path / "my-minimal" / "my_minimal" / "models.py").unlink()
    (tmp_path / "my-minimal" / "my_minimal" / "operations.py").write_text("# mine\n")
    (tmp_path / "my-minimal" / "main.py").unlink()
    assert CLI.init(tmp_path / "my-minimal").added == ()


def test_a_directory_in_a_project_is_refused(made):
    with pytest.raises(UsageError, match=r"the directory lies in a project: .*my-minimal") as error:
        CLI.init(made / "my-minimal" / "new" / "deeper")
    assert "pulpo init" in error.value.hint
    assert not (made / "my-minimal" / "new").exists()


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "it").write_text("")
    done = Shell(tmp_path)("init", "it", code=2)
    assert "this is a file, and not a directory" in done.err
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "tests").write_text("mine")
    done = Shell(tmp_path)("init", "project", code=2)
    assert "tests can't be written: file exists" in done.err


def test_a_place_where_nothing_can_be_made_is_told(tmp_path):
    done = Shell(tmp_path)("init", "/proc/nothing", code=2)
    assert "/proc/nothing can't be written" in done.err


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    # Root may write anywhere, unless that is taken from it.
    prefix = ("setpriv", "--bounding-set", "-dac_override") if os.geteuid() == 0 else ()
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "pulpo", "init", "it"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "can't be written: permission denied" in done.stderr


def test_a_pyproject_that_cannot_be_read_is_told_before_anything_is_written(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project\n")
    assert "can't be read" in Shell(tmp_path)("init", code=2).err
    assert list(files(tmp_path)) == ["pyproject.toml"]


def test_code_that_cannot_be_imported_leaves_no_lock_and_says_why(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("import no_such_package_anywhere\n")
    directory = tmp_path / "shop"
    directory.rename(tmp_path / "code")
    (tmp_path / "shop").mkdir()
    (tmp_path / "code").rename(tmp_path / "shop" / "shop")
    done = Shell(tmp_path / "shop")("init", code=1)
    assert "no_such_package_anywhere" in done.err
    assert not (tmp_path / "shop" / "pulpo.lock.yaml").exists()
    (tmp_path / "shop" / "shop" / "__init__.py").write_text("")
    assert "+ pulpo.lock.yaml" in Shell(tmp_path / "shop")("init").err


def test_in_a_repository_below_its_root_the_files_of_the_root_are_not_made(tmp_path):
    (tmp_path / ".git").mkdir()
    result = CLI.init(tmp_path / "services" / "shop")
    assert not any(name.startswith(".github") or "pre-commit" in name for name in result.added)
    assert any("belongs at the root of the repository" in note for note in result.notes)
    (tmp_path / "modules" / "own" / ".git").mkdir(parents=True)
    assert ".github/workflows/pulpo.yml" in CLI.init(tmp_path / "modules" / "own").added


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("jobs", "jobs"),
        ("My Shop-2", "my_shop_2"),
        ("2024 Sales", "project_2024_sales"),
        ("données", "donnees"),
        ("数据", "project"),
        ("class", "class_project"),
        ("json", "json_project"),
        ("pulpo", "pulpo_project"),
        ("pydantic", "pydantic_project"),
        ("--", "project"),
    ],
)
def test_a_directory_of_any_name_gives_a_package_that_can_be_imported(text, name):
    assert package_name(text) == name


def test_a_template_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match="there is no such template: flight") as error:
        CLI.init(tmp_path, template="flight")
    assert error.value.hint == "did you mean 'flights'?"
    assert "flights" in Shell(tmp_path)("init", "--template", "flight", code=2).err


def test_what_was_done_as_json(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    data = json.loads(Shell(tmp_path)("init", "--format", "json").out)
    assert data["left"] == ["README.md"]
    assert data["problem"] is None
    assert "pulpo.lock.yaml" in data["added"]


def test_a_wheel_makes_all_of_them_without_the_checkout(made, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True, timeout=300
    )
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=120)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", str(wheel)], check=True, timeout=120)
    # What the package needs is taken from here; a path in a .pth file brings no other .pth files, so no checkout.
    place = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True, text=True
    ).stdout.strip()
    (Path(place) / "rest.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    for template in TEMPLATES:
        directory = tmp_path / f"my-{template}"
        command = [python, "-P", "-m", "pulpo", "init", str(directory), "--template", template]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        assert files(directory) == files(made / f"my-{template}")
