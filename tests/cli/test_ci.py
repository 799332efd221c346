"""What CI runs: the commands without user code, the hooks of pre-commit, and what docs/ci.md shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
WORKFLOW = ROOT / "docs" / "workflows" / "pulpo.yml"
LOCK = "pulpo.lock.yaml"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The `pulpo` commands in a workflow or a script."""
    return [m[1].split() for m in re.finditer(r"(?:- |run: )pulpo ([^|\n]+)", text)]


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Nobody's settings of Git and pre-commit, and the `pulpo` of this environment first."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "pre-commit"))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@b.example")


def git(directory: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def committed(directory: Path) -> str:
    if not (directory / ".git").exists():
        git(directory, "init", "--quiet", "--initial-branch=main")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "-m", "work")
    return git(directory, "rev-parse", "HEAD").strip()


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


# Without user code.


def test_check_without_code_imports_none_and_no_framework(jobs):
    for module in ("__init__", "operations", "models"):
        (jobs.directory / "jobs" / f"{module}.py").write_text("raise SystemError('imported')\n")
    assert "no errors in the lock alone" in jobs("check", "--no-code").err
    program = "import sys; from pulpo.cli.app import CLI; assert CLI.main(['check', '--no-code']) == 0; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=jobs.directory, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"jobs", "prefect", "fastapi", "pymongo", "motor", "beanie", "sqlite3", "networkx.drawing"})


@pytest.mark.parametrize("format", ["text", "concise", "json", "github", "sarif"])
def test_every_format_of_a_report_needs_no_code(jobs, format):
    (jobs.directory / "jobs" / "__init__.py").write_text("raise SystemError('imported')\n")
    replace(jobs.directory / LOCK, "from: [scraping.linkedin.fetch,", "from: [scraping.linkdin.fetch,")
    assert "PLP" in jobs("check", "--no-code", "--format", format, code=1).out


# pre-commit.


@pytest.fixture
def hooks(tmp_path, environment):
    """A repository with this one's hooks; its id of a commit. Nothing is installed from it: `pulpo` is on the PATH."""
    directory = tmp_path / "hooks"
    directory.mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", directory)
    return directory, committed(directory)


def pre_commit(directory: Path, hooks: tuple[Path, str], *listed: str) -> tuple[int, str]:
    """Run hooks as pre-commit does, of a repository that has all files of the directory."""
    config = f"repos:\n- repo: {hooks[0]}\n  rev: {hooks[1]}\n  hooks:\n" + "".join(f"  - {{{one}}}\n" for one in listed)
    (directory / ".pre-commit-config.yaml").write_text(config, encoding="utf-8")
    committed(directory)
    command = [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color=never"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stdout + done.stderr


CHECK, FRESH = "id: pulpo-check, language: system", "id: pulpo-lock"


def test_the_hooks_pass_on_a_fresh_lock_and_fail_on_a_wrong_and_a_stale_one(jobs, hooks):
    code, said = pre_commit(jobs.directory, hooks, CHECK, FRESH)
    assert (code, said.count("Passed")) == (0, 2), said
    replace(jobs.directory / "jobs" / "operations.py", 'keywords: str = "python"', 'keywords: str = "python", limit: int = 3')
    code, said = pre_commit(jobs.directory, hooks, CHECK, FRESH)
    assert (code, said.count("Passed"), said.count("Failed")) == (1, 1, 1), said
    assert "pulpo.lock.yaml is stale: run `pulpo lock`" in said
    replace(jobs.directory / LOCK, "mode: each", "mode: eech")
    code, said = pre_commit(jobs.directory, hooks, CHECK)
    assert (code, "PLP101" in said) == (1, True), said


def test_the_hooks_work_for_each_project_of_a_repository(jobs, hooks, tmp_path):
    repository = tmp_path / "all"
    for name in ("one", "two"):
        shutil.copytree(jobs.directory, repository / name)
    listed = [f"{CHECK}, args: [--project, {name}]" for name in ("one", "two")]
    assert pre_commit(repository, hooks, *listed)[0] == 0
    replace(repository / "two" / LOCK, "mode: each", "mode: eech")
    code, said = pre_commit(repository, hooks, *listed)
    assert (code, said.count("Passed"), said.count("Failed")) == (1, 1, 1), said
    assert f"two/{LOCK}" in said


# What the documentation shows.


@pytest.mark.parametrize("name", ["github", "gitlab", "pre-commit"])
def test_what_ci_reads_follows_its_schema(tmp_path, name):
    gitlab = tmp_path / "gitlab.yml"
    gitlab.write_text(next(text for text in blocks("yaml") if "script:" in text), encoding="utf-8")
    validator = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    command = {
        "github": [*validator, "vendor.github-workflows", str(WORKFLOW)],
        "gitlab": [*validator, "vendor.gitlab-ci", str(gitlab)],
        "pre-commit": [sys.executable, "-m", "pre_commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")],
    }[name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_commands_of_the_workflows_run(jobs):
    found = commands(WORKFLOW.read_text(encoding="utf-8")) + commands("\n".join(blocks("yaml")))
    assert [one[0] for one in found] == ["check", "check", "lock", "check", "check", "lock"]
    for one in found:
        jobs(*one)
    assert (jobs.directory / "pulpo.sarif").stat().st_size


def test_the_step_that_uploads_has_something_to_upload_when_the_check_failed(jobs, environment):
    replace(jobs.directory / LOCK, "mode: each", "mode: eech")
    steps = YAML(typ="safe").load(WORKFLOW)["jobs"]["lock"]["steps"]
    report = next(step for step in steps if "sarif" in step.get("run", ""))
    assert report["if"] == "always()"
    assert subprocess.run(report["run"], shell=True, cwd=jobs.directory, check=False, capture_output=True).returncode == 0
    assert "PLP101" in (jobs.directory / "pulpo.sarif").read_text(encoding="utf-8")


def test_the_hooks_that_are_shown_are_those_there_are():
    there = {hook["id"] for hook in YAML(typ="safe").load(ROOT / ".pre-commit-hooks.yaml")}
    assert set(re.findall(r"id: ([\w-]+)", "".join(blocks("yaml")))) == there


def test_what_is_shown_sets_the_driver_up_as_install_does(jobs, environment):
    directory = jobs.directory
    committed(directory)
    script = next(text for text in blocks("bash") if "git config" in text)
    subprocess.run(script, shell=True, cwd=directory, check=True)
    driver = git(directory, "config", "merge.pulpo.driver")
    jobs("merge", "--install")
    assert git(directory, "config", "merge.pulpo.driver") == driver
    assert (directory / ".gitattributes").read_text() == f"{LOCK} merge=pulpo\n"
    assert jobs("merge", "--install").err == "Git merges locks with `pulpo merge`\n"


# A conflict, as the documentation has it.

MORE = '\n\n@operation("scraping.{0}.fetch")\nasync def fetch_{0}(keywords: str = "python") -> RawJobs: ...\n'


@pytest.fixture
def conflict(jobs, environment):
    """Two branches that each add a producer and edit a setting, merged by plain Git, with conflicts."""
    directory = jobs.directory
    shutil.rmtree(directory / "run_cache", ignore_errors=True)
    (directory / ".gitignore").write_text("run_cache/\n__pycache__/\n")
    (directory / "jobs" / "extra.py").write_text("from jobs.models import RawJobs\nfrom pulpo import operation\n")
    replace(directory / "pyproject.toml", '["jobs"]', '["jobs", "jobs.extra", "jobs.other"]')
    (directory / "jobs" / "other.py").write_text((directory / "jobs" / "extra.py").read_text())
    replace(directory / "jobs" / "operations.py", "stepstone: RawJobs, linkedin: RawJobs", "raw: list[RawJobs]")
    jobs("lock")
    committed(directory)
    for branch, module, name, edit in (
        ("theirs", "extra", "indeed", "retries: 7  # theirs"),
        ("ours", "other", "jobware", "retries: 3\n    timeout: 60  # ours"),
    ):
        git(directory, "checkout", "--quiet", "-b", branch, "main")
        with (directory / "jobs" / f"{module}.py").open("a") as stream:
            stream.write(MORE.format(name))
        at = "theirs" if branch == "theirs" else "ours"
        replace(directory / LOCK, "    retries: 3\n", f"    {edit}\n")
        jobs("lock")
        assert f"# {at}" in (directory / LOCK).read_text()
        committed(directory)
    git(directory, "merge", "theirs", code=1)
    assert "PLP004" in jobs("check", "--no-code", code=1).out
    return jobs


def all_is_well(jobs) -> str:
    jobs("lock")
    jobs("lock", "--check")
    jobs("check", "--strict")
    text = (jobs.directory / LOCK).read_text(encoding="utf-8")
    assert "scraping.indeed.fetch, scraping.jobware.fetch" in text
    committed(jobs.directory)
    return text


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_either_side_and_then_lock_settles_a_conflict_without_the_driver(conflict, side):
    git(conflict.directory, "checkout", f"--{side}", LOCK)
    assert f"# {side}" in all_is_well(conflict)


def test_the_driver_can_be_asked_in_the_middle_of_a_conflict(conflict):
    conflict("merge", "--install")
    git(conflict.directory, "checkout", "--merge", LOCK)
    text = all_is_well(conflict)
    assert "    retries: 7  # theirs\n" in text
    assert "    timeout: 60  # ours\n" in text


def test_a_directory_in_place_of_the_attributes_is_told(shell, environment):
    git(shell.directory, "init", "--quiet")
    (shell.directory / ".gitattributes").mkdir()
    assert shell("merge", "--install", code=2).err.startswith("error: can't be written: Is a directory: ")


def test_merge_says_what_it_needs(shell):
    assert "BASE OURS THEIRS" in shell("merge", code=2).err
    assert "nothing.yaml" in shell("merge", "nothing.yaml", "b", "c", code=2).err
    refused = shell("merge", "--install", code=2, env={"GIT_CEILING_DIRECTORIES": "/"}).err
    assert "not a git repository" in refused
    assert refused.endswith(f": {shell.directory}\n")
