"""The README shows before it tells: what it shows is what happens."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def block(language: str, containing: str = "") -> str:
    """The first fenced block of a language that has a text in it."""
    fences = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
    return next(text for name, text in fences if name == language and containing in text)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("readme")
    (directory / "jobs.py").write_text(block("python"))
    (directory / "pyproject.toml").write_text(block("toml"))
    pulpo(directory, "lock")
    return directory


def pulpo(directory: Path, *arguments: str, env: dict[str, str] | None = None) -> str:
    return subprocess.run(
        [sys.executable, "-m", "pulpo", *arguments], cwd=directory, check=True, capture_output=True, text=True, env=env
    ).stdout


def test_the_lock_has_what_the_readme_shows(project):
    assert block("yaml") in (project / "pulpo.lock.yaml").read_text()


def test_a_conflict_is_told_as_shown(project, tmp_path):
    shutil.copytree(project, tmp_path / "edited")
    lock, code = tmp_path / "edited" / "pulpo.lock.yaml", tmp_path / "edited" / "jobs.py"
    old, new = ("".join(line[1:] for line in block("diff").splitlines(keepends=True) if line[0] in f" {sign}") for sign in "-+")
    assert old in lock.read_text()
    lock.write_text(lock.read_text().replace(old, new, 1))
    code.write_text(code.read_text().replace("retries=3", "retries=4"))
    done = subprocess.run([sys.executable, "-m", "pulpo", "lock"], cwd=lock.parent, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, block("", "PLP303"))


def test_the_graph_is_the_one_shown(project):
    assert pulpo(project, "graph") == block("mermaid")


def test_the_run_prints_what_is_shown(project):
    def without_times(text: str) -> list[list[str]]:
        return [line.split() for line in re.sub(r"\d+ ms|run \S+", "", text).splitlines() if line]

    shown = without_times(block("", "operation "))
    printed = without_times(pulpo(project, "run", "pipeline", "--param", "keywords=rust"))
    assert (printed[0], sorted(printed[1:4]), printed[4]) == (shown[0], sorted(shown[1:4]), shown[4])


def test_a_deploy_prints_what_is_shown(project, tmp_path, prefect):
    shutil.copytree(project, tmp_path / "deployed", ignore=shutil.ignore_patterns("run_cache"))
    lock, code = tmp_path / "deployed" / "pulpo.lock.yaml", tmp_path / "deployed" / "jobs.py"
    now, flows = lock.read_text(), block("yaml", "schedule: ")
    enrich = '\n\n@operation("enrich.count")\ndef count(jobs: list[CleanJob]) -> None: ...\n'
    code.write_text(code.read_text() + enrich)
    lock.write_text(now + flows.replace("0 6", "0 7").replace(", concurrency: 1", ""))
    pulpo(lock.parent, "lock")
    pulpo(lock.parent, "prefect", "deploy", env=prefect)
    lock.write_text(now + flows)
    assert pulpo(lock.parent, "prefect", "deploy", env=prefect) == block("console").removeprefix("$ pulpo prefect deploy\n")


def test_every_command_and_option_in_the_readme_exists():
    for line in block("", "pulpo lock [--check]").replace("\n        ", " ").splitlines():
        for command in re.match(r"pulpo ([a-z |]+)", line)[1].split("|")[: 5 if "operations" in line else 1]:
            words = command.split()[: 2 if command.startswith("prefect") else 1]
            help_text = pulpo(Path.cwd(), *words, "--help")
            for option in re.findall(r"--[a-z-]+", line):
                assert option in help_text, (command, option)
