"""`pulpo lock` as people run it: what it prints, its exit codes, several at once, and the walk through a conflict."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def example(tmp_path):
    """A copy of examples/jobs in a repository of its own."""
    directory = tmp_path / "jobs"
    shutil.copytree(ROOT / "examples" / "jobs", directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
    git(directory, "init", "-q")
    git(directory, "add", "-A")
    git(directory, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "the example")
    return directory


def git(directory: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, text=True).stdout


def pulpo(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pulpo", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, env=ENVIRONMENT, check=False)


def edit(file: Path, pattern: str, new: str) -> None:
    text, count = re.subn(pattern, new, file.read_text(encoding="utf-8"), count=1, flags=re.DOTALL)
    assert count == 1
    file.write_text(text, encoding="utf-8")


def fences(language: str) -> list[str]:
    section = DOCS.split("### An example")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_the_walk_through_a_conflict(example):
    edited, settled = fences("diff")
    old, new = (line[1:] for line in edited.splitlines())
    edit(example / "pulpo.lock.yaml", rf"(stepstone\.fetch:(?:(?!\n  \w).)*?\n){old}\n", rf"\g<1>{new}\n")
    for command in ("lock", "check"):
        assert pulpo(example, command).returncode == 0
    edit(example / "jobs" / "operations.py", r"(stepstone\.fetch.*?)retries=3", r"\1retries=4")
    before = (example / "pulpo.lock.yaml").read_text()

    conflict = pulpo(example, "lock")
    assert conflict.returncode == 1
    (console,) = fences("console")
    assert console.removeprefix("$ pulpo lock\n") == conflict.stderr
    assert (example / "pulpo.lock.yaml").read_text() == before

    assert pulpo(example, "lock", "--prefer", "manifest").returncode == 0
    diff = git(example, "diff", "-U2", "pulpo.lock.yaml")
    changed = [line for line in diff.splitlines() if re.match(r"[+-](?![+-])", line)]
    shown = [line for block in (edited, settled) for line in block.splitlines() if line[0] in "+-"]
    assert changed == shown
    assert pulpo(example, "lock").stderr.startswith("pulpo.lock.yaml is up to date")


def test_diff_shows_the_change_and_writes_nothing(example):
    edit(example / "jobs" / "operations.py", r"(stepstone\.fetch.*?)retries=3", r"\1retries=4")
    before = (example / "pulpo.lock.yaml").read_text()
    shown = pulpo(example, "lock", "--diff")
    assert shown.returncode == 1
    assert (example / "pulpo.lock.yaml").read_text() == before
    (example / "change.patch").write_text(shown.stdout)
    git(example, "apply", "change.patch")
    assert pulpo(example, "lock", "--diff").stdout == ""
    assert pulpo(example, "lock", "--check").returncode == 0


@pytest.mark.parametrize("last", ["\r\n", ""])
def test_git_applies_the_shown_change_to_windows_line_ends(example, last):
    path = example / "pulpo.lock.yaml"
    path.write_bytes(path.read_bytes().rstrip().replace(b"\n", b"\r\n") + last.encode())
    edit(example / "jobs" / "operations.py", r"(stepstone\.fetch.*?)retries=3", r"\1retries=4")
    command = [sys.executable, "-m", "pulpo", "lock", "--diff"]
    shown = subprocess.run(command, cwd=example, capture_output=True, env=ENVIRONMENT, check=False).stdout
    (example / "change.patch").write_bytes(shown)
    git(example, "apply", "change.patch")
    assert pulpo(example, "lock", "--check").returncode == 0


def test_lock_as_json(example):
    edit(example / "jobs" / "operations.py", r"(stepstone\.fetch.*?)retries=3", r"\1retries=4")
    printed = json.loads(pulpo(example, "lock", "--check", "--format", "json").stdout)
    assert (printed["ok"], printed["stale"], printed["written"]) == (True, True, False)
    assert {"path": ["operations", "scraping.stepstone.fetch", "retries"], "before": 3, "after": 4} in printed["changes"]


def test_a_conflict_as_json(example):
    edit(example / "pulpo.lock.yaml", "retries: 3", "retries: 5")
    edit(example / "jobs" / "operations.py", r"(linkedin\.fetch.*?)retries=3", r"\1retries=4")
    conflict = pulpo(example, "lock", "--format", "json")
    printed = json.loads(conflict.stdout)
    assert (conflict.returncode, printed["ok"], printed["stale"], printed["written"]) == (1, False, True, False)
    assert [d["code"] for d in printed["diagnostics"]] == ["PLP303"]


def test_an_explanation_as_json(example):
    printed = json.loads(pulpo(example, "lock", "--explain", "operations.parsing.clean.timeout", "--format", "json").stdout)
    assert [(one["owner"], one["said"]["lock"]) for one in printed] == [("nobody", {"set": False, "value": None, "place": None})]


def test_a_password_that_somebody_wrote_down_is_not_printed(example):
    lock = example / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("engine: embedded", "uri: mongodb://me:hunter2@localhost/"))
    for command in (
        ["services"],
        ["services", "db"],
        ["lock", "--explain", "services.db.uri"],
        ["lock", "--explain", "services.db"],
    ):
        for kind in ("text", "json"):
            done = pulpo(example, *command, "--format", kind)
            assert "mongodb://me:***@localhost/" in done.stdout
            assert "hunter2" not in done.stdout + done.stderr


def test_an_explanation_stands_alone(example):
    done = pulpo(example, "lock", "--explain", "project.name", "--prune")
    assert (done.returncode, "it stands alone" in done.stderr) == (2, True)


def test_paths_without_a_side_are_a_mistake_of_usage(example):
    done = pulpo(example, "lock", "operations.parsing.clean")
    assert done.returncode == 2
    assert "paths go with --prefer" in done.stderr


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def held_up(example, tmp_path):
    """The example with a change to lock; its code says when it is imported, and goes on when it may."""
    started, go = tmp_path / "started", tmp_path / "go"
    text = (example / "jobs" / "operations.py").read_text().replace("retries=3", "retries=4", 1)
    text += f"\nimport pathlib, time\npathlib.Path({str(started)!r}).touch()\n"
    text += f"while not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.01)\n"
    (example / "jobs" / "operations.py").write_text(text)
    return example


def start(example: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pulpo", "lock"]
    return subprocess.Popen(command, cwd=example, text=True, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_at_once_wait_for_each_other(held_up, tmp_path):
    first = start(held_up)
    wait_for(tmp_path / "started")
    second = start(held_up)
    assert second.stderr.readline() == "waiting for another `pulpo lock` in this project\n"
    (tmp_path / "go").touch()
    said = [process.communicate(timeout=120)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert "pulpo.lock.yaml written" in said[0]
    assert "pulpo.lock.yaml is up to date" in said[1]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_one_that_is_stopped_leaves_the_file_and_holds_up_nobody(held_up, tmp_path, how):
    before = (held_up / "pulpo.lock.yaml").read_text()
    first = start(held_up)
    wait_for(tmp_path / "started")
    first.send_signal(how)
    _, said = first.communicate(timeout=60)
    assert first.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in said
    assert (held_up / "pulpo.lock.yaml").read_text() == before
    (tmp_path / "go").touch()
    assert pulpo(held_up, "lock").returncode == 0
    assert sorted(p.name for p in held_up.iterdir() if "lock" in p.name) == ["pulpo.lock.yaml"]
