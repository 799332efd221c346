"""What is released works in an empty environment, away from the repository, on each version of Python that is here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.release.pythons import PROMISED, Interpreter, interpreters, missing, supported

pytestmark = pytest.mark.xdist_group("release")


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that had nothing in it, not even pip, and a directory to work in."""

    root: Path
    work: Path

    @classmethod
    def made(cls, interpreter: Interpreter, root: Path) -> Environment:
        root.joinpath("work").mkdir()
        made = cls(root / "environment", root / "work")
        made.run(interpreter.executable, "-m", "venv", "--without-pip", str(made.root))
        return made

    def run(self, *command: str, cwd: str = ".", code: int = 0) -> str:
        """What a command says: nothing of the tests' own environment reaches it, but for the settings of pip."""
        own = ("PULPO_", "PYTHON", "PYTEST", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        path = os.pathsep.join((str(self.root / "bin"), kept.get("PATH", os.defpath)))
        done = subprocess.run(
            command, cwd=self.work / cwd, env={**kept, "PATH": path}, capture_output=True, text=True, check=False, timeout=600
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said, said
        return said

    def pip(self, *arguments: str) -> str:
        """Run pip of the tests' environment for this one."""
        return self.run(sys.executable, "-m", "pip", "--python", self.python, *arguments)

    def pulpo(self, *arguments: str, cwd: str = ".", code: int = 0) -> str:
        return self.run(str(self.root / "bin" / "pulpo"), *arguments, cwd=cwd, code=code)

    @property
    def python(self) -> str:
        return str(self.root / "bin" / "python")


@pytest.fixture(scope="module", params=interpreters(), ids=str)
def interpreter(request):
    return request.param


@pytest.fixture(scope="module")
def installed(interpreter, distributions, tmp_path_factory):
    """An environment with Pulpo, of the wheel, and what it needs."""
    environment = Environment.made(interpreter, tmp_path_factory.mktemp("installed"))
    environment.pip("install", "--quiet", str(distributions.wheel))
    return environment


@pytest.fixture(scope="module")
def shop(installed):
    """A new project."""
    installed.pulpo("init", "shop")
    return installed


@pytest.mark.parametrize("version", supported())
def test_the_release_is_tried_on_each_version_that_it_is_for(version):
    if version in missing() and version not in os.environ.get(PROMISED, "").split():
        pytest.skip(f"no Python {version} here: the release is NOT tried on it")
    assert version not in missing()


def test_it_is_what_is_installed_that_runs(installed, interpreter, distributions):
    where = installed.run(installed.python, "-c", "import pulpo, platform; print(platform.python_version(), pulpo.__file__)")
    version, path = where.split()
    assert version == interpreter.version
    assert Path(path).is_relative_to(installed.root)
    assert installed.pulpo("--version").split() == ["pulpo", distributions.wheel.name.split("-")[1]]
    assert installed.pip("check") == "No broken requirements found.\n"


def lock_check_compile_and_run(environment: Environment) -> None:
    assert "is up to date" in environment.pulpo("lock", "--check", cwd="shop")
    assert "no errors in the lock and the code" in environment.pulpo("check", "--strict", cwd="shop")
    assert "files written" in environment.pulpo("compile", cwd="shop")
    environment.pulpo("run", "pipeline", cwd="shop")
    shown = environment.pulpo("runs", "list", "--format", "json", cwd="shop")
    assert [run["state"] for run in json.loads(shown)] == ["completed"]


def test_a_new_project_is_locked_checked_compiled_and_run(shop):
    lock_check_compile_and_run(shop)
    shop.run(shop.python, "main.py", "check", cwd="shop")


def test_an_sdist_is_made_into_what_works_too(interpreter, distributions, tmp_path):
    environment = Environment.made(interpreter, tmp_path)
    environment.pip("install", "--quiet", str(distributions.sdist))
    assert environment.pulpo("--version") == f"pulpo {distributions.wheel.name.split('-')[1]}\n"
    environment.pulpo("init", "shop")
    lock_check_compile_and_run(environment)


def test_a_template_that_is_an_example_of_the_repository_comes_with_the_package(installed):
    installed.pulpo("init", "--template", "jobs", "boards")
    installed.pulpo("check", "--strict", cwd="boards")
    installed.pulpo("run", "pipeline", cwd="boards")
    installed.pulpo("init", "--template", "flights", "departures")
    installed.pulpo("check", "--strict", cwd="departures")


def test_pages_of_diagnostics_are_in_it(installed):
    assert "PLP202" in installed.pulpo("explain", "PLP202")


@pytest.mark.parametrize(
    ("command", "extra"), [("run pipeline --engine prefect", "prefect"), ("api start", "api"), ("ui start", "ui")]
)
def test_what_needs_an_extra_names_it(shop, command, extra):
    assert f"pip install 'pulpocore[{extra}]'" in shop.pulpo(*command.split(), cwd="shop", code=2)


def test_the_tests_of_a_new_project_pass(shop):
    shop.pip("install", "--quiet", "pytest")
    assert " passed" in shop.run(shop.python, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd="shop")


def test_extras_go_together_and_import(distributions, tmp_path):
    here = next(one for one in interpreters() if one.executable == sys.executable)
    environment = Environment.made(here, tmp_path)
    environment.pip("install", "--quiet", f"{distributions.wheel}[api,ui,prefect]")
    assert environment.pip("check") == "No broken requirements found.\n"
    environment.run(environment.python, "-c", "import pulpo.api.app, pulpo.ui.app, pulpo.run.prefect, prefect.server.api.server")
    environment.pulpo("init", "shop")
    environment.pulpo("compile", cwd="shop")
    environment.run(environment.python, "-c", "import pipeline_flow", cwd="shop/run_cache/orchestration")
